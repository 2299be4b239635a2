package postgres

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/sql/pgsql"
)

// expect is one answer that is due. What the message changed in the session's names is kept, to be undone if the server
// skips it.
type expect struct {
	kind byte // the client's message
	own  bool // the gateway asked: the client does not see the answer
	run
	runs      []run // of a simple query, in order
	at        int   // the run that is being answered
	failed    bool  // a simple query's error was answered: only ReadyForQuery is due
	reject    error // the refusal that stands in for the server's error
	stmt      *prepared
	old       *prepared // what stmt's name meant before
	portal    *portal
	oldPortal *portal
	oldCursor *cursor
	held      string // Parse: what the backend knows the statement by, see heldNames
	target    byte   // Close: 'S' or 'P'
	name      string // Close
}

// current returns the run that an answer belongs to; nil where it belongs to none.
func (e *expect) current() *run {
	if e.kind == msgQuery {
		if e.at < len(e.runs) {
			return &e.runs[e.at]
		}
		return nil
	}
	if e.u == nil {
		return nil
	}
	return &e.run
}

func (s *session) push(e expect) {
	if s.head == len(s.queue) {
		s.queue, s.head, s.sent = s.queue[:0], 0, 0
	}
	s.queue = append(s.queue, e)
	s.synced = false
}

// due returns the answer that comes next; nil where none is due.
func (s *session) due() *expect {
	if s.head == len(s.queue) {
		return nil
	}
	return &s.queue[s.head]
}

func (s *session) pop() {
	s.queue[s.head] = expect{}
	s.head++
}

// roundTrip sends what is staged and relays every answer that is due.
func (s *session) roundTrip(ctx context.Context) error {
	if err := s.g.Flush(); err != nil {
		return err
	}
	s.sent, s.since = len(s.queue), true
	return s.relayAnswers(ctx)
}

// unsend takes back what was staged and never sent: the names it made, and its intents.
func (s *session) unsend() {
	s.g.Unstage()
	for i := len(s.queue) - 1; i >= max(s.sent, s.head); i-- {
		e := &s.queue[i]
		p := e.run.permit
		if e.kind == msgBind && e.portal != nil && !e.portal.permit.Zero() {
			p, e.portal.permit = e.portal.permit, gate.Permit{}
		}
		if !p.Zero() {
			s.abandon([]run{{permit: p}})
		}
		s.undo(e)
		s.queue = s.queue[:i]
	}
	s.synced = !s.since && len(s.queue) == s.head
}

// relayAnswers relays what has come, and what is still due.
func (s *session) relayAnswers(ctx context.Context) error {
	for {
		if err := s.answers(); err != nil {
			_ = s.send()
			return err
		}
		if err := s.send(); err != nil {
			return err
		}
		if s.cutting {
			s.cancelCut(ctx)
		}
		if s.due() == nil {
			return nil
		}
		if err := s.more(ctx); err != nil {
			return err
		}
	}
}

// more waits for the backend, or for either side while the client sends rows.
func (s *session) more(ctx context.Context) error {
	if s.copying {
		return s.copyIn(ctx)
	}
	need := 1
	if kind, size, ok, _ := peekHead(s.be.Unread()); ok {
		if size <= len(s.be.Unread()) || s.streams(kind, size) {
			return nil // it came right behind a row that was streamed
		}
		if kind == ansDataRow || kind == msgCopyData {
			if size > s.limits.Row() {
				return s.tooLarge()
			}
		} else if size > s.limits.Message {
			return fault.New(fault.Backend, "postgres.more", "the backend sent a message of %d bytes that must be held, and limits.max_message is %d", size, s.limits.Message)
		}
		need = size
	}
	return s.fill(ctx, need)
}

// answers relays every whole message that is buffered. What needs no change is written from the receive buffer, in one
// piece with its neighbours; s.out holds what had to be built.
func (s *session) answers() error {
	buf := s.be.Unread()
	at, from := 0, 0
	var last gate.Permit // of the newest message that goes on untouched
	for at < len(buf) && !s.copying {
		kind, size, ok, err := peekHead(buf[at:])
		if err != nil {
			return fault.Wrap(fault.Backend, "postgres.answers", err, "the backend broke its protocol")
		}
		if !ok {
			break
		}
		if at+size > len(buf) {
			if s.streams(kind, size) {
				return s.stream(last, buf[from:at], at, size)
			}
			break
		}
		permit := s.permit()
		pass, err := s.answer(kind, buf[at:at+size])
		if err != nil {
			_ = s.passOn(last, buf[from:at]) // what came before is the client's, whatever ends the session
			s.be.Skip(at + size)
			return err
		}
		if pass && s.g.Masked(permit) { // nothing is spliced under a mask; words about the rows go in a copy
			if kind == ansDataRow || kind == msgCopyData {
				return errUnmasked
			}
			s.add, pass = append(s.add, buf[at:at+size]...), false
		}
		if pass {
			last = permit
		} else {
			s.out = append(append(s.out, buf[from:at]...), s.add...)
			s.add = s.add[:0]
			from = at + size
		}
		at += size
	}
	err := s.passOn(last, buf[from:at])
	s.be.Skip(at)
	return err
}

// passOn writes untouched answers, after what was built before them.
func (s *session) passOn(p gate.Permit, b []byte) error {
	if len(s.out) > 0 || len(b) == 0 {
		s.out = append(s.out, b...)
		return nil
	}
	return s.g.Reply(p, b)
}

// permit returns the permit whose answer is due; the zero permit where none is.
func (s *session) permit() gate.Permit {
	if e := s.due(); e != nil {
		if r := e.current(); r != nil {
			return r.permit
		}
	}
	return gate.Permit{}
}

// streams reports whether a message that is not all here may go to the client piece by piece: a row, or a piece of a
// COPY, that is larger than a buffer and needs no look inside.
func (s *session) streams(kind byte, size int) bool {
	const large = 64 << 10
	e := s.due()
	if e == nil || kind != ansDataRow && kind != msgCopyData {
		return false
	}
	r := e.current()
	return r != nil && (r.over != nil || size >= large && !r.rebuilt && !s.g.Masked(r.permit))
}

// stream relays a large message without holding it.
func (s *session) stream(last gate.Permit, before []byte, at, size int) error {
	if err := s.passOn(last, before); err != nil {
		return err
	}
	if err := s.send(); err != nil {
		return err
	}
	s.be.Skip(at)
	if r := s.due().current(); r != nil {
		if r.over != nil {
			return s.be.Copy(io.Discard, int64(size))
		}
		if s.captures(r) && r.u.a.Copy == nil {
			s.result(r).Truncated = true
		}
		if r.metered {
			if more, err := s.meter(s.due(), r, size); !more {
				return errors.Join(err, s.be.Copy(io.Discard, int64(size)))
			}
		}
		r.out.Rows++
		r.out.Bytes += int64(size)
	}
	return s.g.Stream(s.permit(), int64(size))
}

// answer deals with one message of the backend. pass says that it goes on as it is; otherwise s.add holds what goes in its
// place.
func (s *session) answer(kind byte, whole []byte) (pass bool, err error) {
	body := whole[head:]
	switch kind {
	case ansNotice, ansNotification, ansParameterStatus:
		return s.spontaneous(kind, whole)
	}
	e := s.due()
	if e == nil {
		if kind == ansError { // the server ends the session by itself
			return true, nil
		}
		return false, broken(kind)
	}
	switch kind {
	case ansDataRow:
		return s.row(e, whole)
	case ansRowDescription:
		return s.describes(e, body)
	case ansCommandComplete, ansEmptyQuery, ansPortalSuspended:
		return s.completes(e, kind, body)
	case ansError:
		return s.fails(e, whole)
	case ansReady:
		return s.ready(e, body)
	case ansParseComplete, ansBindComplete, ansCloseComplete, ansNoData, ansParameters:
		return s.acknowledges(e, kind, body)
	case ansCopyIn, ansCopyOut, msgCopyData, msgCopyDone:
		return s.copies(e, kind, whole)
	}
	return false, broken(kind)
}

// errUnmasked is a row that would have passed a mask: a fault of the gateway's own, by which the session ends.
var errUnmasked = fault.New(fault.Internal, "postgres.answers: a row under a mask was not rebuilt", "")

func broken(kind byte) error {
	return fault.New(fault.Backend, "postgres.answer", "the backend sent a message that was not due (%q)", kind)
}

// spontaneous deals with what the server says by itself.
func (s *session) spontaneous(kind byte, whole []byte) (bool, error) {
	m := s.g.Masks()
	hides := m != nil && m.Fields()
	switch kind {
	case ansParameterStatus:
		pass := s.reported(whole[head:])
		return pass && !(hides && s.loud && telling(whole[head:])), nil // a function may have put a masked value into it
	case ansNotice:
		if e := s.due(); hides && (s.loud || e == nil || e.current() == nil || s.hides(e.current().u).errors) {
			s.add, _ = appendCoarse(s.add, kind, whole[head:], s.plainTable(m))
			return false, nil
		} else if e != nil {
			return s.meterWords(e.current(), len(whole)) == nil, nil
		}
	case ansNotification:
		if hides { // whoever sent it may have put a masked value into it
			s.add = appendBareNotification(s.add, whole[head:])
			return false, nil
		}
	}
	return true, nil
}

// appendBareNotification appends a NotificationResponse without its payload.
func appendBareNotification(dst, body []byte) []byte {
	sc := scan{b: body}
	pid, channel := sc.take(4), sc.text()
	dst, at := openFrame(dst, ansNotification)
	dst = append(append(append(dst, pid...), channel...), 0, 0)
	return closeFrame(dst, at)
}

// acknowledges deals with the short answers of the extended protocol.
func (s *session) acknowledges(e *expect, kind byte, body []byte) (bool, error) {
	own := e.own
	switch {
	case kind == ansParseComplete && e.kind == msgParse && e.reject == nil:
		if e.u != nil {
			if err := s.g.Done(e.run.permit, gate.Outcome{Status: access.StatusOK}); err != nil {
				return false, err
			}
		}
	case kind == ansBindComplete && e.kind == msgBind:
	case kind == ansCloseComplete && e.kind == msgClose:
	case kind == ansNoData && e.kind == msgDescribe:
		if e.stmt != nil {
			e.stmt.known, e.stmt.rows = true, nil
		}
	case kind == ansParameters && e.kind == msgDescribe:
		if e.stmt != nil && len(e.stmt.types) == 0 {
			e.stmt.types = readTypes(body)
		}
		return !own, nil // the row description is still due
	default:
		return false, broken(kind)
	}
	s.drop(e)
	s.pop()
	return !own, nil
}

// drop puts on record that a portal which a Bind or Close replaced was never run.
func (s *session) drop(e *expect) {
	if e.oldPortal != nil {
		s.letGo(e.oldPortal)
	}
}

// letGo puts on record that a portal was bound and never run, where that is so.
func (s *session) letGo(p *portal) {
	if !p.permit.Zero() {
		s.abandon([]run{{permit: p.permit}})
		p.permit = gate.Permit{}
	}
}

func readTypes(body []byte) []uint32 {
	sc := scan{b: body}
	out := make([]uint32, 0, 4)
	for range sc.count(sc.int16(), 4) {
		out = append(out, uint32(sc.int32()))
	}
	return out
}

// describes deals with a RowDescription.
func (s *session) describes(e *expect, body []byte) (bool, error) {
	fields, err := readRowDescription(body)
	if err != nil {
		return false, broken(ansRowDescription)
	}
	switch e.kind {
	case msgDescribe:
		if e.stmt != nil {
			e.stmt.rows, e.stmt.known = fields, true
		}
		own := e.own
		s.pop()
		return !own, nil
	case msgQuery:
		if r := e.current(); r != nil {
			r.fields = fields
			return true, s.plan(r)
		}
	}
	return false, broken(ansRowDescription)
}

// completes deals with the end of a statement.
func (s *session) completes(e *expect, kind byte, body []byte) (bool, error) {
	r := e.current()
	if r == nil {
		if e.kind == msgExecute && kind == ansEmptyQuery {
			s.pop()
			return true, nil
		}
		if e.kind == msgQuery && kind == ansEmptyQuery {
			return true, nil
		}
		return false, broken(kind)
	}
	if r.over != nil {
		return false, s.endCut(e, r)
	}
	r.out.Status = access.StatusOK
	if kind == ansCommandComplete {
		if n, ok := tagRows(body); ok {
			r.out.Rows = n
		}
		s.effects(r.u, body)
	}
	if err := s.g.Done(r.permit, r.digested()); err != nil {
		return false, err
	}
	if e.kind == msgQuery {
		e.at++
	} else {
		s.pop()
	}
	return true, nil
}

// tagRows returns the number of rows at the end of a command tag.
func tagRows(body []byte) (int64, bool) {
	tag := bytes.TrimSuffix(body, []byte{0})
	i := bytes.LastIndexByte(tag, ' ')
	n, err := strconv.ParseInt(string(tag[i+1:]), 10, 64)
	return n, err == nil
}

// fails deals with an ErrorResponse: what the server skips because of it is undone and put on record.
func (s *session) fails(e *expect, whole []byte) (pass bool, err error) {
	code := errorCode(whole[head:])
	if s.unsettled {
		s.state.known = false // what the failed transaction had set is as it was before
	}
	pass = true
	r := e.current()
	switch {
	case e.reject != nil:
		s.add, pass = appendError(s.add, "ERROR", e.reject), false
	case r != nil && r.over != nil: // asked to cancel, it did
		s.add, pass, code = appendError(s.add, "ERROR", r.over), false, sqlstate(r.over)
	case s.coarse(e, r):
		s.add, code = appendCoarse(s.add, ansError, whole[head:], s.plainTable(s.g.Masks()))
		pass = false
	default:
		if over := s.meterWords(r, len(whole)); over != nil {
			s.add, pass, code = appendError(s.add, "ERROR", over), false, sqlstate(over)
		}
	}
	out := gate.Outcome{Status: access.StatusError, Code: code}
	if r != nil {
		of := r.digested()
		out.Rows, out.Bytes, out.Masked, out.Digest = of.Rows, of.Bytes, of.Masked, of.Digest
	}
	if e.kind == msgQuery {
		err = s.failQuery(e, out)
	} else {
		err = s.failPipeline(out)
	}
	s.rolledBack()
	return pass, err
}

// failQuery ends a simple query's statements: the failed one, and those that the server skips.
func (s *session) failQuery(e *expect, out gate.Outcome) error {
	e.failed = true
	if e.reject != nil {
		return s.g.Done(e.run.permit, out)
	}
	for i := e.at; i < len(e.runs); i++ {
		o := out
		if i > e.at {
			o = gate.Outcome{Status: access.StatusSkipped}
		}
		if err := s.g.Done(e.runs[i].permit, o); err != nil {
			return err
		}
	}
	e.at = len(e.runs)
	return nil
}

// failPipeline undoes what the server skips: everything up to the Sync that is in the queue, or that is still to come.
func (s *session) failPipeline(out gate.Outcome) error {
	end := s.head
	for end < len(s.queue) && s.queue[end].kind != msgSync {
		end++
	}
	for i := s.head; i < end; i++ {
		p := s.queue[i].run.permit
		if b := s.queue[i].portal; s.queue[i].kind == msgBind && b != nil && !b.permit.Zero() {
			p, b.permit = b.permit, gate.Permit{}
		}
		if p.Zero() {
			continue
		}
		if err := s.g.Done(p, out); err != nil {
			return err
		}
		out = gate.Outcome{Status: access.StatusSkipped}
	}
	for i := end - 1; i >= s.head; i-- {
		s.undo(&s.queue[i])
	}
	if end == len(s.queue) {
		s.skipping = true
	}
	for s.head < end {
		s.pop()
	}
	return nil
}

// undo takes back what a skipped message would have changed.
func (s *session) undo(e *expect) {
	if e.held != "" && s.m != nil {
		s.m.names.doubt(e.held)
	}
	switch {
	case e.own:
	case e.kind == msgParse && e.stmt != nil:
		restore(s.stmts, e.stmt.name, e.old)
	case e.kind == msgBind:
		restore(s.portals, e.portal.name, e.oldPortal)
	case e.kind == msgClose && e.target == 'S':
		restore(s.stmts, e.name, e.old)
	case e.kind == msgClose:
		restore(s.portals, e.name, e.oldPortal)
		restore(s.cursors, e.name, e.oldCursor)
	}
}

func restore[V any](m map[string]*V, name string, old *V) {
	if old == nil {
		delete(m, name)
		return
	}
	m[name] = old
}

// ready deals with ReadyForQuery: the transaction's state, and what ends with it.
func (s *session) ready(e *expect, body []byte) (bool, error) {
	if len(body) != 1 || (e.kind != msgSync && e.kind != msgQuery) {
		return false, broken(ansReady)
	}
	s.state.tx = body[0]
	s.pop()
	s.synced = s.due() == nil
	if s.since = !s.synced; s.synced {
		s.ran = 0
	}
	if s.ddl {
		s.p.catalogues.stale(s.g)
		s.ddl = s.state.tx != txIdle
	}
	if s.state.tx == txIdle {
		s.endTransaction()
		s.loud = false
	}
	return true, nil
}

// effectsBefore notes what a statement may do to the session, as soon as it is on its way.
func (s *session) effectsBefore(u *understood) {
	s.loud = s.loud || s.hides(u).errors
	s.watch(u)
	if u.a.ChangesState && (u.a.Tx == pgsql.TxNone || s.unsettled) { // the end of a transaction that changed nothing changes nothing
		s.state.known = false
		s.unsettled = true
	}
	if u.a.ChangesCatalogue {
		s.ddl = true
	}
}

// isSet reports whether u sets a value (and not: resets or shows it).
func isSet(u *understood) bool { return u.a.Set.Kind == pgsql.SetValue }
