package postgres

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// Relay implements wire.Session: it takes one message of the client at a time, until the client leaves.
func (s *session) Relay(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.g.Interrupt)
	defer stop()
	err := s.relay(ctx)
	s.p.cancels.remove(s.key)
	if err == nil {
		s.finish(ctx) // the backend of a session that ended otherwise is closed
	}
	return err
}

func (s *session) relay(ctx context.Context) error {
	for {
		f, err := s.read(ctx)
		if err != nil {
			return clientLeft(err)
		}
		if f.kind == msgTerminate {
			return nil
		}
		s.until = f.to
		err = s.take(ctx, f)
		s.consume()
		if err != nil {
			return err
		}
		if s.cut != nil && len(s.queue) == s.head {
			return s.cut
		}
		if err := s.between(ctx); err != nil {
			return err
		}
	}
}

// consume lets go of the message under way: its bytes were sent, or never will be.
func (s *session) consume() {
	if n := s.until - s.g.Client().Offset(); n > 0 {
		s.g.Client().Skip(int(n))
	}
}

// clientLeft tells an end that is nobody's fault from one that has a reason.
func clientLeft(err error) error {
	if fault.KindOf(err) == fault.Internal && !errors.Is(err, context.Canceled) {
		var e *fault.Error
		if !errors.As(err, &e) {
			return nil // the connection's own error: the client is gone, and there is nobody to tell
		}
	}
	return err
}

// read returns the client's next whole message, which stays unread until it is dealt with. While it waits it passes on
// what the backend says by itself.
func (s *session) read(ctx context.Context) (frame, error) {
	in := s.g.Client()
	for {
		b := in.Unread()
		kind, size, ok, err := peekHead(b)
		if err != nil {
			return frame{}, err
		}
		if ok && size <= len(b) {
			from := in.Offset()
			return frame{kind: kind, body: b[head:size], from: from, to: from + int64(size)}, nil
		}
		if ok && size > s.limits.Message {
			return frame{}, sayCode("54000", fault.Malformed, "message is larger than the gateway's limit", "Raise limits.max_message, or send less at a time.")
		}
		if err := s.await(ctx); err != nil {
			return frame{}, err
		}
	}
}

// await waits for the client, and for the backend where that takes long.
func (s *session) await(ctx context.Context) error {
	if err := s.leave(ctx); err != nil {
		return err
	}
	if s.be == nil {
		err := s.g.Client().Await(ctx)
		if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
			return nil // nudged: look around
		}
		return err
	}
	other, err := gate.Await(ctx, s.g.Client(), s.be, s.g.Now())
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil:
		return nil // nudged: look around
	case err != nil && other:
		return fault.Wrap(fault.Backend, "postgres.await", err, "the backend closed the connection")
	case err != nil:
		return err
	case other:
		return s.relayAnswers(ctx)
	}
	return nil
}

// leave ends a session that was asked to drain, once nothing is under way.
func (s *session) leave(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.draining.Load() && s.state.tx == txIdle && s.synced && s.g.Staged() == 0 {
		return errShutdown
	}
	return nil
}

var (
	errShutdown  = sayCode("57P01", fault.Unavailable, "terminating connection: the gateway is shutting down", "Connect again.")
	errCancelled = sayCode("57014", fault.Pending, "canceling statement due to user request", "")
)

// take deals with one message.
func (s *session) take(ctx context.Context, f frame) error {
	if s.skipping && f.kind != msgSync {
		return nil
	}
	if s.be == nil {
		if done, err := s.needBackend(ctx, f); done || err != nil {
			return err
		}
	}
	switch f.kind {
	case msgQuery:
		err := s.query(ctx, f)
		s.runs = s.runs[:0]
		return err
	case msgParse:
		return s.parse(ctx, f)
	case msgBind:
		return s.bind(ctx, f)
	case msgDescribe:
		return s.describe(ctx, f)
	case msgExecute:
		return s.execute(ctx, f)
	case msgClose:
		return s.close(ctx, f)
	case msgSync:
		return s.sync(ctx, f)
	case msgFlush:
		return s.flush(ctx, f)
	case msgCopyData, msgCopyDone, msgCopyFail:
		return nil // left over from a COPY that failed: the server drops them too
	case msgFunction:
		return s.function(ctx, f)
	}
	return sayCode("08P01", fault.Malformed, "invalid frontend message type "+strconv.Itoa(int(f.kind)), "")
}

// function refuses the fast path: its arguments name a function by OID, past every policy.
func (s *session) function(ctx context.Context, f frame) error {
	return s.refuseQuery(ctx, s.g.RefuseText(sayCode("0A000", fault.Denied, "the fast-path function call is refused", "Call the function with SELECT."), len(f.body)))
}

// hold tells the client that its action waits, and watches whether it stays.
func (s *session) hold(ctx context.Context, a access.Approval) (context.Context, func()) {
	text := "waiting for approval " + a.ID
	for _, r := range a.Reviewers {
		text += ", by one of: " + strings.Join(r, ", ")
	}
	s.out = appendNotice(s.out, text+", until "+a.ExpiresAt.UTC().Format(time.RFC3339),
		"A reviewer answers with: gatehouse approvals approve "+a.ID+" --reason ...")
	_ = s.send()
	s.letGoWhileHeld()
	held, cancel := context.WithCancelCause(ctx)
	s.holding.Store(&cancel)
	stop := s.g.Client().Watch(func() { cancel(nil) })
	return held, func() {
		s.holding.Store(nil)
		stop()
		cancel(nil)
	}
}

// mostOut is the room for answers that a session keeps, in bytes: for what a full read of masked rows becomes.
const mostOut = 160 << 10

// send writes what is ready for the client.
func (s *session) send() error {
	if len(s.out) == 0 {
		return nil
	}
	err := s.g.Show(s.out)
	if cap(s.out) > mostOut {
		s.out = nil
	}
	s.out = s.out[:0]
	return err
}
