package http

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/mask"
	"gatehouse/internal/mask/body"
	"gatehouse/internal/wire"
	"gatehouse/internal/wire/coding"
	"gatehouse/internal/wire/exchange"
)

// name is the protocol's, as connections name it.
const name = "http"

// New returns the protocol.
func New(d wire.Deps) wire.Protocol {
	override, err := overrideRules()
	if err != nil {
		panic(err) // it is made of constants
	}
	p := &protocol{override: override, key: d.Mask, clock: d.Clock, buffers: new(exchange.Buffers), endpoints: newEndpoints(d.Clock), coder: new(coding.Coder), masks: exchange.NewCompiled(d.Mask), random: d.Random}
	return wire.Protocol{Name: name, Address: "127.0.0.1:8444", Verbs: verbs, Actions: actions, Files: files, Exchange: p, Test: test, Understand: p.explain,
		Folds: wire.Folds{Template: folds, Parent: parent}}
}

// protocol serves requests. It is safe for concurrent use.
type protocol struct {
	key       *mask.Key
	clock     func() time.Time
	buffers   *exchange.Buffers
	endpoints *endpoints
	coder     *coding.Coder
	masks     *exchange.Compiled
	random    io.Reader
	override  *body.Rules
}

// Claim implements wire.Exchanger.
func (*protocol) Claim(r *http.Request, h wire.Hello) (wire.Login, error) {
	if token, ok := tokenOf(r); ok {
		connection, _, err := exchange.Route(r, h.Domain)
		return wire.Login{Connection: connection, Token: token}, err
	}
	return exchange.Claim(r, h)
}

// Refuse implements wire.Exchanger.
func (*protocol) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	if calls(r) {
		refuseCall(w, err)
		return
	}
	exchange.Refuse(w, r, err)
}

// test reaches a backend and agrees on TLS with it: no request is sent, since any could have an effect.
func test(ctx context.Context, l gate.Lease) error {
	e, err := access.ParseEndpoint(l.Connection().Address)
	if err != nil {
		return fault.Wrap(fault.Malformed, "http.test", err, "the address of connection %s cannot be read", l.Connection().Name)
	}
	b, err := l.Open(ctx, func(ctx context.Context, raw net.Conn, c gate.Credential) (net.Conn, error) {
		if c.TLS == nil || e.URL().Scheme != "https" {
			return raw, nil
		}
		conn := tls.Client(raw, c.TLS)
		return conn, conn.HandshakeContext(ctx)
	})
	if err != nil {
		return err
	}
	return b.Close()
}
