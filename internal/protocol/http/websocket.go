package http

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/protocol/http/websocket"
	"gatehouse/internal/wire/exchange"
)

// farewell is how long the two sides of a WebSocket have to say goodbye.
const farewell = 5 * time.Second

var past = time.Unix(1, 0)

// socket is a WebSocket: one message after the other is read whole, looked through, and sent as one frame, made anew. The upgrade is
// what was judged; the messages are counted, and what the client sent is digested for its outcome.
type socket struct {
	v      *visit
	turned *gate.Turned
	conn   net.Conn
	client side
	back   side
	timer  *time.Timer
	tick   *time.Timer
	grace  *time.Timer

	mu    sync.Mutex
	code  int  // the first that was said; 0 where none was
	ended bool // by the gateway

	ending sync.Mutex // held while a timer ends the connection
	over   bool       // both sides are done
}

// side is one way.
type side struct {
	in     *websocket.Reader               // what this side says
	write  func(m websocket.Message) error // tells this side
	hide   *exchange.Hidden                // in what this side is told
	mu     sync.Mutex
	out    []byte
	closed bool // it was told goodbye
	n      int64
	bytes  int64
	hits   int64
}

// turn serves a WebSocket from the backend's 101 to its end. From when the client is told, errors are said in a close frame.
func (v *visit) turn(ctx context.Context, p gate.Permit, resp *http.Response) (gate.Outcome, error) {
	out := gate.Outcome{Status: access.StatusError, Code: "101"}
	protocol, err := v.chosen(resp)
	if err != nil {
		return out, err
	}
	cleanResponse(resp.Header, v.origins())
	s := &socket{v: v}
	if err := s.masks(); err != nil {
		return out, err
	}
	if s.turned, err = v.x.Turn(p, v.sameMasks()); err != nil {
		return out, err
	}
	defer s.turned.Close()
	conn, buffered, err := http.NewResponseController(v.w).Hijack()
	if err != nil {
		return out, fault.Wrap(fault.Internal, "http.turn", err, "the connection cannot be upgraded")
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Time{})
	s.conn = conn
	if err := s.welcome(resp, protocol); err != nil {
		return out, nil //nolint:nilerr // the client has gone, and cannot be told
	}
	limit := defaultBody
	if n := v.conn.HTTP.MaxBody; n > 0 {
		limit = n
	}
	s.client.in, s.client.write = websocket.NewReader(buffered.Reader, true, limit), s.toClient
	s.back.in, s.back.write = websocket.NewReader(bufio.NewReader(s.turned), false, limit), s.toBackend
	s.run(ctx)
	s.linger()
	if s.code == websocket.CodeNormal || s.code == websocket.CodeGoingAway || s.code == websocket.CodeNone {
		out.Status = access.StatusOK
	}
	out.Rows, out.Bytes, out.Masked = s.client.n, s.client.bytes, s.client.hits+s.back.hits
	out.Code = fmt.Sprintf("101 close=%d sent=%d/%d", s.code, s.back.n, s.back.bytes)
	return out, nil
}

// masks finds out what is hidden on both ways.
func (s *socket) masks() (err error) {
	masks, resource := s.v.x.Masks(), s.v.hides()
	if masks == nil {
		return nil
	}
	if s.client.hide, err = s.v.p.masks.Of(masks.Document(resource, access.ToClient), s.v.conn.Name); err != nil {
		return err
	}
	s.back.hide, err = s.v.p.masks.Of(masks.Document(resource, access.ToBackend), s.v.conn.Name)
	return err
}

// welcome tells the client that its connection is a WebSocket. Of the backend's headers it gets cookies, and what the RFC says.
func (s *socket) welcome(resp *http.Response, protocol string) error {
	h := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {websocket.Accept(s.v.r.Header.Get("Sec-Websocket-Key"))}}
	if cookies := resp.Header["Set-Cookie"]; len(cookies) > 0 && s.client.hide == nil {
		h["Set-Cookie"] = cookies
	}
	if protocol != "" {
		h.Set("Sec-Websocket-Protocol", protocol)
	}
	s.v.echo.Header(h)
	_ = s.conn.SetWriteDeadline(s.v.p.clock().Add(s.v.idle()))
	w := bufio.NewWriter(s.conn)
	_, _ = w.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	if err := h.Write(w); err != nil {
		return err
	}
	_, _ = w.WriteString("\r\n")
	return w.Flush()
}

// run relays both ways until both have said goodbye, or one cannot go on.
func (s *socket) run(ctx context.Context) {
	idle := s.v.idle()
	s.grace = time.AfterFunc(time.Hour, s.cut)
	s.grace.Stop()
	defer s.grace.Stop()
	s.timer = time.AfterFunc(idle, s.unlessOver(func() { s.end(websocket.CodeGoingAway, "nobody said anything for too long") }))
	defer s.timer.Stop()
	s.tick = time.AfterFunc(time.Hour, s.unlessOver(s.look))
	s.tick.Reset(ticking)
	defer s.tick.Stop()
	stop := context.AfterFunc(ctx, s.unlessOver(func() { s.fail(context.Cause(ctx)) }))
	defer stop()
	defer s.finish()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.relay(&s.back, &s.client)
	}()
	s.relay(&s.client, &s.back)
	<-done
}

// ticking is how often a WebSocket on which nobody says anything is looked after.
const ticking = time.Second

// look ends the connection where the policies no longer allow it.
func (s *socket) look() {
	if err := s.turned.Still(); err != nil {
		s.fail(err)
		return
	}
	s.tick.Reset(ticking)
}

// unlessOver returns what a timer may call at any time: nothing happens once both sides are done, and nobody goes on while it does.
func (s *socket) unlessOver(f func()) func() {
	return func() {
		s.ending.Lock()
		defer s.ending.Unlock()
		if !s.over {
			f()
		}
	}
}

func (s *socket) finish() {
	s.ending.Lock()
	defer s.ending.Unlock()
	s.over = true
}

// relay passes what one side says to the other, up to its goodbye.
func (s *socket) relay(from, to *side) {
	defer func() {
		if recover() != nil { // a fault in here ends this connection, not the gateway
			s.end(websocket.CodeInternal, "internal error")
			s.cut()
		}
	}()
	for {
		m, err := from.in.Next()
		if err == nil {
			s.timer.Reset(s.v.idle())
			err = s.pass(to, m)
		}
		switch {
		case err != nil:
			s.fail(err)
			return
		case m.Op == websocket.Close:
			s.grace.Reset(farewell)
			return
		}
	}
}

// pass tells one side what the other said.
func (s *socket) pass(to *side, m websocket.Message) error {
	if to == &s.client {
		if s.v.echo != nil {
			m.Payload = s.v.echo.Scrub(nil, m.Payload)
		}
		if m.Op.Control() {
			m.Payload = m.Payload[:min(len(m.Payload), websocket.MaxControl)]
		} else {
			if err := s.turned.Spend(1, int64(len(m.Payload))); err != nil {
				return err
			}
		}
		if err := s.turned.Still(); err != nil {
			return err
		}
	}
	if m.Op == websocket.Close {
		code, reason := websocket.Closing(m.Payload)
		s.said(code)
		if to.hide != nil {
			reason = "" // it could hold anything
		}
		return to.write(websocket.Message{Op: m.Op, Payload: websocket.Ending(code, reason)})
	}
	if to.hide == nil {
		return to.write(m)
	}
	switch m.Op {
	case websocket.Ping:
		return s.other(to).write(websocket.Message{Op: websocket.Pong, Payload: m.Payload})
	case websocket.Pong:
		return nil // the gateway answers pings itself where it looks through messages
	case websocket.Binary:
		return &websocket.Violation{Code: websocket.CodeUnsupported, Say: "messages are masked here, and cannot be read where they are binary"}
	}
	hidden, hits, err := to.hide.Message(nil, m.Payload)
	if err != nil {
		return &websocket.Violation{Code: websocket.CodeUnsupported, Say: "messages are masked here, and this one cannot be read in one way only"}
	}
	to.mu.Lock()
	to.hits += hits
	to.mu.Unlock()
	return to.write(websocket.Message{Op: m.Op, Payload: hidden})
}

func (s *socket) other(one *side) *side {
	if one == &s.client {
		return &s.back
	}
	return &s.client
}

var errOver = errors.New("this side was told goodbye")

// tell makes a frame of a message and sends it with write.
func (d *side) tell(m websocket.Message, key *[4]byte, write func(frame []byte) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errOver
	}
	d.closed = m.Op == websocket.Close
	if !m.Op.Control() {
		d.n++
		d.bytes += int64(len(m.Payload))
	}
	d.out = websocket.Append(d.out[:0], m, key)
	return write(d.out)
}

func (s *socket) toClient(m websocket.Message) error {
	return s.client.tell(m, nil, func(frame []byte) error {
		patience := s.v.idle()
		if m.Op == websocket.Close {
			patience = farewell
		}
		_ = s.conn.SetWriteDeadline(s.v.p.clock().Add(patience))
		_, err := s.conn.Write(frame)
		return err
	})
}

func (s *socket) toBackend(m websocket.Message) error {
	var key [4]byte
	if _, err := io.ReadFull(s.v.p.random, key[:]); err != nil {
		return err
	}
	return s.back.tell(m, &key, func(frame []byte) error { return s.turned.Send(frame, m.Payload) })
}

// said remembers how the connection was closed.
func (s *socket) said(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.code == 0 {
		s.code = code
	}
}

// fail ends the connection, in words where there are any.
func (s *socket) fail(err error) {
	var v *websocket.Violation
	switch {
	case errors.Is(err, errOver):
		s.cut()
	case errors.As(err, &v):
		s.end(v.Code, v.Say)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		s.end(websocket.CodeInternal, "the connection broke off")
	case fault.KindOf(err) == fault.Internal:
		s.end(websocket.CodeInternal, "the connection broke off")
	default:
		say, _ := fault.Say(err)
		s.end(websocket.CodePolicy, say)
	}
}

// end says goodbye to both sides, and does not wait for theirs.
func (s *socket) end(code int, say string) {
	s.said(code)
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.grace.Reset(farewell) // whoever is still being told something
	_ = s.conn.SetWriteDeadline(s.v.p.clock().Add(farewell))
	_ = s.client.write(websocket.Message{Op: websocket.Close, Payload: websocket.Ending(code, say)})
	_ = s.back.write(websocket.Message{Op: websocket.Close, Payload: websocket.Ending(websocket.CodeGoingAway, "")})
	s.cut()
}

// linger waits a moment for a client that is still sending: a connection that is closed on it takes back the gateway's last words.
func (s *socket) linger() {
	if !s.ended {
		return
	}
	if c, ok := s.conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
	_ = s.conn.SetReadDeadline(s.v.p.clock().Add(time.Second))
	_, _ = io.CopyN(io.Discard, s.conn, 1<<20)
}

// cut ends the reading of both sides.
func (s *socket) cut() {
	_ = s.conn.SetReadDeadline(past)
	s.turned.Close()
}
