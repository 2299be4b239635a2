package identity

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	refreshEvery = 10 * time.Second // at most, for tokens that name unknown keys
	retryEvery   = time.Second      // at most, while there are no keys at all
	absentFor    = time.Minute      // how long a key that was not found is not asked for again
	maxAbsent    = 1024
)

// source is the keys of one issuer and how fresh they are. It is safe for concurrent use.
type source struct {
	name  string
	fetch func(context.Context) (*keySet, error)
	clock func() time.Time
	lease time.Duration
	log   *slog.Logger

	held   atomic.Pointer[held]
	flight singleflight.Group

	mu      sync.Mutex
	tried   time.Time
	last    error                // of the last fetch
	absents map[string]time.Time // kid -> when it was last found missing
}

// held is a key set and the time of its fetch.
type held struct {
	set *keySet
	at  time.Time
}

// errTooSoon is why a refresh did not happen.
var errTooSoon = errors.New("asked again too soon")

func newSource(name string, fetch func(context.Context) (*keySet, error), o Options) *source {
	return &source{
		name: name, fetch: fetch, clock: o.Clock, lease: o.KeyLease, log: o.Logger,
		absents: make(map[string]time.Time),
	}
}

// fresh returns the keys while their lease lasts; nil otherwise. A clock that went back ends the lease.
func (s *source) fresh() *keySet {
	h := s.held.Load()
	if h == nil {
		return nil
	}
	if age := s.clock().Sub(h.at); age < 0 || age >= s.lease {
		return nil
	}
	return h.set
}

// current returns fresh keys, and fetches them where there are none.
func (s *source) current(ctx context.Context) (*keySet, *refused) {
	if set := s.fresh(); set != nil {
		return set, nil
	}
	err := s.refresh(ctx, retryEvery)
	if set := s.fresh(); set != nil {
		return set, nil
	}
	if errors.Is(err, errTooSoon) {
		err = errors.Join(err, s.lastError())
	}
	return nil, refuse(ReasonKeysUnavailable, "the keys of issuer %q cannot be fetched", s.name).because(err)
}

// find returns the keys that u may have been signed with, and the set they are from. A key that is not known is looked
// for once more at the issuer, as far as the rate allows.
func (s *source) find(ctx context.Context, u *unverified) ([]key, *keySet, *refused) {
	set, refusal := s.current(ctx)
	if refusal != nil {
		return nil, nil, refusal
	}
	fitting, known := set.find(u)
	if !known && !s.absent(u.kid) {
		err := s.refresh(ctx, refreshEvery)
		if set = s.fresh(); set != nil {
			fitting, known = set.find(u)
		}
		if !known {
			if err == nil {
				s.remember(u.kid)
			}
			return nil, nil, refuse(ReasonUnknownKey, "issuer %q has no key %.64q", s.name, u.kid).because(err)
		}
	}
	switch {
	case !known:
		return nil, nil, refuse(ReasonUnknownKey, "issuer %q had no key %.64q a moment ago", s.name, u.kid)
	case len(fitting) == 0:
		return nil, nil, refuse(ReasonKeyMismatch, "key %.64q of issuer %q may not sign with %s", u.kid, s.name, u.alg)
	}
	return fitting, set, nil
}

// refresh fetches the keys unless that was tried less than every ago. Callers share one fetch, which goes on when one of
// them leaves.
func (s *source) refresh(ctx context.Context, every time.Duration) error {
	done := s.flight.DoChan("", func() (any, error) { return nil, s.refreshNow(every) })
	select {
	case r := <-done:
		return r.Err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *source) refreshNow(every time.Duration) error {
	now := s.clock()
	s.mu.Lock()
	since := now.Sub(s.tried)
	if !s.tried.IsZero() && since >= 0 && since < every {
		s.mu.Unlock()
		return errTooSoon
	}
	s.tried = now
	s.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.Background(), 2*fetchTimeout)
	defer cancel()
	set, err := s.fetch(ctx)
	if err != nil {
		s.log.Warn("keys of an issuer could not be fetched", "issuer", s.name, "error", err)
	} else {
		s.hold(set, now)
	}
	s.mu.Lock()
	s.last = err
	s.mu.Unlock()
	return err
}

// hold starts a new lease. Where the issuer publishes what it did before, the set stays the same one, so that verified
// tokens stay cached.
func (s *source) hold(set *keySet, at time.Time) {
	if h := s.held.Load(); h != nil && h.set.digest == set.digest {
		set = h.set
	} else {
		s.log.Info("keys of an issuer are new", "issuer", s.name, "keys", len(set.keys))
		s.mu.Lock()
		clear(s.absents)
		s.mu.Unlock()
	}
	s.held.Store(&held{set: set, at: at})
}

func (s *source) lastError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *source) absent(kid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, there := s.absents[kid]
	if !there {
		return false
	}
	if age := s.clock().Sub(at); age >= 0 && age < absentFor {
		return true
	}
	delete(s.absents, kid)
	return false
}

func (s *source) remember(kid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.absents) >= maxAbsent {
		clear(s.absents)
	}
	s.absents[kid] = s.clock()
}

// renew fetches the keys again once a quarter of their lease is over, so that a rotation at the issuer is seen and an
// outage of the issuer may last most of a lease.
func (s *source) renew(ctx context.Context) {
	if h := s.held.Load(); h != nil {
		if age := s.clock().Sub(h.at); age >= 0 && age < s.lease/4 {
			return
		}
	}
	if err := s.refresh(ctx, refreshEvery); err != nil && ctx.Err() == nil {
		s.log.Debug("keys of an issuer were not renewed", "issuer", s.name, "error", err)
	}
}
