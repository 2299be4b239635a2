// Bench measures pgbench's select-only script with 8 clients, simple and prepared: direct, through PgBouncer and through
// Gatehouse with a role, a guardrail and full audit, in turns within one run. All with verified TLS on both sides, since a
// token goes nowhere without. It prints ratios, since the absolute figures are this machine's, and the processor time that
// each proxy takes for one query.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/e2e/pgtest"
)

// target is one way to the database.
type target struct {
	name string
	pid  int // of the proxy; 0 for none
	env  []string
}

// figure is one measurement.
type figure struct {
	perSecond float64
	micros    float64 // of the proxy's processor time, for one query
}

func main() {
	binary := flag.String("gatehouse", "bin/gatehouse", "the gatehouse binary")
	length := flag.Duration("length", 5*time.Second, "how long each turn takes")
	turns := flag.Int("turns", 3, "how many turns each way gets; the median counts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *binary, *length, *turns)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary string, length time.Duration, turns int) (err error) {
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := pgtest.New(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err := fill(ctx, s); err != nil {
		return err
	}
	direct := target{name: "direct", env: pgEnv(s.Host, strconv.Itoa(s.Port), pgtest.AppUser, pgtest.AppPassword, pgtest.Database, s.CAFile)}
	bouncer, stopBouncer, err := startBouncer(ctx, s)
	if err != nil {
		return err
	}
	defer stopBouncer()
	gate, stopGate, err := startGatehouse(ctx, binary, dir, s)
	if err != nil {
		return err
	}
	defer stopGate()
	for _, mode := range []string{"simple", "prepared"} {
		got, err := measure(ctx, s, []target{direct, bouncer, gate}, mode, length, turns)
		if err != nil {
			return err
		}
		report(mode, got)
	}
	return nil
}

// fill makes pgbench's tables; the log of statements would measure the disk.
func fill(ctx context.Context, s *pgtest.Server) error {
	for _, sql := range []string{"ALTER SYSTEM SET log_statement = 'none'", "ALTER SYSTEM SET log_connections = off", "SELECT pg_reload_conf()"} {
		if out, err := exec.CommandContext(ctx, "psql", "-X", "-c", sql, s.AdminDSN).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.BinDir, "pgbench"), "-i", "-q", "-s", "10")
	cmd.Env = append(os.Environ(), pgEnv(s.Host, strconv.Itoa(s.Port), pgtest.AppUser, pgtest.AppPassword, pgtest.Database, s.CAFile)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgbench -i: %w: %s", err, out)
	}
	return nil
}

func pgEnv(host, port, user, password, database, ca string) []string {
	return []string{"PGHOST=" + host, "PGPORT=" + port, "PGUSER=" + user, "PGPASSWORD=" + password, "PGDATABASE=" + database,
		"PGSSLMODE=verify-full", "PGSSLROOTCERT=" + ca}
}

// measure takes turns, so that what disturbs the machine disturbs all alike, and returns the median of each.
func measure(ctx context.Context, s *pgtest.Server, targets []target, mode string, length time.Duration, turns int) (map[string]figure, error) {
	all := map[string][]figure{}
	for range turns {
		for _, t := range targets {
			f, err := pgbench(ctx, s, t, mode, length)
			if err != nil {
				return nil, err
			}
			all[t.name] = append(all[t.name], f)
		}
	}
	got := map[string]figure{}
	for name, fs := range all {
		slices.SortFunc(fs, func(a, b figure) int { return int(a.perSecond - b.perSecond) })
		got[name] = fs[len(fs)/2]
	}
	return got, nil
}

var (
	tps     = regexp.MustCompile(`tps = ([0-9.]+)`)
	queries = regexp.MustCompile(`transactions actually processed: ([0-9]+)`)
)

func pgbench(ctx context.Context, s *pgtest.Server, t target, mode string, length time.Duration) (figure, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.BinDir, "pgbench"), "-n", "-S", "-c", "8", "-j", "2", "-M", mode,
		"-T", strconv.Itoa(max(1, int(length.Seconds()))))
	cmd.Env = append(os.Environ(), t.env...)
	before := processorTime(t.pid)
	out, err := cmd.CombinedOutput()
	used := processorTime(t.pid) - before
	if err != nil {
		return figure{}, fmt.Errorf("pgbench, %s, %s: %w: %s", t.name, mode, err, out)
	}
	rate, n := tps.FindSubmatch(out), queries.FindSubmatch(out)
	if rate == nil || n == nil {
		return figure{}, fmt.Errorf("pgbench, %s, %s: %s", t.name, mode, out)
	}
	perSecond, err := strconv.ParseFloat(string(rate[1]), 64)
	if err != nil {
		return figure{}, err
	}
	count, err := strconv.ParseFloat(string(n[1]), 64)
	return figure{perSecond, float64(used.Microseconds()) / count}, err
}

// processorTime is what a process has used, in steps of 10 ms (proc(5): utime and stime, in ticks of 1/100 s).
func processorTime(pid int) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(raw), ") ") // the name in parentheses may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11]) // the kernel writes numbers
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

func report(mode string, got map[string]figure) {
	fmt.Printf("\nselect-only, 8 clients, %s\n", mode)
	fmt.Printf("%-10s %12s %10s %14s %16s\n", "", "queries/s", "of direct", "of PgBouncer", "proxy µs/query")
	for _, name := range []string{"direct", "pgbouncer", "gatehouse"} {
		f := got[name]
		cpu := "-"
		if name != "direct" {
			cpu = fmt.Sprintf("%.1f", f.micros)
		}
		fmt.Printf("%-10s %12.0f %10.2f %14.2f %16s\n", name, f.perSecond, f.perSecond/got["direct"].perSecond, f.perSecond/got["pgbouncer"].perSecond, cpu)
	}
}
