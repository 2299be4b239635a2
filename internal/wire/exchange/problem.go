package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// Problem is what a client reads of a refusal, as RFC 9457 has it.
type Problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Hint     string `json:"hint,omitempty"`
	Approval string `json:"approval,omitempty"`
	Expires  string `json:"expires,omitempty"`
}

// Status returns the status code for a refusal, in the words of HTTP as any client of any backend knows them. The API's own table
// (kindStatus in internal/api) says 422 of what is malformed, since it has read it, and 409 of what is pending, which there is a
// document's state; here bytes are not understood (400), and what no reviewer has let pass is forbidden until one does (403).
func Status(err error) int {
	if errors.Is(err, gate.ErrBudget) {
		return http.StatusTooManyRequests
	}
	if errors.Is(err, ErrSilent) {
		return http.StatusGatewayTimeout
	}
	switch fault.KindOf(err) {
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Denied, fault.Pending:
		return http.StatusForbidden
	case fault.Malformed:
		return http.StatusBadRequest
	case fault.Backend:
		return http.StatusBadGateway
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	}
	return http.StatusInternalServerError
}

// Refuse says no.
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	var waits *gate.Awaiting
	if errors.As(err, &waits) {
		accepted(w, r, waits.Approval)
		return
	}
	status := Status(err)
	say, hint := fault.Say(err)
	h := w.Header()
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="gatehouse"`)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	case http.StatusBadRequest:
		h.Set("Connection", "close") // whatever else came with it is not read
	}
	write(w, Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: say, Hint: hint})
}

// retryAfter is how long a client is asked to wait before it looks again whether a reviewer has answered.
const retryAfter = 5 * time.Second

// accepted tells a client that a reviewer has to agree first, and how to come back: at Location it learns whether somebody has
// answered, and the same request with the approval's name runs once.
func accepted(w http.ResponseWriter, r *http.Request, a access.Approval) {
	h := w.Header()
	h.Set("Location", here(r)+approvals+a.ID)
	h.Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	h.Set(HeaderApproval, a.ID)
	detail := "the request waits for approval " + a.ID + ", which is " + string(a.State)
	for _, roles := range a.Reviewers {
		detail += ", by one of: " + strings.Join(roles, ", ")
	}
	if a.Message != "" {
		detail += ". " + a.Message
	}
	write(w, Problem{Type: "about:blank", Title: "A reviewer has to agree", Status: http.StatusAccepted,
		Detail:   detail,
		Hint:     "When it is approved, send the same request again with the header " + HeaderApproval + ": " + a.ID,
		Approval: a.ID, Expires: a.ExpiresAt.UTC().Format(time.RFC3339)})
}

func write(w http.ResponseWriter, p Problem) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it is no HTML, and people read it
	if e.Encode(p) != nil {
		return // a struct of strings and a number always marshals
	}
	body := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}
