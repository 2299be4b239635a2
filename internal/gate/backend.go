package gate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Login speaks a protocol's login on a fresh connection to a backend and returns the connection to use from then on: raw
// itself, or TLS over it. It must not keep either: after it returns, writes that do not come from the gate fail.
type Login func(ctx context.Context, raw net.Conn, c Credential) (net.Conn, error)

// Credential is what a Login may use, for as long as it runs.
type Credential struct {
	User     string
	Password access.Secret
	Database string
	TLS      *tls.Config // nil where the connection says disable
}

// Lease is the permission to open one backend connection for a session that may connect.
type Lease struct {
	svc     *Services
	conn    *access.Connection
	limits  Limits
	session string
	who     string         // takes turns with others for a backend
	beside  *atomic.Uint64 // messages beside the session
}

// NewLease is a lease outside of any session, for `connections test`.
func NewLease(s *Services, c *access.Connection, l Limits) Lease {
	return Lease{svc: s, conn: c, limits: l}
}

// Connection returns the connection's document.
func (l Lease) Connection() *access.Connection { return l.conn }

// Holding returns the lease with another limit for one message of the backend: answers to the gateway's own questions are
// not bounded by what a client may send.
func (l Lease) Holding(message int) Lease {
	l.limits.Message = message
	return l
}

// Open dials the backend, lets login speak, and takes the connection over. What it opens belongs to no pool.
func (l Lease) Open(ctx context.Context, login Login) (*Backend, error) {
	secret, err := l.svc.Vault.Lease(ctx, l.conn.Credential)
	if err != nil {
		return nil, err
	}
	return l.open(ctx, login, secret)
}

// Credential lets check look at the credential. For `connections test`, where a connection has no one backend to log in to.
func (l Lease) Credential(ctx context.Context, check func(Credential) error) error {
	secret, err := l.svc.Vault.Lease(ctx, l.conn.Credential)
	if err != nil {
		return err
	}
	return check(Credential{User: l.conn.Credential.User, Password: secret})
}

// Take leases a backend from the connection's pool for owner: an idle one, or one that is opened now. Where all are in
// use it waits for its turn. What another owner left (see Backend.Owner) must be reset before it is used.
func (l Lease) Take(ctx context.Context, owner string, login Login) (*Backend, error) {
	who := l.who
	if who == "" {
		who = owner
	}
	for {
		secret, sealed := l.svc.Vault.Lease(ctx, l.conn.Credential)
		var p *pool
		if sealed == nil {
			p = l.svc.Pools.of(l.conn, secret)
		} else if p = l.svc.Pools.known(l.conn); p == nil {
			return nil, sealed
		}
		b, err := p.take(ctx, owner, who)
		switch {
		case err != nil:
			return nil, err
		case b != nil && b.lost():
			_ = b.Close()
			continue
		case b != nil:
			b.lease = l
			return b, nil
		case p.retired():
			p.closed()
			if l.svc.Pools.known(l.conn) == nil { // what this session knows of the connection is out of date
				return nil, errChanged
			}
			continue
		case sealed != nil: // what is open may be used on, but nothing new is opened
			p.closed()
			return nil, sealed
		}
		if b, err = l.open(ctx, login, secret); err != nil {
			p.closed()
			return nil, err
		}
		b.pool, b.dialled = p, l.svc.Clock()
		return b, nil
	}
}

var errChanged = &fault.Error{Op: "gate.Take", Kind: fault.Unavailable,
	Say: "the connection was changed while this session waited for a backend", Hint: "Try again."}

func (l Lease) open(ctx context.Context, login Login, secret access.Secret) (*Backend, error) {
	conf, err := backendTLS(l.conn)
	if err != nil {
		return nil, err
	}
	raw, err := l.dial(ctx)
	if err != nil {
		return nil, err
	}
	leash := &leash{Conn: raw, open: true}
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(past) })
	conn, err := login(ctx, leash, Credential{User: l.conn.Credential.User, Password: secret, Database: l.conn.Database, TLS: conf})
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	leash.open = false
	return &Backend{Reader: newReader(conn, max(l.limits.Message, l.limits.MaskedRow)), leash: leash, lease: l}, nil
}

// Interrupt opens a bare connection to the backend's address for a message that stands beside the session, such as a
// request to cancel, and lets send speak on it. The action is on record before, under a name of its own beside the
// session's, and its outcome after.
func (l Lease) Interrupt(ctx context.Context, action string, send func(context.Context, net.Conn) error) error {
	id := l.session + "/beside/" + strconv.FormatUint(l.beside.Add(1), 10)
	seq, err := l.svc.Recorder.Append(&access.Event{Kind: access.EventActionIntended, Time: l.svc.Clock(), Session: id, Action: 1,
		Actions: []access.Action{{Name: action, Resource: access.Resource(l.conn.Name)}}, Effect: access.Allow.String()})
	if err == nil {
		err = l.svc.Recorder.Barrier(seq)
	}
	if err != nil {
		return err
	}
	status := access.StatusOK
	conn, err := l.dial(ctx)
	if err == nil {
		stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past) })
		err = errors.Join(send(ctx, conn), conn.Close())
		stop()
	}
	if err != nil {
		status = access.StatusError
	}
	_, endErr := l.svc.Recorder.Append(&access.Event{Kind: access.EventActionEnded, Time: l.svc.Clock(), Session: id, Action: 1, Status: status})
	return errors.Join(err, endErr)
}

func (l Lease) dial(ctx context.Context) (net.Conn, error) {
	e, err := access.ParseEndpoint(l.conn.Address)
	if err != nil {
		return nil, unreachable(l.conn, err)
	}
	conn, err := l.svc.Dial(ctx, "tcp", e.Host)
	if err != nil {
		return nil, unreachable(l.conn, err)
	}
	return conn, nil
}

func unreachable(c *access.Connection, why error) error {
	return &fault.Error{Op: "gate.Dial", Kind: fault.Unavailable, Err: why,
		Say:  "the backend of connection " + c.Name + " cannot be reached",
		Hint: "Check that it is running and that the gateway may reach its address: gatehouse connections test " + c.Name}
}

// TLS returns the TLS configuration towards the backend; nil where the connection says disable.
func (l Lease) TLS() (*tls.Config, error) { return backendTLS(l.conn) }

// leash lets bytes through to the backend only while the gate holds it open.
type leash struct {
	net.Conn
	open bool
}

var errLeash = errors.New("a write to the backend without a permit")

// Write implements net.Conn.
func (l *leash) Write(b []byte) (int, error) {
	if !l.open {
		return 0, errLeash
	}
	return l.Conn.Write(b)
}

// Backend is a logged-in connection to a backend. What it sends is read through its Reader; only the gate writes to it.
type Backend struct {
	*Reader
	leash *leash
	lease Lease

	// Memo is what the protocol remembers of the backend from one lease to the next.
	Memo any

	pool    *pool // nil where it belongs to none
	owner   string
	pinned  bool
	dialled time.Time
	idle    time.Time // since when
}

// Owner returns whose state the backend may hold; "" where it is nobody's: fresh, or reset and found clean.
func (b *Backend) Owner() string { return b.owner }

// Give returns the backend to its pool, as it is: owner is whose state it may hold, "" where it was reset and found clean.
// It must be idle, with nothing unread. Where the pool does not want it, it is closed.
func (b *Backend) Give(owner string) {
	b.unpin()
	if b.pool == nil || b.r != b.w || b.conn.SetDeadline(time.Time{}) != nil {
		_ = b.Close()
		return
	}
	b.due, b.keep = time.Time{}, -1
	b.nudged.Store(false)
	if cap(b.buf) > bulkBuffer {
		b.buf, b.base, b.r, b.w = nil, b.base+int64(b.r), 0, 0
	}
	if !b.pool.give(b, owner) {
		_ = b.Close()
	}
}

// Pin notes that a session keeps the backend until its end; false where the connection allows no more of that.
func (b *Backend) Pin() bool {
	if !b.pinned && b.pool != nil {
		b.pinned = b.pool.pin()
	}
	return b.pinned || b.pool == nil
}

func (b *Backend) unpin() {
	if b.pinned {
		b.pinned = false
		b.pool.unpin()
	}
}

// lost reports whether the connection was closed, or said something, while it was idle. It does not wait.
func (b *Backend) lost() bool {
	sock, ok := b.leash.Conn.(syscall.Conn)
	if !ok { // no socket: ask in the way that every connection has
		_ = b.conn.SetReadDeadline(b.lease.svc.Clock().Add(time.Millisecond))
		err := b.Fill(1)
		_ = b.conn.SetReadDeadline(time.Time{})
		return !errors.Is(err, os.ErrDeadlineExceeded)
	}
	raw, err := sock.SyscallConn()
	if err != nil {
		return true
	}
	quiet := false
	err = raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err != nil || !quiet
}

// send writes b: the only door.
func (b *Backend) send(bytes []byte) error {
	b.leash.open = true
	_, err := b.conn.Write(bytes)
	b.leash.open = false
	return err
}

// Close ends the connection to the backend and frees its place. TLS says goodbye on the way.
func (b *Backend) Close() error {
	b.unpin()
	err := b.hangUp()
	if p := b.pool; p != nil {
		b.pool = nil
		p.closed()
	}
	return err
}

func (b *Backend) hangUp() error {
	b.leash.open = true
	return b.conn.Close()
}

// Interrupt makes every wait on the backend end with an error. Any goroutine may call it.
func (b *Backend) Interrupt() { _ = b.conn.SetDeadline(past) }

// farewell sends the protocol's own goodbye, if there is time.
func (b *Backend) farewell(bytes []byte, by time.Time) {
	_ = b.conn.SetWriteDeadline(by)
	_ = b.send(bytes)
}

// backendTLS builds the configuration that a connection's document asks for.
func backendTLS(c *access.Connection) (*tls.Config, error) {
	t := c.TLS
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if conf.ServerName == "" {
		e, err := access.ParseEndpoint(c.Address)
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, "gate.backendTLS", err, "the address of connection %s cannot be read", c.Name)
		}
		conf.ServerName, _, _ = net.SplitHostPort(e.Host)
	}
	if err := addRoots(conf, c); err != nil {
		return nil, err
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, "gate.backendTLS", err, "the client certificate of connection %s cannot be read", c.Name)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	switch t.Mode {
	case "", "verify-full":
		return conf, nil
	case "verify-ca":
		conf.InsecureSkipVerify = true // #nosec G402 -- the chain is verified below, only the name is not: what verify-ca means
		conf.VerifyConnection = func(s tls.ConnectionState) error { return verifyChain(s, conf.RootCAs) }
		return conf, nil
	case "require":
		conf.InsecureSkipVerify = true // #nosec G402 -- the administrator asked for encryption without verification, by name
		return conf, nil
	case "disable":
		return nil, nil
	}
	return nil, fault.New(fault.Unavailable, "gate.backendTLS", "connection %s has an unknown tls.mode: use verify-full, verify-ca, require or disable", c.Name)
}

func addRoots(conf *tls.Config, c *access.Connection) error {
	pem := []byte(c.TLS.CA)
	if c.TLS.CAFile != "" {
		b, err := os.ReadFile(c.TLS.CAFile)
		if err != nil {
			return fault.Wrap(fault.Unavailable, "gate.backendTLS", err, "tls.ca_file of connection %s cannot be read", c.Name)
		}
		pem = append(pem, b...)
	}
	if len(pem) == 0 {
		return nil
	}
	conf.RootCAs = x509.NewCertPool()
	if !conf.RootCAs.AppendCertsFromPEM(pem) {
		return fault.New(fault.Unavailable, "gate.backendTLS", "tls.ca of connection %s holds no certificate", c.Name)
	}
	return nil
}

func verifyChain(s tls.ConnectionState, roots *x509.CertPool) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the backend sent no certificate")
	}
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(o)
	return err
}
