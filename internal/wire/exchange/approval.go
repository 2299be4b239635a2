package exchange

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/gate"
)

// approvals is where, below a connection, a client looks after its approvals. No request to it reaches a backend.
const approvals = "/.gatehouse/approvals/"

// maxPatience bounds Prefer: wait.
const maxPatience = 5 * time.Minute

// Return reads how a client comes back for an approval: Gatehouse-Approval names it, Prefer: wait=N (RFC 7240, in seconds) says
// how long it is ready to wait. Both are taken out of the request.
func Return(r *http.Request) *gate.Return {
	back := &gate.Return{Approval: r.Header.Get(HeaderApproval)}
	r.Header.Del(HeaderApproval)
	var kept []string
	for _, line := range r.Header.Values("Prefer") {
		for p := range strings.SplitSeq(line, ",") {
			p = strings.TrimSpace(p)
			name, value, _ := strings.Cut(p, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				kept = append(kept, p)
				continue
			}
			if n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`)); err == nil && n > 0 {
				back.Patience = min(time.Duration(min(n, int(maxPatience/time.Second)))*time.Second, maxPatience)
			}
		}
	}
	r.Header.Del("Prefer")
	if len(kept) > 0 {
		r.Header.Set("Prefer", strings.Join(kept, ", "))
	}
	return back
}

// here is the path of the connection as this client reaches it: "" below the gateway's domain.
func here(r *http.Request) string {
	if rest, ok := strings.CutPrefix(r.RequestURI, prefix); ok {
		name, _, _ := strings.Cut(rest, "/")
		name, _, _ = strings.Cut(name, "?")
		return prefix + name
	}
	return ""
}

// Look answers a request to Location, and reports whether target was one: a client that looks whether its approval was answered.
func Look(w http.ResponseWriter, r *http.Request, x *gate.Exchange, target string) (bool, error) {
	id, ok := strings.CutPrefix(target, approvals)
	if !ok {
		return false, nil
	}
	a, err := x.Approval(r.Context(), id)
	if err != nil {
		return true, err
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	if a.State == access.ApprovalPending {
		h.Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	}
	body, err := json.Marshal(struct {
		ID      string               `json:"id"`
		State   access.ApprovalState `json:"state"`
		Reason  string               `json:"reason,omitempty"`
		Expires time.Time            `json:"expires_at"`
	}{a.ID, a.State, a.Reason, a.ExpiresAt.UTC()})
	if err == nil {
		_, err = w.Write(body)
	}
	return true, err
}
