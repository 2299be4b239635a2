package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// maxList bounds what List returns, where the caller does not bound it further.
const maxList = 10_000

// Approvals keeps the approvals of the waiting room.
type Approvals struct{ s *Store }

// ApprovalFilter picks approvals; a zero field picks all. Its fields are those of the waiting room's own filter, so that
// one converts to the other.
type ApprovalFilter struct {
	States    []access.ApprovalState
	Principal string // Principal.ID of who asked
	Digest    string
	Limit     int // the newest Limit, still oldest first; at most 10,000, which is the default
}

// Insert stores a new approval; fault.Conflict where its id is taken.
func (x *Approvals) Insert(ctx context.Context, a access.Approval) error {
	body, err := json.Marshal(a)
	if err != nil || a.ID == "" {
		return fault.New(fault.Malformed, "store.Approvals.Insert", "an approval without an id, or with values that JSON cannot hold, cannot be stored")
	}
	res, err := x.s.write.ExecContext(ctx, `INSERT INTO approvals (id, state, digest, session, principal, connection, requested_at, expires_at, body)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING`,
		a.ID, string(a.State), a.Digest, a.Session, a.Principal, a.Connection, micros(a.RequestedAt), micros(a.ExpiresAt), string(body))
	if err != nil {
		return failed("Approvals.Insert", err)
	}
	return failed("Approvals.Insert", oneRow(res, fault.New(fault.Conflict, "store.Approvals.Insert", "approval %s exists already", a.ID)))
}

// Get returns an approval; fault.NotFound where there is none of that id.
func (x *Approvals) Get(ctx context.Context, id string) (access.Approval, error) {
	return one(id, x.s.read.QueryRowContext(ctx, "SELECT body FROM approvals WHERE id = $1", id))
}

// List returns the approvals that the filter picks, oldest first.
func (x *Approvals) List(ctx context.Context, f ApprovalFilter) ([]access.Approval, error) {
	query, args := f.query()
	rows, err := x.s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, failed("Approvals.List", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err is what tells
	var all []access.Approval
	for rows.Next() {
		var body string
		if err := rows.Scan(&body); err != nil {
			return nil, failed("Approvals.List", err)
		}
		a, err := decodeApproval(body)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	slices.Reverse(all)
	return all, failed("Approvals.List", rows.Err())
}

// query asks for the newest first, so that the limit cuts off the oldest.
func (f ApprovalFilter) query() (string, []any) {
	var where []string
	var args []any
	bind := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	if len(f.States) > 0 {
		var states []string
		for _, state := range f.States {
			states = append(states, bind(string(state)))
		}
		where = append(where, "state IN ("+strings.Join(states, ", ")+")")
	}
	if f.Principal != "" {
		where = append(where, "principal = "+bind(f.Principal))
	}
	if f.Digest != "" {
		where = append(where, "digest = "+bind(f.Digest))
	}
	query := "SELECT body FROM approvals"
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	limit := f.Limit
	if limit <= 0 || limit > maxList {
		limit = maxList
	}
	return query + " ORDER BY requested_at DESC, id DESC LIMIT " + bind(limit), args
}

// Transition moves the approval next.ID from one state to next.State and takes AnsweredAt, Reviewer and Reason from next
// where they are not empty; everything else stays as it was asked. It returns false where there is no approval of that
// id in the state from: of any number of concurrent callers with the same from, exactly one gets true. A transition that
// no approval may make is fault.Internal.
func (x *Approvals) Transition(ctx context.Context, from access.ApprovalState, next access.Approval) (bool, error) {
	won := false
	err := x.s.inTx(ctx, "Approvals.Transition", func(tx *sql.Tx) error {
		a, err := one(next.ID, tx.QueryRowContext(ctx, "SELECT body FROM approvals WHERE id = $1", next.ID))
		if fault.KindOf(err) == fault.NotFound || (err == nil && a.State != from) {
			return nil
		}
		if err != nil {
			return err
		}
		if !leads(from, next.State) {
			return fault.New(fault.Internal, "store.Approvals.Transition", "an approval does not go from %q to %q", from, next.State)
		}
		body, err := json.Marshal(answered(a, next))
		if err != nil {
			return err
		}
		// The state is compared again here, where the row is locked, for databases that let others in after the reading.
		res, err := tx.ExecContext(ctx, "UPDATE approvals SET state = $1, body = $2 WHERE id = $3 AND state = $4",
			string(next.State), string(body), next.ID, string(from))
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		won = n == 1
		return err
	})
	return won && err == nil, err
}

// leads is the table of access.ApprovalState.
func leads(from, to access.ApprovalState) bool {
	switch from {
	case access.ApprovalPending:
		return to == access.ApprovalApproved || to == access.ApprovalDenied || to == access.ApprovalExpired || to == access.ApprovalCancelled
	case access.ApprovalApproved:
		return to == access.ApprovalSpent || to == access.ApprovalExpired || to == access.ApprovalCancelled
	}
	return false
}

func answered(a, next access.Approval) access.Approval {
	a.State = next.State
	if !next.AnsweredAt.IsZero() {
		a.AnsweredAt = next.AnsweredAt
	}
	if next.Reviewer != "" {
		a.Reviewer = next.Reviewer
	}
	if next.Reason != "" {
		a.Reason = next.Reason
	}
	return a
}

func one(id string, row *sql.Row) (access.Approval, error) {
	var body string
	err := row.Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return access.Approval{}, fault.New(fault.NotFound, "store.Approvals", "there is no approval %q: gatehouse approvals list shows those that there are", id)
	}
	if err != nil {
		return access.Approval{}, failed("Approvals.Get", err)
	}
	return decodeApproval(body)
}

func decodeApproval(body string) (access.Approval, error) {
	var a access.Approval
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		return a, fault.Wrap(fault.Unavailable, "store.decodeApproval", err, "a stored approval cannot be understood: restore the store from a backup (gatehouse restore)")
	}
	return a, nil
}
