// Package heap suits the garbage collector to a gateway: while it is busy it lets garbage grow to a size that costs little to
// collect, and once it has gone quiet it gives the memory back.
//
// A gateway holds little and throws much away: with Go's usual goal, twice what is in use, 15 MB in use are collected ten times a
// second, for a seventh of all processor time.
package heap

import (
	"context"
	"io/fs"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

const (
	ballast = 64 << 20  // bytes that count as in use and are never touched, so that no memory stands behind them
	quiet   = 1 << 20   // bytes allocated within a tick, below which nothing is going on
	roomy   = 512 << 20 // bytes that a process must be allowed, to hold so much more than it needs
	worth   = 16 << 20  // bytes of garbage that are worth a collection
)

// Ours reports whether the goal is the gateway's to set: not where the operator has set one (GOGC, GOMEMLIMIT), nor where the process's
// control group, of which groups is the file system, gives it little memory.
func Ours(env func(string) string, groups fs.FS) bool {
	return env("GOGC") == "" && env("GOMEMLIMIT") == "" && limit(groups) >= roomy
}

// limit returns how many bytes the control group allows: by version 2, or by version 1; all where there is no limit.
func limit(groups fs.FS) uint64 {
	for _, name := range []string{"memory.max", "memory/memory.limit_in_bytes"} {
		text, err := fs.ReadFile(groups, name)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil {
			return n
		}
	}
	return math.MaxUint64
}

// Keep works until ctx ends. Two ticks a second are meant.
func Keep(ctx context.Context, ticks <-chan time.Time) {
	held := make([]byte, ballast)
	defer runtime.KeepAlive(held)
	w := watch{last: allocated()}
	for {
		select {
		case <-ticks:
		case <-ctx.Done():
			return
		}
		if w.over(allocated()) {
			runtime.GC() // each collection halves stacks that are hardly used
			runtime.GC()
			debug.FreeOSMemory()
		}
	}
}

// watch tells when a busy time is over.
type watch struct{ last, garbage uint64 }

// over reports, once, that hardly anything was allocated since the last tick, and much before it. total is what was ever allocated.
func (w *watch) over(total uint64) bool {
	grown := total - w.last
	w.last = total
	w.garbage += grown
	if grown >= quiet || w.garbage < worth {
		return false
	}
	w.garbage = 0
	return true
}

// allocated returns how many bytes were ever allocated on the heap.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
