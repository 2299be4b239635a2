package wiretest

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire"
)

// patience bounds whatever a test waits for.
const patience = 10 * time.Second

// nowhere is the backend's address in the connection's document: who dials it past the tap reaches nobody.
const nowhere = "backend.invalid:1"

// world is one gateway with services in memory, before a real backend.
type world struct {
	t *testing.T
	s *Suite

	authority *authority
	recorder  *recorder
	approvals *approving
	tap       *tap
	pools     *gate.Pools
	protocol  wire.Protocol
	principal *access.Principal // whom the good token names
	serve     func(context.Context, net.Conn, wire.Protocol, wire.Hello)

	marks  int
	ids    atomic.Int64
	ending sync.WaitGroup
}

func newWorld(t *testing.T, s *Suite) *world {
	t.Helper()
	conn := s.Connection
	w := &world{t: t, s: s, approvals: newApproving(), tap: &tap{address: conn.Address}, pools: gate.NewPools(s.Clock), protocol: s.Protocol()}
	w.principal = &access.Principal{Issuer: "https://issuer.example", Subject: "fn", Kind: access.Workload,
		Claims: map[string]any{"sub": "fn"}, Expires: s.Clock().Add(time.Hour)}
	conn.Address = nowhere
	w.authority = &authority{version: 1, conn: conn}
	w.recorder = &recorder{sent: w.tap.sent}
	w.serve = s.Serve(Parts{
		Gate: &gate.Services{Authority: w.authority, Recorder: w.recorder, Approvals: w.approvals, Vault: vault{s.Password},
			Tokens: tokens{}, Dial: w.tap.dial, Clock: s.Clock, Pools: w.pools, Digest: digest},
		Identity: identity{w},
		Refusal: func(error) (string, error) {
			return "r1", fault.New(fault.Unauthenticated, "wiretest", "authentication failed (ref r1)")
		},
		NewID: func() (string, error) { return "s" + strconv.FormatInt(w.ids.Add(1), 10), nil },
		Log:   slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	t.Cleanup(w.ending.Wait)
	return w
}

// mark returns a word that no other request of this world holds.
func (w *world) mark(kind string) string {
	w.marks++
	return kind + "_" + strconv.Itoa(w.marks) + "_"
}

// client is one client connection.
type client struct {
	w       *world
	conn    net.Conn
	r       *bufio.Reader
	in      *pump
	revoke  context.CancelCauseFunc
	over    chan struct{} // closed when the server is done with it
	sent    []byte        // what was sent and must have reached the backend, in order
	welcome Answer
}

// connect opens a connection and sends nothing. The pipe holds nothing: a write returns when the server has read it, so
// that where a client cuts, the server reads a cut.
func (w *world) connect(t *testing.T) *client {
	near, far := net.Pipe()
	ctx, revoke := context.WithCancelCause(context.Background())
	c := &client{w: w, conn: near, revoke: revoke, over: make(chan struct{})}
	in := &pump{open: make(chan struct{})}
	close(in.open)
	c.in = in
	in.more = sync.NewCond(&in.mu)
	c.r = bufio.NewReader(in)
	_ = near.SetDeadline(w.s.Clock().Add(patience))
	w.ending.Go(func() { in.run(near) })
	w.ending.Go(func() {
		w.serve(ctx, far, w.protocol, wire.Hello{Plaintext: true, Limits: gate.Limits{Message: MaxMessage, Staged: 1 << 20, Actions: 64}})
		close(c.over)
	})
	t.Cleanup(func() {
		c.leave()
		revoke(nil)
	})
	return c
}

// pump reads whatever the server says, so that it never waits for its client.
type pump struct {
	mu   sync.Mutex
	open chan struct{} // closed while it reads
	more *sync.Cond
	buf  []byte
	err  error
}

func (p *pump) run(conn net.Conn) {
	b := make([]byte, 4096)
	for {
		p.mu.Lock()
		open := p.open
		p.mu.Unlock()
		<-open
		n, err := conn.Read(b)
		p.mu.Lock()
		p.buf, p.err = append(p.buf, b[:n]...), err
		p.more.Signal()
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// hold makes the pump stop after its next read, until the returned function is called.
func (p *pump) hold() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = make(chan struct{})
	return sync.OnceFunc(func() { close(p.open) })
}

// Read implements io.Reader.
func (p *pump) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.buf) == 0 && p.err == nil {
		p.more.Wait()
	}
	if len(p.buf) == 0 {
		return 0, p.err
	}
	n := copy(b, p.buf)
	p.buf = p.buf[n:]
	return n, nil
}

// send writes, and forgives a server that has closed: what it said is what counts.
func (c *client) send(b []byte) { _, _ = c.conn.Write(b) }

// login connects and logs in.
func (w *world) login(t *testing.T) *client {
	t.Helper()
	c := w.connect(t)
	c.send(w.s.Login(w.s.Connection.Name, goodToken))
	c.welcomed(t)
	return c
}

func (c *client) welcomed(t *testing.T) {
	t.Helper()
	a, err := c.w.s.Welcome(c.r)
	if err != nil || a.Refused != "" {
		t.Fatalf("login: %v %q", err, a.Refused)
	}
	c.welcome = a
}

func (c *client) answer(t *testing.T) Answer {
	t.Helper()
	a, err := c.w.s.Answer(c.r)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return a
}

// walk takes steps.
func (c *client) walk(t *testing.T, steps []Step) {
	t.Helper()
	for i, s := range steps {
		c.sent = append(c.sent, s.Send...)
		c.send(s.Send)
		if s.Await == nil {
			continue
		}
		if _, err := s.Await(c.r); err != nil {
			t.Fatalf("step %d: %v", i+1, err)
		}
	}
}

// good asks for something permitted in a state, and checks the answer.
func (c *client) good(t *testing.T, st *State) {
	t.Helper()
	mark := c.w.mark("good")
	request := st.Request(mark)
	if !st.Fails {
		c.sent = append(c.sent, request...)
	}
	c.send(request)
	c.check(t, c.answer(t), mark, st)
}

func (c *client) check(t *testing.T, a Answer, mark string, st *State) {
	t.Helper()
	switch {
	case st.Fails && a.Refused == "":
		t.Errorf("answered in a state in which the server fails everything: %+v", a)
	case !st.Fails && (a.Refused != "" || !strings.Contains(a.Data, mark)):
		t.Errorf("want an answer with %s, got %+v", mark, a)
	}
	if a.State != st.After {
		t.Errorf("after an answer the state is %q, want %q", a.State, st.After)
	}
}

// leave closes the connection and waits for the server to be done.
func (c *client) leave() {
	_ = c.conn.Close()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-c.over:
	case <-late.C:
		c.w.t.Error("the session outlives its client")
		c.revoke(nil)
		<-c.over
	}
}

// closed waits until every line to the backend is closed.
func (w *world) closed(t *testing.T) {
	t.Helper()
	w.pools.Close() // what is idle there is nobody's: what is still on lease stays open
	w.tap.mu.Lock()
	lines := append([]*line(nil), w.tap.lines...)
	w.tap.mu.Unlock()
	late := time.NewTimer(patience)
	defer late.Stop()
	for i, l := range lines {
		select {
		case <-l.closed:
		case <-late.C:
			t.Fatalf("connection %d to the backend is still open", i+1)
		}
	}
}

// each runs a test in every state in which something can be asked.
func each(t *testing.T, s *Suite, run func(t *testing.T, st *State)) {
	for i := range s.States {
		st := &s.States[i]
		t.Run(st.Name, func(t *testing.T) { run(t, st) })
	}
}
