package config

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/fault"
)

// source is the text of a file, for showing the line of a problem.
type source struct {
	name  string
	lines []string
}

func newSource(name, text string) *source {
	return &source{name: name, lines: strings.Split(text, "\n")}
}

// problem is one thing that is wrong at one place.
type problem struct {
	pos position
	say string
}

// tooMany refuses a file with too many documents.
var tooMany = problem{say: fmt.Sprintf("the file has more than %d documents: split it", maxDocs)}

// showWidth is how many characters of a line are shown around a problem.
const showWidth = 120

// show renders a problem as FILE:LINE:COLUMN, what is wrong, the line itself and a caret under the spot.
func (s *source) show(p problem) string {
	if p.pos.line < 1 || p.pos.line > len(s.lines) {
		return fmt.Sprintf("%s: %s", s.name, p.say)
	}
	line, col := window(s.lines[p.pos.line-1], p.pos.col)
	number := fmt.Sprintf("%5d", p.pos.line)
	return fmt.Sprintf("%s:%d:%d: %s\n%s | %s\n%s | %s^", s.name, p.pos.line, p.pos.col, p.say,
		number, line, strings.Repeat(" ", len(number)), strings.Repeat(" ", col-1))
}

// window cuts a long line to the part around a column, and takes out what a terminal would obey.
func window(line string, col int) (string, int) {
	runes := []rune(line)
	if col < 1 {
		col = 1
	}
	if col > len(runes)+1 {
		col = len(runes) + 1
	}
	start := 0
	if col > showWidth*3/4 {
		start = col - showWidth/2
	}
	end := min(len(runes), start+showWidth)
	shown := strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, string(runes[start:end]))
	return strings.TrimRight(shown, " "), col - start
}

// malformed is the error that shows all problems of a file, or nil where there are none.
func (s *source) malformed(problems []problem) error {
	if len(problems) == 0 {
		return nil
	}
	var b strings.Builder
	for i, p := range problems {
		if i == maxProblems {
			fmt.Fprintf(&b, "\n%s: and %d more", s.name, len(problems)-maxProblems)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(s.show(p))
	}
	return fault.New(fault.Malformed, "config", "%s", b.String())
}

// nearest returns the candidate that s was probably meant to be, or "".
func nearest(s string, candidates []string) string {
	best, distance := "", min(len(s)/2, 3)+1
	for _, c := range candidates {
		if d := editDistance(strings.ToLower(s), strings.ToLower(c), distance); d < distance {
			best, distance = c, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions, replacements and swaps of neighbours that turn a into b, up to limit.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}

// didYouMean ends a sentence about something unknown.
func didYouMean(s string, candidates []string) string {
	if best := nearest(s, candidates); best != "" {
		return fmt.Sprintf(": did you mean %q?", best)
	}
	return "; there are " + strings.Join(candidates, ", ")
}
