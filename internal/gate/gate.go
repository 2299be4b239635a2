package gate

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/access"
)

// Gate decides, records and sends for one session. It belongs to the session's goroutine.
type Gate struct {
	decider

	client  *Reader
	out     net.Conn
	backend *Backend

	batch  batch
	ending sync.Mutex // guards closed: an Interrupt comes before the end, or not at all
	closed bool
	beside atomic.Uint64 // messages to the backend beside the session

	settleAll func() // of a Duplex: what it holds beside the table; nil elsewhere
}

// Open asks whether the caller may connect, and puts the answer on record: a session that may not is refused here, before
// anything was sent to a backend. client is the session's own connection, as the protocol's Accept left it.
func Open(ctx context.Context, s *Services, c Caller, connection string, connect access.Statement, client net.Conn, l Limits) (*Gate, error) {
	g := &Gate{decider: newDecider(s, c, l), client: newReader(client, l.Message), out: client}
	if err := g.enter(connection, &connect); err != nil {
		return nil, err
	}
	return g, ctx.Err()
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
	if g.settleAll != nil {
		g.settleAll()
	}
	g.cancelAll()
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
	g := &Gate{decider: newDecider(s, Caller{Session: id, Principal: p, Protocol: protocol}, l), client: newReader(nil, l.Message)}
	g.conn, g.rules = c, nothing{}
	seq, err := s.Recorder.Append(&access.Event{Kind: access.EventSessionOpened, Time: g.clock(), Session: id,
		Principal: p.ID(), Connection: c.Name, Protocol: protocol})
	if err == nil {
		err = s.Recorder.Barrier(seq) // the login that follows is on record too
	}
	return g, err
}
