package postgres

import (
	"context"
	"errors"
	"hash"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/sql/pgsql"
)

// run is one statement under way.
type run struct {
	permit  gate.Permit
	u       *understood
	stmt    *prepared    // extended only
	formats []byte       // of the result, as Bind asked; nil is text
	fields  []field      // as the server described the result
	plan    *plan        // nil: not made yet
	masks   access.Masks // as they were when the permit was minted; nil where nothing is hidden
	rebuilt bool         // rows must be rebuilt
	metered bool         // rows count against a budget
	over    error        // why no row leaves any more: the budget is used up
	out     gate.Outcome
	sum     hash.Hash // of the rows that the client sends; nil where it sends none
}

// query deals with a simple query: all of its statements are judged before any byte of it leaves.
func (s *session) query(ctx context.Context, f frame) error {
	if err := s.settle(ctx); err != nil {
		return err
	}
	if s.skipping {
		return nil
	}
	text, err := readQuery(f.body)
	if err != nil {
		return s.refuseQuery(ctx, s.g.RefuseText(err, len(f.body)))
	}
	j, err := s.understand(ctx, text)
	if err != nil {
		return s.refuseQuery(ctx, s.noted(err, len(text)))
	}
	if err := s.sequence(j.stmts); err != nil {
		return s.refuseQuery(ctx, s.g.RefuseText(err, len(text)))
	}
	s.runs = s.runs[:0]
	for _, u := range j.stmts {
		r, err := s.ask(ctx, u, gate.Request{From: f.from, To: f.to})
		if err != nil {
			s.abandon(s.runs)
			return s.refuseQuery(ctx, err)
		}
		s.runs = append(s.runs, r)
	}
	if err := s.stageAll(f); err != nil {
		return err
	}
	s.push(expect{kind: msgQuery, runs: s.runs})
	s.ran += len(s.runs)
	return s.roundTrip(ctx)
}

// stageAll stages a simple query's bytes under the permits of all its statements.
func (s *session) stageAll(f frame) error {
	if len(s.runs) == 0 {
		return s.g.Control(f.from, f.to) // white space and comments: the empty query
	}
	for i := range s.runs {
		if err := s.g.Stage(s.runs[i].permit); err != nil {
			return err
		}
		s.effectsBefore(s.runs[i].u)
	}
	return nil
}

// noted records a refusal that came before there was anything to judge, unless recording is what failed.
func (s *session) noted(err error, size int) error {
	switch fault.KindOf(err) {
	case fault.Malformed, fault.Denied, fault.NotFound:
		return s.g.RefuseText(err, size)
	}
	return err
}

// sequence refuses batches in which a statement changes how a later one is read: the later one was judged in the state
// before.
func (s *session) sequence(stmts []*understood) error {
	for i, u := range stmts {
		state, names := s.changesReading(u), changesNames(u.a)
		for _, later := range stmts[i+1:] {
			if state && later.a.Verb != "Transaction" || names && byName(later.a) {
				return sayCode("0A000", fault.Denied, u.a.Verb+" changes how the statements after it are read, and must be sent by itself",
					"Send the statements one by one.")
			}
		}
	}
	return nil
}

// changesReading reports whether the statements after u may be read otherwise. The end of a transaction that changed
// nothing changes nothing, and what a session listens to is no matter of reading.
func (s *session) changesReading(u *understood) bool {
	if c := s.cursors[u.a.Fetch]; c != nil && c.u.a.ChangesState { // a cursor runs on while it is read
		return true
	}
	ends := u.a.Tx != pgsql.TxNone && !s.unsettled
	return u.a.ChangesState && !ends && u.a.Listen == "" || u.a.ChangesCatalogue
}

// ask gets the permit for one statement.
func (s *session) ask(ctx context.Context, u *understood, r gate.Request) (run, error) {
	if s.state.tx == txFailed && !endsTransaction(u) && !s.recovers() { // the server would say no more than this
		return run{}, s.g.Refuse(u.h, r.Params, errAborted)
	}
	asked := u
	if err := s.checkStatementNames(u.a); err != nil {
		return run{}, s.g.Refuse(u.h, r.Params, err)
	}
	u, err := s.resolve(ctx, u)
	if err != nil {
		return run{}, s.g.Refuse(asked.h, r.Params, err)
	}
	if err := errors.Join(s.pinned(u), s.stays(u.a)); err != nil {
		return run{}, s.g.Refuse(u.h, r.Params, err)
	}
	hide := s.hides(u)
	if hide.refuse != nil {
		return run{}, s.g.Refuse(u.h, r.Params, hide.refuse)
	}
	r.Prepare = r.Prepare || u.a.Prepare != nil // EXECUTE is asked for
	r.Clear = !hide.rows
	r.Rows = u.a.ReturnsRows || u.a.Copy != nil && u.a.Copy.ToClient
	r.State = s.state.meaning
	waited := false
	r.Hold = func(ctx context.Context, a access.Approval) (context.Context, func()) {
		waited = true
		return s.hold(ctx, a)
	}
	if r.Within = s.state.tx != txIdle || s.since && s.ran > 0; r.Within {
		r.Locks = s.locks
	}
	r.Estimate = s.estimate(ctx, u)
	permit, err := s.g.Ask(ctx, u.h, r)
	if err != nil {
		return run{}, explained(err, u)
	}
	done := run{permit: permit, u: u, masks: s.g.Masks()}
	if err = s.leaseAgain(ctx); err == nil && waited {
		err = s.stillMeans(ctx, asked, u)
	}
	if err != nil {
		s.abandon([]run{done})
		return run{}, s.g.Refuse(u.h, r.Params, err)
	}
	hide = s.hides(u) // a wait may have changed the policies
	if hide.refuse != nil {
		s.abandon([]run{done})
		return run{}, s.g.Refuse(u.h, r.Params, hide.refuse)
	}
	done.rebuilt, done.metered = hide.rows, s.g.Budgeted(permit)
	return done, nil
}

// explained adds to a refusal why the statement could not be understood, where that is the reason.
func explained(err error, u *understood) error {
	var e *fault.Error
	if u.a.Why == "" || !errors.As(err, &e) || e.Kind != fault.Denied {
		return err
	}
	more := *e
	more.Hint = "The gateway could not tell what this statement would touch: " + u.a.Why + ". " + e.Hint
	return &more
}

var errAborted = sayCode("25P02", fault.Conflict, "current transaction is aborted, commands ignored until end of transaction block", "")

// recovers reports whether a statement of the same message, which has its permit by now, ends the failed transaction.
func (s *session) recovers() bool {
	if !s.state.known {
		return false
	}
	for i := range s.runs {
		if s.runs[i].u.a.Tx != pgsql.TxNone {
			return true
		}
	}
	return false
}

// endsTransaction reports whether u is a form of ROLLBACK or COMMIT: what a failed transaction still takes.
func endsTransaction(u *understood) bool { return u.a.Verb == "Transaction" }

// pinned refuses settings under which text would read differently to the gateway and to the server.
func (s *session) pinned(u *understood) error {
	set := u.a.Set
	if err := s.keepsPropagated(u.a); err != nil {
		return err
	}
	if set == nil {
		return nil
	}
	value := ""
	if len(set.Value) == 1 {
		value = set.Value[0]
	}
	switch set.Name {
	case "standard_conforming_strings":
		if value != "on" && value != "true" && value != "1" && value != "yes" && isSet(u) {
			return sayCode("0A000", fault.Denied, "standard_conforming_strings must stay on: the gateway judges strings as the standard reads them", "")
		}
	case "client_encoding", "names":
		if isSet(u) && (!set.Known || !readableEncoding(value)) {
			return errEncoding(value)
		}
	}
	return nil
}

// abandon puts the outcome of permits on record whose bytes were never sent.
func (s *session) abandon(runs []run) {
	for i := range runs {
		_ = s.g.Done(runs[i].permit, gate.Outcome{Status: access.StatusSkipped})
	}
}

// refuseQuery says no to a simple query and leaves the session as a server that said no would: outside a transaction by
// the gateway's own words, inside one by letting the server fail it.
func (s *session) refuseQuery(ctx context.Context, why error) error {
	if s.fatal(ctx, why) {
		return why
	}
	if errors.Is(why, errSkipped) {
		return nil
	}
	if s.state.tx == txIdle && s.synced {
		delete(s.stmts, "") // as a server does at every simple query, whatever comes of it
		s.out = appendReady(appendError(s.out, "ERROR", why), txIdle)
		return s.send()
	}
	return s.reject(ctx, why, appendQuery(nil, rejectText), expect{kind: msgQuery, reject: why})
}

// reject sends the fixed text that the server refuses, in place of what the gateway refused.
func (s *session) reject(ctx context.Context, why error, frame []byte, e expect) error {
	permit, err := s.g.AskOwn(ownReject)
	if err != nil {
		return err
	}
	if err := s.g.StageRewrite(permit, gate.RewriteReject, frame); err != nil {
		return err
	}
	e.run = run{permit: permit}
	s.push(e)
	if e.kind == msgQuery {
		return s.roundTrip(ctx)
	}
	return nil
}

// fatal reports whether an error ends the session: the backend is lost, the session is over, the gateway itself failed, or
// what was staged was not sent.
func (s *session) fatal(ctx context.Context, err error) bool {
	k := fault.KindOf(err)
	return ctx.Err() != nil || k == fault.Backend || k == fault.Internal || s.g.Failed() != nil
}
