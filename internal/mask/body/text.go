package body

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/mask"
)

// Windows on a text. A line is looked at by itself, since no detector looks beyond one; a line that is longer than a window
// is cut where a cut changes nothing, as far as around can see.
const (
	window   = 64 << 10
	block    = 16 << 10 // lines that are looked at together at first: most texts hold nothing to be found
	mostBusy = 9        // halvings, to less than a line: it is looked at by itself at once
	around   = 2 << 10  // more than the longest thing that a detector finds, with what it looks at on either side
	cuts     = 48       // places that are tried
	hidden   = "[redacted]"
)

// lines hides what the detectors find in a text that comes in pieces.
type lines struct {
	rules   *Rules
	hits    *counter
	lost    bool   // no safe cut was found: what comes is left out, up to the next one
	busy    int    // how often lines that are looked at together are halved, since there is something to be found
	scratch []byte // what a line becomes
	plain   []byte // a text without its escapes
	left    []byte // for trying cuts
	right   []byte
	both    []byte
}

// take appends what becomes of the beginning of text, which goes on after its end, and returns how much of it that was: all
// whole lines, and of a line that is a window long the part before a safe cut.
func (l *lines) take(dst, text []byte) ([]byte, int) {
	done := bytes.LastIndexByte(text, '\n') + 1
	dst = l.whole(dst, text[:done])
	for len(text)-done >= window {
		n := l.long(&dst, text[done:done+window])
		done += n
	}
	return dst, done
}

// whole appends what becomes of whole lines.
func (l *lines) whole(dst, text []byte) []byte {
	for len(text) > 0 {
		n := min(len(text), block>>l.busy)
		if n < len(text) {
			n = bytes.LastIndexByte(text[:n], '\n') + 1
		}
		if n > 0 && !l.lost {
			if _, hits := l.found(l.scratch[:0], text[:n]); hits == 0 {
				dst, text, l.busy = append(dst, text[:n]...), text[n:], max(l.busy-1, 0)
				continue
			}
		}
		if n == 0 {
			n = bytes.IndexByte(text, '\n') + 1
		}
		before := l.hits.n
		for part := text[:n]; len(part) > 0; {
			end := bytes.IndexByte(part, '\n') + 1
			if end == 0 {
				end = len(part)
			}
			dst, part = l.line(dst, part[:end]), part[end:]
		}
		if text = text[n:]; l.hits.n > before {
			l.busy = min(l.busy+1, mostBusy)
		} else {
			l.busy = max(l.busy-1, 0)
		}
	}
	return dst
}

// line appends what becomes of one line, or of the rest of one.
func (l *lines) line(dst, text []byte) []byte {
	for len(text) > window {
		text = text[l.long(&dst, text[:window]):]
	}
	body := bytes.TrimSuffix(text, []byte("\n"))
	if l.lost {
		l.lost = false
		return append(dst, text[len(body):]...)
	}
	return append(l.mask(dst, body), text[len(body):]...)
}

// last appends what becomes of the end of a text.
func (l *lines) last(dst, text []byte) []byte { return l.line(dst, text) }

// mask appends what becomes of text.
func (l *lines) mask(dst, text []byte) []byte {
	out, hits := l.found(l.scratch[:0], text)
	if hits > 0 {
		l.scratch = out
	}
	l.hits.n += int64(hits)
	return append(dst, out...)
}

// found masks what the detectors find in a text, as Scanner.Mask does. Where they find more behind JSON's escapes of characters that need
// none, it is masked without those: to who reads it as JSON, that is the same.
func (l *lines) found(dst, text []byte) (out []byte, hits int) {
	scan := l.rules.scan
	if out, hits = scan.Mask(dst, text); bytes.Contains(text, []byte(`\u00`)) {
		l.plain = appendNeedless(l.plain[:0], text)
		plain, more := scan.Mask(nil, l.plain)
		if more > hits {
			return append(dst[:0], plain...), more
		}
	}
	return out, hits
}

// long appends what becomes of the beginning of a line that fills a window, and returns how long that was. Where no cut is
// safe, the window is redacted, and what comes before the next safe one is left out.
func (l *lines) long(dst *[]byte, text []byte) int {
	cut := l.cut(text)
	switch {
	case l.lost && cut == 0:
		return len(text) - around
	case l.lost:
		l.lost = false
	case cut == 0:
		l.lost = true
		l.hits.n++
		*dst = append(*dst, hidden...)
		return len(text) - around
	default:
		*dst = l.mask(*dst, text[:cut])
	}
	return cut
}

// cut returns a place near the end of a text that goes on, where what comes before and what comes after can be looked at
// apart; 0 where none was found. Places after what stands in no name or number come first.
func (l *lines) cut(text []byte) int {
	from, to := len(text)/2, len(text)-around
	tried := 0
	for i := to; i > from && tried < cuts/2; i-- {
		if strings.IndexByte("\t,;<>{}[]|=&", text[i-1]) >= 0 {
			if tried++; l.safe(text, i) {
				return i
			}
		}
	}
	for i := to; i > from && tried < cuts; i -= 331 {
		if tried++; l.safe(text, i) {
			return i
		}
	}
	return 0
}

// safe reports whether cutting at i changes nothing within sight.
func (l *lines) safe(text []byte, i int) bool {
	if !utf8.RuneStart(text[i]) {
		return false
	}
	near := text[i-around : i+around]
	if mask.Invisible(near) > around/16 {
		return false // what is found may be longer than it looks
	}
	l.both = append(l.both[:0], near...)
	both, hits := l.found(l.scratch[:0], l.both)
	if hits > 0 {
		l.scratch = both
	}
	before, some := l.found(l.left[:0], near[:around])
	if some > 0 {
		l.left = before
	}
	after, more := l.found(l.right[:0], near[around:])
	if more > 0 {
		l.right = after
	}
	return len(both) == len(before)+len(after) && bytes.HasPrefix(both, before) && bytes.HasSuffix(both, after)
}

// text is the stream of plain text.
type text struct {
	lines
	buf []byte
}

func (t *text) write(dst, src []byte) ([]byte, error) {
	if t.rules.scan == nil {
		return append(dst, src...), nil
	}
	if bytes.IndexByte(src, 0) >= 0 {
		return dst, fmt.Errorf("%w: a text holds NUL, or is UTF-16 or UTF-32", ErrUnreadable)
	}
	in := src
	if len(t.buf)+len(src) < window && bytes.IndexByte(src, '\n') < 0 {
		t.buf = append(t.buf, src...)
		return dst, nil
	}
	if len(t.buf) > 0 {
		t.buf = append(t.buf, src...)
		in = t.buf
	}
	dst, n := t.take(dst, in)
	t.buf = append(t.buf[:0], in[n:]...)
	return dst, nil
}

func (t *text) close(dst []byte) ([]byte, error) {
	if t.rules.scan == nil {
		return dst, nil
	}
	return t.last(dst, t.buf), nil
}
