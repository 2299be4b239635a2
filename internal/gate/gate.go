package gate

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Gate decides, records and sends for one session. It belongs to the session's goroutine.
type Gate struct {
	svc    *Services
	caller Caller
	limits Limits
	clock  func() time.Time
	ownID  string

	conn    *access.Connection
	rules   Rules
	version uint64
	masks   access.Masks

	client  *Reader
	out     net.Conn
	backend *Backend

	slots     []slot
	actions   uint64       // numbered from 1
	event     access.Event // reused: the recorder keeps no reference
	input     access.Input // reused
	estimated *int64       // what the last decision was told
	batch     batch
	ending    sync.Mutex // guards closed: an Interrupt comes before the end, or not at all
	closed    bool
	failed    error         // why a flush did not send what was staged
	beside    atomic.Uint64 // messages to the backend beside the session
}

// Open asks whether the caller may connect, and puts the answer on record: a session that may not is refused here, before
// anything was sent to a backend. client is the session's own connection, as the protocol's Accept left it.
func Open(ctx context.Context, s *Services, c Caller, connection string, connect access.Statement, client net.Conn, l Limits) (*Gate, error) {
	g := &Gate{svc: s, caller: c, limits: l, clock: s.Clock, ownID: access.GatewayPrincipal().ID(),
		client: newReader(client, l.Message), out: client}
	version, err := s.Authority.Version()
	if err != nil {
		return nil, g.refuseLogin(connection, err)
	}
	rules, conn, err := s.Authority.Rules(c.Principal, connection)
	if err != nil {
		return nil, g.refuseLogin(connection, err)
	}
	g.rules, g.conn, g.version, g.masks = rules, conn, version, rules.Masks()
	v := g.decide(g.Judge(&connect), nil, nil)
	if v.Effect != access.Allow {
		return nil, g.refuseLogin(connection, g.denied(v, "connect to "+conn.Name))
	}
	seq, err := s.Recorder.Append(&access.Event{Kind: access.EventSessionOpened, Time: g.clock(), Session: c.Session,
		Principal: c.Principal.ID(), Claims: c.Principal.Claims, Roles: rules.Roles(), Connection: conn.Name,
		Protocol: c.Protocol, Peer: c.Peer, Policy: version})
	if err == nil {
		err = s.Recorder.Barrier(seq)
	}
	if err != nil {
		return nil, err
	}
	return g, ctx.Err()
}

// refuseLogin records a login that policy refused and returns why, or the log's own failure.
func (g *Gate) refuseLogin(connection string, why error) error {
	seq, err := g.svc.Recorder.Append(&access.Event{Kind: access.EventLoginRefused, Time: g.clock(), Session: g.caller.Session,
		Principal: g.caller.Principal.ID(), Connection: connection, Protocol: g.caller.Protocol, Peer: g.caller.Peer,
		Reason: why.Error()})
	if err == nil {
		err = g.svc.Recorder.Barrier(seq)
	}
	if err != nil {
		return err
	}
	return why
}

// Lease returns the permission to open this session's backend.
func (g *Gate) Lease() Lease {
	return Lease{svc: g.svc, conn: g.conn, limits: g.limits, session: g.caller.Session,
		who: g.caller.Principal.ID(), beside: &g.beside}
}

// Attach gives the gate a leased backend. The lease ends with Detach, or with the session.
func (g *Gate) Attach(b *Backend) {
	g.ending.Lock()
	defer g.ending.Unlock()
	g.backend = b
}

// Detach takes the backend from the gate, between two actions: from then on no Interrupt of this session reaches it. nil
// where there is none, or where an answer is due. What is staged waits for the next backend.
func (g *Gate) Detach() *Backend {
	if g.busy() {
		return nil
	}
	g.ending.Lock()
	defer g.ending.Unlock()
	b := g.backend
	g.backend = nil
	return b
}

// Pin notes that the session keeps its backend to its end; false where the connection allows no more of that.
func (g *Gate) Pin() bool { return g.backend != nil && g.backend.Pin() }

// busy reports whether an answer is due.
func (g *Gate) busy() bool {
	for i := range g.slots {
		if g.slots[i].stage == flushed {
			return true
		}
	}
	return false
}

// Client returns the session's receive buffer: what a protocol judges, it judges there.
func (g *Gate) Client() *Reader { return g.client }

// Backend returns the backend's receive buffer.
func (g *Gate) Backend() *Reader { return g.backend.Reader }

// Connection returns the connection's document.
func (g *Gate) Connection() *access.Connection { return g.conn }

// Caller returns who this session is.
func (g *Gate) Caller() Caller { return g.caller }

// Masks returns what must be hidden under the rules of the last refresh; nil where nothing must.
func (g *Gate) Masks() access.Masks { return g.masks }

// Version returns the version of the policies under which the gate last decided. What a protocol caches of a decision
// (a masking plan) is good for one version.
func (g *Gate) Version() uint64 { return g.version }

// Now returns the time.
func (g *Gate) Now() time.Time { return g.clock() }

// Refresh takes up the policies of this moment. A protocol calls it before it relies on Masks; Ask calls it itself.
func (g *Gate) Refresh() error {
	version, err := g.svc.Authority.Version()
	if err != nil {
		return err
	}
	if version == g.version {
		return nil
	}
	rules, conn, err := g.svc.Authority.Rules(g.caller.Principal, g.conn.Name)
	if err != nil {
		return err
	}
	if conn.Address != g.conn.Address || conn.Type != g.conn.Type || conn.Database != g.conn.Database {
		return fault.New(fault.Unavailable, "gate.Refresh", "connection %s now points elsewhere: connect again", conn.Name)
	}
	g.rules, g.conn, g.version, g.masks = rules, conn, version, rules.Masks()
	return nil
}

// Handle is a judged statement: what can be decided without parameters, time or claims is decided. It belongs to one
// session; a protocol caches it under the text and state that the statement was understood in.
type Handle struct {
	st       *access.Statement
	verdict  access.Verdict
	static   bool
	version  uint64
	recorded string // the text as the log may hold it
	tokens   bool   // it touches a masked field
	oracle   string // a masked field that steers what the statement does; empty where there is none
	looked   []looked
}

// Statement returns what was judged.
func (h *Handle) Statement() *access.Statement { return h.st }

// Sensitive reports whether the statement touches a field that is masked: its errors and notices may hold values.
func (h *Handle) Sensitive() bool { return h.tokens }

// Recorded returns the text as the audit log holds it: literals that must not show are tokens.
func (h *Handle) Recorded() string { return h.recorded }

// Judge decides what can be decided of st by itself.
func (g *Gate) Judge(st *access.Statement) *Handle {
	h := &Handle{st: st}
	g.rejudge(h)
	return h
}

func (g *Gate) rejudge(h *Handle) {
	h.verdict, h.static = g.rules.Static(h.st)
	h.version = g.version
	h.oracle = g.firstMasked(h.st.Tested)
	forbidden, looked := g.lookups(h.st)
	if h.looked = looked; h.oracle == "" {
		h.oracle = forbidden
	}
	h.tokens = h.oracle != "" || g.touchesMasked(h.st)
	h.recorded = g.recordable(h)
}

// update makes h one of the policies of this moment. g must be fresh.
func (g *Gate) update(h *Handle) {
	if h.version != g.version {
		g.rejudge(h)
	}
}

// decide returns the verdict of this moment. g must be fresh.
func (g *Gate) decide(h *Handle, params []any, estimate func() *int64) access.Verdict {
	g.update(h)
	if h.static {
		return h.verdict
	}
	g.estimated = nil
	// How many rows have a masked value is part of it: what may not be asked is not estimated either.
	if e, ok := g.rules.(Estimator); ok && estimate != nil && h.oracle == "" && e.Estimates(h.st) {
		g.estimated = estimate()
	}
	g.input = access.Input{Principal: g.caller.Principal, Connection: g.conn.Name, Type: g.conn.Type,
		Params: params, Now: g.clock(), Estimated: g.estimated}
	return g.rules.Decide(h.st, &g.input)
}

// denied words a refusal: what was refused, by which policy, and what the author of the policy has to say.
func (g *Gate) denied(v access.Verdict, what string) error {
	e := &fault.Error{Op: "gate.Ask", Kind: fault.Denied}
	switch {
	case v.Because.Statement == 0:
		e.Say = "permission denied: no policy of your roles allows you to " + what
		e.Hint = "Ask for a role or policy that allows it; `gatehouse policy test` explains every decision."
	default:
		e.Say = "permission denied by policy " + v.Because.Policy + ": you may not " + what
		e.Hint = "`gatehouse policy test` explains every decision."
	}
	if v.Message != "" {
		e.Hint = v.Message
	}
	return e
}

// Interrupt ends every wait on either side, also for one that does not read what it is sent: the session then finds out why from its context. Any goroutine may call it.
func (g *Gate) Interrupt() {
	g.ending.Lock()
	defer g.ending.Unlock()
	if g.closed {
		return // what is said now is the reason of the end
	}
	_ = g.client.conn.SetDeadline(past)
	if g.backend != nil {
		g.backend.Interrupt()
	}
}

// Silence returns a number that is odd while the session waits for its client, and another for each wait: seen twice, the
// client was silent in between. Any goroutine may call it.
func (g *Gate) Silence() uint64 { return g.client.waits.Load() }

// Nudge wakes a session that waits for its client, so that it looks around. Any goroutine may call it.
func (g *Gate) Nudge() {
	g.client.nudged.Store(true)
	_ = g.client.conn.SetReadDeadline(past)
}

// Close ends the session on record: actions without an answer are cancelled. It says goodbye to the backend with the
// protocol's own farewell and closes it. why may be nil.
func (g *Gate) Close(farewell []byte, why error) {
	g.ending.Lock()
	g.closed = true
	g.ending.Unlock()
	for i := range g.slots {
		if g.slots[i].stage != free {
			_ = g.Done(Permit{uint32(i), g.slots[i].gen}, Outcome{Status: access.StatusCancelled})
		}
	}
	e := &access.Event{Kind: access.EventSessionClosed, Time: g.clock(), Session: g.caller.Session}
	if why != nil {
		e.Reason = why.Error()
	}
	if seq, err := g.svc.Recorder.Append(e); err == nil {
		_ = g.svc.Recorder.Barrier(seq)
	}
	if g.backend != nil {
		g.backend.farewell(farewell, g.clock().Add(time.Second))
		_ = g.backend.Close()
	}
}

// Aside opens a gate beside this session's, on the same connection: see OpenAside.
func (g *Gate) Aside(id string) (*Gate, error) {
	return OpenAside(g.svc, g.conn, g.caller.Protocol, id, g.limits)
}

// OpenAside opens a gate for statements of the gateway's own on a backend of their own, such as the reading of a
// catalogue: Ask permits nothing there, only AskOwn does. id names it in the log.
func OpenAside(s *Services, c *access.Connection, protocol, id string, l Limits) (*Gate, error) {
	p := access.GatewayPrincipal()
	g := &Gate{svc: s, caller: Caller{Session: id, Principal: p, Protocol: protocol}, limits: l,
		clock: s.Clock, ownID: p.ID(), conn: c, rules: nothing{}, client: newReader(nil, l.Message)}
	seq, err := s.Recorder.Append(&access.Event{Kind: access.EventSessionOpened, Time: g.clock(), Session: id,
		Principal: p.ID(), Connection: c.Name, Protocol: protocol})
	if err == nil {
		err = s.Recorder.Barrier(seq) // the login that follows is on record too
	}
	return g, err
}

// nothing is the rules of a session that may do nothing.
type nothing struct{}

func (nothing) Static(*access.Statement) (access.Verdict, bool)        { return access.Verdict{}, true }
func (nothing) Decide(*access.Statement, *access.Input) access.Verdict { return access.Verdict{} }
func (nothing) Masks() access.Masks                                    { return nil }
func (nothing) Roles() []string                                        { return nil }
