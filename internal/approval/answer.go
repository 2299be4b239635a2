package approval

import (
	"context"
	"crypto/subtle"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// maxReason bounds a reviewer's reason, in bytes.
const maxReason = 1024

// Choice is what a reviewer decides. The zero value is no choice, and refused.
type Choice string

// The choices.
const (
	Approve Choice = "approve"
	Deny    Choice = "deny"
)

// Decision is a reviewer's answer.
type Decision struct {
	Choice Choice
	Reason string // required to deny; at most 1024 bytes, one line
}

// Answer decides a pending approval in the name of reviewer, who holds roles, and returns it as it is then.
//
// Errors: fault.NotFound where there is no such approval; fault.Denied where this reviewer may not answer it: a workload,
// the one who asked, or someone without a role from each list of reviewers (where a list is empty, or there is none, the
// operator); fault.Malformed for a decision that is none; fault.Conflict where it is answered, expired or cancelled.
func (r *Room) Answer(ctx context.Context, id string, reviewer *access.Principal, roles []string, d Decision) (access.Approval, error) {
	if err := d.check(); err != nil {
		return access.Approval{}, err
	}
	defer r.lock(id)()
	a, err := r.current(ctx, id)
	if err != nil {
		return access.Approval{}, err
	}
	if err := MayAnswer(a, reviewer, roles); err != nil {
		return access.Approval{}, err
	}
	if a.State != access.ApprovalPending {
		return access.Approval{}, fault.New(fault.Conflict, "approval.Answer", "approval %s is %s already", a.ID, a.State)
	}
	next := a
	next.State = access.ApprovalDenied
	if d.Choice == Approve {
		next.State = access.ApprovalApproved
	}
	next.AnsweredAt, next.Reviewer, next.Reason = r.o.Clock().UTC().Round(0), reviewer.ID(), d.Reason
	if err := r.move(ctx, a, next, answered(next, roles)); err != nil {
		return access.Approval{}, err
	}
	return next, nil
}

func (d Decision) check() error {
	const op = "approval.Answer"
	switch {
	case d.Choice != Approve && d.Choice != Deny:
		return fault.New(fault.Malformed, op, "answer approve or deny")
	case d.Choice == Deny && strings.TrimSpace(d.Reason) == "":
		return fault.New(fault.Malformed, op, "give a reason: who asked will read it")
	case len(d.Reason) > maxReason || !utf8.ValidString(d.Reason) || strings.ContainsFunc(d.Reason, unprintable):
		return fault.New(fault.Malformed, op, "the reason must be one line of at most %d bytes of printable text", maxReason)
	}
	return nil
}

// unprintable finds what could make a terminal show something else: control characters and changes of direction.
func unprintable(c rune) bool { return !unicode.IsPrint(c) }

// MayAnswer reports, as an error of kind fault.Denied that says why, whether reviewer, who holds roles, may not answer a.
// It does not look at a's state.
func MayAnswer(a access.Approval, reviewer *access.Principal, roles []string) error {
	const op = "approval.Answer"
	if reviewer == nil || reviewer.Kind != access.Person && reviewer.Kind != access.Operator {
		return fault.New(fault.Denied, op, "approvals are answered by people")
	}
	if a.Principal == "" || reviewer.ID() == a.Principal {
		return fault.New(fault.Denied, op, "nobody answers their own request: ask another reviewer")
	}
	if len(a.Reviewers) == 0 && reviewer.Kind != access.Operator {
		return fault.New(fault.Denied, op, "only the operator may answer this request")
	}
	for _, list := range a.Reviewers {
		if len(list) == 0 && reviewer.Kind == access.Operator {
			continue
		}
		if !slices.ContainsFunc(list, func(role string) bool { return slices.Contains(roles, role) }) {
			return fault.New(fault.Denied, op, "this request is for reviewers with the role %s", spell([][]string{list}))
		}
	}
	return nil
}

// Spend uses up an approved approval, for the digest and the principal that it was given for. It succeeds once, after
// that is in the log; of many callers one succeeds.
//
// Errors: fault.Denied where digest or principal is another, fault.Pending where nobody has answered, fault.Conflict where
// it was denied, spent, cancelled or has expired; the log's and the store's own.
func (r *Room) Spend(ctx context.Context, id, digest, principal string) error {
	const op = "approval.Spend"
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.Pending, op, context.Cause(ctx), "the client left before approval %s was used", id)
	}
	defer r.lock(id)()
	a, err := r.current(ctx, id)
	if err != nil {
		return err
	}
	sameDigest := subtle.ConstantTimeCompare([]byte(digest), []byte(a.Digest))
	samePrincipal := subtle.ConstantTimeCompare([]byte(principal), []byte(a.Principal))
	switch {
	case !validDigest(digest) || sameDigest&samePrincipal != 1:
		return fault.New(fault.Denied, op, "approval %s is for something else: send the statement again", id)
	case a.State == access.ApprovalPending:
		return fault.New(fault.Pending, op, "approval %s has not been given yet", id)
	case a.State != access.ApprovalApproved:
		return fault.New(fault.Conflict, op, "approval %s is %s: send the statement again to ask for a new one", id, a.State)
	}
	_, err = r.end(ctx, a, access.ApprovalSpent, "used")
	return err
}
