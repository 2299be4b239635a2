package body

import (
	"bytes"
	"unicode/utf8"

	"gatehouse/internal/access"
)

const digitsOfSSN = 9

// quote begins a string: a name or a value.
func (j *jsonStream) quote() error {
	if j.key = j.need == wantKey || j.need == wantMember; !j.key && !j.value() {
		return j.wrong("a string stands where none can")
	}
	switch {
	case j.hiding:
		j.whole = j.gather
	case j.key:
		j.whole = j.rules.scan != nil || j.rules.paths != nil && j.parent().Live()
	default:
		j.whole = j.rules.scan != nil
	}
	j.tok, j.at, j.pieces, j.escapes, j.need = j.at, j.at+1, false, false, inString
	return j.string()
}

// string reads on inside a string, to its end if that is there.
func (j *jsonStream) string() error {
	for j.at < len(j.in) {
		in, limit := j.in, len(j.in)
		if j.whole && limit-j.tok > j.short {
			end, err := j.limit()
			if err != nil {
				return err
			}
			if limit = min(limit, end); j.at >= limit {
				continue
			}
		}
		if j.at += special(in[j.at:limit]); j.at == limit {
			continue
		}
		switch c := in[j.at]; {
		case c == '"':
			j.at++
			return j.endString()
		case c < ' ':
			return j.wrong("a string holds a control character")
		case c == '\\':
			r, size := escape(in[j.at:])
			switch {
			case size < 0:
				return j.wrong("a string holds an escape that is none")
			case size == 0:
				return nil
			case r == 0 && j.key:
				return j.wrong("a name holds NUL")
			}
			j.at, j.escapes = j.at+size, true
		default:
			if !utf8.FullRune(in[j.at:]) {
				return nil
			}
			r, size := utf8.DecodeRune(in[j.at:])
			if r == utf8.RuneError && size == 1 {
				return j.wrong("a string is not UTF-8")
			}
			j.at += size
		}
	}
	return nil
}

// limit returns how far a string that must be seen whole may be read before something is done about its length.
func (j *jsonStream) limit() (int, error) {
	switch {
	case j.hiding:
		if j.at-j.tok < j.held {
			return j.tok + j.held, nil
		}
		j.gather, j.whole, j.mask = false, false, access.Mask{Strategy: access.MaskRedact}
		return len(j.in), nil
	case j.key:
		if j.at-j.tok < window {
			return j.tok + window, nil
		}
		return 0, j.wrong("a name is too long")
	}
	start := j.tok
	if !j.pieces {
		start++
	}
	if j.at-start >= window {
		j.piece(start)
		start = j.tok
	}
	return start + window, nil
}

// piece looks at the part of a long string that has been read, from start on, and sends what comes before a safe cut.
func (j *jsonStream) piece(start int) {
	raw := j.in[start:j.at]
	text := j.unescaped(raw)
	if !j.pieces {
		j.dst = append(j.dst, j.in[j.from:start]...)
	}
	sent, before := len(j.dst), j.hits.n
	size := j.lines.long(&j.dst, text)
	if j.escapes {
		size = rawLength(raw, size)
	}
	j.resend(sent, raw[:size], j.hits.n > before)
	j.pieces, j.tok, j.from = true, start+size, start+size
}

// unescaped returns what a string that is being read says, until the next one is asked for.
func (j *jsonStream) unescaped(raw []byte) []byte {
	if !j.escapes {
		return raw
	}
	j.plain = appendUnescaped(j.plain[:0], raw)
	return j.plain
}

// resend puts what was appended to dst after sent into the form of a string; raw is how it was before, where nothing changed.
func (j *jsonStream) resend(sent int, raw []byte, changed bool) {
	switch text := j.dst[sent:]; {
	case len(text) == 0:
	case !changed:
		j.dst = append(j.dst[:sent], raw...)
	default:
		j.plain = append(j.plain[:0], text...)
		j.dst = appendEscaped(j.dst[:sent], j.plain)
	}
}

// endString is called behind a string's last quote.
func (j *jsonStream) endString() error {
	switch {
	case j.hiding:
		j.endHidden()
	case j.pieces:
		j.endPieces()
	case j.whole:
		j.endWhole()
	}
	if !j.key {
		j.ended()
		return nil
	}
	if j.key, j.need = false, wantColon; j.rules.paths != nil && !j.hiding && !j.whole {
		j.here = append(j.here[:0], j.parent()...) // nothing in there can be at a path
	}
	if j.at < len(j.in) && j.in[j.at] == ':' {
		j.need = wantValue
		j.structure(':')
	}
	return nil
}

// endHidden keeps what a hidden value's mask needs of a string.
func (j *jsonStream) endHidden() {
	if !j.gather || !j.whole {
		return
	}
	raw := j.in[j.tok:j.at]
	if len(j.levels) > j.depth {
		j.collect(raw)
		return
	}
	j.text = appendUnescaped(j.text, raw[1:len(raw)-1])
}

// endWhole looks at a string that has been seen whole.
func (j *jsonStream) endWhole() {
	text := j.unescaped(j.in[j.tok+1 : j.at-1])
	if j.key {
		if p := j.rules.paths; p != nil {
			j.here = p.Enter(j.here[:0], j.parent(), text)
		}
	}
	if j.rules.scan == nil {
		return
	}
	if j.key {
		j.name = append(j.name[:0], text...)
	}
	j.detectString(text)
}

// detectString hides what the detectors find in what a string says that stands between tok and at.
func (j *jsonStream) detectString(text []byte) {
	if out, hits := j.detect(text); hits > 0 {
		j.dst = append(j.dst, j.in[j.from:j.tok+1]...)
		j.dst = append(appendEscaped(j.dst, out), '"')
		j.from = j.at
	}
}

// endPieces looks at the rest of a long string.
func (j *jsonStream) endPieces() {
	raw := j.in[j.tok : j.at-1]
	j.from = j.at - 1
	if j.lines.lost {
		j.lines.lost = false
		return
	}
	sent, before := len(j.dst), j.hits.n
	j.dst = j.lines.mask(j.dst, j.unescaped(raw))
	j.resend(sent, raw, j.hits.n > before)
}

// detect masks what the detectors find in a value. Nine digits under a name that says so are a social security number: to
// the detector, the name stands before them.
func (j *jsonStream) detect(text []byte) ([]byte, int) {
	return j.lines.detect(text, j.name, !j.key && len(j.levels) > 0 && !j.levels[len(j.levels)-1].array)
}

// detect is mask for a value that may have a name.
func (l *lines) detect(text, name []byte, named bool) ([]byte, int) {
	const prefix = "ssn "
	if named && len(text) == digitsOfSSN && digitsOf(text) == digitsOfSSN && namesSSN(name) {
		l.both = append(append(l.both[:0], prefix...), text...)
		text = l.both
	} else {
		named = false
	}
	out, hits := l.found(l.scratch[:0], text)
	if hits == 0 {
		return text, 0
	}
	l.scratch = out
	l.hits.n += int64(hits)
	if named {
		out = bytes.TrimPrefix(out, []byte(prefix))
	}
	return out, hits
}

// namesSSN reports whether a name calls its value a social security number.
func namesSSN(name []byte) bool {
	var few [64]byte
	folded := appendFold(few[:0], name)
	for _, c := range []string{"SSN", "SOCIALSEC", "SOCIAL_SEC", "SOCIAL-SEC", "SOCIAL SEC"} {
		if bytes.Contains(folded, []byte(c)) {
			return true
		}
	}
	return false
}
