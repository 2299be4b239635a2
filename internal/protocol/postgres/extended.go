package postgres

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"

	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// parse deals with a Parse: what it prepares is judged now, and again when it is bound and run.
func (s *session) parse(ctx context.Context, f frame) error {
	m, err := readParse(f.body)
	if err != nil {
		return s.refuseExtended(ctx, s.g.RefuseText(err, len(f.body)))
	}
	name, text := string(m.name), string(m.text)
	if err := errors.Join(checkName(name), s.checkRoom(name, text)); err != nil {
		return s.refuseExtended(ctx, s.g.RefuseText(err, len(text)))
	}
	if s.sharing && name != "" && s.stmts[name] != nil { // the server knows it by another name, and would not mind
		return s.refuseExtended(ctx, s.g.RefuseText(sayCode("42P05", fault.Conflict, "prepared statement \""+name+"\" already exists", ""), len(text)))
	}
	j, err := s.understand(ctx, m.text)
	if err != nil {
		return s.refuseExtended(ctx, s.noted(err, len(text)))
	}
	if len(j.stmts) > 1 {
		return s.refuseExtended(ctx, s.g.RefuseText(sayCode("42601", fault.Malformed, "cannot insert multiple commands into a prepared statement", ""), len(text)))
	}
	stmt := &prepared{name: name, text: text, types: m.types, declared: m.types}
	var r run // zero for white space and comments: the empty statement
	if len(j.stmts) == 1 {
		if r, err = s.ask(ctx, j.stmts[0], gate.Request{From: f.from, To: f.to, Prepare: true}); err != nil {
			return s.refuseExtended(ctx, err)
		}
	}
	held, err := s.stageParse(r.permit, f, stmt)
	if err != nil {
		return err
	}
	stmt.u = r.u
	if len(j.stmts) == 1 {
		if err := s.sameMeaning(stmt, j); err != nil {
			return err
		}
	}
	s.push(expect{kind: msgParse, run: r, stmt: stmt, old: s.stmts[name], held: held})
	s.stmts[name] = stmt
	return s.bounded(ctx)
}

// bind deals with a Bind: the statement is judged with its parameters, in the state of this moment, and its intent is
// put on record. The portal's first Execute runs under it.
func (s *session) bind(ctx context.Context, f frame) error {
	m, err := readBind(f.body, s.values)
	if err != nil {
		return s.refuseExtended(ctx, s.g.RefuseText(err, len(f.body)))
	}
	s.values = m.values
	name := string(m.portal)
	stmt := s.stmts[string(m.name)]
	if stmt == nil {
		return s.refuseExtended(ctx, s.g.RefuseText(unknownStatement(m.name), len(f.body)))
	}
	if err := s.checkPortalName(name); err != nil {
		return s.refuseExtended(ctx, s.g.RefuseText(err, len(f.body)))
	}
	p := &portal{name: name, stmt: stmt, results: append([]byte(nil), m.results...), params: params(m, stmt.types), from: f.from, to: f.to}
	p.exact = exactParams(m, stmt.types)
	if err := s.admit(ctx, p, gate.Request{From: f.from, To: f.to, Params: p.params, Exact: p.exact}); err != nil {
		return s.refuseExtended(ctx, err)
	}
	if err := s.prepareAgain(p.permit, stmt); err != nil {
		return err
	}
	if err := s.describeFirst(p); err != nil {
		return err
	}
	if err := s.stageBind(p, f); err != nil {
		return err
	}
	old := s.portals[name]
	s.push(expect{kind: msgBind, portal: p, oldPortal: old})
	s.portals[name] = p
	return s.bounded(ctx)
}

// stageOr stages a permit, or the bytes of what holds no statement.
func (s *session) stageOr(p gate.Permit, f frame) error {
	if p.Zero() {
		return s.g.Control(f.from, f.to)
	}
	return s.g.Stage(p)
}

// admit judges a portal's statement anew and asks for it. The empty statement needs no permit.
func (s *session) admit(ctx context.Context, p *portal, req gate.Request) error {
	j, err := s.understand(ctx, []byte(p.stmt.text))
	if err != nil {
		return s.noted(err, len(p.stmt.text))
	}
	if len(j.stmts) != 1 {
		return nil
	}
	if err := s.sameMeaning(p.stmt, j); err != nil {
		return s.g.Refuse(j.stmts[0].h, req.Params, err)
	}
	p.asked = j.stmts[0]
	req.Prepare = byName(p.asked.a) // what it means is only known when it runs
	return s.admitAs(ctx, p, req)
}

// admitAs asks for what a portal was bound to. A portal keeps the meaning that its text had at Bind, whatever the search
// path is now; only names of statements and cursors are looked up anew.
func (s *session) admitAs(ctx context.Context, p *portal, req gate.Request) error {
	r, err := s.ask(ctx, p.asked, req)
	if err != nil {
		return err
	}
	p.u, p.permit, p.version = r.u, r.permit, s.g.Version()
	return nil
}

// describeFirst asks the server for the columns of a statement whose rows must be rebuilt, once, before it is bound: a
// client need not ask, and may know them from before.
func (s *session) describeFirst(p *portal) error {
	if p.u == nil || !s.hides(p.u).rows || p.stmt.known && !byName(p.asked.a) { // a name may mean other columns by now
		return nil
	}
	if err := s.g.ControlOwn(appendTarget(nil, msgDescribe, 'S', s.nameOn(p.stmt))); err != nil {
		return err
	}
	s.push(expect{kind: msgDescribe, own: true, stmt: p.stmt})
	return nil
}

// describe passes a Describe of something that was judged.
func (s *session) describe(ctx context.Context, f frame) error {
	m, err := readTarget(f.body, "Describe")
	if err != nil {
		return s.refuseExtended(ctx, s.g.RefuseText(err, len(f.body)))
	}
	e := expect{kind: msgDescribe}
	if m.what == 'S' {
		e.stmt = s.stmts[string(m.name)]
	} else if p := s.portals[string(m.name)]; p != nil {
		e.portal = p
	}
	if e.stmt == nil && e.portal == nil {
		return s.refuseExtended(ctx, s.g.RefuseText(unknownTarget(m), len(f.body)))
	}
	if err := s.described(ctx, e.stmt); err != nil {
		return s.refuseExtended(ctx, s.g.RefuseText(err, len(f.body)))
	}
	switch {
	case e.stmt != nil && s.moves(e.stmt):
		if err := s.describeMoved(ctx, e.stmt); err != nil {
			return s.refuseExtended(ctx, err)
		}
	default:
		if err := s.g.Control(f.from, f.to); err != nil {
			return err
		}
	}
	s.push(e)
	return s.bounded(ctx)
}

// described looks at what a statement's names mean now: the server may look them up for a Describe.
func (s *session) described(ctx context.Context, p *prepared) error {
	if p == nil || p.u == nil || s.state.tx == txFailed {
		return nil
	}
	j, err := s.understand(ctx, []byte(p.text))
	if err != nil {
		return err
	}
	return s.sameMeaning(p, j)
}

func unknownTarget(m targetMessage) error {
	if m.what == 'S' {
		return unknownStatement(m.name)
	}
	return sayCode("34000", fault.NotFound, "portal \""+string(m.name)+"\" does not exist", "")
}

// unknownStatement is in the server's words.
func unknownStatement(name []byte) error {
	if len(name) == 0 {
		return sayCode("26000", fault.NotFound, "unnamed prepared statement does not exist", "")
	}
	return sayCode("26000", fault.NotFound, "prepared statement \""+string(name)+"\" does not exist", "")
}

// execute runs a portal: under the permit of its Bind the first time, under a new one if that was used, or if the policies
// or the state changed since.
func (s *session) execute(ctx context.Context, f frame) error {
	name, err := readExecute(f.body)
	if err != nil {
		return s.refuseExtended(ctx, s.g.RefuseText(err, len(f.body)))
	}
	p := s.portals[string(name)]
	if p == nil {
		return s.refuseExtended(ctx, s.g.RefuseText(sayCode("34000", fault.NotFound, "portal \""+string(name)+"\" does not exist", ""), len(f.body)))
	}
	if p.u == nil {
		if err := s.g.Control(f.from, f.to); err != nil {
			return err
		}
		s.push(expect{kind: msgExecute})
		return s.bounded(ctx)
	}
	if err := s.g.Refresh(); err != nil {
		return s.refuseExtended(ctx, err)
	}
	if !p.permit.Zero() && p.version == s.g.Version() && !byName(p.asked.a) {
		if err := s.g.Follow(p.permit, f.from, f.to); err != nil {
			return err
		}
	} else if err := s.executeAnew(ctx, p, f); err != nil {
		return err
	} else if s.skipping || p.permit.Zero() {
		return nil
	}
	s.push(expect{kind: msgExecute, portal: p, run: run{permit: p.permit, u: p.u, stmt: p.stmt, formats: p.results,
		fields: p.stmt.rows, masks: s.g.Masks(), rebuilt: s.hides(p.u).rows, metered: s.g.Budgeted(p.permit)}})
	s.ran++
	p.permit = gate.Permit{}
	s.effectsBefore(p.u)
	if changesNames(p.u.a) || p.u.a.Copy != nil && p.u.a.Copy.FromClient && !s.asksNext() {
		return s.settle(ctx) // the next message may use the names, or be a row
	}
	return s.bounded(ctx)
}

// asksNext reports whether the client's next message asks for answers by itself, and is here already.
func (s *session) asksNext() bool {
	next := s.g.Client().Unread()[s.until-s.g.Client().Offset():]
	return len(next) > 0 && (next[0] == msgSync || next[0] == msgFlush)
}

// executeAnew asks again for a portal whose permit is used up or out of date. p.permit is zero after a refusal.
func (s *session) executeAnew(ctx context.Context, p *portal, f frame) error {
	s.letGo(p)
	if err := s.admitAs(ctx, p, gate.Request{From: f.from, To: f.to, Params: p.params, Exact: p.exact}); err != nil {
		return s.refuseExtended(ctx, err)
	}
	if err := s.describeFirst(p); err != nil {
		return err
	}
	return s.stageOr(p.permit, f)
}

// close passes a Close.
func (s *session) close(ctx context.Context, f frame) error {
	m, err := readTarget(f.body, "Close")
	if err != nil {
		return s.refuseExtended(ctx, s.g.RefuseText(err, len(f.body)))
	}
	name := string(m.name)
	if err := checkName(name); err != nil {
		return s.refuseExtended(ctx, s.g.RefuseText(err, len(f.body)))
	}
	old := s.stmts[name]
	if m.what == 'S' && name != "" && s.sharing && (old == nil || !old.bySQL) { // it stays on the backend, for the next time
		err = s.g.ControlOwn(appendTarget(nil, msgClose, 'S', noName))
	} else {
		err = s.g.Control(f.from, f.to)
	}
	if err != nil {
		return err
	}
	e := expect{kind: msgClose, target: m.what, name: name}
	if m.what == 'S' {
		e.old = old
		delete(s.stmts, name)
	} else {
		e.oldPortal, e.oldCursor = s.portals[name], s.cursors[name]
		delete(s.portals, name)
		delete(s.cursors, name)
	}
	s.push(e)
	return s.bounded(ctx)
}

// sync ends a pipeline.
func (s *session) sync(ctx context.Context, f frame) error {
	if s.skipping && s.synced {
		s.skipping = false // the error was answered by the gateway alone: so is its end
		s.out = appendReady(s.out, s.state.tx)
		return s.send()
	}
	s.skipping = false
	if err := s.g.Control(f.from, f.to); err != nil {
		return err
	}
	s.push(expect{kind: msgSync})
	return s.roundTrip(ctx)
}

// flush asks for the answers that are due.
func (s *session) flush(ctx context.Context, f frame) error {
	if err := s.g.Control(f.from, f.to); err != nil {
		return err
	}
	return s.roundTrip(ctx)
}

// refuseExtended says no inside a pipeline. Where nothing was sent since the last ReadyForQuery and no transaction is open,
// the gateway answers by itself and skips to Sync; otherwise the server must fail what it has begun.
func (s *session) refuseExtended(ctx context.Context, why error) error {
	if s.fatal(ctx, why) {
		return why
	}
	if errors.Is(why, errSkipped) {
		return nil
	}
	if s.g.Stale() { // what stands before it may not leave either: the refusal is for all of it
		s.unsend()
	}
	if s.be == nil && len(s.queue) > s.head && s.leaseAgain(ctx) != nil { // it was given back while the statement was held
		s.unsend()
	}
	if s.synced && s.state.tx == txIdle && len(s.queue) == s.head {
		s.skipping = true
		s.out = appendError(s.out, "ERROR", why)
		return s.send() // at once, as a server does: the client may wait for it before it says Sync
	}
	err := s.reject(ctx, why, appendParse(nil, ownName, rejectText), expect{kind: msgParse, reject: why})
	s.skipping = true
	if err != nil {
		return err
	}
	return s.settle(ctx)
}

// Bounds of what is sent before answers are taken in.
const (
	maxSegment = 256 << 10 // bytes
	maxQueue   = 256       // messages
)

// bounded takes answers in where a client sends much without asking for any: the gateway asks for them with a Flush of
// its own, so that neither side's buffers can fill up against each other.
func (s *session) bounded(ctx context.Context) error {
	if s.g.Staged() < maxSegment && len(s.queue)-s.head < maxQueue {
		return nil
	}
	return s.settle(ctx)
}

// settle sends what is staged and takes in every answer that is due, in the middle of a pipeline.
func (s *session) settle(ctx context.Context) error {
	if s.synced && s.g.Staged() == 0 {
		return nil
	}
	if err := s.g.ControlOwn([]byte{msgFlush, 0, 0, 0, 4}); err != nil {
		return err
	}
	return s.roundTrip(ctx)
}

// params renders bind parameters for policies and the record: text as it is, integers and booleans in binary as text,
// anything else in binary as hex.
func params(m bindMessage, types []uint32) []any {
	if len(m.values) == 0 {
		return nil
	}
	out := make([]any, len(m.values))
	for i, v := range m.values {
		var typ uint32
		if i < len(types) {
			typ = types[i]
		}
		switch {
		case v == nil:
			out[i] = nil
		case formatAt(m.formats, i) == 0:
			out[i] = string(v)
		default:
			out[i] = binaryText(v, typ)
		}
	}
	return out
}

// exactParams is every parameter with its type, format and bytes: what is rendered for people may look alike and differ.
func exactParams(m bindMessage, types []uint32) []byte {
	var b []byte
	for i, v := range m.values {
		var typ uint32
		if i < len(types) {
			typ = types[i]
		}
		b = binary.BigEndian.AppendUint32(b, typ)
		b = binary.BigEndian.AppendUint16(b, formatAt(m.formats, i))
		if v == nil {
			b = append(b, 'n')
			continue
		}
		b = binary.AppendUvarint(append(b, 'v'), uint64(len(v)))
		b = append(b, v...)
	}
	return b
}

// OIDs of types, fixed in pg_type.dat.
const (
	oidBool    = 16
	oidBytea   = 17
	oidInt8    = 20
	oidInt2    = 21
	oidInt4    = 23
	oidText    = 25
	oidOID     = 26
	oidJSON    = 114
	oidXML     = 142
	oidUnknown = 705
	oidBPChar  = 1042
	oidVarchar = 1043
	oidDate    = 1082
	oidTime    = 1114
	oidTimeTZ  = 1184
	oidNumeric = 1700
	oidJSONB   = 3802
)

// binaryText renders a binary value as text where that is plain, else as hex.
func binaryText(v []byte, typ uint32) string {
	switch {
	case typ == oidText || typ == oidVarchar || typ == oidBPChar || typ == oidJSON || typ == oidXML || typ == oidUnknown:
		return string(v)
	case typ == oidJSONB && len(v) > 0 && v[0] == 1:
		return string(v[1:])
	case typ == oidBool && len(v) == 1:
		return strconv.FormatBool(v[0] != 0)
	case typ == oidInt2 && len(v) == 2:
		return strconv.Itoa(int(int16(binary.BigEndian.Uint16(v))))
	case (typ == oidInt4 || typ == oidOID) && len(v) == 4:
		return strconv.Itoa(int(int32(binary.BigEndian.Uint32(v))))
	case typ == oidInt8 && len(v) == 8:
		return strconv.FormatInt(int64(binary.BigEndian.Uint64(v)), 10)
	}
	return `\x` + hex.EncodeToString(v)
}
