package audit

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// cpu is the processor time that this process has used: what a figure on a shared machine means.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestAnIntentIsAppendedWithoutAllocating is the promise that the data path relies on.
func TestAnIntentIsAppendedWithoutAllocating(t *testing.T) {
	l := mustOpen(t, options(t))
	in, out := intent("01JSESSION", 1), outcome("01JSESSION", 1)
	work := func() {
		mustAppend(t, l, in)
		if err := l.Barrier(mustAppend(t, l, out)); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		work() // buffers reach their size
	}
	if n := testing.AllocsPerRun(2000, work); n > allowedAllocs {
		t.Errorf("an intent, its outcome and their barrier allocate %v times", n)
	}
}

// BenchmarkBarrier is an intent, the wait for it, and its outcome, as the gate does them, by some callers at once.
func BenchmarkBarrier(b *testing.B) {
	for _, mode := range []Mode{ModeFast, ModeStrict} {
		for _, callers := range []int{1, 8, 256} {
			b.Run(fmt.Sprintf("%s/callers=%d", mode, callers), func(b *testing.B) {
				o := options(b)
				o.Mode = mode
				l := mustOpen(b, o)
				var left atomic.Int64
				left.Store(int64(b.N))
				b.ReportAllocs()
				b.ResetTimer()
				before := cpu(b)
				var group sync.WaitGroup
				for range callers {
					group.Go(func() {
						in, out := intent("01JSESSION", 1), outcome("01JSESSION", 1)
						for left.Add(-1) >= 0 {
							if err := l.Barrier(mustAppend(b, l, in)); err != nil {
								b.Error(err)
								return
							}
							mustAppend(b, l, out)
						}
					})
				}
				group.Wait()
				b.StopTimer()
				mustClose(b, l)
				b.ReportMetric(float64(cpu(b)-before)/float64(2*b.N), "cpu-ns/record")
				b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "records/s")
				b.ReportMetric(float64(l.Status().Bytes)/float64(2*b.N), "bytes/record")
			})
		}
	}
}
