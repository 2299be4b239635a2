package wiretest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"gatehouse/internal/access"
)

// noToken: whoever is not let in reaches nobody.
func noToken(t *testing.T, s *Suite) {
	for name, c := range map[string]struct {
		connection, token string
		strict            bool
	}{
		"a wrong token":            {s.Connection.Name, "wrong-token", false},
		"a longer token":           {s.Connection.Name, goodToken + "x", false},
		"an unknown connection":    {"elsewhere", goodToken, false},
		"a role that may not":      {s.Connection.Name, goodToken, true},
		"the backend's credential": {s.Connection.Name, s.Password, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, s)
			w.authority.set(c.strict)
			me := w.connect(t)
			me.send(append(s.Login(c.connection, c.token), s.States[0].Request("early")...))
			a, err := s.Welcome(me.r)
			if err != nil || a.Refused == "" {
				t.Errorf("want a refusal, got %+v, %v", a, err)
			}
			<-me.over
			if w.tap.dials() != 0 {
				t.Errorf("the backend was reached: %q", w.tap.snapshot())
			}
			if e := w.recorder.all(); len(e) == 0 || e[len(e)-1].Kind != access.EventLoginRefused || e[len(e)-1].lasting < 0 {
				t.Errorf("the refusal is not on record: %+v", e)
			}
		})
	}
}

// cutLogin: a client that leaves in the middle of its login reaches nobody.
func cutLogin(t *testing.T, s *Suite) {
	w := newWorld(t, s)
	whole := s.Login(s.Connection.Name, goodToken)
	for i := range whole {
		c := w.connect(t)
		c.send(whole[:i])
		c.leave()
		if w.tap.dials() != 0 {
			t.Fatalf("the first %d bytes of a login reached the backend", i)
		}
	}
}

// splitLogin: where the network cuts a login does not matter.
func splitLogin(t *testing.T, s *Suite) {
	w := newWorld(t, s)
	whole := s.Login(s.Connection.Name, goodToken)
	for i := 1; i < len(whole); i++ {
		c := w.connect(t)
		c.send(whole[:i])
		c.send(whole[i:])
		c.welcomed(t)
		c.leave()
	}
}

// sentBytes: the backend sees each permitted message as the client sent it, nothing of a refused one, and besides only
// the gateway's own listed statements, each on record under the gateway's own principal.
func sentBytes(t *testing.T, s *Suite) {
	each(t, s, func(t *testing.T, st *State) {
		w := newWorld(t, s)
		c := w.login(t)
		c.good(t, &s.States[0])
		c.walk(t, st.Enter)
		if st.Request != nil {
			c.good(t, st)
		}
		c.walk(t, st.Leave)
		if st.Request != nil {
			c.walk(t, st.Enter)
			mark := w.mark(markDenied)
			c.send(st.Request(mark))
			if a := c.answer(t); a.Refused == "" {
				t.Errorf("%s was not refused: %+v", mark, a)
			}
			c.walk(t, st.Leave)
			if _, seen := w.tap.find(mark); seen {
				t.Errorf("the backend saw what was refused")
			}
		}
		c.good(t, &s.States[0])
		c.leave()
		w.closed(t)
		w.account(t, c)
	})
}

// account explains every byte that backends were sent after their logins.
func (w *world) account(t *testing.T, c *client) {
	t.Helper()
	want := map[string]int{}
	for _, e := range w.recorder.all() {
		if e.Kind == access.EventActionIntended && e.Principal == access.GatewayPrincipal().ID() {
			want[e.Text]++
		}
	}
	got := map[string]int{}
	for i, sent := range w.tap.snapshot() {
		frames := w.s.Frames(c.sent)
		if i > 0 {
			frames = nil // beside the session's own connection the gateway speaks alone
		}
		rest := sent[w.s.LoginEnds(sent):]
		rest, left := w.explain(rest, frames, got)
		if len(rest) > 0 {
			t.Errorf("connection %d to the backend: nobody asked for %q", i+1, rest)
		}
		if len(left) > 0 {
			t.Errorf("the backend never saw %q", left)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the gateway's own statements at the backend: %v, on record: %v", got, want)
	}
}

// explain takes the client's frames, in order, and the gateway's own, wherever they stand, off the front of stream.
func (w *world) explain(stream []byte, frames [][]byte, own map[string]int) (rest []byte, left [][]byte) {
next:
	for len(stream) > 0 {
		if len(frames) > 0 && bytes.HasPrefix(stream, frames[0]) {
			stream, frames = stream[len(frames[0]):], frames[1:]
			continue
		}
		if len(frames) > 0 && w.s.Rendered != nil {
			if n := w.s.Rendered(stream, frames[0]); n > 0 {
				stream, frames = stream[n:], frames[1:]
				continue
			}
		}
		for _, o := range w.s.Own {
			if bytes.HasPrefix(stream, o.Bytes) {
				stream = stream[len(o.Bytes):]
				if o.Text != "" {
					own[o.Text]++
				}
				continue next
			}
		}
		if bytes.Equal(stream, w.s.Farewell) {
			return nil, frames
		}
		return stream, frames
	}
	return nil, frames
}

// recorderDown: while the record cannot be written, nothing leaves, and the client is told.
func recorderDown(t *testing.T, s *Suite) {
	for name, fail := range map[string][2]bool{"append fails": {true, false}, "barrier fails": {false, true}} {
		t.Run(name, func(t *testing.T) {
			each(t, s, func(t *testing.T, st *State) {
				if st.Request == nil {
					return
				}
				w := newWorld(t, s)
				c := w.login(t)
				c.good(t, &s.States[0])
				c.walk(t, st.Enter)
				w.settled(t) // an outcome that follows its answer must not be what fails
				before := w.tap.snapshot()
				w.recorder.fail(fail[0], fail[1])
				c.send(st.Request(w.mark("good")))
				a := c.answer(t)
				if a.Refused != errLog.Say && !(st.Fails && a.Refused != "") {
					t.Errorf("want %q, got %+v", errLog.Say, a)
				}
				w.ownOnly(t, before)
				w.ownLasting(t)
				w.recorder.fail(false, false)
				if a.Over {
					return
				}
				c.walk(t, st.Leave)
				c.good(t, &s.States[0])
			})
		})
	}
}

// ownOnly fails where a backend was sent anything since, but for a farewell and what the gateway may still have been at of
// its own when before was taken.
func (w *world) ownOnly(t *testing.T, before [][]byte) {
	t.Helper()
	after := w.tap.snapshot()
	if len(after) != len(before) {
		t.Errorf("the backend was dialled: %q", after[len(before):])
	}
	for i := range before {
		if rest, _ := w.explain(after[i][len(before[i]):], nil, map[string]int{}); len(rest) > 0 {
			t.Errorf("the backend was sent %q", rest)
		}
	}
}

// ownLasting fails where a backend was sent more of the gateway's own statements than were made to last on record.
func (w *world) ownLasting(t *testing.T) {
	t.Helper()
	left := map[string]int{}
	sent := w.tap.snapshot() // before the record is read: what is sent after is on record by then, if ever
	for _, e := range w.recorder.all() {
		if e.Kind == access.EventActionIntended && e.Principal == access.GatewayPrincipal().ID() && e.lasting >= 0 {
			left[e.Text]++
		}
	}
	for _, stream := range sent {
		for _, o := range w.s.Own {
			if o.Text != "" {
				left[o.Text] -= bytes.Count(stream, o.Bytes)
			}
		}
	}
	for text, n := range left {
		if n < 0 {
			t.Errorf("sent without a lasting record, %d times: %s", -n, text)
		}
	}
}

// settled waits until every intent has its outcome, where sessions do not wait for one before they answer.
func (w *world) settled(t *testing.T) {
	t.Helper()
	if !w.s.Duplex {
		return
	}
	for due := time.Now().Add(patience); ; {
		open := 0
		for _, e := range w.recorder.all() {
			switch e.Kind {
			case access.EventActionIntended:
				open++
			case access.EventActionEnded:
				open--
			}
		}
		if open == 0 {
			return
		}
		if time.Now().After(due) {
			t.Fatalf("%d intents have no outcome", open)
		}
		time.Sleep(time.Millisecond) // the outcome follows the answer, and says so to nobody
	}
}
