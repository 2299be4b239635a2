package http

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
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
	raw  string // the target as the client wrote it, behind what names the connection
	e    *endpoint
	t    target
	j    judged
	body *exchange.Body
	all  io.ReadCloser
	flow *exchange.Flow
	call *call // nil where it is no method of gRPC

	upgrade string // the protocol that the client wants its connection to become
	waits   bool   // the client waits to be told to go on with its body
	token   string // minted for the backend

	headed   bool   // the header of a passed answer is written
	streamed bool   // its body is sent as it comes
	signed   []byte // the body that is sent, where it was held
	echo     *exchange.Echo
	scrubbed exchange.Scrubbed
}

// Serve implements wire.Exchanger: one request, from top to bottom.
func (p *protocol) Serve(w http.ResponseWriter, r *http.Request, x *gate.Exchange, hello wire.Hello) error {
	v := &visit{p: p, w: w, r: r, x: x}
	back := exchange.Return(r)
	if err := x.Refresh(); err != nil {
		return err
	}
	if err := v.read(hello.Domain); err != nil {
		return x.RefuseText(err, len(r.RequestURI))
	}
	if looked, err := exchange.Look(w, r, x, v.raw); looked {
		return err
	}
	if err := v.understand(); err != nil {
		return x.RefuseText(err, len(r.RequestURI))
	}
	h := x.Judge(v.j.statement)
	if err := v.hold(h); err != nil {
		return x.Refuse(h, nil, err)
	}
	if v.body != nil { // what the body says is known now
		if err := v.understand(); err != nil {
			return x.Refuse(h, nil, err)
		}
		v.readCall(r.Context())
		h = x.Judge(v.j.statement)
	}
	ask := gate.Request{Sent: v.j.sent, Return: back, Rows: true, Unseen: v.all != http.NoBody && (v.body == nil || !v.body.Whole)}
	if v.body != nil {
		ask.Exact = v.body.Held
	}
	version := x.Version()
	out, err := v.outgoing()
	if err != nil {
		return x.Refuse(h, nil, err)
	}
	permit, err := x.Ask(r.Context(), h, ask, out)
	if err != nil {
		return err
	}
	if x.Version() != version { // what was hidden on its way was hidden under other policies
		return errChanged
	}
	return v.answer(permit)
}

// read finds out what the request is for.
func (v *visit) read(domain string) (err error) {
	v.conn = v.x.Connection()
	if v.e, err = v.p.endpoints.of(v.conn); err != nil {
		return err
	}
	if _, v.raw, err = exchange.Route(v.r, domain); err != nil {
		return err
	}
	v.waits = v.r.Header.Get("Expect") != ""
	if err = v.checkUpgrade(); err == nil {
		err = v.checkCall()
	}
	if err == nil {
		v.upgrade, err = cleanRequest(v.r.Header)
	}
	return err
}

// understand turns the request, as far as it is known, into what is judged.
func (v *visit) understand() (err error) {
	if v.t, err = normalise(v.raw, v.e.ignoreCase); err != nil {
		return err
	}
	a := asked{method: v.r.Method, target: v.t, header: v.r.Header, upgrade: v.upgrade != "", size: v.r.ContentLength}
	if v.body != nil && v.body.Whole {
		a.held, a.body, a.size = true, v.body.Held, int64(len(v.body.Held))
	}
	v.j, err = v.e.understand(a)
	return err
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
	must := v.e.inject.readsBody() || v.j.operation.readsBody()
	if !must && (v.all == http.NoBody || !v.x.Holds(h)) {
		if v.call != nil {
			exchange.Relax(v.all, v.idle()) // its streams may be silent as long as its answers
		}
		return nil
	}
	if v.body, err = exchange.Hold(v.all, limit); err == nil && must && !v.body.Whole {
		err = refused("the body is larger than the %d bytes that can be looked into", limit)
	}
	return err
}

// outgoing is the request as the backend is sent it.
func (v *visit) outgoing() (gate.Outgoing, error) {
	u := v.e.base.URL()
	out := gate.Outgoing{Method: v.r.Method, URL: &url.URL{Scheme: u.Scheme, Host: u.Host}, Header: v.r.Header, // what is judged is the gate's copy
		Length: v.r.ContentLength}
	if v.upgrade != "" { // what the client offered is read again when the backend chooses
		out.Header = v.r.Header.Clone()
	}
	v.t.on(v.e.base.Base, out.URL)
	switch {
	case v.body != nil && v.body.Whole:
		out.Body = v.body.Held
	case v.body != nil:
		out.Stream = v.body.Stream()
	case v.all != http.NoBody:
		out.Stream = v.all
	}
	v.stream(&out)
	if err := v.watchMethod(&out); err != nil {
		return out, err
	}
	out.Host = hostOf(v.conn, out.URL)
	var fixed map[string]string
	if v.conn.HTTP != nil {
		fixed = v.conn.HTTP.Headers
	}
	introduce(out.Header, v.forwarding(), fixed)
	if v.e.inject.how.As != "none" {
		out.Header.Set("Accept-Encoding", "identity") // the credential can be found in what can be read
		out.Header.Del("Range")                       // and not in what comes in parts that the client chooses
		out.Header.Del("If-Range")
		if v.call != nil {
			out.Header.Set("Grpc-Accept-Encoding", "identity")
		}
	}
	err := v.hide(&out)
	v.signed = out.Body
	return out, err
}

// hides is the resource whose masks bind the request: with the slash at its end, where it has one, since what is hidden at a and below a/
// is hidden at a/.
func (v *visit) hides() string {
	if other, ok := v.t.otherResource(v.conn.Name); ok {
		return other
	}
	return v.j.statement.Actions[0].Resource
}

// hidden is what is hidden of the answer.
func (v *visit) hidden() access.DocumentMasks {
	masks := v.x.Masks()
	if masks == nil {
		return access.DocumentMasks{}
	}
	return masks.Document(v.hides(), access.ToClient)
}

// hide applies the masks of requests, and sees to it that an answer in which something is hidden can be read.
func (v *visit) hide(out *gate.Outgoing) error {
	masks := v.x.Masks()
	if masks == nil {
		return nil
	}
	resource := v.hides()
	if v.call != nil {
		return v.hideCall(out, masks.Document(resource, access.ToClient), masks.Document(resource, access.ToBackend))
	}
	if answer := masks.Document(resource, access.ToClient); !answer.None() {
		if err := exchange.Whole(out.Method, out.Header); err != nil {
			return err
		}
		if len(answer.Paths) > 0 && !v.saysAccept() {
			out.Header["Accept"] = []string{"application/json"}
		}
	}
	hidden, err := v.p.masks.Of(masks.Document(resource, access.ToBackend), v.conn.Name)
	if err != nil || hidden == nil {
		return err
	}
	if v.names(hidden) {
		return fault.New(fault.Denied, "http.hide", "permission denied: the path or the query holds what is masked on its way to the backend, and what was judged is sent as it is")
	}
	out.Trailer = nil // what comes so late is not looked through
	return hidden.Request(out)
}

// saysAccept reports whether the connection's document says which form answers have. Else it is JSON where something is hidden by path:
// a path leads through the form that its author saw, and a client that asks for another one (a table, a summary, lines) gets what is
// hidden at another place.
func (v *visit) saysAccept() bool {
	if v.conn.HTTP == nil {
		return false
	}
	for name := range v.conn.HTTP.Headers {
		if strings.EqualFold(name, "Accept") {
			return true
		}
	}
	return false
}

// names reports whether the request's target holds what detectors hide from the backend.
func (v *visit) names(hidden *exchange.Hidden) bool {
	if hidden.Finds(v.t.path) {
		return true
	}
	return slices.ContainsFunc(v.t.query, func(p pair) bool { return hidden.Finds(p.written) || hidden.Finds(p.value) })
}

var errChanged = &fault.Error{Op: "http.Serve", Kind: fault.Unavailable, Say: "the policies changed while the request was on its way: it was not sent",
	Hint: "Send it again."}
