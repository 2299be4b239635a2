package web

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRequest: a stock client reaches the backend, which sees the gateway's credential and nothing of the token.
func TestRequest(t *testing.T) {
	got := backend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-From", "backend")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.Copy(w, r.Body)
	})
	tok := token(t, "fn:reader")
	a := call(t, client(t), tok, http.MethodPost, "/v1/invoices?expand=lines", `{"amount":1}`)
	if a.StatusCode != http.StatusCreated || a.body != `{"amount":1}` || a.Header.Get("X-From") != "backend" {
		t.Fatalf("%d %q %v", a.StatusCode, a.body, a.Header)
	}
	seen := got()
	if len(seen) != 1 || seen[0].RequestURI != "/base/v1/invoices?expand=lines" || string(seen[0].body) != `{"amount":1}` {
		t.Fatalf("the backend saw %+v", seen)
	}
	if h := seen[0].Header.Get("Authorization"); h != "Bearer "+credential {
		t.Errorf("the backend got the credential %q", h)
	}
	for name, values := range seen[0].Header {
		if strings.Contains(strings.Join(values, " "), tok) {
			t.Errorf("the token reached the backend in %s", name)
		}
	}
}

// TestRefused: what no policy allows, and what has no token, reaches no backend.
func TestRefused(t *testing.T) {
	got := backend(t, func(http.ResponseWriter, *http.Request) {})
	c, tok := client(t), token(t, "fn:reader")
	for _, x := range []struct {
		name, tok, method, path, say string
		status                       int
	}{
		{"denied", tok, http.MethodGet, "/v1/admin", "Nobody calls this.", http.StatusForbidden},
		{"below what is denied", tok, http.MethodGet, "/v1/admin/users", "Nobody calls this.", http.StatusForbidden},
		{"not allowed", tok, http.MethodPut, "/v1/invoices", "permission denied", http.StatusForbidden},
		{"no token", "", http.MethodGet, "/v1/invoices", "authentication failed", http.StatusUnauthorized},
		{"forged", tok[:len(tok)-4] + "AAAA", http.MethodGet, "/v1/invoices", "authentication failed", http.StatusUnauthorized},
		{"a stranger", token(t, "fn:stranger"), http.MethodGet, "/v1/invoices", "there is no connection", http.StatusForbidden},
	} {
		t.Run(x.name, func(t *testing.T) {
			a := call(t, c, x.tok, x.method, x.path, "")
			if a.StatusCode != x.status || !strings.Contains(a.body, x.say) || a.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
	if n := len(got()); n != 0 {
		t.Errorf("the backend saw %d requests", n)
	}
}

// TestApproval: a request that needs a reviewer is told so, and runs once when the client comes back with the answer.
func TestApproval(t *testing.T) {
	got := backend(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	c, tok := client(t), token(t, "fn:reader")
	a := call(t, c, tok, http.MethodDelete, "/v1/invoices/7", "")
	id := a.Header.Get("Gatehouse-Approval")
	if a.StatusCode != http.StatusAccepted || id == "" || a.Header.Get("Retry-After") == "" {
		t.Fatalf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	place := strings.TrimPrefix(a.Header.Get("Location"), "/c/billing")
	if s := call(t, c, tok, http.MethodGet, place, ""); s.StatusCode != http.StatusOK || !strings.Contains(s.body, `"state":"pending"`) {
		t.Errorf("%d %s", s.StatusCode, s.body)
	}
	early := call(t, c, tok, http.MethodDelete, "/v1/invoices/7", "", "Gatehouse-Approval", id)
	if early.StatusCode != http.StatusAccepted || early.Header.Get("Gatehouse-Approval") != id {
		t.Errorf("%d %s", early.StatusCode, early.body)
	}
	approve(t, id)
	if other := call(t, c, tok, http.MethodDelete, "/v1/invoices/8", "", "Gatehouse-Approval", id); other.StatusCode != http.StatusConflict {
		t.Errorf("for another request: %d %s", other.StatusCode, other.body)
	}
	if n := len(got()); n != 0 {
		t.Fatalf("the backend saw %d requests before the approval was used", n)
	}
	if ok := call(t, c, tok, http.MethodDelete, "/v1/invoices/7", "", "Gatehouse-Approval", id); ok.StatusCode != http.StatusNoContent {
		t.Fatalf("%d %s", ok.StatusCode, ok.body)
	}
	if again := call(t, c, tok, http.MethodDelete, "/v1/invoices/7", "", "Gatehouse-Approval", id); again.StatusCode != http.StatusConflict {
		t.Errorf("used again: %d %s", again.StatusCode, again.body)
	}
	if n := len(got()); n != 1 {
		t.Errorf("the backend saw %d requests, want 1", n)
	}
}

// TestPatientApproval: with Prefer: wait the same request waits for its reviewer.
func TestPatientApproval(t *testing.T) {
	got := backend(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	c, tok := client(t), token(t, "fn:reader")
	first := call(t, c, tok, http.MethodDelete, "/v1/invoices/9", "")
	done := make(chan answer, 1)
	go func() { done <- call(t, c, tok, http.MethodDelete, "/v1/invoices/9", "", "Prefer", "wait=60") }()
	approve(t, first.Header.Get("Gatehouse-Approval"))
	if a := <-done; a.StatusCode != http.StatusNoContent || len(got()) != 1 {
		t.Fatalf("%d %s; the backend saw %d", a.StatusCode, a.body, len(got()))
	}
}

// approve answers as a reviewer.
func approve(t *testing.T, id string) {
	t.Helper()
	tok, err := shared.gw.PersonToken(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(tok), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := shared.gw.CLI(t.Context(), "", "--token-file", file, "approvals", "approve", id, "--reason", "looked at it"); r.Code != 0 {
		t.Fatalf("%s%s", r.Out, r.Err)
	}
}

// TestPolicyTest: what would be decided about a request can be asked without sending it.
func TestPolicyTest(t *testing.T) {
	got := backend(t, func(http.ResponseWriter, *http.Request) {})
	for request, want := range map[string]string{
		"GET /v1/invoices/42": "allow", "DELETE /v1/invoices/42": "approve", "GET /v1/admin/x": "deny", "PUT /v1/invoices/42": "deny",
		"POST /v1/invoices HTTP/1.1\nContent-Type: application/json\n\n{\"amount\":1}": "allow",
	} {
		r := shared.gw.CLI(t.Context(), "", "policy", "test", "--connection", "billing", "--statement", request, "--issuer", "dev", "--subject", "fn:reader", "--expect", want)
		if r.Code != 0 {
			t.Errorf("%s: %s%s", request, r.Out, r.Err)
		}
	}
	if n := len(got()); n != 0 {
		t.Errorf("the backend saw %d requests", n)
	}
}

// TestApprovalIsForABody: what a reviewer has not seen the whole of runs under no approval.
func TestApprovalIsForABody(t *testing.T) {
	got := backend(t, func(http.ResponseWriter, *http.Request) {})
	c, tok := client(t), token(t, "fn:reader")
	const much = 1<<20 + 1
	a := call(t, c, tok, http.MethodDelete, "/v1/invoices/7", strings.Repeat("a", much))
	if id := a.Header.Get("Gatehouse-Approval"); id != "" {
		approve(t, id)
		a = call(t, c, tok, http.MethodDelete, "/v1/invoices/7", strings.Repeat("b", much), "Gatehouse-Approval", id)
	}
	if a.StatusCode != http.StatusForbidden || !strings.Contains(a.body, "larger") || len(got()) != 0 {
		t.Errorf("%d %s; the backend saw %d requests", a.StatusCode, a.body, len(got()))
	}
}
