package api_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"gatehouse/internal/api"
	"gatehouse/internal/api/apitest"
)

//go:generate go test -run TestOpenAPIIsCurrent -update

var update = flag.Bool("update", false, "write openapi.json")

func TestOpenAPIIsCurrent(t *testing.T) {
	o := apitest.New(fixedClock).Options()
	o.Metrics = noMetrics{}
	o.Version.Version = "v1" // the document describes the API's version, not a build's
	s, err := api.New(o)
	if err != nil {
		t.Fatal(err)
	}
	now, err := s.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", now, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(now, kept) {
		t.Error("openapi.json is not what the code describes: go generate ./internal/api")
	}
}
