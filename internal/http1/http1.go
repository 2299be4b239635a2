// Package http1 speaks HTTP/1.1 with backends (RFC 9112), one request at a time on a connection, and all of it on the caller's
// goroutine: net/http's transport hands each request to a goroutine that writes and each answer over from one that reads, which
// costs a small request as much as its system calls. What is on the wire is net/http's own reading and writing. It is for requests
// whose body is short and in memory; what streams, waits to be told to go on, or turns to another protocol needs both directions at
// once, and net/http's transport.
package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Client keeps connections to backends. It follows no redirect, asks no proxy, and adds nothing to a request. It is safe for
// concurrent use.
type Client struct {
	Dial      func(ctx context.Context, network, address string) (net.Conn, error)
	TLS       *tls.Config   // of https; the server name is the URL's host where it names none
	Handshake time.Duration // how long TLS may take
	MaxConns  int           // to one host, of which all may be idle
	Idle      time.Duration // how long a connection is kept without a request
	Header    int64         // bytes of an answer's header at most
	Buffer    int           // bytes for reading; an idle connection has none
	Clock     func() time.Time

	readers sync.Pool // of *bufio.Reader
	writers sync.Pool // of *bufio.Writer

	mu    sync.Mutex
	hosts map[string]*host // by scheme, host and port
	sweep *time.Timer      // closes what was idle for too long; nil while nothing is
}

// host is what is known of one backend.
type host struct {
	slots chan struct{} // one for each request under way
	users int           // requests under way or waiting
	idle  []*line       // the last used at the end
}

// maxInformal bounds the answers 1xx before an answer.
const maxInformal = 5

var (
	errStale    = errors.New("http1: the connection was closed before the answer began")
	errHeader   = errors.New("http1: the answer's header is too large")
	errInformal = errors.New("http1: too many informational answers")
)

// RoundTrip implements http.RoundTripper. A request without a body that changes nothing is sent again, once, where a kept
// connection ended before its answer began (RFC 9112, section 9.3.1).
func (c *Client) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	key, address := destination(r)
	h, err := c.enter(ctx, key)
	if err != nil {
		return nil, err
	}
	l := c.take(h)
	for {
		kept := l != nil
		if !kept {
			if l, err = c.dial(ctx, r, address); err != nil {
				c.leave(key, h, nil)
				return nil, err
			}
		}
		c.equip(l)
		resp, err := l.exchange(ctx, r, c.Header)
		if err == nil {
			return c.deliver(key, h, l, resp), nil
		}
		c.strip(l)
		l.close()
		if !kept || !errors.Is(err, errStale) || !repeatable(r) || ctx.Err() != nil {
			c.leave(key, h, nil)
			return nil, err
		}
		l = nil
	}
}

// Through sends a request through t, as one of those that the host may have at once. It is for what this client is not for.
func (c *Client) Through(t http.RoundTripper, r *http.Request) (*http.Response, error) {
	key, _ := destination(r)
	h, err := c.enter(r.Context(), key)
	if err != nil {
		return nil, err
	}
	resp, err := t.RoundTrip(r)
	if err != nil {
		c.leave(key, h, nil)
		return nil, err
	}
	leave := sync.OnceFunc(func() { c.leave(key, h, nil) })
	if turned, ok := resp.Body.(io.ReadWriteCloser); ok {
		resp.Body = &counted{turned, leave}
	} else {
		resp.Body = &counting{resp.Body, leave}
	}
	return resp, nil
}

// counted and counting are bodies that end their request when they are closed. The former is of an answer 101.
type (
	counted struct {
		io.ReadWriteCloser
		leave func()
	}
	counting struct {
		io.ReadCloser
		leave func()
	}
)

// Close implements io.Closer.
func (b *counted) Close() error {
	defer b.leave()
	return b.ReadWriteCloser.Close()
}

// Close implements io.Closer.
func (b *counting) Close() error {
	defer b.leave()
	return b.ReadCloser.Close()
}

// repeatable reports whether a request may be sent again where nobody knows whether it arrived.
func repeatable(r *http.Request) bool {
	return (r.Body == nil || r.Body == http.NoBody) && (r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions)
}

// destination returns under which name a request's connections are kept, and where to dial.
func destination(r *http.Request) (key, address string) {
	address = r.URL.Host
	if r.URL.Port() == "" {
		port := "80"
		if r.URL.Scheme == "https" {
			port = "443"
		}
		address = net.JoinHostPort(r.URL.Hostname(), port)
	}
	return r.URL.Scheme + "://" + address, address
}

// enter waits until the host may have one more request.
func (c *Client) enter(ctx context.Context, key string) (*host, error) {
	c.mu.Lock()
	h := c.hosts[key]
	if h == nil {
		h = &host{slots: make(chan struct{}, c.MaxConns)}
		if c.hosts == nil {
			c.hosts = map[string]*host{}
		}
		c.hosts[key] = h
	}
	h.users++
	c.mu.Unlock()
	select {
	case h.slots <- struct{}{}:
		return h, nil
	default:
	}
	select {
	case h.slots <- struct{}{}:
		return h, nil
	case <-ctx.Done():
		c.mu.Lock()
		c.gone(key, h)
		c.mu.Unlock()
		return nil, context.Cause(ctx)
	}
}

// take returns a kept connection that its backend has not closed, or nil.
func (c *Client) take(h *host) *line {
	for {
		c.mu.Lock()
		n := len(h.idle)
		if n == 0 {
			c.mu.Unlock()
			return nil
		}
		l := h.idle[n-1]
		h.idle[n-1] = nil
		h.idle = h.idle[:n-1]
		c.mu.Unlock()
		if l.quiet() {
			return l
		}
		l.close()
	}
}

// leave ends a request, and keeps its connection unless that is nil.
func (c *Client) leave(key string, h *host, l *line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l != nil {
		l.since = c.Clock()
		h.idle = append(h.idle, l)
		if c.sweep == nil {
			c.sweep = time.AfterFunc(c.Idle, c.expire)
		}
	}
	<-h.slots
	c.gone(key, h)
}

// gone forgets a host that nobody uses. The lock is held.
func (c *Client) gone(key string, h *host) {
	if h.users--; h.users == 0 && len(h.idle) == 0 && c.hosts[key] == h {
		delete(c.hosts, key)
	}
}

// expire closes what was idle for too long, and comes again while anything is idle.
func (c *Client) expire() {
	c.mu.Lock()
	var over []*line
	defer func() {
		for _, l := range over {
			l.close()
		}
	}()
	defer c.mu.Unlock()
	now, left := c.Clock(), false
	for key, h := range c.hosts {
		n := 0
		for n < len(h.idle) && now.Sub(h.idle[n].since) >= c.Idle {
			n++
		}
		over = append(over, h.idle[:n]...)
		h.idle = append(h.idle[:0:0], h.idle[n:]...)
		if left = left || len(h.idle) > 0; len(h.idle) == 0 && h.users == 0 {
			delete(c.hosts, key)
		}
	}
	if c.sweep = nil; left {
		c.sweep = time.AfterFunc(c.Idle/2, c.expire)
	}
}

// CloseIdleConnections closes what no request uses.
func (c *Client) CloseIdleConnections() {
	c.mu.Lock()
	var over []*line
	for key, h := range c.hosts {
		over = append(over, h.idle...)
		if h.idle = nil; h.users == 0 {
			delete(c.hosts, key)
		}
	}
	c.mu.Unlock()
	for _, l := range over {
		l.close()
	}
}
