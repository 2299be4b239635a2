package heap

import (
	"context"
	"runtime"
	"runtime/metrics"
	"slices"
	"testing"
	"time"
)

// TestOver: a busy time is over once, neither within it nor where there is little to collect.
func TestOver(t *testing.T) {
	const mb = 1 << 20
	var w watch
	var total uint64
	var over []int
	for second, grown := range []uint64{0, 100 * mb, 100 * mb, 1000, 1000, 0, 10 * mb, 0, 0, 10 * mb, 0, 0} {
		if total += grown; w.over(total) {
			over = append(over, second)
		}
	}
	if !slices.Equal(over, []int{3, 10}) {
		t.Errorf("it was over in seconds %v", over)
	}
}

// TestBallast: the collector's goal is raised while it is kept.
func TestBallast(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	ticks, done := make(chan time.Time), make(chan struct{})
	go func() {
		defer close(done)
		Keep(ctx, ticks)
	}()
	ticks <- time.Time{}
	runtime.GC()
	goal := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(goal)
	if n := goal[0].Value.Uint64(); n < 2*ballast {
		t.Errorf("the goal is %d bytes", n)
	}
	end()
	<-done
}

// TestOurs: what an operator has set stays.
func TestOurs(t *testing.T) {
	for name, ours := range map[string]bool{"GOGC": false, "GOMEMLIMIT": false, "GODEBUG": true} {
		env := func(asked string) string {
			if asked == name {
				return "100"
			}
			return ""
		}
		if Ours(env) != ours {
			t.Errorf("with %s set, whose it is: %v", name, !ours)
		}
	}
}
