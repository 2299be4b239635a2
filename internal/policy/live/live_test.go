package live_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/policy"
	"gatehouse/internal/policy/live"
)

// source is a store of documents that can be changed, broken and made to hang.
type source struct {
	mu       sync.Mutex
	revision uint64
	docs     policy.Documents
	broken   error
	hang     bool
	reads    int
	changed  bool // what documents name, since they were read
}

func (s *source) set(f func(*source)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *source) Revision(ctx context.Context) (uint64, error) {
	s.mu.Lock()
	hang, revision, err := s.hang, s.revision, s.broken
	s.mu.Unlock()
	if hang {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return revision, err
}

func (s *source) Documents(context.Context) (policy.Documents, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	s.changed = false
	return s.docs, s.revision, s.broken
}

func (s *source) Changed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func documents(action string) policy.Documents {
	return policy.Documents{
		Issuers:     []*access.Issuer{{Name: "ci", URL: "https://issuer.example"}},
		Policies:    []*access.Policy{{Name: "p", Statements: []access.PolicyStatement{{Effect: "allow", Actions: []string{action}, Resources: []string{"*"}}}}},
		Connections: []*access.Connection{{Name: "c", Type: "db"}},
		Roles:       []*access.Role{{Name: "r", Bind: []access.Binding{{Issuer: "ci", Condition: "true"}}, Policies: []string{"p"}}},
	}
}

func vocab() []policy.Vocabulary {
	return []policy.Vocabulary{{Type: "db", Actions: []policy.ActionName{{Name: "db:Select"}, {Name: "db:Delete"}}}}
}

func caller() *access.Principal {
	return &access.Principal{Issuer: "https://issuer.example", Subject: "s", Kind: access.Workload}
}

// run starts an Authority in a bubble of its own time and waits for its first refresh.
func run(t *testing.T, s *source, opts live.Options) *live.Authority {
	t.Helper()
	a := live.New(s, vocab(), time.Now, opts)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	synctest.Wait()
	return a
}

func version(t *testing.T, a *live.Authority, want uint64) {
	t.Helper()
	v, err := a.Version()
	if want == 0 {
		if fault.KindOf(err) != fault.Unavailable {
			t.Fatalf("version %d, err %v; want Unavailable", v, err)
		}
		if _, err := a.Rules(caller(), "c"); fault.KindOf(err) != fault.Unavailable {
			t.Fatalf("no version, yet rules: %v", err)
		}
		return
	}
	if err != nil || v != want {
		t.Fatalf("version %d, err %v; want %d", v, err, want)
	}
	if _, err := a.Rules(caller(), "c"); err != nil {
		t.Fatal(err)
	}
}

func TestNothingBeforeTheFirstRefresh(t *testing.T) {
	version(t, live.New(&source{}, vocab(), time.Now, live.Options{}), 0)
}

// TestLease: an unreachable source is survived for the lease, counted from before the last question that was answered,
// and not a moment longer.
func TestLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{revision: 1, docs: documents("db:Select")}
		var told []error
		a := run(t, s, live.Options{Failed: func(err error) { told = append(told, err) }})
		version(t, a, 1)
		time.Sleep(30*time.Second + time.Millisecond)
		version(t, a, 1) // renewed at 30 s
		if s.reads != 1 {
			t.Errorf("the documents were read %d times and changed once", s.reads)
		}
		s.set(func(s *source) { s.broken = errors.New("no route to store") })
		time.Sleep(10*time.Second - 2*time.Millisecond)
		version(t, a, 1)
		time.Sleep(time.Millisecond)
		version(t, a, 0)
		s.set(func(s *source) { s.broken = nil })
		time.Sleep(time.Second)
		synctest.Wait()
		version(t, a, 1)
		if len(told) < 2 || told[0] == nil || told[len(told)-1] != nil {
			t.Errorf("told %v", told)
		}
	})
}

func TestChangeTakesEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{revision: 1, docs: documents("db:Select")}
		a := run(t, s, live.Options{})
		s.set(func(s *source) { s.revision, s.docs = 2, documents("db:Delete") })
		time.Sleep(time.Second)
		synctest.Wait()
		version(t, a, 2)
		s.set(func(s *source) { s.revision = 3 })
		a.Poke()
		a.Poke()
		synctest.Wait()
		version(t, a, 3)
		s.set(func(s *source) { s.revision = 2 }) // a restore: older is also different
		a.Poke()
		synctest.Wait()
		version(t, a, 2)
	})
}

// TestBrokenDocuments: documents that do not compile leave the set before in force, until its lease ends.
func TestBrokenDocuments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{revision: 1, docs: documents("db:Select")}
		var told error
		a := run(t, s, live.Options{Failed: func(err error) { told = err }})
		s.set(func(s *source) { s.revision, s.docs = 2, documents("db:Nope") })
		time.Sleep(9 * time.Second)
		version(t, a, 1)
		time.Sleep(2 * time.Second)
		version(t, a, 0)
		synctest.Wait()
		if len(policy.Problems(told)) != 1 {
			t.Errorf("told %v", told)
		}
		s.set(func(s *source) { s.revision, s.docs = 3, documents("db:Select") })
		a.Poke()
		synctest.Wait()
		version(t, a, 3)
	})
}

// TestAttachedDocuments: where what documents name has changed, they are compiled again, although none of them has; and again until
// they compile.
func TestAttachedDocuments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{revision: 1, docs: documents("db:Select")}
		compiled := 0
		a := run(t, s, live.Options{Compiled: func(*policy.Set) { compiled++ }})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if compiled != 1 {
			t.Errorf("compiled %d times, and nothing has changed", compiled)
		}
		before, _ := a.Number()
		s.set(func(s *source) { s.changed = true })
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if after, err := a.Number(); compiled != 2 || err != nil || after == before {
			t.Errorf("compiled %d times after a change; set %d, then %d: %v", compiled, before, after, err)
		}
		s.set(func(s *source) { s.changed, s.docs = true, documents("db:Nope") })
		time.Sleep(11 * time.Second)
		version(t, a, 0)
		s.set(func(s *source) { s.docs = documents("db:Select") })
		time.Sleep(time.Second)
		synctest.Wait()
		version(t, a, 1)
	})
}

func TestHungSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{revision: 1, docs: documents("db:Select")}
		a := run(t, s, live.Options{})
		s.set(func(s *source) { s.hang = true })
		time.Sleep(12 * time.Second)
		version(t, a, 0)
		s.set(func(s *source) { s.hang = false })
		time.Sleep(12 * time.Second)
		version(t, a, 1)
	})
}

func TestLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := run(t, &source{revision: 1, docs: documents("db:Select")}, live.Options{})
		a.SetLocked("incident 12")
		version(t, a, 0)
		_, err := a.Version()
		if say, hint := fault.Say(err); !strings.Contains(say, "incident 12") || hint == "" || a.Locked() != "incident 12" {
			t.Error(say, hint)
		}
		time.Sleep(5 * time.Second) // refreshing does not unlock
		version(t, a, 0)
		a.SetLocked("")
		version(t, a, 0)
		a.Unlock()
		version(t, a, 1)
	})
}

// TestLeaseFollowsTheClock: the lease is measured by the clock that was passed in, and by nothing else.
func TestLeaseFollowsTheClock(t *testing.T) {
	base := time.Unix(1_700_000_000, 0)
	now := base
	a := live.New(&source{revision: 1, docs: documents("db:Select")}, vocab(), func() time.Time { return now }, live.Options{})
	if err := a.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	version(t, a, 1)
	now = base.Add(time.Hour)
	version(t, a, 0)
}

// TestDefaultsReachThePolicies: what the configuration says of approvals holds where a policy says nothing.
func TestDefaultsReachThePolicies(t *testing.T) {
	docs := documents("db:Select")
	docs.Policies[0].Statements = append(docs.Policies[0].Statements,
		access.PolicyStatement{Effect: "approve", Actions: []string{"db:Select"}, Resources: []string{"*"}})
	a := live.New(&source{revision: 1, docs: docs}, vocab(), time.Now, live.Options{Defaults: policy.Defaults{Wait: time.Hour}})
	if err := a.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := a.Rules(caller(), "c")
	if err != nil {
		t.Fatal(err)
	}
	st := &access.Statement{Normal: "select", Actions: []access.Action{{Name: "db:Select", Resource: "c/t"}}, Bounded: true}
	v := r.Decide(st, &access.Input{Principal: caller(), Connection: "c", Type: "db", Now: time.Now()})
	if v.Effect != access.Approve || v.Approval.Lifetime != access.Duration(time.Hour) {
		t.Errorf("%v, for %v", v.Effect, time.Duration(v.Approval.Lifetime))
	}
}

func BenchmarkVersion(b *testing.B) {
	a := live.New(&source{revision: 1, docs: documents("db:Select")}, vocab(), time.Now, live.Options{Lease: time.Hour})
	if err := a.Refresh(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Version(); err != nil {
			b.Fatal(err)
		}
	}
}
