package gate

import (
	"errors"
	"sync/atomic"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// decider is what every gate has, however its protocol speaks: it decides, holds, records and keeps the table of permits.
type decider struct {
	svc    *Services
	caller Caller
	limits Limits
	clock  func() time.Time
	ownID  string

	conn    *access.Connection
	rules   Rules
	version uint64 // of the policies, as the authority counts
	revised uint64 // what records name them by
	masks   access.Masks

	slots     []slot
	vacant    []uint32       // free slots, of which the last is the next to be taken
	actions   *atomic.Uint64 // how many the session has asked for: they are numbered from 1
	action    uint64         // the number of the one that is asked for
	event     access.Event   // reused: the recorder keeps no reference
	input     access.Input   // reused
	estimated *int64         // what the last decision was told
	failed    error          // why what was staged was not sent
}

func newDecider(s *Services, c Caller, l Limits) decider {
	return decider{svc: s, caller: c, limits: l, clock: s.Clock, ownID: access.GatewayPrincipal().ID(), actions: new(atomic.Uint64)}
}

// fork returns a decider of the same session with a table of its own.
func (g *decider) fork() decider {
	return decider{svc: g.svc, caller: g.caller, limits: g.limits, clock: g.clock, ownID: g.ownID, conn: g.conn, rules: g.rules,
		version: g.version, revised: g.revised, masks: g.masks, actions: g.actions}
}

// cancelAll gives every permit that has no outcome one.
func (g *decider) cancelAll() {
	for i := range g.slots {
		if g.slots[i].stage != free {
			_ = g.Done(Permit{uint32(i), g.slots[i].gen}, Outcome{Status: access.StatusCancelled}) // #nosec G115 -- bounded by Limits.Actions
		}
	}
}

// enter asks whether the caller may connect, and puts the answer on record.
func (g *decider) enter(connection string, connect *access.Statement) error {
	version, err := g.svc.Authority.Version()
	if err != nil {
		return g.refuseLogin(connection, err)
	}
	rules, conn, err := g.svc.Authority.Rules(g.caller.Principal, connection)
	if err != nil {
		return g.refuseLogin(connection, err)
	}
	g.take(rules, conn, version)
	v := g.decide(g.Judge(connect), facts{})
	if v.Effect != access.Allow {
		return g.refuseLogin(connection, g.denied(v, "connect to "+conn.Name))
	}
	seq, err := g.svc.Recorder.Append(&access.Event{Kind: access.EventSessionOpened, Time: g.clock(), Session: g.caller.Session,
		Principal: g.caller.Principal.ID(), Claims: g.caller.Principal.Claims, Roles: rules.Roles(), Connection: conn.Name,
		Protocol: g.caller.Protocol, Peer: g.caller.Peer, Policy: g.revised})
	if err == nil {
		err = g.svc.Recorder.Barrier(seq)
	}
	return err
}

// refuseLogin records a login that policy refused and returns why, or the log's own failure.
func (g *decider) refuseLogin(connection string, why error) error {
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

// Connection returns the connection's document.
func (g *decider) Connection() *access.Connection { return g.conn }

// Caller returns who this session is.
func (g *decider) Caller() Caller { return g.caller }

// Masks returns what must be hidden under the rules of the last refresh; nil where nothing must.
func (g *decider) Masks() access.Masks { return g.masks }

// Version returns the version of the policies under which the gate last decided. What a protocol caches of a decision
// (a masking plan) is good for one version.
func (g *decider) Version() uint64 { return g.version }

// Now returns the time.
func (g *decider) Now() time.Time { return g.clock() }

// ErrMoved is the cause of refusals on a session whose connection's document names another backend by now.
var ErrMoved = errors.New("the connection was moved")

// Refresh takes up the policies of this moment. A protocol calls it before it relies on Masks; Ask calls it itself.
func (g *decider) Refresh() error {
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
	if conn.Address != g.conn.Address || conn.Type != g.conn.Type || conn.Database != g.conn.Database ||
		conn.AMQP.Host() != g.conn.AMQP.Host() {
		return fault.Wrap(fault.Unavailable, "gate.Refresh", ErrMoved, "connection %s now points elsewhere: connect again", conn.Name)
	}
	g.take(rules, conn, version)
	return nil
}

// take puts policies in the place of those before.
func (g *decider) take(rules Rules, conn *access.Connection, version uint64) {
	g.rules, g.conn, g.version, g.revised, g.masks = rules, conn, version, version, rules.Masks()
	if r, ok := rules.(Revised); ok {
		g.revised = r.Version()
	}
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
	window   *flood // of messages, that takes more; nil where there is none
	asked    bool   // holds is known
	holds    bool   // see Holds
}

// Statement returns what was judged.
func (h *Handle) Statement() *access.Statement { return h.st }

// Sensitive reports whether the statement touches a field that is masked: its errors and notices may hold values.
func (h *Handle) Sensitive() bool { return h.tokens }

// Recorded returns the text as the audit log holds it: literals that must not show are tokens.
func (h *Handle) Recorded() string { return h.recorded }

// Judge decides what can be decided of st by itself.
func (g *decider) Judge(st *access.Statement) *Handle {
	h := &Handle{st: st}
	g.rejudge(h)
	return h
}

func (g *decider) rejudge(h *Handle) {
	h.verdict, h.static = g.rules.Static(h.st)
	h.version, h.asked = g.version, false
	h.oracle = g.firstMasked(h.st.Tested)
	forbidden, looked := g.lookups(h.st)
	if h.looked = looked; h.oracle == "" {
		h.oracle = forbidden
	}
	h.tokens = h.oracle != "" || g.touchesMasked(h.st)
	h.recorded = g.recordable(h)
}

// update makes h one of the policies of this moment. g must be fresh.
func (g *decider) update(h *Handle) {
	if h.version != g.version {
		g.rejudge(h)
	}
}

// facts is what a decision may read besides the statement.
type facts struct {
	params   []any
	sent     *access.Sent
	estimate func() *int64
}

// decide returns the verdict of this moment. g must be fresh.
func (g *decider) decide(h *Handle, f facts) access.Verdict {
	g.update(h)
	if h.static {
		return h.verdict
	}
	g.estimated = nil
	// How many rows have a masked value is part of it: what may not be asked is not estimated either.
	if e, ok := g.rules.(Estimator); ok && f.estimate != nil && h.oracle == "" && e.Estimates(h.st) {
		g.estimated = f.estimate()
	}
	g.input = access.Input{Principal: g.caller.Principal, Connection: g.conn.Name, Type: g.conn.Type,
		Params: f.params, Now: g.clock(), Estimated: g.estimated, Request: f.sent}
	return g.rules.Decide(h.st, &g.input)
}

// Holds reports whether what a request says in its body must be known before h is decided: a condition reads it, or a reviewer
// may have to. g must be fresh.
func (g *decider) Holds(h *Handle) bool {
	g.update(h)
	if !h.asked {
		b, ok := g.rules.(BodyReader)
		h.asked, h.holds = true, ok && b.ReadsBody(h.st)
	}
	return h.holds
}

// denied words a refusal: what was refused, by which policy, and what the author of the policy has to say.
func (g *decider) denied(v access.Verdict, what string) error {
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

// nothing is the rules of a session that may do nothing.
type nothing struct{}

func (nothing) Static(*access.Statement) (access.Verdict, bool)        { return access.Verdict{}, true }
func (nothing) Decide(*access.Statement, *access.Input) access.Verdict { return access.Verdict{} }
func (nothing) Masks() access.Masks                                    { return nil }
func (nothing) Roles() []string                                        { return nil }

// Settled reports whether nothing that a request says of itself could change the decision on h. g must be fresh.
func (g *decider) Settled(h *Handle) bool {
	g.update(h)
	return h.static
}
