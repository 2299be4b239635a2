package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"syscall"
	"time"
)

// line is one connection. It belongs to one request at a time.
type line struct {
	conn  net.Conn
	r     *bufio.Reader // nil while it is idle
	w     *bufio.Writer
	left  int64       // bytes that may still be read of a header
	since time.Time   // when it became idle
	cut   func() bool // ends the watch over the context of the request that has it
}

const writeBuffer = 4 << 10

// dial opens a connection for a request.
func (c *Client) dial(ctx context.Context, r *http.Request, address string) (*line, error) {
	conn, err := c.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if r.URL.Scheme == "https" {
		if conn, err = c.secure(ctx, conn, r.URL.Hostname()); err != nil {
			return nil, err
		}
	}
	return &line{conn: conn}, nil
}

// equip gives a line the buffers of a request.
func (c *Client) equip(l *line) {
	var ok bool
	if l.r, ok = c.readers.Get().(*bufio.Reader); !ok {
		l.r = bufio.NewReaderSize(nil, c.Buffer)
	}
	if l.w, ok = c.writers.Get().(*bufio.Writer); !ok {
		l.w = bufio.NewWriterSize(nil, writeBuffer)
	}
	l.r.Reset((*limited)(l))
	l.w.Reset(l.conn)
}

// strip takes them back, with whatever is in them.
func (c *Client) strip(l *line) {
	l.r.Reset(nil)
	l.w.Reset(nil)
	c.readers.Put(l.r)
	c.writers.Put(l.w)
	l.r, l.w = nil, nil
}

func (c *Client) secure(ctx context.Context, conn net.Conn, name string) (net.Conn, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		conf = c.TLS.Clone()
	}
	if conf.ServerName == "" {
		conf.ServerName = name
	}
	conf.NextProtos = []string{"http/1.1"}
	ctx, end := context.WithTimeout(ctx, c.Handshake)
	defer end()
	secured := tls.Client(conn, conf)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secured, nil
}

// interrupt wakes whoever reads or writes. The connection is of no use afterwards.
func (l *line) interrupt() { _ = l.conn.SetDeadline(time.Unix(1, 0)) }

// exchange sends a request and reads the header of its answer. From here to the answer's end its context may interrupt it.
func (l *line) exchange(ctx context.Context, r *http.Request, header int64) (*http.Response, error) {
	l.cut = context.AfterFunc(ctx, l.interrupt)
	err := r.Write(l.w)
	if err == nil {
		err = l.w.Flush()
	}
	l.left = header
	if _, none := l.r.Peek(1); none != nil {
		return nil, errors.Join(errStale, err, none)
	}
	// A backend that refuses early answers before it has read everything: its answer counts, and the connection ends with it.
	failed := err != nil
	for range maxInformal + 1 {
		resp, err := http.ReadResponse(l.r, r)
		if err != nil {
			return nil, errors.Join(l.tooLarge(), err)
		}
		if resp.StatusCode >= http.StatusOK || resp.StatusCode == http.StatusSwitchingProtocols {
			resp.Close = resp.Close || failed || resp.StatusCode == http.StatusSwitchingProtocols
			l.left = math.MaxInt64
			return resp, nil
		}
	}
	return nil, errInformal
}

// tooLarge tells a header that is too large from one that ended early.
func (l *line) tooLarge() error {
	if l.left <= 0 {
		return errHeader
	}
	return nil
}

func (l *line) close() {
	if l.cut != nil {
		l.cut()
	}
	_ = l.conn.Close()
}

// limited is a line whose reading is bounded.
type limited line

// Read implements io.Reader.
func (l *limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, errHeader
	}
	if int64(len(b)) > l.left {
		b = b[:l.left]
	}
	n, err := l.conn.Read(b)
	l.left -= int64(n)
	return n, err
}

// quiet reports whether a kept connection is still open, and its backend has said nothing that nobody asked for: its next words
// would be taken for an answer.
func (l *line) quiet() bool {
	conn := l.conn
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	s, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	open := false
	var one [1]byte
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT) // #nosec G115 -- descriptors are small
		open = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && open
}

// deliver returns the answer, whose body gives the connection back at its end.
func (c *Client) deliver(key string, h *host, l *line, resp *http.Response) *http.Response {
	b := &body{rest: resp.Body, c: c, key: key, h: h, l: l, keep: !resp.Close}
	if resp.Body == http.NoBody {
		b.end(true)
		return resp
	}
	resp.Body = b
	return resp
}

// body is the body of an answer.
type body struct {
	rest io.ReadCloser
	c    *Client
	key  string
	h    *host
	l    *line // nil once it was given back
	keep bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.l == nil {
		return 0, io.EOF
	}
	n, err := b.rest.Read(p)
	if err != nil {
		b.end(errors.Is(err, io.EOF))
	}
	return n, err
}

// Close implements io.Closer. An answer that was not read to its end takes its connection with it.
func (b *body) Close() error {
	b.end(false)
	return nil
}

// end gives the connection back, once.
func (b *body) end(whole bool) {
	l := b.l
	if l == nil {
		return
	}
	b.l = nil
	stray := l.r.Buffered() > 0
	b.c.strip(l)
	if interrupted := !l.cut(); interrupted || stray || !whole || !b.keep {
		l.close()
		l = nil
	}
	b.c.leave(b.key, b.h, l)
}
