package approval

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Store keeps approvals. Its changes are durable when a method returns.
type Store interface {
	// Insert keeps a new approval; fault.Conflict where its id is taken.
	Insert(ctx context.Context, a access.Approval) error
	// Get returns an approval; fault.NotFound where there is none.
	Get(ctx context.Context, id string) (access.Approval, error)
	// List returns the approvals that match, oldest first.
	List(ctx context.Context, f Filter) ([]access.Approval, error)
	// Transition replaces the approval next.ID with next if, and only if, its state is from, and reports whether it did.
	// Of two callers with the same from, one succeeds.
	Transition(ctx context.Context, from access.ApprovalState, next access.Approval) (bool, error)
}

// Filter chooses approvals; a zero field chooses all.
type Filter struct {
	States    []access.ApprovalState
	Principal string
	Digest    string
	Limit     int // the newest Limit, still oldest first
}

// Recorder is the audit log.
type Recorder interface {
	// Append puts e into the log's buffer and returns its sequence number.
	Append(e *access.Event) (uint64, error)
	// Barrier returns when every record up to seq would survive the death of the process.
	Barrier(seq uint64) error
}

// Options are what a Room needs. Clock and Rand are required.
type Options struct {
	Clock  func() time.Time
	Rand   io.Reader
	Logger *slog.Logger // nil discards

	Lifetime      time.Duration // of a request that comes without ExpiresAt; 0 means 15 min
	PerPrincipal  int           // requests that one principal may have pending; 0 means 16
	PerConnection int           // requests that may be pending on one connection; 0 means 128
	Total         int           // requests that may be pending in all; 0 means 1024
	MaxText       int           // bytes of text that a reviewer may be asked to read; 0 means 64 KiB
}

// MaxLifetime is the longest that an approval may wait and be used, as in the policy documents.
const MaxLifetime = 24 * time.Hour

// storeTimeout bounds a change of state that its caller can no longer cancel.
const storeTimeout = 10 * time.Second

// stripes is the number of locks that approvals share by id.
const stripes = 64

// Room is the waiting room. It is safe for concurrent use.
type Room struct {
	o     Options
	store Store
	rec   Recorder

	requesting sync.Mutex // one Request at a time: limits and the search for a reusable one are exact
	seed       maphash.Seed
	locks      [stripes]sync.Mutex // by id: an approval is judged, recorded and changed by one at a time

	mu      sync.Mutex
	open    map[string]entry
	waiting map[string]map[chan struct{}]struct{}
	watch   map[chan access.Approval]struct{}
}

// entry is what the room remembers of an approval that is pending or approved.
type entry struct {
	state                 access.ApprovalState
	principal, connection string
	expires               time.Time
}

// New returns a room. Call Recover before the first request, and keep Run running.
func New(store Store, rec Recorder, o Options) *Room {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	setDefault(&o.Lifetime, 15*time.Minute)
	setDefault(&o.PerPrincipal, 16)
	setDefault(&o.PerConnection, 128)
	setDefault(&o.Total, 1024)
	setDefault(&o.MaxText, 64<<10)
	return &Room{
		o: o, store: store, rec: rec, seed: maphash.MakeSeed(),
		open:    make(map[string]entry),
		waiting: make(map[string]map[chan struct{}]struct{}),
		watch:   make(map[chan access.Approval]struct{}),
	}
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// lock holds the approval id still until the returned function is called.
func (r *Room) lock(id string) func() {
	m := &r.locks[maphash.String(r.seed, id)%stripes]
	m.Lock()
	return m.Unlock
}

// Get returns an approval; fault.NotFound where there is none. One whose time is over is expired first.
func (r *Room) Get(ctx context.Context, id string) (access.Approval, error) {
	a, err := r.store.Get(ctx, id)
	if err != nil || !r.due(a) {
		return a, err
	}
	defer r.lock(id)()
	return r.current(ctx, id)
}

// current returns an approval as it stands now, expired if its time is over. The caller holds its lock.
func (r *Room) current(ctx context.Context, id string) (access.Approval, error) {
	a, err := r.store.Get(ctx, id)
	if err != nil || !r.due(a) {
		return a, err
	}
	return r.end(ctx, a, access.ApprovalExpired, "its time was over")
}

// List returns the approvals that match, oldest first; those whose time is over are expired first.
func (r *Room) List(ctx context.Context, f Filter) ([]access.Approval, error) {
	list, err := r.store.List(ctx, f)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(list, r.due) {
		return list, nil
	}
	for _, a := range list {
		if !r.due(a) {
			continue
		}
		if _, err := r.Get(ctx, a.ID); err != nil {
			return nil, err
		}
	}
	return r.store.List(ctx, f)
}

// due reports whether an approval should have expired.
func (r *Room) due(a access.Approval) bool {
	return live(a.State) && !r.o.Clock().Before(a.ExpiresAt)
}

// live reports whether a state leads on to another.
func live(s access.ApprovalState) bool {
	return s == access.ApprovalPending || s == access.ApprovalApproved
}

// move records e and then brings a from its state to next's. The caller holds the lock of a.ID. Once the event is in the
// log the change is no longer cancelled with ctx. Where the change fails after all, the log is told that too.
func (r *Room) move(ctx context.Context, a, next access.Approval, e *access.Event) error {
	if err := r.record(e); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	ok, err := r.store.Transition(ctx, a.State, next)
	if err == nil && !ok {
		err = fault.New(fault.Conflict, "approval", "approval %s was changed by another node: look at it again", a.ID)
	}
	if err != nil {
		r.retract(e, err)
		return err
	}
	r.changed(next)
	return nil
}

// record puts e in the log and waits until it would survive.
func (r *Room) record(e *access.Event) error {
	seq, err := r.rec.Append(e)
	if err != nil {
		return err
	}
	return r.rec.Barrier(seq)
}

// retract tells the log that what e announced did not take effect.
func (r *Room) retract(e *access.Event, cause error) {
	again := *e
	again.Time = time.Time{}
	again.Status = access.StatusError
	again.Reason = "did not take effect: " + cause.Error()
	if err := r.record(&again); err != nil {
		r.o.Logger.Error("an approval's change failed, and so did the record of that", "approval", e.Approval,
			"error", errors.Join(cause, err))
	}
}

// end brings a to a last state. The caller holds the lock of a.ID.
func (r *Room) end(ctx context.Context, a access.Approval, state access.ApprovalState, why string) (access.Approval, error) {
	next := a
	next.State = state
	if err := r.move(ctx, a, next, ended(next, why)); err != nil {
		return a, err
	}
	return next, nil
}
