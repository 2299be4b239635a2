package policy

import (
	"slices"
	"strings"
)

// maxSet bounds the length of a set of resources in bytes: what is longer meets every pattern.
const maxSet = 4096

// meetsAny reports whether one of the patterns of a deny, an approve or a mask covers any resource of a set. An allow asks match, as of a
// resource: a pattern holds no asterisk of its own, so in the text of a set only the pattern's "*" can take one in, and then it
// takes in whatever that stands for.
func meetsAny(patterns []pattern, set string) bool {
	return slices.ContainsFunc(patterns, func(p pattern) bool { return p.meets(set) })
}

// meets reports whether the pattern covers any resource of a set. It follows all ways through the pattern at once: the work is bounded
// by the product of both lengths, and is that of comparing two texts where no "*" has been reached.
func (p pattern) meets(set string) bool {
	if p.rootless {
		var inside bool
		if _, set, inside = strings.Cut(set, "/"); !inside {
			return false
		}
	}
	if len(set) > maxSet || len(p.text) > maxPattern {
		return true
	}
	w := walk{text: p.text}
	w.reach(0)
	for i := 0; i < len(set) && w.low <= w.high; i++ {
		switch c := set[i]; {
		case c != '*':
			if separates(c) && w.ended() {
				return true // the rest is below what the pattern matches
			}
			w.literal(c)
		case i+1 < len(set) && set[i+1] == '*':
			for i+1 < len(set) && set[i+1] == '*' {
				i++
			}
			if w.run(true); w.ended() {
				return true // a dot may follow, and the rest is below what the pattern matches
			}
		default:
			w.run(false)
		}
	}
	return w.ended()
}

// walk is where one may be in a pattern after some of a set: before its byte i where at[i] is set, at its end where the last is.
type walk struct {
	text      string
	at        [maxPattern + 1]bool
	low, high int // no place outside of these is set; none at all where low is greater
}

// reach sets a place, and those that a "*" there can be left for at once.
func (w *walk) reach(i int) {
	for w.at[i] = true; i < len(w.text) && w.text[i] == '*'; {
		i++
		w.at[i] = true
	}
	w.high = max(w.high, i)
}

func (w *walk) ended() bool { return w.at[len(w.text)] }

// literal goes on by one byte of the set. From the last place on down, so that no place is left before it was looked at.
func (w *walk) literal(c byte) {
	low, high := w.low, w.high
	w.low, w.high = len(w.text)+1, -1
	for i := high; i >= low; i-- {
		if !w.at[i] {
			continue
		}
		w.at[i] = false
		if i == len(w.text) {
			continue
		}
		switch w.text[i] {
		case '*':
			w.low = i
			w.reach(i)
		case c:
			w.low = i + 1
			w.reach(i + 1)
		}
	}
}

// run goes on by any number of bytes of the set but slashes, and dots where it is of one word.
func (w *walk) run(dots bool) {
	for i := w.low; i < min(len(w.text), w.high+1); i++ {
		if w.at[i] && w.text[i] != '*' && (!separates(w.text[i]) || dots && w.text[i] == '.') {
			w.reach(i + 1)
		}
	}
}

// separates reports whether what stands before c in a resource is above what stands after it.
func separates(c byte) bool { return c == '.' || c == '/' }
