package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gatehouse/internal/access"
	"gatehouse/internal/api"
	"gatehouse/internal/approval"
	"gatehouse/internal/cli/client"
	"gatehouse/internal/config"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/identity"
	"gatehouse/internal/keys"
	"gatehouse/internal/listen"
	"gatehouse/internal/policy"
	"gatehouse/internal/policy/live"
	"gatehouse/internal/protocol"
	"gatehouse/internal/session"
	"gatehouse/internal/wire"
)

// gateway is everything that runs, put together.
type gateway struct {
	config    config.Server
	log       *slog.Logger
	state     *state
	identity  *identity.Verifier
	policies  *live.Authority
	room      *approval.Room
	services  *gate.Services
	protocols []wire.Protocol
	ready     []*access.Policy // the guardrails that ship
	sessions  *session.Server
	api       *api.Server
	draining  atomic.Bool

	certs     []certificate
	listeners []listener
	apiSocket net.Listener
}

// listener is one open socket and what is spoken on it.
type listener struct {
	*listen.Listener
	protocol wire.Protocol
	hello    wire.Hello
}

// certificate is one in use, and where it is read from again on SIGHUP.
type certificate struct {
	*listen.Certificate
	read func() (chain, key []byte, err error)
}

// assemble puts the gateway together over an open state.
func assemble(ctx context.Context, c config.Server, s *state, logger *slog.Logger) (*gateway, error) {
	g := &gateway{config: c, log: logger, state: s}
	g.protocols = protocol.All(wire.Deps{Mask: s.mask, Clock: time.Now, Random: rand.Reader})
	g.identity = identity.New(identity.Options{Clock: time.Now, Logger: logger, KeyLease: time.Duration(c.Leases.Keys)})
	var err error
	if g.ready, err = readyPolicies(g.protocols); err != nil {
		return nil, err
	}
	g.policies = live.New(&source{store: s.store, identity: g.identity, ready: g.ready, protocols: g.protocols}, vocabulary(g.protocols), time.Now, live.Options{
		Defaults: defaults(c), Lease: time.Duration(c.Leases.Policy), Failed: g.policiesFailed, Compiled: g.closed})
	if lock, locked, err := s.store.Locked(ctx); err != nil {
		return nil, err
	} else if locked {
		g.policies.SetLocked(lock.Reason)
	}
	g.room = approval.New(waitingStore{s.store.Approvals()}, s.log, approval.Options{Clock: time.Now, Rand: rand.Reader, Logger: logger,
		Lifetime: time.Duration(c.Approvals.Expires), PerPrincipal: c.Approvals.MaxPerPrincipal, PerConnection: c.Limits.MaxHeld,
		Total: c.Approvals.MaxPending})
	if err := g.room.Recover(ctx); err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	g.services = &gate.Services{Authority: authority{g.policies}, Recorder: s.log, Approvals: g.room, Vault: s.vault,
		Tokens: newTokens(s.mask), Dial: dialer.DialContext, Clock: time.Now, Pools: gate.NewPools(time.Now),
		Origins: gate.NewOrigins(time.Now), Digest: approval.Digest}
	g.sessions = session.NewServer(session.Options{Gate: g.services, Identity: g.identity, Refusal: refusal, NewID: newID, Log: logger,
		Sessions: c.Limits.MaxSessions, Login: time.Duration(c.Limits.LoginTimeout), Idle: time.Duration(c.Limits.IdleTimeout),
		Grace: time.Duration(c.ExpiryGrace)})
	if err := g.policies.Refresh(ctx); err != nil {
		logger.Error("no policies: everything is refused until they can be read", "reason", err.Error())
	}
	return g, g.assembleAPI()
}

func (g *gateway) assembleAPI() error {
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_sessions", Help: "Live client connections."},
			func() float64 { return float64(g.sessions.Count()) }))
	var err error
	g.api, err = api.New(api.Options{Documents: apiDocuments{g}, Checker: apiChecker{g}, Secrets: g.state.vault, Approvals: apiApprovals{g.room},
		Sessions: apiSessions{g.state.path(auditDir)}, Adviser: apiAdviser{g}, Identity: apiIdentity{g}, Recorder: g.state.log, Locker: apiLocker{g},
		Operations: apiOperations{g}, Health: apiHealth{g, &g.draining}, Parse: parseOne, Diff: apiDiff, Schema: config.Schema(),
		Metrics:    promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}),
		AdminToken: g.state.admin, Version: versionOf(), Clock: time.Now, Rand: rand.Reader, Logger: g.log})
	return err
}

// defaults is what holds where policies say nothing.
func defaults(c config.Server) policy.Defaults {
	return policy.Defaults{Wait: time.Duration(c.Approvals.Expires)}
}

// refusal gives a failed login its reference and its words.
func refusal(why error) (string, error) {
	ref, err := identity.NewRef(rand.Reader)
	if err != nil {
		return "", err
	}
	return ref, identity.Refusal(ref, why)
}

func (g *gateway) policiesFailed(err error) {
	if err != nil {
		g.log.Error("the policies could not be refreshed", "reason", err.Error())
		return
	}
	g.log.Info("the policies are fresh again")
}

// closed says which connections nobody reaches.
func (g *gateway) closed(s *policy.Set) {
	for name, why := range s.Closed() {
		g.log.Error("nobody reaches a connection until what is attached to it, or the policy that names its actions, is mended", "connection", name, "reason", why)
	}
}

func (g *gateway) limits() gate.Limits {
	const actions = 1024
	l := g.config.Limits
	return gate.Limits{Message: int(l.MaxMessage), MaskedRow: int(l.MaxMaskedRow), Staged: int(l.SessionMemory) / 4, Actions: actions}
}

func (g *gateway) protocol(name string) (wire.Protocol, bool) {
	for _, p := range g.protocols {
		if p.Name == name {
			return p, true
		}
	}
	return wire.Protocol{}, false
}

// listen opens every socket before anything is served, so that a start either works or leaves nothing behind.
func (g *gateway) listen(ctx context.Context) error {
	own, err := g.ownCertificate()
	if err != nil {
		return err
	}
	for _, l := range g.config.Listeners {
		if err := g.listenOne(ctx, l, own); err != nil {
			return err
		}
	}
	cert, err := g.certificateFor(g.config.API.TLS, own)
	if err != nil {
		return err
	}
	socket, err := listen.Open(ctx, listen.Options{Address: g.config.API.Address, Log: g.log})
	if err != nil {
		return g.elsewhere(err)
	}
	g.apiSocket = tls.NewListener(socket.Listener, cert.TLS())
	return nil
}

func (g *gateway) listenOne(ctx context.Context, l config.Listener, own *listen.Certificate) error {
	p, ok := g.protocol(l.Protocol)
	if !ok {
		return fault.New(fault.Malformed, "main.listen", "listeners: %q is no protocol that this gateway speaks", l.Protocol)
	}
	cert, err := g.certificateFor(l.TLS, own)
	if err != nil {
		return err
	}
	trusted, err := prefixes(l.Proxy)
	if err != nil {
		return err
	}
	socket, err := listen.Open(ctx, listen.Options{Address: l.Address, Plaintext: l.Plaintext, Trusted: trusted, Log: g.log})
	if err != nil {
		return g.elsewhere(err)
	}
	g.listeners = append(g.listeners, listener{Listener: socket, protocol: p,
		hello: wire.Hello{TLS: cert.TLS(), Plaintext: l.Plaintext, Limits: g.limits(), Domain: l.Domain}})
	return nil
}

// elsewhere adds to a socket that cannot be had how to take free ports. All of them are named: where one is taken, others often
// are, and --listen replaces every listener that there is.
func (g *gateway) elsewhere(err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	free := "--api 127.0.0.1:0"
	for _, l := range g.config.Listeners {
		free += " --listen " + l.Protocol + "=127.0.0.1:0"
	}
	say, _ := fault.Say(err)
	return &fault.Error{Op: "main.listen", Kind: fault.Unavailable, Err: err, Say: say, Hint: "Free ports are taken with " + free}
}

func prefixes(p *config.Proxy) ([]netip.Prefix, error) {
	if p == nil {
		return nil, nil
	}
	var out []netip.Prefix
	for _, t := range p.Trusted {
		prefix, err := netip.ParsePrefix(t)
		if err != nil {
			return nil, fault.Wrap(fault.Malformed, "main.prefixes", err, "proxy_protocol.trusted: %q is not a network such as 10.0.0.0/8", t)
		}
		out = append(out, prefix)
	}
	return out, nil
}

// ownCertificate is the one that the gateway makes itself, under a root of its own.
func (g *gateway) ownCertificate() (*listen.Certificate, error) {
	return g.certificate(func() ([]byte, []byte, error) {
		chain, key, _, err := keys.ServerTLS(g.state.path(tlsDir), g.config.ServerNames, time.Now, rand.Reader)
		return chain, key, err
	})
}

func (g *gateway) certificateFor(t config.ListenerTLS, own *listen.Certificate) (*listen.Certificate, error) {
	if t.CertFile == "" {
		return own, nil
	}
	return g.certificate(func() ([]byte, []byte, error) {
		chain, err := os.ReadFile(t.CertFile)
		if err != nil {
			return nil, nil, fault.Wrap(fault.Unavailable, "main.certificate", err, "the certificate %s cannot be read", t.CertFile)
		}
		key, err := os.ReadFile(t.KeyFile)
		return chain, key, fault.Wrap(fault.Unavailable, "main.certificate", err, "the key %s cannot be read", t.KeyFile)
	})
}

func (g *gateway) certificate(read func() ([]byte, []byte, error)) (*listen.Certificate, error) {
	chain, key, err := read()
	if err != nil {
		return nil, err
	}
	c, err := listen.NewCertificate(chain, key)
	if err != nil {
		return nil, err
	}
	g.certs = append(g.certs, certificate{c, read})
	return c, nil
}

// reload reads certificates from their files again, and policies from the store; secrets by file or environment are read
// at each login to a backend anyway. What cannot be read stays as it was.
func (g *gateway) reload() {
	for _, c := range g.certs {
		chain, key, err := c.read()
		if err == nil {
			err = c.Set(chain, key)
		}
		if err != nil {
			g.log.Error("a certificate could not be read again: the old one stays", "reason", err.Error())
		}
	}
	g.policies.Poke()
	g.log.Info("reloaded")
}

// reach is where everything listens.
func (g *gateway) reach() client.Reach {
	r := client.Reach{API: "https://" + g.apiSocket.Addr().String(), PID: os.Getpid()}
	for _, l := range g.listeners {
		r.Listeners = append(r.Listeners, client.Listener{Protocol: l.protocol.Name, Address: l.Addr().String()})
	}
	return r
}

// sweeps closes backends that nobody has used for a while, and at the end all that are left.
func (g *gateway) sweeps(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	defer g.services.Pools.Close()
	defer g.services.Origins.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			g.services.Pools.Sweep()
		}
	}
}

// sweepEvery is how much longer than its idle time a backend may stay open.
const sweepEvery = 5 * time.Second

// drain lets transactions finish: /readyz fails, no new logins, and what is left at the deadline is ended.
func (g *gateway) drain() {
	g.draining.Store(true)
	g.log.Info("draining", "sessions", g.sessions.Count())
	ctx, done := context.WithTimeout(context.Background(), time.Duration(g.config.DrainTimeout))
	defer done()
	g.sessions.Drain(ctx)
}

// close puts the end on record, signs the log and closes everything.
func (g *gateway) close() error {
	ctx, done := context.WithTimeout(context.Background(), 10*time.Second)
	defer done()
	_, err := g.state.log.Append(&access.Event{Kind: access.EventGatewayStopped, Principal: access.GatewayPrincipal().ID()})
	_ = client.RemoveReach(g.state.dir)
	return errors.Join(err, g.state.close(ctx))
}
