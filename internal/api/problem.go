package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/internal/api/message"
	"gatehouse/internal/fault"
)

// kindStatus is the one table from kinds of fault to HTTP, for the API. Refusals to clients of a connection have their own
// (exchange.Status), which differs where the caller does: here what is malformed was read, as JSON, and means nothing (422), and what is
// pending is a document in another state than the request assumes (409). There 400 is what HTTP itself says of bytes that cannot be
// understood, and pending is that the policy does not let the request pass yet (403).
func kindStatus(k fault.Kind) int {
	switch k {
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Denied:
		return http.StatusForbidden
	case fault.Malformed:
		return http.StatusUnprocessableEntity
	case fault.Backend:
		return http.StatusBadGateway
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict, fault.Pending:
		return http.StatusConflict
	default:
		return http.StatusInternalServerError
	}
}

// statusKind is its inverse for the errors that the HTTP layer makes by itself; their status is kept.
func statusKind(status int) fault.Kind {
	switch {
	case status == http.StatusUnauthorized:
		return fault.Unauthenticated
	case status == http.StatusForbidden:
		return fault.Denied
	case status == http.StatusNotFound:
		return fault.NotFound
	case status == http.StatusConflict:
		return fault.Conflict
	case status >= 400 && status < 500:
		return fault.Malformed
	case status == http.StatusServiceUnavailable:
		return fault.Unavailable
	default:
		return fault.Internal
	}
}

// findingsError carries findings from where documents are checked to where problems are made.
type findingsError struct{ findings []message.Finding }

func (*findingsError) Error() string { return "the documents do not compile" }

// problemOf translates an error for the caller. What it must not read stays in err.
func problemOf(err error) *message.Problem {
	kind := fault.KindOf(err)
	text, hint := fault.Say(err)
	if kind == fault.Internal && errors.Is(err, context.Canceled) {
		kind, text = fault.Unavailable, "the request ended before the answer"
	}
	p := newProblem(kindStatus(kind), kind, text)
	p.Hint = hint
	var fe *findingsError
	if errors.As(err, &fe) {
		p.Findings = fe.findings
	}
	return p
}

func newProblem(status int, kind fault.Kind, detail string) *message.Problem {
	return &message.Problem{Status: status, Title: http.StatusText(status), Kind: kind.String(), Detail: detail}
}

// reshape turns the framework's own errors into problems. It drops the rejected values: they may be secrets.
func reshape(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	kind := statusKind(m.Status)
	detail := m.Detail
	if kind == fault.Internal {
		detail, _ = fault.Say(nil)
	}
	var wrong []string
	for _, e := range m.Errors {
		if e == nil || kind == fault.Internal || strings.HasPrefix(e.Message, "json:") {
			continue
		}
		where := e.Location
		if where != "" {
			where += ": "
		}
		wrong = append(wrong, where+e.Message)
	}
	if len(wrong) > 0 {
		wrong = wrong[:min(len(wrong), 20)]
		slices.Sort(wrong)
		detail += ": " + strings.Join(wrong, "; ")
	}
	return newProblem(m.Status, kind, detail), nil
}
