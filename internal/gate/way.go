package gate

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/http1"
)

const (
	defaultConns = 256 // connections to one backend
	idleConn     = time.Minute
	handshake    = 10 * time.Second
	headerBytes  = 256 << 10 // of an answer
	ioBuffer     = 16 << 10
	shortBuffer  = 64 << 10 // for reading answers, while there is one
	shortBody    = 16 << 10 // of a request: what a socket takes at once, so that nobody waits for both sides
	maxKnown     = 1024     // hosts of which it is kept what they speak
)

// way is what the requests of a connection are sent through: what is short and goes to a host of HTTP/1.1 on the request's own
// goroutine, everything else through net/http's transport. Both dial what the document names, whatever a request says; they follow
// no redirect, ask no proxy, and add nothing to a request.
type way struct {
	short *http1.Client
	long  *http.Transport
	known *known
}

func newWay(s *Services, c *access.Connection) (way, error) {
	conf, err := backendTLS(c)
	if err != nil {
		return way{}, err
	}
	if conf != nil && c.TLS.ServerName == "" {
		conf.ServerName = "" // a connection may name several hosts: each is verified by its own
	}
	most := defaultConns
	var spoken []string
	if c.HTTP != nil {
		spoken = c.HTTP.Protocols
		if c.HTTP.MaxBackends > 0 {
			most = c.HTTP.MaxBackends
		}
	}
	w := way{known: &known{speaks: protocols(spoken)}}
	var open atomic.Int64
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if open.Add(1) > int64(most) { // what one of the two keeps, the other may need
			w.closeIdle()
		}
		conn, err := s.Dial(ctx, network, address)
		if err != nil {
			open.Add(-1)
			return nil, unreachable(c, err)
		}
		return &dialled{Conn: conn, gone: sync.OnceFunc(func() { open.Add(-1) })}, nil
	}
	w.short = &http1.Client{Dial: dial, TLS: conf, Handshake: handshake, MaxConns: most, Idle: idleConn, Header: headerBytes, Buffer: shortBuffer, Clock: s.Clock}
	w.long = &http.Transport{DialContext: dial, TLSClientConfig: conf, DisableCompression: true, MaxConnsPerHost: most, MaxIdleConns: 0, MaxIdleConnsPerHost: most,
		IdleConnTimeout: idleConn, TLSHandshakeTimeout: handshake, ExpectContinueTimeout: time.Second,
		MaxResponseHeaderBytes: headerBytes, ReadBufferSize: ioBuffer, WriteBufferSize: ioBuffer, Protocols: w.known.speaks}
	return w, nil
}

// RoundTrip implements http.RoundTripper.
func (w *way) RoundTrip(r *http.Request) (*http.Response, error) {
	switch old := w.known.old(r); {
	case old && isShort(r):
		return w.short.RoundTrip(r)
	case old:
		return w.short.Through(w.long, r)
	}
	resp, err := w.long.RoundTrip(r)
	if err == nil && resp.ProtoMajor == 1 {
		w.known.learn(r)
	}
	return resp, err
}

func (w *way) closeIdle() {
	w.short.CloseIdleConnections()
	w.long.CloseIdleConnections()
}

// isShort reports whether a request can be sent whole before its answer is read.
func isShort(r *http.Request) bool {
	if r.Trailer != nil || r.Header["Expect"] != nil || r.Header["Upgrade"] != nil {
		return false
	}
	if r.Body == nil || r.Body == http.NoBody {
		return true
	}
	c, ok := r.Body.(*counted)
	if !ok {
		return false
	}
	_, ok = c.body.(*held)
	return ok && r.ContentLength <= shortBody
}

func protocols(spoken []string) *http.Protocols {
	p := new(http.Protocols)
	if len(spoken) == 0 {
		spoken = []string{"h2", "http/1.1"}
	}
	for _, name := range spoken {
		switch name {
		case "h2":
			p.SetHTTP2(true)
		case "http/1.1":
			p.SetHTTP1(true)
		case "h2c":
			p.SetUnencryptedHTTP2(true)
		}
	}
	return p
}

// known is what is known of the hosts of a connection: over TLS, what they agree to speak shows when they are first asked.
type known struct {
	speaks *http.Protocols
	mu     sync.RWMutex
	hosts  map[string]bool // that answered in HTTP/1.1 though HTTP/2 was offered
}

// old reports whether the host of a request speaks HTTP/1.1, and is to be spoken with so.
func (k *known) old(r *http.Request) bool {
	switch {
	case !k.speaks.HTTP1():
		return false
	case r.URL.Scheme != "https", !k.speaks.HTTP2():
		return true
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.hosts[r.URL.Host]
}

func (k *known) learn(r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.hosts == nil || len(k.hosts) >= maxKnown {
		k.hosts = map[string]bool{}
	}
	k.hosts[r.URL.Host] = true
}

// dialled is a connection that is counted.
type dialled struct {
	net.Conn
	gone func()
}

// Close implements net.Conn.
func (d *dialled) Close() error {
	d.gone()
	return d.Conn.Close()
}

// SyscallConn implements syscall.Conn, where the connection does.
func (d *dialled) SyscallConn() (syscall.RawConn, error) {
	if c, ok := d.Conn.(syscall.Conn); ok {
		return c.SyscallConn()
	}
	return nil, syscall.EINVAL
}
