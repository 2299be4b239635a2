package gate

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// endpoint is a desk whose backend is an HTTP server.
type endpoint struct {
	*desk
	server *httptest.Server
	visit  *Visit
	now    time.Time

	mu     sync.Mutex
	dialed []string
	got    []string // method, target, headers X-Judged and Authorization, and body of each request
	answer http.HandlerFunc
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	e := &endpoint{desk: newDesk(), now: time.Unix(1e9, 0), answer: func(http.ResponseWriter, *http.Request) {}}
	e.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		e.got = append(e.got, strings.Join([]string{r.Method, r.RequestURI, r.Header.Get("X-Judged"), r.Header.Get("Authorization"), string(body)}, " "))
		answer := e.answer
		e.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(e.server.Close)
	e.conn.Address = "http://backend.test:80"
	e.conn.Credential = access.Credential{User: "app", Secret: "s"}
	s := e.services()
	s.Clock = func() time.Time { return e.now }
	s.Origins = NewOrigins(s.Clock)
	t.Cleanup(s.Origins.Close)
	s.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		e.mu.Lock()
		e.dialed = append(e.dialed, address)
		e.mu.Unlock()
		var d net.Dialer
		return d.DialContext(ctx, network, e.server.Listener.Addr().String())
	}
	p := &access.Principal{Issuer: "i", Subject: "s", Kind: access.Workload}
	var err error
	e.visit, err = Visited(t.Context(), s, Caller{Session: "s1", Principal: p, Protocol: "test"}, "db", statement("connect"), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *endpoint) exchange(t *testing.T) *Exchange {
	t.Helper()
	x, err := e.visit.Exchange(func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Leave)
	return x
}

func outgoing(method, target, body string) Outgoing {
	u, err := url.Parse(target)
	if err != nil {
		panic(err) // the test's own
	}
	return Outgoing{Method: method, URL: u, Header: http.Header{"X-Judged": {"yes"}}, Body: []byte(body)}
}

// arrived is what the backend got.
func (e *endpoint) arrived() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.got
}

func bearer(_ context.Context, r *http.Request, c Credential) error {
	r.Header.Set("Authorization", c.User+":"+string(c.Password.Reveal()))
	return nil
}

// TestExchangeSendsWhatWasJudged: whatever becomes of the values that a request was made of, and whatever Host it names, what
// was judged goes to where the document says, once, with the credential, after its record.
func TestExchangeSendsWhatWasJudged(t *testing.T) {
	e := newEndpoint(t)
	x := e.exchange(t)
	out := outgoing("POST", "http://backend.test:80/v1/a%2Fb?q=1", "body")
	out.Host = "elsewhere.test"
	st := statement("POST /v1/a")
	p, err := x.Ask(t.Context(), x.Judge(&st), Request{}, out)
	if err != nil {
		t.Fatal(err)
	}
	out.Header.Set("X-Judged", "no")
	out.URL.Path, out.URL.RawPath, out.URL.Host = "/evil", "", "evil.test"
	resp, err := x.Send(t.Context(), p, bearer)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := e.arrived(); len(got) != 1 || got[0] != "POST /v1/a%2Fb?q=1 yes app:backend-password body" {
		t.Errorf("the backend got %q", got)
	}
	if len(e.dialed) != 1 || e.dialed[0] != "backend.test:80" {
		t.Errorf("dialled %q", e.dialed)
	}
	if n, digest := x.Digest(); n != 4 || digest != "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5" {
		t.Errorf("%d bytes, digest %s", n, digest)
	}
	if _, err := x.Send(t.Context(), p, bearer); fault.KindOf(err) != fault.Internal {
		t.Errorf("sent twice: %v", err)
	}
	if err := x.Done(p, Outcome{Status: access.StatusOK}); err != nil {
		t.Fatal(err)
	}
	if n, m := len(e.kinds(access.EventActionIntended)), len(e.kinds(access.EventActionEnded)); n != 1 || m != 1 {
		t.Errorf("%d intents, %d outcomes", n, m)
	}
}

// TestExchangeSendsNothing: a stream of no bytes is sent as no body, with its length.
func TestExchangeSendsNothing(t *testing.T) {
	e := newEndpoint(t)
	var length []string
	e.answer = func(_ http.ResponseWriter, r *http.Request) { length = r.Header["Content-Length"] }
	x := e.exchange(t)
	out := outgoing("PUT", "http://backend.test:80/empty", "")
	out.Body, out.Stream = nil, io.NopCloser(strings.NewReader(""))
	st := statement("PUT /empty")
	p, err := x.Ask(t.Context(), x.Judge(&st), Request{}, out)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := x.Send(t.Context(), p, bearer)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if len(length) != 1 || length[0] != "0" {
		t.Errorf("the length is %q", length)
	}
	if err := x.Done(p, Outcome{Status: access.StatusOK}); err != nil {
		t.Fatal(err)
	}
}

// TestExchangeRefuses: nothing is sent without a fresh permit of this request, a lasting record, and an origin that the document
// names.
func TestExchangeRefuses(t *testing.T) {
	const good = "http://backend.test:80/x"
	ask := func(t *testing.T, x *Exchange, target string) (Permit, error) {
		st := statement("GET /x")
		return x.Ask(t.Context(), x.Judge(&st), Request{}, outgoing("GET", target, ""))
	}
	for name, try := range map[string]func(t *testing.T, e *endpoint, x *Exchange) error{
		"the zero permit": func(t *testing.T, _ *endpoint, x *Exchange) error {
			_, err := x.Send(t.Context(), Permit{}, bearer)
			return err
		},
		"another request's permit": func(t *testing.T, e *endpoint, x *Exchange) error {
			p, err := ask(t, e.exchange(t), good)
			if err != nil {
				t.Fatal(err)
			}
			_, err = x.Send(t.Context(), p, bearer)
			return err
		},
		"an older permit of the same gate": func(t *testing.T, _ *endpoint, x *Exchange) error {
			p, _ := ask(t, x, good)
			_, _ = ask(t, x, good)
			_, err := x.Send(t.Context(), p, bearer)
			return err
		},
		"the record does not last": func(t *testing.T, e *endpoint, x *Exchange) error {
			p, _ := ask(t, x, good)
			e.failBarrier = errors.New("full")
			_, err := x.Send(t.Context(), p, bearer)
			return err
		},
		"the vault is shut": func(t *testing.T, e *endpoint, x *Exchange) error {
			p, _ := ask(t, x, good)
			e.failLease = errors.New("sealed")
			_, err := x.Send(t.Context(), p, bearer)
			return err
		},
		"a signer that changes the path": func(t *testing.T, _ *endpoint, x *Exchange) error {
			p, _ := ask(t, x, good)
			_, err := x.Send(t.Context(), p, func(_ context.Context, r *http.Request, _ Credential) error { r.URL.Path = "/y"; return nil })
			return err
		},
		"a signer that changes the host": func(t *testing.T, _ *endpoint, x *Exchange) error {
			p, _ := ask(t, x, good)
			_, err := x.Send(t.Context(), p, func(_ context.Context, r *http.Request, _ Credential) error { r.URL.Host = "evil.test"; return nil })
			return err
		},
		"a signer that changes the method": func(t *testing.T, _ *endpoint, x *Exchange) error {
			p, _ := ask(t, x, good)
			_, err := x.Send(t.Context(), p, func(_ context.Context, r *http.Request, _ Credential) error { r.Method = "DELETE"; return nil })
			return err
		},
		"another host": func(t *testing.T, _ *endpoint, x *Exchange) error {
			_, err := ask(t, x, "http://evil.test:80/x")
			return err
		},
		"another port": func(t *testing.T, _ *endpoint, x *Exchange) error {
			_, err := ask(t, x, "http://backend.test:81/x")
			return err
		},
		"another scheme": func(t *testing.T, _ *endpoint, x *Exchange) error {
			_, err := ask(t, x, "https://backend.test:80/x")
			return err
		},
		"the connection was moved": func(t *testing.T, e *endpoint, x *Exchange) error {
			e.version, e.conn.Address = 2, "http://moved.test:80"
			_, err := ask(t, x, good)
			if !errors.Is(err, ErrMoved) {
				t.Errorf("%v", err)
			}
			return err
		},
		"denied while its body came": func(t *testing.T, e *endpoint, x *Exchange) error {
			p, _ := ask(t, x, good)
			e.version, e.decide = 2, func(*access.Statement, *access.Input) access.Verdict { return access.Verdict{} }
			_, err := x.Send(t.Context(), p, bearer)
			return err
		},
		"masked while its body came": func(t *testing.T, e *endpoint, x *Exchange) error {
			p, _ := ask(t, x, good)
			e.version, e.masks = 2, fields{"db/thing": {}}
			_, err := x.Send(t.Context(), p, bearer)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEndpoint(t)
			if err := try(t, e, e.exchange(t)); err == nil {
				t.Error("not refused")
			}
			if got := e.arrived(); len(got) > 0 {
				t.Errorf("the backend got %q", got)
			}
		})
	}
}

// TestExchangeFollowsNothing: a redirect is an answer like any other.
func TestExchangeFollowsNothing(t *testing.T) {
	e := newEndpoint(t)
	e.answer = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
	}
	x := e.exchange(t)
	st := statement("GET /x")
	p, err := x.Ask(t.Context(), x.Judge(&st), Request{}, outgoing("GET", "http://backend.test:80/x", ""))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := x.Send(t.Context(), p, bearer)
	if err != nil || resp.StatusCode != http.StatusFound {
		t.Fatalf("%v %v", resp, err)
	}
	_ = resp.Body.Close()
	if len(e.dialed) != 1 {
		t.Errorf("dialled %q", e.dialed)
	}
}

// TestExchangeAsksTheVaultOnceInAWhile: a credential is used for some seconds, and no longer.
func TestExchangeAsksTheVaultOnceInAWhile(t *testing.T) {
	e := newEndpoint(t)
	x := e.exchange(t)
	send := func() error {
		st := statement("GET /x")
		p, err := x.Ask(t.Context(), x.Judge(&st), Request{}, outgoing("GET", "http://backend.test:80/x", ""))
		if err != nil {
			return err
		}
		resp, err := x.Send(t.Context(), p, bearer)
		if err == nil {
			err = resp.Body.Close()
		}
		return errors.Join(err, x.Done(p, Outcome{}))
	}
	if err := errors.Join(send(), send()); err != nil || e.leased != 1 {
		t.Fatalf("asked %d times: %v", e.leased, err)
	}
	e.failLease = errors.New("sealed")
	if err := send(); err != nil {
		t.Errorf("a credential that was just leased: %v", err)
	}
	e.now = e.now.Add(secretFresh)
	if err := send(); err == nil {
		t.Error("a credential is used although the vault has been shut for a while")
	}
}

// TestExchangeMasked: an answer that must be masked is not passed on, and one that need not be is, under the same masks.
func TestExchangeMasked(t *testing.T) {
	e := newEndpoint(t)
	e.masks, e.version = hiding("db/thing"), 2
	x := e.exchange(t)
	for resource, masked := range map[string]bool{"db/thing": true, "db/other": false} {
		st := statement("GET /x")
		st.Actions = []access.Action{{Name: "test:Do", Resource: resource}}
		p, err := x.Ask(t.Context(), x.Judge(&st), Request{}, outgoing("GET", "http://backend.test:80/x", ""))
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		n, err := x.Pass(p, &b, io.LimitReader(strings.NewReader("answer"), 6), make([]byte, 8))
		if masked != (err != nil) || masked != (n == 0) || masked != (b.Len() == 0) || masked != x.Masked(p) {
			t.Errorf("%s: %d bytes, %v", resource, n, err)
		}
	}
}

// hiding masks documents of one resource.
type hiding string

func (hiding) Field(string) (access.Mask, bool) { return access.Mask{}, false }
func (hiding) Fields() bool                     { return false }
func (hiding) Detect() []access.Detection       { return nil }
func (h hiding) Document(resource string, _ access.Way) access.DocumentMasks {
	if resource != string(h) {
		return access.DocumentMasks{}
	}
	return access.DocumentMasks{Paths: []access.PathMask{{Path: "**.email"}}}
}

// TestExchangeLeaves: a request that goes away without an outcome has one all the same, and a session ends with its last request.
func TestExchangeLeaves(t *testing.T) {
	e := newEndpoint(t)
	x, err := e.visit.Exchange(func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	st := statement("GET /x")
	if _, err := x.Ask(t.Context(), x.Judge(&st), Request{}, outgoing("GET", "http://backend.test:80/x", "")); err != nil {
		t.Fatal(err)
	}
	e.visit.Close(nil)
	if n := len(e.kinds(access.EventSessionClosed)); n != 0 {
		t.Error("the session is closed on record while a request is under way")
	}
	if _, err := e.visit.Exchange(func(error) {}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a request of a session that has ended: %v", err)
	}
	x.Leave()
	ended := e.kinds(access.EventActionEnded)
	if len(ended) != 1 || ended[0].Status != access.StatusCancelled || len(e.kinds(access.EventSessionClosed)) != 1 {
		t.Errorf("%+v", e.events)
	}
}

// TestFetch: a request of the gateway's own is on record under its own principal, and its answer is bounded.
func TestFetch(t *testing.T) {
	e := newEndpoint(t)
	e.conn.Credential.Inject = &access.Injection{TokenURL: "http://tokens.test/mint"}
	e.version++
	x := e.exchange(t)
	if err := x.Refresh(); err != nil {
		t.Fatal(err)
	}
	size := 10
	e.answer = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", size)) }
	own := Own{Name: "test:Token", Text: "ask for a token"}
	f, err := x.Fetch(t.Context(), own, outgoing("POST", "http://tokens.test:80/mint", "grant"), nil)
	if err != nil || string(f.Body) != strings.Repeat("x", size) {
		t.Fatalf("%+v, %v", f, err)
	}
	intents := e.kinds(access.EventActionIntended)
	if len(intents) != 1 || intents[0].Principal != access.GatewayPrincipal().ID() || intents[0].Text != own.Text {
		t.Errorf("%+v", intents)
	}
	size = maxFetched + 1
	if _, err := x.Fetch(t.Context(), own, outgoing("POST", "http://tokens.test:80/mint", ""), nil); fault.KindOf(err) != fault.Backend {
		t.Errorf("too large: %v", err)
	}
	if _, err := x.Fetch(t.Context(), own, outgoing("GET", "http://evil.test:80/", ""), nil); fault.KindOf(err) != fault.Denied {
		t.Errorf("elsewhere: %v", err)
	}
	if n := len(e.kinds(access.EventActionEnded)); n != 2 {
		t.Errorf("%d outcomes, want 2", n)
	}
}

// TestComeBack: who comes back for an approval gets what it was given for, and nothing else.
func TestComeBack(t *testing.T) {
	for _, c := range []struct {
		name  string
		state access.ApprovalState
		back  Return
		runs  bool
		waits bool
		kind  fault.Kind
	}{
		{"first", access.ApprovalPending, Return{}, false, true, fault.Pending},
		{"too early", access.ApprovalPending, Return{Approval: "a1"}, false, true, fault.Pending},
		{"with another's name", access.ApprovalApproved, Return{Approval: "a2"}, false, false, fault.Conflict},
		{"with a name full of control characters", access.ApprovalApproved, Return{Approval: "a\r\n2"}, false, false, fault.Conflict},
		{"without its name", access.ApprovalApproved, Return{}, false, true, fault.Pending},
		{"approved", access.ApprovalApproved, Return{Approval: "a1"}, true, false, 0},
		{"the same, while it waits", access.ApprovalPending, Return{Same: true}, false, true, fault.Pending},
		{"the same again", access.ApprovalApproved, Return{Same: true}, true, false, 0},
		{"the same, with another's name", access.ApprovalApproved, Return{Approval: "a2", Same: true}, false, false, fault.Conflict},
		{"patient", access.ApprovalApproved, Return{Patience: time.Minute}, true, false, 0},
		{"denied", access.ApprovalDenied, Return{Approval: "a1"}, false, false, fault.Denied},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEndpoint(t)
			e.decide = func(*access.Statement, *access.Input) access.Verdict { return approve([]string{"dba"}) }
			e.desk.answer = func(*access.Approval) error { return nil }
			e.filing = c.state
			x := e.exchange(t)
			st := statement("DELETE /x")
			p, err := x.Ask(t.Context(), x.Judge(&st), Request{Return: &c.back}, outgoing("DELETE", "http://backend.test:80/x", ""))
			var a *Awaiting
			if c.runs != (err == nil) || c.runs == p.Zero() || c.waits != errors.As(err, &a) || !c.runs && fault.KindOf(err) != c.kind {
				t.Fatalf("%v, %v", p, err)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("%q", err)
			}
			if want := map[bool]int{true: 1, false: 0}[c.runs]; len(e.spent) != want {
				t.Errorf("spent %q", e.spent)
			}
			if !e.filed[0].Reuse {
				t.Error("the approval dies with its client")
			}
		})
	}
}

// TestComeBackWithAnotherBody: an approval is filed for the very bytes of a body, whatever the text that a reviewer reads shows of them.
func TestComeBackWithAnotherBody(t *testing.T) {
	e := newEndpoint(t)
	e.decide = func(*access.Statement, *access.Input) access.Verdict { return approve([]string{"dba"}) }
	e.filing = access.ApprovalPending
	x := e.exchange(t)
	for _, body := range []string{"5", "5", "5.0", ""} {
		st := statement("POST /x")
		_, err := x.Ask(t.Context(), x.Judge(&st), Request{Return: &Return{}, Exact: []byte(body)}, outgoing("POST", "http://backend.test:80/x", body))
		if fault.KindOf(err) != fault.Pending {
			t.Fatalf("%q: %v", body, err)
		}
	}
	if d := e.filed; d[0].Digest != d[1].Digest || d[0].Digest == d[2].Digest || d[0].Digest == d[3].Digest || d[2].Digest == d[3].Digest {
		t.Errorf("the digests of 5, 5, 5.0 and nothing are %s, %s, %s, %s", d[0].Digest, d[1].Digest, d[2].Digest, d[3].Digest)
	}
}
