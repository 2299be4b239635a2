package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// watched is a role of its own, so that nothing of other tests is in what is exported.
const watched = `
kind: Role
name: watched
bind: [{issuer: dev, claims: {sub: "fn:watched"}}]
policies: [billing-reader]
---
kind: Role
name: rebuilt
bind: [{issuer: dev, claims: {sub: "fn:rebuilt"}}]
policies: [watched-observed]
`

// TestPolicyOfWhatWasDone: what a role did is exported as a policy, which takes effect as it stands, lets the same through, and
// nothing that was not done.
func TestPolicyOfWhatWasDone(t *testing.T) {
	backend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "{}") })
	role, rebuilt, _ := strings.Cut(watched, "---")
	if r := shared.gw.CLI(t.Context(), role, "apply", "-f", "-"); r.Code != 0 {
		t.Fatalf("apply: %s%s", r.Out, r.Err)
	}
	if r := shared.gw.CLI(t.Context(), "", "policy", "export", "--role", "watched"); r.Code == 0 || !strings.Contains(r.Err, "knows nothing") {
		t.Errorf("before it did anything: %d %s%s", r.Code, r.Out, r.Err)
	}
	c, tok := client(t), token(t, "fn:watched")
	for i := range 25 {
		if a := call(t, c, tok, "GET", fmt.Sprintf("/v1/invoices/%d", i), ""); a.StatusCode != http.StatusOK {
			t.Fatalf("GET: %d %s", a.StatusCode, a.body)
		}
	}
	call(t, c, tok, "POST", "/v1/refunds", "{}")
	call(t, c, tok, "GET", "/v1/admin/keys", "") // refused
	file := filepath.Join(t.TempDir(), "watched.yaml")
	r := shared.gw.CLI(t.Context(), "", "policy", "export", "--role", "watched", "--connection", "billing", "--since", "24h", "--out", file)
	raw, err := os.ReadFile(file)
	if r.Code != 0 || err != nil {
		t.Fatalf("export: %d %s %v", r.Code, r.Err, err)
	}
	for _, want := range []string{"# Refused 1 time: http:Get on billing/v1/admin/keys.", "billing/v1/invoices/*", "http:Post"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the policy does not hold %q:\n%s", want, raw)
		}
	}
	if r := shared.gw.CLI(t.Context(), string(raw)+"---"+rebuilt, "apply", "-f", "-"); r.Code != 0 {
		t.Fatalf("apply: %s%s\n%s", r.Out, r.Err, raw)
	}
	again := token(t, "fn:rebuilt")
	for _, want := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/v1/invoices/3", 200}, {"POST", "/v1/refunds", 200}, {"GET", "/v1/refunds", 403}, {"POST", "/v1/invoices/3", 403},
		{"GET", "/v1/admin/keys", 403}, {"GET", "/v1/invoices", 403}, {"DELETE", "/v1/invoices/3", 403},
	} {
		if a := call(t, c, again, want.method, want.path, ""); a.StatusCode != want.status {
			t.Errorf("%s %s: %d, want %d: %s", want.method, want.path, a.StatusCode, want.status, a.body)
		}
	}
	var answer struct {
		Document          string
		Actions, Sessions int
		Notes             []string
	}
	exact := shared.gw.CLI(t.Context(), "", "policy", "export", "--role", "watched", "--exact", "-o", "json")
	if err := json.Unmarshal([]byte(exact.Out), &answer); err != nil || exact.Code != 0 {
		t.Fatalf("export --exact: %d %s%s %v", exact.Code, exact.Out, exact.Err, err)
	}
	if strings.Contains(answer.Document, "/*") || strings.Count(answer.Document, "billing/v1/invoices/") != 25 || answer.Sessions == 0 {
		t.Errorf("exactly: %+v", answer)
	}
}
