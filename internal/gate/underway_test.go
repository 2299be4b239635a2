package gate

import (
	"errors"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// TestUnderway: what was permitted goes on while policies allow it and hide what they hid, whatever else changes, and not a piece longer.
func TestUnderway(t *testing.T) {
	type change func(e *endpoint)
	deny := func(e *endpoint) {
		e.decide = func(*access.Statement, *access.Input) access.Verdict { return access.Verdict{} }
	}
	hold := func(e *endpoint) {
		e.decide = func(*access.Statement, *access.Input) access.Verdict { return access.Verdict{Effect: access.Approve} }
	}
	for _, tc := range []struct {
		name   string
		change change
		same   func(access.Masks) bool
		quiet  bool // the policies have the version that they had
		ended  bool
	}{
		{"nothing", func(*endpoint) {}, nil, true, false},
		{"other policies", func(*endpoint) {}, nil, false, false},
		{"it is denied", deny, nil, false, true},
		{"it needs a reviewer now", hold, nil, false, true},
		{"other masks", func(e *endpoint) { e.masks = hiding("x") }, func(access.Masks) bool { return false }, false, true},
		{"the same masks", func(e *endpoint) { e.masks = hiding("x") }, func(access.Masks) bool { return true }, false, false},
		{"masks that nobody compares", func(e *endpoint) { e.masks = hiding("x") }, nil, false, true},
		{"the backend is elsewhere", func(e *endpoint) { e.conn.Address = "http://other.test:80" }, nil, false, true},
		{"a condition reads the time", deny, nil, true, false},
	} {
		e := newEndpoint(t)
		x := e.exchange(t)
		st := statement("dynamic")
		p, err := x.Ask(t.Context(), x.Judge(&st), Request{}, outgoing("GET", "http://backend.test:80/live", ""))
		if err != nil {
			t.Fatal(err)
		}
		var u Underway
		if err := u.Still(); err != nil {
			t.Error("one that nobody watches:", err)
		}
		x.Watch(p, &u, tc.same)
		if err := u.Still(); err != nil {
			t.Fatal(tc.name, err)
		}
		tc.change(e)
		if !tc.quiet {
			e.version++
		}
		x.Leave() // it does not need its gate
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				if err := u.Still(); (err != nil) != tc.ended || err != nil && !errors.Is(err, ErrEnded) && fault.KindOf(err) != fault.Unavailable {
					t.Errorf("%s: %v", tc.name, err)
				}
			})
		}
		wait.Wait()
	}
}

// TestUnderwayReadsTheTime: under the same policies, too, it is decided again from time to time.
func TestUnderwayReadsTheTime(t *testing.T) {
	e := newEndpoint(t)
	x := e.exchange(t)
	st := statement("dynamic")
	p, err := x.Ask(t.Context(), x.Judge(&st), Request{}, outgoing("GET", "http://backend.test:80/live", ""))
	if err != nil {
		t.Fatal(err)
	}
	var u Underway
	x.Watch(p, &u, nil)
	e.decide = func(*access.Statement, *access.Input) access.Verdict { return access.Verdict{} }
	if err := u.Still(); err != nil {
		t.Error("at once:", err)
	}
	u.decided.Add(-int64(2 * stale / time.Nanosecond))
	if err := u.Still(); !errors.Is(err, ErrEnded) {
		t.Error("later:", err)
	}
}
