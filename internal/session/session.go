// Package session is the data path of one client connection, readable from top to bottom in Serve: accept, verify the
// token, open the gate, log in to the backend, relay, close. It knows no protocol: it is given a wire.Protocol value.
//
// It also keeps the register of live sessions: their number is bounded, a lock or an expired token ends them, and a drain
// waits for their transactions.
package session

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire"
)

// Identity turns a token into a principal.
type Identity interface {
	Verify(ctx context.Context, token access.Secret) (*access.Principal, error)
}

// Options is what a Server needs. All but Idle are required.
type Options struct {
	Gate     *gate.Services
	Identity Identity
	// Refusal returns a reference, and what a client is told about a failed login.
	Refusal func(err error) (ref string, told error)
	NewID   func() (string, error)
	Log     *slog.Logger

	Sessions int           // at once
	Login    time.Duration // from accept to the end of login
	Idle     time.Duration // longest silence of a client; 0 means until its token expires
	Grace    time.Duration // how long a session outlives its token
}

// Server serves client connections of every protocol.
type Server struct {
	o    Options
	mu   sync.Mutex
	live map[*live]struct{}
	shut bool // no new logins: the gateway drains

	before int           // connections that came before the drain, and are still there
	gone   chan struct{} // closed with the last of them, where a drain waits; nil where none does
}

// live is one session in the register.
type live struct {
	peer        string   // the client's host, while it has not logged in
	connections []string // those that it has logged in to
	late        bool     // came while the gateway drains, to be told so: nobody waits for it
	end         context.CancelCauseFunc
	drain       func()
}

// refusalTime is how long a client has to log in, only to be told that there is no room.
const refusalTime = time.Second

// leastOpen is how long a login to a backend may take, however much of its time the client has used up: a client that is
// slow with its token is not told that its backend is.
const leastOpen = 2 * time.Second

var past = time.Unix(1, 0)

// NewServer returns a server without sessions.
func NewServer(o Options) *Server { return &Server{o: o, live: map[*live]struct{}{}} }

// Serve runs one client connection to its end, and closes it.
func (s *Server) Serve(ctx context.Context, conn net.Conn, p wire.Protocol, h wire.Hello) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer func() { _ = conn.Close() }()
	me := &live{end: end, peer: host(conn)}
	full := s.enter(me)
	defer s.leave(me)

	patience := s.o.Login
	if full != nil {
		patience = min(patience, refusalTime)
	}
	by := s.o.Gate.Clock().Add(patience) // for all of the login, not for each of its steps
	_ = conn.SetDeadline(by)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past) }) // a client that says nothing holds nobody up
	var sess wire.Session
	err := s.apart(func() (err error) {
		sess, err = p.Accept(ctx, conn, h)
		return err
	})
	stop()
	if err != nil {
		s.debug("accept", conn, err)
		return
	}
	if full != nil {
		s.refuse(conn, sess, full)
		return
	}
	var g *gate.Gate
	var principal *access.Principal
	err = s.apart(func() (err error) {
		g, principal, err = s.login(ctx, by, conn, p, sess, h.Limits)
		return err
	})
	if err != nil {
		s.refuse(conn, sess, err)
		return
	}
	err = s.survive(func() error { return s.run(ctx, by, me, conn, sess, g, principal) })
	s.close(g, sess, err)
	if err != nil {
		s.o.Log.Info("session ended", "session", g.Caller().Session, "connection", g.Connection().Name, "reason", err.Error())
		s.refuse(conn, sess, err)
	}
}

// close puts the end on record, whatever becomes of the goodbye.
func (s *Server) close(g *gate.Gate, sess wire.Session, why error) {
	var farewell []byte
	_ = s.survive(func() error {
		farewell = sess.Farewell()
		return nil
	})
	g.Close(farewell, why)
}

// refuse tells the client why, where it can still be told within a second.
func (s *Server) refuse(conn net.Conn, sess wire.Session, why error) {
	_ = conn.SetDeadline(s.o.Gate.Clock().Add(time.Second))
	_ = s.survive(func() error {
		sess.Refuse(why)
		return nil
	})
}

// survive turns a panic into the end of one session: a fault of the gateway's own that one client found must not be
// everybody's.
func (s *Server) survive(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.o.Log.Error("a session panicked", "panic", v, "stack", string(debug.Stack()))
			err = fault.New(fault.Internal, "session: panic", "")
		}
	}()
	return f()
}

// apart is survive on a stack of its own: a handshake and a token's signature need a deep one, which an idle session would
// keep.
func (s *Server) apart(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- s.survive(f) }()
	return <-done
}

// login verifies the token, in the time that is left of the login, and opens the gate: promise 1 is kept here, and in
// gate.Open.
func (s *Server) login(ctx context.Context, by time.Time, conn net.Conn, p wire.Protocol, sess wire.Session, l gate.Limits) (*gate.Gate, *access.Principal, error) {
	claim := sess.Login()
	verifying, done := context.WithTimeout(ctx, by.Sub(s.o.Gate.Clock()))
	defer done()
	principal, err := s.o.Identity.Verify(verifying, claim.Token)
	claim.Token.Wipe()
	if err != nil {
		return nil, nil, s.refused(conn, p, claim, err)
	}
	id, err := s.o.NewID()
	if err != nil {
		return nil, nil, err
	}
	caller := gate.Caller{Session: id, Principal: principal, Peer: conn.RemoteAddr().String(), Protocol: p.Name}
	g, err := gate.Open(ctx, s.o.Gate, caller, claim.Connection, wire.Connect(p.Name, claim.Connection), sess.Conn(), l)
	if err != nil {
		if g != nil { // ctx ended meanwhile: it is on record as opened
			err = context.Cause(ctx)
			g.Close(nil, err)
		}
		s.o.Log.Warn("login refused", "principal", principal.ID(), "connection", claim.Connection, "peer", caller.Peer, "reason", err.Error())
		return nil, nil, err
	}
	return g, principal, nil
}

// refused records a login without a valid token. Every one of them is told the same, with a reference; the log and the
// audit log hold the reason.
func (s *Server) refused(conn net.Conn, p wire.Protocol, claim wire.Login, why error) error {
	ref, told := s.o.Refusal(why)
	s.o.Log.Warn("authentication failed", "ref", ref, "peer", conn.RemoteAddr().String(), "connection", claim.Connection, "reason", why.Error())
	seq, err := s.o.Gate.Recorder.Append(&access.Event{Kind: access.EventLoginRefused, Time: s.o.Gate.Clock(),
		Connection: claim.Connection, Protocol: p.Name, Peer: conn.RemoteAddr().String(), Ref: ref, Reason: why.Error()})
	if err == nil {
		err = s.o.Gate.Recorder.Barrier(seq)
	}
	if err != nil {
		return err
	}
	return told
}

// run logs in to the backend and relays until the client leaves, the token expires, or somebody ends the session.
func (s *Server) run(ctx context.Context, by time.Time, me *live, conn net.Conn, sess wire.Session, g *gate.Gate, principal *access.Principal) error {
	if p := g.Connection().Type; p != g.Caller().Protocol {
		return fault.New(fault.Denied, "session.run", "connection %s speaks another protocol than this listener", g.Connection().Name)
	}
	if err := s.admit(me, g.Connection()); err != nil {
		return err
	}
	now := s.o.Gate.Clock()
	left := max(by.Sub(now), leastOpen)
	_ = conn.SetDeadline(now.Add(left))
	opening, done := context.WithTimeout(ctx, left)
	err := sess.Open(opening, g)
	done()
	if err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Time{})
	ctx, cancel := context.WithDeadlineCause(ctx, principal.Expires.Add(s.o.Grace), errExpired)
	defer cancel()
	s.watch(me, sess.Drain)
	defer s.endSilent(me, g)()
	err = sess.Relay(ctx)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // whatever broke first, this is why
	}
	return err
}

// endSilent ends the session when its client has been silent for the idle time, once or at most twice; the returned
// function stops looking. A timer looks, since a goroutine would hold a stack for each idle session.
func (s *Server) endSilent(me *live, g *gate.Gate) func() {
	if s.o.Idle <= 0 {
		return func() {}
	}
	var mu sync.Mutex // over what follows: the timer may fire before it is known by its name
	var timer *time.Timer
	var last uint64
	stopped := false
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(s.o.Idle, func() {
		mu.Lock()
		defer mu.Unlock()
		now := g.Silence()
		switch {
		case stopped:
		case now == last && now%2 == 1:
			me.end(errSilent)
		default:
			last = now
			timer.Reset(s.o.Idle)
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}

var (
	errExpired = &fault.Error{Op: "session.run", Kind: fault.Unauthenticated, Say: "the token of this session has expired",
		Hint: "Connect again with a fresh token."}
	errSilent = &fault.Error{Op: "session.run", Kind: fault.Unavailable, Say: "the session was idle for too long",
		Hint: "Connect again, or raise limits.idle_timeout."}
	errFull = &fault.Error{Op: "session.Serve", Kind: fault.Unavailable, Say: "too many sessions on this gateway",
		Hint: "Try again, or raise limits.max_sessions."}
	errDraining = &fault.Error{Op: "session.Serve", Kind: fault.Unavailable, Say: "the gateway is shutting down",
		Hint: "Connect again."}
)

// enter registers a connection, and says why it may not become a session. It is registered all the same: the refusal is
// said in the protocol's words, and a flood is bounded by twice the limit.
func (s *Server) enter(me *live) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live[me] = struct{}{}
	if me.late = s.shut; !me.late {
		s.before++
	}
	coming, same := 0, 0
	for l := range s.live {
		if l.peer != "" {
			coming++
			if l.peer == me.peer {
				same++
			}
		}
	}
	switch {
	case same > max(s.o.Sessions/4, 16) || coming > s.o.Sessions: // strangers take no room from one another, nor from sessions
		me.end(errFull)
		return errFull
	case s.shut:
		return errDraining
	case len(s.live)-coming >= s.o.Sessions:
		return errFull
	}
	return nil
}

func (s *Server) leave(me *live) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, me)
	if me.late {
		return
	}
	s.before--
	if s.before == 0 && s.gone != nil {
		close(s.gone)
		s.gone = nil
	}
}

// admit counts the sessions of a connection that has a limit of its own.
func (s *Server) admit(me *live, c *access.Connection) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for l := range s.live {
		if slices.Contains(l.connections, c.Name) {
			n++
		}
	}
	if c.MaxSessions > 0 && n >= c.MaxSessions {
		return &fault.Error{Op: "session.admit", Kind: fault.Unavailable, Say: "too many sessions on connection " + c.Name,
			Hint: "Close sessions, or raise max_sessions of the connection."}
	}
	if me.peer != "" && s.within() >= s.o.Sessions {
		return errFull
	}
	me.peer, me.connections = "", append(me.connections, c.Name)
	return nil
}

// within counts the connections that have logged in. s.mu is held.
func (s *Server) within() int {
	n := 0
	for l := range s.live {
		if l.peer == "" {
			n++
		}
	}
	return n
}

// host is the address that a client comes from, without its port.
func host(conn net.Conn) string {
	h, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil || h == "" {
		return "unknown"
	}
	return h
}

// watch lets a drain reach the session.
func (s *Server) watch(me *live, drain func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	me.drain = drain
	if s.shut {
		drain()
	}
}

// Count returns the number of live sessions.
func (s *Server) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.live)
}

// End ends every session now, for the reason that its client and the log are told.
func (s *Server) End(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.live {
		l.end(why)
	}
}

// Drain refuses new logins, asks every session to end when its transaction does, and waits. When ctx ends first, the
// rest are ended where they are. It does not wait for connections that come meanwhile, only to be refused: they end with
// the ctx that they are served with.
func (s *Server) Drain(ctx context.Context) {
	s.mu.Lock()
	s.shut = true
	for l := range s.live {
		if l.drain != nil {
			l.drain()
		} else {
			l.end(errDraining)
		}
	}
	done := s.empty()
	s.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
		s.End(errDraining)
		<-done
	}
}

// empty returns what is closed when every connection from before the drain is gone. s.mu is held.
func (s *Server) empty() <-chan struct{} {
	if s.before == 0 {
		done := make(chan struct{})
		close(done)
		return done
	}
	if s.gone == nil {
		s.gone = make(chan struct{})
	}
	return s.gone
}

func (s *Server) debug(what string, conn net.Conn, err error) {
	if !errors.Is(err, wire.ErrServed) {
		s.o.Log.Debug(what, "peer", conn.RemoteAddr().String(), "reason", err.Error())
	}
}
