package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// Forms of output.
const (
	asTable = "table"
	asJSON  = "json"
	asYAML  = "yaml"
)

// form adds -o to a command; the first form is the default.
func form(c *cobra.Command, into *string, forms ...string) {
	c.Flags().StringVarP(into, "output", "o", forms[0], "`form` of the output: "+strings.Join(forms, " or "))
	before := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		if !slices.Contains(forms, *into) {
			return usagef("-o %s is not one of %s", *into, strings.Join(forms, ", "))
		}
		if before != nil {
			return before(c, args)
		}
		return nil
	}
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(forms, cobra.ShellCompDirectiveNoFileComp))
}

// writeJSON prints v indented.
func (a *app) writeJSON(v any) error {
	e := json.NewEncoder(a.Out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// writeJSONLine prints v on one line, for streams.
func (a *app) writeJSONLine(v any) error {
	e := json.NewEncoder(a.Out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func (a *app) printf(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }

// Colours, as SGR parameters (ECMA-48 §8.3.117).
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	dim    = "2"
	bold   = "1"
)

// paint colours s where the output is a terminal and nobody has asked for none.
func (a *app) paint(colour, s string) string {
	if !a.Terminal || a.Env("NO_COLOR") != "" || a.Env("TERM") == "dumb" || s == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// effectColour shows a verdict or a state at a glance.
func effectColour(word string) string {
	switch word {
	case "allow", "ok", "approved", "create", "spent":
		return green
	case "deny", "denied", "error", "delete", "unknown":
		return red
	case "approve", "pending", "update", "skipped", "cancelled", "expired":
		return yellow
	}
	return dim
}

// table prints rows in columns below a header. Cells are made visible here, so callers pass what they have.
func (a *app) table(header []string, rows [][]string) {
	grid := append([][]string{header}, rows...)
	widths := make([]int, len(header))
	for i, row := range grid {
		grid[i] = make([]string, len(row))
		for j, cell := range row {
			grid[i][j] = visible(cell)
			widths[j] = max(widths[j], width(grid[i][j]))
		}
	}
	for i, row := range grid {
		var b strings.Builder
		for j, cell := range row {
			text := cell
			if i == 0 {
				text = a.paint(bold, cell)
			} else if isVerdict(header[j]) {
				text = a.paint(effectColour(cell), cell)
			}
			b.WriteString(text)
			if j < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[j]-width(cell)+2))
			}
		}
		fmt.Fprintln(a.Out, strings.TrimRight(b.String(), " "))
	}
}

func isVerdict(header string) bool {
	return slices.Contains([]string{"EFFECT", "STATE", "STATUS", "VERDICT", "ACTION"}, header)
}

// pairs prints names and values, given in turn, leaving out empty values.
func (a *app) pairs(turns ...string) {
	widest := 0
	for kv := range slices.Chunk(turns, 2) {
		if kv[1] != "" {
			widest = max(widest, width(kv[0]))
		}
	}
	for kv := range slices.Chunk(turns, 2) {
		if kv[1] != "" {
			a.printf("%s%s  %s\n", a.paint(bold, kv[0]), strings.Repeat(" ", widest-width(kv[0])), visible(kv[1]))
		}
	}
}

// width counts the columns of a string that visible has returned: one per rune, none for marks that combine.
func width(s string) int {
	n := 0
	for _, r := range s {
		if !unicode.In(r, unicode.Mn, unicode.Me) {
			n++
		}
	}
	return n
}

// visible makes a string safe to show on a terminal and in one cell: control characters (C0, C1, DEL), the marks that
// reorder text, invalid UTF-8 and line breaks appear as escapes.
func visible(s string) string { return escape(s, func(rune) bool { return false }) }

// visibleLines is visible for text of several lines.
func visibleLines(s string) string {
	return escape(s, func(r rune) bool { return r == '\n' || r == '\t' })
}

func escape(s string, keep func(rune) bool) string {
	clean := true
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				clean = false
				break
			}
		}
		if hidden(r) && !keep(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case hidden(r) && !keep(r):
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// hidden reports runes that act on a terminal or on the reading order instead of being read.
func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp)
}

// short fits a text into n columns of one line, with its spaces collapsed.
func short(s string, n int) string {
	s = visible(strings.Join(strings.Fields(s), " "))
	if width(s) <= n {
		return s
	}
	r := []rune(s)
	return string(r[:min(len(r), n-1)]) + "…"
}

// age says how long ago, in one unit.
func age(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// plural writes "1 row" and "2 rows".
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// readBounded reads at most limit bytes, in bytes, and fails on more.
func readBounded(r io.Reader, limit int64, what string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", what, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s is larger than %d KiB", what, limit>>10)
	}
	return b, nil
}
