package gate

import (
	"context"
	"errors"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// hold files the action with the reviewers, waits for their answer, and decides again: an approval is good for the
// policies of the moment at which the wait ends. It returns the verdict to act on.
func (g *decider) hold(ctx context.Context, h *Handle, r Request, v access.Verdict) (string, access.Verdict, error) {
	if r.Unseen {
		return "", v, g.refused(h, r.Params, v, errUnseen)
	}
	principal := g.caller.Principal.ID()
	text := h.st.Text
	if r.State != nil {
		text += "\x00" + string(r.State())
	}
	if len(r.Exact) > 0 {
		text += "\x00" + string(r.Exact)
	}
	text += meant(h.st)
	digest := g.svc.Digest(g.conn.Name, principal, text, r.Params)
	now := g.clock()
	waits, leave := g.mayWait(r)
	defer leave()
	message := v.Message
	if waits {
		message = locked(ctx, message, r)
	}
	a, err := g.svc.Approvals.Request(ctx, access.Approval{
		State: access.ApprovalPending, Digest: digest, Session: g.caller.Session, Principal: principal,
		Roles: g.rules.Roles(), Connection: g.conn.Name, Text: h.recorded, Params: g.recordParams(h, r.Params), Actions: h.st.Actions,
		Because: v.Because, Message: message, Reviewers: v.Approval.Reviewers, Reuse: v.Approval.Reuse || !waits || r.Return != nil,
		RequestedAt: now, ExpiresAt: now.Add(time.Duration(v.Approval.Lifetime)),
	})
	if err != nil {
		return "", v, g.refused(h, r.Params, v, err)
	}
	if r.Return != nil {
		return g.comeBack(ctx, h, r, v, a, digest)
	}
	if a.State == access.ApprovalPending && !waits {
		return "", v, g.refused(h, r.Params, v, notWithin(a))
	}
	if a.State == access.ApprovalPending {
		if a, err = g.wait(ctx, a, r); err != nil {
			return "", v, g.refused(h, r.Params, v, err)
		}
	}
	if a.State != access.ApprovalApproved {
		return "", v, g.refused(h, r.Params, v, answered(a))
	}
	return g.spend(ctx, h, r, a, digest)
}

var errUnseen = &fault.Error{Op: "gate.hold", Kind: fault.Denied, Say: "permission denied: this needs an approval, which is for one body, and the request's is larger than what can be held",
	Hint: "Send less at once; the connection's document says how much is held."}

// meant is what the names of a statement stand for: the same text may mean another object by now, and an approval is for the
// one that the reviewer was shown.
func meant(st *access.Statement) string {
	var b strings.Builder
	for _, list := range [...][]access.Action{st.Actions, st.Related} {
		for i := range list {
			b.WriteString("\x00" + list[i].Name + "\x00" + list[i].Resource)
		}
		b.WriteString("\x00")
	}
	return b.String()
}

// wait waits for the reviewers, for as long as the client is there.
func (g *decider) wait(ctx context.Context, a access.Approval, r Request) (access.Approval, error) {
	held, over := ctx, func() {}
	if r.Hold != nil {
		held, over = r.Hold(ctx, a)
	}
	a, err := g.svc.Approvals.Wait(held, a.ID)
	over()
	if err != nil && held.Err() != nil && ctx.Err() == nil && errors.Is(err, held.Err()) {
		err = context.Cause(held)
		if errors.Is(err, context.Canceled) {
			err = errGone
		}
	}
	return a, err
}

// errGone is the cause of a hold that the client left.
var errGone = fault.New(fault.Pending, "gate.hold", "the client left before a reviewer answered")

// spend decides again and uses the approval up. An approval never lifts a denial, and a statement that asks for other
// reviewers than those who answered is refused.
func (g *decider) spend(ctx context.Context, h *Handle, r Request, a access.Approval, digest string) (string, access.Verdict, error) {
	if err := g.Refresh(); err != nil {
		return "", access.Verdict{}, err
	}
	v := g.decide(h, facts{r.Params, r.Sent, r.Estimate})
	if v.Effect == access.Deny {
		return "", v, nil // Ask refuses it, with the policy that now denies
	}
	if v.Effect == access.Approve && !covers(a.Reviewers, v.Approval.Reviewers) {
		return "", v, g.refused(h, r.Params, v, fault.New(fault.Pending, "gate.hold", "the policy changed while approval %s was waiting and now asks for other reviewers: run the statement again", a.ID))
	}
	if err := g.svc.Approvals.Spend(ctx, a.ID, digest, g.caller.Principal.ID()); err != nil {
		return "", v, g.refused(h, r.Params, v, err)
	}
	v.Effect = access.Allow
	return a.ID, v, nil
}

// covers reports whether every list that is asked for was already among those that were answered.
func covers(answered, asked [][]string) bool {
	for _, want := range asked {
		found := false
		for _, have := range answered {
			found = found || equal(have, want)
		}
		if !found {
			return false
		}
	}
	return len(asked) > 0 || len(answered) == 0
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// answered words what the client reads when an approval did not come.
func answered(a access.Approval) error {
	e := &fault.Error{Op: "gate.hold", Kind: fault.Denied}
	switch a.State {
	case access.ApprovalDenied:
		e.Say = "a reviewer denied this (approval " + a.ID + ")"
		e.Hint = a.Reason
	case access.ApprovalExpired:
		e.Kind = fault.Pending
		e.Say = "no reviewer answered in time (approval " + a.ID + ")"
		e.Hint = "Run the statement again to ask again."
	default:
		e.Kind = fault.Pending
		e.Say = "approval " + a.ID + " is " + string(a.State)
		e.Hint = "Run the statement again to ask again."
	}
	return e
}
