// Package live keeps a compiled set of policies fresh: it polls a Source, compiles what changed, and hands out rules
// only while its lease runs. A source that cannot be reached, documents that do not compile and a locked gateway all end
// in the same way: once the lease has run out (or at once, for a lock), nothing new is decided. TestLease proves it.
package live

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/policy"
)

// Source is where documents are kept.
type Source interface {
	// Revision returns a number that changes with every change of a document.
	Revision(ctx context.Context) (uint64, error)
	// Documents returns all documents and the revision that they belong to, read together.
	Documents(ctx context.Context) (policy.Documents, uint64, error)
	// Changed reports whether what Documents reads besides the documents (files that they name) has changed since it was last called.
	Changed() bool
}

// Options are the times of an Authority. Zero values mean the defaults.
type Options struct {
	Poll  time.Duration // between two questions to the source; default 1 s
	Lease time.Duration // how long an answer is good for; default 10 s
	// Defaults is what policies are compiled with.
	Defaults policy.Defaults
	// Failed is told of every failure to refresh, and of nil when it works again; it may be nil. It is for the log: the
	// error of documents that do not compile names every problem.
	Failed func(error)
	// Compiled is told of every set that comes into force; it may be nil.
	Compiled func(*policy.Set)
}

// Authority is a fresh set of policies, or the reason why there is none. It is safe for concurrent use.
type Authority struct {
	source  Source
	vocab   []policy.Vocabulary
	clock   func() time.Time
	opts    Options
	started time.Time // times are kept as distances from here, which a step of the wall clock does not change

	state  atomic.Pointer[state]
	until  atomic.Int64 // the lease's end, in nanoseconds after started
	poke   chan struct{}
	change sync.Mutex // guards writes of state

	turn    sync.Mutex // held during a refresh, so that an older answer never replaces a newer one
	stale   bool       // what documents name has changed, and no set has been compiled since; guarded by turn
	failing error      // the last failure that Failed was told of; guarded by turn
}

// state is what an Authority answers from. A new one is made for every change.
type state struct {
	set    *policy.Set // nil before the first one
	number uint64      // of the set, since the start
	locked string      // why the gateway is locked; empty where it is not
}

// New makes an Authority that refuses everything until Run, or Refresh, has read the documents.
func New(source Source, vocab []policy.Vocabulary, clock func() time.Time, opts Options) *Authority {
	if opts.Poll <= 0 {
		opts.Poll = time.Second
	}
	if opts.Lease <= 0 {
		opts.Lease = 10 * time.Second
	}
	if opts.Failed == nil {
		opts.Failed = func(error) {}
	}
	a := &Authority{source: source, vocab: vocab, clock: clock, opts: opts, started: clock(), poke: make(chan struct{}, 1)}
	a.state.Store(&state{})
	return a
}

// Run refreshes until ctx ends: every Poll, and whenever it is poked. It returns ctx's error.
func (a *Authority) Run(ctx context.Context) error {
	tick := time.NewTicker(a.opts.Poll)
	defer tick.Stop()
	for {
		// The reader of a hung source is given up with the lease that it would have renewed.
		bounded, cancel := context.WithTimeout(ctx, a.opts.Lease)
		_ = a.Refresh(bounded) // Failed was told; the lease does the rest
		cancel()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-a.poke:
		}
	}
}

// Poke makes Run refresh now: somebody knows that a document has changed.
func (a *Authority) Poke() {
	select {
	case a.poke <- struct{}{}:
	default: // a refresh is due already
	}
}

// Refresh asks the source once, compiles what changed and renews the lease. The lease counts from before the question.
// Where it fails, the set before stays in force until its lease ends. The error is what Failed was told.
func (a *Authority) Refresh(ctx context.Context) error {
	a.turn.Lock()
	defer a.turn.Unlock()
	asked := a.since()
	err := a.load(ctx)
	if err == nil {
		a.until.Store(asked + int64(a.opts.Lease))
	}
	if err != nil || a.failing != nil {
		a.opts.Failed(err)
	}
	a.failing = err
	return err
}

func (a *Authority) load(ctx context.Context) error {
	revision, err := a.source.Revision(ctx)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "live.Refresh", err, "the store of policies cannot be reached")
	}
	if set := a.state.Load().set; set != nil && set.Version() == revision {
		if a.stale = a.stale || a.source.Changed(); !a.stale {
			return nil
		}
	}
	docs, revision, err := a.source.Documents(ctx)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "live.Refresh", err, "the documents cannot be read")
	}
	set, err := a.opts.Defaults.Compile(docs, a.vocab, revision)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "live.Refresh", err, "the stored documents do not compile")
	}
	a.update(func(s *state) { s.set, s.number = set, s.number+1 })
	a.stale = false
	if a.opts.Compiled != nil {
		a.opts.Compiled(set)
	}
	return nil
}

// update replaces the state by a changed copy.
func (a *Authority) update(change func(*state)) {
	a.change.Lock()
	defer a.change.Unlock()
	next := *a.state.Load()
	change(&next)
	a.state.Store(&next)
}

// SetLocked stops all decisions at once. The reason is shown to clients.
func (a *Authority) SetLocked(reason string) {
	if reason == "" {
		reason = "by an administrator"
	}
	a.update(func(s *state) { s.locked = reason })
}

// Unlock ends SetLocked.
func (a *Authority) Unlock() { a.update(func(s *state) { s.locked = "" }) }

// Locked returns why the gateway is locked; empty where it is not.
func (a *Authority) Locked() string { return a.state.Load().locked }

// Version returns the version of the policies in force; fault.Unavailable where the lease has run out or the gateway is
// locked.
func (a *Authority) Version() (uint64, error) {
	set, err := a.Set()
	if err != nil {
		return 0, err
	}
	return set.Version(), nil
}

// Number returns which set is in force, counted from the start, with the errors of Version: it changes with every set, also where only
// what documents name has changed, and no document. It is asked before every action: two atomic loads and a look at the clock.
func (a *Authority) Number() (uint64, error) {
	s, err := a.current()
	if err != nil {
		return 0, err
	}
	return s.number, nil
}

// Set returns the policies in force, with the same errors as Version.
func (a *Authority) Set() (*policy.Set, error) {
	s, err := a.current()
	if err != nil {
		return nil, err
	}
	return s.set, nil
}

func (a *Authority) current() (*state, error) {
	s := a.state.Load()
	switch {
	case s.locked != "":
		e := fault.New(fault.Unavailable, "live.Set", "the gateway is locked: %s", s.locked)
		e.Hint = "an administrator unlocks it with gatehouse unlock"
		return nil, e
	case s.set == nil || a.since() >= a.until.Load():
		e := fault.New(fault.Unavailable, "live.Set", "the gateway has had no fresh policies for more than %s and refuses "+
			"everything until it has", a.opts.Lease)
		e.Hint = "try again shortly; the gateway's log and /readyz say what is wrong"
		return nil, e
	}
	return s, nil
}

// Rules returns the rules that bind p on a connection: fault.Denied where no role reaches it, and the errors of Version.
func (a *Authority) Rules(p *access.Principal, connection string) (*policy.Rules, error) {
	set, err := a.Set()
	if err != nil {
		return nil, err
	}
	return set.Rules(p, connection)
}

// since returns the time since the start in nanoseconds, on the monotonic clock where the clock has one.
func (a *Authority) since() int64 { return int64(a.clock().Sub(a.started)) }
