package amqp

import (
	"context"
	"net"
	"sync/atomic"

	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire"
	wired "gatehouse/internal/wire/message"
)

// New makes the protocol.
func New(d wire.Deps) wire.Protocol {
	p := &protocol{deps: d, hidden: wired.New(d.Mask)}
	return wire.Protocol{Name: name, Address: "127.0.0.1:5673", Verbs: verbs, Messages: true, Guardrails: guardrails(), Folds: wire.Folds{Template: folds, Parent: parent},
		Accept: p.accept, Test: testLogin, Understand: p.explain}
}

// session is one client connection. What is not said to belong to one goroutine is guarded by the lock of d.
type session struct {
	p          *protocol
	conn       net.Conn
	login      wire.Login
	limits     gate.Limits
	client     table // what the client says of itself
	tellsLogin bool  // it wants to be told why a login failed
	tuned      tuning
	back       tuning // with the broker
	opened     bool   // the client was told that it is open

	g       *gate.Gate
	backend *gate.Backend
	d       *gate.Duplex
	ctx     context.Context // ends with the session
	known   *known

	channels map[uint16]*channel
	aside    int  // bytes that wait in channels
	gathered int  // bytes of messages that have not come whole
	coming   int  // the same of the broker's
	due      int  // publishes that the broker has not confirmed
	leaving  bool // the client closes the connection
	bye      bool // that was passed on

	kinds     map[string]*kind // of publishes, by the bytes of the method
	arrivals  map[string]*kind // of deliveries
	key       []byte           // under construction
	upParts   [][]byte         // of a body of the client's
	downParts [][]byte         // of a body of the broker's
	out       []byte           // under construction
	flat      []byte           // a body whose parts lie apart
	room      chan struct{}    // told when publishes were confirmed
	upNeed    int              // bytes that the client's next frame takes; belongs to up
	downNeed  int              // the same of the broker's; belongs to down
	upBeat    beat
	downBeat  beat
	draining  atomic.Bool
	farewells atomic.Bool // the broker was told goodbye, or has gone
}

// newSession is a session whose client has said who it is.
func newSession(p *protocol, conn net.Conn, l gate.Limits) *session {
	return &session{p: p, conn: conn, limits: l, channels: map[uint16]*channel{}, kinds: map[string]*kind{}, arrivals: map[string]*kind{},
		room: make(chan struct{}, 1)}
}

// Login implements wire.Session.
func (s *session) Login() wire.Login { return s.login }

// Conn implements wire.Session.
func (s *session) Conn() net.Conn { return s.conn }

// Farewell implements wire.Session: the broker is told that the session ends, so that it does not take it for lost.
func (s *session) Farewell() []byte {
	if s.farewells.Load() {
		return nil
	}
	return appendMethod(nil, 0, farewell())
}

func farewell() method { return &connectionClose{Code: codeOK, Text: "goodbye"} }

// Drain implements wire.Session.
func (s *session) Drain() {
	s.draining.Store(true)
	s.g.Nudge()
}

var errDraining = &fault.Error{Op: "amqp.drain", Kind: fault.Unavailable, Say: "the gateway is shutting down", Hint: "Connect again."}
