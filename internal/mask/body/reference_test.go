package body

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
)

// refLevel is an object or array that is open.
type refLevel struct {
	array bool
	next  int // the number of an array's next element
}

// reference is how jsonStream was before it had a quick way (run), byte by byte. What is between from and at
// goes out as it is, unless it is left out.
type reference struct {
	rules *Rules
	held  int
	short int  // bytes of a string about whose length nothing need be done
	many  bool // one document on each line
	hits  *counter
	lines lines

	buf  []byte // what was read and could not yet be sent
	in   []byte // what is being read: buf, or the caller's bytes
	dst  []byte
	at   int // all of in before it has been understood
	from int // all of in before it has been sent, or is left out
	tok  int // where the string or word that is being read begins
	need syntax

	levels []refLevel
	states State // of the levels, where there are paths: as many words for each as one state has
	here   State // of the value that comes next
	name   []byte

	key     bool // the string is a name
	whole   bool // the string must be seen whole
	escapes bool // the string has escapes
	pieces  bool // the string is long, and looked at in pieces: tok is where the next one begins

	hiding bool // the value is hidden
	mask   access.Mask
	depth  int    // of the hidden value
	gather bool   // the hidden value's text is needed
	text   []byte // the hidden value, as far as it is needed
	plain  []byte // a string without its escapes
}

func newReference(r *Rules, held int, many bool, hits *counter) *reference {
	j := &reference{rules: r, held: held, short: min(held, window), many: many, hits: hits, lines: lines{rules: r, hits: hits}}
	j.root()
	return j
}

// root makes ready for a document.
func (j *reference) root() {
	j.need, j.states = wantRoot, j.states[:0]
	if j.rules.paths != nil {
		j.here = j.rules.paths.Start(j.here[:0])
	}
}

func (j *reference) write(dst, src []byte) ([]byte, error) {
	j.in, j.dst = src, dst
	if len(j.buf) > 0 {
		j.buf = append(j.buf, src...)
		j.in = j.buf
	}
	err := j.read()
	keep := j.at
	if j.need == inWord || (j.need == inString && j.whole) {
		keep = j.tok
	}
	if !j.hiding && j.from < keep {
		j.dst = append(j.dst, j.in[j.from:keep]...)
	}
	dst = j.dst
	if keep > 0 || len(j.buf) == 0 { // what is held is not moved for each byte that comes to it
		j.buf = append(j.buf[:0], j.in[keep:]...)
	}
	j.at, j.tok, j.from = j.at-keep, j.tok-keep, 0
	j.in, j.dst = nil, nil
	return dst, err
}

func (j *reference) close(dst []byte) ([]byte, error) {
	j.in, j.dst = j.buf, dst
	if j.need == inWord {
		if err := j.word(); err != nil {
			return dst, err
		}
	}
	if j.need != wantEnd && j.need != wantRoot { // a body may be empty
		return dst, j.wrong("it ends too early")
	}
	return append(j.dst, j.in[j.from:]...), nil
}

// wrong says why a document cannot be read. It never holds anything of the document.
func (j *reference) wrong(why string) error { return fmt.Errorf("%w: JSON: %s", ErrUnreadable, why) }

// read goes on as far as it can: to the end of in, or to what is incomplete there.
func (j *reference) read() error {
	for j.at < len(j.in) {
		var err error
		before := j.at
		switch j.need {
		case inString:
			err = j.string()
			if err == nil && j.need == inString && j.at < len(j.in) && j.at == before {
				return nil // an escape or a character that is incomplete
			}
		case inWord:
			for j.at < len(j.in) && isWordByte(j.in[j.at]) {
				j.at++
			}
			if j.at-j.tok > maxWord {
				err = j.wrong("a number is too long")
			} else if j.at < len(j.in) {
				err = j.word()
			}
		default:
			err = j.mark(j.in[j.at])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mark reads one byte between strings and words.
func (j *reference) mark(c byte) error {
	switch c {
	case ' ', '\t', '\r':
		j.at++
		return nil
	case '\n':
		j.at++
		return j.newline()
	case '"':
		return j.quote()
	case ':':
		if j.need != wantColon {
			break
		}
		j.need = wantValue
		j.structure(c)
		return nil
	case ',':
		return j.comma()
	case '{', '[':
		return j.open(c)
	case '}', ']':
		return j.closing(c)
	default:
		if (c == '-' || c-'0' <= 9 || c == 't' || c == 'f' || c == 'n') && j.value() {
			j.tok, j.need = j.at, inWord
			return nil
		}
	}
	return j.wrong("something stands where it cannot")
}

// newline ends a document where there is one on each line.
func (j *reference) newline() error {
	switch {
	case !j.many || j.need == wantRoot:
	case j.need == wantEnd:
		j.root()
	default:
		return j.wrong("a line ends within a document")
	}
	return nil
}

// structure steps over a byte that is no value.
func (j *reference) structure(c byte) {
	j.at++
	if j.gather {
		j.collect([]byte{c})
	}
}

// collect adds to the text of a hidden value.
func (j *reference) collect(b []byte) {
	if len(j.text)+len(b) > j.held {
		j.gather, j.mask = false, access.Mask{Strategy: access.MaskRedact}
		return
	}
	j.text = append(j.text, b...)
}

func (j *reference) comma() error {
	if j.need != wantNext {
		return j.wrong("a comma stands where it cannot")
	}
	j.structure(',')
	top := &j.levels[len(j.levels)-1]
	if !top.array {
		j.need = wantKey
		return nil
	}
	j.need = wantValue
	top.next++
	j.element(top.next)
	return nil
}

// element makes ready for an array's element.
func (j *reference) element(i int) {
	if p := j.rules.paths; p != nil && !j.hiding {
		j.here = p.EnterIndex(j.here[:0], j.parent(), i)
	}
}

// parent is the state of what is open.
func (j *reference) parent() State { return j.states[len(j.states)-len(j.rules.paths.start):] }

// value makes ready to read a value, and reports whether one may stand here.
func (j *reference) value() bool {
	switch j.need {
	case wantRoot, wantValue, wantFirst:
	default:
		return false
	}
	if p := j.rules.paths; p != nil && !j.hiding {
		if m, ok := p.Mask(j.here); ok {
			j.hide(m)
		}
	}
	return true
}

// hide leaves out the value that begins here.
func (j *reference) hide(m access.Mask) {
	j.dst = append(j.dst, j.in[j.from:j.at]...)
	j.hiding, j.mask, j.depth, j.text = true, m, len(j.levels), j.text[:0]
	j.gather = m.Strategy == access.MaskHash || m.Strategy == access.MaskPartial || m.Strategy == access.MaskTruncate
}

// ended is called behind each value.
func (j *reference) ended() {
	if j.need = wantNext; len(j.levels) == 0 {
		j.need = wantEnd
	}
	if j.hiding && len(j.levels) == j.depth {
		j.dst = j.appendValue(j.dst, j.text, j.mask)
		j.hiding, j.gather, j.from = false, false, j.at
		j.hits.n++
	}
}

func (j *reference) open(c byte) error {
	if !j.value() {
		return j.wrong("a value stands where none can")
	}
	if len(j.levels) == maxDepth {
		return j.wrong("it is nested too deeply")
	}
	if j.hiding && j.mask.Strategy != access.MaskHash {
		j.hideWhole()
	}
	j.structure(c)
	j.levels = append(j.levels, refLevel{array: c == '['})
	if j.rules.paths != nil && !j.hiding {
		j.states = append(j.states, j.here...)
	}
	if c == '{' {
		j.need = wantMember
		return nil
	}
	j.need = wantFirst
	j.element(0)
	return nil
}

// hideWhole redacts a value of which no part can be shown: an object, an array.
func (j *reference) hideWhole() {
	if j.gather = false; j.mask.Strategy != access.MaskNull {
		j.mask = access.Mask{Strategy: access.MaskRedact}
	}
}

func (j *reference) closing(c byte) error {
	if len(j.levels) == 0 || j.levels[len(j.levels)-1].array != (c == ']') ||
		(j.need != wantNext && j.need != wantFirst && j.need != wantMember) {
		return j.wrong("a bracket closes what is not open")
	}
	j.structure(c)
	j.levels = j.levels[:len(j.levels)-1]
	if p := j.rules.paths; p != nil && !j.hiding {
		j.states = j.states[:len(j.states)-len(p.start)]
	}
	j.ended()
	return nil
}

// word reads a number, true, false or null, which is whole.
func (j *reference) word() error {
	w := j.in[j.tok:j.at]
	number := w[0] == '-' || w[0]-'0' <= 9
	if number && !isNumber(w) || !number && string(w) != "true" && string(w) != "false" && string(w) != "null" {
		return j.wrong("a word is no number, true, false or null")
	}
	switch {
	case j.hiding && len(j.levels) > j.depth:
		if j.gather {
			j.collect(w)
		}
	case j.hiding && w[0] == 'n' && j.mask.Strategy != access.MaskRedact:
		j.mask.Strategy = access.MaskNull // what is not there has no token, and no part
	case j.hiding:
		if !number && j.mask.Strategy != access.MaskHash {
			j.hideWhole()
		}
		j.text = append(j.text, w...)
	case number:
		j.detectNumber(w)
	}
	j.ended()
	return nil
}

// detectNumber hides a number that a detector knows; a string takes its place.
func (j *reference) detectNumber(w []byte) {
	w = withoutExponent(w)
	const shortest = 13 // what a detector finds in digits alone, but for nine digits that a name calls a social security number
	if j.rules.scan == nil || len(w) < shortest && len(w) != digitsOfSSN {
		return
	}
	digits, fraction, _ := bytes.Cut(w, []byte("."))
	if len(bytes.Trim(fraction, "0")) > 0 {
		digits = w
	}
	if out, hits := j.detect(digits); hits > 0 {
		j.dst = append(append(j.dst, j.in[j.from:j.tok]...), '"')
		j.dst = append(refEscaped(j.dst, out), '"')
		j.from = j.at
	}
}

// quote begins a string: a name or a value.
func (j *reference) quote() error {
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
func (j *reference) string() error {
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
		if j.at = refSpecial(in, j.at, limit); j.at == limit {
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
func (j *reference) limit() (int, error) {
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
func (j *reference) piece(start int) {
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
func (j *reference) unescaped(raw []byte) []byte {
	if !j.escapes {
		return raw
	}
	j.plain = appendUnescaped(j.plain[:0], raw)
	return j.plain
}

// resend puts what was appended to dst after sent into the form of a string; raw is how it was before, where nothing changed.
func (j *reference) resend(sent int, raw []byte, changed bool) {
	switch text := j.dst[sent:]; {
	case len(text) == 0:
	case !changed:
		j.dst = append(j.dst[:sent], raw...)
	default:
		j.plain = append(j.plain[:0], text...)
		j.dst = refEscaped(j.dst[:sent], j.plain)
	}
}

// endString is called behind a string's last quote.
func (j *reference) endString() error {
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
func (j *reference) endHidden() {
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
func (j *reference) endWhole() {
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
	if out, hits := j.detect(text); hits > 0 {
		j.dst = append(j.dst, j.in[j.from:j.tok+1]...)
		j.dst = append(refEscaped(j.dst, out), '"')
		j.from = j.at
	}
}

// endPieces looks at the rest of a long string.
func (j *reference) endPieces() {
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
func (j *reference) detect(text []byte) ([]byte, int) {
	return j.lines.detect(text, j.name, !j.key && len(j.levels) > 0 && !j.levels[len(j.levels)-1].array)
}

// refEscaped appends a text as it stands between the quotes of a string.
func refEscaped(dst, text []byte) []byte {
	const digits = "0123456789abcdef"
	for i, c := range text {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ' || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		case c >= utf8.RuneSelf && utf8.RuneStart(c):
			if r, size := utf8.DecodeRune(text[i:]); r == utf8.RuneError && size == 1 {
				c = '?' // a mask never makes one
			}
			dst = append(dst, c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// appendValue appends what stands for a value under a mask, as JSON. The text is that of a string, or how the value is
// written.
func (j *reference) appendValue(dst, text []byte, m access.Mask) []byte {
	if m.Strategy == access.MaskNull {
		return append(dst, "null"...)
	}
	var few [64]byte
	return append(refEscaped(append(dst, '"'), mask.Value(few[:0], text, m, j.rules.key, j.rules.domain)), '"')
}

func refSpecial(in []byte, at, limit int) int {
	for at < limit && in[at] >= ' ' && in[at] != '"' && in[at] != '\\' && in[at] < utf8.RuneSelf {
		at++
	}
	return at
}
