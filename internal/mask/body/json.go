package body

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"unicode/utf8"

	"gatehouse/internal/access"
)

// syntax is what may come next in a JSON document.
type syntax uint8

const (
	wantRoot   syntax = iota // the document
	wantValue                // a value
	wantFirst                // a value, or the end of an array
	wantKey                  // a name
	wantMember               // a name, or the end of an object
	wantColon
	wantNext // a comma, or the end of the object or array
	wantEnd  // nothing
	inString
	inWord // a number, true, false or null
)

// maxWord bounds a number.
const maxWord = 4 << 10

// level is an object or array that is open.
type level struct {
	array   bool
	closing byte // what ends it
	live    bool // a path may lead into it
	covered bool // a value in it is hidden whatever its name or number
	next    int  // the number of an array's next element
}

// jsonStream reads a JSON document once, byte by byte, and checks it as strictly as can be. What is between from and at
// goes out as it is, unless it is left out.
type jsonStream struct {
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

	levels []level
	states State // of the levels, where there are paths: as many words for each as one state has
	here   State // of the value that comes next
	name   []byte

	seek    bool         // to run: detectors look at values
	settled bool         // to run: here is the state of the value that comes next; it is that of any other name or number else
	cover   *access.Mask // to run: what hides the value that comes next
	joined  access.Mask  // of several
	guesses [guesses]guess
	long    guess // a name that is not guessed
	met     uint8 // the last name that was guessed
	guessed uint8 // the name that is guessed

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

func newJSON(r *Rules, held int, many bool, hits *counter) *jsonStream {
	j := &jsonStream{rules: r, held: held, short: min(held, window), many: many, hits: hits, lines: lines{rules: r, hits: hits}}
	j.root()
	return j
}

// again makes ready for another document, whatever the last one came to.
func (j *jsonStream) again() {
	j.buf, j.levels, j.at, j.from, j.tok = j.buf[:0], j.levels[:0], 0, 0, 0
	j.hiding, j.gather, j.key, j.lines.lost, j.hits.n = false, false, false, false, 0
	j.root()
}

// root makes ready for a document.
func (j *jsonStream) root() {
	j.need, j.states = wantRoot, j.states[:0]
	if j.rules.paths != nil {
		j.here = j.rules.paths.Start(j.here[:0])
	}
}

func (j *jsonStream) write(dst, src []byte) ([]byte, error) {
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

func (j *jsonStream) close(dst []byte) ([]byte, error) {
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
func (j *jsonStream) wrong(why string) error { return fmt.Errorf("%w: JSON: %s", ErrUnreadable, why) }

// read goes on as far as it can: to the end of in, or to what is incomplete there.
func (j *jsonStream) read() error {
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
			if j.run(); j.at < len(j.in) {
				err = j.mark(j.in[j.at])
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mark reads one byte between strings and words.
func (j *jsonStream) mark(c byte) error {
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
func (j *jsonStream) newline() error {
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
func (j *jsonStream) structure(c byte) {
	j.at++
	if j.gather {
		j.collect([]byte{c})
	}
}

// collect adds to the text of a hidden value.
func (j *jsonStream) collect(b []byte) {
	if len(j.text)+len(b) > j.held {
		j.gather, j.mask = false, access.Mask{Strategy: access.MaskRedact}
		return
	}
	j.text = append(j.text, b...)
}

func (j *jsonStream) comma() error {
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
func (j *jsonStream) element(i int) {
	if p := j.rules.paths; p != nil && !j.hiding {
		j.here = p.EnterIndex(j.here[:0], j.parent(), i)
	}
}

// parent is the state of what is open.
func (j *jsonStream) parent() State { return j.states[len(j.states)-len(j.rules.paths.start):] }

// value makes ready to read a value, and reports whether one may stand here.
func (j *jsonStream) value() bool {
	switch j.need {
	case wantRoot, wantValue, wantFirst:
	default:
		return false
	}
	if p := j.rules.paths; p != nil && !j.hiding {
		if m := p.cover(j.here, &j.joined); m != nil {
			j.hide(m)
		}
	}
	return true
}

// hide leaves out the value that begins here.
func (j *jsonStream) hide(m *access.Mask) {
	j.dst = append(j.dst, j.in[j.from:j.at]...)
	j.hiding, j.mask, j.depth, j.text = true, *m, len(j.levels), j.text[:0]
	j.gather = gathers(m)
}

// gathers reports whether a mask needs the value that it hides.
func gathers(m *access.Mask) bool {
	return m.Strategy == access.MaskHash || m.Strategy == access.MaskPartial || m.Strategy == access.MaskTruncate
}

// ended is called behind each value.
func (j *jsonStream) ended() {
	if j.need = wantNext; len(j.levels) == 0 {
		j.need = wantEnd
	}
	if j.hiding && len(j.levels) == j.depth {
		j.dst = j.rules.appendValue(j.dst, j.text, &j.mask)
		j.hiding, j.gather, j.from = false, false, j.at
		j.hits.n++
	}
}

func (j *jsonStream) open(c byte) error {
	if !j.value() {
		return j.wrong("a value stands where none can")
	}
	if len(j.levels) == maxDepth {
		return j.wrong("it is nested too deeply")
	}
	if j.hiding && j.mask.Strategy != access.MaskHash {
		j.hideWhole()
	}
	j.push(c)
	return nil
}

// push begins an object or array.
func (j *jsonStream) push(c byte) {
	j.structure(c)
	l := level{closing: '}'}
	if p := j.rules.paths; p != nil && !j.hiding {
		j.states = append(j.states, j.here...)
		if l.live = j.here.Live(); l.live {
			j.here = p.down(j.here[:0], j.parent(), p.each)
			l.covered = p.cover(j.here, &j.joined) != nil
		}
	}
	if j.need = wantMember; c == '[' {
		l.array, l.closing, j.need = true, ']', wantFirst
	}
	j.levels = append(j.levels, l)
	if l.array {
		j.element(0)
	}
}

// hideWhole redacts a value of which no part can be shown: an object, an array.
func (j *jsonStream) hideWhole() {
	if j.gather = false; j.mask.Strategy != access.MaskNull {
		j.mask = access.Mask{Strategy: access.MaskRedact}
	}
}

func (j *jsonStream) closing(c byte) error {
	if len(j.levels) == 0 || j.levels[len(j.levels)-1].closing != c ||
		(j.need != wantNext && j.need != wantFirst && j.need != wantMember) {
		return j.wrong("a bracket closes what is not open")
	}
	j.pop(c)
	return nil
}

// pop ends what is open.
func (j *jsonStream) pop(c byte) {
	j.structure(c)
	j.levels = j.levels[:len(j.levels)-1]
	if p := j.rules.paths; p != nil && !j.hiding {
		j.states = j.states[:len(j.states)-len(p.start)]
	}
	j.ended()
}

func isWordByte(c byte) bool {
	return c-'0' <= 9 || c == '.' || c == '-' || c == '+' || (c|0x20)-'a' < 26
}

// word reads a number, true, false or null, which is whole.
func (j *jsonStream) word() error {
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
func (j *jsonStream) detectNumber(w []byte) {
	const shortest = 13 // what a detector finds in digits alone, but for nine digits that a name calls a social security number
	if j.rules.scan == nil {
		return
	}
	if w = withoutExponent(w); len(w) < shortest && len(w) != digitsOfSSN {
		return
	}
	digits, fraction, _ := bytes.Cut(w, []byte("."))
	if len(bytes.Trim(fraction, "0")) > 0 {
		digits = w
	}
	if out, hits := j.detect(digits); hits > 0 {
		j.dst = append(append(j.dst, j.in[j.from:j.tok]...), '"')
		j.dst = append(appendEscaped(j.dst, out), '"')
		j.from = j.at
	}
}

// withoutExponent writes a number that has an exponent as people do, as far as digits that a detector knows may come of it: many
// programs write large numbers as 4.111111111111111e+15.
func withoutExponent(w []byte) []byte {
	const most = 40
	i := 0
	for i < len(w) && w[i]|0x20 != 'e' {
		i++
	}
	if i == len(w) {
		return w
	}
	exponent, err := strconv.Atoi(string(w[i+1:]))
	whole, fraction, _ := bytes.Cut(w[:i], []byte("."))
	if err != nil || exponent < -most || exponent > most || len(whole)+exponent <= 0 {
		return w
	}
	digits := slices.Concat(whole, fraction)
	for len(digits) < len(whole)+exponent {
		digits = append(digits, '0')
	}
	out := bytes.Clone(digits[:len(whole)+exponent])
	if rest := digits[len(out):]; len(rest) > 0 {
		out = append(append(out, '.'), rest...)
	}
	return out
}

// isNumber reports whether w is a number (RFC 8259, 6).
func isNumber(w []byte) bool {
	if w[0] == '-' {
		w = w[1:]
	}
	n := digitsOf(w)
	if n == 0 || n > 1 && w[0] == '0' {
		return false
	}
	if w = w[n:]; len(w) > 0 && w[0] == '.' {
		if n = digitsOf(w[1:]); n == 0 {
			return false
		}
		w = w[1+n:]
	}
	if len(w) > 0 && w[0]|0x20 == 'e' {
		if w = w[1:]; len(w) > 0 && (w[0] == '+' || w[0] == '-') {
			w = w[1:]
		}
		if n = digitsOf(w); n == 0 {
			return false
		}
		w = w[n:]
	}
	return len(w) == 0
}

func digitsOf(w []byte) (n int) {
	for n < len(w) && w[n]-'0' <= 9 {
		n++
	}
	return n
}

// specials marks bytes that are a quote, a backslash, a control byte or beyond ASCII. The lowest mark is always right: a byte
// borrows from the next only where it is marked itself.
func specials(x uint64) uint64 {
	const ones = 0x0101010101010101
	low, slash := x^('"'^' ')*ones, x^'\\'*ones // a quote changes places with a space, control bytes among themselves
	return (x | (low - (' '+1)*ones) | (slash - ones)) & (0x80 * ones)
}

// special finds the first byte of s that specials marks.
func special(s []byte) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := binary.LittleEndian.Uint64(s[i:])
		if found := specials(x); found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return i
		}
	}
	return i
}
