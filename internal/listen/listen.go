// Package listen owns the sockets that clients connect to: addresses, certificates that can be read again while the gateway
// runs, the PROXY protocol, and the rule that plain text is served on loopback only.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pires/go-proxyproto"

	"gatehouse/internal/fault"
)

// Options is one listener.
type Options struct {
	Address   string
	Plaintext bool           // clients may come without TLS: refused unless the address is loopback
	Trusted   []netip.Prefix // networks that speak the PROXY protocol; empty means that nobody does
	Log       *slog.Logger
}

// Listener accepts client connections.
type Listener struct {
	net.Listener
	log *slog.Logger
	wg  sync.WaitGroup
}

// Open opens the socket.
func Open(ctx context.Context, o Options) (*Listener, error) {
	if o.Plaintext && !loopback(o.Address) {
		return nil, fault.New(fault.Unavailable, "listen.Open", "%s is not a loopback address: tokens are never taken in clear over a network; remove `plaintext: true`", o.Address)
	}
	var conf net.ListenConfig
	l, err := conf.Listen(ctx, "tcp", o.Address)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "listen.Open", err, "cannot listen on %s: choose another address, or stop what listens there", o.Address)
	}
	if len(o.Trusted) > 0 {
		l = &proxyproto.Listener{Listener: l, ReadHeaderTimeout: headerTimeout, ConnPolicy: policy(o.Trusted)}
	}
	return &Listener{Listener: l, log: o.Log}, nil
}

// headerTimeout bounds the wait for a PROXY header.
const headerTimeout = 5 * time.Second

// policy demands a PROXY header of trusted peers and refuses everyone else: on such a listener the peer's own address would
// be recorded as the client's.
func policy(trusted []netip.Prefix) proxyproto.ConnPolicyFunc {
	return func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
		peer, err := netip.ParseAddrPort(o.Upstream.String())
		if err != nil {
			return proxyproto.REJECT, err
		}
		for _, p := range trusted {
			if p.Contains(peer.Addr().Unmap()) {
				return proxyproto.REQUIRE, nil
			}
		}
		return proxyproto.REJECT, proxyproto.ErrInvalidUpstream
	}
}

// loopback reports whether an address can only be reached from this machine.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Run accepts until ctx ends, and gives each connection to serve in a goroutine of its own. It returns when each has called done:
// what they write to (the audit log) may be closed then.
func (l *Listener) Run(ctx context.Context, serve func(ctx context.Context, conn net.Conn, done func())) {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	defer l.wg.Wait()
	wait := time.Duration(0)
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			wait = 0
			l.wg.Add(1)
			go serve(ctx, conn, l.wg.Done)
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default: // out of file descriptors, or a bad PROXY header: others may still be served
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			l.log.Warn("accept", "address", l.Addr().String(), "reason", err.Error())
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
		}
	}
}

// Certificate is a server certificate that can be replaced while it is in use.
type Certificate struct {
	pair atomic.Pointer[tls.Certificate]
}

// NewCertificate takes a chain and its key, both PEM.
func NewCertificate(chain, key []byte) (*Certificate, error) {
	c := &Certificate{}
	return c, c.Set(chain, key)
}

// Set replaces the certificate for handshakes from now on.
func (c *Certificate) Set(chain, key []byte) error {
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "listen.Certificate", err, "the server certificate or its key cannot be read")
	}
	c.pair.Store(&pair)
	return nil
}

// TLS returns the configuration of a server that presents it.
func (c *Certificate) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.pair.Load(), nil },
	}
}
