package web

import (
	"net/http"
	"testing"
)

// TestPoliciesChangeBetweenRequests: a request over a connection that is kept is decided under the policies of its moment, and is not
// refused because they are new.
func TestPoliciesChangeBetweenRequests(t *testing.T) {
	backend(t, func(http.ResponseWriter, *http.Request) {})
	c, tok := client(t), token(t, "fn:reader")
	const closing = "kind: Policy\nname: billing-reader\nstatements:\n  - effect: allow\n    actions: [http:Get]\n    resources: [\"billing/*\"]\n"
	if a := call(t, c, tok, http.MethodGet, "/v1/x", ""); a.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	if r := shared.gw.CLI(t.Context(), closing, "apply", "-f", "-"); r.Code != 0 {
		t.Fatalf("%s%s", r.Out, r.Err)
	}
	defer func() {
		if err := shared.fill(t.Context(), shared.gw); err != nil {
			t.Error(err)
		}
	}()
	if a := call(t, c, tok, http.MethodGet, "/v1/x", ""); a.StatusCode != http.StatusOK {
		t.Errorf("still allowed: %d %s", a.StatusCode, a.body)
	}
	if a := call(t, c, tok, http.MethodPost, "/v1/x", ""); a.StatusCode != http.StatusForbidden {
		t.Errorf("no longer allowed: %d %s", a.StatusCode, a.body)
	}
}
