package gate

import (
	"context"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Return is how a client that does not wait on its connection comes back for an approval.
type Return struct {
	Approval string        // the approval that it came back with; "" where it came without one
	Patience time.Duration // how long it is ready to wait this time
	Same     bool          // it cannot name an approval: the same request, sent again, comes back for it
}

// Awaiting is returned by Ask where a client is to come back with an approval.
type Awaiting struct {
	Approval access.Approval // pending, or approved and not yet used
	err      error
}

// Error implements error.
func (a *Awaiting) Error() string { return a.err.Error() }

// Unwrap returns the words for the client.
func (a *Awaiting) Unwrap() error { return a.err }

// comeBack runs what an approval was given for where the client names it, or waits as long as it likes to.
func (g *decider) comeBack(ctx context.Context, h *Handle, r Request, v access.Verdict, a access.Approval, digest string) (string, access.Verdict, error) {
	named := r.Return.Approval == a.ID || r.Return.Same || r.Return.Patience > 0 // whoever waits for the answer means to run it
	if r.Return.Approval != "" && r.Return.Approval != a.ID {
		return "", v, g.refused(h, r.Params, v, otherwise(r.Return.Approval))
	}
	if a.State == access.ApprovalPending && r.Return.Patience > 0 {
		waiting, done := context.WithTimeout(ctx, r.Return.Patience)
		answer, err := g.svc.Approvals.Wait(waiting, a.ID)
		done()
		switch {
		case err == nil:
			a = answer
		case ctx.Err() != nil:
			return "", v, g.refused(h, r.Params, v, errGone)
		case waiting.Err() == nil:
			return "", v, g.refused(h, r.Params, v, err)
		}
	}
	switch {
	case a.State == access.ApprovalPending, a.State == access.ApprovalApproved && !named:
		return "", v, &Awaiting{a, g.refused(h, r.Params, v, awaited(a, r.Return.Same))}
	case a.State != access.ApprovalApproved:
		return "", v, g.refused(h, r.Params, v, answered(a))
	}
	return g.spend(ctx, h, r, a, digest)
}

func awaited(a access.Approval, same bool) error {
	then := "Then send the same request again, and name the approval."
	if same {
		then = "Then send the same request again: it runs once."
	}
	return &fault.Error{Op: "gate.hold", Kind: fault.Pending, Say: "this needs approval " + a.ID + ", which is " + string(a.State),
		Hint: "A reviewer answers with: gatehouse approvals approve " + a.ID + " --reason ... " + then}
}

// otherwise words the refusal of an approval that is for something else, or was used.
func otherwise(id string) error {
	return &fault.Error{Op: "gate.hold", Kind: fault.Conflict,
		Say:  "the approval that the request names is not for this request, or was used, or has expired: " + visible(id),
		Hint: "An approval is for one request, once: the same caller, the same words, the same body. Send the request without it to ask again."}
}

// visible is a name as it may be repeated to whoever sent it.
func visible(id string) string {
	const most = 64
	out := []byte(id[:min(len(id), most)])
	for i, c := range out {
		if c <= ' ' || c >= 0x7f {
			out[i] = '?'
		}
	}
	return string(out)
}
