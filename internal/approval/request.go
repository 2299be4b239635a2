package approval

import (
	"context"
	"slices"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// idAttempts is how often an id that is taken is drawn again.
const idAttempts = 3

// Request files a and returns it with its ID, state and times. a needs a Digest, Principal, Connection and Actions; a
// zero ExpiresAt means the default lifetime. Where a may be reused and the same principal has an unspent approval, or one
// still pending, for the same digest on the same terms, that one is returned as it is.
//
// Errors: fault.Malformed for a request that is incomplete or too long to be read, fault.Unavailable where too many are
// pending or the log is closed.
func (r *Room) Request(ctx context.Context, a access.Approval) (access.Approval, error) {
	now := r.o.Clock().UTC().Round(0)
	if err := r.check(a, now); err != nil {
		return access.Approval{}, err
	}
	r.requesting.Lock()
	defer r.requesting.Unlock()
	if a.Reuse {
		if found, err := r.reusable(ctx, a); err != nil || found.ID != "" {
			return found, err
		}
	}
	if err := r.room(a, now); err != nil {
		return access.Approval{}, err
	}
	a.State, a.RequestedAt = access.ApprovalPending, now
	if a.ExpiresAt.IsZero() {
		a.ExpiresAt = now.Add(r.o.Lifetime)
	}
	a.ExpiresAt = a.ExpiresAt.UTC().Round(0)
	a.AnsweredAt, a.Reviewer, a.Reason = time.Time{}, "", ""
	return r.file(ctx, a)
}

func (r *Room) check(a access.Approval, now time.Time) error {
	const op = "approval.Request"
	switch {
	case !validDigest(a.Digest) || a.Principal == "" || a.Connection == "" || len(a.Actions) == 0:
		return fault.New(fault.Malformed, op, "this cannot be held for a reviewer: it cannot be named exactly")
	case len(a.Text) > r.o.MaxText:
		return fault.New(fault.Malformed, op,
			"this needs a reviewer, and is too long to be read by one (%d bytes, the limit is %d): send it in smaller parts",
			len(a.Text), r.o.MaxText)
	case !a.ExpiresAt.IsZero() && (!a.ExpiresAt.After(now) || a.ExpiresAt.Sub(now) > MaxLifetime):
		return fault.New(fault.Malformed, op, "an approval lives more than 0 and at most %s", MaxLifetime)
	}
	return nil
}

// reusable finds an approval that a need not be asked for again. The terms must be the same: had the policy asked for
// other reviewers since, the old answer would not be theirs.
func (r *Room) reusable(ctx context.Context, a access.Approval) (access.Approval, error) {
	list, err := r.store.List(ctx, Filter{
		States:    []access.ApprovalState{access.ApprovalApproved, access.ApprovalPending},
		Principal: a.Principal, Digest: a.Digest,
	})
	if err != nil {
		return access.Approval{}, err
	}
	best := access.Approval{}
	for _, b := range list {
		same := b.Reuse && b.Principal == a.Principal && b.Digest == a.Digest && b.Connection == a.Connection &&
			slices.EqualFunc(b.Reviewers, a.Reviewers, slices.Equal)
		if same && live(b.State) && !r.due(b) && (best.ID == "" || b.State == access.ApprovalApproved) {
			best = b
		}
	}
	return best, nil
}

// room refuses what would make too many wait.
func (r *Room) room(a access.Approval, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var mine, here, all int
	for _, e := range r.open {
		if e.state != access.ApprovalPending || !now.Before(e.expires) {
			continue
		}
		all++
		if e.principal == a.Principal {
			mine++
		}
		if e.connection == a.Connection {
			here++
		}
	}
	const op, next = "approval.Request", "wait until a reviewer has answered some"
	switch {
	case mine >= r.o.PerPrincipal:
		return fault.New(fault.Unavailable, op, "%d requests of yours wait for a reviewer already: %s", mine, next)
	case here >= r.o.PerConnection:
		return fault.New(fault.Unavailable, op, "%d requests on this connection wait for a reviewer already: %s", here, next)
	case all >= r.o.Total:
		return fault.New(fault.Unavailable, op, "%d requests wait for a reviewer already: %s", all, next)
	}
	return nil
}

// file records the request and then keeps it.
func (r *Room) file(ctx context.Context, a access.Approval) (access.Approval, error) {
	for attempt := 1; ; attempt++ {
		var err error
		if a.ID, err = newID(r.o.Rand); err != nil {
			return access.Approval{}, err
		}
		e := requested(a)
		if err := r.record(e); err != nil {
			return access.Approval{}, err
		}
		err = r.store.Insert(ctx, a)
		if err == nil {
			r.changed(a)
			return a, nil
		}
		r.retract(e, err)
		if fault.KindOf(err) != fault.Conflict || attempt == idAttempts {
			return access.Approval{}, err
		}
	}
}
