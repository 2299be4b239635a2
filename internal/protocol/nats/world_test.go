package nats

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"

	"gatehouse/e2e/mqtest"
	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/policy"
	server "gatehouse/internal/session"
	"gatehouse/internal/wire"
)

// patience bounds whatever a test waits for.
const patience = 10 * time.Second

// shared is the server of this package's tests.
var shared = sync.OnceValues(func() (*mqtest.NATS, error) {
	return mqtest.NewNATS(context.Background(), mqtest.NATSOptions{Plain: true})
})

func TestMain(m *testing.M) {
	code := m.Run()
	if s, err := shared(); err == nil {
		if err := s.Stop(); err != nil {
			code = 1
		}
	}
	os.Exit(code)
}

func natsServer(t *testing.T) *mqtest.NATS {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// world is a gateway in this process before the shared server: real policies, no other service.
type world struct {
	t         *testing.T
	back      *mqtest.NATS
	address   string
	approvals *reviewers
	tls       access.BackendTLS

	mu     sync.Mutex
	set    *policy.Set
	events []access.Event
	server *server.Server
}

// newWorld starts one whose role app has the statements.
func newWorld(t *testing.T, statements ...access.PolicyStatement) *world {
	t.Helper()
	return newWorldAt(t, natsServer(t), wire.Hello{Plaintext: true, TLS: &tls.Config{}}, statements...)
}

// newWorldAt is newWorld before another server, with another listener.
func newWorldAt(t *testing.T, back *mqtest.NATS, hello wire.Hello, statements ...access.PolicyStatement) *world {
	t.Helper()
	w := &world{t: t, back: back, approvals: newReviewers(), tls: access.BackendTLS{Mode: "disable"}}
	if back.CAFile != "" && hello.Domain != "" {
		w.tls = access.BackendTLS{CAFile: back.CAFile}
	}
	hello.Limits = gate.Limits{Message: 1 << 20, Staged: 1 << 20, Actions: 64}
	w.rules(statements...)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.address = l.Addr().String()
	services := &gate.Services{Authority: w, Recorder: w, Approvals: w.approvals, Vault: w, Tokens: w, Clock: time.Now, Pools: gate.NewPools(time.Now),
		Dial:   (&net.Dialer{}).DialContext,
		Digest: func(c, p, text string, _ []any) string { return c + p + text }}
	var ids atomic.Int64
	w.server = server.NewServer(server.Options{Gate: services, Identity: w, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Refusal: func(error) (string, error) {
			return "r1", fault.New(fault.Unauthenticated, "test", "authentication failed (ref r1)")
		},
		NewID:    func() (string, error) { return "s" + strconv.FormatInt(ids.Add(1), 10), nil },
		Sessions: 1000, Login: patience, Grace: time.Minute})
	p := New(testDeps())
	ctx, stop := context.WithCancel(context.Background())
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				w.server.Serve(ctx, conn, p, hello)
			})
		}
	})
	t.Cleanup(func() {
		stop()
		_ = l.Close()
		open.Wait()
	})
	return w
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
	set, err := policy.Compile(policy.Documents{
		Issuers:  []*access.Issuer{{Name: "i", URL: "https://issuer.example", Audiences: []string{"gatehouse"}}},
		Policies: []*access.Policy{{Name: "app", Statements: statements}},
		Connections: []*access.Connection{{Name: "jobs", Type: "nats", Address: w.back.Address(), TLS: w.tls,
			Credential: access.Credential{User: mqtest.AppUser, Secret: "jobs"}}},
		Roles: []*access.Role{{Name: "app", Bind: []access.Binding{{Issuer: "i", Condition: "true"}}, Policies: []string{"app"}}},
	}, []policy.Vocabulary{{Type: "nats", Actions: names, Documents: true, Messages: true}}, version)
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
	return access.NewSecret([]byte(mqtest.AppPassword)), nil
}

// Token implements gate.Tokens.
func (w *world) Token(string) string { return "token" }

// Sensitive implements gate.Tokens.
func (w *world) Sensitive([]access.Detection, string) bool { return false }

// Verify implements session.Identity: a token is good where it begins so, and what follows is the subject.
func (w *world) Verify(_ context.Context, token access.Secret) (*access.Principal, error) {
	subject, ok := strings.CutPrefix(string(token.Reveal()), "good-")
	if !ok {
		return nil, fault.New(fault.Unauthenticated, "test", "no such token")
	}
	return &access.Principal{Issuer: "https://issuer.example", Subject: subject, Kind: access.Workload, Claims: map[string]any{"sub": subject},
		Expires: time.Now().Add(time.Hour)}, nil
}

// recorded returns the events of a kind so far.
func (w *world) recorded(kind access.EventKind) []access.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []access.Event
	for _, e := range w.events {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// reviewers is a waiting room in which the test answers.
type reviewers struct {
	asked   chan access.Approval
	answers chan access.ApprovalState
	mu      sync.Mutex
	last    access.Approval
	n       int
}

func newReviewers() *reviewers {
	return &reviewers{asked: make(chan access.Approval, 100), answers: make(chan access.ApprovalState)}
}

// Request implements gate.Approvals.
func (r *reviewers) Request(_ context.Context, a access.Approval) (access.Approval, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	a.ID = "a" + strconv.Itoa(r.n)
	r.last = a
	r.asked <- a
	return a, nil
}

// Get implements gate.Approvals.
func (r *reviewers) Get(context.Context, string) (access.Approval, error) {
	return access.Approval{}, errors.New("nobody asks")
}

// Wait implements gate.Approvals.
func (r *reviewers) Wait(ctx context.Context, id string) (access.Approval, error) {
	select {
	case state := <-r.answers:
		r.mu.Lock()
		defer r.mu.Unlock()
		a := r.last
		a.ID, a.State = id, state
		return a, nil
	case <-ctx.Done():
		return access.Approval{}, ctx.Err()
	}
}

// Spend implements gate.Approvals.
func (*reviewers) Spend(context.Context, string, string, string) error { return nil }

// connect is a stock client through the gateway. Errors that arrive by themselves go to errs.
func (w *world) connect(subject string, o ...client.Option) (*client.Conn, chan error) {
	w.t.Helper()
	errs := make(chan error, 100)
	c, err := client.Connect("nats://"+w.address, append([]client.Option{client.UserInfo("jobs", "good-"+subject), client.Timeout(patience), client.NoReconnect(),
		client.ErrorHandler(func(_ *client.Conn, _ *client.Subscription, err error) { errs <- err })}, o...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	return c, errs
}

// direct is a stock client at the server itself.
func (w *world) direct() *client.Conn {
	w.t.Helper()
	c, err := client.Connect(w.back.URL("nats", mqtest.AppUser, mqtest.AppPassword))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	return c
}

func allow(actions, resources string) access.PolicyStatement {
	return access.PolicyStatement{Effect: "allow", Actions: strings.Split(actions, " "), Resources: strings.Split(resources, " ")}
}

func deny(actions, resources string) access.PolicyStatement {
	return access.PolicyStatement{Effect: "deny", Actions: strings.Split(actions, " "), Resources: strings.Split(resources, " ")}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// next returns the next message of a subscription.
func next(t *testing.T, s *client.Subscription) *client.Msg {
	t.Helper()
	return must[*client.Msg](t)(s.NextMsg(patience))
}

// violation waits for an error of the server's own that holds words.
func violation(t *testing.T, errs chan error, words string) {
	t.Helper()
	select {
	case err := <-errs:
		if !strings.Contains(err.Error(), words) {
			t.Errorf("want %q, got %v", words, err)
		}
	case <-time.After(patience):
		t.Errorf("nobody said %q", words)
	}
}

// principal is somebody with the role.
func (w *world) principal() *access.Principal {
	return &access.Principal{Issuer: "https://issuer.example", Subject: "a", Kind: access.Workload, Claims: map[string]any{"sub": "a"}, Expires: time.Now().Add(time.Hour)}
}
