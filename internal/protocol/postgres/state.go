package postgres

import (
	"bytes"
	"context"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/sql/pgsql"
)

// Transaction states, as ReadyForQuery tells them.
const (
	txIdle   = 'I'
	txOpen   = 'T'
	txFailed = 'E'
)

// connState is what the gateway knows of the backend session in which statements are judged.
type connState struct {
	tx       byte
	encoding string            // client_encoding as reported
	style    map[string]string // DateStyle, TimeZone, IntervalStyle as reported: how literals and parameters are read
	restyled bool              // since somebody looked
	readable string            // an encoding that checkEncoding has found good
	known    bool              // read is true of this moment
	read     pgsql.State
	raw      []byte // the answer that read was parsed from
	version  uint64 // of read: grows whenever it may have changed
}

// learn takes what the server reported at login.
func (c *connState) learn(params map[string]string) {
	c.encoding = params["client_encoding"]
	c.known = false
	if c.style == nil {
		c.style = map[string]string{}
	}
	for _, name := range styles {
		if v := params[name]; v != c.style[name] {
			c.style[name], c.restyled = v, true
		}
	}
}

// report takes one ParameterStatus.
func (c *connState) report(name, value string) {
	if name == "client_encoding" {
		c.encoding = value
	}
	if slices.Contains(styles, name) && c.style != nil {
		c.style[name], c.restyled = value, true
	}
}

// styles are the settings under which a literal may mean another value.
var styles = []string{"DateStyle", "TimeZone", "IntervalStyle"}

// meaning is what an approval is bound to besides the text: how names, literals and parameters are read.
func (c *connState) meaning() []byte {
	b := append([]byte(nil), c.raw...)
	for _, name := range styles {
		b = append(append(b, 0), c.style[name]...)
	}
	return b
}

// checkEncoding refuses an encoding in which text may read differently to the parser and to the server.
func (c *connState) checkEncoding() error {
	if c.readable == c.encoding && c.readable != "" {
		return nil
	}
	if !readableEncoding(c.encoding) {
		return errEncoding(c.encoding)
	}
	c.readable = c.encoding
	return nil
}

// The statements of the gateway's own: the whole list, with the estimate below.
var (
	ownState     = gate.Own{Name: pgsql.Prefix + "ReadState", Text: pgsql.StateQuery}
	ownCatalogue = gate.Own{Name: pgsql.Prefix + "ReadCatalogue", Text: pgsql.CatalogueQuery}
	ownLocks     = gate.Own{Name: pgsql.Prefix + "ReadLocks", Text: locksQuery}
	ownReject    = gate.Own{Name: pgsql.Prefix + "Reject", Text: rejectText}
	ownDiscard   = gate.Own{Name: pgsql.Prefix + "Reset", Text: "DISCARD ALL"}
	ownRollback  = gate.Own{Name: pgsql.Prefix + "Reset", Text: "ROLLBACK"}
	ownUnset     = gate.Own{Name: pgsql.Prefix + "Reset", Text: "RESET ALL"}
	ownLeftovers = gate.Own{Name: pgsql.Prefix + "ReadLeftovers", Text: pgsql.LeftoversQuery}
	ownSettings  = gate.Own{Name: pgsql.Prefix + "ApplySettings", Text: settingsText}
	ownSequences = gate.Own{Name: pgsql.Prefix + "Reset", Text: "DISCARD SEQUENCES"}
	ownSeed      = gate.Own{Name: pgsql.Prefix + "Reset", Text: seedText}
)

// The planner's estimate of the rows that an update or delete would touch, which runs nothing of it.
const (
	estimateName   = pgsql.Prefix + "Estimate"
	estimatePrefix = "EXPLAIN (FORMAT JSON) "
)

// seedText makes what random() says next unpredictable to whoever was on the backend before.
const seedText = "select pg_catalog.count(pg_catalog.setseed($1::pg_catalog.text::pg_catalog.float8))"

// rejectText is what the server gets in place of a refused statement inside a transaction or pipeline: a syntax error in
// every version, so that the server itself fails the transaction and skips to the end of the pipeline. Its ErrorResponse is
// replaced by the refusal.
const rejectText = "refused by gatehouse"

// The names of the gateway's own prepared statements and portals begin with ownPrefix; clients may not use such names.
const (
	ownPrefix = "gatehouse_"
	ownName   = ownPrefix + "own"
)

// fresh brings the policies, the session's state and the catalogue up to this moment, so that a statement can be judged. In
// a pipeline it waits for what was sent before.
func (s *session) fresh(ctx context.Context) (*pgsql.Catalogue, error) {
	if err := s.g.Refresh(); err != nil {
		return nil, err
	}
	if !s.state.known && s.state.tx != txFailed {
		if err := s.readState(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.state.checkEncoding(); err != nil {
		return nil, err
	}
	return s.p.catalogues.get(ctx, s)
}

// readState asks the server what decides how text is read.
func (s *session) readState(ctx context.Context) error {
	end := byte(msgSync)
	if !s.synced {
		end = msgFlush
		if err := s.settle(ctx); err != nil {
			return err
		}
		if s.skipping {
			return errSkipped
		}
		if s.state.tx == txFailed {
			return nil
		}
	}
	return s.askState(ctx, end)
}

// askState is readState where nothing is pending.
func (s *session) askState(ctx context.Context, end byte) error {
	if err := s.restore(ctx, end); err != nil {
		return err
	}
	text, err := s.own(ctx, ownState, end)
	s.heard()
	if err != nil {
		return err
	}
	if !s.dirty && s.state.tx == txIdle {
		s.m.raw, s.m.at = text, s.g.Now()
	}
	if err = s.takeState(text); err == nil && s.m.who == (pgsql.Identity{}) { // the first look, before anything ran
		s.m.who = s.state.read.Identity()
	}
	return err
}

// takeState takes up what the server answered.
func (s *session) takeState(text []byte) error {
	if s.state.version > 0 && bytes.Equal(text, s.state.raw) {
		s.state.known = true // as it was: what was understood under it stays understood
		return nil
	}
	read, err := pgsql.ParseState(text)
	if err != nil {
		return err
	}
	s.state.read, s.state.raw, s.state.known = read, text, true
	s.state.version++
	s.state.encoding = read.ClientEncoding
	return nil
}

// errSkipped means that an earlier message of the pipeline failed: the server skips this one, and so does the gateway.
var errSkipped = fault.New(fault.Conflict, "postgres.readState", "skipped")

// heard takes up what ReadyForQuery said to the gateway's own statement.
func (s *session) heard() {
	if s.link.tx != 0 {
		s.state.tx = s.link.tx
	}
}

// link is the way to a backend for the gateway's own statements.
type link struct {
	g  *gate.Gate
	be *gate.Reader
	tx byte // the transaction's state, as the newest ReadyForQuery to the gateway told it
	// unasked takes what the server says by itself in the middle of an answer to the gateway; nil drops it.
	unasked func(kind byte, body []byte) error
}

// own runs one statement of the gateway's own and returns the first column of its first row. It uses the extended
// protocol under a name of its own, so that it disturbs neither the client's unnamed statement nor a pipeline: end says
// whether the pipeline ends with it (Sync) or goes on (Flush).
func (l *link) own(ctx context.Context, o gate.Own, end byte) ([]byte, error) {
	return l.ownText(ctx, o, o.Text, end)
}

// ownText is own for a statement that holds a client's text: o.Text is what of it may be recorded.
func (l *link) ownText(ctx context.Context, o gate.Own, text string, end byte) ([]byte, error) {
	return l.ownBound(ctx, o, appendBind(appendParse(nil, ownName, text), ownName, ownName), end)
}

// ownBound is own for a statement that b prepares and binds.
func (l *link) ownBound(ctx context.Context, o gate.Own, b []byte, end byte) ([]byte, error) {
	l.tx = 0 // what an earlier one was told is not of this moment
	permit, err := l.g.AskOwn(o)
	if err != nil {
		return nil, err
	}
	b = appendExecute(b, ownName)
	b = appendTarget(b, msgClose, 'P', ownName)
	b = appendTarget(b, msgClose, 'S', ownName)
	b = appendFrame(b, end, nil)
	if err := l.g.StageRewrite(permit, gate.RewriteOwn, b); err != nil {
		return nil, err
	}
	if err := l.g.Flush(); err != nil {
		return nil, err
	}
	value, err := l.ownAnswer(ctx, end)
	out := gate.Outcome{Status: access.StatusOK}
	if err != nil {
		out.Status = access.StatusError
	}
	if doneErr := l.g.Done(permit, out); err == nil {
		err = doneErr
	}
	return value, err
}

// ownAnswer reads the answers of own, to their end: what is left unread would be taken for an answer to the client.
func (l *link) ownAnswer(ctx context.Context, end byte) (value []byte, err error) {
	closes := 2
	var refused error
	for {
		kind, body, err := l.next(ctx)
		if err != nil { // what is left unread would be taken for the client's: there is no way on
			return nil, fault.Wrap(fault.Backend, "postgres.own", err, "the database's answer to the gateway's own question was not read to its end")
		}
		switch kind {
		case ansDataRow:
			sc := scan{b: body}
			if sc.int16() == 1 {
				value = append([]byte{}, sc.take(int(sc.int32()))...)
			}
		case ansCloseComplete:
			closes--
			if closes == 0 && end == msgFlush {
				return value, nil
			}
		case ansReady:
			if len(body) == 1 {
				l.tx = body[0]
			}
			if value == nil && refused == nil {
				refused = fault.New(fault.Backend, "postgres.own", "the database did not answer the gateway's own question")
			}
			return value, refused
		case ansError:
			refused = sayCode("08006", fault.NotFound, "the database refused the gateway's own question (SQLSTATE "+errorCode(body)+")",
				"The backend's role must be able to read the system catalogues.")
			if end == msgFlush { // the server now skips to the client's Sync: there is no way back into step
				return nil, fault.Wrap(fault.Backend, "postgres.own", refused, "the database refused the gateway's own question in the middle of a pipeline")
			}
		case ansNotice, ansParameterStatus, ansNotification:
			if l.unasked == nil {
				continue
			}
			if err := l.unasked(kind, body); err != nil {
				return nil, err
			}
		case ansCommandComplete:
			if value == nil { // it answers without rows, as a reset does
				value = []byte{}
			}
		case ansParseComplete, ansBindComplete:
		default:
			return nil, fault.New(fault.Backend, "postgres.own", "the database broke its protocol")
		}
	}
}

// meanwhile passes on to the client what the server says by itself while it answers the gateway.
func (s *session) meanwhile(kind byte, body []byte) error {
	switch kind {
	case ansNotice:
		return nil // it is about the gateway's own text
	case ansParameterStatus:
		s.hear(body) // tell says what of it is news
		return nil
	}
	whole := appendFrame(nil, kind, body)
	pass, err := s.spontaneous(kind, whole)
	if pass {
		s.out = append(s.out, whole...)
	} else {
		s.out = append(s.out, s.add...)
		s.add = s.add[:0]
	}
	return err
}

// next returns the next whole message of the backend. Its body is valid until the next call.
func (l *link) next(ctx context.Context) (byte, []byte, error) {
	need := head
	for {
		b := l.be.Unread()
		kind, size, ok, err := peekHead(b)
		if err != nil {
			return 0, nil, err
		}
		if ok && size <= len(b) {
			l.be.Skip(size)
			return kind, b[head:size], nil
		}
		if ok {
			need = size
		}
		if err := l.fill(ctx, need); err != nil {
			return 0, nil, err
		}
	}
}

// fill reads from the backend.
func (l *link) fill(ctx context.Context, n int) error {
	err := l.be.Fill(n)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case fault.KindOf(err) == fault.Malformed:
		return err
	}
	return fault.Wrap(fault.Backend, "postgres.fill", err, "the backend closed the connection")
}
