package http

import (
	"context"
	"net/http"
	"net/textproto"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire"
	"gatehouse/internal/wire/exchange"
)

type target struct{ raw, path, query string }

func (t target) on(base string) (path, raw, query string) { return base + t.path, "", t.query }

func (v *visit) read(domain string) error {
	v.conn = v.x.Connection()
	e, err := access.ParseEndpoint(v.conn.Address)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "http.read", err, "the address of connection %s cannot be read", v.conn.Name)
	}
	v.base = e
	_, raw, err := exchange.Route(v.r, domain)
	if err != nil {
		return err
	}
	v.t.raw = raw
	v.t.path, v.t.query, _ = strings.Cut(raw, "?")
	return nil
}

func (v *visit) statement() *access.Statement {
	return &access.Statement{Text: v.r.Method + " " + v.t.raw, Normal: v.r.Method + " " + v.t.path, Bounded: true,
		Actions: []access.Action{{Name: name + ":" + v.r.Method[:1] + strings.ToLower(v.r.Method[1:]), Resource: access.PathResource(v.conn.Name, v.t.path)}}}
}

func (v *visit) sent() *access.Sent { return &access.Sent{Method: v.r.Method, Path: v.t.path} }

func (v *visit) sign(_ context.Context, r *http.Request, c gate.Credential) error {
	if !c.Password.Empty() {
		r.Header.Set("Authorization", "Bearer "+string(c.Password.Reveal()))
	}
	return nil
}

func forward(h http.Header) {
	for _, line := range h["Connection"] {
		for n := range strings.SplitSeq(line, ",") {
			h.Del(textproto.TrimString(n))
		}
	}
	for _, n := range []string{"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Proxy-Connection", "Content-Length"} {
		h.Del(n)
	}
}

func verbs() []wire.Verb {
	var out []wire.Verb
	for _, m := range []string{"Get", "Head", "Post", "Put", "Patch", "Delete", "Options"} {
		out = append(out, wire.Verb{Name: name + ":" + m, About: m})
	}
	return out
}

func (p *protocol) explain(context.Context, *gate.Gate, string) ([]wire.Understood, error) {
	return nil, fault.New(fault.Malformed, "http.explain", "write a request such as GET /v1/invoices")
}
