package approval

import (
	"strings"
	"time"

	"gatehouse/internal/access"
)

// requested is the event of a new request: it holds all that the reviewer is shown.
func requested(a access.Approval) *access.Event {
	e := about(access.EventApprovalRequested, a)
	e.Principal, e.Roles = a.Principal, a.Roles
	e.Text, e.Actions = a.Text, a.Actions
	e.Effect, e.Because = access.Approve.String(), a.Because
	e.Detail["expires"] = a.ExpiresAt.Format(time.RFC3339Nano)
	e.Detail["reviewers"] = spell(a.Reviewers)
	if a.Message != "" {
		e.Detail["message"] = a.Message
	}
	if a.Reuse {
		e.Detail["reuse"] = "true"
	}
	return e
}

// answered is the event of a reviewer's answer: the principal is the reviewer.
func answered(a access.Approval, roles []string) *access.Event {
	e := about(access.EventApprovalAnswered, a)
	e.Principal, e.Roles, e.Reason = a.Reviewer, roles, a.Reason
	e.Detail["requester"] = a.Principal
	e.Detail["state"] = string(a.State)
	return e
}

// ended is the event of an approval that was spent, expired or cancelled.
func ended(a access.Approval, why string) *access.Event {
	e := about(access.EventApprovalEnded, a)
	e.Principal, e.Reason = a.Principal, why
	e.Detail["state"] = string(a.State)
	return e
}

func about(kind access.EventKind, a access.Approval) *access.Event {
	return &access.Event{
		Kind: kind, Session: a.Session, Connection: a.Connection, Approval: a.ID,
		Detail: map[string]string{"digest": a.Digest},
	}
}

// spell writes lists of roles as "dba or lead; security".
func spell(reviewers [][]string) string {
	if len(reviewers) == 0 {
		return "the operator"
	}
	lists := make([]string, len(reviewers))
	for i, list := range reviewers {
		lists[i] = strings.Join(list, " or ")
		if len(list) == 0 {
			lists[i] = "the operator"
		}
	}
	return strings.Join(lists, "; ")
}
