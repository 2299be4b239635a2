package approval

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// watchBuffer is how many changes a watcher may be behind.
const watchBuffer = 64

// Wait returns the approval once it is no longer pending: approved, denied, expired or cancelled, with a nil error. When
// ctx ends first the client has gone: unless the approval may be reused it is cancelled (or, if it was approved at that
// moment, expired), and the error carries the cause of ctx.
func (r *Room) Wait(ctx context.Context, id string) (access.Approval, error) {
	signal, stop := r.listen(id)
	defer stop()
	for {
		if ctx.Err() != nil {
			return r.leave(ctx, id)
		}
		a, err := r.Get(ctx, id)
		if err != nil {
			if ctx.Err() != nil {
				return r.leave(ctx, id)
			}
			return a, err
		}
		if a.State != access.ApprovalPending {
			return a, nil
		}
		timer := time.NewTimer(a.ExpiresAt.Sub(r.o.Clock()))
		select {
		case <-signal:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// leave ends an approval whose client has gone.
func (r *Room) leave(ctx context.Context, id string) (access.Approval, error) {
	a, err := r.Cancel(context.WithoutCancel(ctx), id)
	cause := context.Cause(ctx)
	if fault.KindOf(cause) == fault.Internal {
		cause = fault.Wrap(fault.Pending, "approval.Wait", cause, "the client left before approval %s was used", id)
	}
	return a, errors.Join(cause, err)
}

// Cancel ends an approval that its client no longer waits for, and returns it. One that may be reused, or is over, stays
// as it is.
func (r *Room) Cancel(ctx context.Context, id string) (access.Approval, error) {
	defer r.lock(id)()
	a, err := r.current(ctx, id)
	if err != nil || a.Reuse || !live(a.State) {
		return a, err
	}
	return r.end(ctx, a, abandoned(a.State), "the client left")
}

// abandoned is where an approval goes that nobody can use any more.
func abandoned(s access.ApprovalState) access.ApprovalState {
	if s == access.ApprovalPending {
		return access.ApprovalCancelled
	}
	return access.ApprovalExpired
}

// listen returns a channel that gets a value after every change of id.
func (r *Room) listen(id string) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[id] == nil {
		r.waiting[id] = make(map[chan struct{}]struct{})
	}
	r.waiting[id][c] = struct{}{}
	return c, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if delete(r.waiting[id], c); len(r.waiting[id]) == 0 {
			delete(r.waiting, id)
		}
	}
}

// Watch returns a channel of every change from now on, requests included, until ctx ends and the channel is closed. A
// watcher that falls more than 64 changes behind is dropped: its channel is closed, and it lists and watches again. List
// after Watch, so that nothing falls between.
func (r *Room) Watch(ctx context.Context) <-chan access.Approval {
	c := make(chan access.Approval, watchBuffer)
	r.mu.Lock()
	r.watch[c] = struct{}{}
	r.mu.Unlock()
	context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.unwatch(c)
	})
	return c
}

// unwatch closes a watcher's channel, once. The caller holds r.mu.
func (r *Room) unwatch(c chan access.Approval) {
	if _, there := r.watch[c]; there {
		delete(r.watch, c)
		close(c)
	}
}

// changed tells everyone who waits or watches, and never waits itself.
func (r *Room) changed(a access.Approval) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if live(a.State) {
		r.open[a.ID] = entry{state: a.State, principal: a.Principal, connection: a.Connection, expires: a.ExpiresAt}
	} else {
		delete(r.open, a.ID)
	}
	for c := range r.waiting[a.ID] {
		select {
		case c <- struct{}{}:
		default: // a signal is there already
		}
	}
	for c := range r.watch {
		select {
		case c <- a:
		default:
			r.unwatch(c)
		}
	}
}
