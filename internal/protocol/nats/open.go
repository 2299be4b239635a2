package nats

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// outgoing is the CONNECT that the gateway logs in to a server with.
type outgoing struct {
	Verbose      bool   `json:"verbose"`
	Pedantic     bool   `json:"pedantic"`
	TLSRequired  bool   `json:"tls_required"`
	User         string `json:"user,omitempty"`
	Pass         string `json:"pass,omitempty"`
	Token        string `json:"auth_token,omitempty"`
	Name         string `json:"name"`
	Lang         string `json:"lang"`
	Version      string `json:"version"`
	Protocol     int    `json:"protocol"`
	Echo         bool   `json:"echo"`
	Headers      bool   `json:"headers"`
	NoResponders bool   `json:"no_responders"`
}

// Open implements wire.Session: it logs in to a server, and tells the client what that one is like.
func (s *session) Open(ctx context.Context, g *gate.Gate) error {
	s.g = g
	name, err := s.p.name()
	if err != nil {
		return err
	}
	login, info := loggingIn(g.Connection(), s.client, name)
	b, err := g.Lease().Holding(s.limits.Message).Open(ctx, login)
	if err != nil {
		return err
	}
	s.info = *info
	s.begin(g.Duplex(b))
	if s.client.verbose {
		return g.Show([]byte("+OK\r\n")) // for CONNECT
	}
	return nil
}

// told is what the client is told of its server.
func (s *session) told() *serverInfo {
	i := s.info
	i.AuthRequired, i.TLSRequired, i.TLSAvailable = true, s.overTLS(), false
	i.MaxPayload = min(i.MaxPayload, int64(s.limits.Message-maxLine))
	return &i
}

func (s *session) overTLS() bool {
	conn := s.conn
	if u, ok := conn.(*unread); ok {
		conn = u.Conn
	}
	_, ok := conn.(*tls.Conn)
	return ok
}

// testLogin logs in to a server and out again.
func testLogin(ctx context.Context, l gate.Lease) error {
	login, _ := loggingIn(l.Connection(), &hello{lang: "go", version: "1", headers: true, echo: true}, "gatehouse")
	b, err := l.Open(ctx, login)
	if err != nil {
		return err
	}
	return b.Close()
}

// loggingIn returns the login to the server of a connection, with the options that a client asked for, and what it will have
// learnt.
func loggingIn(c *access.Connection, h *hello, name string) (gate.Login, *serverInfo) {
	learnt := &serverInfo{}
	first := c.NATS != nil && c.NATS.TLSFirst
	return func(ctx context.Context, raw net.Conn, cred gate.Credential) (net.Conn, error) {
		conn, info, err := login(ctx, raw, cred, h.as(name), first)
		if err != nil {
			return nil, backendRefused(c.Name, err)
		}
		*learnt = *info
		return conn, nil
	}, learnt
}

// as returns the options under a name of the gateway's own.
func (h *hello) as(name string) *hello {
	out := *h
	out.name = name
	return &out
}

// serverSays is a server's own error.
type serverSays string

// Error implements error.
func (e serverSays) Error() string { return "the server said: " + string(e) }

var errNoTLS = errors.New("the server does not speak TLS: start it with tls, or set tls.mode to disable")

// login speaks the login. It reads not one byte beyond its last answer, which a server sends nothing after: nothing was
// subscribed to.
func login(ctx context.Context, raw net.Conn, cred gate.Credential, h *hello, first bool) (net.Conn, *serverInfo, error) {
	conn := raw
	encrypt := func() error {
		t := tls.Client(raw, cred.TLS)
		if err := t.HandshakeContext(ctx); err != nil {
			return err
		}
		conn = t
		return nil
	}
	if first && cred.TLS != nil {
		if err := encrypt(); err != nil {
			return nil, nil, err
		}
	}
	text, err := readLine(conn, opInfo)
	if err != nil {
		return nil, nil, err
	}
	info, err := readInfo(text)
	if err != nil {
		return nil, nil, err
	}
	if cred.TLS != nil && !first {
		// A server that only permits TLS says so, or that it is there; an older one that permits it starts it when it is spoken to.
		if !info.TLSRequired && !info.TLSAvailable {
			return nil, nil, errNoTLS
		}
		if err := encrypt(); err != nil {
			return nil, nil, err
		}
	}
	if err := greet(conn, cred, h); err != nil {
		return nil, nil, err
	}
	return conn, info, nil
}

// greet sends CONNECT and PING, and waits for PONG. The gateway always reads headers: they say where a message was stored, and how it is
// to be read. A client that does not is sent none: see rebuilt.
func greet(conn net.Conn, cred gate.Credential, h *hello) error {
	out := outgoing{Verbose: h.verbose, Pedantic: h.pedantic, TLSRequired: cred.TLS != nil, Name: h.name, Lang: h.lang, Version: h.version,
		Protocol: 1, Echo: h.echo, Headers: true, NoResponders: h.noResponders && h.headers}
	if cred.User != "" {
		out.User, out.Pass = cred.User, string(cred.Password.Reveal())
	} else {
		out.Token = string(cred.Password.Reveal())
	}
	doc, err := json.Marshal(out) // #nosec G117 -- the login itself, which goes to the server
	if err != nil {
		return err
	}
	line := fmt.Appendf(nil, "CONNECT %s\r\nPING\r\n", doc)
	_, err = conn.Write(line)
	clear(doc)
	clear(line)
	if err != nil {
		return err
	}
	for range maxGreetings {
		f, err := readOp(conn)
		switch {
		case err != nil:
			return err
		case f.op == opPong:
			return nil
		case f.op == opErr:
			return serverSays(f.text)
		case f.op == opPing:
			if _, err := io.WriteString(conn, "PONG\r\n"); err != nil {
				return err
			}
		case f.op != opOK && f.op != opInfo:
			return errors.New("the server sent something else than an answer to the login")
		}
	}
	return errors.New("the server does not answer PING")
}

// maxGreetings bounds what a server says before it answers the login's PING.
const maxGreetings = 16

// readLine reads one operation, which has to be op, and returns its text.
func readLine(conn net.Conn, want op) ([]byte, error) {
	f, err := readOp(conn)
	switch {
	case err != nil:
		return nil, err
	case f.op == opErr:
		return nil, serverSays(f.text)
	case f.op != want:
		return nil, errors.New("the server does not greet as a NATS server does")
	}
	return f.text, nil
}

// readOp reads one operation without a payload, byte by byte: what follows it may be TLS.
func readOp(conn net.Conn) (frame, error) {
	r := bufio.NewReaderSize(oneByte{conn}, 16)
	line := make([]byte, 0, 512)
	for {
		b, err := r.ReadByte()
		if err != nil {
			return frame{}, err
		}
		line = append(line, b)
		if b != '\n' && len(line) <= maxInfo {
			continue
		}
		f, ok, err := parse(line, fromServer)
		if err == nil && (!ok || f.carries()) {
			err = errors.New("the server sent a message during the login")
		}
		return f, err
	}
}

// oneByte reads one byte at a time.
type oneByte struct{ conn net.Conn }

// Read implements io.Reader.
func (o oneByte) Read(b []byte) (int, error) { return o.conn.Read(b[:1]) }

// backendRefused words a failed login to the server for a client: that it failed, and where to look. The cause is for the log.
func backendRefused(connection string, err error) error {
	var said serverSays
	var unknown *tls.CertificateVerificationError
	var clear tls.RecordHeaderError
	e := &fault.Error{Op: "nats.open", Kind: fault.Backend, Err: err,
		Say:  "the server of connection " + connection + " cannot be logged in to",
		Hint: "Your administrator finds the cause with: gatehouse connections test " + connection}
	switch {
	case errors.As(err, &said):
		e.Say = "the server of connection " + connection + " refused the gateway's login"
	case errors.As(err, &clear):
		e.Say = "the server of connection " + connection + " does not answer in TLS where tls.mode and the port of its address say so (nats.tls_first is for servers that begin with it)"
	case errors.As(err, &unknown):
		e.Say = "the certificate of the server of connection " + connection + " could not be verified"
	}
	return e
}
