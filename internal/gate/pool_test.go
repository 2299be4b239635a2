package gate

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// yard is a pool's surroundings: a vault, and backends that are pipes.
type yard struct {
	*desk
	mu     sync.Mutex
	secret string
	sealed error
	dialed int
	far    []net.Conn
}

// taker takes a backend for an owner.
type taker func(owner string) (*Backend, error)

// inYard runs a test of a pool in a bubble: its clock stands still while somebody has something to do.
func inYard(t *testing.T, pool access.BackendPool, test func(t *testing.T, y *yard, take taker)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		y, take := newYard(t, pool)
		test(t, y, take)
	})
}

func newYard(t *testing.T, pool access.BackendPool) (*yard, taker) {
	t.Helper()
	y := &yard{desk: newDesk(), secret: "one"}
	y.conn.Pool = pool
	s := y.services()
	s.Vault, s.Pools = y, NewPools(time.Now)
	s.Dial = func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		y.mu.Lock()
		defer y.mu.Unlock()
		y.dialed++
		y.far = append(y.far, far)
		return near, nil
	}
	t.Cleanup(func() {
		s.Pools.Close()
		for _, c := range y.far {
			_ = c.Close()
		}
	})
	return y, func(owner string) (*Backend, error) {
		conn := y.conn
		l := NewLease(s, &conn, testLimits)
		return l.Take(t.Context(), owner, func(_ context.Context, raw net.Conn, _ Credential) (net.Conn, error) { return raw, nil })
	}
}

func (y *yard) Lease(context.Context, access.Credential) (access.Secret, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	return access.NewSecret([]byte(y.secret)), y.sealed
}

func must(t *testing.T, take taker, owner string) *Backend {
	t.Helper()
	b, err := take(owner)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPoolKnowsItsOwners: a backend that somebody left goes to its owner first, then one that is nobody's is taken, then one
// is opened; another's is taken only when no more may be opened, and says whose it was.
func TestPoolKnowsItsOwners(t *testing.T) {
	inYard(t, access.BackendPool{MaxBackends: 3}, func(t *testing.T, y *yard, take taker) {
		a, b, c := must(t, take, "ann"), must(t, take, "bob"), must(t, take, "bob")
		a.Give("ann")
		b.Give("bob")
		c.Give("")
		if got := must(t, take, "bob"); got != b {
			t.Error("bob did not get what bob left")
		}
		if got := must(t, take, "cyd"); got != c || got.Owner() != "" {
			t.Error("cyd did not get the one that is nobody's")
		}
		if got := must(t, take, "cyd"); got != a || got.Owner() != "ann" {
			t.Error("cyd did not get ann's in the end, or was not told whose it was")
		}
		if y.dialed != 3 {
			t.Errorf("%d were opened, want 3", y.dialed)
		}
	})
}

// TestPoolTurns: who waits gets a backend in turn, owner by owner, so that one who asks for much holds nobody up.
func TestPoolTurns(t *testing.T) {
	inYard(t, access.BackendPool{MaxBackends: 1, Wait: access.Duration(time.Minute)}, func(t *testing.T, _ *yard, take taker) {
		only := must(t, take, "x")
		got := make(chan string)
		for _, owner := range []string{"greedy", "greedy", "greedy", "modest"} {
			go func() {
				b, err := take(owner)
				if err != nil {
					got <- err.Error()
					return
				}
				got <- owner
				b.Give("")
			}()
			synctest.Wait() // it has queued
		}
		only.Give("")
		var order []string
		for range 4 {
			order = append(order, <-got)
		}
		if order[0] != "greedy" || order[1] != "modest" {
			t.Errorf("the turns were %v: modest had to wait for all of greedy's", order)
		}
	})
}

// TestPoolWaitEnds: the wait is bounded, and its refusal says what to do. What comes for one who has left goes on.
func TestPoolWaitEnds(t *testing.T) {
	inYard(t, access.BackendPool{MaxBackends: 1, Wait: access.Duration(time.Minute)}, func(t *testing.T, _ *yard, take taker) {
		only := must(t, take, "x")
		_, err := take("y")
		if fault.KindOf(err) != fault.Unavailable {
			t.Fatalf("got %v", err)
		}
		only.Give("")
		if again := must(t, take, "z"); again != only {
			t.Error("the backend was lost with the one who left")
		}
	})
}

// TestPoolForgets: nothing that was opened with an old credential, for an old document, or too long ago is used again.
func TestPoolForgets(t *testing.T) {
	inYard(t, access.BackendPool{Idle: access.Duration(time.Minute), Lifetime: access.Duration(time.Hour)}, func(t *testing.T, y *yard, take taker) {
		for what, change := range map[string]func(){
			"a new credential": func() { y.secret += "!" },
			"a new address":    func() { y.conn.Address = "elsewhere.test:" + y.conn.Address[len(y.conn.Address)-1:] + "1" },
			"its age":          func() { time.Sleep(2 * time.Hour) },
		} {
			idle, leased := must(t, take, "x"), must(t, take, "x")
			idle.Give("")
			change()
			next := must(t, take, "x")
			if next == idle && what != "its age" {
				t.Errorf("%s: what was idle was used again", what)
			}
			leased.Give("")
			if after := must(t, take, "x"); after == leased {
				t.Errorf("%s: what was on lease was used again", what)
			}
		}
	})
}

// TestPoolOutlivesTheVault: what is open may be used on while credentials cannot be had, and nothing is opened.
func TestPoolOutlivesTheVault(t *testing.T) {
	inYard(t, access.BackendPool{}, func(t *testing.T, y *yard, take taker) {
		b := must(t, take, "x")
		b.Give("x")
		y.sealed = errors.New("sealed")
		if got := must(t, take, "x"); got != b {
			t.Error("another one was opened")
		}
		if _, err := take("x"); !errors.Is(err, y.sealed) {
			t.Errorf("opened without a credential: %v", err)
		}
		if open, _ := y.pools(b).Use("db"); open != 1 {
			t.Errorf("%d places are taken, want 1", open)
		}
	})
}

func (*yard) pools(b *Backend) *Pools { return b.pool.owner }

// TestPoolSweeps: what was idle for too long is closed, and its place is free.
func TestPoolSweeps(t *testing.T) {
	inYard(t, access.BackendPool{MaxBackends: 1, Idle: access.Duration(time.Minute)}, func(t *testing.T, y *yard, take taker) {
		b := must(t, take, "x")
		pools := b.pool.owner
		b.Give("x")
		time.Sleep(time.Minute)
		pools.Sweep()
		if open, idle := pools.Use("db"); open != 0 || idle != 0 {
			t.Errorf("%d open, %d idle after the sweep", open, idle)
		}
		if must(t, take, "x") == b {
			t.Error("what was swept was used again")
		}
	})
}

// TestPoolPins: only so many sessions keep their backend.
func TestPoolPins(t *testing.T) {
	inYard(t, access.BackendPool{MaxBackends: 4, MaxPinned: 1}, func(t *testing.T, _ *yard, take taker) {
		a, b := must(t, take, "x"), must(t, take, "x")
		first, again := a.Pin(), a.Pin()
		if !first || !again || b.Pin() {
			t.Error("the bound on pins does not hold")
		}
		a.Give("")
		if !b.Pin() {
			t.Error("a backend that came back is still pinned")
		}
	})
}

// TestLostBackendIsNotUsed: one that was closed while it was idle is replaced.
func TestLostBackendIsNotUsed(t *testing.T) {
	inYard(t, access.BackendPool{}, func(t *testing.T, y *yard, take taker) {
		b := must(t, take, "x")
		b.Give("")
		_ = y.far[0].Close()
		if must(t, take, "x") == b {
			t.Error("a closed backend was leased")
		}
	})
}

// TestPoolTurnsAreNotHoarded: who gives up waiting loses the turn, however often they queue.
func TestPoolTurnsAreNotHoarded(t *testing.T) {
	inYard(t, access.BackendPool{MaxBackends: 1, Wait: access.Duration(time.Minute)}, func(t *testing.T, _ *yard, take taker) {
		only := must(t, take, "x")
		p := only.pool
		for range 50 {
			if _, err := take("greedy"); !errors.Is(err, ErrBusy) {
				t.Fatalf("got %v", err)
			}
		}
		if len(p.turns) != 0 || len(p.queues) != 0 {
			t.Errorf("%d turns and %d queues of one who left", len(p.turns), len(p.queues))
		}
		only.Give("")
	})
}

// TestPoolWaitersFollowACredential: who waits while the credential changes gets a backend of the new one, and what was on
// lease is not used again.
func TestPoolWaitersFollowACredential(t *testing.T) {
	inYard(t, access.BackendPool{MaxBackends: 1, Wait: access.Duration(time.Minute)}, func(t *testing.T, y *yard, take taker) {
		old := must(t, take, "x")
		p, got := old.pool, make(chan *Backend)
		go func() {
			b, _ := take("y")
			got <- b
		}()
		synctest.Wait() // it has queued
		y.mu.Lock()
		y.secret = "two"
		y.mu.Unlock()
		fresh := must(t, take, "z")
		fresh.Give("")
		b := <-got
		if b == nil || b == old || b.pool != fresh.pool {
			t.Error("the one who waited did not get a backend of the new credential")
		}
		old.Give("x")
		if open, _ := p.owner.Use("db"); open != 1 || p.open != 0 || len(p.idle) != 0 {
			t.Errorf("%d open in the new pool, %d in the old", open, p.open)
		}
	})
}
