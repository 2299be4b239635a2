package amqp

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

const (
	rootHost    = "/"
	maxGreeting = 64 << 10 // bytes of a broker's frame before the two agreed on a size
	maxSaid     = 255      // bytes of a text that a client says of itself, as the broker is told
)

// passedOn are the texts of what a client says of itself that its broker is told too. All of it fits into the smallest frame.
var passedOn = [...]string{"product", "version", "platform", "connection_name"}

// Open implements wire.Session: it logs in to the broker, and tells the client that the virtual host is open.
func (s *session) Open(ctx context.Context, g *gate.Gate) error {
	s.g = g
	c := g.Connection()
	s.known = newKnown(c.Name, s.p.places.of(c), func() map[string]string { return vouchedBy(g.Connection()) })
	b, err := g.Lease().Holding(max(s.limits.Message, s.tuned.frame)).Open(ctx, func(ctx context.Context, raw net.Conn, cr gate.Credential) (net.Conn, error) {
		conn, t, err := login(ctx, raw, cr, c, s.client, s.tuned)
		s.back = t
		return conn, err
	})
	if err != nil {
		return err
	}
	s.backend = b
	g.Attach(b)
	s.opened = true
	return g.Show(appendMethod(nil, 0, &connectionOpenOk{}))
}

// testLogin logs in to a broker and out again.
func testLogin(ctx context.Context, l gate.Lease) error {
	b, err := l.Open(ctx, func(ctx context.Context, raw net.Conn, cr gate.Credential) (net.Conn, error) {
		conn, _, err := login(ctx, raw, cr, l.Connection(), nil, tuning{channels: channelMost, frame: frameMost})
		return conn, err
	})
	if err != nil {
		return err
	}
	return b.Close()
}

// login opens a virtual host of a broker with the vault's credential. client is what the client says of itself; most is what the two
// sides may agree on at most.
func login(ctx context.Context, raw net.Conn, cr gate.Credential, c *access.Connection, client table, most tuning) (net.Conn, tuning, error) {
	conn := raw
	if cr.TLS != nil {
		t := tls.Client(raw, cr.TLS)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, tuning{}, backendRefused(c.Name, err)
		}
		conn = t
	}
	l := &loggingIn{conn: conn}
	t, err := l.login(cr, c, client, most)
	if err != nil {
		return nil, tuning{}, backendRefused(c.Name, err)
	}
	return conn, t, nil
}

// loggingIn is a login to a broker under way.
type loggingIn struct{ conn net.Conn }

func (l *loggingIn) login(cr gate.Credential, c *access.Connection, client table, most tuning) (tuning, error) {
	if _, err := l.conn.Write([]byte(version)); err != nil {
		return tuning{}, err
	}
	start, err := next[*connectionStart](l)
	if err != nil {
		return tuning{}, err
	}
	ok := &connectionStartOk{ClientProperties: introduced(client), Mechanism: "PLAIN", Locale: "en_US"}
	ok.Response = append(append([]byte("\x00"+cr.User), 0), cr.Password.Reveal()...)
	if !c.Credential.Named() { // the client certificate says it
		ok.Mechanism, ok.Response = "EXTERNAL", nil
	}
	if !offers(start.Mechanisms, ok.Mechanism) {
		return tuning{}, errors.New("the broker does not offer the mechanism " + ok.Mechanism)
	}
	err = l.send(ok)
	clear(ok.Response)
	if err != nil {
		return tuning{}, err
	}
	tune, err := next[*connectionTune](l)
	if err != nil {
		return tuning{}, err
	}
	t := settle(tune, most, c.AMQP)
	if t.frame < frameMin || t.channels == 0 {
		return tuning{}, errors.New("the broker offers frames that are too small, or no channels")
	}
	host := rootHost
	if c.AMQP != nil {
		host = cmp.Or(c.AMQP.VirtualHost, rootHost)
	}
	if err := l.send(&connectionTuneOk{ChannelMax: t.channels, FrameMax: uint32(t.frame), Heartbeat: uint16(t.beat / time.Second)}); err != nil {
		return tuning{}, err
	}
	if err := l.send(&connectionOpen{VirtualHost: host}); err != nil {
		return tuning{}, err
	}
	_, err = next[*connectionOpenOk](l)
	return t, err
}

// settle takes what a broker offers, as far as the client's side can follow.
func settle(tune *connectionTune, most tuning, o *access.AMQPOptions) tuning {
	t := most
	if tune.ChannelMax > 0 {
		t.channels = min(t.channels, tune.ChannelMax)
	}
	if tune.FrameMax > 0 {
		t.frame = min(t.frame, int(min(tune.FrameMax, frameMost)))
	}
	want := time.Duration(beatOffered) * time.Second
	if o != nil && o.Heartbeat > 0 {
		want = time.Duration(o.Heartbeat)
	}
	t.beat = max(want, time.Second).Truncate(time.Second)
	if theirs := time.Duration(tune.Heartbeat) * time.Second; theirs > 0 {
		t.beat = min(t.beat, theirs)
	}
	return t
}

// introduced is what a broker is told of a client: what it is able to do, and how it calls itself.
func introduced(client table) table {
	able := table{}
	for _, what := range [...]string{"publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify", "connection.blocked"} {
		if capable(client, what) {
			able = append(able, entry{what, true})
		}
	}
	out := table{{"capabilities", append(able, entry{"authentication_failure_close", true})}}
	for _, what := range passedOn {
		if v, ok := client.Get(what); ok {
			if text, ok := v.(string); ok {
				out = append(out, entry{what, cut(text, maxSaid)})
			}
		}
	}
	return append(out, entry{"information", "through Gatehouse"})
}

// offers reports whether a list of mechanisms, parted by spaces, has one.
func offers(list []byte, mechanism string) bool {
	for _, m := range bytes.Fields(list) {
		if string(m) == mechanism {
			return true
		}
	}
	return false
}

func (l *loggingIn) send(m method) error {
	b := appendMethod(nil, 0, m)
	_, err := l.conn.Write(b)
	clear(b) // the credential may be in it
	return err
}

// next reads the broker's next method, which must be an M.
func next[M method](l *loggingIn) (M, error) {
	var want M
	got, err := readMethod(l.conn, maxGreeting)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the broker closed the connection")
		}
		return want, err
	}
	if no, ok := got.(*connectionClose); ok {
		return want, &brokerSays{code: no.Code, text: no.Text}
	}
	m, ok := got.(M)
	if !ok {
		return want, errors.New("the broker said " + got.name() + " in the middle of a login")
	}
	return m, nil
}

// brokerSays is a broker's refusal of a login. Its text may name users and hosts: it is for the log.
type brokerSays struct {
	code uint16
	text string
}

// Error implements error.
func (b *brokerSays) Error() string { return b.text }

// backendRefused words a failed login to the broker for a client: that it failed, and where to look.
func backendRefused(connection string, err error) error {
	var says *brokerSays
	var unknown *tls.CertificateVerificationError
	var clear tls.RecordHeaderError
	e := &fault.Error{Op: "amqp.open", Kind: fault.Backend, Err: err,
		Say:  "the backend of connection " + connection + " cannot be logged in to",
		Hint: "Your administrator finds the cause with: gatehouse connections test " + connection}
	switch {
	case errors.As(err, &says):
		e.Say = "the backend of connection " + connection + " refused the gateway's login (" + numbered("", int(says.code), " ") + codeName(says.code) + ")"
	case errors.As(err, &clear):
		e.Say = "the backend of connection " + connection + " does not answer in TLS where tls.mode and the port of its address say so"
	case errors.As(err, &unknown):
		e.Say = "the certificate of the backend of connection " + connection + " could not be verified"
	}
	return e
}
