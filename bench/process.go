package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// processorTime is what a process has used of the processors, in user and system mode: the kernel's own clock of that
// process, which unlike /proc/PID/stat counts nanoseconds. A pid of 0 is no process.
func processorTime(pid int) (time.Duration, error) {
	if pid == 0 {
		return 0, nil
	}
	const scheduled = 2 // CPUCLOCK_SCHED: clock_getcpuclockid(3) makes the number of the clock so
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &ts); err != nil {
		return 0, fmt.Errorf("processor time of %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// settled is processorTime once the process has nothing left to do, such as records that it writes behind its answers.
func settled(ctx context.Context, pid int) (time.Duration, error) {
	last, err := processorTime(pid)
	if pid == 0 || err != nil {
		return 0, err
	}
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for range 20 { // what never rests is measured as it is
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-tick.C:
		}
		now, err := processorTime(pid)
		if err != nil || now-last < 100*time.Microsecond {
			return now, err
		}
		last = now
	}
	return last, nil
}

// spent runs work and returns how long it took, and what the processes of a proxy took of the processors meanwhile and to settle.
func spent(ctx context.Context, work func() error, pids ...int) (took, used time.Duration, err error) {
	before, err := settledAll(ctx, pids)
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	err = work()
	took = time.Since(start)
	if err != nil {
		return 0, 0, err
	}
	after, err := settledAll(ctx, pids)
	return took, after - before, err
}

func settledAll(ctx context.Context, pids []int) (sum time.Duration, err error) {
	for _, pid := range pids {
		used, err := settled(ctx, pid)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// resident is how many bytes of memory a process holds (proc(5): VmRSS).
func resident(pid int) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(string(raw), "VmRSS:")
	if !found {
		return 0, fmt.Errorf("process %d has no VmRSS", pid)
	}
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kib << 10, err
}
