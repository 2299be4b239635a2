package postgres

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"sync/atomic"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/sql/pgsql"
	"gatehouse/internal/wire"
)

// protocol is what the sessions of one gateway share.
type protocol struct {
	deps       wire.Deps
	cancels    cancels
	catalogues catalogues
	greetings  greetings
	analyzer   *pgsql.Analyzer
	texts      *sharedCache
	sessions   atomic.Uint64 // numbers them, from 1
}

// New makes the protocol.
func New(d wire.Deps) wire.Protocol {
	p := newProtocol(d)
	return wire.Protocol{Name: "postgres", Address: "127.0.0.1:6432", Verbs: verbs, Guardrails: guardrails(),
		Accept: p.accept, Test: testLogin, Understand: p.understandAside}
}

func newProtocol(d wire.Deps) *protocol {
	p := &protocol{deps: d, analyzer: pgsql.New(pgsql.Limits{}), texts: &sharedCache{texts: newTexts[*pgsql.Batch](sharedTexts)}}
	p.greetings = greetings{clock: d.Clock, known: map[string]greeting{}}
	p.cancels = cancels{random: d.Random, live: map[[4]byte]*cancellable{}}
	p.catalogues = catalogues{clock: d.Clock, known: map[string]*catalogue{}}
	return p
}

// verbs is the list of actions as the rest of the gateway knows them.
func verbs() []wire.Verb {
	var out []wire.Verb
	for _, v := range pgsql.Verbs() {
		out = append(out, wire.Verb{Name: pgsql.Prefix + v.Name, Implied: v.Implied, About: v.About})
	}
	return out
}

// seed returns a seed for random() that nobody can tell.
func (p *protocol) seed() ([]byte, error) {
	var b [6]byte
	p.cancels.mu.Lock() // the source of randomness is shared
	defer p.cancels.mu.Unlock()
	if _, err := io.ReadFull(p.deps.Random, b[:]); err != nil {
		return nil, fault.Wrap(fault.Internal, "postgres.seed", err, "")
	}
	n := binary.BigEndian.Uint64(append([]byte{0, 0}, b[:]...))
	return strconv.AppendFloat(nil, float64(n)/(1<<48), 'g', -1, 64), nil
}

// session is one client connection. It belongs to one goroutine but for Drain and cancelHold.
type session struct {
	link
	p       *protocol
	conn    net.Conn
	startup *startup
	login   wire.Login
	limits  gate.Limits
	key     cancelKey
	state   connState
	lent

	stmts   map[string]*prepared // by name; "" is the unnamed one
	portals map[string]*portal
	cursors map[string]*cursor

	until     int64    // the end of the message under way, in the client's stream
	queue     []expect // answers that are due, in order
	head      int      // of queue
	sent      int      // the messages of queue before this one have left
	since     bool     // something left since the last ReadyForQuery
	synced    bool     // nothing was sent since the last ReadyForQuery
	skipping  bool     // an error was answered locally: messages up to Sync are dropped
	ddl       bool     // the open transaction changed the catalogue
	loud      bool     // something of the open transaction may speak of masked values yet, whatever runs when it does
	unsettled bool     // the open transaction changed state that a rollback would change back
	cut       error    // the session must end when the queue is empty
	ran       int      // statements that were sent since the last ReadyForQuery with which nothing was due
	cutting   bool     // the backend is to be asked to cancel: nothing more of its result leaves
	copying   bool     // the server takes rows from the client

	texts  *texts[*judged] // what this session judged
	shapes *texts[*shaped] // the same, by template
	shape  []byte          // the template under construction
	spans  []access.Span   // and its literals
	out    []byte          // to the client
	add    []byte          // the answer under construction
	values [][]byte
	runs   []run            // of the simple query under way
	cat    *pgsql.Catalogue // under which the newest statement was understood
	entry  *catalogue       // of the session's backend
	hider  hider

	draining atomic.Bool
	holding  atomic.Pointer[context.CancelCauseFunc]
}

// newSession is a session whose client has said who it is.
func newSession(p *protocol, conn net.Conn, st *startup, l gate.Limits) *session {
	if u, ok := conn.(*unread); ok && len(u.first) == 0 {
		conn = u.Conn
	}
	if st.get("database") == "" {
		st.params = append(st.params, [2]string{"database", st.get("user")})
	}
	return &session{p: p, conn: conn, startup: st, limits: l, synced: true, lent: lent{number: p.sessions.Add(1)}, state: connState{tx: txIdle},
		stmts: map[string]*prepared{}, portals: map[string]*portal{}, cursors: map[string]*cursor{}, texts: newTexts[*judged](sessionTexts),
		shapes: newTexts[*shaped](sessionTexts)}
}

// Login implements wire.Session.
func (s *session) Login() wire.Login { return s.login }

// Conn implements wire.Session.
func (s *session) Conn() net.Conn { return s.conn }

// Farewell implements wire.Session.
func (s *session) Farewell() []byte { return []byte{msgTerminate, 0, 0, 0, 4} }

// Refuse implements wire.Session: a FATAL error, after which the server closes.
func (s *session) Refuse(err error) {
	_, _ = s.conn.Write(append(s.out, appendError(nil, "FATAL", err)...))
	s.out = nil
}

// Drain implements wire.Session.
func (s *session) Drain() {
	s.draining.Store(true)
	if s.g != nil {
		s.g.Nudge()
	}
}

// cancelHold ends the wait of a held action, and reports whether there was one.
func (s *session) cancelHold() bool {
	cancel := s.holding.Load()
	if cancel == nil {
		return false
	}
	(*cancel)(errCancelled)
	return true
}

// prepared is a statement that the server holds under a name.
type prepared struct {
	name  string
	text  string
	u     *understood
	types []uint32 // of parameters, as far as they are known
	rows  []field  // the columns of its result, once the server described it
	known bool     // rows is filled
	means meanings // of its names

	declared []uint32 // of parameters, as the client said
	key      string   // see heldKey
	keyOf    *pgsql.Catalogue
	keyUnder string // the settings
	bySQL    bool   // PREPARE made it: it stays where it is
	lease    uint64 // of the backend that holds it, where it has no name
}

// portal is a statement with its parameters, ready to run.
type portal struct {
	name    string
	stmt    *prepared
	asked   *understood // as the text says
	u       *understood // as judged at Bind: what the text means by name is in it
	results []byte      // formats of the result columns
	params  []any
	exact   []byte      // the parameters, for what an approval is bound to
	permit  gate.Permit // of the Bind; zero once it was used by an Execute
	version uint64      // of the policies at that moment
	from    int64       // the Bind's bytes
	to      int64
}

// cursor is an SQL-level cursor.
type cursor struct {
	u         *understood
	hold      bool
	committed bool // the transaction that declared it is over: a rollback does not take it away
}
