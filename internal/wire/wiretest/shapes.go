package wiretest

import (
	"runtime"
	"testing"

	"gatehouse/internal/access"
)

// pieces: wherever a message is cut, the answer is the same.
func pieces(t *testing.T, s *Suite) {
	each(t, s, func(t *testing.T, st *State) {
		if st.Request == nil {
			return
		}
		w := newWorld(t, s)
		c := w.login(t)
		size := len(st.Request(w.mark("good")))
		for cut := 1; cut <= size; cut++ {
			c.walk(t, st.Enter)
			mark := w.mark("good")
			b := st.Request(mark)
			if cut < size {
				c.send(b[:cut])
				c.send(b[cut:])
			} else {
				for i := range b {
					c.send(b[i : i+1])
				}
			}
			c.check(t, c.answer(t), mark, st)
			c.walk(t, st.Leave)
			if t.Failed() {
				t.Fatalf("cut after %d bytes", cut)
			}
		}
		mark := w.mark(markDenied)
		c.walk(t, st.Enter)
		for _, b := range st.Request(mark) {
			c.send([]byte{b})
		}
		if a := c.answer(t); a.Refused == "" || a.State != st.Refused {
			t.Errorf("refused in pieces: %+v", a)
		}
	})
}

// answerPieces: wherever the backend's answer is cut, it arrives whole.
func answerPieces(t *testing.T, s *Suite) {
	for chop := 1; chop <= 7; chop++ {
		w := newWorld(t, s)
		w.tap.setChop(chop)
		c := w.login(t)
		for i := range s.States {
			st := &s.States[i]
			c.walk(t, st.Enter)
			if st.Request != nil {
				c.good(t, st)
			}
			c.walk(t, st.Leave)
		}
		c.good(t, &s.States[0])
		if t.Failed() {
			t.Fatalf("answers in pieces of %d bytes", chop)
		}
	}
}

// oversize: what is too large is refused by its header, and takes no memory.
func oversize(t *testing.T, s *Suite) {
	each(t, s, func(t *testing.T, st *State) {
		for _, header := range s.Oversize {
			w := newWorld(t, s)
			c := w.login(t)
			c.good(t, &s.States[0])
			c.walk(t, st.Enter)
			before := w.tap.snapshot()
			var m0, m1 runtime.MemStats
			runtime.ReadMemStats(&m0)
			c.send(header)
			a := c.answer(t)
			runtime.ReadMemStats(&m1)
			if a.Refused == "" || !a.Over {
				t.Errorf("%q: want a refusal that ends the session, got %+v", header, a)
			}
			if grown := m1.TotalAlloc - m0.TotalAlloc; grown > 8*MaxMessage {
				t.Errorf("%q: took %d bytes of memory", header, grown)
			}
			<-c.over
			w.ownOnly(t, before)
			w.closed(t)
		}
	})
}

// inStep: after a refusal the session is where a server that refused would be, and the next answers are to the next
// questions.
func inStep(t *testing.T, s *Suite) {
	each(t, s, func(t *testing.T, st *State) {
		if st.Request == nil {
			return
		}
		w := newWorld(t, s)
		c := w.login(t)
		for range 3 {
			c.walk(t, st.Enter)
			mark := w.mark(markDenied)
			c.send(st.Request(mark))
			a := c.answer(t)
			if a.Refused == "" || a.Over {
				t.Errorf("want a refusal that the session survives, got %+v", a)
			}
			if a.State != st.Refused {
				t.Errorf("after a refusal the state is %q, want %q", a.State, st.Refused)
			}
			if _, seen := w.tap.find(mark); seen {
				t.Error("the backend saw what was refused")
			}
			c.walk(t, st.Leave)
			c.good(t, &s.States[0])
			c.good(t, &s.States[0])
		}
	})
}

// outcomes: every intent lasts before its bytes leave, and has one outcome after; outcomes come in the order of intents.
func outcomes(t *testing.T, s *Suite) {
	w := newWorld(t, s)
	c := w.login(t)
	var marks []string
	for range 2 {
		for i := range s.States {
			st := &s.States[i]
			c.walk(t, st.Enter)
			if st.Request != nil {
				mark := w.mark("good")
				if !st.Fails {
					marks = append(marks, mark)
				}
				c.send(st.Request(mark))
				c.answer(t)
				c.walk(t, st.Leave)
				c.walk(t, st.Enter)
				c.send(st.Request(w.mark(markDenied)))
				c.answer(t)
			}
			c.walk(t, st.Leave)
		}
	}
	c.leave()
	w.closed(t)
	w.ledger(t, "s1")
	for _, mark := range marks {
		w.recordedFirst(t, mark)
	}
}

// ledger checks the events of one session against each other.
func (w *world) ledger(t *testing.T, session string) {
	t.Helper()
	intents, ended := map[uint64]bool{}, map[uint64]int{}
	var kinds []access.EventKind
	var last, lastEnded uint64
	for _, e := range w.recorder.all() {
		if e.Session != session {
			continue
		}
		kinds = append(kinds, e.Kind)
		switch e.Kind {
		case access.EventActionIntended:
			intents[e.Action] = true
			if e.Action <= last {
				t.Errorf("intent %d after %d", e.Action, last)
			}
			last = e.Action
		case access.EventActionEnded:
			ended[e.Action]++
			if !intents[e.Action] || ended[e.Action] > 1 {
				t.Errorf("outcome of %d without its intent, or twice", e.Action)
			}
			if e.Status == access.StatusOK || e.Status == access.StatusError {
				if e.Action < lastEnded && !w.s.Duplex {
					t.Errorf("outcome of %d after that of %d", e.Action, lastEnded)
				}
				lastEnded = e.Action
			}
		}
	}
	for n := range intents {
		if ended[n] != 1 {
			t.Errorf("intent %d has %d outcomes", n, ended[n])
		}
	}
	if len(kinds) < 2 || kinds[0] != access.EventSessionOpened || kinds[len(kinds)-1] != access.EventSessionClosed {
		t.Errorf("the session does not begin and end on record: %v", kinds)
	}
}

// recordedFirst checks that an intent for mark was made to last before the bytes that hold mark left.
func (w *world) recordedFirst(t *testing.T, mark string) {
	t.Helper()
	left, seen := w.tap.find(mark)
	if !seen {
		t.Errorf("%s never left", mark)
		return
	}
	for _, e := range w.recorder.all() {
		if e.Kind == access.EventActionIntended && contains(e.Text, mark) && e.lasting >= 0 && e.lasting <= left {
			return
		}
	}
	t.Errorf("%s left before its intent was on record", mark)
}
