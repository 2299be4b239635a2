package gate

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// desk is everything that a gate asks, in memory, and the two far ends of its session.
type desk struct {
	version uint64
	decide  func(st *access.Statement, in *access.Input) access.Verdict
	masks   access.Masks

	estimates bool // decisions read estimates
	conn      access.Connection

	events      []access.Event
	failAppend  error
	failBarrier error
	barriers    []uint64

	filed  []access.Approval
	answer func(a *access.Approval) error // what Wait does with it
	spent  []string
	given  bool // what is asked for was approved before

	filing access.ApprovalState // in which state what is asked for is found; "" files it

	leased    int // times that the vault was asked
	failLease error

	backend net.Conn // the backend's own end
	client  net.Conn // the client's own end
}

var allow = access.Verdict{Effect: access.Allow}

func newDesk() *desk {
	d := &desk{version: 1, conn: access.Connection{Name: "db", Type: "test", Address: "backend.test:1", TLS: access.BackendTLS{Mode: "disable"}}}
	d.decide = func(*access.Statement, *access.Input) access.Verdict { return allow }
	d.answer = func(a *access.Approval) error { a.State = access.ApprovalApproved; return nil }
	return d
}

func (d *desk) Version() (uint64, error) { return d.version, nil }

func (d *desk) Rules(_ *access.Principal, name string) (Rules, *access.Connection, error) {
	if name != d.conn.Name {
		return nil, nil, fault.New(fault.Denied, "test", "no such connection")
	}
	c := d.conn
	return deskRules{d}, &c, nil
}

type deskRules struct{ *desk }

// Static says that whatever is named dynamic is decided by its input.
func (r deskRules) Static(st *access.Statement) (access.Verdict, bool) {
	if strings.HasPrefix(st.Text, "dynamic") {
		return access.Verdict{}, false
	}
	return r.decide(st, nil), true
}

func (r deskRules) Decide(st *access.Statement, in *access.Input) access.Verdict {
	return r.decide(st, in)
}
func (r deskRules) Masks() access.Masks { return r.masks }
func (r deskRules) Estimates(*access.Statement) bool {
	return r.estimates
}
func (deskRules) Roles() []string { return []string{"role"} }

func (d *desk) Append(e *access.Event) (uint64, error) {
	if d.failAppend != nil {
		return 0, d.failAppend
	}
	d.events = append(d.events, *e)
	return uint64(len(d.events)), nil
}

func (d *desk) Barrier(seq uint64) error {
	d.barriers = append(d.barriers, seq)
	return d.failBarrier
}

func (d *desk) Request(_ context.Context, a access.Approval) (access.Approval, error) {
	if a.ID = "a1"; d.given {
		a.State = access.ApprovalApproved
	}
	if d.filing != "" {
		a.State = d.filing
	}
	d.filed = append(d.filed, a)
	return a, nil
}

func (d *desk) Get(_ context.Context, id string) (access.Approval, error) {
	for _, a := range d.filed {
		if a.ID == id {
			return a, nil
		}
	}
	return access.Approval{}, fault.New(fault.NotFound, "test", "there is no approval %s", id)
}

func (d *desk) Wait(ctx context.Context, id string) (access.Approval, error) {
	a := d.filed[len(d.filed)-1]
	return a, errors.Join(d.answer(&a), ctx.Err())
}

func (d *desk) Spend(_ context.Context, id, digest, principal string) error {
	a := d.filed[len(d.filed)-1]
	if id != a.ID || digest != a.Digest || principal != a.Principal {
		return fault.New(fault.Conflict, "test", "the approval is for something else")
	}
	d.spent = append(d.spent, id)
	return nil
}

func (d *desk) Lease(context.Context, access.Credential) (access.Secret, error) {
	d.leased++
	if d.failLease != nil {
		return access.Secret{}, d.failLease
	}
	return access.NewSecret([]byte("backend-password")), nil
}

func (*desk) Token(v string) string { return "<" + strings.Repeat("t", len(v)%5+1) + ">" }
func (*desk) Sensitive(d []access.Detection, v string) bool {
	return len(d) > 0 && strings.Contains(v, "@")
}

func (d *desk) services() *Services {
	return &Services{Authority: d, Recorder: d, Approvals: d, Vault: d, Tokens: d, Clock: time.Now,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			d.backend = far
			return near, nil
		},
		Digest: func(c, p, text string, params []any) string { return c + p + text },
	}
}

var testLimits = Limits{Message: 1 << 16, Staged: 1 << 16, Actions: 8}

// open opens a gate with a backend, whose bytes the test reads from d.backend.
func (d *desk) open(t *testing.T) *Gate {
	t.Helper()
	s := d.services()
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
	g.Attach(b)
	t.Cleanup(func() {
		for _, c := range []net.Conn{d.backend, d.client, near} {
			_ = c.Close()
		}
		_ = b.Close()
	})
	return g
}

func statement(text string) access.Statement {
	return access.Statement{Text: text, Normal: text, Fingerprint: text, Bounded: true,
		Actions: []access.Action{{Name: "test:Do", Resource: "db/thing"}}}
}

// say puts bytes into the client's stream and returns their range.
func (d *desk) say(t *testing.T, g *Gate, text string) (from, to int64) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = d.client.Write([]byte(text))
	}()
	before := len(g.Client().Unread())
	if err := g.Client().Fill(before + len(text)); err != nil {
		t.Fatal(err)
	}
	<-done
	from = g.Client().Offset() + int64(before)
	return from, from + int64(len(text))
}

// flushed flushes and returns what the backend read.
func (d *desk) flushed(t *testing.T, g *Gate, want int) string {
	t.Helper()
	got := make(chan string)
	go func() {
		b := make([]byte, want+100)
		n, _ := d.backend.Read(b)
		got <- string(b[:n])
	}()
	if err := g.Flush(); err != nil {
		t.Fatal(err)
	}
	return <-got
}

// nothing fails where the backend was sent anything.
func (d *desk) untouched(t *testing.T, do func()) {
	t.Helper()
	_ = d.backend.SetReadDeadline(time.Now().Add(time.Hour))
	got := make(chan int)
	go func() {
		n, _ := d.backend.Read(make([]byte, 1))
		got <- n
	}()
	do()
	_ = d.backend.SetReadDeadline(past)
	if n := <-got; n > 0 {
		t.Error("the backend was sent something")
	}
	_ = d.backend.SetReadDeadline(time.Time{})
}

func (d *desk) kinds(k access.EventKind) []access.Event {
	var out []access.Event
	for _, e := range d.events {
		if e.Kind == k {
			out = append(out, e)
		}
	}
	return out
}
