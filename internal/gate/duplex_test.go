package gate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// ledger is the desk's recorder for sessions of more than one goroutine. lasting is called for each barrier.
type ledger struct {
	*desk
	mu      sync.Mutex
	lasting func(seq uint64) error
}

func (l *ledger) Append(e *access.Event) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.desk.Append(e)
}

func (l *ledger) Barrier(seq uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lasting != nil {
		return l.lasting(seq)
	}
	return nil
}

func (l *ledger) Request(ctx context.Context, a access.Approval) (access.Approval, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.desk.Request(ctx, a)
}

func (l *ledger) Wait(context.Context, string) (access.Approval, error) {
	l.mu.Lock()
	a := l.filed[len(l.filed)-1]
	l.mu.Unlock()
	return a, l.answer(&a)
}

func (l *ledger) Spend(ctx context.Context, id, digest, principal string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.desk.Spend(ctx, id, digest, principal)
}

// of returns the events of a kind.
func (l *ledger) of(kind access.EventKind) []access.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []access.Event
	for _, e := range l.events {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// line is a session whose messages are lines: what its client says goes to the backend, what the backend says to the client.
type line struct {
	*Duplex
	t    *testing.T
	log  *ledger
	desk *desk
	seen func(text string, p Pass, err error) // what became of a line of the client's; the lock is held
	over chan error
	end  context.CancelCauseFunc
}

// openLine runs such a session. Whatever the client says is one message of the kind that its first word names.
func openLine(t *testing.T, d *desk) *line {
	t.Helper()
	s := d.services()
	l := &line{t: t, desk: d, log: &ledger{desk: d}, over: make(chan error, 1)}
	s.Recorder, s.Approvals = l.log, l.log
	near, far := net.Pipe()
	d.client = far
	p := &access.Principal{Issuer: "i", Subject: "s", Kind: access.Workload}
	g, err := Open(t.Context(), s, Caller{Session: "s1", Principal: p, Protocol: "test"}, "db", statement("connect"), near, testLimits)
	if err != nil {
		t.Fatal(err)
	}
	b, err := g.Lease().Open(t.Context(), func(_ context.Context, raw net.Conn, _ Credential) (net.Conn, error) { return raw, nil })
	if err != nil {
		t.Fatal(err)
	}
	l.Duplex = g.Duplex(b)
	ctx, end := context.WithCancelCause(t.Context())
	l.end = end
	go func() {
		err := l.Run(ctx, l.up, l.hear)
		g.Close(nil, err)
		l.over <- err
		_ = near.Close()
	}()
	t.Cleanup(func() {
		end(nil)
		_, _ = d.client.Close(), d.backend.Close()
	})
	return l
}

func (l *line) up(ctx context.Context) error {
	handles := map[string]*Handle{}
	for {
		if err := l.Listen(ctx); err != nil {
			return err
		}
		l.Lock()
		for r := l.Client(); ; {
			n := bytes.IndexByte(r.Unread(), '\n') + 1
			if n == 0 {
				break
			}
			text := string(r.Unread()[:n-1])
			l.take(ctx, handles, text, r.Offset(), r.Offset()+int64(n))
			r.Skip(n)
		}
		l.Unlock()
		if err := l.FlushUp(); err != nil {
			return err
		}
	}
}

func (l *line) take(ctx context.Context, handles map[string]*Handle, text string, from, to int64) {
	kind, _, _ := bytes.Cut([]byte(text), []byte(" "))
	h := handles[string(kind)]
	if h == nil {
		st := statement(string(kind))
		h = l.Judge(&st)
		handles[string(kind)] = h
	}
	p, err := l.Ask(ctx, h, Request{From: from, To: to, Message: true})
	var held *Hold
	if errors.As(err, &held) {
		l.Await(ctx, held, func(p Pass, err error) { l.pass(text, p, err) })
		return
	}
	l.pass(text, p, err)
}

func (l *line) pass(text string, p Pass, err error) {
	if l.seen != nil {
		l.seen(text, p, err)
		return
	}
	if err != nil {
		_ = l.Show(Pass{}, []byte("no\n"))
		l.PushDown()
		return
	}
	l.Count(p, sha256.Sum256([]byte(text)), len(text))
	if err := l.Stage(p); err != nil {
		l.t.Errorf("%s: %v", text, err)
	}
	if err := l.DoneUp(p, Outcome{Status: access.StatusOK}); err != nil {
		l.t.Errorf("%s: %v", text, err)
	}
}

// hear passes on what the backend says.
func (l *line) hear(ctx context.Context) error {
	for {
		if err := l.Hear(ctx); err != nil {
			return err
		}
		l.Lock()
		b := l.Backend().Unread()
		_ = l.Show(Pass{}, b)
		l.Backend().Skip(len(b))
		l.Unlock()
		if err := l.FlushDown(); err != nil {
			return err
		}
	}
}

func (l *line) say(text string) {
	go func() { _, _ = l.desk.client.Write([]byte(text)) }()
}

// gets reads n bytes of what the backend is sent.
func (l *line) gets(conn net.Conn, want string) {
	l.t.Helper()
	got := make([]byte, len(want))
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		l.t.Fatalf("got %q, want %q: %v", got, want, err)
	}
}

// ended returns why the session ended.
func (l *line) ended() error {
	l.t.Helper()
	return await(l.t, l.over)
}

// await receives, and gives up after a while.
func await[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	select {
	case v = <-c:
	case <-late.C:
		t.Fatal("it does not come")
	}
	return v
}

// TestIntentsLastBeforeTheirBytes: each write to the backend comes after a barrier that covers every intent in it.
func TestIntentsLastBeforeTheirBytes(t *testing.T) {
	d := newDesk()
	l := openLine(t, d)
	lasted := make(chan uint64, 64)
	l.log.mu.Lock()
	l.log.lasting = func(seq uint64) error { lasted <- seq; return nil }
	l.log.mu.Unlock()
	for range 5 {
		l.say("publish a\n")
		l.gets(d.backend, "publish a\n")
		l.log.mu.Lock()
		var intent uint64
		for i, e := range l.log.events {
			if e.Kind == access.EventActionIntended {
				intent = uint64(i) + 1
			}
		}
		l.log.mu.Unlock()
		select {
		case seq := <-lasted:
			if seq < intent {
				t.Errorf("bytes of intent %d left after a barrier of %d", intent, seq)
			}
		default:
			t.Error("bytes left without a barrier")
		}
	}
}

// TestBytesLeaveOnce: a pass is spent once, and no judged byte leaves twice, whatever the protocol asks for.
func TestBytesLeaveOnce(t *testing.T) {
	d := newDesk()
	l := openLine(t, d)
	first := Pass{}
	tried := make(chan []error, 1)
	l.Lock()
	l.seen = func(_ string, p Pass, _ error) {
		if first.Zero() {
			first = p
			errs := []error{l.Stage(Pass{}), l.StageRewrite(p, RewriteReject, []byte("x")), l.StageRewrite(p, RewriteMask, []byte("x")), l.Follow(p, p.from, p.to)}
			if err := l.Stage(p); err != nil {
				t.Error(err)
			}
			errs = append(errs, l.Stage(p), l.Control(p.from, p.to), l.Follow(p, p.from, p.to))
			again := p
			again.from, again.to = p.from+1, p.to
			errs = append(errs, l.Stage(again))
			st := statement("publish")
			if again, err := l.Ask(t.Context(), l.Judge(&st), Request{From: p.from, To: p.to, Message: true}); err != nil {
				t.Error(err)
			} else {
				errs = append(errs, l.Stage(again))
				_ = l.Done(again, Outcome{Status: access.StatusCancelled})
			}
			_ = l.Done(p, Outcome{Status: access.StatusOK})
			tried <- append(errs, l.Stage(p), l.Done(p, Outcome{Status: access.StatusOK}))
		}
	}
	l.Unlock()
	l.say("publish a\n")
	for i, err := range await(t, tried) {
		if err == nil || fault.KindOf(err) != fault.Internal {
			t.Errorf("try %d: %v", i, err)
		}
	}
	l.gets(d.backend, "publish a\n")
}

// TestMaskedPassesAreNotSpliced: what carries a mask is rebuilt, or not shown.
func TestMaskedPassesAreNotSpliced(t *testing.T) {
	d := newDesk()
	d.masks = fieldMask("x")
	l := openLine(t, d)
	l.Lock()
	defer l.Unlock()
	st := statement("deliver")
	p, err := l.Ask(t.Context(), l.Judge(&st), Request{Arrives: true, Message: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Reply(p, []byte("x")); err == nil || fault.KindOf(err) != fault.Internal || !p.Masked() {
		t.Errorf("spliced: %v", err)
	}
	if err := l.Stage(p); err == nil || fault.KindOf(err) != fault.Internal {
		t.Errorf("what arrives was sent to the backend: %v", err)
	}
	clear, err := l.Ask(t.Context(), l.Judge(&st), Request{Arrives: true, Message: true, Clear: true})
	if err != nil || l.Reply(clear, []byte("x")) != nil {
		t.Errorf("clear: %v", err)
	}
	for _, p := range []Pass{p, clear} {
		_ = l.Done(p, Outcome{Status: access.StatusOK})
	}
}

type fieldMask string

func (m fieldMask) Field(r string) (access.Mask, bool) { return access.Mask{}, r == string(m) }
func (fieldMask) Fields() bool                         { return true }
func (fieldMask) Detect() []access.Detection           { return nil }
func (fieldMask) Document(string, access.Way) access.DocumentMasks {
	return access.DocumentMasks{}
}

// TestWaitingBytesAreDecidedAgain: what the backend does not take for a while does not leave under policies that forbid it by then.
func TestWaitingBytesAreDecidedAgain(t *testing.T) {
	d := newDesk()
	l := openLine(t, d)
	l.say("publish a\n")
	one := make([]byte, 1)
	if _, err := d.backend.Read(one); err != nil { // the writer is under way, and waits for the rest to be read
		t.Fatal(err)
	}
	l.Lock()
	st := statement("purge")
	h := l.Judge(&st)
	p, err := l.Ask(t.Context(), h, Request{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.StageRewrite(p, RewriteFrames, []byte("purge\n")); err != nil {
		t.Fatal(err)
	}
	d.decide = func(st *access.Statement, _ *access.Input) access.Verdict {
		if st.Text == "purge" {
			return access.Verdict{}
		}
		return allow
	}
	d.version++
	l.Unlock()
	l.gets(d.backend, "ublish a\n")
	if err := l.ended(); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("ended with %v", err)
	}
	_ = d.backend.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, _ := d.backend.Read(one); n > 0 {
		t.Error("it left")
	}
}

// TestDuplexEnds: whichever side ends, the other does, and everybody is told the first reason.
func TestDuplexEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*line)
		want fault.Kind
	}{
		"the client leaves":     {func(l *line) { _ = l.desk.client.Close() }, 0},
		"the backend goes":      {func(l *line) { _ = l.desk.backend.Close() }, fault.Backend},
		"somebody ends it":      {func(l *line) { l.end(fault.New(fault.Denied, "test", "revoked")) }, fault.Denied},
		"the protocol gives up": {func(l *line) { l.Stop(fault.New(fault.Malformed, "test", "nonsense")) }, fault.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			l := openLine(t, newDesk())
			l.say("publish a\n")
			l.gets(l.desk.backend, "publish a\n")
			c.end(l)
			err := l.ended()
			if c.want == 0 && err != nil || c.want != 0 && fault.KindOf(err) != c.want {
				t.Errorf("ended with %v", err)
			}
			if n := len(l.log.of(access.EventSessionClosed)); n != 1 {
				t.Errorf("closed %d times on record", n)
			}
		})
	}
}

// TestLastWordsFollowAWrite: what a side says last reaches the client although somebody else was writing when the session ended.
func TestLastWordsFollowAWrite(t *testing.T) {
	l := openLine(t, newDesk())
	l.Lock()
	_ = l.Show(Pass{}, []byte("first "))
	l.PushDown() // and waits for its reader
	l.Unlock()
	if _, err := l.desk.backend.Write([]byte("goodbye")); err != nil {
		t.Fatal(err)
	}
	_ = l.desk.backend.Close()
	select {
	case err := <-l.over:
		t.Fatalf("ended in the middle of a write: %v", err)
	case <-time.After(lastWords / 5):
	}
	l.gets(l.desk.client, "first goodbye")
	if err := l.ended(); fault.KindOf(err) != fault.Backend {
		t.Errorf("ended with %v", err)
	}
}

// TestSlowClientStopsTheBackend: what the client does not take is not read from the backend.
func TestSlowClientStopsTheBackend(t *testing.T) {
	l := openLine(t, newDesk())
	sent := 0
	chunk := bytes.Repeat([]byte("x"), 32<<10)
	for {
		_ = l.desk.backend.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := l.desk.backend.Write(chunk)
		sent += n
		if err != nil {
			break
		}
		if sent > 4*mostWaiting {
			t.Fatalf("took %d bytes that the client does not read", sent)
		}
	}
	l.Lock()
	defer l.Unlock()
	if l.Waiting() > 2*mostWaiting {
		t.Errorf("holds %d bytes", l.Waiting())
	}
}

// BenchmarkMessages measures what a message costs in the gate besides its digest: each by itself, and in windows.
func BenchmarkMessages(b *testing.B) {
	for name, each := range map[string]bool{"each": true, "windows": false} {
		b.Run(name, func(b *testing.B) {
			d := newDesk()
			d.decide = func(*access.Statement, *access.Input) access.Verdict {
				return access.Verdict{Effect: access.Allow, Record: access.Recording{Each: each, Messages: 1000, Within: time.Second}}
			}
			s := d.services()
			s.Recorder = &still{}
			near, far := net.Pipe()
			defer func() { _, _ = near.Close(), far.Close() }()
			g, err := Open(b.Context(), s, Caller{Session: "s1", Principal: &access.Principal{Issuer: "i", Subject: "s"}}, "db", statement("connect"), near, testLimits)
			if err != nil {
				b.Fatal(err)
			}
			l := g.Duplex(&Backend{})
			st := statement("publish")
			h := l.Judge(&st)
			b.ReportAllocs()
			l.Lock()
			defer l.Unlock()
			for b.Loop() {
				p, err := l.Ask(b.Context(), h, Request{Message: true, Clear: true})
				if err != nil {
					b.Fatal(err)
				}
				l.Count(p, [32]byte{}, 1000)
				if err := l.Done(p, Outcome{Status: access.StatusOK}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
