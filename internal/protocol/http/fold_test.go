package http

import (
	"testing"

	"gatehouse/internal/access"
)

// TestFolds: ids in paths are any where the connection's templates say so, and a prefix is never the whole connection.
func TestFolds(t *testing.T) {
	c := &access.Connection{Name: "billing", HTTP: &access.HTTPOptions{Paths: []string{"/v1/invoices/{id}", "/v1/jobs/{id}:cancel", "/v1/100%25/{x}/y"}}}
	for resource, want := range map[string]string{
		"billing/v1/invoices/42":      "billing/v1/invoices/*",
		"billing/v1/invoices/42/more": "",
		"billing/v1/jobs/7:cancel":    "billing/v1/jobs/7:cancel",
		"billing/v1/100%25/%2A/y":     "billing/v1/100%25/*/y",
		"billing/v1/invoices/*":       "",
		"billing":                     "",
	} {
		if got, ok := folds(c)(resource); got != want || ok != (want != "") {
			t.Errorf("%s is %q, want %q", resource, got, want)
		}
	}
	if folds(&access.Connection{Name: "billing"}) != nil {
		t.Error("a connection without templates has some")
	}
	for resource, want := range map[string]string{"billing/v1/a": "billing/v1/", "billing/v1/a/": "billing/v1/", "billing/v1": "", "billing/v1/": "", "billing": ""} {
		if got, ok := parent(resource); got != want || ok != (want != "") {
			t.Errorf("above %s is %q, want %q", resource, got, want)
		}
	}
}
