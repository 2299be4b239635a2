package exchange

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// TestAccepted: a client learns where to look, who may agree, and what the policy says about it.
func TestAccepted(t *testing.T) {
	w := httptest.NewRecorder()
	accepted(w, request("/c/billing/v1/refunds", "gw"), access.Approval{ID: "t0zt5-kpehw", State: access.ApprovalPending,
		Reviewers: [][]string{{"dba", "lead"}, {"finance"}}, Message: "Refunds need <two> people.", ExpiresAt: time.Unix(1_790_000_000, 0)})
	if w.Code != http.StatusAccepted || w.Header().Get("Location") != "/c/billing/.gatehouse/approvals/t0zt5-kpehw" || w.Header().Get(HeaderApproval) != "t0zt5-kpehw" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if want := "which is pending, by one of: dba, lead, by one of: finance. Refunds need <two> people."; !strings.Contains(w.Body.String(), want) {
		t.Errorf("%s does not say %q", w.Body, want)
	}
}

// TestRefuseNamesNoCause: a client reads the words that are for it, and not what is behind them.
func TestRefuseNamesNoCause(t *testing.T) {
	w := httptest.NewRecorder()
	err := fault.Wrap(fault.Backend, "exchange.test", http.ErrServerClosed, "the backend gave no answer")
	Refuse(w, request("/c/billing/v1/refunds", "gw"), err)
	if w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "gave no answer") || strings.Contains(w.Body.String(), http.ErrServerClosed.Error()) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
