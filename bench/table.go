package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// machine is what the figures were measured on, in one line.
type machine string

func describeMachine(ctx context.Context, w *world) machine {
	said := func(name string, args ...string) string {
		out, _ := exec.CommandContext(ctx, name, args...).Output() // what does not say its version is named without one
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return line
	}
	cpu := "unknown processor"
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, found := strings.Cut(string(raw), "model name\t: "); found {
			cpu, _, _ = strings.Cut(rest, "\n")
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // the same
	all := []string{cpu, fmt.Sprintf("%d cores", runtime.NumCPU()), "Linux " + strings.TrimSpace(string(kernel))}
	if w.server != nil {
		all = append(all, said(filepath.Join(w.server.BinDir, "postgres"), "--version"), said("/usr/sbin/pgbouncer", "--version"))
	}
	return machine(strings.Join(append(all, runtime.Version()), ", "))
}

// render writes a scenario's tables in Markdown, which a terminal shows as well.
func render(s scenario, all []result, o options, m machine) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n%s\n\n", s.name, s.about)
	date := ""
	if o.date != "" {
		date = o.date + ": "
	}
	fmt.Fprintf(&b, "%s%s. %d rounds, slices of %s.\n\n", date, m, o.rounds, o.slice)
	b.WriteString("| work | measured | (rounds) | at least | aim | |\n|---|---|---|---|---|---|\n")
	for _, res := range all {
		for _, g := range res.goals {
			fmt.Fprintf(&b, "| %s | **%.2f%s** | %.2f to %.2f | %g%s | %g%s | %s |\n", g.work, g.got, g.unit, g.spread[0], g.spread[1],
				g.atLeast, g.unit, g.aim, g.unit, g.mark())
		}
	}
	for _, res := range all {
		if len(res.order) > 0 {
			figures(&b, res)
		}
		for _, n := range res.notes {
			fmt.Fprintf(&b, "\n%s\n", n)
		}
	}
	return b.String()
}

// figures writes the medians of one cell.
func figures(b *strings.Builder, res result) {
	peer := cmp.Or(res.peer, pooler)
	fmt.Fprintf(b, "\n| %s | %s/s | of direct | of %s | proxy CPU, µs |\n|---|---|---|---|---|\n", res.title, res.unit, peer)
	for _, name := range res.order {
		micros := ""
		if got := reach(goal{of: func(r round) float64 { return r[name].micros }}, res.rounds).got; got > 0 {
			micros = fmt.Sprintf("%.2f", got)
		}
		rate := reach(goal{of: func(r round) float64 { return r[name].perSecond }}, res.rounds).got
		fmt.Fprintf(b, "| %s | %.0f | %.2f | %.2f | %s |\n", name, rate, reach(goal{of: throughput(name, direct)}, res.rounds).got,
			reach(goal{of: throughput(name, peer)}, res.rounds).got, micros)
	}
	noise := reach(goal{of: throughput(control, direct)}, res.rounds)
	fmt.Fprintf(b, "\nThe control, direct again against direct: %.2f to %.2f.\n", noise.spread[0], noise.spread[1])
}

// put replaces what stands between the marks of a scenario.
func put(path, name, text string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	begin, end := "<!-- bench "+name+" -->\n", "<!-- end of "+name+" -->"
	head, rest, found := strings.Cut(string(raw), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		return fmt.Errorf("%s has no marks %q and %q", path, strings.TrimSpace(begin), end)
	}
	return os.WriteFile(path, []byte(head+begin+text+end+tail), 0o644)
}
