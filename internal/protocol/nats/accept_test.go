package nats

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"

	"gatehouse/e2e/mqtest"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire"
)

// listener is what a listener with a certificate says, which clients here do not verify.
func listener(t *testing.T) wire.Hello {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	return wire.Hello{TLS: &tls.Config{Certificates: s.TLS.Certificates}, Domain: "queues.example"}
}

// TestLogins: whatever way a stock client presents its token, over TLS that comes after INFO or before it.
func TestLogins(t *testing.T) {
	back := must[*mqtest.NATS](t)(mqtest.NewNATS(context.Background(), mqtest.NATSOptions{}))
	t.Cleanup(func() { _ = back.Stop() })
	w := newWorldAt(t, back, listener(t), allow("nats:Publish nats:Subscribe", "jobs/subject/*"))
	insecure := client.Secure(&tls.Config{InsecureSkipVerify: true})
	named := client.Secure(&tls.Config{InsecureSkipVerify: true, ServerName: "jobs.queues.example"})
	for name, o := range map[string][]client.Option{
		"user and password":                 {insecure, client.UserInfo("jobs", "good-a")},
		"a token that names the connection": {insecure, client.Token("jobs:good-a")},
		"a token, and a host that names it": {named, client.Token("good-a")},
		"TLS first":                         {insecure, client.TLSHandshakeFirst(), client.UserInfo("jobs", "good-a")},
		"every operation acknowledged":      {insecure, client.UserInfo("jobs", "good-a"), func(o *client.Options) error { o.Verbose, o.Pedantic = true, true; return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			c := must[*client.Conn](t)(client.Connect("nats://"+w.address, append(o, client.Timeout(patience), client.NoReconnect())...))
			defer c.Close()
			s := must[*client.Subscription](t)(c.SubscribeSync("a"))
			if err := errorsOf(c.Publish("a", []byte("x")), c.Flush()); err != nil {
				t.Fatal(err)
			}
			if m := next(t, s); string(m.Data) != "x" {
				t.Errorf("%q", m.Data)
			}
		})
	}
	for name, o := range map[string][]client.Option{
		"a wrong token":               {insecure, client.UserInfo("jobs", "bad")},
		"no token":                    {insecure},
		"a token alone":               {insecure, client.Token("good-a")},
		"another connection":          {insecure, client.UserInfo("elsewhere", "good-a")},
		"the server's own credential": {insecure, client.UserInfo(mqtest.AppUser, mqtest.AppPassword)},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := client.Connect("nats://"+w.address, append(o, client.Timeout(patience), client.NoReconnect())...)
			if err == nil {
				c.Close()
			}
			if !strings.Contains(fmt.Sprint(err), "Authorization Violation: ") {
				t.Errorf("%v", err)
			}
		})
	}
}

// raw is a client that says what it likes.
type raw struct {
	net.Conn
	r *bufio.Reader
}

func (w *world) raw() *raw {
	w.t.Helper()
	conn := must[net.Conn](w.t)(net.Dial("tcp", w.address))
	w.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &raw{conn, bufio.NewReader(conn)}
}

// until reads lines up to one that begins so, and returns it; what came before it too.
func (r *raw) until(t *testing.T, start string) (before []string, line string) {
	t.Helper()
	for {
		line, err := r.r.ReadString('\n')
		if err != nil {
			t.Fatalf("no %s, but %q and %v", start, before, err)
		}
		if strings.HasPrefix(line, start) {
			return before, strings.TrimSpace(line)
		}
		before = append(before, strings.TrimSpace(line))
	}
}

const (
	connect = "CONNECT {\"user\":\"jobs\",\"pass\":\"good-a\",\"headers\":true,\"protocol\":1}\r\n"
	verbose = "CONNECT {\"user\":\"jobs\",\"pass\":\"good-a\",\"verbose\":true}\r\n"
)

// TestStrangers: who says anything but a plain CONNECT with a token reaches nobody, and is told in the server's words.
func TestStrangers(t *testing.T) {
	w := newWorld(t, allow("nats:Publish nats:Subscribe", "jobs/subject/*"))
	for name, c := range map[string]struct{ say, want string }{
		"something before CONNECT":   {"PUB a 1\r\nx\r\n" + connect, "-ERR 'Authorization Violation"},
		"PING before CONNECT":        {"PING\r\n" + connect, "-ERR 'Authorization Violation"},
		"another protocol":           {"GET / HTTP/1.1\r\n\r\n", "-ERR 'Authorization Violation"},
		"a JWT":                      {`CONNECT {"jwt":"x","sig":"y"}` + "\r\n", "-ERR 'Authorization Violation"},
		"an nkey":                    {`CONNECT {"nkey":"x","user":"jobs","pass":"good-a"}` + "\r\n", "-ERR 'Authorization Violation"},
		"a user twice":               {`CONNECT {"user":"x","user":"jobs","pass":"good-a"}` + "\r\n", "-ERR 'the options of CONNECT"},
		"a user twice in other case": {`CONNECT {"User":"x","user":"jobs","pass":"good-a"}` + "\r\n", "-ERR 'the options of CONNECT"},
		"a password that is none":    {`CONNECT {"user":"jobs","pass":1}` + "\r\n", "-ERR 'the option pass"},
		"two tokens":                 {`CONNECT {"user":"jobs","pass":"good-a","auth_token":"good-b"}` + "\r\n", "-ERR 'Authorization Violation"},
		"half of JSON":               {`CONNECT {"user":"jobs"` + "\r\n", "-ERR 'the options of CONNECT"},
		"a login that is too long":   {`CONNECT {"user":"` + strings.Repeat("x", maxConnect) + `"}` + "\r\n", "-ERR 'Maximum Control Line Exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.raw()
			go func() { _, _ = io.WriteString(r, c.say) }() // more than what is read
			if _, line := r.until(t, "-ERR"); !strings.HasPrefix(line, c.want) {
				t.Errorf("%s", line)
			}
		})
	}
	hello := listener(t)
	w = newWorldAt(t, natsServer(t), hello, allow("nats:Publish", "jobs/subject/*"))
	r := w.raw()
	_, _ = io.WriteString(r, connect)
	if _, line := r.until(t, "-ERR"); !strings.Contains(line, "Secure Connection - TLS Required") {
		t.Errorf("a token in clear: %s", line)
	}
}

// TestNothingLeadsAround: what a client is told of its server names no other, and nothing of the gateway's own login.
func TestNothingLeadsAround(t *testing.T) {
	i, err := readInfo([]byte(`{"server_id":"S","version":"2.10.1","connect_urls":["10.0.0.1:4222"],"client_ip":"10.0.0.9","client_id":7,"nonce":"n","host":"10.0.0.1","port":4222,
		"ip":"10.0.0.1","cluster":"c","ws_connect_urls":["x"],"max_payload":4096,"headers":true,"jetstream":true,"ldm":true}`))
	if err != nil {
		t.Fatal(err)
	}
	const want = `INFO {"server_id":"S","server_name":"","version":"2.10.1","proto":0,"headers":true,"max_payload":4096,"jetstream":true,"ldm":true}` + "\r\n"
	if got := string(appendInfo(nil, i)); got != want {
		t.Errorf("%s", got)
	}
}

// TestEveryOperationIsAnswered: a client that asked for it gets one answer for each operation, in their order, whoever answers.
func TestEveryOperationIsAnswered(t *testing.T) {
	w := newWorld(t, allow("nats:Publish nats:Subscribe", "jobs/subject/ok"))
	r := w.raw()
	_, _ = io.WriteString(r, verbose)
	r.until(t, "+OK")
	_, _ = io.WriteString(r, "PUB ok 1\r\nx\r\nPUB no 1\r\nx\r\nPUB ok 1\r\nx\r\nPUB no 1\r\nx\r\nUNSUB 9\r\nSUB ok 1\r\nSUB no 2\r\nUNSUB 1 1\r\nUNSUB 1\r\nPING\r\n")
	before, _ := r.until(t, "PONG")
	var got []string
	for _, line := range before {
		word, _, _ := strings.Cut(line, " ")
		got = append(got, word)
	}
	if want := "+OK -ERR +OK -ERR +OK +OK -ERR +OK +OK"; strings.Join(got, " ") != want {
		t.Errorf("%s, want %s", strings.Join(got, " "), want)
	}
}

// TestDrained: a client is told to look for another server, and its connection is closed without an error.
func TestDrained(t *testing.T) {
	w := newWorld(t, allow("nats:Publish nats:Subscribe", "jobs/subject/*"))
	r := w.raw()
	_, _ = io.WriteString(r, connect+"PING\r\n")
	r.until(t, "PONG")
	d := w.direct()
	s := must[*client.Subscription](t)(d.SubscribeSync("last"))
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(r, "PUB last 1\r\nx\r\nPING\r\n")
	r.until(t, "PONG")
	ctx, done := context.WithTimeout(context.Background(), patience)
	defer done()
	w.server.Drain(ctx)
	rest := string(must[[]byte](t)(io.ReadAll(r.r)))
	if !strings.Contains(rest, `"ldm":true`) || strings.Contains(rest, "-ERR") {
		t.Errorf("%q", rest)
	}
	next(t, s)
}

// TestEndsWithTheServer: a client whose server is gone is told so in words upon which it connects again.
func TestEndsWithTheServer(t *testing.T) {
	back := must[*mqtest.NATS](t)(mqtest.NewNATS(context.Background(), mqtest.NATSOptions{Plain: true}))
	t.Cleanup(func() { _ = back.Stop() })
	w := newWorldAt(t, back, wire.Hello{Plaintext: true, TLS: &tls.Config{}}, allow("nats:Publish nats:Subscribe", "jobs/subject/*"))
	again := make(chan struct{}, 10)
	c := must[*client.Conn](t)(client.Connect("nats://"+w.address, client.UserInfo("jobs", "good-a"), client.MaxReconnects(-1), client.ReconnectWait(20*time.Millisecond),
		client.ReconnectHandler(func(*client.Conn) { again <- struct{}{} })))
	defer c.Close()
	s := must[*client.Subscription](t)(c.SubscribeSync("a"))
	if err := errorsOf(c.Flush(), back.Restart(context.Background())); err != nil {
		t.Fatal(err)
	}
	select {
	case <-again:
	case <-time.After(patience):
		t.Fatal("the client did not come back")
	}
	if err := errorsOf(c.Publish("a", []byte("x")), c.Flush()); err != nil {
		t.Fatal(err)
	}
	next(t, s)
}

// TestConnectionTest logs in and out, and says what is wrong.
func TestConnectionTest(t *testing.T) {
	w := newWorld(t, allow("nats:Publish", "jobs/subject/*"))
	_, c, err := w.Rules(w.principal(), "jobs")
	if err != nil {
		t.Fatal(err)
	}
	services := &gate.Services{Vault: w, Dial: (&net.Dialer{}).DialContext, Clock: time.Now}
	if err := testLogin(context.Background(), gate.NewLease(services, c, gate.Limits{Message: 1 << 20})); err != nil {
		t.Error(err)
	}
	wrong := *c
	wrong.Credential.User = "nobody"
	if err := testLogin(context.Background(), gate.NewLease(services, &wrong, gate.Limits{Message: 1 << 20})); err == nil || strings.Contains(err.Error(), mqtest.AppPassword) {
		t.Errorf("%v", err)
	}
}

// TestWhoMayTryAgain: a client that reads that it has no permission gives up, so that nobody is told who could come back later.
func TestWhoMayTryAgain(t *testing.T) {
	for kind, final := range map[fault.Kind]bool{fault.Unauthenticated: true, fault.Denied: true, fault.Backend: false, fault.Unavailable: false, fault.Internal: false} {
		if words := loginWords(fault.New(kind, "test", "words")); strings.HasPrefix(words, "Authorization Violation") != final {
			t.Errorf("%s: %s", kind, words)
		}
	}
}
