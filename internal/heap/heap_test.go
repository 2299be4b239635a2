package heap

import (
	"context"
	"runtime"
	"runtime/metrics"
	"slices"
	"testing"
	"testing/fstest"
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

// TestOurs: what an operator has set stays, and what is allowed little memory takes little.
func TestOurs(t *testing.T) {
	for _, c := range []struct {
		set, file, limit string
		ours             bool
	}{
		{"GOGC", "", "", false}, {"GOMEMLIMIT", "", "", false}, {"GODEBUG", "", "", true},
		{"", "memory.max", "max\n", true}, {"", "memory.max", "268435456\n", false}, {"", "memory.max", "1073741824\n", true},
		{"", "memory/memory.limit_in_bytes", "134217728\n", false}, {"", "memory/memory.limit_in_bytes", "9223372036854771712\n", true},
	} {
		env := func(asked string) string {
			if asked == c.set {
				return "100"
			}
			return ""
		}
		if Ours(env, fstest.MapFS{c.file: {Data: []byte(c.limit)}}) != c.ours {
			t.Errorf("%+v", c)
		}
	}
}
