package session

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire"
)

// letters is the smallest protocol of requests: the path names the connection, the query is the token, and the answer is who
// asked. /db/panic panics, /db/wait answers when its context ends, with the reason.
type letters struct{}

func (letters) Claim(r *http.Request, _ wire.Hello) (wire.Login, error) {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if name == "" {
		return wire.Login{}, fault.New(fault.Malformed, "letters", "no connection")
	}
	return wire.Login{Connection: name, Token: access.NewSecret([]byte(r.URL.RawQuery))}, nil
}

func (letters) Serve(w http.ResponseWriter, r *http.Request, x *gate.Exchange, _ wire.Hello) error {
	switch _, what, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); what {
	case "panic":
		panic("a fault of the protocol's")
	case "begun":
		_, _ = io.WriteString(w, "the first half")
		return fault.New(fault.Backend, "letters", "the backend went away")
	case "wait":
		<-r.Context().Done()
		return fault.New(fault.Internal, "letters", "interrupted")
	}
	_, err := io.WriteString(w, x.Caller().Session)
	return err
}

func (letters) Refuse(w http.ResponseWriter, _ *http.Request, err error) {
	say, _ := fault.Say(err)
	w.WriteHeader(http.StatusTeapot)
	_, _ = io.WriteString(w, "refused: "+say)
}

// post is a house with a server of letters.
type post struct {
	*house
	q *Requests
}

func openPost(t *testing.T, change func(*Options)) *post {
	h := open(t, change)
	for name, c := range h.conns {
		c.Type = "letters"
		h.conns[name] = c
	}
	h.conns["other"] = access.Connection{Name: "other", Type: "another"}
	tokens := map[string]*access.Principal{}
	h.verify = func(_ context.Context, token string) (*access.Principal, error) {
		if !strings.HasPrefix(token, "good") {
			return nil, fault.New(fault.Unauthenticated, "test", "not good")
		}
		if tokens[token] == nil {
			tokens[token] = &access.Principal{Issuer: "i", Subject: token, Expires: time.Now().Add(time.Hour)}
		}
		return tokens[token], nil
	}
	p := &post{h, h.Requests(wire.Protocol{Name: "letters", Exchange: letters{}}, wire.Hello{Plaintext: true, Limits: gate.Limits{Actions: 4}})}
	ctx, end := context.WithCancel(context.Background())
	go p.q.Run(ctx)
	t.Cleanup(end)
	return p
}

func (p *post) connect(ctx context.Context) *guest {
	near, far := net.Pipe()
	go p.q.Serve(ctx, far, func() {})
	return &guest{near, bufio.NewReader(near)}
}

// get sends one request and returns its status and what was said.
func (g *guest) get(path string) string {
	_, _ = io.WriteString(g.conn, "GET "+path+" HTTP/1.1\r\nHost: gw\r\n\r\n")
	return g.read()
}

func (g *guest) read() string {
	resp, err := http.ReadResponse(g.r, nil)
	if err != nil {
		return "cut"
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return "cut"
	}
	return fmt.Sprint(resp.StatusCode, " ", string(b))
}

// TestOneSessionForOneCallerAndPlace: requests of one caller to one connection over one line are one session, others are their own,
// and all of them end with the line.
func TestOneSessionForOneCallerAndPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openPost(t, nil)
		g := p.connect(t.Context())
		for _, c := range []struct{ path, want string }{
			{"/db/?good", "200 s1"}, {"/db/?good", "200 s1"}, {"/db/?good2", "200 s2"}, {"/small/?good", "200 s3"}, {"/db/?good", "200 s1"},
			{"/db/?bad", "418 refused: authentication failed (ref r1)"}, {"/nowhere/?good", "418 refused: no role of yours reaches it"},
			{"/other/?good", "418 refused: connection other speaks another protocol than this listener"}, {"/db/?good2", "200 s2"},
		} {
			want(t, g.get(c.path), c.want)
		}
		g.leave()
		synctest.Wait()
		if o, c := len(p.kinds(access.EventSessionOpened)), len(p.kinds(access.EventSessionClosed)); o != 4 || c != 4 {
			t.Errorf("%d sessions were opened, %d closed", o, c)
		}
		if p.Count() != 0 {
			t.Errorf("%d connections are left", p.Count())
		}
	})
}

// TestSessionsOfOneLineAreBounded: the one that was used longest ago makes room.
func TestSessionsOfOneLineAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openPost(t, nil)
		g := p.connect(t.Context())
		for i := range maxVisits {
			want(t, g.get(fmt.Sprint("/db/?good", i)), fmt.Sprint("200 s", i+1))
		}
		want(t, g.get("/db/?good0"), "200 s1")
		want(t, g.get("/db/?good-another"), fmt.Sprint("200 s", maxVisits+1))
		want(t, g.get("/db/?good0"), "200 s1")
		if c := p.kinds(access.EventSessionClosed); len(c) != 1 || c[0].Session != "s2" {
			t.Errorf("closed: %+v", c)
		}
		want(t, g.get("/db/?good1"), fmt.Sprint("200 s", maxVisits+2))
		g.leave()
	})
}

// TestRequestLimits: lines at once, and those of one connection.
func TestRequestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openPost(t, nil)
		var in []*guest
		for _, path := range []string{"/small/?good", "/small/?good", "/db/?good", "/db/?good"} {
			g := p.connect(t.Context())
			if said := g.get(path); !strings.HasPrefix(said, "200 ") {
				t.Errorf("%s: %s", path, said)
			}
			in = append(in, g)
		}
		want(t, in[2].get("/small/?good"), "418 refused: too many sessions on connection small")
		late := p.connect(t.Context())
		want(t, late.get("/db/?good"), "418 refused: too many sessions on this gateway")
		want(t, late.read(), "cut")
		in[0].leave()
		synctest.Wait()
		if said := in[2].get("/small/?good"); !strings.HasPrefix(said, "200 ") {
			t.Errorf("after one left: %s", said)
		}
		for _, g := range append(in, late) {
			g.leave()
		}
	})
}

// TestSlowHeaderIsCut: who does not finish a header is cut when its time is up, and who says nothing between requests later.
func TestSlowHeaderIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openPost(t, nil)
		for said, after := range map[string]time.Duration{"": 15 * time.Second, "GET /db/?good HTTP/1.1\r\nHo": 15 * time.Second} {
			begin := time.Now()
			g := p.connect(t.Context())
			_, _ = io.WriteString(g.conn, said)
			_, _ = io.Copy(io.Discard, g.r)
			if d := time.Since(begin); d != after {
				t.Errorf("%q: held for %v", said, d)
			}
		}
		g := p.connect(t.Context())
		want(t, g.get("/db/?good"), "200 s1")
		begin := time.Now()
		_, _ = io.Copy(io.Discard, g.r)
		if d := time.Since(begin); d != keepAlive {
			t.Errorf("an idle line was held for %v", d)
		}
	})
}

// TestRequestFaults: a panic is one request's, and what has begun is never made to look finished.
func TestRequestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openPost(t, nil)
		g := p.connect(t.Context())
		want(t, g.get("/db/panic?good"), "418 refused: the gateway could not do this; its log says why")
		want(t, g.get("/db/?good"), "200 s1")
		want(t, g.get("/db/begun?good"), "cut")
		if log := p.log.String(); !strings.Contains(log, "a fault of the protocol's") || strings.Contains(log, "?good") {
			t.Errorf("log: %s", log)
		}
	})
}

// TestRequestsEnd: what is under way is told why it ends, whether the token expires or somebody ends all sessions; a drain waits.
func TestRequestsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openPost(t, nil)
		g := p.connect(t.Context())
		begin := time.Now()
		want(t, g.get("/db/wait?good"), "418 refused: the token of this session has expired")
		if d := time.Since(begin); d != time.Hour+30*time.Second {
			t.Errorf("ended after %v", d)
		}
		g.leave()
	})
	synctest.Test(t, func(t *testing.T) {
		p := openPost(t, nil)
		busy, idle := p.connect(t.Context()), p.connect(t.Context())
		want(t, idle.get("/db/?good"), "200 s1")
		_, _ = io.WriteString(busy.conn, "GET /db/wait?good HTTP/1.1\r\nHost: gw\r\n\r\n")
		synctest.Wait()
		ctx, done := context.WithTimeout(t.Context(), time.Minute)
		defer done()
		drained := make(chan struct{})
		go func() {
			p.Drain(ctx)
			close(drained)
		}()
		want(t, idle.read(), "cut")
		begin := time.Now()
		want(t, busy.read(), "418 refused: the gateway is shutting down")
		if d := time.Since(begin); d != time.Minute {
			t.Errorf("a request that was under way got %v", d)
		}
		<-drained
	})
}
