package nats

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// Relay implements wire.Session.
func (s *session) Relay(ctx context.Context) error {
	defer s.letGo()
	return s.d.Run(ctx, s.fromClient, s.fromServer)
}

// letGo gives back what other sessions may have.
func (s *session) letGo() {
	for token, n := range s.inboxes {
		for range n {
			s.p.inboxes.leave(inboxKey(s.g.Connection().Name, token))
		}
	}
	s.inboxes = nil
}

// mostSaid is how many bytes may wait for a client before no more of what it sends is read.
const mostSaid = 256 << 10

// fromClient takes every whole operation that the client has sent, asks for each, and sends what was permitted in one write.
func (s *session) fromClient(ctx context.Context) error {
	for {
		s.d.Lock()
		need, err := s.operations(ctx)
		done := err == nil && s.draining.Load() && s.waiting == 0
		if done {
			err = s.lameDuck()
		}
		full := s.d.Waiting() > mostSaid
		if !done && !full {
			s.d.PushDown()
		}
		s.d.Unlock()
		if err != nil {
			return err
		}
		if err := s.d.FlushUp(); err != nil {
			return err
		}
		if done || full { // a client that does not read is not read either
			if err := s.d.FlushDown(); err != nil {
				return err
			}
		}
		if err := s.left(&s.up); err != nil || done {
			return err
		}
		if err := s.d.ListenFor(ctx, need); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			if errors.Is(err, os.ErrClosed) || isEnd(err) {
				return nil // the client left
			}
			return err
		}
	}
}

// left puts the outcomes of what has left on record.
func (s *session) left(of *[]ending) error {
	s.d.Lock()
	defer s.d.Unlock()
	var err error
	for _, e := range *of {
		err = errors.Join(err, s.d.Done(e.pass, e.o))
	}
	clear(*of)
	*of = (*of)[:0]
	return err
}

// lameDuck tells the client to look for another server, as a server does that is about to stop.
func (s *session) lameDuck() error {
	i := s.told()
	i.LameDuck = true
	return s.d.Show(gate.Pass{}, appendInfo(nil, i))
}

// operations takes what is there, and returns how many bytes have to be there for more.
func (s *session) operations(ctx context.Context) (need int, err error) {
	r := s.d.Client()
	for {
		b := r.Unread()
		f, ok, err := parse(b, fromClient)
		if err != nil {
			return 0, s.d.RefuseText(err, len(b))
		}
		if !ok {
			return len(b) + 1, nil
		}
		if f.carries() && f.size > s.most {
			return 0, s.d.RefuseText(errPayload, f.size)
		}
		if !f.whole(b) {
			return f.length, nil
		}
		if err := s.operation(ctx, &f, b, r.Offset()); err != nil {
			return 0, err
		}
		r.Skip(f.length)
	}
}

// operation takes one operation, which stands at from of the client's stream.
func (s *session) operation(ctx context.Context, f *frame, b []byte, from int64) error {
	to := from + int64(f.length)
	switch f.op {
	case opPing, opPong:
		if f.op == opPing {
			if err := s.mark(); err != nil {
				return err
			}
			s.turns.ask(true, false)
		}
		return s.d.Control(from, to)
	case opPub, opHPub:
		return s.publish(ctx, f, b, from)
	case opSub:
		return s.subscribe(ctx, f, from)
	case opUnsub:
		return s.unsubscribe(f, from)
	default: // CONNECT: the login is over
		return s.d.RefuseText(errAgain, f.length)
	}
}

var errAgain = fault.New(fault.Malformed, "nats.relay", "Authorization Violation: a connection logs in once")

// say tells the client an answer to an operation, in its turn.
func (s *session) say(text []byte) error {
	if !s.turns.verbose || s.turns.answered >= s.turns.asked {
		return s.d.Show(gate.Pass{}, text)
	}
	if len(s.turns.owed) >= maxOwed {
		return fault.New(fault.Unavailable, "nats.say", "too many operations wait for the server's answers")
	}
	s.turns.owed = append(s.turns.owed, owed{s.turns.asked, text})
	return nil
}

// ok acknowledges an operation that the server never sees, where the client asked for that.
func (s *session) ok() error {
	if !s.turns.verbose {
		return nil
	}
	return s.say([]byte("+OK\r\n"))
}

// ask asks for an operation of the client and stages it. staged is called when it is permitted, now or after a wait.
func (s *session) ask(ctx context.Context, k *gate.Handle, r gate.Request, refusal func(error) []byte, staged func(gate.Pass) error) error {
	pass, err := s.d.Ask(ctx, k, r)
	if err == nil {
		return staged(pass)
	}
	var hold *gate.Hold
	switch {
	case errors.As(err, &hold):
		s.waiting++
		s.d.Await(ctx, hold, func(pass gate.Pass, err error) {
			s.waiting--
			gone := ctx.Err() != nil
			if err == nil {
				err = s.released(pass, staged)
			} else if words := refusal(err); !gone {
				err = s.say(words)
			} else {
				err = nil
			}
			if err != nil {
				s.d.Stop(err)
			}
			if s.draining.Load() {
				s.g.Nudge()
			}
		})
		return nil
	case fatal(ctx, err):
		return err
	}
	return s.say(refusal(err))
}

// stage takes what pass permits to the server, as it is, and notes its outcome for when it has left.
func (s *session) stage(pass gate.Pass, o gate.Outcome) error {
	if err := s.d.Stage(pass); err != nil {
		return err
	}
	s.staged(pass, o)
	return nil
}

// stageMasked is stage for a message in which values were hidden.
func (s *session) stageMasked(pass gate.Pass, m *masked) error {
	if err := s.d.StageRewrite(pass, gate.RewriteMask, m.frame); err != nil {
		return err
	}
	s.staged(pass, gate.Outcome{Bytes: int64(m.size), Masked: m.hits})
	return nil
}

func (s *session) staged(pass gate.Pass, o gate.Outcome) {
	s.turns.ask(false, false)
	o.Status = access.StatusOK
	s.up = append(s.up, ending{pass, o})
}

// released stages what was waited for. Its outcome is known at once: what comes after it has long left.
func (s *session) released(pass gate.Pass, staged func(gate.Pass) error) error {
	before := len(s.up)
	if err := staged(pass); err != nil || len(s.up) == before {
		return err
	}
	last := s.up[len(s.up)-1]
	s.up = s.up[:len(s.up)-1]
	return s.d.Done(last.pass, last.o)
}

// isEnd reports whether a client's connection is over.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, syscall.ECONNRESET)
}
