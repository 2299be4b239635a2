package nats

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/wire"
)

const (
	tlsContent = 0x16                  // first byte of a TLS record that carries a handshake
	firstWait  = 50 * time.Millisecond // for a client that speaks TLS before it is greeted, as servers wait with handshake_first: auto
	maxToken   = 16 << 10
)

// accept speaks with a fresh client up to its token.
func (p *protocol) accept(ctx context.Context, conn net.Conn, h wire.Hello) (wire.Session, error) {
	a := &accepting{p: p, conn: conn, hello: h}
	defer a.stop()
	hello, err := a.connect(ctx)
	var login wire.Login
	if err == nil {
		login, err = a.login(hello)
	}
	if err != nil {
		a.say(err)
		return nil, err
	}
	if len(a.ahead) > 0 {
		a.conn = &unread{Conn: a.conn, ahead: a.ahead}
	}
	return &session{p: p, conn: a.conn, login: login, client: hello, limits: h.Limits}, nil
}

// accepting is the state before there is a session.
type accepting struct {
	p     *protocol
	conn  net.Conn
	hello wire.Hello
	tls   *tls.Conn // nil in clear
	ahead []byte    // what was read and not yet understood
	early chan first
}

// first is what a client says first.
type first struct {
	n   int
	err error
	b   [1]byte
}

func (a *accepting) say(err error) {
	if !errors.Is(err, io.EOF) {
		_, _ = a.conn.Write(appendErr(nil, loginWords(err)))
	}
}

// connect greets the client, agrees on TLS, and reads CONNECT, which has to come before anything else.
func (a *accepting) connect(ctx context.Context) (*hello, error) {
	b, greeted, err := a.begin()
	if err != nil {
		return nil, err
	}
	if b == tlsContent {
		if err := a.encrypt(ctx, b); err != nil {
			return nil, err
		}
		if !greeted {
			if _, err := a.conn.Write(a.greeting()); err != nil {
				return nil, io.EOF
			}
		}
	} else {
		a.ahead = append(a.ahead, b)
	}
	if a.tls == nil && !a.hello.Plaintext {
		return nil, &fault.Error{Op: "nats.accept", Kind: fault.Unauthenticated, Say: "Secure Connection - TLS Required"}
	}
	line, err := a.line()
	if err != nil {
		return nil, err
	}
	defer clear(line) // the token
	return readHello(line)
}

// begin waits a moment for a client that speaks TLS first, then greets it, and returns the first byte that it says.
func (a *accepting) begin() (b byte, greeted bool, err error) {
	a.early = make(chan first, 1)
	go func(conn net.Conn, early chan first) {
		var f first
		f.n, f.err = io.ReadFull(conn, f.b[:])
		early <- f
	}(a.conn, a.early)
	wait := time.NewTimer(firstWait)
	defer wait.Stop()
	select {
	case f := <-a.early:
		a.early = nil
		if f.err != nil {
			return 0, false, io.EOF
		}
		if f.b[0] != tlsContent {
			_, err = a.conn.Write(a.greeting())
		}
		return f.b[0], false, err
	case <-wait.C:
	}
	if _, err := a.conn.Write(a.greeting()); err != nil {
		return 0, true, io.EOF
	}
	f := <-a.early // the time to log in bounds it: it is a deadline on the connection
	a.early = nil
	if f.err != nil {
		return 0, true, io.EOF
	}
	return f.b[0], true, nil
}

// stop ends the goroutine that waits for the first byte, where the client was not even greeted.
func (a *accepting) stop() {
	if a.early != nil {
		_ = a.conn.Close()
		<-a.early
	}
}

// greeting is the INFO of a gateway that does not know yet which server the client will be given.
func (a *accepting) greeting() []byte {
	return appendInfo(nil, &serverInfo{ServerID: "GATEHOUSE", ServerName: "gatehouse", Version: leastVersion, Proto: 1, Headers: true,
		AuthRequired: true, TLSRequired: !a.hello.Plaintext || a.tls != nil, TLSAvailable: a.hello.Plaintext && a.tls == nil,
		MaxPayload: int64(min(a.hello.Limits.Message-maxLine, defaultPayload))})
}

// encrypt speaks TLS. Bytes that came before the handshake would have been injected by someone in between: nothing was read
// but its first.
func (a *accepting) encrypt(ctx context.Context, b byte) error {
	if a.hello.TLS == nil {
		return io.EOF
	}
	t := tls.Server(&unread{Conn: a.conn, ahead: []byte{b}}, a.hello.TLS)
	if err := t.HandshakeContext(ctx); err != nil {
		return io.EOF // the client knows why; there is nothing to say it in
	}
	a.conn, a.tls = t, t
	return nil
}

var errFirst = &fault.Error{Op: "nats.accept", Kind: fault.Unauthenticated, Say: "the first operation of a client is CONNECT, with the token"}

// line reads CONNECT. What was read beyond it stays ahead.
func (a *accepting) line() ([]byte, error) {
	if cap(a.ahead) == 0 || len(a.ahead) < 1 {
		a.ahead = make([]byte, 0, 2<<10)
	}
	for {
		if n := min(len(a.ahead), len("CONNECT")); n > 0 && verbStart(a.ahead[:n]) != n {
			return nil, errFirst
		}
		f, ok, err := parse(a.ahead, fromClient)
		if err != nil {
			return nil, err
		}
		if ok {
			if f.op != opConnect {
				return nil, errFirst
			}
			text := f.text
			a.ahead = bytes.Clone(a.ahead[f.length:])
			return text, nil
		}
		if len(a.ahead) == cap(a.ahead) {
			a.ahead = append(make([]byte, 0, 2*cap(a.ahead)), a.ahead...)
		}
		n, err := a.conn.Read(a.ahead[len(a.ahead):cap(a.ahead)])
		a.ahead = a.ahead[:len(a.ahead)+n]
		if err != nil && n == 0 {
			return nil, io.EOF // a port scanner, or a load balancer's check
		}
	}
}

// verbStart returns how much of b begins CONNECT.
func verbStart(b []byte) int {
	const word = "CONNECT"
	n := 0
	for n < len(b) && n < len(word) && b[n]&^0x20 == word[n] {
		n++
	}
	return n
}

// unread gives back what was read ahead.
type unread struct {
	net.Conn
	ahead []byte
}

// Read implements io.Reader.
func (u *unread) Read(b []byte) (int, error) {
	if len(u.ahead) > 0 && len(b) > 0 {
		n := copy(b, u.ahead)
		if u.ahead = u.ahead[n:]; len(u.ahead) == 0 {
			u.ahead = nil
		}
		return n, nil
	}
	return u.Conn.Read(b)
}

// hello is what a client says in CONNECT.
type hello struct {
	name                       string // of the gateway's own
	user, pass, token          string
	verbose, pedantic, headers bool
	echo, noResponders         bool
	lang, version              string
	protocol                   int64
}

// readHello reads CONNECT's JSON. What only describes the client may be anything.
func readHello(text []byte) (*hello, error) {
	v, err := access.ReadJSON(bytes.Trim(text, " \t"))
	doc, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, fault.New(fault.Malformed, "nats.accept", "the options of CONNECT cannot be read")
	}
	h := &hello{echo: true}
	for name, into := range map[string]*string{"user": &h.user, "pass": &h.pass, "auth_token": &h.token, "lang": &h.lang, "version": &h.version} {
		if doc[name] == nil {
			continue
		}
		if *into, ok = doc[name].(string); !ok {
			return nil, errOption(name)
		}
	}
	for name, into := range map[string]*bool{"verbose": &h.verbose, "pedantic": &h.pedantic, "headers": &h.headers, "echo": &h.echo, "no_responders": &h.noResponders} {
		if doc[name] == nil {
			continue
		}
		if *into, ok = doc[name].(bool); !ok {
			return nil, errOption(name)
		}
	}
	h.protocol, _ = doc["protocol"].(int64)
	for _, name := range []string{"jwt", "nkey", "sig"} {
		if s, isText := doc[name].(string); doc[name] != nil && (!isText || s != "") {
			return nil, &fault.Error{Op: "nats.accept", Kind: fault.Unauthenticated,
				Say:  "logins with a key of one's own (jwt, nkey) are not taken: present the platform's token",
				Hint: "Use the connection's name as user and the token as password."}
		}
	}
	return h, nil
}

func errOption(name string) error {
	return fault.New(fault.Malformed, "nats.accept", "the option %s of CONNECT has another type", name)
}

// login finds the connection and the token: user and password; or a token of the form <connection>:<token>; or the token
// alone, where the host that TLS was asked for names the connection.
func (a *accepting) login(h *hello) (wire.Login, error) {
	connection, token := h.user, h.pass
	if h.token != "" {
		if h.pass != "" {
			return wire.Login{}, errTwoTokens
		}
		if token = h.token; connection == "" {
			connection = a.host()
		}
		if connection == "" {
			connection, token, _ = strings.Cut(h.token, ":")
		}
	}
	h.user, h.pass, h.token = "", "", ""
	if connection == "" || token == "" || len(token) > maxToken {
		return wire.Login{}, errNoToken
	}
	return wire.Login{Connection: connection, Token: access.NewSecret([]byte(token))}, nil
}

// host is the connection that the client's TLS names as a host below the listener's domain; "" where it does not.
func (a *accepting) host() string {
	if a.tls == nil || a.hello.Domain == "" {
		return ""
	}
	name, ok := strings.CutSuffix(strings.ToLower(a.tls.ConnectionState().ServerName), "."+strings.ToLower(a.hello.Domain))
	if !ok {
		return ""
	}
	return name
}

var (
	errTwoTokens = &fault.Error{Op: "nats.accept", Kind: fault.Unauthenticated, Say: "CONNECT has a password and an auth_token: one of them is enough"}
	errNoToken   = &fault.Error{Op: "nats.accept", Kind: fault.Unauthenticated, Say: "no connection, or no token of at most 16 kB",
		Hint: "Use the connection's name as user and the platform's token as password, or <connection>:<token> as auth_token."}
)
