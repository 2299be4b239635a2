package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// TestStreamBothWays: an answer begins before its request ends, and the two go on in turn.
func TestStreamBothWays(t *testing.T) {
	versions(t, func(t *testing.T, c *http.Client, connection string) {
		path := far(t, func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			_ = rc.EnableFullDuplex()
			in := bufio.NewScanner(r.Body)
			w.WriteHeader(http.StatusOK)
			_ = rc.Flush()
			for in.Scan() {
				_, _ = fmt.Fprintln(w, "you said "+in.Text())
				_ = rc.Flush()
			}
		})
		body, say := io.Pipe()
		resp := start(t, c, http.MethodPost, on(connection, path), body)
		in := bufio.NewReader(resp.Body)
		for i := range 3 {
			if _, err := fmt.Fprintf(say, "word %d\n", i); err != nil {
				t.Fatal(err)
			}
			if got, err := in.ReadString('\n'); err != nil || got != fmt.Sprintf("you said word %d\n", i) {
				t.Fatalf("%q, %v", got, err)
			}
		}
		_ = say.Close()
		if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
			t.Fatalf("%q, %v", rest, err)
		}
	})
}

// TestEvents: each server-sent event is there when the backend has sent it.
func TestEvents(t *testing.T) {
	versions(t, func(t *testing.T, c *http.Client, connection string) {
		next := make(chan struct{})
		path := far(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := 0; ; i++ {
				_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
				_ = http.NewResponseController(w).Flush()
				select {
				case <-next:
				case <-r.Context().Done():
					return
				}
			}
		})
		in := bufio.NewReader(start(t, c, http.MethodGet, on(connection, path), nil).Body)
		for i := range 3 {
			line, err := in.ReadString('\n')
			empty, _ := in.ReadString('\n')
			if err != nil || line != fmt.Sprintf("data: %d\n", i) || empty != "\n" {
				t.Fatalf("%q %q %v", line, empty, err)
			}
			next <- struct{}{}
		}
	})
}

// TestTrailers: they are passed both ways, but for those that would mean something after the decision.
func TestTrailers(t *testing.T) {
	versions(t, func(t *testing.T, c *http.Client, connection string) {
		seen := make(chan http.Header, 1)
		path := far(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum, Authorization")
			_, _ = io.Copy(w, r.Body)
			seen <- r.Trailer
			w.Header().Set("X-Sum", "42")
			w.Header().Set("Authorization", "Bearer "+credential)
			w.Header().Set(http.TrailerPrefix+"X-Late", "unannounced")
			w.Header().Set(http.TrailerPrefix+"Set-Cookie", "a=b")
		})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, on(connection, path), struct{ io.Reader }{strings.NewReader("body")})
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Gatehouse-Token", streaming.token)
		r.Trailer = http.Header{"X-Hash": {"abc"}, "X-Role": {"admin"}, "Cookie": {"a=b"}, "X-Http-Method-Override": {"DELETE"}, "X-Forwarded-For": {"10.0.0.1"}}
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "body" {
			t.Fatalf("%q, %v", got, err)
		}
		if got := <-seen; len(got) != 1 || got.Get("X-Hash") != "abc" {
			t.Errorf("the backend got %v", got)
		}
		if got := resp.Trailer; len(got) != 2 || got.Get("X-Sum") != "42" || got.Get("X-Late") != "unannounced" {
			t.Errorf("the client got %v", got)
		}
	})
}

// TestSilentBackend: an answer that says nothing for too long is cut, and never looks as if it had ended well.
func TestSilentBackend(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		c := via(t, h2)
		gone := make(chan struct{}, 2)
		path := far(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery == "" {
				_, _ = io.WriteString(w, "half")
				_ = http.NewResponseController(w).Flush()
			}
			<-r.Context().Done()
			gone <- struct{}{}
		})
		resp := start(t, c, http.MethodGet, on("brief", path), nil)
		if got, err := io.ReadAll(resp.Body); err == nil || string(got) != "half" {
			t.Errorf("%q, %v", got, err)
		}
		<-gone
		if o := ended(t, "brief", path); o["status"] != "error" {
			t.Errorf("recorded as %v", o)
		}
		resp = start(t, c, http.MethodGet, on("brief", path)+"?from-the-start", nil)
		if said, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusGatewayTimeout || !strings.Contains(string(said), "said nothing for too long") {
			t.Errorf("%d %s", resp.StatusCode, said)
		}
		<-gone
	}
}

// TestLongAnswer: an answer that takes longer than the silence that is allowed is not silent.
func TestLongAnswer(t *testing.T) {
	path := far(t, func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(300 * time.Millisecond)
		defer tick.Stop()
		for range 5 {
			<-tick.C
			_, _ = io.WriteString(w, ".")
			_ = http.NewResponseController(w).Flush()
		}
	})
	if got, err := io.ReadAll(start(t, via(t, true), http.MethodGet, on("brief", path), nil).Body); err != nil || string(got) != "....." {
		t.Errorf("%q, %v", got, err)
	}
}

// TestSlowReader: a client that does not take its answer is let go, and its backend with it.
func TestSlowReader(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		gone := make(chan struct{})
		path := far(t, func(w http.ResponseWriter, r *http.Request) {
			defer close(gone)
			for b := make([]byte, 64<<10); r.Context().Err() == nil; {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		})
		start(t, via(t, h2), http.MethodGet, on("brief", path), nil)
		<-gone
	}
}

// TestClientGone: when a client leaves, nobody works for it any more.
func TestClientGone(t *testing.T) {
	versions(t, func(t *testing.T, c *http.Client, connection string) {
		begun, gone := make(chan struct{}), make(chan struct{})
		path := far(t, func(w http.ResponseWriter, r *http.Request) {
			close(begun)
			<-r.Context().Done()
			close(gone)
		})
		ctx, leave := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, on(connection, path), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+streaming.token)
		go func() {
			<-begun
			leave()
		}()
		resp, err := c.Do(r)
		if err == nil {
			_ = resp.Body.Close()
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("%v, %v", resp, err)
		}
		<-gone
	})
}

// TestBackendGone: an answer whose backend breaks off breaks off, too.
func TestBackendGone(t *testing.T) {
	versions(t, func(t *testing.T, c *http.Client, connection string) {
		for _, length := range []string{"", "100"} {
			path := far(t, func(w http.ResponseWriter, _ *http.Request) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				_, _ = io.WriteString(w, "half")
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			})
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, on(connection, path), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+streaming.token)
			resp, err := c.Do(r)
			if err != nil {
				continue
			}
			if got, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("%q ended well", got)
			}
			_ = resp.Body.Close()
		}
	})
}

// TestExpectContinue: a client is asked for its body only when the request is allowed, and the backend asks for it.
func TestExpectContinue(t *testing.T) {
	path := far(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Ask") == "" {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		_, _ = io.Copy(w, r.Body)
	})
	for _, x := range []struct{ path, ask, want string }{
		{"/denied", "X-Ask: yes\r\n", "403"},
		{path, "", "413"},
		{path, "X-Ask: yes\r\n", "100"},
	} {
		conn := dialled(t)
		_, _ = fmt.Fprintf(conn, "PUT /c/plain%s HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer %s\r\nExpect: 100-continue\r\nContent-Length: 4\r\n%s\r\n", x.path, streaming.token, x.ask)
		in := textproto.NewReader(bufio.NewReader(conn))
		line, err := in.ReadLine()
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+x.want) {
			t.Fatalf("%s: %q, %v", x.path, line, err)
		}
		if x.want != "100" {
			continue
		}
		_, _ = io.WriteString(conn, "body")
		_, _ = in.ReadLine()
		if line, err = in.ReadLine(); err != nil || !strings.HasPrefix(line, "HTTP/1.1 200") {
			t.Fatalf("%q, %v", line, err)
		}
	}
}

// TestEarlyAnswer: a backend that answers before it has read all is heard, though the client is still sending.
func TestEarlyAnswer(t *testing.T) {
	versions(t, func(t *testing.T, c *http.Client, connection string) {
		path := far(t, func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			_, _ = io.ReadFull(r.Body, make([]byte, 4))
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			_, _ = io.WriteString(w, "too large")
		})
		body, say := io.Pipe()
		defer func() { _ = say.Close() }()
		go func() { _, _ = io.WriteString(say, "some") }()
		resp := start(t, c, http.MethodPost, on(connection, path), body)
		if got, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusRequestEntityTooLarge || string(got) != "too large" {
			t.Errorf("%d %q", resp.StatusCode, got)
		}
	})
}

// TestWithoutBody: answers that have no body have none, and say what they would say.
func TestWithoutBody(t *testing.T) {
	versions(t, func(t *testing.T, c *http.Client, connection string) {
		path := far(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.RawQuery != "":
				var status int
				_, _ = fmt.Sscanf(r.URL.RawQuery, "%d", &status)
				w.Header().Set("Etag", `"1"`)
				w.WriteHeader(status)
			default:
				http.ServeContent(w, r, "f.txt", time.Time{}, strings.NewReader("0123456789"))
			}
		})
		if r := start(t, c, http.MethodHead, on(connection, path), nil); r.ContentLength != 10 || r.StatusCode != http.StatusOK {
			t.Errorf("HEAD: %d, length %d", r.StatusCode, r.ContentLength)
		}
		for _, status := range []int{http.StatusNoContent, http.StatusNotModified} {
			r := start(t, c, http.MethodGet, on(connection, path)+fmt.Sprintf("?%d", status), nil)
			if b, err := io.ReadAll(r.Body); r.StatusCode != status || len(b) > 0 || err != nil || r.Header.Get("Etag") != `"1"` {
				t.Errorf("%d %q %v %v", r.StatusCode, b, err, r.Header)
			}
		}
		r := start(t, c, http.MethodGet, on(connection, path), nil, "Range", "bytes=2-4")
		if b, _ := io.ReadAll(r.Body); r.StatusCode != http.StatusOK || string(b) != "0123456789" || r.ContentLength != 10 { // these connections have a credential
			t.Errorf("range: %d %q %v", r.StatusCode, b, r.Header)
		}
	})
}

// TestEarlyHints: what a backend says before its answer is not passed on: nobody has looked through it.
func TestEarlyHints(t *testing.T) {
	versions(t, func(t *testing.T, c *http.Client, connection string) {
		path := far(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</"+credential+">; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			_, _ = io.WriteString(w, "answer")
		})
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			return errors.New("hints")
		}})
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, on(connection, path), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+streaming.token)
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if got, _ := io.ReadAll(resp.Body); string(got) != "answer" {
			t.Errorf("%q", got)
		}
	})
}
