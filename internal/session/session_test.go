package session

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire"
)

// plain is the smallest protocol: a login is a line "connection token", then each line is answered with itself. "begin"
// and "commit" open and end a transaction.
type plain struct {
	conn     net.Conn
	login    wire.Login
	g        *gate.Gate
	open     atomic.Bool // a transaction
	draining atomic.Bool
}

func plainProtocol() wire.Protocol {
	return wire.Protocol{Name: "plain", Accept: func(_ context.Context, conn net.Conn, _ wire.Hello) (wire.Session, error) {
		var line []byte
		for b := make([]byte, 1); b[0] != '\n'; line = append(line, b[0]) {
			if _, err := conn.Read(b); err != nil {
				return nil, err
			}
		}
		name, token, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		return &plain{conn: conn, login: wire.Login{Connection: name, Token: access.NewSecret([]byte(token))}}, nil
	}}
}

func (p *plain) Login() wire.Login { return p.login }
func (p *plain) Conn() net.Conn    { return p.conn }
func (*plain) Farewell() []byte    { return nil }
func (p *plain) Refuse(err error) {
	say, _ := fault.Say(err)
	_, _ = io.WriteString(p.conn, "refused: "+say+"\n")
}

func (p *plain) Open(ctx context.Context, g *gate.Gate) error {
	p.g = g
	if p.login.Connection == "hung" { // its backend does not answer
		<-ctx.Done()
		return fault.New(fault.Unavailable, "plain", "the backend does not answer")
	}
	return g.Show([]byte("welcome\n"))
}

func (p *plain) Drain() {
	p.draining.Store(true)
	p.g.Nudge()
}

func (p *plain) Relay(ctx context.Context) error {
	defer context.AfterFunc(ctx, p.g.Interrupt)()
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if p.draining.Load() && !p.open.Load() {
			return fault.New(fault.Unavailable, "plain", "drained")
		}
		in := p.g.Client()
		line, _, whole := strings.Cut(string(in.Unread()), "\n")
		if !whole {
			switch err := in.Fill(1); {
			case err == nil || ctx.Err() != nil || p.draining.Load():
				_ = p.conn.SetReadDeadline(time.Time{})
				continue
			default:
				return nil
			}
		}
		in.Skip(len(line) + 1)
		p.open.Store(line == "begin" || p.open.Load() && line != "commit")
		if err := p.g.Show([]byte(line + "\n")); err != nil {
			return err
		}
	}
}

// house is a server, and everything that it asks, in memory.
type house struct {
	*Server
	mu     sync.Mutex
	events []access.Event
	refs   int
	log    strings.Builder
	conns  map[string]access.Connection
	verify func(ctx context.Context, token string) (*access.Principal, error)
	rules  func() // what the authority does before it answers
}

func open(t *testing.T, change func(*Options)) *house {
	h := &house{conns: map[string]access.Connection{"db": {Name: "db", Type: "plain"}, "small": {Name: "small", Type: "plain", MaxSessions: 2}, "other": {Name: "other", Type: "another"}, "hung": {Name: "hung", Type: "plain"}}}
	h.verify = func(_ context.Context, token string) (*access.Principal, error) {
		if token != "good" {
			return nil, fault.New(fault.Unauthenticated, "test", "%s is not good", token)
		}
		return &access.Principal{Issuer: "i", Subject: "s", Expires: time.Now().Add(time.Hour)}, nil
	}
	n := atomic.Int64{}
	o := Options{Gate: &gate.Services{Authority: h, Recorder: h, Clock: time.Now}, Identity: h,
		Refusal: func(error) (string, error) {
			h.refs++
			ref := "r" + strconv.Itoa(h.refs)
			return ref, fault.New(fault.Unauthenticated, "test", "authentication failed (ref %s)", ref)
		},
		NewID: func() (string, error) { return "s" + strconv.FormatInt(n.Add(1), 10), nil },
		Log:   slog.New(slog.NewTextHandler(&h.log, nil)), Sessions: 4, Login: 15 * time.Second, Grace: 30 * time.Second}
	if change != nil {
		change(&o)
	}
	h.Server = NewServer(o)
	return h
}

func (h *house) Version() (uint64, error) { return 1, nil }
func (h *house) Rules(_ *access.Principal, name string) (gate.Rules, *access.Connection, error) {
	if h.rules != nil {
		h.rules()
	}
	c, ok := h.conns[name]
	if !ok {
		return nil, nil, fault.New(fault.Denied, "test", "no role of yours reaches it")
	}
	return everything{}, &c, nil
}

type everything struct{}

func (everything) Static(*access.Statement) (access.Verdict, bool) {
	return access.Verdict{Effect: access.Allow}, true
}
func (everything) Decide(*access.Statement, *access.Input) access.Verdict {
	return access.Verdict{Effect: access.Allow}
}
func (everything) Masks() access.Masks { return nil }
func (everything) Roles() []string     { return nil }

func (h *house) Append(e *access.Event) (uint64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, *e)
	return uint64(len(h.events)), nil
}
func (*house) Barrier(uint64) error { return nil }

func (h *house) Verify(ctx context.Context, token access.Secret) (*access.Principal, error) {
	return h.verify(ctx, string(token.Reveal()))
}

func (h *house) kinds(k access.EventKind) []access.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []access.Event
	for _, e := range h.events {
		if e.Kind == k {
			out = append(out, e)
		}
	}
	return out
}

// guest is one client.
type guest struct {
	conn net.Conn
	r    *bufio.Reader
}

func (h *house) connect(ctx context.Context) *guest {
	near, far := net.Pipe()
	go h.Serve(ctx, far, plainProtocol(), wire.Hello{Limits: gate.Limits{Message: 1000, Staged: 1000, Actions: 4}})
	return &guest{near, bufio.NewReader(near)}
}

// login connects and says who it is; it returns the first line of the answer.
func (h *house) login(ctx context.Context, name, token string) (*guest, string) {
	g := h.connect(ctx)
	return g, g.ask(name + " " + token)
}

func (g *guest) ask(line string) string {
	_, _ = io.WriteString(g.conn, line+"\n")
	return g.hear()
}

func (g *guest) hear() string {
	line, err := g.r.ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(line)
}

func (g *guest) leave() { _ = g.conn.Close() }

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
}

// TestEveryRefusedLoginSoundsTheSame: the client learns a reference, the log the reason, and nobody the token.
func TestEveryRefusedLoginSoundsTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		causes := []error{fault.New(fault.Unauthenticated, "t", "expired"), fault.New(fault.Unavailable, "t", "no keys"), errors.New("broken"), fault.New(fault.Denied, "t", "unknown issuer")}
		for i, cause := range causes {
			h.verify = func(context.Context, string) (*access.Principal, error) { return nil, cause }
			g, said := h.login(t.Context(), "db", "secret-token")
			ref := "r" + strconv.Itoa(i+1)
			want(t, said, "refused: authentication failed (ref "+ref+")")
			want(t, g.hear(), "EOF")
			synctest.Wait()
			e := h.kinds(access.EventLoginRefused)
			if len(e) != i+1 || e[i].Ref != ref || !strings.Contains(e[i].Reason, cause.Error()) || e[i].Principal != "" {
				t.Errorf("recorded %+v", e)
			}
			if !strings.Contains(h.log.String(), ref) {
				t.Errorf("the log does not explain %s: %s", ref, h.log.String())
			}
		}
		if strings.Contains(h.log.String(), "secret-token") {
			t.Error("the log holds the token")
		}
		if n := len(h.kinds(access.EventSessionOpened)); n != 0 {
			t.Errorf("%d sessions opened", n)
		}
	})
}

// TestWhoMayNotConnect is told so, after a good token.
func TestWhoMayNotConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		_, said := h.login(t.Context(), "nowhere", "good")
		want(t, said, "refused: no role of yours reaches it")
		_, said = h.login(t.Context(), "other", "good")
		want(t, said, "refused: connection other speaks another protocol than this listener")
		synctest.Wait()
		if h.Count() != 0 {
			t.Errorf("%d sessions are left", h.Count())
		}
	})
}

// TestLimits: sessions at once, in all and on one connection; who leaves makes room.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		var in []*guest
		for _, name := range []string{"small", "small", "db"} {
			g, said := h.login(t.Context(), name, "good")
			want(t, said, "welcome")
			in = append(in, g)
		}
		_, said := h.login(t.Context(), "small", "good")
		want(t, said, "refused: too many sessions on connection small")
		synctest.Wait()
		g, said := h.login(t.Context(), "db", "good")
		want(t, said, "welcome")
		in = append(in, g)
		_, said = h.login(t.Context(), "db", "good")
		want(t, said, "refused: too many sessions on this gateway")
		for range 20 { // a flood that says nothing is bounded too
			in = append(in, h.connect(t.Context()))
		}
		synctest.Wait()
		if n := h.Count(); n > 8 {
			t.Errorf("%d connections are held, with a limit of 4 sessions", n)
		}
		for _, g := range in {
			g.leave()
		}
		synctest.Wait()
		if h.Count() != 0 {
			t.Errorf("%d sessions are left", h.Count())
		}
		g, said = h.login(t.Context(), "small", "good")
		want(t, said, "welcome")
		g.leave()
	})
}

// TestTimeToLogIn is bounded, whether the client says nothing or half.
func TestTimeToLogIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		begin := time.Now()
		g := h.connect(t.Context())
		_, _ = io.WriteString(g.conn, "db go")
		want(t, g.hear(), "EOF")
		if d := time.Since(begin); d != 15*time.Second {
			t.Errorf("held for %v", d)
		}
	})
}

// TestExpiry: a session outlives its token by the grace, not more, whatever it is doing, and is told why.
func TestExpiry(t *testing.T) {
	for _, first := range []string{"hello", "begin"} {
		synctest.Test(t, func(t *testing.T) {
			h := open(t, nil)
			begin := time.Now()
			g, _ := h.login(t.Context(), "db", "good")
			want(t, g.ask(first), first)
			want(t, g.hear(), "refused: the token of this session has expired")
			if d := time.Since(begin); d != time.Hour+30*time.Second {
				t.Errorf("ended after %v", d)
			}
			want(t, g.hear(), "EOF")
			synctest.Wait()
			if e := h.kinds(access.EventSessionClosed); len(e) != 1 || !strings.Contains(e[0].Reason, "expired") {
				t.Errorf("recorded %+v", e)
			}
		})
	}
}

// TestEnd is the lock: every session ends now, in a transaction or not, and hears the reason.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		a, _ := h.login(t.Context(), "db", "good")
		b, _ := h.login(t.Context(), "db", "good")
		want(t, b.ask("begin"), "begin")
		h.End(fault.New(fault.Unavailable, "test", "the gateway is locked"))
		for _, g := range []*guest{a, b} {
			want(t, g.hear(), "refused: the gateway is locked")
			want(t, g.hear(), "EOF")
		}
		synctest.Wait()
		if h.Count() != 0 {
			t.Errorf("%d sessions are left", h.Count())
		}
	})
}

// TestDrain: idle sessions end at once, transactions when they are done, new logins not at all; who has not logged in
// does not hold the gateway up.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		idle, _ := h.login(t.Context(), "db", "good")
		busy, _ := h.login(t.Context(), "db", "good")
		silent := h.connect(t.Context())
		defer silent.leave()
		want(t, busy.ask("begin"), "begin")
		synctest.Wait()
		done := make(chan struct{})
		go func() {
			h.Drain(t.Context())
			close(done)
		}()
		want(t, idle.hear(), "refused: drained")
		_, said := h.login(t.Context(), "db", "good")
		want(t, said, "refused: the gateway is shutting down")
		want(t, busy.ask("work"), "work")
		select {
		case <-done:
			t.Error("the drain did not wait for a transaction")
		default:
		}
		begin := time.Now()
		want(t, busy.ask("commit"), "commit")
		want(t, busy.hear(), "refused: drained")
		<-done
		if d := time.Since(begin); d > refusalTime {
			t.Errorf("a client that had not logged in held the gateway up for %v", d)
		}
	})
}

// TestDrainEndsWhatIsLeft when its time is over.
func TestDrainEndsWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		busy, _ := h.login(t.Context(), "db", "good")
		want(t, busy.ask("begin"), "begin")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		go h.Drain(ctx)
		want(t, busy.hear(), "refused: the gateway is shutting down")
		if d := time.Since(begin); d != time.Minute {
			t.Errorf("ended after %v", d)
		}
	})
}

// TestIdle: a client that speaks now and then is not let go, however long its session.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(o *Options) { o.Idle = time.Minute })
		g, said := h.login(t.Context(), "db", "good")
		want(t, said, "welcome")
		for range 10 {
			time.Sleep(50 * time.Second)
			want(t, g.ask("still here"), "still here")
		}
		g.leave()
	})
}

// TestExpiryOfAClientThatDoesNotRead: it is let go like any other.
func TestExpiryOfAClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		g, said := h.login(t.Context(), "db", "good")
		want(t, said, "welcome")
		_, _ = io.WriteString(g.conn, "an answer that nobody reads\n")
		time.Sleep(time.Hour + time.Minute)
		synctest.Wait()
		if h.Count() != 0 {
			t.Error("the session goes on")
		}
		if e := h.kinds(access.EventSessionClosed); len(e) != 1 || !strings.Contains(e[0].Reason, "expired") {
			t.Errorf("recorded %+v", e)
		}
	})
}

// TestOneDeadlineForAllOfTheLogin: a client that is slow with its token does not get the time again for each step, and a
// backend has two seconds all the same.
func TestOneDeadlineForAllOfTheLogin(t *testing.T) {
	for _, c := range []struct{ slow, ends time.Duration }{
		{10 * time.Second, 15 * time.Second}, {14 * time.Second, 16 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := open(t, nil)
			begin := time.Now()
			g := h.connect(t.Context())
			time.Sleep(c.slow)
			want(t, g.ask("hung good"), "refused: the backend does not answer")
			if d := time.Since(begin); d != c.ends {
				t.Errorf("after %v of silence the login took %v, want %v", c.slow, d, c.ends)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		h.verify = func(ctx context.Context, _ string) (*access.Principal, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		begin := time.Now()
		g := h.connect(t.Context())
		time.Sleep(5 * time.Second)
		want(t, g.ask("db good"), "refused: authentication failed (ref r1)")
		if d := time.Since(begin); d != 15*time.Second {
			t.Errorf("a token was looked at until %v after accept", d)
		}
	})
}

// TestPanicInLogin: a fault that a token or a rule finds ends one connection, and nobody else's session.
func TestPanicInLogin(t *testing.T) {
	for name, set := range map[string]func(h *house){
		"token": func(h *house) {
			h.verify = func(context.Context, string) (*access.Principal, error) { panic("a token") }
		},
		"rules": func(h *house) { h.rules = func() { panic("a rule") } },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, nil)
				other, said := h.login(t.Context(), "db", "good")
				want(t, said, "welcome")
				set(h)
				g, said := h.login(t.Context(), "db", "good")
				if !strings.HasPrefix(said, "refused: ") {
					t.Errorf("heard %q", said)
				}
				want(t, g.hear(), "EOF")
				want(t, other.ask("still here"), "still here")
				other.leave()
				synctest.Wait()
				if h.Count() != 0 {
					t.Errorf("%d connections are left", h.Count())
				}
			})
		})
	}
}

// TestEndWhileLoggingIn: a session that is ended between its record and its first byte is recorded as closed too, and its
// client hears why.
func TestEndWhileLoggingIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		h.rules = func() { h.End(fault.New(fault.Unavailable, "test", "the gateway is locked")) }
		_, said := h.login(t.Context(), "db", "good")
		want(t, said, "refused: the gateway is locked")
		synctest.Wait()
		opened, closed := h.kinds(access.EventSessionOpened), h.kinds(access.EventSessionClosed)
		if len(opened) != 1 || len(closed) != 1 || closed[0].Session != opened[0].Session {
			t.Errorf("opened %+v, closed %+v", opened, closed)
		}
	})
}

// TestComingWhileItDrains: connections that come and go around a drain, which it refuses, neither hold it up nor break
// its count; a second drain returns as well.
func TestComingWhileItDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(o *Options) { o.Sessions = 100 })
		busy, _ := h.login(t.Context(), "db", "good")
		want(t, busy.ask("begin"), "begin")
		done := make(chan struct{}, 2)
		for range cap(done) {
			go func() {
				h.Drain(t.Context())
				done <- struct{}{}
			}()
		}
		synctest.Wait()
		var strangers []*guest
		for range 20 {
			strangers = append(strangers, h.connect(t.Context()))
		}
		synctest.Wait()
		want(t, busy.ask("commit"), "commit")
		want(t, busy.hear(), "refused: drained")
		<-done
		<-done
		for _, g := range strangers {
			g.leave()
		}
		synctest.Wait()
		h.Drain(t.Context())
		if h.Count() != 0 {
			t.Errorf("%d connections are left", h.Count())
		}
	})
}
