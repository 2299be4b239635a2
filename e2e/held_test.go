package e2e

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// asked runs a transaction with a statement that needs an approval, and returns what became of that statement. The
// transaction is committed where it was not refused.
func asked(t *testing.T, conn *pgx.Conn, text string) error {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "UPDATE orders SET status = status WHERE id = 101"); err != nil {
		t.Fatal(err)
	}
	if _, err = tx.Exec(t.Context(), text); err != nil {
		return errors.Join(err, tx.Rollback(t.Context()))
	}
	return tx.Commit(t.Context())
}

// TestTransactionsDoNotWait: what needs an approval in an open transaction is refused at once, with the name of the
// approval; when a reviewer has given it, the same principal runs the same transaction, once.
func TestTransactionsDoNotWait(t *testing.T) {
	defer direct(t, "DELETE FROM payments WHERE id > 9000")
	putPayment(t)
	a := approving{gw: shared.gw, ann: reviewer(t, shared.gw)}
	conn := connect(t, a.gw, "fn:writer")
	err := asked(t, conn, removal)
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || pe.Code != "42501" {
		t.Fatalf("want a refusal, got %v", err)
	}
	m := approvalID.FindStringSubmatch(pe.Message)
	if m == nil || !strings.Contains(pe.Hint, "run the transaction again") {
		t.Fatalf("the refusal does not say how it can be done: %s %s", pe.Message, pe.Hint)
	}
	id := m[1] + m[2]
	if err := asked(t, conn, removal); err == nil || !strings.Contains(err.Error(), id) {
		t.Errorf("before it is answered: %v", err)
	}
	if r := a.answer(t, "approve", id, "ticket 2", a.ann); r.Code != 0 {
		t.Fatalf("approve: %s%s", r.Out, r.Err)
	}
	if err := asked(t, conn, strings.Replace(removal, "9101", "9102", 1)); err == nil {
		t.Error("another statement ran on it")
	}
	if err := asked(t, connect(t, a.gw, "fn:writer"), removal); err != nil || paymentIsThere(t) {
		t.Errorf("in a new session: %v, still there: %t", err, paymentIsThere(t))
	}
	putPayment(t)
	if err := asked(t, conn, removal); err == nil || strings.Contains(err.Error(), id) || !paymentIsThere(t) {
		t.Errorf("it was used twice: %v", err)
	}
}

// TestTransactionsWaitWhereTheConnectionSaysSo: with hold they wait, as many as the connection lets, and the reviewer sees
// what they have locked.
func TestTransactionsWaitWhereTheConnectionSaysSo(t *testing.T) {
	defer direct(t, "DELETE FROM payments WHERE id > 9000")
	putPayment(t)
	gw := with(t, strings.Replace(shared.documents(), "record_results: 5", "record_results: 5\nhold_in_transaction: hold\nmax_held_transactions: 1", 1))
	a := approving{gw: gw, ann: reviewer(t, gw)}
	w := hold(t, t.Context(), gw, "fn:writer", "BEGIN; "+removal) // nothing is open yet where it is judged
	a.answer(t, "deny", w.id, "no", a.ann)
	refused(t, w.ends(t))

	inside := hold(t, t.Context(), gw, "fn:writer", removal+"; COMMIT", "BEGIN", "UPDATE orders SET status = status WHERE id = 102")
	shown := gw.CLI(t.Context(), "", "approvals", "show", inside.id, "-o", "json").Out
	contains(t, shown, "open locks: ", "RowExclusiveLock on public.orders")
	if err := asked(t, connect(t, gw, "fn:writer"), removal); err == nil || !strings.Contains(err.Error(), "does not wait for it here") {
		t.Errorf("more wait than may: %v", err)
	}
	if r := a.answer(t, "approve", inside.id, "ticket 3", a.ann); r.Code != 0 {
		t.Fatalf("approve: %s%s", r.Out, r.Err)
	}
	if err := inside.ends(t); err != nil || paymentIsThere(t) {
		t.Errorf("%v, still there: %t", err, paymentIsThere(t))
	}
	putPayment(t)
	again := hold(t, t.Context(), gw, "fn:writer", removal+"; COMMIT", "BEGIN", "UPDATE orders SET status = status WHERE id = 102")
	a.answer(t, "deny", again.id, "the place is free again", a.ann)
	refused(t, again.ends(t))
}
