package wiretest

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

// revocation: a session that is ended ends, whatever it is doing, tells its client why, and lets go of the backend.
func revocation(t *testing.T, s *Suite) {
	each(t, s, func(t *testing.T, st *State) {
		w := newWorld(t, s)
		c := w.login(t)
		c.good(t, &s.States[0])
		c.walk(t, st.Enter)
		c.revoke(fault.New(fault.Unavailable, "wiretest", "revoked by the suite"))
		a := c.answer(t)
		if !a.Over || a.Refused != "revoked by the suite" {
			t.Errorf("want to be told why, got %+v", a)
		}
		<-c.over
		w.closed(t)
		w.ledger(t, "s1")
	})
}

// deaf: a session whose client does not read what it asked for can be ended all the same.
func deaf(t *testing.T, s *Suite) {
	w := newWorld(t, s)
	c := w.login(t)
	c.good(t, &s.States[0])
	release := c.in.hold()
	defer release()
	mark := w.mark("good")
	c.send(s.Flood(mark))
	w.stuck(t, mark)
	c.revoke(fault.New(fault.Unavailable, "wiretest", "revoked by the suite"))
	select {
	case <-c.over:
	case <-time.After(patience):
		t.Fatal("the session goes on")
	}
	w.closed(t)
	w.ledger(t, "s1")
}

// stuck returns when mark has left for the backend and its answer has stopped coming: the session waits for its client to
// take what it was sent.
func (w *world) stuck(t *testing.T, mark string) {
	t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.NewTimer(patience)
	defer tick.Stop()
	defer late.Stop()
	for last, still := 0, 0; still < 20; {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatal("the answer does not stop coming")
		}
		_, sent := w.tap.find(mark)
		got := w.tap.received()
		if !sent || got != last || got <= MaxMessage && !w.s.Duplex || got == 0 {
			still = 0
		}
		last, still = got, still+1
	}
}

// approvals: what is held does not run before it is approved, and not at all where it is not.
func approvals(t *testing.T, s *Suite) {
	for _, c := range []struct {
		name string
		end  func(w *world, c *client, mark string)
		runs bool
		over bool

		cancels bool
	}{
		{"approved", func(w *world, _ *client, _ string) { w.approvals.answers <- access.ApprovalApproved }, true, false, false},
		{"denied", func(w *world, _ *client, _ string) { w.approvals.answers <- access.ApprovalDenied }, false, false, false},
		{"expired", func(w *world, _ *client, _ string) { w.approvals.answers <- access.ApprovalExpired }, false, false, false},
		{"approved, but the policy denies by then", func(w *world, _ *client, _ string) {
			w.authority.set(true)
			w.approvals.answers <- access.ApprovalApproved
		}, false, false, false},
		{"cancelled by the client", cancelled, false, false, true},
		{"revoked", func(_ *world, c *client, _ string) {
			c.revoke(fault.New(fault.Unavailable, "wiretest", "revoked by the suite"))
		}, false, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.cancels && s.Cancel == nil && s.Withdraw == nil {
				return // a client of this protocol takes nothing back
			}
			each(t, s, func(t *testing.T, st *State) {
				if st.Request == nil || st.Fails {
					return
				}
				w := newWorld(t, s)
				me := w.login(t)
				me.walk(t, st.Enter)
				mark := w.held(t, me, st)
				c.end(w, me, mark)
				a := me.answer(t)
				over := c.over
				if a.Over && w.authority.changed() { // what had been allowed before and was not yet sent may end the session
					over = true
					if _, sent := w.tap.find(mark); sent {
						t.Error("something of the held request left")
					}
				}
				w.judgeHeld(t, me, st, a, mark, c.runs, over)
			})
		})
	}
	t.Run("the client leaves", func(t *testing.T) { leavesWhileHeld(t, s) })
}

// held sends a request that must wait, and returns when it waits.
func (w *world) held(t *testing.T, c *client, st *State) string {
	t.Helper()
	mark := w.mark(markHeld)
	c.send(st.Request(mark))
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case a := <-w.approvals.asked:
		if !contains(a.Text, mark) {
			t.Fatalf("another text is held: %q", a.Text)
		}
	case <-late.C:
		t.Fatal("nobody was asked")
	}
	return mark
}

func (w *world) judgeHeld(t *testing.T, c *client, st *State, a Answer, mark string, runs, over bool) {
	t.Helper()
	switch {
	case runs:
		c.check(t, a, mark, st)
		w.recordedFirst(t, mark)
	case a.Refused == "" || a.Over != over:
		t.Errorf("want a refusal, got %+v", a)
	case !over && a.State != st.Refused:
		t.Errorf("after a refusal the state is %q, want %q", a.State, st.Refused)
	}
	if !over {
		w.authority.set(false)
		c.walk(t, st.Leave)
		c.good(t, &w.s.States[0])
	}
	if ran := w.ran(mark); ran != runs {
		t.Errorf("the held request ran: %t, want %t", ran, runs)
	}
}

// ran reports whether an intent for mark that was not only prepared is on record and its outcome is not that it was
// skipped.
func (w *world) ran(mark string) bool {
	for _, e := range w.recorder.all() {
		if e.Kind == access.EventActionIntended && e.Phase != access.PhasePrepare && contains(e.Text, mark) {
			return true
		}
	}
	return false
}

// cancelled asks to cancel on a connection of its own, as a driver does, or takes the request back.
func cancelled(w *world, c *client, mark string) {
	if w.s.Withdraw != nil {
		c.send(w.s.Withdraw(mark))
		return
	}
	other := w.connect(w.t)
	other.send(w.s.Cancel(c.welcome))
	<-other.over
}

// leavesWhileHeld: an approval dies with the client that asked.
func leavesWhileHeld(t *testing.T, s *Suite) {
	w := newWorld(t, s)
	c := w.login(t)
	st := &s.States[0]
	mark := w.held(t, c, st)
	c.leave()
	<-w.approvals.gone
	<-c.over
	w.closed(t)
	if w.ran(mark) {
		t.Error("the held request ran")
	}
	w.ledger(t, "s1")
}

// reuse: a session that ends in order leaves a backend behind that serves the next one, or closes it where backends are not shared.
func reuse(t *testing.T, s *Suite) {
	w := newWorld(t, s)
	first := w.login(t)
	first.good(t, &s.States[0])
	first.leave()
	opened := len(w.tap.snapshot())
	if s.Duplex {
		w.closed(t)
		opened++
	}
	second := w.login(t)
	second.good(t, &s.States[0])
	if now := len(w.tap.snapshot()); now != opened {
		t.Errorf("%d connections to the backend were opened for the second session", now-opened)
	}
	second.leave()
	w.closed(t)
}
