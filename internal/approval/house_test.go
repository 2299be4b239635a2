package approval_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/approval"
	"gatehouse/internal/approval/approvaltest"
	"gatehouse/internal/fault"
)

// book is an audit log that tests read, and break.
type book struct {
	mu     sync.Mutex
	events []access.Event
	synced uint64
	full   error // what Append answers
	broken error // what Barrier answers
}

func (b *book) Append(e *access.Event) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full != nil {
		return 0, b.full
	}
	b.events = append(b.events, *e)
	return uint64(len(b.events)), nil
}

func (b *book) Barrier(seq uint64) error {
	for range 20 {
		runtime.Gosched() // a real log takes its time here, in which others run
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return b.broken
	}
	b.synced = max(b.synced, seq)
	return nil
}

func (b *book) breakDown(full, broken error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.full, b.broken = full, broken
}

// story spells the durable events of one approval: their kind and state, in order.
func (b *book) story(id string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := ""
	for _, e := range b.events[:b.synced] {
		if e.Approval != id {
			continue
		}
		s += string(e.Kind)
		if state := e.Detail["state"]; state != "" {
			s += ":" + state
		}
		if e.Status != "" {
			s += "!" + string(e.Status)
		}
		s += " "
	}
	return s
}

// house is a room with all that it needs.
type house struct {
	*approval.Room
	t     *testing.T
	store *approvaltest.Memory
	book  *book
}

func newHouse(t *testing.T) *house { return newHouseWith(t, approval.Options{}) }

func newHouseWith(t *testing.T, o approval.Options) *house {
	t.Helper()
	o.Clock, o.Rand = time.Now, rand.Reader
	h := &house{t: t, store: new(approvaltest.Memory), book: new(book)}
	h.Room = approval.New(h.store, h.book, o)
	return h
}

// restarted is the same house after a crash: a new room over what was kept.
func (h *house) restarted() *house {
	next := &house{t: h.t, store: h.store, book: h.book}
	next.Room = approval.New(h.store, h.book, approval.Options{Clock: time.Now, Rand: rand.Reader})
	return next
}

var (
	requester = &access.Principal{Issuer: "https://issuer.example", Subject: "refund-fn", Kind: access.Workload}
	ann       = &access.Principal{Issuer: "https://people.example", Subject: "ann", Kind: access.Person}
	ben       = &access.Principal{Issuer: "https://people.example", Subject: "ben", Kind: access.Person}
)

const statement = "delete from payments where id = 7"

func digest() string { return approval.Digest("orders-db", requester.ID(), statement, nil) }

// held is a request as the gate makes it.
func held() access.Approval {
	return access.Approval{
		Digest: digest(), Session: "s1", Principal: requester.ID(), Roles: []string{"refunds"}, Connection: "orders-db",
		Text: statement, Actions: []access.Action{{Name: "sql:Delete", Resource: "orders-db/public.payments"}},
		Because: access.Because{Policy: "refund-function", Statement: 2}, Reviewers: [][]string{{"dba"}},
	}
}

func reusable() access.Approval {
	a := held()
	a.Reuse = true
	return a
}

func (h *house) request(a access.Approval) access.Approval {
	h.t.Helper()
	a, err := h.Request(h.t.Context(), a)
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

func (h *house) answer(id string, c approval.Choice) error {
	_, err := h.Answer(h.t.Context(), id, ann, []string{"dba"}, approval.Decision{Choice: c, Reason: "ticket 12"})
	return err
}

func (h *house) approved(a access.Approval) access.Approval {
	h.t.Helper()
	a = h.request(a)
	if err := h.answer(a.ID, approval.Approve); err != nil {
		h.t.Fatal(err)
	}
	return a
}

func (h *house) spend(id string) error {
	return h.Spend(h.t.Context(), id, digest(), requester.ID())
}

func (h *house) wantState(id string, want access.ApprovalState) {
	h.t.Helper()
	a, err := h.Get(h.t.Context(), id)
	if err != nil || a.State != want {
		h.t.Errorf("it is %q, want %q, %v", a.State, want, err)
	}
}

func (h *house) wantStory(id, want string) {
	h.t.Helper()
	if got := h.book.story(id); got != want {
		h.t.Errorf("the log tells\n%s\nwant\n%s", got, want)
	}
}

func wantKind(t *testing.T, err error, want fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != want {
		t.Errorf("got %v, want a fault of kind %v", err, want)
	}
}

// waiting waits in the background, and gives what Wait returned.
func (h *house) waiting(ctx context.Context, id string) <-chan result {
	c := make(chan result, 1)
	go func() {
		a, err := h.Wait(ctx, id)
		c <- result{a, err}
	}()
	return c
}

type result struct {
	access.Approval
	err error
}

var errDown = errors.New("down, for the test")

// fragile is a store whose changes fail when told to.
type fragile struct {
	*approvaltest.Memory
	insert, transition error
	lose               bool // another node is faster
}

func (f *fragile) Insert(ctx context.Context, a access.Approval) error {
	if f.insert != nil {
		return f.insert
	}
	return f.Memory.Insert(ctx, a)
}

func (f *fragile) Transition(ctx context.Context, from access.ApprovalState, next access.Approval) (bool, error) {
	if f.transition != nil || f.lose {
		return false, f.transition
	}
	return f.Memory.Transition(ctx, from, next)
}

func (r result) String() string { return fmt.Sprintf("%s, %v", r.State, r.err) }
