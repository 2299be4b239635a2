package session

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire"
)

// Requests is the data path of protocols of requests and answers: net/http speaks with clients, and each request is verified,
// gets a gate of its own, and is served. What one principal asks of one connection over one client's connection is one session.
type Requests struct {
	s     *Server
	p     wire.Protocol
	h     wire.Hello
	tls   *tls.Config // nil where nobody comes with TLS
	http  *http.Server
	conns *handover

	draining sync.Once
	over     chan struct{} // closed when Run is
}

// Bounds on what a client may send before it is known, and how long it may be silent between two requests.
const (
	maxHeader  = 64 << 10
	keepAlive  = 2 * time.Minute
	maxStreams = 100 // requests at once over one connection
	maxVisits  = 16  // sessions at once over one connection
)

// Requests returns the server of a protocol's listener. Run must run while Serve is called.
func (s *Server) Requests(p wire.Protocol, h wire.Hello) *Requests {
	q := &Requests{s: s, p: p, h: h, conns: newHandover(), over: make(chan struct{})}
	if h.TLS != nil {
		q.tls = h.TLS.Clone()
		q.tls.NextProtos = []string{"h2", "http/1.1"}
	}
	idle := s.o.Idle
	if idle <= 0 {
		idle = keepAlive
	}
	spoken := new(http.Protocols)
	spoken.SetHTTP1(true)
	spoken.SetHTTP2(true)
	spoken.SetUnencryptedHTTP2(h.Plaintext)
	q.http = &http.Server{Handler: q, Protocols: spoken, ReadHeaderTimeout: s.o.Login, IdleTimeout: idle, MaxHeaderBytes: maxHeader,
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		DisableGeneralOptionsHandler: true, ErrorLog: slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			v := visitorOf(c)
			ctx, end := context.WithCancelCause(context.WithValue(ctx, visitorKey{}, v))
			context.AfterFunc(v.ctx, func() { end(context.Cause(v.ctx)) })
			return ctx
		}}
	return q
}

// Run serves until ctx ends.
func (q *Requests) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = q.http.Close() })
	defer stop()
	_ = q.http.Serve(q.conns)
	<-ctx.Done() // a drain closes the listener, and what is under way goes on
	close(q.over)
}

// Serve takes one client connection, and calls done at its end: thousands may be idle, and none of them costs a goroutine that waits
// besides net/http's own.
func (q *Requests) Serve(ctx context.Context, conn net.Conn, done func()) {
	ctx, end := context.WithCancelCause(ctx)
	me := &live{end: end, peer: host(conn)}
	v := &visitor{Conn: conn, q: q, ctx: ctx, me: me, full: q.s.enter(me), over: make(chan struct{}), done: done}
	q.s.watch(me, q.drain)
	v.mu.Lock() // it may run at once, in a goroutine of its own
	v.stop = context.AfterFunc(ctx, v.end)
	v.mu.Unlock()
	client, err := q.secure(v)
	if err != nil || !q.conns.give(client) {
		_ = v.Close()
	}
}

// drain lets requests that are under way end, and takes no more.
func (q *Requests) drain() {
	q.draining.Do(func() {
		ctx, end := context.WithCancel(context.Background())
		go func() {
			<-q.over
			end()
		}()
		go func() { _ = q.http.Shutdown(ctx) }()
	})
}

// secure puts TLS on a client's connection. One in clear is taken where the listener may, and told so by net/http elsewhere.
func (q *Requests) secure(v *visitor) (net.Conn, error) {
	if !q.h.Plaintext {
		return tls.Server(v, q.tls), nil
	}
	_ = v.SetReadDeadline(q.s.o.Gate.Clock().Add(q.s.o.Login))
	v.peeked = bufio.NewReaderSize(v.Conn, 16)
	first, err := v.peeked.Peek(1)
	if err != nil {
		return nil, err
	}
	_ = v.SetReadDeadline(time.Time{})
	const handshake = 0x16 // RFC 8446, section 5.1: a record of type handshake
	if first[0] == handshake && q.tls != nil {
		return tls.Server(v, q.tls), nil
	}
	return v, nil
}

// ServeHTTP implements http.Handler: one request, from its token to its answer.
func (q *Requests) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v, _ := r.Context().Value(visitorKey{}).(*visitor)
	a := &answer{ResponseWriter: w, upload: uploadOf(r)}
	err := q.s.survive(func() error { return q.serve(a, r, v) })
	if err == nil {
		return
	}
	q.s.o.Log.Debug("request refused", "peer", r.RemoteAddr, "reason", err.Error())
	if a.begun {
		panic(http.ErrAbortHandler) // net/http's own way to cut a connection whose answer cannot be finished
	}
	_ = q.s.survive(func() error {
		q.p.Exchange.Refuse(a, r, err)
		return nil
	})
}

func (q *Requests) serve(w *answer, r *http.Request, v *visitor) error {
	if v.full != nil || v.ctx.Err() != nil {
		w.Header().Set("Connection", "close")
		return cmp.Or(v.full, context.Cause(v.ctx))
	}
	claim, err := q.p.Exchange.Claim(r, q.h)
	if err != nil {
		return err
	}
	principal, err := q.s.o.Identity.Verify(r.Context(), claim.Token)
	claim.Token.Wipe()
	if err != nil {
		return q.s.refused(v, q.p, claim, err)
	}
	visit, err := v.visit(r.Context(), principal, claim.Connection)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(r.Context())
	defer end(nil)
	x, err := visit.Exchange(end)
	if err != nil {
		return err
	}
	defer x.Leave()
	expiry := time.AfterFunc(principal.Expires.Add(q.s.o.Grace).Sub(q.s.o.Gate.Clock()), func() { end(errExpired) })
	defer expiry.Stop()
	err = q.p.Exchange.Serve(w, r.WithContext(ctx), x, q.h)
	if errors.Is(err, gate.ErrMoved) {
		v.forget(visit, err)
	}
	if err != nil && ctx.Err() != nil {
		w.Header().Set("Connection", "close")
		err = context.Cause(ctx)
	}
	return err
}

// answer notes whether an answer has begun.
type answer struct {
	http.ResponseWriter
	upload *upload
	begun  bool
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if !a.begun && status >= http.StatusOK {
		a.upload.part(a.Header())
	}
	a.begun = a.begun || status >= http.StatusOK || status == http.StatusSwitchingProtocols
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	if !a.begun {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter {
	return a.ResponseWriter
}

// visitor is one client connection.
type visitor struct {
	net.Conn
	peeked *bufio.Reader // nil where nothing was read ahead
	q      *Requests
	ctx    context.Context //nolint:containedctx // net/http takes the context of a connection from the connection
	me     *live
	full   error // why no request is served
	once   sync.Once
	over   chan struct{}
	done   func()

	mu     sync.Mutex
	stop   func() bool // ends the wait for ctx to end
	visits []visited   // the last used at the end
}

type visited struct {
	principal  *access.Principal
	connection string
	*gate.Visit
}

type visitorKey struct{}

func visitorOf(c net.Conn) *visitor {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	v, _ := c.(*visitor)
	return v
}

// Read implements net.Conn.
func (v *visitor) Read(b []byte) (int, error) {
	if v.peeked != nil && v.peeked.Buffered() > 0 {
		return v.peeked.Read(b)
	}
	return v.Conn.Read(b)
}

// Close implements net.Conn.
func (v *visitor) Close() error {
	err := v.Conn.Close()
	v.once.Do(func() {
		close(v.over)
		v.gone()
		v.q.s.leave(v.me)
		v.me.end(nil)
		v.done()
	})
	return err
}

// end gives requests that are under way a moment to say why they end.
func (v *visitor) end() {
	timer := time.NewTimer(refusalTime)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-v.over:
	}
	_ = v.Close()
}

// visit returns the session of a principal on a connection, which the first request opens.
func (v *visitor) visit(ctx context.Context, p *access.Principal, connection string) (*gate.Visit, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, known := range v.visits {
		if known.principal == p && known.connection == connection {
			copy(v.visits[i:], v.visits[i+1:])
			v.visits[len(v.visits)-1] = known
			return known.Visit, nil
		}
	}
	fresh, err := v.open(ctx, p, connection)
	if err != nil {
		return nil, err
	}
	if len(v.visits) == maxVisits {
		v.visits[0].Close(nil)
		v.visits = append(v.visits[:0], v.visits[1:]...)
	}
	v.visits = append(v.visits, visited{p, connection, fresh})
	return fresh, nil
}

// open opens a session: promise 1 is kept here, and in gate.Visited.
func (v *visitor) open(ctx context.Context, p *access.Principal, connection string) (*gate.Visit, error) {
	s, proto := v.q.s, v.q.p
	id, err := s.o.NewID()
	if err != nil {
		return nil, err
	}
	caller := gate.Caller{Session: id, Principal: p, Peer: v.RemoteAddr().String(), Protocol: proto.Name}
	visit, err := gate.Visited(ctx, s.o.Gate, caller, connection, wire.Connect(proto.Name, connection), v.q.h.Limits)
	if err == nil {
		if t := visit.Connection().Type; t != proto.Name {
			err = fault.New(fault.Denied, "session.open", "connection %s speaks another protocol than this listener", connection)
		} else {
			err = s.admit(v.me, visit.Connection())
		}
	}
	if err != nil {
		if visit != nil {
			visit.Close(err)
		}
		s.o.Log.Warn("login refused", "principal", p.ID(), "connection", connection, "peer", caller.Peer, "reason", err.Error())
		return nil, err
	}
	return visit, nil
}

// forget ends a session that cannot go on: the next request opens another.
func (v *visitor) forget(visit *gate.Visit, why error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, known := range v.visits {
		if known.Visit == visit {
			v.visits = append(v.visits[:i], v.visits[i+1:]...)
			visit.Close(why)
			return
		}
	}
}

// gone ends every session of the connection.
func (v *visitor) gone() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stop()
	for _, known := range v.visits {
		known.Close(context.Cause(v.ctx))
	}
	v.visits = nil
}

// handover is the listener of a server that is given its connections one by one.
type handover struct {
	conns chan net.Conn
	once  sync.Once
	shut  chan struct{}
}

func newHandover() *handover { return &handover{conns: make(chan net.Conn), shut: make(chan struct{})} }

func (h *handover) give(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.shut:
		return false
	}
}

// Accept implements net.Listener.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.shut:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.shut) })
	return nil
}

// Addr implements net.Listener.
func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }
