package web

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// refunds is attached to the connection refunds, whose policy denies its second operation.
const refunds = `
openapi: 3.0.0
paths:
  /v1/refunds:
    get: {operationId: listRefunds, responses: {}}
    delete: {operationId: dropRefunds, responses: {}}
`

// TestAttachedDocumentChanges: requests are read by the document that the policies were compiled with, or not at all: a change of the
// file reaches both without anything being applied; where a policy names an operation that has gone, or the file cannot be read, the
// connection is closed until that is mended.
func TestAttachedDocumentChanges(t *testing.T) {
	backend(t, func(http.ResponseWriter, *http.Request) {})
	file := filepath.Join(t.TempDir(), "refunds.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+"~", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+"~", file); err != nil {
			t.Fatal(err)
		}
	}
	write(refunds)
	documents := "kind: Connection\nname: refunds\ntype: http\naddress: " + shared.backend.URL + "\ncredential: {secret: billing}\nhttp: {openapi_file: " + file + "}\n" +
		"---\nkind: Policy\nname: refunds\nstatements:\n  - {effect: allow, actions: [\"refunds:*\"], resources: [\"refunds/*\"]}\n" +
		"  - {effect: deny, actions: [\"refunds:DropRefunds\"], resources: [\"refunds/*\"]}\n" +
		"---\nkind: Role\nname: refunds\nbind: [{issuer: dev, claims: {sub: \"fn:refunds\"}}]\npolicies: [refunds]\n"
	if r := shared.gw.CLI(t.Context(), documents, "apply", "-f", "-"); r.Code != 0 {
		t.Fatalf("%s%s", r.Out, r.Err)
	}
	c, tok := client(t), token(t, "fn:refunds")
	status := func(method, path string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, strings.Replace(at(path), "/c/billing", "/c/refunds", 1), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+tok)
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, resp.Body) // its connection is kept
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	until := func(path string, open bool) {
		t.Helper()
		for t.Context().Err() == nil {
			if status(http.MethodDelete, "/v1/refunds") == http.StatusOK {
				t.Fatal("what the policy denies is sent")
			}
			if (status(http.MethodGet, path) == http.StatusOK) == open {
				return
			}
		}
	}
	until("/v1/refunds", true)
	for _, broken := range []string{strings.Replace(refunds, "dropRefunds", "eraseRefunds", 1), "openapi: [", strings.Replace(refunds, "dropRefunds", "listRefunds", 1)} {
		write(broken)
		until("/v1/refunds", false)
		write(refunds)
		until("/v1/refunds", true)
	}
	if log, _ := shared.gw.Log(); !strings.Contains(log, `is mended","connection":"refunds"`) {
		t.Error("the log does not say why it was closed")
	}
	write(refunds + "  /v1/more:\n    get: {operationId: more, responses: {}}\n")
	until("/v1/more", true)
}
