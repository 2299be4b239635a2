package approval

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/access"
)

// sweepEvery is how often approvals that nobody looks at are expired.
const sweepEvery = time.Minute

// Recover takes over what an earlier process left: approvals whose client went with it are cancelled, or expired where
// they were approved; those that may be reused go on. Call it before the first request, with no other process at work on
// the same store. The error joins what could not be changed; those are tried again when they are next looked at.
func (r *Room) Recover(ctx context.Context) error {
	list, err := r.store.List(ctx, Filter{States: []access.ApprovalState{access.ApprovalPending, access.ApprovalApproved}})
	if err != nil {
		return err
	}
	var problems []error
	for _, a := range list {
		problems = append(problems, r.takeOver(ctx, a.ID))
	}
	return errors.Join(problems...)
}

func (r *Room) takeOver(ctx context.Context, id string) error {
	defer r.lock(id)()
	a, err := r.current(ctx, id)
	if err != nil || !live(a.State) {
		return err
	}
	if a.Reuse {
		r.changed(a)
		return nil
	}
	_, err = r.end(ctx, a, abandoned(a.State), "the gateway was started again, and the client is gone")
	return err
}

// Run expires approvals whose time is over, also when nobody waits for them, until ctx ends; it returns the cause.
func (r *Room) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		r.sweep(ctx)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// sweep expires everything that is due. What cannot be changed now is due again next time.
func (r *Room) sweep(ctx context.Context) {
	now := r.o.Clock()
	r.mu.Lock()
	var due []string
	for id, e := range r.open {
		if !now.Before(e.expires) {
			due = append(due, id)
		}
	}
	r.mu.Unlock()
	for _, id := range due {
		if _, err := r.Get(ctx, id); err != nil {
			r.o.Logger.Warn("an approval could not be expired", "approval", id, "error", err)
		}
	}
}
