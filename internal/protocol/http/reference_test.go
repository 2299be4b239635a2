package http

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/reference/http-actions.md")

// TestReference keeps docs/reference/http-actions.md what verbs says; run with -update after a change.
func TestReference(t *testing.T) {
	page := filepath.Join("..", "..", "..", "docs", "reference", "http-actions.md")
	want := reference()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/reference/http-actions.md is not current: go test ./internal/protocol/http -run TestReference -update")
	}
}

// reference renders the page.
func reference() string {
	var b strings.Builder
	b.WriteString(`# Actions of HTTP

Generated from the list in ` + "`internal/protocol/http`" + `; a test keeps it current. A request is one action on one resource:
` + "`connection/path`" + `, with the path behind the connection's own address, decoded once and without a slash at its end, as in
` + "`billing/v1/invoices/42`" + `. In a resource ` + "`%`" + ` and ` + "`*`" + ` of a path are written ` + "`%25`" + ` and ` + "`%2A`" + `. What is denied or held below
` + "`v1/invoices/`" + ` binds the path ` + "`/v1/invoices/`" + ` too; what is denied or held on ` + "`v1/invoices`" + ` binds everything below it, as
everywhere. With ` + "`ignore_case`" + ` paths are judged in lower case: write resources so.

Where an OpenAPI document is attached to a connection, a request is the action ` + "`connection:Operation`" + ` instead, such as
` + "`billing:CreateRefund`" + ` for the operation ` + "`createRefund`" + ` of the connection ` + "`billing`" + `. An allow has to name that one; deny and approve
bind by the names below as well.

CONNECT and TRACE are refused, whatever policy says: one is a tunnel, the other repeats the backend's credential.

| action | what it is |
|---|---|
`)
	for _, v := range verbs() {
		b.WriteString("| `" + v.Name + "` | " + v.About + " |\n")
	}
	return b.String()
}
