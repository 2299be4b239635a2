package amqp

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/policy"
	server "gatehouse/internal/session"
	"gatehouse/internal/wire"
)

// patience bounds whatever a test waits for.
const patience = 10 * time.Second

// world is a gateway in this process before a broker that the test plays: real policies, no other service.
type world struct {
	t       *testing.T
	address string // of the gateway
	back    net.Listener
	tune    connectionTune // what the broker offers
	options access.AMQPOptions

	mu     sync.Mutex
	set    *policy.Set
	events []access.Event
}

// newWorld starts one whose role app has the statements.
func newWorld(t *testing.T, statements ...access.PolicyStatement) *world {
	t.Helper()
	w := &world{t: t, tune: connectionTune{ChannelMax: channelMost, FrameMax: frameMost}, back: listening(t)}
	w.rules(statements...)
	services := &gate.Services{Authority: w, Recorder: w, Approvals: nobody{}, Vault: w, Tokens: w, Clock: time.Now, Pools: gate.NewPools(time.Now),
		Dial:   (&net.Dialer{}).DialContext,
		Digest: func(c, p, text string, _ []any) string { return c + p + text }}
	var ids atomic.Int64
	s := server.NewServer(server.Options{Gate: services, Identity: w, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Refusal: func(error) (string, error) {
			return "r1", fault.New(fault.Unauthenticated, "test", "authentication failed (ref r1)")
		},
		NewID:    func() (string, error) { return "s" + strconv.FormatInt(ids.Add(1), 10), nil },
		Sessions: 1000, Login: patience, Grace: time.Minute})
	hello := wire.Hello{Plaintext: true, TLS: &tls.Config{MinVersion: tls.VersionTLS13}, Limits: gate.Limits{Message: 1 << 20, Staged: 1 << 20, Actions: 64}}
	p := New(testDeps())
	l := listening(t)
	w.address = l.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { s.Serve(ctx, conn, p, hello) })
		}
	})
	t.Cleanup(func() {
		stop()
		_ = l.Close()
		open.Wait()
	})
	return w
}

func listening(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// rules puts other statements in force.
func (w *world) rules(statements ...access.PolicyStatement) {
	w.t.Helper()
	verbs := verbs()
	names := make([]policy.ActionName, len(verbs))
	for i, v := range verbs {
		names[i] = policy.ActionName{Name: v.Name, Implied: v.Implied}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	version := uint64(1)
	if w.set != nil {
		version += w.set.Version()
	}
	options := w.options
	set, err := policy.Compile(policy.Documents{
		Issuers:  []*access.Issuer{{Name: "i", URL: "https://issuer.example", Audiences: []string{"gatehouse"}}},
		Policies: []*access.Policy{{Name: "app", Statements: statements}},
		Connections: []*access.Connection{{Name: "jobs", Type: name, Address: w.back.Addr().String(), TLS: access.BackendTLS{Mode: "disable"},
			Credential: access.Credential{User: "app", Secret: "jobs"}, AMQP: &options}},
		Roles: []*access.Role{{Name: "app", Bind: []access.Binding{{Issuer: "i", Condition: "true"}}, Policies: []string{"app"}}},
	}, []policy.Vocabulary{{Type: name, Actions: names, Documents: true}}, version)
	if err != nil {
		w.t.Fatal(err)
	}
	w.set = set
}

// Version implements gate.Authority.
func (w *world) Version() (uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.set.Version(), nil
}

type testRules struct{ *policy.Rules }

func (r testRules) ReadsBody(st *access.Statement) bool {
	return r.Needs(st)&policy.NeedsBody != 0 || r.MayHold(st)
}

// Rules implements gate.Authority.
func (w *world) Rules(p *access.Principal, connection string) (gate.Rules, *access.Connection, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, err := w.set.Rules(p, connection)
	if err != nil {
		return nil, nil, err
	}
	return testRules{r}, r.Connection(), nil
}

// Append implements gate.Recorder.
func (w *world) Append(e *access.Event) (uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, *e)
	return uint64(len(w.events)), nil
}

// Barrier implements gate.Recorder.
func (w *world) Barrier(uint64) error { return nil }

// Lease implements gate.Vault.
func (w *world) Lease(context.Context, access.Credential) (access.Secret, error) {
	return access.NewSecret([]byte("the broker's own")), nil
}

// Token implements gate.Tokens.
func (w *world) Token(string) string { return "token" }

// Sensitive implements gate.Tokens.
func (w *world) Sensitive([]access.Detection, string) bool { return false }

// Verify implements session.Identity.
func (w *world) Verify(context.Context, access.Secret) (*access.Principal, error) {
	return &access.Principal{Issuer: "https://issuer.example", Subject: "a", Kind: access.Workload, Claims: map[string]any{"sub": "a"},
		Expires: time.Now().Add(time.Hour)}, nil
}

// nobody are reviewers who are never there.
type nobody struct{}

func (nobody) Request(_ context.Context, a access.Approval) (access.Approval, error) {
	return a, errNobody
}
func (nobody) Get(context.Context, string) (access.Approval, error) {
	return access.Approval{}, errNobody
}
func (nobody) Wait(context.Context, string) (access.Approval, error) {
	return access.Approval{}, errNobody
}
func (nobody) Spend(context.Context, string, string, string) error { return errNobody }

var errNobody = errors.New("nobody reviews here")

// peer is a client, or the broker, that says what the test likes.
type peer struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
	all  []byte // whatever it read
}

func newPeer(t *testing.T, conn net.Conn) *peer {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &peer{t: t, conn: conn, r: bufio.NewReaderSize(conn, 1<<18)}
}

func (p *peer) say(b ...[]byte) {
	p.t.Helper()
	if _, err := p.conn.Write(slices.Concat(b...)); err != nil {
		p.t.Fatal(err)
	}
}

// hears reads up to a method with one of the ids, and returns it with its channel.
func (p *peer) hears(ids ...methodID) (method, uint16) {
	p.t.Helper()
	for {
		f, err := readFrame(p.r)
		if err != nil {
			p.t.Fatalf("waiting for %v: %v; heard %.2000q", ids, err, p.all)
		}
		p.all = append(p.all, f.raw...)
		if f.kind != frameMethod || !slices.Contains(ids, peekID(f.payload)) {
			continue
		}
		m, err := decodeMethod(f.payload)
		if err != nil {
			p.t.Fatal(err)
		}
		return m, f.channel
	}
}

// body reads the content that comes next.
func (p *peer) body() string {
	p.t.Helper()
	h, err := readFrame(p.r)
	if err != nil || h.kind != frameHeader {
		p.t.Fatalf("no header: %v %v", h.kind, err)
	}
	p.all = append(p.all, h.raw...)
	size := int(binary.BigEndian.Uint64(h.payload[4:]))
	var out strings.Builder
	for out.Len() < size {
		f, err := readFrame(p.r)
		if err != nil || f.kind != frameBody {
			p.t.Fatalf("no body: %v %v", f.kind, err)
		}
		p.all = append(p.all, f.raw...)
		out.Write(f.payload)
	}
	return out.String()
}

// heard reports whether a text was among what was read.
func (p *peer) heard(text string) bool { return strings.Contains(string(p.all), text) }

// begin logs a client in that sends more at once, and accepts it as the broker.
func (w *world) begin() (client, broker *peer) {
	w.t.Helper()
	client = w.dial()
	conn, err := w.back.Accept()
	if err != nil {
		w.t.Fatal(err)
	}
	broker = newPeer(w.t, conn)
	w.greet(broker)
	client.hears(idConnectionOpenOk)
	return client, broker
}

func (w *world) dial() *peer {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.address)
	if err != nil {
		w.t.Fatal(err)
	}
	client := newPeer(w.t, conn)
	b := appendMethod([]byte(version), 0, &connectionStartOk{Mechanism: "PLAIN", Response: []byte("\x00fn\x00good"), Locale: "en_US"})
	b = appendMethod(b, 0, &connectionTuneOk{ChannelMax: channelMost, FrameMax: frameMost})
	client.say(b, appendMethod(nil, 0, &connectionOpen{VirtualHost: "jobs"}))
	return client
}

// greet takes the gateway's login.
func (w *world) greet(broker *peer) {
	w.t.Helper()
	if _, err := io.ReadFull(broker.r, make([]byte, protoHead)); err != nil {
		w.t.Fatal(err)
	}
	broker.say(appendMethod(nil, 0, &connectionStart{Minor: 9, Mechanisms: []byte("PLAIN"), Locales: []byte("en_US")}))
	broker.hears(idConnectionStartOk)
	tune := w.tune
	broker.say(appendMethod(nil, 0, &tune))
	broker.hears(idConnectionTuneOk)
	broker.hears(idConnectionOpen)
	broker.say(appendMethod(nil, 0, &connectionOpenOk{}))
}

// open opens a channel on both sides.
func open(client, broker *peer, n uint16) {
	client.t.Helper()
	client.say(appendMethod(nil, n, &channelOpen{}))
	broker.hears(idChannelOpen)
	broker.say(appendMethod(nil, n, &channelOpenOk{}))
	client.hears(idChannelOpenOk)
}

// message is a method with content, as it is sent.
func contentOf(n uint16, m method, p *properties, body string) []byte {
	return appendContent(appendMethod(nil, n, m), n, appendHeader(nil, uint64(len(body)), p), []byte(body), frameMost)
}

func allow(actions, resources string) access.PolicyStatement {
	return access.PolicyStatement{Effect: "allow", Actions: strings.Split(actions, " "), Resources: strings.Split(resources, " ")}
}

// hide masks ssn in messages of a resource, on the way that in says.
func hide(resource, in string) access.PolicyStatement {
	return access.PolicyStatement{Effect: "mask", Resources: []string{resource}, Fields: []string{"$.ssn"}, In: in, With: &access.MaskWith{Word: "redact"}}
}
