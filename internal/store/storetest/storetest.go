// Package storetest is the suite that every store must pass, whatever database carries it.
package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/store"
)

// Now is the time at which the suite's clock stands when a store is opened; each reading moves it on by a second.
func Now() time.Time { return time.Date(2030, 1, 2, 3, 4, 5, 6000, time.UTC) }

// Clock returns a clock that begins at Now and moves on by a second at each reading.
func Clock() func() time.Time {
	var n atomic.Int64
	return func() time.Time { return Now().Add(time.Duration(n.Add(1)-1) * time.Second) }
}

// Opener opens a new, empty store that uses the clock; the store is closed by the opener when the test ends.
type Opener func(t testing.TB, clock func() time.Time) *store.Store

// Run runs the suite.
func Run(t *testing.T, open Opener) {
	for name, test := range map[string]func(t *testing.T, s *store.Store){
		"empty":                   empty,
		"documents":               documents,
		"apply is all or nothing": atomicApply,
		"apply is optimistic":     optimisticApply,
		"concurrent applies":      concurrentApplies,
		"history":                 history,
		"secrets":                 secrets,
		"rewriting secrets":       rewriteSecrets,
		"approvals":               approvals,
		"approval transitions":    transitions,
		"one answer wins":         oneAnswerWins,
		"meta":                    meta,
		"ended requests":          endedRequests,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t, Clock())) })
	}
	t.Run("agrees with a map", func(t *testing.T) { agreesWithMap(t, open) })
}

func policy(name, message string) *access.Policy {
	return &access.Policy{Name: name, Statements: []access.PolicyStatement{{Effect: "deny", Resources: []string{"*"}, Message: message}}}
}

func role(name string) *access.Role {
	return &access.Role{Name: name, Bind: []access.Binding{{Issuer: "i", Claims: map[string]any{"n": int64(1) << 60, "f": 0.5, "l": []any{"x", int64(2)}}}}}
}

func apply(t *testing.T, s *store.Store, expect uint64, changes ...store.Change) uint64 {
	t.Helper()
	n, err := s.Apply(t.Context(), "author", expect, changes...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind {
		t.Errorf("got %v, want the kind %v", err, kind)
	}
	if say, _ := fault.Say(err); strings.Contains(say, "its log says why") {
		t.Errorf("%v tells the reader nothing", err)
	}
}

func wantDocuments(t *testing.T, s *store.Store, revision uint64, want ...access.Document) {
	t.Helper()
	docs, n, err := s.Documents(t.Context())
	if err != nil || n != revision {
		t.Fatalf("revision %d, want %d; %v", n, revision, err)
	}
	if d := cmp.Diff(want, docs); d != "" {
		t.Fatal(d)
	}
	if n, err := s.Revision(t.Context()); n != revision || err != nil {
		t.Fatalf("Revision: %d, want %d; %v", n, revision, err)
	}
}

func empty(t *testing.T, s *store.Store) {
	wantDocuments(t, s, 0)
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	names, err := s.Secrets().Names(t.Context())
	list, err2 := s.Approvals().List(t.Context(), store.ApprovalFilter{})
	past, err3 := s.History(t.Context(), access.KindRole, "r")
	if err := errors.Join(err, err2, err3); err != nil || len(names)+len(list)+len(past) != 0 {
		t.Fatalf("%v %v %v %v", names, list, past, err)
	}
}

func documents(t *testing.T, s *store.Store) {
	apply(t, s, 0, store.Put(role("r")), store.Put(policy("b", "1")), store.Put(policy("a", "1")))
	wantDocuments(t, s, 1, policy("a", "1"), policy("b", "1"), role("r"))
	if n := apply(t, s, 1, store.Put(policy("a", "1")), store.Put(role("r"))); n != 1 {
		t.Errorf("documents that are as they should be made revision %d", n)
	}
	apply(t, s, 1, store.Put(policy("b", "2")), store.Put(policy("a", "1")))
	e, err := s.Get(t.Context(), access.KindPolicy, "b")
	if err != nil || e.Revision != 2 || !e.Created.Equal(Now()) || !e.Updated.After(e.Created) || cmp.Diff(access.Document(policy("b", "2")), e.Document) != "" {
		t.Errorf("got %+v, %v", e, err)
	}
	list, err := s.List(t.Context(), access.KindPolicy)
	if err != nil || len(list) != 2 || list[0].Document.DocName() != "a" || list[0].Revision != 1 || list[1].Revision != 2 {
		t.Errorf("got %+v, %v", list, err)
	}
	apply(t, s, 2, store.Remove(access.KindPolicy, "a"))
	wantDocuments(t, s, 3, policy("b", "2"), role("r"))
	_, err = s.Get(t.Context(), access.KindPolicy, "a")
	wantKind(t, err, fault.NotFound)
	_, err = s.Get(t.Context(), access.KindRole, "b")
	wantKind(t, err, fault.NotFound)
}

func atomicApply(t *testing.T, s *store.Store) {
	apply(t, s, 0, store.Put(policy("a", "1")))
	for name, c := range map[string]struct {
		changes []store.Change
		kind    fault.Kind
	}{
		"removing what is not there": {[]store.Change{store.Put(policy("a", "2")), store.Remove(access.KindPolicy, "none")}, fault.NotFound},
		"naming one twice":           {[]store.Change{store.Put(policy("a", "2")), store.Remove(access.KindPolicy, "a")}, fault.Malformed},
		"an unknown kind":            {[]store.Change{store.Put(policy("a", "2")), store.Remove("Wish", "a")}, fault.Malformed},
		"no name":                    {[]store.Change{store.Put(policy("a", "2")), store.Put(policy("", "2"))}, fault.Malformed},
		"too large":                  {[]store.Change{store.Put(policy("a", "2")), store.Put(policy("b", strings.Repeat("x", 3<<20)))}, fault.Malformed},
		"not for JSON": {[]store.Change{store.Put(policy("a", "2")), store.Put(&access.Role{
			Name: "r", Bind: []access.Binding{{Claims: map[string]any{"x": make(chan int)}}},
		})}, fault.Malformed},
	} {
		if _, err := s.Apply(t.Context(), "author", 1, c.changes...); err == nil || fault.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
		wantDocuments(t, s, 1, policy("a", "1"))
	}
}

func optimisticApply(t *testing.T, s *store.Store) {
	apply(t, s, 0, store.Put(policy("a", "1")))
	for _, expect := range []uint64{0, 2, 1 << 63, ^uint64(0)} {
		_, err := s.Apply(t.Context(), "author", expect, store.Put(policy("a", "2")))
		wantKind(t, err, fault.Conflict)
		_, err = s.Apply(t.Context(), "author", expect, store.Put(policy("a", "1"))) // nothing to do is no excuse
		wantKind(t, err, fault.Conflict)
	}
	wantDocuments(t, s, 1, policy("a", "1"))
}

// concurrentApplies: of those that saw the same revision, one wins; readers never see half a change.
func concurrentApplies(t *testing.T, s *store.Store) {
	const writers = 8
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			_, err := s.Apply(t.Context(), "author", 0, store.Put(policy("a", fmt.Sprint(i))), store.Put(policy("b", fmt.Sprint(i))))
			if err == nil {
				won.Add(1)
			} else if fault.KindOf(err) != fault.Conflict {
				t.Error(err)
			}
		})
		wg.Go(func() {
			docs, n, err := s.Documents(t.Context())
			if err != nil || len(docs) != 2*int(n) {
				t.Errorf("%d documents at revision %d: %v", len(docs), n, err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d of %d won", won.Load(), writers)
	}
	docs, _, err := s.Documents(t.Context())
	if err != nil || docs[0].(*access.Policy).Statements[0].Message != docs[1].(*access.Policy).Statements[0].Message {
		t.Fatalf("two writers share the result: %v", err)
	}
}

func history(t *testing.T, s *store.Store) {
	apply(t, s, 0, store.Put(policy("a", "1")))
	if _, err := s.Apply(t.Context(), "someone else", 1, store.Put(policy("a", "2"))); err != nil {
		t.Fatal(err)
	}
	apply(t, s, 2, store.Remove(access.KindPolicy, "a"))
	apply(t, s, 3, store.Put(policy("a", "3")))
	got, err := s.History(t.Context(), access.KindPolicy, "a")
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i].At.Before(Now()) || (i > 0 && !got[i].At.After(got[i-1].At)) {
			t.Errorf("version %d is from %s", i, got[i].At)
		}
		got[i].At = time.Time{}
	}
	if d := cmp.Diff([]store.Version{
		{Revision: 1, Document: policy("a", "1"), Author: "author"},
		{Revision: 2, Document: policy("a", "2"), Author: "someone else"},
		{Revision: 3, Author: "author"},
		{Revision: 4, Document: policy("a", "3"), Author: "author"},
	}, got); d != "" {
		t.Error(d)
	}
}

func secrets(t *testing.T, s *store.Store) {
	ctx, x := t.Context(), s.Secrets()
	sealed := []byte("\x00\xff sealed")
	if err := errors.Join(x.Put(ctx, "b", []byte("old")), x.Put(ctx, "b", sealed), x.Put(ctx, "a", []byte("1"))); err != nil {
		t.Fatal(err)
	}
	if got, err := x.Get(ctx, "b"); err != nil || string(got) != string(sealed) {
		t.Errorf("got %q, %v", got, err)
	}
	if names, err := x.Names(ctx); err != nil || strings.Join(names, " ") != "a b" {
		t.Errorf("got %v, %v", names, err)
	}
	if err := x.Delete(ctx, "b"); err != nil {
		t.Error(err)
	}
	wantKind(t, x.Delete(ctx, "b"), fault.NotFound)
	_, err := x.Get(ctx, "b")
	wantKind(t, err, fault.NotFound)
}

func rewriteSecrets(t *testing.T, s *store.Store) {
	ctx, x := t.Context(), s.Secrets()
	if err := errors.Join(x.Put(ctx, "a", []byte("1")), x.Put(ctx, "b", []byte("2"))); err != nil {
		t.Fatal(err)
	}
	stop := fault.New(fault.Unavailable, "test", "stop")
	err := x.Rewrite(ctx, func(name string, sealed []byte) ([]byte, error) {
		if name == "b" {
			return nil, stop
		}
		return append(sealed, 'x'), nil
	})
	if !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
	if got, err := x.Get(ctx, "a"); err != nil || string(got) != "1" {
		t.Fatalf("half a rewriting stayed: %q, %v", got, err)
	}
	// Puts that come meanwhile are not lost: they wait, and win.
	var wg sync.WaitGroup
	err = x.Rewrite(ctx, func(name string, sealed []byte) ([]byte, error) {
		if name == "a" {
			wg.Go(func() {
				if err := x.Put(ctx, "a", []byte("new")); err != nil {
					t.Error(err)
				}
			})
		}
		return append([]byte(name), sealed...), nil
	})
	wg.Wait()
	a, err2 := x.Get(ctx, "a")
	b, err3 := x.Get(ctx, "b")
	if err := errors.Join(err, err2, err3); err != nil || string(a) != "new" || string(b) != "b2" {
		t.Fatalf("got %q %q, %v", a, b, err)
	}
}

// sample is an approval in which every field is set, requested n seconds after Now.
func sample(id string, n int) access.Approval {
	at := Now().Add(time.Duration(n) * time.Second)
	return access.Approval{
		ID: id, State: access.ApprovalPending, Digest: "d1", Session: "s", Principal: "i#fn", Roles: []string{"r"}, Connection: "c",
		Text: "delete from t", Actions: []access.Action{{Name: "sql:Delete", Resource: "c/public.t", Fields: []string{"c/public.t.f"}}},
		Because: access.Because{Policy: "p", Statement: 2, Guardrail: true}, Message: "m", Reviewers: [][]string{{"a", "b"}, {"c"}},
		Reuse: true, RequestedAt: at, ExpiresAt: at.Add(15 * time.Minute),
	}
}

func approvals(t *testing.T, s *store.Store) {
	ctx, x := t.Context(), s.Approvals()
	other := sample("b", 0)
	other.Principal, other.Digest = "i#other", "d2"
	for _, a := range []access.Approval{sample("c", 1), sample("a", 2), other} {
		if err := x.Insert(ctx, a); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, x.Insert(ctx, sample("c", 9)), fault.Conflict)
	wantKind(t, x.Insert(ctx, sample("", 9)), fault.Malformed)
	if got, err := x.Get(ctx, "c"); err != nil || cmp.Diff(sample("c", 1), got) != "" {
		t.Errorf("%v\n%s", err, cmp.Diff(sample("c", 1), got))
	}
	_, err := x.Get(ctx, "none")
	wantKind(t, err, fault.NotFound)
	if ok, err := x.Transition(ctx, access.ApprovalPending, access.Approval{ID: "a", State: access.ApprovalDenied}); !ok || err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		f    store.ApprovalFilter
		want string
	}{
		{store.ApprovalFilter{}, "bca"},
		{store.ApprovalFilter{Limit: 2}, "ca"},
		{store.ApprovalFilter{States: []access.ApprovalState{access.ApprovalPending}}, "bc"},
		{store.ApprovalFilter{States: []access.ApprovalState{access.ApprovalPending, access.ApprovalDenied}, Principal: "i#fn"}, "ca"},
		{store.ApprovalFilter{States: []access.ApprovalState{access.ApprovalSpent}}, ""},
		{store.ApprovalFilter{Principal: "i#fn", Digest: "d2"}, ""},
		{store.ApprovalFilter{Digest: "d2"}, "b"},
		{store.ApprovalFilter{Digest: "' OR 1=1 --"}, ""},
	} {
		list, err := x.List(ctx, c.f)
		got := ""
		for _, a := range list {
			got += a.ID
		}
		if err != nil || got != c.want {
			t.Errorf("%+v: %q, want %q; %v", c.f, got, c.want, err)
		}
	}
}

// transitions tries every pair of states: exactly those of access.ApprovalState pass, and nothing but the answer changes.
func transitions(t *testing.T, s *store.Store) {
	ctx, x := t.Context(), s.Approvals()
	states := []access.ApprovalState{
		access.ApprovalPending, access.ApprovalApproved, access.ApprovalDenied, access.ApprovalExpired, access.ApprovalCancelled, access.ApprovalSpent, "", "made up",
	}
	legal := map[[2]access.ApprovalState]bool{
		{access.ApprovalPending, access.ApprovalApproved}: true, {access.ApprovalPending, access.ApprovalDenied}: true,
		{access.ApprovalPending, access.ApprovalExpired}: true, {access.ApprovalPending, access.ApprovalCancelled}: true,
		{access.ApprovalApproved, access.ApprovalSpent}: true, {access.ApprovalApproved, access.ApprovalExpired}: true,
		{access.ApprovalApproved, access.ApprovalCancelled}: true,
	}
	for i, from := range states {
		for j, to := range states {
			a := sample(fmt.Sprintf("%d-%d", i, j), 0)
			a.State = from
			if err := x.Insert(ctx, a); err != nil {
				t.Fatal(err)
			}
			want := a
			next := access.Approval{ID: a.ID, State: to, Reviewer: "i#ann", Reason: "why", AnsweredAt: Now().Add(time.Hour), Digest: "forged", Principal: "forged", Reuse: false}
			ok, err := x.Transition(ctx, from, next)
			if legal[[2]access.ApprovalState{from, to}] {
				want.State, want.Reviewer, want.Reason, want.AnsweredAt = to, next.Reviewer, next.Reason, next.AnsweredAt
				if !ok || err != nil {
					t.Errorf("%q to %q: %v, %v", from, to, ok, err)
				}
			} else if ok || err == nil {
				t.Errorf("%q to %q: %v, %v", from, to, ok, err)
			}
			if got, err := x.Get(ctx, a.ID); err != nil || cmp.Diff(want, got) != "" {
				t.Errorf("%q to %q: %v\n%s", from, to, err, cmp.Diff(want, got))
			}
		}
	}
	if ok, err := x.Transition(ctx, access.ApprovalPending, access.Approval{ID: "none", State: access.ApprovalDenied}); ok || err != nil {
		t.Errorf("an approval that does not exist: %v, %v", ok, err)
	}
}

// oneAnswerWins: many reviewers answer at once, half of them approving; then many clients spend at once.
func oneAnswerWins(t *testing.T, s *store.Store) {
	ctx, x := t.Context(), s.Approvals()
	for round := range 5 {
		id := fmt.Sprint(round)
		if err := x.Insert(ctx, sample(id, round)); err != nil {
			t.Fatal(err)
		}
		winner := race(t, x, access.ApprovalPending, func(i int) access.Approval {
			state := access.ApprovalApproved
			if i%2 == 1 {
				state = access.ApprovalDenied
			}
			return access.Approval{ID: id, State: state, Reviewer: fmt.Sprint(i)}
		})
		a, err := x.Get(ctx, id)
		if err != nil || a.Reviewer != winner.Reviewer || a.State != winner.State {
			t.Fatalf("%s won with %s, and the store has %s with %s: %v", winner.Reviewer, winner.State, a.Reviewer, a.State, err)
		}
		if a.State == access.ApprovalApproved {
			race(t, x, access.ApprovalApproved, func(int) access.Approval { return access.Approval{ID: id, State: access.ApprovalSpent} })
		}
	}
}

func race(t *testing.T, x *store.Approvals, from access.ApprovalState, next func(i int) access.Approval) access.Approval {
	t.Helper()
	var mu sync.Mutex
	var winners []access.Approval
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range 20 {
		wg.Go(func() {
			<-start
			ok, err := x.Transition(t.Context(), from, next(i))
			if err != nil {
				t.Error(err)
			}
			if ok {
				mu.Lock()
				winners = append(winners, next(i))
				mu.Unlock()
			}
		})
	}
	close(start)
	wg.Wait()
	if len(winners) != 1 {
		t.Fatalf("%d answers won", len(winners))
	}
	return winners[0]
}

func meta(t *testing.T, s *store.Store) {
	ctx := t.Context()
	id, err := s.GatewayID(ctx, rand.Reader)
	again, err2 := s.GatewayID(ctx, rand.Reader)
	if err := errors.Join(err, err2); err != nil || id != again || len(id) != 16 {
		t.Errorf("ids %q and %q, %v", id, again, err)
	}
	if _, locked, err := s.Locked(ctx); locked || err != nil {
		t.Errorf("a new store is locked: %v", err)
	}
	if err := errors.Join(s.SetLock(ctx, "leak", "i#ann"), s.SetLock(ctx, "another", "i#bob")); err != nil {
		t.Fatal(err)
	}
	if l, locked, err := s.Locked(ctx); !locked || err != nil || l.Reason != "leak" || l.By != "i#ann" || l.At.Before(Now()) {
		t.Errorf("got %+v %v %v", l, locked, err)
	}
	if err := s.SetMeta(ctx, "gateway.lock", "{"); err != nil {
		t.Fatal(err)
	}
	if _, locked, err := s.Locked(ctx); !locked || err != nil {
		t.Errorf("a broken lock does not lock: %v", err)
	}
	if err := errors.Join(s.ClearLock(ctx), s.ClearLock(ctx)); err != nil {
		t.Fatal(err)
	}
	if _, locked, err := s.Locked(ctx); locked || err != nil {
		t.Errorf("still locked: %v", err)
	}
	if _, ok, err := s.Meta(ctx, "none"); ok || err != nil {
		t.Errorf("got %v %v", ok, err)
	}
	if err := errors.Join(s.SetMeta(ctx, "k", "1"), s.SetMeta(ctx, "k", "2")); err != nil {
		t.Fatal(err)
	}
	if v, ok, err := s.Meta(ctx, "k"); v != "2" || !ok || err != nil {
		t.Errorf("got %q %v %v", v, ok, err)
	}
}

// endedRequests: a request that has ended changes nothing and is told so.
func endedRequests(t *testing.T, s *store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Apply(ctx, "author", 0, store.Put(policy("a", "1")))
	wantKind(t, err, fault.Unavailable)
	_, _, err = s.Documents(ctx)
	wantKind(t, err, fault.Unavailable)
	wantKind(t, s.Secrets().Put(ctx, "a", []byte("1")), fault.Unavailable)
	wantDocuments(t, s, 0)
}

// agreesWithMap applies random changes to the store and to a map, and expects the same of both.
func agreesWithMap(t *testing.T, open Opener) {
	rapid.Check(t, func(rt *rapid.T) {
		s := open(t, Clock())
		model, revision := map[string]string{}, uint64(0)
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			var changes []store.Change
			next, changed, missing := map[string]string{}, false, false
			for name, message := range model {
				next[name] = message
			}
			for _, name := range rapid.SliceOfDistinct(rapid.StringMatching("[abc]"), rapid.ID[string]).Draw(rt, "names") {
				old, exists := model[name]
				if rapid.Bool().Draw(rt, "remove") {
					changes = append(changes, store.Remove(access.KindPolicy, name))
					delete(next, name)
					missing, changed = missing || !exists, true
					continue
				}
				message := rapid.SampledFrom([]string{"1", "2"}).Draw(rt, "message")
				changes = append(changes, store.Put(policy(name, message)))
				next[name] = message
				changed = changed || !exists || old != message
			}
			n, err := s.Apply(t.Context(), "author", revision, changes...)
			if missing != (err != nil) {
				rt.Fatalf("missing %v: %v", missing, err)
			}
			if err == nil {
				if model = next; changed {
					revision++
				}
				if n != revision {
					rt.Fatalf("revision %d, want %d", n, revision)
				}
			}
			docs, n, err := s.Documents(t.Context())
			if err != nil || n != revision || len(docs) != len(model) {
				rt.Fatalf("%d documents at %d, want %d at %d: %v", len(docs), n, len(model), revision, err)
			}
			for _, d := range docs {
				if p := d.(*access.Policy); p.Statements[0].Message != model[p.Name] { //nolint:forcetypeassert // only policies were put
					rt.Fatalf("%s is %s", p.Name, p.Statements[0].Message)
				}
			}
		}
	})
}
