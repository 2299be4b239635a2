package bypass

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// board counts cases and passes, by family and technique.
type board struct {
	cases map[string][2]int // family: cases, passed
	lines []scoreLine
}

type scoreLine struct {
	family, technique string
	cases, passed     int
}

var scores = board{cases: map[string][2]int{}}

// count runs one case, and counts it.
func (b *board) count(t *testing.T, family string, a attack, run func(t *testing.T)) {
	t.Helper()
	passed := 0
	if t.Run(a.name(), run) {
		passed = 1
	}
	n := b.cases[family]
	b.cases[family] = [2]int{n[0] + 1, n[1] + passed}
	i := slices.IndexFunc(b.lines, func(l scoreLine) bool { return l.family == family && l.technique == a.Technique })
	if i < 0 {
		b.lines = append(b.lines, scoreLine{family: family, technique: a.Technique})
		i = len(b.lines) - 1
	}
	b.lines[i].cases++
	b.lines[i].passed += passed
}

// write puts table and score where make wants them: `go test` shows nothing that a test prints unless it fails.
func (b *board) write() error {
	if f := os.Getenv("BYPASS_SCORE"); f != "" {
		return os.WriteFile(f, []byte(b.String()), 0o600)
	}
	return nil
}

// String is the table and the score.
func (b *board) String() string {
	red, green, plain := "\x1b[31m", "\x1b[32m", "\x1b[0m"
	if os.Getenv("BYPASS_COLOUR") == "" { // set by make, where its output is a terminal
		red, green, plain = "", "", ""
	}
	colour := func(cases, passed int) string {
		if cases == passed {
			return green
		}
		return red
	}
	families := []string{"masking", "guardrail", "queues", "messages", "honest"}
	slices.SortStableFunc(b.lines, func(x, y scoreLine) int {
		return cmp.Compare(slices.Index(families, x.family), slices.Index(families, y.family))
	})
	var out strings.Builder
	fmt.Fprintf(&out, "%-10s %-70s %5s %6s\n", "family", "technique", "cases", "passed")
	for _, l := range b.lines {
		fmt.Fprintf(&out, "%-10s %-70s %5d %s%6d%s\n", l.family, l.technique, l.cases, colour(l.cases, l.passed), l.passed, plain)
	}
	for _, f := range families {
		n, ran := b.cases[f]
		if !ran {
			continue
		}
		if f != "masking" {
			out.WriteString("  ")
		}
		fmt.Fprintf(&out, "%s %s%d/%d%s", f, colour(n[0], n[1]), n[1], n[0], plain)
	}
	return out.String() + "\n"
}
