package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

var (
	tps       = regexp.MustCompile(`tps = ([0-9.]+)`)
	processed = regexp.MustCompile(`transactions actually processed: ([0-9]+)`)
)

// pgbench runs PostgreSQL's own benchmark over one way, and returns how many transactions it did and how many a second,
// without the time that its first connections took.
func (w *world) pgbench(ctx context.Context, y way, args ...string) (n int, perSecond float64, err error) {
	ctx, done := context.WithTimeout(ctx, w.o.slice+2*time.Minute) // it waits for ever for an answer that does not come
	defer done()
	cmd := exec.CommandContext(ctx, filepath.Join(w.server.BinDir, "pgbench"), append([]string{"-n", "-S"}, args...)...)
	cmd.Env = append(os.Environ(), y.env()...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("pgbench: %w: %s", err, out)
	}
	rate, count := tps.FindSubmatch(out), processed.FindSubmatch(out)
	if rate == nil || count == nil {
		return 0, 0, fmt.Errorf("pgbench: %s", out)
	}
	if perSecond, err = strconv.ParseFloat(string(rate[1]), 64); err != nil {
		return 0, 0, err
	}
	n, err = strconv.Atoi(string(count[1]))
	return n, perSecond, err
}

// perMilli is how many transactions a short slice counts for each millisecond, over all clients.
const perMilli = 12

// length is how long a slice is, in pgbench's words: whole seconds, or else about so many transactions.
func (w *world) length(clients int) []string {
	if w.o.slice >= time.Second {
		return []string{"-T", strconv.Itoa(int(w.o.slice.Seconds()))}
	}
	return []string{"-t", strconv.Itoa(max(2, int(w.o.slice.Milliseconds())*perMilli/clients))}
}

// statements is a slice of pgbench over connections that stay. What its logins cost is measured by itself, with one
// statement for each client, and taken off.
func (w *world) statements(y way, clients int, mode string) func(context.Context) (sample, error) {
	return func(ctx context.Context) (sample, error) {
		args := []string{"-M", mode, "-c", strconv.Itoa(clients), "-j", strconv.Itoa(min(clients, 2))}
		var first, n int
		var perSecond float64
		_, logins, err := spent(ctx, func() (err error) {
			first, _, err = w.pgbench(ctx, y, append(args, "-t", "1")...)
			return err
		}, y.pid)
		if err != nil {
			return sample{}, err
		}
		_, used, err := spent(ctx, func() (err error) {
			n, perSecond, err = w.pgbench(ctx, y, append(args, w.length(clients)...)...)
			return err
		}, y.pid)
		return sample{perSecond, micros(used-logins, n-first)}, err
	}
}

// micros is the share of one of n.
func micros(d time.Duration, n int) float64 {
	return float64(d.Nanoseconds()) / 1000 / float64(max(n, 1))
}
