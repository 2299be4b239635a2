package postgres

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/sql/pgsql"
	"gatehouse/internal/wire"
)

// The age of a catalogue: what is older than maxAge is not used, and what is older than half of it is read again while it
// is still good, so that no statement has to wait. Another session's DDL inside maxAge is a stated residual.
const (
	maxAge       = 5 * time.Second
	catalogueDue = 30 * time.Second // for one reading
	maxOwnAnswer = 65 << 20         // bytes: a little more than package pgsql reads of a catalogue
)

// catalogues holds what is known of each backend's objects, for all sessions.
type catalogues struct {
	clock func() time.Time
	mu    sync.Mutex
	known map[string]*catalogue

	serial atomic.Uint64 // of readings: names each in the log
}

// catalogue is one backend's.
type catalogue struct {
	mu      sync.Mutex // held while reading: others wait for the same answer
	now     *pgsql.Catalogue
	at      time.Time
	reading bool
	change  uint64 // grows when a session here changed the objects
}

// of returns the entry for the backend of g's connection: the same objects seen by the same role.
func (c *catalogues) of(g *gate.Gate) *catalogue {
	key := backendKey(g)
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.known[key]
	if e == nil {
		e = &catalogue{}
		c.known[key] = e
	}
	return e
}

// get returns a catalogue that is young enough.
func (c *catalogues) get(ctx context.Context, s *session) (*pgsql.Catalogue, error) {
	if s.entry == nil {
		s.entry = c.of(s.g)
	}
	e := s.entry
	e.mu.Lock()
	age := c.clock().Sub(e.at)
	if e.now != nil && age >= 0 && age < maxAge {
		now := e.now
		due := age > maxAge/2 && !e.reading
		e.reading = e.reading || due
		change := e.change
		e.mu.Unlock()
		if due {
			c.readBehind(ctx, s, e, change)
		}
		return now, nil
	}
	defer e.mu.Unlock()
	start := c.clock()
	r, err := c.reader(s)
	if err != nil {
		return nil, err
	}
	cat, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	e.take(cat, start, e.change)
	return cat, nil
}

// take keeps a newly read catalogue; one with the same content keeps its identity, so that what was cached under it stays.
// What was read across a change that a session here made is dropped: it may be from before.
func (e *catalogue) take(cat *pgsql.Catalogue, at time.Time, change uint64) {
	if change != e.change {
		return
	}
	if e.now == nil || e.now.Version() != cat.Version() {
		e.now = cat
	}
	e.at = at
}

// readBehind reads the catalogue while the old one is still in use.
func (c *catalogues) readBehind(ctx context.Context, s *session, e *catalogue, change uint64) {
	start := c.clock()
	r, err := c.reader(s)
	ctx = context.WithoutCancel(ctx)
	go func() {
		var cat *pgsql.Catalogue
		if err == nil {
			cat, err = r.read(ctx)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.reading = false
		if err == nil {
			e.take(cat, start, change)
		}
	}()
}

// stale makes the next use read again: this session changed the catalogue.
func (c *catalogues) stale(g *gate.Gate) {
	e := c.of(g)
	e.mu.Lock()
	e.at = time.Time{}
	e.change++
	e.mu.Unlock()
}

// catalogueReader reads a catalogue on a backend of its own.
type catalogueReader struct {
	aside *gate.Gate
	lease gate.Lease
	name  string
}

// reader opens the gate for a reading.
func (c *catalogues) reader(s *session) (catalogueReader, error) {
	aside, err := s.g.Aside(s.g.Caller().Session + "/catalogue/" + strconv.FormatUint(c.serial.Add(1), 10))
	return catalogueReader{aside: aside, lease: s.g.Lease(), name: s.g.Connection().Name}, err
}

func (r catalogueReader) read(ctx context.Context) (_ *pgsql.Catalogue, err error) {
	defer func() { // it may run beside every session: a fault in it must end none
		if v := recover(); v != nil {
			err = fault.New(fault.Internal, "postgres.catalogue: panic", "")
		}
	}()
	ctx, done := context.WithTimeout(ctx, catalogueDue)
	defer done()
	cat, err := r.try(ctx)
	r.aside.Close([]byte{msgTerminate, 0, 0, 0, 4}, err)
	if err != nil && fault.KindOf(err) == fault.Internal {
		err = fault.Wrap(fault.Unavailable, "postgres.catalogue", err, "the catalogue of connection %s cannot be read, and nothing is judged without it", r.name)
	}
	return cat, err
}

func (r catalogueReader) try(ctx context.Context) (*pgsql.Catalogue, error) {
	l, stop, err := aside(ctx, r.aside, r.lease)
	if err != nil {
		return nil, err
	}
	defer stop()
	text, err := l.own(ctx, ownCatalogue, msgSync)
	if err != nil {
		return nil, err
	}
	return pgsql.ParseCatalogue(r.name, text)
}

// aside logs in to a backend for statements of the gateway's own.
func aside(ctx context.Context, g *gate.Gate, lease gate.Lease) (*link, func() bool, error) {
	// A client may hold a lock on what this needs to look at (CREATE OR REPLACE VIEW, not yet committed), and wait for it.
	in, _ := loggingIn(lease.Connection().Name, map[string]string{"application_name": "gatehouse", "lock_timeout": "1s"})
	b, err := lease.Holding(maxOwnAnswer).Open(ctx, in)
	if err != nil {
		return nil, nil, err
	}
	g.Attach(b)
	return &link{g: g, be: b.Reader}, context.AfterFunc(ctx, b.Interrupt), nil
}

// understandAside tells what a text would do in a fresh session, for `policy test`.
func (p *protocol) understandAside(ctx context.Context, g *gate.Gate, text string) ([]wire.Understood, error) {
	l, stop, err := aside(ctx, g, g.Lease())
	if err != nil {
		return nil, err
	}
	defer stop()
	answer, err := l.own(ctx, ownState, msgSync)
	if err != nil {
		return nil, err
	}
	state, err := pgsql.ParseState(answer)
	if err != nil {
		return nil, err
	}
	if answer, err = l.own(ctx, ownCatalogue, msgSync); err != nil {
		return nil, err
	}
	cat, err := pgsql.ParseCatalogue(g.Connection().Name, answer)
	if err != nil {
		return nil, err
	}
	batch, err := p.analyzer.Analyze(text, cat, state)
	if err != nil {
		return nil, err
	}
	stmts := make([]*understood, 0, len(batch.Statements))
	for _, a := range batch.Statements {
		stmts = append(stmts, &understood{a: a, outputs: a.Outputs, known: a.OutputsKnown})
	}
	var fresh session // where nothing has happened yet
	together, c := fresh.sequence(stmts), g.Connection()
	out := make([]wire.Understood, 0, len(stmts))
	for _, u := range stmts {
		out = append(out, wire.Understood{Statement: u.a.Statement, Refuses: func(m access.Masks) error {
			if together != nil || m == nil {
				return together
			}
			return underMasks(m, c, u, u.a.Actions).refuse
		}})
	}
	return out, nil
}
