package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// talker is a backend that echoes what it is told, and counts how often it was reached.
func talker(t *testing.T, serve func(ctx context.Context, c *websocket.Conn, r *http.Request)) (path string, reached chan *http.Request) {
	t.Helper()
	reached = make(chan *http.Request, 100)
	return far(t, func(w http.ResponseWriter, r *http.Request) {
		reached <- r
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, Subprotocols: []string{"chat"}, CompressionMode: websocket.CompressionContextTakeover})
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		c.SetReadLimit(1 << 24)
		serve(r.Context(), c, r)
	}), reached
}

func echo(ctx context.Context, c *websocket.Conn, _ *http.Request) {
	for {
		kind, b, err := c.Read(ctx)
		if err != nil {
			return
		}
		if err := c.Write(ctx, kind, b); err != nil {
			return
		}
	}
}

// socket dials as a stock client does.
func socket(t *testing.T, connection, path string, offer ...string) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), on(connection, path), &websocket.DialOptions{HTTPClient: via(t, false), Subprotocols: offer,
		HTTPHeader: http.Header{"X-Gatehouse-Token": {streaming.token}}, CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	c.SetReadLimit(1 << 24)
	return c
}

// says sends a message and returns the next that comes.
func says(t *testing.T, c *websocket.Conn, kind websocket.MessageType, text string) (string, error) {
	t.Helper()
	if err := c.Write(t.Context(), kind, []byte(text)); err != nil {
		return "", err
	}
	_, got, err := c.Read(t.Context())
	return string(got), err
}

// TestSocket: messages of both kinds and any size pass both ways, so does goodbye, and the log has their number.
func TestSocket(t *testing.T) {
	path, reached := talker(t, echo)
	c := socket(t, "plain", path, "chat")
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
		for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
			text := strings.Repeat("x", n)
			if got, err := says(t, c, kind, text); err != nil || got != text {
				t.Fatalf("%d: %d %v", n, len(got), err)
			}
		}
	}
	if c.Subprotocol() != "chat" {
		t.Errorf("the subprotocol is %q", c.Subprotocol())
	}
	ctx := c.CloseRead(t.Context())
	if err := c.Ping(ctx); err != nil {
		t.Error(err)
	}
	if err := c.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Error(err)
	}
	r := arrived(t, reached)
	for name, values := range r.Header {
		if strings.Contains(strings.Join(values, " "), streaming.token) || name == "Sec-Websocket-Extensions" {
			t.Errorf("the backend got %s: %v", name, values)
		}
	}
	o := ended(t, "plain", path)
	if code, _ := o["code"].(string); o["status"] != "ok" || o["rows"] != 14.0 || !strings.HasPrefix(code, "101 close=1000 sent=14/") {
		t.Errorf("recorded as %v", o)
	}
}

// TestSocketRefused: a request for a WebSocket that is not allowed, not proper or not for WebSocket reaches nobody.
func TestSocketRefused(t *testing.T) {
	path, reached := talker(t, echo)
	const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	const rest = "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
	for _, x := range []struct{ name, connection, path, headers, want string }{
		{"denied", "plain", "/denied", "Upgrade: websocket\r\n" + rest + key, "403"},
		{"not let", "two", path, "Upgrade: websocket\r\n" + rest + key, "403"},
		{"another protocol", "plain", path, "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n" + rest + key, "400"},
		{"two protocols", "plain", path, "Upgrade: websocket\r\nUpgrade: h2c\r\n" + rest + key, "400"},
		{"a list of protocols", "plain", path, "Upgrade: websocket, h2c\r\n" + rest + key, "400"},
		{"another version", "plain", path, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n" + key, "400"},
		{"no key", "plain", path, "Upgrade: websocket\r\n" + rest, "400"},
		{"two keys", "plain", path, "Upgrade: websocket\r\n" + rest + key + key, "400"},
		{"a short key", "plain", path, "Upgrade: websocket\r\n" + rest + "Sec-WebSocket-Key: AAAA\r\n", "400"},
		{"not in Connection", "plain", path, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" + key, "400"},
		{"a body", "plain", path, "Upgrade: websocket\r\nContent-Length: 4\r\n" + rest + key, "400"},
	} {
		t.Run(x.name, func(t *testing.T) {
			conn := dialled(t)
			_, _ = fmt.Fprintf(conn, "GET /c/%s%s HTTP/1.1\r\nHost: gw\r\nX-Gatehouse-Token: %s\r\n%s\r\n", x.connection, x.path, streaming.token, x.headers)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			if !strings.HasPrefix(resp.Status, x.want) {
				said, _ := io.ReadAll(resp.Body)
				t.Errorf("%s %s", resp.Status, said)
			}
		})
	}
	if n := len(reached); n != 0 {
		t.Errorf("the backend was reached %d times", n)
	}
}

// TestSocketHidden: masks hold in messages both ways, however their frames are cut; what cannot be read is not passed.
func TestSocketHidden(t *testing.T) {
	got := make(chan string, 10)
	path, _ := talker(t, func(ctx context.Context, c *websocket.Conn, r *http.Request) {
		for {
			kind, b, err := c.Read(ctx)
			if err != nil {
				return
			}
			got <- string(b)
			switch string(b) {
			case `"cut"`: // one message in a frame for each byte
				w, err := c.Writer(ctx, websocket.MessageText)
				if err != nil {
					return
				}
				for _, x := range []byte(`{"user":{"em\u0061il":"canary@example.com"}}`) {
					_, _ = w.Write([]byte{x})
				}
				_ = w.Close()
			case `"text"`:
				_ = c.Write(ctx, kind, []byte(`email=canary@example.com`))
			case `"binary"`:
				_ = c.Write(ctx, websocket.MessageBinary, []byte(`{"email":"canary@example.com"}`))
			case `"close"`:
				_ = c.Close(4000, "canary@example.com")
			default:
				_ = c.Write(ctx, kind, []byte(`{"id":1,"email":"canary@example.com"}`))
			}
		}
	})
	c := socket(t, "hidden", path)
	answer, err := says(t, c, websocket.MessageText, `{"card":"4111111111111111","x":1}`)
	if err != nil || answer != `{"id":1,"email":"[redacted]"}` || <-got != `{"card":"[redacted]","x":1}` {
		t.Errorf("%q, %v", answer, err)
	}
	if answer, err = says(t, c, websocket.MessageText, `"cut"`); err != nil || answer != `{"user":{"em\u0061il":"[redacted]"}}` {
		t.Errorf("%q, %v", answer, err)
	}
	for say, code := range map[string]websocket.StatusCode{`"text"`: 1003, `"binary"`: 1003, `"close"`: 4000} {
		c := socket(t, "hidden", path)
		answer, err := says(t, c, websocket.MessageText, say)
		var closed websocket.CloseError
		if answer != "" || !errors.As(err, &closed) || closed.Code != code || strings.Contains(closed.Reason, "canary") {
			t.Errorf("%s: %q, %v", say, answer, err)
		}
	}
	for say, code := range map[string]websocket.StatusCode{"x" + strings.Repeat("y", 4096): websocket.StatusMessageTooBig, "{": 1003, "\xff": websocket.StatusInvalidFramePayloadData} {
		var closed websocket.CloseError
		if _, err := says(t, socket(t, "hidden", path), websocket.MessageText, say); !errors.As(err, &closed) || closed.Code != code {
			t.Errorf("%.5q: %v", say, err)
		}
	}
	path, _ = talker(t, echo)
	c = socket(t, "hidden", path)
	if answer, err = says(t, c, websocket.MessageText, `{"email":"canary@example.com"}`); err != nil || answer != `{"email":"[redacted]"}` {
		t.Errorf("%q, %v", answer, err)
	}
	_ = c.Close(websocket.StatusNormalClosure, "")
	if o := ended(t, "hidden", path); o["masked"] != 1.0 {
		t.Errorf("recorded as %v", o)
	}
}

// TestSocketEcho: a backend that tells its own credential tells it nobody.
func TestSocketEcho(t *testing.T) {
	path, _ := talker(t, func(ctx context.Context, c *websocket.Conn, r *http.Request) {
		_ = c.Write(ctx, websocket.MessageText, []byte("you are "+r.Header.Get("Authorization")))
		_ = c.Write(ctx, websocket.MessageBinary, []byte(r.Header.Get("Authorization")))
		_ = c.Close(4000, r.Header.Get("Authorization"))
	})
	c := socket(t, "plain", path)
	for range 3 {
		_, b, err := c.Read(t.Context())
		if strings.Contains(fmt.Sprint(string(b), err), credential) || err == nil && len(b) < 10 {
			t.Errorf("%s %v", b, err)
		}
	}
}

// TestSocketSmuggling: what comes after the upgrade and is no frame goes nowhere.
func TestSocketSmuggling(t *testing.T) {
	read := make(chan string, 1)
	path := far(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		_, b, err := c.Read(r.Context())
		read <- fmt.Sprint(string(b), err)
	})
	conn := dialled(t)
	_, _ = fmt.Fprintf(conn, "GET /c/plain%s HTTP/1.1\r\nHost: gw\r\nX-Gatehouse-Token: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nGET /denied HTTP/1.1\r\nHost: gw\r\n\r\n", path, streaming.token)
	if b := <-read; !strings.Contains(b, "StatusGoingAway") {
		t.Errorf("the backend read %q", b)
	}
	said, _ := io.ReadAll(conn)
	if !strings.Contains(string(said), "101 Switching") || strings.Contains(string(said), "403") {
		t.Errorf("%q", said)
	}
}

// TestSocketOfLiars: a backend that does not answer as RFC 6455 says gets no WebSocket.
func TestSocketOfLiars(t *testing.T) {
	for _, lie := range []string{"Sec-WebSocket-Accept: AAAA", "Upgrade: h2c", "Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: other"} {
		path := far(t, func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			upgrade, accept := "Upgrade: websocket\r\n", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
			if strings.HasPrefix(lie, "Upgrade") {
				upgrade = ""
			}
			if strings.HasPrefix(lie, "Sec-WebSocket-Accept") {
				accept = ""
			}
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n%s%s%s\r\n\r\n%s", upgrade, accept, lie, credential)
		})
		conn := dialled(t)
		_, _ = fmt.Fprintf(conn, "GET /c/plain%s HTTP/1.1\r\nHost: gw\r\nX-Gatehouse-Token: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, streaming.token)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if said, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusBadGateway || strings.Contains(string(said), credential) {
			t.Errorf("%s: %d %s", lie, resp.StatusCode, said)
		}
	}
}

// TestSocketSilent: a WebSocket on which nobody says anything ends.
func TestSocketSilent(t *testing.T) {
	path, _ := talker(t, echo)
	_, _, err := socket(t, "brief", path).Read(t.Context())
	if websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Error(err)
	}
}

// denyLate denies what latecomers may, and allows it again behind the test.
func denyLate(t *testing.T, path string) {
	t.Helper()
	apply := func(statement string) {
		if r := shared.gw.CLI(context.WithoutCancel(t.Context()), "kind: Policy\nname: latecomers\nstatements:\n"+statement, "apply", "-f", "-"); r.Code != 0 {
			t.Fatal(r.Err)
		}
	}
	t.Cleanup(func() { apply("  - effect: allow\n    actions: [http:Upgrade]\n    resources: [\"late/*\"]\n") })
	apply("  - effect: deny\n    actions: [\"*\"]\n    resources: [\"late" + path + "\"]\n")
}

// endsLate calls next until the new policies have arrived: then the client is told so.
func endsLate(t *testing.T, want string, next func() (string, error)) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); ; {
		got, err := next()
		if err == nil && got == want && time.Now().Before(until) {
			continue
		}
		var closed websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != websocket.StatusPolicyViolation {
			t.Error(got, err)
		}
		return
	}
}

// TestSocketPolicies: where the policies change under a WebSocket, it does not go on under the old ones.
func TestSocketPolicies(t *testing.T) {
	path, _ := talker(t, echo)
	c := socket(t, "late", path)
	if got, err := says(t, c, websocket.MessageText, "before"); err != nil || got != "before" {
		t.Fatal(got, err)
	}
	denyLate(t, path)
	endsLate(t, "after", func() (string, error) { return says(t, c, websocket.MessageText, "after") })
}

// TestSocketPoliciesOfListeners: nor does it for a client that says nothing, and only listens.
func TestSocketPoliciesOfListeners(t *testing.T) {
	news := make(chan string, 1)
	path, _ := talker(t, func(ctx context.Context, c *websocket.Conn, _ *http.Request) {
		for text := range news {
			if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
				return
			}
		}
	})
	defer close(news)
	c := socket(t, "late", path)
	next := func() (string, error) {
		select {
		case news <- "news":
		case <-t.Context().Done():
		}
		_, got, err := c.Read(t.Context())
		return string(got), err
	}
	if got, err := next(); err != nil || got != "news" {
		t.Fatal(got, err)
	}
	denyLate(t, path)
	endsLate(t, "news", next)
}

// TestSocketOfBrowser: a client that cannot set headers shows its token as a subprotocol, which goes no further.
func TestSocketOfBrowser(t *testing.T) {
	path, reached := talker(t, echo)
	for _, offer := range []string{`"gatehouse"`, `"chat"`} {
		script := fmt.Sprintf(`const ws = new WebSocket(%q, [%s, "gatehouse.bearer.%s"]);
ws.onopen = () => ws.send("hello");
ws.onmessage = (e) => { console.log(ws.protocol, e.data); ws.close(1000); };
ws.onclose = (e) => { console.log(e.code); process.exit(0); };`, strings.Replace(on("plain", path), "https", "wss", 1), offer, streaming.token)
		cmd := exec.CommandContext(t.Context(), "node", "--experimental-websocket", "--no-warnings", "-e", script)
		cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+shared.gw.CAFile())
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != strings.Trim(offer, `"`)+" hello\n1000\n" {
			t.Errorf("%s %v", out, err)
		}
		if p := arrived(t, reached).Header.Get("Sec-Websocket-Protocol"); p != "" && p != "chat" {
			t.Errorf("the backend was offered %q", p)
		}
	}
}

// arrived is the next request that a talker was sent.
func arrived(t *testing.T, reached <-chan *http.Request) *http.Request {
	t.Helper()
	select {
	case r := <-reached:
		return r
	case <-time.After(30 * time.Second):
		t.Fatal("no request reached the backend")
		return nil
	}
}
