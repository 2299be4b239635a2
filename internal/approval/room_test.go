package approval_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/approval"
	"gatehouse/internal/approval/approvaltest"
	"gatehouse/internal/fault"
)

// TestHeldApprovedSpent is the story as it should go, and what the log says of it.
func TestHeldApprovedSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		ctx, stop := context.WithCancel(t.Context())
		changes := h.Watch(ctx)
		a := h.request(held())
		if !regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{5}-[0-9a-hjkmnp-tv-z]{5}$`).MatchString(a.ID) {
			t.Errorf("id %q", a.ID)
		}
		if a.State != access.ApprovalPending || !a.RequestedAt.Equal(time.Now()) || a.ExpiresAt.Sub(a.RequestedAt) != 15*time.Minute {
			t.Errorf("%+v", a)
		}
		wantKind(t, h.spend(a.ID), fault.Pending)
		got := h.waiting(t.Context(), a.ID)
		time.Sleep(time.Minute)
		synctest.Wait()
		select {
		case r := <-got:
			t.Fatalf("Wait returned %v before an answer", r)
		default:
		}
		if err := h.answer(a.ID, approval.Approve); err != nil {
			t.Fatal(err)
		}
		r := <-got
		if r.err != nil || r.State != access.ApprovalApproved || r.Reviewer != ann.ID() || r.Reason != "ticket 12" ||
			!r.AnsweredAt.Equal(time.Now()) {
			t.Errorf("Wait returned %+v", r)
		}
		if err := h.spend(a.ID); err != nil {
			t.Error(err)
		}
		wantKind(t, h.spend(a.ID), fault.Conflict)
		wantKind(t, h.answer(a.ID, approval.Deny), fault.Conflict)
		h.wantState(a.ID, access.ApprovalSpent)
		h.wantStory(a.ID, "approval.requested approval.answered:approved approval.ended:spent ")
		stop()
		states := ""
		for c := range changes {
			states += string(c.State) + " "
		}
		if states != "pending approved spent " {
			t.Errorf("a watcher saw %s", states)
		}
	})
}

func TestDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		a := h.request(held())
		got := h.waiting(t.Context(), a.ID)
		synctest.Wait()
		if err := h.answer(a.ID, approval.Deny); err != nil {
			t.Fatal(err)
		}
		if r := <-got; r.err != nil || r.State != access.ApprovalDenied || r.Reason != "ticket 12" {
			t.Errorf("Wait returned %+v", r)
		}
		wantKind(t, h.spend(a.ID), fault.Conflict)
		h.wantStory(a.ID, "approval.requested approval.answered:denied ")
	})
}

// TestOneReviewerWins lets two reviewers approve and deny at the same instant, many times.
func TestOneReviewerWins(t *testing.T) {
	h := newHouse(t)
	for range 200 {
		a := h.request(held())
		got := h.waiting(t.Context(), a.ID)
		var wins, losses atomic.Int32
		var winner atomic.Value
		var all sync.WaitGroup
		for who, choice := range map[*access.Principal]approval.Choice{ann: approval.Approve, ben: approval.Deny} {
			all.Go(func() {
				b, err := h.Answer(t.Context(), a.ID, who, []string{"dba"}, approval.Decision{Choice: choice, Reason: "r"})
				switch {
				case err == nil:
					wins.Add(1)
					winner.Store(b)
				case fault.KindOf(err) == fault.Conflict:
					losses.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if wins.Load() != 1 || losses.Load() != 1 {
			t.Fatalf("%d won, %d lost", wins.Load(), losses.Load())
		}
		want := winner.Load().(access.Approval)
		if r := <-got; r.err != nil || r.State != want.State || r.Reviewer != want.Reviewer {
			t.Fatalf("who waited was told %+v, the winner %+v", r, want)
		}
		h.wantStory(a.ID, "approval.requested approval.answered:"+string(want.State)+" ")
		if _, err := h.Cancel(t.Context(), a.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSpendOnce lets a hundred callers spend the same approval at once.
func TestSpendOnce(t *testing.T) {
	h := newHouse(t)
	a := h.approved(held())
	var wins atomic.Int32
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if err := h.spend(a.ID); err == nil {
				wins.Add(1)
			} else if fault.KindOf(err) != fault.Conflict {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if wins.Load() != 1 {
		t.Errorf("%d callers spent it", wins.Load())
	}
	h.wantStory(a.ID, "approval.requested approval.answered:approved approval.ended:spent ")
}

// TestSpendForSomethingElse presents a good approval with one thing changed.
func TestSpendForSomethingElse(t *testing.T) {
	h := newHouse(t)
	a := h.approved(held())
	for name, test := range map[string]struct{ id, digest, principal string }{
		"other text":       {a.ID, approval.Digest("orders-db", requester.ID(), statement+" ", nil), requester.ID()},
		"other connection": {a.ID, approval.Digest("orders", requester.ID(), statement, nil), requester.ID()},
		"with a parameter": {a.ID, approval.Digest("orders-db", requester.ID(), statement, []any{nil}), requester.ID()},
		"other principal":  {a.ID, digest(), ann.ID()},
		"no digest":        {a.ID, "", requester.ID()},
		"digest in case":   {a.ID, strings.ToUpper(digest()), requester.ID()},
		"part of a digest": {a.ID, digest()[:32], requester.ID()},
		"no principal":     {a.ID, digest(), ""},
	} {
		if err := h.Spend(t.Context(), test.id, test.digest, test.principal); fault.KindOf(err) != fault.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantKind(t, h.Spend(t.Context(), "00000-00000", digest(), requester.ID()), fault.NotFound)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	wantKind(t, h.Spend(gone, a.ID, digest(), requester.ID()), fault.Pending)
	if err := h.spend(a.ID); err != nil {
		t.Errorf("and then it is not there for the right thing: %v", err)
	}
	damaged := approvaltest.Sample("damaged", 0)
	damaged.State, damaged.Digest, damaged.ExpiresAt = access.ApprovalApproved, "", time.Now().Add(time.Hour)
	if err := h.store.Insert(t.Context(), damaged); err != nil {
		t.Fatal(err)
	}
	wantKind(t, h.Spend(t.Context(), damaged.ID, "", damaged.Principal), fault.Denied)
}

// TestExpiry lets time pass while someone waits, after an answer, and while nobody looks.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		begun := time.Now()
		waited := h.request(held())
		r := <-h.waiting(t.Context(), waited.ID)
		if r.err != nil || r.State != access.ApprovalExpired || time.Since(begun) != 15*time.Minute {
			t.Errorf("Wait returned %v after %s", r, time.Since(begun))
		}
		wantKind(t, h.answer(waited.ID, approval.Approve), fault.Conflict)
		h.wantStory(waited.ID, "approval.requested approval.ended:expired ")

		short := held()
		short.ExpiresAt = time.Now().Add(time.Minute)
		unspent, unanswered := h.approved(short), h.request(short)
		time.Sleep(time.Minute)
		wantKind(t, h.spend(unspent.ID), fault.Conflict)
		wantKind(t, h.answer(unanswered.ID, approval.Approve), fault.Conflict)
		h.wantStory(unspent.ID, "approval.requested approval.answered:approved approval.ended:expired ")

		short.ExpiresAt = time.Now().Add(time.Minute)
		listed, unseen := h.request(short), h.request(short)
		time.Sleep(time.Minute)
		pending, err := h.List(t.Context(), approval.Filter{States: []access.ApprovalState{access.ApprovalPending}})
		if err != nil || len(pending) != 0 {
			t.Errorf("listed as pending: %v, %v", pending, err)
		}
		h.wantStory(listed.ID, "approval.requested approval.ended:expired ")
		h.wantStory(unseen.ID, "approval.requested approval.ended:expired ")

		short.ExpiresAt = time.Now().Add(time.Minute)
		swept := h.request(short)
		go func() { ran <- h.Run(ctx) }()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		h.wantStory(swept.ID, "approval.requested approval.ended:expired ")
		stop()
		if err := <-ran; err == nil {
			t.Error("Run ends without a cause")
		}
	})
}

// TestClientGone ends the wait of a client that left, in each state.
func TestClientGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		revoked := fault.New(fault.Denied, "session", "the token has expired")
		for name, test := range map[string]struct {
			ask   access.Approval
			cause error
			state access.ApprovalState
			kind  fault.Kind
		}{
			"left":            {held(), nil, access.ApprovalCancelled, fault.Pending},
			"thrown out":      {held(), revoked, access.ApprovalCancelled, fault.Denied},
			"left, may reuse": {reusable(), nil, access.ApprovalPending, fault.Pending},
		} {
			a := h.request(test.ask)
			ctx, leave := context.WithCancelCause(t.Context())
			got := h.waiting(ctx, a.ID)
			synctest.Wait()
			leave(test.cause)
			r := <-got
			wantKind(t, r.err, test.kind)
			if r.State != test.state {
				t.Errorf("%s: %v", name, r)
			}
			h.wantState(a.ID, test.state)
		}
		a := h.approved(held())
		ctx, leave := context.WithCancel(t.Context())
		leave()
		r := <-h.waiting(ctx, a.ID)
		wantKind(t, r.err, fault.Pending)
		h.wantState(a.ID, access.ApprovalExpired)
		wantKind(t, h.spend(a.ID), fault.Conflict)
		if _, err := h.Wait(t.Context(), "00000-00000"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("Wait for nothing: %v", err)
		}
	})
}

// TestReuse asks again for what was approved, and for what only looks like it.
func TestReuse(t *testing.T) {
	h := newHouse(t)
	a := h.request(reusable())
	if again := h.request(reusable()); again.ID != a.ID {
		t.Error("a pending request is filed twice")
	}
	if err := h.answer(a.ID, approval.Approve); err != nil {
		t.Fatal(err)
	}
	if again := h.request(reusable()); again.ID != a.ID || again.State != access.ApprovalApproved {
		t.Errorf("not used again: %+v", again)
	}
	for name, change := range map[string]func(*access.Approval){
		"not to be reused": func(a *access.Approval) { a.Reuse = false },
		"other principal":  func(a *access.Approval) { a.Principal = ben.ID() },
		"other digest":     func(a *access.Approval) { a.Digest = strings.Repeat("0", 64) },
		"other connection": func(a *access.Approval) { a.Connection = "billing-db" },
		"more reviewers":   func(a *access.Approval) { a.Reviewers = [][]string{{"dba"}, {"security"}} },
		"other reviewers":  func(a *access.Approval) { a.Reviewers = [][]string{{"lead"}} },
	} {
		b := reusable()
		change(&b)
		if b = h.request(b); b.ID == a.ID {
			t.Errorf("%s: the same approval is used", name)
		}
	}
	if err := h.spend(a.ID); err != nil {
		t.Fatal(err)
	}
	if again := h.request(reusable()); again.ID == a.ID {
		t.Error("a spent approval is used again")
	}
}

// TestReuseAtOnce lets a client that reconnects in a hurry ask for the same thing many times at once.
func TestReuseAtOnce(t *testing.T) {
	h := newHouse(t)
	var ids sync.Map
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			a, err := h.Request(t.Context(), reusable())
			if err != nil {
				t.Error(err)
			}
			ids.Store(a.ID, true)
		})
	}
	all.Wait()
	list, err := h.List(t.Context(), approval.Filter{})
	if err != nil || len(list) != 1 {
		t.Errorf("%d approvals, %v", len(list), err)
	}
	ids.Range(func(id, _ any) bool {
		if id != list[0].ID {
			t.Errorf("someone was given %v", id)
		}
		return true
	})
}

// TestRestart crashes with one approval in each state.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		short := reusable()
		short.Digest, short.ExpiresAt = strings.Repeat("0", 64), time.Now().Add(time.Minute)
		pending, approved, late := h.request(held()), h.approved(held()), h.request(short)
		other := reusable()
		other.Digest = strings.Repeat("1", 64)
		kept, given := h.request(reusable()), h.approved(other)
		done := h.approved(held())
		if err := h.spend(done.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)

		h = h.restarted()
		if err := h.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.wantState(pending.ID, access.ApprovalCancelled)
		h.wantState(approved.ID, access.ApprovalExpired)
		h.wantState(late.ID, access.ApprovalExpired)
		h.wantState(done.ID, access.ApprovalSpent)
		h.wantStory(pending.ID, "approval.requested approval.ended:cancelled ")
		wantKind(t, h.spend(approved.ID), fault.Conflict)
		if again := h.request(reusable()); again.ID != kept.ID {
			t.Error("a request that may be reused was lost")
		}
		if again := h.request(other); again.ID != given.ID || again.State != access.ApprovalApproved {
			t.Error("an approval that may be reused was lost")
		}
		h.book.breakDown(errDown, nil)
		if err := h.request2(held()); err == nil {
			t.Error("a request goes on without a log")
		}
		time.Sleep(time.Hour)
		if err := h.restarted().Recover(t.Context()); err == nil {
			t.Error("Recover hides that the log is down")
		}
	})
}

func (h *house) request2(a access.Approval) error {
	_, err := h.Request(h.t.Context(), a)
	return err
}

// TestNothingHappensUnrecorded breaks the log before each change: nothing changes, and no one is told that it did.
func TestNothingHappensUnrecorded(t *testing.T) {
	for name, down := range map[string]func(*book){
		"full":       func(b *book) { b.breakDown(errDown, nil) },
		"not synced": func(b *book) { b.breakDown(nil, errDown) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			pending, approved := h.request(held()), h.approved(held())
			down(h.book)
			if err := h.request2(held()); err == nil {
				t.Error("a request was taken")
			}
			if err := h.answer(pending.ID, approval.Approve); err == nil {
				t.Error("an answer was taken")
			}
			if err := h.spend(approved.ID); err == nil {
				t.Error("an approval was spent")
			}
			if _, err := h.Cancel(t.Context(), pending.ID); err == nil {
				t.Error("a request was cancelled")
			}
			h.book.breakDown(nil, nil)
			h.wantState(pending.ID, access.ApprovalPending)
			h.wantState(approved.ID, access.ApprovalApproved)
			list, err := h.List(t.Context(), approval.Filter{})
			if err != nil || len(list) != 2 {
				t.Errorf("%d approvals, %v", len(list), err)
			}
		})
	}
}

// TestStoreFailsAfterTheRecord breaks the store instead: the log says that what it announced did not happen.
func TestStoreFailsAfterTheRecord(t *testing.T) {
	h := newHouse(t)
	store := &fragile{Memory: h.store}
	h.Room = approval.New(store, h.book, approval.Options{Clock: time.Now, Rand: zeros{}})
	store.insert = errDown
	if err := h.request2(held()); err == nil {
		t.Error("a request that was not kept was taken")
	}
	const first = "00000-00000"
	h.wantStory(first, "approval.requested approval.requested!error ")
	store.insert = nil
	a := h.approved(held())
	store.transition = errDown
	if err := h.spend(a.ID); err == nil {
		t.Error("spent, though the store failed")
	}
	store.transition, store.lose = nil, true
	wantKind(t, h.spend(a.ID), fault.Conflict)
	h.wantStory(first, "approval.requested approval.requested!error approval.requested approval.answered:approved "+
		"approval.ended:spent approval.ended:spent!error approval.ended:spent approval.ended:spent!error ")
	store.lose = false
	wantKind(t, h.request2(held()), fault.Conflict) // the same id again and again
	if err := h.spend(a.ID); err != nil {
		t.Error(err)
	}
}

// zeros is randomness that never varies.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestLimits(t *testing.T) {
	h := newHouseWith(t, approval.Options{PerPrincipal: 2, PerConnection: 3, Total: 4, MaxText: 100})
	as := func(principal, connection string) access.Approval {
		a := held()
		a.Principal, a.Connection = principal, connection
		return a
	}
	refused := func(a access.Approval, say string) {
		t.Helper()
		err := h.request2(a)
		if wantKind(t, err, fault.Unavailable); err != nil && !strings.Contains(err.Error(), say) {
			t.Errorf("%v does not say %q", err, say)
		}
	}
	first := h.request(as("p", "c"))
	h.request(as("q", "c"))
	h.request(as("r", "c"))
	refused(as("s", "c"), "on this connection")
	h.request(as("p", "d"))
	refused(as("p", "e"), "of yours")
	refused(as("s", "e"), "4 requests wait")
	if err := h.answer(first.ID, approval.Approve); err != nil {
		t.Fatal(err)
	}
	h.request(as("p", "e"))

	for name, change := range map[string]func(*access.Approval){
		"too long to read":   func(a *access.Approval) { a.Text = strings.Repeat("x", 101) },
		"no digest":          func(a *access.Approval) { a.Digest = "" },
		"half a digest":      func(a *access.Approval) { a.Digest = a.Digest[:32] },
		"no principal":       func(a *access.Approval) { a.Principal = "" },
		"no connection":      func(a *access.Approval) { a.Connection = "" },
		"no actions":         func(a *access.Approval) { a.Actions = nil },
		"over already":       func(a *access.Approval) { a.ExpiresAt = time.Now() },
		"longer than a day":  func(a *access.Approval) { a.ExpiresAt = time.Now().Add(25 * time.Hour) },
		"expires before all": func(a *access.Approval) { a.ExpiresAt = time.Unix(0, 0) },
	} {
		a := held()
		change(&a)
		if err := h.request2(a); fault.KindOf(err) != fault.Malformed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRequestTrustsNothing files a request that claims to be answered already.
func TestRequestTrustsNothing(t *testing.T) {
	h := newHouse(t)
	a := held()
	a.ID, a.State, a.Reviewer, a.Reason, a.AnsweredAt = "mine", access.ApprovalApproved, ann.ID(), "yes", time.Now()
	a = h.request(a)
	if a.ID == "mine" || a.State != access.ApprovalPending || a.Reviewer != "" || a.Reason != "" || !a.AnsweredAt.IsZero() {
		t.Errorf("%+v", a)
	}
}

func TestSlowWatcherIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouseWith(t, approval.Options{PerPrincipal: 1000, PerConnection: 1000})
		ctx, stop := context.WithCancel(t.Context())
		changes := h.Watch(ctx)
		for range 100 {
			h.request(held())
		}
		n := 0
		for range changes {
			n++
		}
		if n != 64 {
			t.Errorf("%d changes before it was dropped", n)
		}
		stop()
		synctest.Wait()
	})
}

// TestManyAtOnce runs requesters, reviewers and spenders against each other: every approval ends where its log says.
func TestManyAtOnce(t *testing.T) {
	h := newHouseWith(t, approval.Options{PerPrincipal: 1000, PerConnection: 1000})
	var spent atomic.Int32
	var all sync.WaitGroup
	for n := range 60 {
		all.Go(func() {
			a := h.request(held())
			got := h.waiting(t.Context(), a.ID)
			choice := []approval.Choice{approval.Approve, approval.Deny}[n%2]
			if err := h.answer(a.ID, choice); err != nil {
				t.Error(err)
			}
			if r := <-got; r.State == access.ApprovalApproved && h.spend(a.ID) == nil {
				spent.Add(1)
			}
		})
	}
	all.Wait()
	list, err := h.store.List(t.Context(), approval.Filter{})
	if err != nil || len(list) != 60 || spent.Load() != 30 {
		t.Fatalf("%d approvals, %d spent, %v", len(list), spent.Load(), err)
	}
	for _, a := range list {
		end := map[access.ApprovalState]string{
			access.ApprovalSpent:  "approval.answered:approved approval.ended:spent ",
			access.ApprovalDenied: "approval.answered:denied ",
		}[a.State]
		h.wantStory(a.ID, "approval.requested "+end)
	}
}

var _ approval.Store = (*approvaltest.Memory)(nil)

func ExampleNormalize() {
	fmt.Println(approval.Normalize("7F3KQ XO4ZM"), approval.Normalize("not an id"))
	// Output: 7f3kq-x04zm not an id
}
