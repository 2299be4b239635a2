// Package store keeps what outlives the process: the documents and every earlier version of them, sealed secrets,
// approvals, and a few facts about the gateway itself. The audit log is not here.
//
// Changes are atomic and optimistic: documents change all together or not at all, and only from the revision that the
// caller saw; of two answers to one approval exactly one wins. SQL is written once, with $1 for parameters, portable types
// and no dialect's extras, so that another database can carry it; storetest.Run is the suite that each must pass.
package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gatehouse/internal/fault"
)

// Store is an open store. It is safe for concurrent use.
type Store struct {
	write *sql.DB // one connection: writers queue here and not at the database's lock
	read  *sql.DB
	path  string
	clock func() time.Time
}

// Close closes the store. Transactions under way are rolled back.
func (s *Store) Close() error {
	return failed("Close", errors.Join(s.read.Close(), s.write.Close()))
}

// Ping reports whether the store can be read: fault.Unavailable where it cannot.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.Revision(ctx)
	return err
}

// Secrets are the sealed secrets of the vault.
func (s *Store) Secrets() *Secrets { return &Secrets{s} }

// Approvals are the approvals of the waiting room.
func (s *Store) Approvals() *Approvals { return &Approvals{s} }

// inTx runs f in one transaction and commits where f returns nil.
func (s *Store) inTx(ctx context.Context, op string, f func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return failed(op, err)
	}
	if err := f(tx); err != nil {
		return failed(op, errors.Join(err, rolledBack(tx)))
	}
	return failed(op, tx.Commit())
}

func rolledBack(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}

// failed gives the database's own errors a kind, and leaves those that have one alone.
func failed(op string, err error) error {
	var known *fault.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(fault.Unavailable, "store."+op, err, "the request ended before the store answered: try again")
	default:
		return fault.Wrap(fault.Unavailable, "store."+op, err, "the store does not answer: check the state directory's disk and permissions")
	}
}

// oneRow is nil where exactly one row was changed, and otherwise the given error.
func oneRow(res sql.Result, otherwise error) error {
	n, err := res.RowsAffected()
	if err != nil {
		return err
	}
	if n != 1 {
		return otherwise
	}
	return nil
}

// Times are kept as microseconds since 1970, in UTC.

func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(n int64) time.Time { return time.UnixMicro(n).UTC() }
