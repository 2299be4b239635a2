package postgres

import (
	"context"
	"errors"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/sql/pgsql"
)

// A budget stops a result where it is used up. The client has the rows up to there, then an error. What the backend still
// sends of it is read and dropped, and the backend asked to cancel, so that both sides stay in step; where the client would
// then believe that something was undone which the backend keeps, or the other way round, the session ends instead.

// cutDue is how long the request to cancel may take. Where it fails, the rest of the result is read to its end.
const cutDue = 5 * time.Second

// meter counts a row that is about to leave. more is false where the budget does not hold it: neither it nor any after it
// leaves. An error ends the session.
func (s *session) meter(e *expect, r *run, size int) (more bool, err error) {
	if r.over != nil {
		return false, nil
	}
	err = s.g.Spend(r.permit, 1, int64(size))
	if err == nil {
		return true, nil
	}
	if errors.Is(err, gate.ErrBudget) && s.mayCut(e, r) {
		r.over, s.cutting = err, true
		return false, nil
	}
	r.out.Status, r.out.Code = access.StatusError, sqlstate(err)
	return false, errors.Join(err, s.g.Done(r.permit, r.out))
}

// errTooLarge does not say how large the row is: that would tell of what is hidden.
var errTooLarge = sayCode("54000", fault.Denied, "a row in which something may be masked is larger than the gateway holds",
	"Select fewer columns, or raise limits.max_masked_row.")

// tooLarge ends a result whose next row would have to be held to be masked, and is too large for that.
func (s *session) tooLarge() error {
	e := s.due()
	if e == nil || e.current() == nil {
		return broken(ansDataRow)
	}
	r := e.current()
	if s.mayCut(e, r) {
		r.over, s.cutting = errTooLarge, true
		return nil
	}
	r.out.Status, r.out.Code = access.StatusError, sqlstate(errTooLarge)
	return errors.Join(errTooLarge, s.g.Done(r.permit, r.out))
}

// meterWords counts an error or a notice of a metered statement, whose words may hold as much as a row. An error means that
// they must not leave.
func (s *session) meterWords(r *run, size int) error {
	if r == nil || !r.metered {
		return nil
	}
	return s.g.Spend(r.permit, 0, int64(size))
}

// mayCut reports whether an error in place of the rest of a result says what the backend has done: it only read, outside of
// a transaction, and nothing stands before or behind it in its pipeline.
func (s *session) mayCut(e *expect, r *run) bool {
	behind := s.queue[s.head+1:]
	alone := len(behind) == 0 || e.kind == msgExecute && len(behind) == 1 && behind[0].kind == msgSync
	return alone && s.ran == 1 && s.state.tx == txIdle && onlyReads(r.u)
}

// onlyReads reports whether a statement does nothing that the end of its transaction could undo.
func onlyReads(u *understood) bool {
	for _, a := range u.h.Statement().Actions {
		switch strings.TrimPrefix(a.Name, pgsql.Prefix) {
		case "Select", "Describe", "Evaluate", "Show", "ShowSetting", "Fetch", "Execute":
		default:
			return false
		}
	}
	return true
}

// cancelCut asks the backend to cancel what is cut. It waits until the request has been dealt with, so that it cannot hit
// what is sent next.
func (s *session) cancelCut(ctx context.Context) {
	s.cutting = false
	t := s.aim.take()
	if t == nil {
		return
	}
	ctx, done := context.WithTimeout(ctx, cutDue)
	defer done()
	s.aim.fly(ctx, t)
}

// endCut answers a result that was cut and that the backend ended all the same: with the error, after which a server skips
// to Sync.
func (s *session) endCut(e *expect, r *run) error {
	r.out.Status, r.out.Code = access.StatusError, sqlstate(r.over)
	if err := s.g.Done(r.permit, r.out); err != nil {
		return err
	}
	s.add = appendError(s.add, "ERROR", r.over)
	if e.kind == msgQuery {
		e.at++
		return nil
	}
	s.pop()
	s.skipping = s.skipping || s.due() == nil
	return nil
}
