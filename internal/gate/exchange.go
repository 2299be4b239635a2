package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"net/url"
	"sync"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Visit is a session of requests and answers: what one principal asks of one connection, over one client's connection. Several
// requests may be under way at once, each with a gate of its own. It is safe for concurrent use.
type Visit struct {
	svc   *Services
	first decider // what every request's gate begins as
	mu    sync.Mutex
	idle  []*Exchange
	ended bool
	open  int
}

// Visited opens a session of requests: as Open, without a connection of its own.
func Visited(ctx context.Context, s *Services, c Caller, connection string, connect access.Statement, l Limits) (*Visit, error) {
	v := &Visit{svc: s, first: newDecider(s, c, l)}
	if err := v.first.enter(connection, &connect); err != nil {
		return nil, err
	}
	return v, ctx.Err()
}

// Connection returns the connection's document, as it was when the session was opened.
func (v *Visit) Connection() *access.Connection { return v.first.conn }

// Caller returns who the session is.
func (v *Visit) Caller() Caller { return v.first.caller }

// ID names the session.
func (v *Visit) ID() string { return v.first.caller.Session }

// Exchange returns a gate for one request, whose context end ends: Leave gives it back.
func (v *Visit) Exchange(end context.CancelCauseFunc) (*Exchange, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended {
		return nil, fault.New(fault.Unavailable, "gate.Exchange", "the session has ended: send the request again")
	}
	v.open++
	if n := len(v.idle); n > 0 {
		x := v.idle[n-1]
		v.idle = v.idle[:n-1]
		x.end = end
		return x, nil
	}
	x := &Exchange{decider: v.first, visit: v, end: end}
	x.slots, x.vacant = nil, nil
	return x, nil
}

// Close ends the session on record, once every request's gate was given back. why may be nil.
func (v *Visit) Close(why error) {
	v.mu.Lock()
	was, open := v.ended, v.open
	v.ended = true
	v.mu.Unlock()
	if !was && open == 0 {
		v.closed(why)
	}
}

func (v *Visit) closed(why error) {
	e := &access.Event{Kind: access.EventSessionClosed, Time: v.svc.Clock(), Session: v.first.caller.Session}
	if why != nil {
		e.Reason = why.Error()
	}
	if seq, err := v.svc.Recorder.Append(e); err == nil {
		_ = v.svc.Recorder.Barrier(seq)
	}
}

// Exchange is the gate of one request: it decides, records, and sends what was judged. It belongs to the request's goroutine.
type Exchange struct {
	decider
	visit *Visit
	end   context.CancelCauseFunc
	named origins // of the connection's document

	judged *http.Request // what the permit is for
	permit Permit
	sent   *counted
	raw    io.ReadWriteCloser // of an answer 101, until somebody takes it
	turned *Turned
}

// Leave gives the gate back. An action without an outcome is cancelled.
func (x *Exchange) Leave() {
	x.cancelAll()
	x.untie()
	x.judged, x.permit, x.sent, x.failed, x.end = nil, Permit{}, nil, nil, nil
	v := x.visit
	v.mu.Lock()
	v.open--
	last := v.ended && v.open == 0
	if !v.ended {
		v.idle = append(v.idle, x)
	}
	v.mu.Unlock()
	if last {
		v.closed(nil)
	}
}

// End returns what ends the request's context, with a cause that the client is told where no answer has begun. What it returns may be
// called after the gate was given back.
func (x *Exchange) End() context.CancelCauseFunc { return x.end }

// Outgoing is a request as it was judged. The gate takes it over: what the protocol does to the values it came from changes
// nothing of what is sent.
type Outgoing struct {
	Method  string
	URL     *url.URL // whole: its origin must be one that the connection's document names
	Host    string   // "" sends the URL's own
	Header  http.Header
	Body    []byte        // what was held and judged; nil where Stream is sent
	Stream  io.ReadCloser // what is sent as it comes; nil where there is none
	Length  int64         // of Stream; -1 where not known; 0 sends nothing of it
	Trailer http.Header   // filled while Stream is read
}

// Ask decides on h as every gate does, and permits out to be sent.
func (x *Exchange) Ask(ctx context.Context, h *Handle, r Request, out Outgoing) (Permit, error) {
	if err := x.named.target(x.conn, out.URL); err != nil {
		return Permit{}, x.Refuse(h, r.Params, err)
	}
	p, err := x.decider.Ask(ctx, h, r)
	if err != nil {
		return Permit{}, err
	}
	x.look(p).masked = !x.clear(h)
	x.permit = p
	x.judged, x.sent = frozen(ctx, out)
	return p, nil
}

// clear reports whether nothing of an answer must be hidden.
func (x *Exchange) clear(h *Handle) bool {
	if x.masks == nil {
		return true
	}
	for i := range h.st.Actions {
		if !x.masks.Document(h.st.Actions[i].Resource, access.ToClient).None() {
			return false
		}
	}
	return true
}

// Approval returns an approval that the caller asked for on this connection, for a client that looks whether it was answered.
func (x *Exchange) Approval(ctx context.Context, id string) (access.Approval, error) {
	a, err := x.svc.Approvals.Get(ctx, id)
	if err == nil && (a.Principal != x.caller.Principal.ID() || a.Connection != x.conn.Name) {
		err = fault.New(fault.NotFound, "gate.Approval", "you have no approval of that name here")
	}
	return a, err
}

// frozen copies what is judged.
func frozen(ctx context.Context, out Outgoing) (*http.Request, *counted) {
	u := *out.URL
	r := (&http.Request{Method: out.Method, URL: &u, Host: out.Host, Header: out.Header.Clone(), Trailer: out.Trailer,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	if r.Header == nil {
		r.Header = http.Header{}
	}
	c := &counted{}
	switch {
	case out.Stream != nil && (out.Length != 0 || out.Trailer != nil): // net/http sends what has no bytes in chunks, which some backends refuse
		c.body, c.sum = out.Stream, sha256.New()
		r.Body, r.ContentLength = c, out.Length
	case len(out.Body) > 0:
		c.body, c.sum = &held{rest: out.Body}, sha256.New()
		r.Body, r.ContentLength = c, int64(len(out.Body))
	default:
		r.Body = http.NoBody
	}
	return r, c
}

// held is a body that was held.
type held struct{ rest []byte }

// Read implements io.Reader.
func (h *held) Read(b []byte) (int, error) {
	if len(h.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, h.rest)
	h.rest = h.rest[n:]
	return n, nil
}

// Close implements io.Closer.
func (*held) Close() error { return nil }

// counted counts what is sent, and digests it for the record. It has no way to be sent twice.
type counted struct {
	mu   sync.Mutex // the transport may still read when the answer is there
	body io.ReadCloser
	sum  hash.Hash
	n    int64
}

// Read implements io.Reader. It is the transport that reads: a fault below ends this request, not the gateway.
func (c *counted) Read(b []byte) (n int, err error) {
	defer func() {
		if recover() != nil {
			n, err = 0, fault.New(fault.Internal, "gate.Read", "what is sent could not be made")
		}
	}()
	n, err = c.body.Read(b)
	c.mu.Lock()
	c.n += int64(n)
	_, _ = c.sum.Write(b[:n])
	c.mu.Unlock()
	return n, err
}

// Close implements io.Closer.
func (c *counted) Close() error { return c.body.Close() }

// Digest returns how many bytes of the request's body were sent, and their SHA-256 in hex; "" where there was no body.
func (x *Exchange) Digest() (n int64, digest string) {
	c := x.sent
	if c == nil || c.sum == nil {
		return 0, ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n, hex.EncodeToString(c.sum.Sum(nil))
}

// Signer puts the backend's credential into a request, and changes nothing else of it.
type Signer func(ctx context.Context, r *http.Request, c Credential) error

// Send sends what p was minted for, once, when its intent is on record for good. sign may be nil. The caller closes the
// answer's body. Redirects are answers like any other.
func (x *Exchange) Send(ctx context.Context, p Permit, sign Signer) (*http.Response, error) {
	s := x.look(p)
	if s == nil || s.stage != minted || s.own || p != x.permit || x.judged == nil {
		return nil, errPermit("gate.Send: not a fresh permit of this request")
	}
	if err := x.stillPermitted(s); err != nil {
		return nil, err
	}
	r := x.judged
	x.judged = nil
	resp, err := x.roundTrip(ctx, s, r, sign)
	if err != nil {
		return nil, err
	}
	if err := x.keepRaw(resp); err != nil {
		return nil, err
	}
	return resp, nil
}

// stillPermitted decides again about what was judged under other policies: a body may have taken its time.
func (x *Exchange) stillPermitted(s *slot) error {
	if err := x.Refresh(); err != nil {
		return err
	}
	if s.version == x.version && x.clock().Sub(s.asked) < stale {
		return nil
	}
	v := x.decide(s.handle, facts{s.params, s.given, func() *int64 { return s.estimate }})
	if v.Effect == access.Deny || v.Effect == access.Approve && !s.approved || s.handle.oracle != "" ||
		s.version != x.version && x.masks != nil {
		return errStaleRequest
	}
	return nil
}

var errStaleRequest = &fault.Error{Op: "gate.Send", Kind: fault.Unavailable,
	Say: "the policies changed while the request was on its way: it was not sent", Hint: "Send it again."}

// roundTrip waits for the record, signs and sends.
func (x *Exchange) roundTrip(ctx context.Context, s *slot, r *http.Request, sign Signer) (*http.Response, error) {
	o, err := x.svc.Origins.of(x.svc, x.conn)
	if err != nil {
		return nil, err
	}
	if err := x.svc.Recorder.Barrier(s.seq); err != nil {
		return nil, err
	}
	s.stage = spent
	if ctx != r.Context() {
		r = r.WithContext(ctx)
	}
	if sign != nil {
		secret, err := o.credential(ctx, x.svc, x.conn)
		if err != nil {
			return nil, err
		}
		method, before := r.Method, *r.URL
		if err := sign(ctx, r, Credential{User: x.conn.Credential.User, Password: secret}); err != nil {
			return nil, err
		}
		if r.Method != method || r.URL.Scheme != before.Scheme || r.URL.Host != before.Host || r.URL.EscapedPath() != before.EscapedPath() {
			return nil, errPermit("gate.Send: signing changed where the request goes")
		}
	}
	s.stage, s.sent = flushed, x.clock()
	resp, err := o.RoundTrip(r)
	if err != nil {
		return nil, failed(ctx, x.conn, err)
	}
	return resp, nil
}

// failed words why there is no answer.
func failed(ctx context.Context, c *access.Connection, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if fault.KindOf(err) != fault.Internal {
		return err
	}
	return &fault.Error{Op: "gate.Send", Kind: fault.Backend, Err: err,
		Say: "the backend of connection " + c.Name + " gave no answer that can be read"}
}

// maxFetched bounds the answer to a request of the gateway's own.
const maxFetched = 1 << 20

// Fetched is the answer to a request of the gateway's own.
type Fetched struct {
	Status int
	Header http.Header
	Body   []byte // at most 1 MiB
}

// Fetch sends a request of the gateway's own, such as for a token of the backend, under its own principal and on record.
func (x *Exchange) Fetch(ctx context.Context, o Own, out Outgoing, sign Signer) (*Fetched, error) {
	if err := x.named.target(x.conn, out.URL); err != nil {
		return nil, err
	}
	p, err := x.AskOwn(o)
	if err != nil {
		return nil, err
	}
	r, _ := frozen(ctx, out)
	f, err := x.fetch(ctx, p, r, sign)
	status, code := access.StatusOK, ""
	switch {
	case err != nil:
		status = access.StatusError
	case f.Status >= http.StatusBadRequest:
		status, code = access.StatusError, http.StatusText(f.Status)
	}
	if done := x.Done(p, Outcome{Status: status, Code: code}); done != nil {
		return nil, done
	}
	return f, err
}

func (x *Exchange) fetch(ctx context.Context, p Permit, r *http.Request, sign Signer) (*Fetched, error) {
	resp, err := x.roundTrip(ctx, x.look(p), r, sign)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxFetched+1))
	if err != nil || len(body) > maxFetched {
		return nil, fault.New(fault.Backend, "gate.Fetch", "the answer cannot be read, or is larger than %d bytes", maxFetched)
	}
	return &Fetched{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// Pass copies an answer's body, which needs no obligation, as it is. Under a permit that carries a mask it copies nothing: what is
// rebuilt is the protocol's to write. buf is what is copied through where body is no io.WriterTo, which has a buffer of its own.
func (x *Exchange) Pass(p Permit, w io.Writer, body io.Reader, buf []byte) (int64, error) {
	if x.Masked(p) {
		return 0, errPermit("gate.Pass: the permit carries a mask")
	}
	if own, ok := body.(io.WriterTo); ok {
		return own.WriteTo(onlyWriter{w})
	}
	return io.CopyBuffer(onlyWriter{w}, onlyReader{body}, buf)
}

// onlyWriter and onlyReader keep io.CopyBuffer to the buffer that it is given.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)
