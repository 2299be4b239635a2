package web

import (
	"net/http"
	"strings"
	"testing"
)

// TestBudgets: what is given in portions ends with the portion, in the middle of an answer if need be.
func TestBudgets(t *testing.T) {
	backend(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "export") {
			_, _ = w.Write(make([]byte, 60_000))
		}
	})
	c, tok := client(t), token(t, "fn:portions")
	if a := call(t, c, tok, http.MethodGet, "/v1/export", ""); a.StatusCode != http.StatusOK || len(a.body) != 60_000 {
		t.Fatalf("%d, %d bytes", a.StatusCode, len(a.body))
	}
	if a, err := try(t, c, tok, http.MethodGet, "/v1/export", ""); err == nil && a.StatusCode == http.StatusOK || len(a.body) > 40_000 {
		t.Errorf("beyond the portion: %d bytes, %v", len(a.body), err)
	}
	if a := call(t, c, tok, http.MethodGet, "/v1/export", ""); a.StatusCode != http.StatusTooManyRequests || !strings.Contains(a.body, "Ask for an export instead.") {
		t.Errorf("afterwards: %d %s", a.StatusCode, a.body)
	}
	for i := range 4 {
		a := call(t, c, tok, http.MethodGet, "/v1/customers", "")
		if want := i < 3; want != (a.StatusCode == http.StatusOK) {
			t.Errorf("answer %d: %d %s", i+1, a.StatusCode, a.body)
		}
	}
}
