package gate

import (
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// ErrEnded is the end of what was under way when the policies changed so that it is no longer allowed, or that other masks apply.
var ErrEnded = &fault.Error{Op: "gate.Underway", Kind: fault.Denied, Say: "the policies changed: what was under way has ended", Hint: "Send it again."}

// Underway tells whether a request that was permitted may go on: an answer may last for days, and so may what its client sends. It holds
// on to nothing of its gate, and is safe for concurrent use. Its zero value lets everything go on.
type Underway struct {
	svc     *Services
	version atomic.Uint64 // of the policies that it was last decided under
	decided atomic.Int64  // when, in nanoseconds

	mu     sync.Mutex
	d      decider // as it was when it was asked
	h      *Handle // nil until it is decided again
	st     *access.Statement
	facts  facts
	agreed bool
	masks  func(access.Masks) bool
}

// Watch fills u with what p permits. same reports whether masks hide in its answer, and in what is sent, what they hid when it was asked;
// nil where there are none to be relied on: then any that there are by now end it.
func (x *Exchange) Watch(p Permit, u *Underway, same func(access.Masks) bool) {
	s := x.look(p)
	if s == nil || s.handle == nil {
		return
	}
	estimate := s.estimate
	u.d = x.fork()
	u.st, u.agreed, u.masks = s.handle.st, s.approved, same
	u.facts = facts{s.params, s.given, func() *int64 { return estimate }}
	u.version.Store(s.version)
	u.decided.Store(s.asked.UnixNano())
	u.svc = x.svc
}

// Still decides again where the policies have changed, or some time has passed: conditions may read the time. It is asked for each piece of
// an answer, so it is cheap.
func (u *Underway) Still() error {
	if u.svc == nil {
		return nil
	}
	version, err := u.svc.Authority.Version()
	if err != nil {
		return err
	}
	now := u.svc.Clock()
	if version == u.version.Load() && now.UnixNano()-u.decided.Load() < int64(stale) {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.again(now)
}

func (u *Underway) again(now time.Time) error {
	if err := u.d.Refresh(); err != nil {
		return err
	}
	if u.h == nil {
		u.h = u.d.Judge(u.st)
	}
	v := u.d.decide(u.h, u.facts)
	switch {
	case v.Effect == access.Deny, v.Effect == access.Approve && !u.agreed, u.h.oracle != "":
		return ErrEnded
	case u.d.version == u.version.Load():
	case u.masks == nil && u.d.masks != nil, u.masks != nil && !u.masks(u.d.masks):
		return ErrEnded
	}
	u.version.Store(u.d.version)
	u.decided.Store(now.UnixNano())
	return nil
}
