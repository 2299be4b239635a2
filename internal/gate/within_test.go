package gate

import (
	"context"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// within is a gate whose one statement needs an approval in an open transaction.
func within(t *testing.T, how string, most int) (*desk, *Gate, func() error) {
	t.Helper()
	d := newDesk()
	d.conn.HoldInTransaction, d.conn.MaxHeldTransactions = how, most
	d.decide = func(st *access.Statement, _ *access.Input) access.Verdict {
		if st.Text == "connect" {
			return allow
		}
		return access.Verdict{Effect: access.Approve, Message: "why not", Approval: access.Terms{Lifetime: access.Duration(time.Minute)}}
	}
	g := d.open(t)
	st := statement("drop it")
	h := g.Judge(&st)
	return d, g, func() error {
		_, err := g.Ask(t.Context(), h, Request{Within: true, Locks: func(context.Context) string { return "all\x1b of it" }})
		return err
	}
}

// TestTransactionsAreNotHeld: an open transaction is refused at once, and the approval filed so that it can be used when the
// transaction is run again.
func TestTransactionsAreNotHeld(t *testing.T) {
	for _, how := range []string{"", "refuse", "whatever"} {
		d, _, ask := within(t, how, 0)
		d.answer = func(*access.Approval) error { t.Error("it waits"); return nil }
		err := ask()
		if say, hint := fault.Say(err); fault.KindOf(err) != fault.Pending || !strings.Contains(say, "approval a1") || !strings.Contains(hint, "run the transaction again") {
			t.Errorf("%q: %v", how, err)
		}
		if len(d.filed) != 1 || !d.filed[0].Reuse || d.filed[0].Message != "why not" {
			t.Errorf("%q: filed %+v", how, d.filed)
		}
		d.given = true
		if err := ask(); err != nil || len(d.spent) != 1 {
			t.Errorf("%q: when it was given: %v, spent %v", how, err, d.spent)
		}
	}
}

// TestTransactionsAreHeldWhereSaid: with hold a transaction waits, the reviewer reads what it has locked, and of those that
// are one too many none waits.
func TestTransactionsAreHeldWhereSaid(t *testing.T) {
	d, g, ask := within(t, "hold", 1)
	d.answer = func(a *access.Approval) error {
		if g.svc.Held.enter(g.conn) {
			t.Error("there is room for one more than may wait")
		}
		a.State = access.ApprovalApproved
		return nil
	}
	for range 2 { // the place is free again after a wait
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	if a := d.filed[0]; a.Reuse || a.Message != "why not (open locks: all of it)" {
		t.Errorf("filed %+v", a)
	}
	if !g.svc.Held.enter(g.conn) {
		t.Fatal("no place is free")
	}
	if err := ask(); fault.KindOf(err) != fault.Pending || !d.filed[2].Reuse {
		t.Errorf("one too many: %v", err)
	}
	g.svc.Held.leave(g.conn.Name)
	if len(g.svc.Held.by) > 0 {
		t.Errorf("connections are kept: %v", g.svc.Held.by)
	}
}
