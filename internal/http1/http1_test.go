package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// script is a backend that answers the requests of each connection with the words it is given, one after the other.
type script struct {
	net.Listener
	conns atomic.Int32
	heard chan string // the requests' first lines
}

// plays starts a backend: answers of the n-th connection are those of the n-th list, and of the last one thereafter. An answer that is
// "" closes the connection without a word; behind the last one it stays open and says nothing.
func plays(t *testing.T, answers ...[]string) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{Listener: l, heard: make(chan string, 100)}
	var all sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n := int(s.conns.Add(1))
			all.Go(func() { s.serve(conn, answers[min(n, len(answers))-1]) })
		}
	})
	return s
}

func (s *script) serve(conn net.Conn, answers []string) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	for _, answer := range answers {
		request, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		body, _ := io.ReadAll(request.Body)
		s.heard <- request.Method + " " + request.RequestURI + " " + string(body)
		if answer == "" {
			return
		}
		_, _ = io.WriteString(conn, answer)
	}
	_, _ = io.Copy(io.Discard, r)
}

func client(t *testing.T) *Client {
	t.Helper()
	d := &net.Dialer{}
	c := &Client{Dial: d.DialContext, MaxConns: 4, Idle: time.Minute, Header: 8 << 10, Buffer: 4 << 10, Handshake: 5 * time.Second, Clock: time.Now}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func ask(t *testing.T, s *script, method, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Addr().String()+"/path", nil)
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	return r
}

// said sends a request and returns its answer's status and body, or the error in one word.
func said(t *testing.T, c *Client, r *http.Request) string {
	t.Helper()
	resp, err := c.RoundTrip(r)
	if err != nil {
		return "error: " + err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Sprintf("%d %s, then %v", resp.StatusCode, body, err)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, body)
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// TestKept: requests one after the other share a connection, whatever frames their answers.
func TestKept(t *testing.T) {
	s := plays(t, []string{ok, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + ok, ok})
	c := client(t)
	for _, want := range []string{"200 ok", "200 abc", "204 ", "304 ", "200 ok", "200 ok"} {
		if got := said(t, c, ask(t, s, "GET", "")); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if n := s.conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestEnded: a connection is not used again where its answer says so, has no end of its own, was not read to its end, or was followed by
// words that nobody asked for: they would be taken for the next answer.
func TestEnded(t *testing.T) {
	stray := "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"
	for name, first := range map[string]string{"close": "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "stray": ok + stray,
		"http/1.0": "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "turned": "HTTP/1.1 101 Switching Protocols\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			s := plays(t, []string{first, stray}, []string{ok})
			c := client(t)
			resp, err := c.RoundTrip(ask(t, s, "GET", ""))
			if err != nil {
				t.Fatal(err)
			}
			if name != "turned" {
				_, _ = io.ReadAll(resp.Body)
			}
			_ = resp.Body.Close()
			if got := said(t, c, ask(t, s, "GET", "")); got != "200 ok" || s.conns.Load() != 2 {
				t.Errorf("%s over %d connections", got, s.conns.Load())
			}
		})
	}
	t.Run("half read", func(t *testing.T) {
		s := plays(t, []string{"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n0123456789"}, []string{ok})
		c := client(t)
		resp, err := c.RoundTrip(ask(t, s, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadFull(resp.Body, make([]byte, 10))
		_ = resp.Body.Close()
		if n, err := resp.Body.Read(make([]byte, 10)); n != 0 || err == nil {
			t.Errorf("a closed body gave %d bytes, %v", n, err)
		}
		if got := said(t, c, ask(t, s, "GET", "")); got != "200 ok" {
			t.Error(got)
		}
	})
}

// TestStrayLater: what a backend says while nobody asks is no answer, and a connection that it has closed is not used.
func TestStrayLater(t *testing.T) {
	for _, later := range []string{ok, ""} {
		said1, told := make(chan struct{}), make(chan struct{})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &script{Listener: l, heard: make(chan string, 10)}
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, ok)
			<-said1
			_, _ = io.WriteString(conn, strings.ReplaceAll(later, "ok", "no"))
			if later == "" {
				_ = conn.Close()
			} else {
				defer func() { _ = conn.Close() }()
			}
			close(told)
			if conn, err = l.Accept(); err == nil {
				s.serve(conn, []string{ok})
			}
		}()
		c := client(t)
		if got := said(t, c, ask(t, s, "POST", "x")); got != "200 ok" {
			t.Fatal(got)
		}
		close(said1)
		<-told
		arrived(t, c)
		if got := said(t, c, ask(t, s, "POST", "x")); got != "200 ok" {
			t.Errorf("after %q: %s", later, got)
		}
		c.CloseIdleConnections()
		_ = l.Close()
	}
}

// arrived waits until the one idle connection has something to read.
func arrived(t *testing.T, c *Client) {
	t.Helper()
	for _, h := range c.hosts {
		for h.idle[0].quiet() {
			runtime.Gosched()
		}
	}
}

// TestRepeated: a request that may be sent twice is, once, where a kept connection ends without an answer; one that may not be is not.
func TestRepeated(t *testing.T) {
	for _, c := range []struct {
		method, body string
		conns        [][]string
		want         string
		heard        int
	}{
		{"GET", "", [][]string{{ok, ""}, {ok}}, "200 ok", 3},
		{"POST", "x", [][]string{{ok, ""}, {ok}}, "error", 2},
		{"DELETE", "", [][]string{{ok, ""}, {ok}}, "error", 2},
		{"GET", "", [][]string{{ok, ""}, {""}, {ok}}, "error", 3},
		{"GET", "", [][]string{{ok, "HTTP/1.1 2"}, {ok}}, "error", 2},
	} {
		s := plays(t, c.conns...)
		cl := client(t)
		if got := said(t, cl, ask(t, s, "GET", "")); got != "200 ok" {
			t.Fatal(got)
		}
		ctx, end := context.WithTimeout(t.Context(), 5*time.Second)
		r := ask(t, s, c.method, c.body).WithContext(ctx)
		if c.conns[0][1] != "" {
			end() // a half answer: the backend says no more
		}
		got := said(t, cl, r)
		end()
		if !strings.HasPrefix(got, c.want) || c.conns[0][1] == "" && len(s.heard) != c.heard {
			t.Errorf("%s: %s, heard %d", c.method, got, len(s.heard))
		}
	}
}

// TestBounds: headers without end are refused, and answers that are none.
func TestBounds(t *testing.T) {
	for name, answer := range map[string]string{
		"large":    "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 20<<10) + "\r\n\r\n",
		"many":     "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 4<<10) + "\r\n",
		"informal": strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 20) + ok,
		"garbage":  "SSH-2.0-x\r\n\r\n",
		"length":   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
	} {
		s := plays(t, []string{answer})
		if got := said(t, client(t), ask(t, s, "GET", "")); !strings.HasPrefix(got, "error") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestEarly: an answer that comes before the body was taken counts.
func TestEarly(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	}()
	s := &script{Listener: l}
	if got := said(t, client(t), ask(t, s, "POST", strings.Repeat("x", 16<<10))); got != "413 " {
		t.Error(got)
	}
}

// TestInterrupted: a context that ends wakes who waits for an answer's header, for its body, or for a free connection.
func TestInterrupted(t *testing.T) {
	cause := errors.New("the client left")
	s := plays(t, []string{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"}, []string{})
	c := client(t)
	c.MaxConns = 1
	ctx, end := context.WithCancelCause(t.Context())
	resp, err := c.RoundTrip(ask(t, s, "GET", "").WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	waits, leave := context.WithCancelCause(t.Context())
	result := make(chan error)
	go func() {
		_, err := c.RoundTrip(ask(t, s, "GET", "").WithContext(waits))
		result <- err
	}()
	leave(cause)
	if err := <-result; !errors.Is(err, cause) {
		t.Errorf("who waits for a connection: %v", err)
	}
	_, _ = io.ReadFull(resp.Body, make([]byte, 2))
	end(cause)
	if _, err := resp.Body.Read(make([]byte, 9)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the body: %v", err)
	}
	_ = resp.Body.Close()
	ctx, end = context.WithCancelCause(t.Context())
	go func() {
		_, err := c.RoundTrip(ask(t, s, "GET", "").WithContext(ctx))
		result <- err
	}()
	for s.conns.Load() < 2 { // until it is connected, and waits
		select {
		case err := <-result:
			t.Fatal(err)
		default:
		}
	}
	end(cause)
	if err := <-result; err == nil {
		t.Error("an answer that never came")
	}
}

// TestMost: no more connections than may be, idle ones included, and nobody is forgotten.
func TestMost(t *testing.T) {
	var open, peak atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	defer server.Close()
	c := client(t)
	d := &net.Dialer{}
	c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		n := open.Add(1)
		for old := peak.Load(); n > old && !peak.CompareAndSwap(old, n); old = peak.Load() {
		}
		return d.DialContext(ctx, network, address)
	}
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for range 20 {
				r := (&http.Request{Method: "GET", URL: u, Header: http.Header{}}).WithContext(t.Context())
				resp, err := c.RoundTrip(r)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
	all.Wait()
	if n := peak.Load(); n > int32(c.MaxConns) {
		t.Errorf("%d connections", n)
	}
	c.CloseIdleConnections()
	if len(c.hosts) != 0 {
		t.Errorf("hosts are remembered that nobody uses: %d", len(c.hosts))
	}
}

// TestThrough: what goes through another transport takes one of the same places, until its body is closed.
func TestThrough(t *testing.T) {
	s := plays(t, []string{ok})
	c := client(t)
	c.MaxConns = 1
	other := &http.Transport{}
	defer other.CloseIdleConnections()
	resp, err := c.Through(other, ask(t, s, "GET", ""))
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancelCause(t.Context())
	full := errors.New("full")
	end(full)
	if _, err := c.RoundTrip(ask(t, s, "GET", "").WithContext(ctx)); !errors.Is(err, full) {
		t.Errorf("a second one: %v", err)
	}
	_ = resp.Body.Close()
	if got := said(t, c, ask(t, s, "GET", "")); got != "200 ok" {
		t.Error(got)
	}
}

// TestExpire: what was idle for too long is closed, and its host forgotten.
func TestExpire(t *testing.T) {
	s := plays(t, []string{ok})
	c := client(t)
	var mu sync.Mutex
	now := time.Unix(1000, 0)
	c.Clock = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	if got := said(t, c, ask(t, s, "GET", "")); got != "200 ok" {
		t.Fatal(got)
	}
	c.expire()
	if len(c.hosts) != 1 {
		t.Error("closed too early")
	}
	mu.Lock()
	now = now.Add(c.Idle)
	mu.Unlock()
	c.expire()
	if len(c.hosts) != 0 {
		t.Error("still kept")
	}
}

// TestSecure: over TLS the backend's name is verified, and nothing but HTTP/1.1 is offered.
func TestSecure(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	c := client(t)
	get := func() string {
		r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		return said(t, c, r)
	}
	if got := get(); !strings.Contains(got, "certificate") {
		t.Errorf("an unknown root: %s", got)
	}
	c.TLS = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	c.TLS.ServerName = ""
	for range 3 {
		if got := get(); got != "200 HTTP/1.1" {
			t.Error(got)
		}
	}
	c.TLS.ServerName = "other.example.org"
	c.CloseIdleConnections()
	if got := get(); !strings.Contains(got, "certificate") {
		t.Errorf("another name: %s", got)
	}
}
