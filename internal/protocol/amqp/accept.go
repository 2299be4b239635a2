package amqp

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

// Bounds of what a client may send before it is known, and what it is offered.
const (
	maxToken    = 16 << 10
	maxStartOk  = maxToken + 8<<10 // bytes of the frame with the token
	channelMost = 2047
	beatOffered = 60   // seconds
	tlsContent  = 0x16 // first byte of a TLS record that carries a handshake
)

// tuning is what two sides agreed on.
type tuning struct {
	channels uint16 // the highest number
	frame    int    // bytes of a frame, all of it
	beat     time.Duration
}

// accept speaks with a fresh client up to the virtual host that it wants.
func (p *protocol) accept(ctx context.Context, conn net.Conn, h wire.Hello) (wire.Session, error) {
	a := &accepting{p: p, conn: conn, hello: h}
	if err := a.greet(ctx); err != nil {
		return nil, err
	}
	s := newSession(p, a.conn, h.Limits)
	if err := a.startUp(s); err != nil {
		if !errors.Is(err, io.EOF) {
			p.linger(a.conn, closing(err, false))
		}
		return nil, err
	}
	return s, nil
}

// accepting is the state before there is a session.
type accepting struct {
	p     *protocol
	conn  net.Conn
	hello wire.Hello
	tls   bool
}

// greet reads the protocol header, within TLS where the client begins with that.
func (a *accepting) greet(ctx context.Context) error {
	var head [protoHead]byte
	if _, err := io.ReadFull(a.conn, head[:1]); err != nil {
		return io.EOF // a port scanner, or a load balancer's check
	}
	if head[0] == tlsContent {
		t := tls.Server(&unread{Conn: a.conn, first: []byte{tlsContent}}, a.hello.TLS)
		if err := t.HandshakeContext(ctx); err != nil {
			return io.EOF // the client knows why; there is nothing to say it in
		}
		a.conn, a.tls = t, true
		if _, err := io.ReadFull(a.conn, head[:1]); err != nil {
			return io.EOF
		}
	}
	if head[0] == helloByte {
		if _, err := io.ReadFull(a.conn, head[1:]); err != nil {
			return io.EOF
		}
	}
	if string(head[:]) != version {
		_, _ = a.conn.Write([]byte(version)) // the specification's way to say what is spoken here
		return fault.New(fault.Malformed, "amqp.accept", "the client speaks another protocol than AMQP 0-9-1")
	}
	return nil
}

// unread gives back the byte that greet took.
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

// startUp takes the token, agrees on sizes, and learns the virtual host.
func (a *accepting) startUp(s *session) error {
	if !a.tls && !a.hello.Plaintext { // said before the token is on its way
		return &fault.Error{Op: "amqp.accept", Kind: fault.Unauthenticated, Say: "a token is only taken over TLS",
			Hint: "Connect with amqps:// and trust the certificate that `gatehouse ca print` shows."}
	}
	token, err := a.token(s)
	if err != nil {
		return err
	}
	offered := min(frameMost, a.hello.Limits.Message)
	tune := &connectionTune{ChannelMax: channelMost, FrameMax: uint32(offered), Heartbeat: beatOffered}
	if err := a.send(tune); err != nil {
		return err
	}
	ok, err := receive[*connectionTuneOk](a, frameMin)
	if err != nil {
		return err
	}
	if s.tuned, err = agree(ok, offered); err != nil {
		return err
	}
	open, err := receive[*connectionOpen](a, frameMin)
	if err != nil {
		return err
	}
	host := strings.TrimPrefix(open.VirtualHost, "/")
	if host == "" {
		return &exception{code: codeNotAllowed, hard: true, cause: idConnectionOpen, err: &fault.Error{Op: "amqp.accept", Kind: fault.NotFound,
			Say: "the virtual host names the connection, and none is named", Hint: "Connect to amqps://…/NAME with the name of a connection."}}
	}
	s.login = wire.Login{Connection: host, Token: token}
	return nil
}

// agree checks what a client makes of what it was offered.
func agree(ok *connectionTuneOk, offered int) (tuning, error) {
	switch {
	case ok.ChannelMax == 0 || ok.ChannelMax > channelMost:
		return tuning{}, hard(codeNotAllowed, idConnectionTuneOk, numbered(numbered("negotiated channel_max = ", int(ok.ChannelMax), " is higher than the maximum allowed value ("), channelMost, ")"))
	case ok.FrameMax == 0 || int64(ok.FrameMax) > int64(offered):
		return tuning{}, hard(codeNotAllowed, idConnectionTuneOk, numbered(numbered("negotiated frame_max = ", int(ok.FrameMax), " is higher than the maximum allowed value ("), offered, ")"))
	case ok.FrameMax < frameMin:
		return tuning{}, hard(codeNotAllowed, idConnectionTuneOk, numbered(numbered("negotiated frame_max = ", int(ok.FrameMax), " is lower than the minimum allowed value ("), frameMin, ")"))
	}
	return tuning{channels: ok.ChannelMax, frame: int(ok.FrameMax), beat: time.Duration(ok.Heartbeat) * time.Second}, nil
}

// serverProperties is what clients are told of the server: RabbitMQ's dialect is what is spoken.
func serverProperties() table {
	able := table{}
	for _, what := range []string{"publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify", "connection.blocked",
		"consumer_priorities", "authentication_failure_close", "per_consumer_qos", "direct_reply_to"} {
		able = append(able, entry{what, true})
	}
	return table{{"capabilities", able}, {"product", "RabbitMQ"}, {"version", "3.10.8"}, {"platform", "Gatehouse"},
		{"information", "The version is that of the dialect which the gateway speaks."}}
}

// token asks for the token, which is the password of PLAIN.
func (a *accepting) token(s *session) (access.Secret, error) {
	start := &connectionStart{Major: 0, Minor: 9, ServerProperties: serverProperties(), Mechanisms: []byte("PLAIN"), Locales: []byte("en_US")}
	if err := a.send(start); err != nil {
		return access.Secret{}, err
	}
	ok, err := receive[*connectionStartOk](a, maxStartOk)
	if err != nil {
		return access.Secret{}, err
	}
	s.client = ok.ClientProperties
	s.tellsLogin = capable(s.client, "authentication_failure_close")
	if ok.Mechanism != "PLAIN" {
		return access.Secret{}, hard(codeCommandInvalid, idConnectionStartOk, "the authentication mechanism is unsupported: the gateway takes a token as the password of PLAIN")
	}
	// [authorization identity] NUL user NUL password. Any user will do: the token says who calls.
	parts := bytes.SplitN(ok.Response, []byte{0}, 3)
	if len(parts) != 3 || len(parts[2]) == 0 || len(parts[2]) > maxToken || bytes.IndexByte(parts[2], 0) >= 0 {
		return access.Secret{}, &exception{code: codeAccessRefused, hard: true, cause: idConnectionStartOk, err: &fault.Error{Op: "amqp.accept", Kind: fault.Unauthenticated,
			Say: "the password is the token that your platform gives the function, of at most 16 kB", Hint: "`gatehouse whoami` shows what the gateway makes of it."}}
	}
	return access.NewSecret(parts[2]), nil
}

// capable reports whether a client says that it can do something.
func capable(client table, what string) bool {
	v, _ := client.Get("capabilities")
	able, _ := v.(table)
	b, _ := able.Get(what)
	yes, _ := b.(bool)
	return yes
}

func (a *accepting) send(m method) error {
	_, err := a.conn.Write(appendMethod(nil, 0, m))
	return err
}

// receive reads one method on channel 0, and nothing behind it.
func receive[M method](a *accepting, most int) (M, error) {
	var want M
	got, err := readMethod(a.conn, most)
	if err != nil {
		return want, err
	}
	m, ok := got.(M)
	if !ok {
		return want, hard(codeCommandInvalid, got.id(), "unexpected "+got.name()+" while the connection is opened")
	}
	return m, nil
}

// readMethod reads the next method on channel 0 of a connection that nobody else reads; heartbeats are passed over.
func readMethod(conn net.Conn, most int) (method, error) {
	for {
		buf := make([]byte, frameHead, 512)
		if _, err := io.ReadFull(conn, buf); err != nil {
			return nil, io.EOF
		}
		_, need, err := peekFrame(buf, most)
		if err != nil {
			return nil, err
		}
		buf = append(buf, make([]byte, need-frameHead)...)
		if _, err := io.ReadFull(conn, buf[frameHead:]); err != nil {
			return nil, io.EOF
		}
		f, _, err := peekFrame(buf, most)
		switch {
		case err != nil:
			return nil, err
		case f.kind == frameHeartbeat:
			continue
		case f.kind != frameMethod || f.channel != 0:
			return nil, hard(codeCommandInvalid, 0, "only methods of channel 0 open a connection")
		}
		return decodeMethod(f.payload)
	}
}
