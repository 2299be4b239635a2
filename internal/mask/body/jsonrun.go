package body

import (
	"math/bits"
	"unicode/utf8"

	"gatehouse/internal/mask"
)

// run is the quick way through a document, most of which is plain: names, values and brackets that are whole in j.in, names
// without escapes. It goes on from between two tokens for as long as that is what comes, with its place in registers. Where
// something else comes it stops before it, having done nothing about it, and leaves it to mark: what cannot be read is found
// there alone, and what run takes mark would have taken in the same way (FuzzReference).
func (j *jsonStream) run() {
	if len(j.levels) == 0 || j.gather || j.need == wantColon {
		return
	}
	in, at, need, ok := j.in, j.at, j.need, true
	top := &j.levels[len(j.levels)-1]
	j.seek = j.rules.scan != nil && !j.hiding
	if need == wantValue || need == wantFirst {
		j.settle()
	}
	for ok {
		if at >= len(in) {
			break
		}
		c := in[at]
		if c <= ' ' {
			before := at
			at = j.skip(in, at)
			ok = at > before
			continue
		}
		switch need {
		case wantNext:
			if c == ',' {
				if at, need = at+1, wantKey; top.array {
					need = wantValue
					j.another(top)
				}
				continue
			}
			ok = c == top.closing
		case wantKey, wantMember:
			if c == '"' {
				if at, ok = j.plainName(in, at, top); ok {
					need = wantValue
				}
				continue
			}
			ok = c == '}' && need == wantMember
		default:
			if c == '{' || c == '[' {
				if ok = j.plainOpen(at); ok {
					at, need, top = j.at, j.need, &j.levels[len(j.levels)-1]
				}
				continue
			}
			if c != ']' {
				if at, ok = j.plainValue(in, at); ok {
					need = wantNext
				}
				continue
			}
			ok = need == wantFirst && top.array
		}
		if ok {
			if j.at = at; !j.plainClose() {
				return
			}
			at, need, top = j.at, wantNext, &j.levels[len(j.levels)-1]
		}
	}
	if j.at, j.need = at, need; need == wantValue || need == wantFirst {
		j.unsettle()
	}
}

// skip returns the place of the first byte from at on that is no space.
func (j *jsonStream) skip(in []byte, at int) int {
	for at < len(in) && in[at] <= ' ' {
		if c := in[at]; c != ' ' && c != '\t' && c != '\r' && (c != '\n' || j.many) {
			break
		}
		at++
	}
	return at
}

// settle notes what hides the value that comes next.
func (j *jsonStream) settle() {
	if j.settled, j.cover = true, nil; j.rules.paths != nil && !j.hiding {
		j.cover = j.rules.paths.cover(j.here, &j.joined)
	}
}

// unsettle makes here the state of the value that comes next.
func (j *jsonStream) unsettle() {
	if p := j.rules.paths; p != nil && !j.hiding && !j.settled {
		j.here = p.down(j.here[:0], j.parent(), p.each)
	}
}

// another makes ready for another element.
func (j *jsonStream) another(top *level) {
	top.next++
	if p := j.rules.paths; p != nil && len(p.indexes) > 0 && !j.hiding {
		j.element(top.next)
		j.settle()
	} else {
		j.other(top)
	}
}

// other makes ready for a value whose name or number no path holds.
func (j *jsonStream) other(top *level) {
	if j.settled, j.cover = false, nil; top.covered {
		j.unsettle()
		j.settle()
	}
}

// plainOpen begins an object or array in which something may be seen.
func (j *jsonStream) plainOpen(at int) bool {
	if j.cover != nil || len(j.levels) == maxDepth {
		return false
	}
	j.unsettle()
	j.at = at
	if j.push(j.in[at]); j.need == wantFirst {
		j.settle()
	}
	return true
}

// plainClose ends what is open, and reports whether all is as before but for that.
func (j *jsonStream) plainClose() bool {
	hiding := j.hiding
	j.pop(j.in[j.at])
	return len(j.levels) > 0 && j.hiding == hiding
}

// plainValue reads a string, number or word, and returns what is behind it.
func (j *jsonStream) plainValue(in []byte, at int) (int, bool) {
	end, escapes := 0, false
	switch c := in[at]; {
	case c == '"':
		end, escapes = stringEnd(in, at+1)
	case c == '-' || c-'0' <= 9:
		end = numberEnd(in, at)
	default:
		end = wordEnd(in, at)
	}
	if end == 0 || (j.cover != nil || j.seek) && !j.plainHidden(at, end, escapes) {
		return at, false
	}
	return end, true
}

// plainHidden hides a value that stands between at and end, or what the detectors find in it, and reports whether it could.
func (j *jsonStream) plainHidden(at, end int, escapes bool) bool {
	raw := j.in[at:end]
	text, quoted := raw, raw[0] == '"'
	if quoted {
		text = raw[1 : len(raw)-1]
	}
	switch word := raw[0] >= 'a'; {
	case word:
		return j.cover == nil
	case len(raw) > j.short:
		return false
	case j.cover != nil:
		if escapes && gathers(j.cover) {
			return false
		}
		j.dst = append(j.dst, j.in[j.from:at]...)
		j.dst = j.rules.appendValue(j.dst, text, j.cover)
		j.from = end
		j.hits.n++
	case !quoted:
		j.tok, j.at = at, end
		j.detectNumber(raw)
	case escapes:
		return false
	case !mask.Harmless(text):
		j.tok, j.at = at, end
		j.detectString(text)
	}
	return true
}

// stringEnd returns the place behind the string that goes on at i, and whether there are escapes in it; 0 where its end is not
// there, or something is that cannot be.
func stringEnd(in []byte, i int) (end int, escapes bool) {
	for i < len(in) {
		if i+8 <= len(in) {
			found := specials(load(in, i))
			if found == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(found) / 8
		}
		switch c := in[i]; {
		case c == '"':
			return i + 1, escapes
		case c < ' ' || c == '\\' || c >= utf8.RuneSelf:
			escapes = escapes || c == '\\'
			if i = odd(in, i); i == 0 {
				return 0, false
			}
		default:
			i++
		}
	}
	return 0, false
}

// odd returns the place behind an escape or a character beyond ASCII; 0 where it is none, or not all there.
func odd(in []byte, i int) int {
	size := 0
	switch c := in[i]; {
	case c == '\\':
		_, size = escape(in[i:])
	case c >= utf8.RuneSelf:
		var r rune
		if r, size = utf8.DecodeRune(in[i:]); r == utf8.RuneError && size == 1 {
			return 0
		}
	}
	if size <= 0 {
		return 0
	}
	return i + size
}

// numberEnd returns the place behind the number that begins at i; 0 where that is not there, or it is none.
func numberEnd(b []byte, i int) int {
	end := i + 1
	for end < len(b) && b[end]-'0' <= 9 {
		end++
	}
	if end < len(b) && b[i]-'1' <= 8 && !isWordByte(b[end]) && end-i <= maxWord {
		return end // most are no more than digits
	}
	for end < len(b) && isWordByte(b[end]) {
		end++
	}
	if end == len(b) || end-i > maxWord || !isNumber(b[i:end]) {
		return 0
	}
	return end
}

// wordEnd is numberEnd for true, false and null.
func wordEnd(b []byte, i int) int {
	for _, w := range [...]string{"true", "false", "null"} {
		if end := i + len(w); end < len(b) && string(b[i:end]) == w && !isWordByte(b[end]) {
			return end
		}
	}
	return 0
}
