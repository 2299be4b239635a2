package http

import (
	"io"
	"net/http"
	"net/url"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire"
	"gatehouse/internal/wire/exchange"
)

// Bounds where a connection does not say.
const (
	defaultBody    = 1 << 20
	defaultSilence = 30 * time.Second
)

// visit is one request on its way.
type visit struct {
	p    *protocol
	w    http.ResponseWriter
	r    *http.Request
	x    *gate.Exchange
	conn *access.Connection
	base access.Endpoint
	t    target
	body *exchange.Body
	all  io.ReadCloser
}

// Serve implements wire.Exchanger: one request, from top to bottom.
func (p *protocol) Serve(w http.ResponseWriter, r *http.Request, x *gate.Exchange, hello wire.Hello) error {
	v := &visit{p: p, w: w, r: r, x: x}
	back := exchange.Return(r)
	if err := v.read(hello.Domain); err != nil {
		return x.RefuseText(err, len(r.RequestURI))
	}
	if looked, err := exchange.Look(w, r, x, v.t.raw); looked {
		return err
	}
	h := x.Judge(v.statement())
	if err := v.hold(h); err != nil {
		return x.Refuse(h, nil, err)
	}
	ask := gate.Request{Sent: v.sent(), Return: back}
	if v.body != nil {
		ask.Exact = v.body.Held
	}
	permit, err := x.Ask(r.Context(), h, ask, v.outgoing())
	if err != nil {
		return err
	}
	return v.answer(permit)
}

// hold reads the body where the decision needs it.
func (v *visit) hold(h *gate.Handle) (err error) {
	silence := defaultSilence
	limit := defaultBody
	if o := v.conn.HTTP; o != nil {
		if o.BodyDeadline > 0 {
			silence = time.Duration(o.BodyDeadline)
		}
		if o.MaxBody > 0 {
			limit = o.MaxBody
		}
	}
	v.all = exchange.Patient(v.w, v.r, silence, v.p.clock)
	if v.x.Holds(h) {
		v.body, err = exchange.Hold(v.all, limit)
	}
	return err
}

// outgoing is the request as the backend is sent it.
func (v *visit) outgoing() gate.Outgoing {
	u := v.base.URL()
	out := gate.Outgoing{Method: v.r.Method, URL: &url.URL{Scheme: u.Scheme, Host: u.Host}, Header: v.r.Header.Clone(),
		Trailer: v.r.Trailer, Length: v.r.ContentLength}
	out.URL.Path, out.URL.RawPath, out.URL.RawQuery = v.t.on(v.base.Base)
	switch {
	case v.body != nil && v.body.Whole:
		out.Body = v.body.Held
	case v.body != nil:
		out.Stream = v.body.Stream()
	case v.all != http.NoBody:
		out.Stream = v.all
	}
	forward(out.Header)
	return out
}
