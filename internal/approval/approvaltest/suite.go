package approvaltest

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/approval"
	"gatehouse/internal/fault"
)

// Sample returns an approval in which every field is set, with the given id, requested n seconds after a fixed time.
func Sample(id string, n int) access.Approval {
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(n) * time.Second)
	return access.Approval{
		ID: id, State: access.ApprovalPending, Digest: strings.Repeat("ab", 32), Session: "s1",
		Principal: "https://issuer.example#fn", Roles: []string{"refunds"}, Connection: "orders-db",
		Text:    "delete from payments where id = 7",
		Actions: []access.Action{{Name: "sql:Delete", Resource: "orders-db/public.payments"}},
		Because: access.Because{Policy: "refund-function", Statement: 2}, Message: "ask the dba",
		Reviewers: [][]string{{"dba", "lead"}, {"security"}}, Reuse: true,
		RequestedAt: at, ExpiresAt: at.Add(15 * time.Minute),
	}
}

// RunStore runs what every approval.Store must pass; open returns an empty one.
func RunStore(t *testing.T, open func(t *testing.T) approval.Store) {
	t.Run("keeps every field", func(t *testing.T) { keepsEveryField(t, open(t)) })
	t.Run("lists what matches", func(t *testing.T) { listsWhatMatches(t, open(t)) })
	t.Run("one transition wins", func(t *testing.T) { oneTransitionWins(t, open(t)) })
	t.Run("unknown ids", func(t *testing.T) { unknownIDs(t, open(t)) })
}

func keepsEveryField(t *testing.T, s approval.Store) {
	ctx, want := t.Context(), Sample("a", 0)
	if err := s.Insert(ctx, want); err != nil {
		t.Fatal(err)
	}
	if err := s.Insert(ctx, want); fault.KindOf(err) != fault.Conflict {
		t.Errorf("second Insert: %v, want a conflict", err)
	}
	want.State, want.Reviewer, want.Reason = access.ApprovalDenied, "https://issuer.example#ann", "no"
	want.AnsweredAt = want.RequestedAt.Add(time.Minute)
	if ok, err := s.Transition(ctx, access.ApprovalPending, want); !ok || err != nil {
		t.Fatalf("Transition: %v, %v", ok, err)
	}
	got, err := s.Get(ctx, "a")
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Get: %v, %s", err, diff)
	}
}

func listsWhatMatches(t *testing.T, s approval.Store) {
	ctx := t.Context()
	for n, id := range []string{"c", "a", "b"} {
		a := Sample(id, n)
		if id == "a" {
			a.Principal = "https://issuer.example#other"
		}
		if id == "b" {
			a.State, a.Digest = access.ApprovalApproved, strings.Repeat("cd", 32)
		}
		if err := s.Insert(ctx, a); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		f    approval.Filter
		want string
	}{
		{approval.Filter{}, "cab"},
		{approval.Filter{Limit: 2}, "ab"},
		{approval.Filter{States: []access.ApprovalState{access.ApprovalPending}}, "ca"},
		{approval.Filter{States: []access.ApprovalState{access.ApprovalPending, access.ApprovalApproved}}, "cab"},
		{approval.Filter{States: []access.ApprovalState{access.ApprovalSpent}}, ""},
		{approval.Filter{Principal: "https://issuer.example#fn"}, "cb"},
		{approval.Filter{Digest: strings.Repeat("cd", 32)}, "b"},
		{approval.Filter{Principal: "https://issuer.example#other", Digest: strings.Repeat("cd", 32)}, ""},
	} {
		list, err := s.List(ctx, test.f)
		got := ""
		for _, a := range list {
			got += a.ID
		}
		if err != nil || got != test.want {
			t.Errorf("List(%+v) = %q, %v; want %q", test.f, got, err, test.want)
		}
	}
}

func oneTransitionWins(t *testing.T, s approval.Store) {
	ctx := t.Context()
	if err := s.Insert(ctx, Sample("a", 0)); err != nil {
		t.Fatal(err)
	}
	var wins atomic.Int32
	var winner atomic.Value
	var all sync.WaitGroup
	for n := range 32 {
		all.Go(func() {
			next := Sample("a", 0)
			next.State, next.Reviewer = access.ApprovalApproved, strconv.Itoa(n)
			ok, err := s.Transition(ctx, access.ApprovalPending, next)
			if err != nil {
				t.Error(err)
			}
			if ok {
				wins.Add(1)
				winner.Store(next.Reviewer)
			}
		})
	}
	all.Wait()
	a, err := s.Get(ctx, "a")
	if wins.Load() != 1 || err != nil || a.Reviewer != winner.Load() {
		t.Errorf("%d winners, %v is kept, %v won, %v", wins.Load(), a.Reviewer, winner.Load(), err)
	}
}

func unknownIDs(t *testing.T, s approval.Store) {
	if _, err := s.Get(t.Context(), "none"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Get: %v, want not found", err)
	}
	if ok, err := s.Transition(t.Context(), access.ApprovalPending, Sample("none", 0)); ok || err != nil {
		t.Errorf("Transition: %v, %v", ok, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Insert(ctx, Sample("a", 0)); err == nil {
		t.Error("Insert ignores a context that has ended")
	}
}
