package postgres

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/wire"
)

// Codes that stand where a version stands in a StartupMessage.
const (
	codeCancel = 80877102
	codeTLS    = 80877103
	codeGSS    = 80877104
)

// Bounds of what a client may send before it is known.
const (
	maxStartup = 10_000 // bytes, as the server's own MAX_STARTUP_PACKET_LENGTH
	maxToken   = 16 << 10
	maxAsks    = 3 // requests for encryption before the StartupMessage
	alpnName   = "postgresql"
	tlsContent = 0x16 // first byte of a TLS record that carries a handshake
	version3   = 3
)

// startup is what a client says first.
type startup struct {
	minor  uint16
	params [][2]string // in order
}

func (s *startup) get(name string) string {
	for _, p := range s.params {
		if p[0] == name {
			return p[1]
		}
	}
	return ""
}

// accept speaks with a fresh client up to its token.
func (p *protocol) accept(ctx context.Context, conn net.Conn, h wire.Hello) (wire.Session, error) {
	a := &accepting{p: p, conn: conn, hello: h}
	st, err := a.startup(ctx)
	if err != nil {
		a.say(err)
		return nil, err
	}
	s := newSession(p, a.conn, st, h.Limits)
	token, err := a.token(st)
	if err != nil {
		a.say(err)
		return nil, err
	}
	s.login = wire.Login{Connection: s.startup.get("database"), Token: token}
	return s, nil
}

// accepting is the state before there is a session.
type accepting struct {
	p     *protocol
	conn  net.Conn
	hello wire.Hello
	tls   bool
}

func (a *accepting) say(err error) {
	if !errors.Is(err, wire.ErrServed) && !errors.Is(err, io.EOF) {
		_, _ = a.conn.Write(appendError(nil, "FATAL", err))
	}
}

// startup reads requests for encryption until a StartupMessage comes, or a CancelRequest.
func (a *accepting) startup(ctx context.Context) (*startup, error) {
	if err := a.sniff(); err != nil {
		return nil, err
	}
	for range maxAsks {
		code, body, err := a.packet()
		if err != nil {
			return nil, err
		}
		switch code {
		case codeTLS:
			if err := a.encrypt(ctx); err != nil {
				return nil, err
			}
		case codeGSS:
			if _, err := a.conn.Write([]byte{'N'}); err != nil {
				return nil, err
			}
		case codeCancel:
			a.p.cancels.serve(ctx, body)
			return nil, wire.ErrServed
		default:
			return a.begin(code, body)
		}
	}
	return nil, fault.New(fault.Malformed, "postgres.accept", "too many requests for encryption")
}

// packet reads one message without a type byte: a length, a code, and the rest. It reads not one byte more: what follows
// may be a TLS handshake.
func (a *accepting) packet() (uint32, []byte, error) {
	var h [8]byte
	if _, err := io.ReadFull(a.conn, h[:]); err != nil {
		return 0, nil, io.EOF // a port scanner, or a load balancer's check
	}
	n := binary.BigEndian.Uint32(h[:4])
	if n < 8 || n > maxStartup {
		return 0, nil, fault.New(fault.Malformed, "postgres.accept", "invalid length of startup packet")
	}
	body := make([]byte, n-8)
	if _, err := io.ReadFull(a.conn, body); err != nil {
		return 0, nil, io.EOF
	}
	return binary.BigEndian.Uint32(h[4:]), body, nil
}

// sniff starts TLS at once where the client begins with a handshake (PostgreSQL 17's sslnegotiation=direct).
func (a *accepting) sniff() error {
	var first [1]byte
	if _, err := io.ReadFull(a.conn, first[:]); err != nil {
		return io.EOF
	}
	a.conn = &unread{Conn: a.conn, first: first[:]}
	if first[0] != tlsContent {
		return nil
	}
	conf := a.hello.TLS.Clone()
	conf.NextProtos = []string{alpnName}
	t := tls.Server(a.conn, conf)
	if err := t.Handshake(); err != nil {
		return io.EOF // the client knows why; there is nothing to say it in
	}
	if t.ConnectionState().NegotiatedProtocol != alpnName {
		return io.EOF // the protocol demands it, against cross-protocol attacks
	}
	a.conn, a.tls = t, true
	return nil
}

// unread gives back the byte that sniff took.
type unread struct {
	net.Conn
	first []byte
}

// Read implements io.Reader.
func (u *unread) Read(b []byte) (int, error) {
	if len(u.first) > 0 && len(b) > 0 {
		n := copy(b, u.first)
		u.first = u.first[n:]
		return n, nil
	}
	return u.Conn.Read(b)
}

// encrypt answers an SSLRequest. Bytes that came before the handshake would have been injected by someone in between
// (CVE-2021-23214): packet never reads ahead, so the handshake itself fails on them.
func (a *accepting) encrypt(ctx context.Context) error {
	if a.tls {
		return fault.New(fault.Malformed, "postgres.accept", "TLS was already started")
	}
	if _, err := a.conn.Write([]byte{'S'}); err != nil {
		return err
	}
	t := tls.Server(a.conn, a.hello.TLS)
	if err := t.HandshakeContext(ctx); err != nil {
		return io.EOF
	}
	a.conn, a.tls = t, true
	return nil
}

// begin reads a StartupMessage.
func (a *accepting) begin(version uint32, body []byte) (*startup, error) {
	if version>>16 != version3 {
		return nil, sayCode("0A000", fault.Malformed, "unsupported frontend protocol: the gateway speaks 3.0", "")
	}
	st := &startup{minor: uint16(version)}
	for len(body) > 1 {
		s := scan{b: body}
		k, v := s.text(), s.text()
		if s.bad || len(k) == 0 {
			return nil, fault.New(fault.Malformed, "postgres.accept", "invalid startup packet layout")
		}
		st.params = append(st.params, [2]string{string(k), string(v)})
		body = s.b
	}
	if len(body) != 1 || body[0] != 0 {
		return nil, fault.New(fault.Malformed, "postgres.accept", "invalid startup packet layout: expected terminator as last byte")
	}
	if !a.tls && !a.hello.Plaintext {
		return nil, sayCode("28000", fault.Unauthenticated, "a token is only taken over TLS",
			"Connect with sslmode=verify-full and sslrootcert set to the output of `gatehouse ca print`.")
	}
	return st, a.negotiate(st)
}

// negotiate tells a client of a newer minor version, or with protocol extensions, what the gateway speaks.
func (a *accepting) negotiate(st *startup) error {
	var unknown []string
	st.params = slices.DeleteFunc(st.params, func(p [2]string) bool {
		ext := len(p[0]) > 4 && p[0][:5] == "_pq_."
		if ext {
			unknown = append(unknown, p[0])
		}
		return ext
	})
	if st.minor == 0 && len(unknown) == 0 {
		return nil
	}
	out, at := openFrame(nil, ansNegotiateVersion)
	out = binary.BigEndian.AppendUint32(out, version3<<16)
	out = binary.BigEndian.AppendUint32(out, uint32(len(unknown)))
	for _, u := range unknown {
		out = append(append(out, u...), 0)
	}
	_, err := a.conn.Write(closeFrame(out, at))
	return err
}

// token asks for the password, which is the token.
func (a *accepting) token(st *startup) (access.Secret, error) {
	if err := refusedStartup(st); err != nil {
		return access.Secret{}, err
	}
	if _, err := a.conn.Write([]byte{ansAuthentication, 0, 0, 0, 8, 0, 0, 0, 3}); err != nil { // AuthenticationCleartextPassword
		return access.Secret{}, err
	}
	var h [head]byte
	if _, err := io.ReadFull(a.conn, h[:]); err != nil {
		return access.Secret{}, io.EOF
	}
	kind, size, _, err := peekHead(h[:])
	if err != nil {
		return access.Secret{}, err
	}
	if kind != msgPassword || size > head+maxToken+1 {
		return access.Secret{}, sayCode("08P01", fault.Malformed, "expected the token as a password message of at most 16 kB", "")
	}
	body := make([]byte, size-head)
	if _, err := io.ReadFull(a.conn, body); err != nil {
		return access.Secret{}, io.EOF
	}
	if len(body) < 2 || bytes.IndexByte(body, 0) != len(body)-1 {
		return access.Secret{}, sayCode("28P01", fault.Unauthenticated, "empty password: the password is the token that your platform gives the function",
			"Set PGPASSWORD to the token. `gatehouse whoami` shows what the gateway makes of it.")
	}
	return access.NewSecret(body[:len(body)-1]), nil
}
