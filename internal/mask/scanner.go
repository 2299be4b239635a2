package mask

import (
	"fmt"
	"math/bits"
	"slices"
	"sync"

	"gatehouse/internal/access"
)

// detected is the domain of tokens for what detectors find.
const detected = "\x00detected"

// Bounds of one call of Scanner.Mask.
const (
	rounds     = 3   // times that a masked value is looked through again before it is redacted whole
	phoneTries = 256 // numbers that are looked up in the number plans; what comes after counts as a phone number
)

// entity numbers the detectors.
type entity uint8

const (
	card entity = iota
	email
	ssn
	phone
	iban
	ip
	entityCount
)

// numberOf ties the detectors to their names in documents.
func numberOf(name string) (entity, bool) {
	i := slices.Index([]string{access.EntityCreditCard, access.EntityEmail, access.EntitySSN, access.EntityPhone,
		access.EntityIBAN, access.EntityIP}, name)
	return entity(max(i, 0)), i >= 0
}

// Entities returns the names of the detectors.
func Entities() []string { return access.Entities() }

// Scanner masks what detectors find inside values. It is safe for concurrent use.
type Scanner struct {
	on      [entityCount]bool
	masks   [entityCount]access.Mask
	key     *Key
	numbers bool      // a detector of things with digits is on
	folds   sync.Pool // of *folded
}

// NewScanner makes a Scanner of detections. A detector that is not known is an error; one that is given twice hides as
// its stronger mask does.
func NewScanner(d []access.Detection, k *Key) (*Scanner, error) {
	s := &Scanner{key: k}
	s.folds.New = func() any { return new(folded) }
	for _, one := range d {
		e, known := numberOf(one.Entity)
		if !known {
			return nil, fmt.Errorf("mask.NewScanner: unknown detector %q", one.Entity)
		}
		if !s.on[e] || strength(one.Mask) > strength(s.masks[e]) {
			s.masks[e] = one.Mask
		}
		s.on[e] = true
	}
	s.numbers = s.on[card] || s.on[ssn] || s.on[phone] || s.on[iban] || s.on[ip]
	if s.on[phone] {
		validPhone("+14155552671") // loads the number plans now, not during somebody's query
	}
	return s, nil
}

// Mask hides what the detectors find inside v and returns the result and how many things it hid. Where it finds nothing
// it returns v itself, without a copy or an allocation; otherwise the result is built in dst, whose content is
// overwritten and which must not share memory with v. The result holds nothing that the Scanner would find again: where hiding one thing uncovers another more
// than a few times, the whole value is redacted.
func (s *Scanner) Mask(dst, v []byte) (out []byte, hits int) {
	out, hits = s.once(dst[:0], v)
	if hits == 0 {
		return v, 0
	}
	for range rounds {
		again, more := s.once(nil, out)
		if more == 0 {
			return out, hits
		}
		out, hits = append(out[:0], again...), hits+more
	}
	return append(out[:0], word...), hits
}

// once makes one pass. Where it finds nothing it returns v.
func (s *Scanner) once(dst, v []byte) ([]byte, int) {
	if Harmless(v) {
		return v, 0
	}
	if !beyondASCII(v) || !foldable(v) {
		if m := newMarker(v, s.numbers); m.next() {
			return s.render(dst, v, nil, &m)
		}
		return v, 0
	}
	f, _ := s.folds.Get().(*folded)
	defer s.folds.Put(f)
	f.fold(v)
	if m := newMarker(f.text, s.numbers); m.next() {
		return s.render(dst, v, f.at, &m)
	}
	return v, 0
}

// span is something found: text[start:end] and what hides it.
type span struct {
	start, end int
	mask       *access.Mask // not by value: room for spans is made for each value that is looked at
}

// render looks at what is marked in a text, which is v or its folded form, and hides in v what it finds. at gives the place
// in v of each byte of the text; nil where they are the same.
func (s *Scanner) render(dst, v []byte, at []int, m *marker) ([]byte, int) {
	var few [8]span
	f := finder{Scanner: s, text: m.text, tries: phoneTries}
	spans := f.find(few[:0], m)
	if len(spans) == 0 {
		return v, 0
	}
	spans = unite(spans)
	done := 0
	for _, sp := range spans {
		start, end := sp.start, sp.end
		if at != nil {
			start, end = at[start], at[end]
		}
		dst = append(dst, v[done:start]...)
		dst = Value(dst, v[start:end], *sp.mask, s.key, detected)
		done = end
	}
	return append(dst, v[done:]...), len(spans)
}

// unite sorts spans and joins those that overlap; of two masks the one that hides more takes all.
func unite(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return a.start - b.start })
	out := spans[:1]
	for _, sp := range spans[1:] {
		last := &out[len(out)-1]
		if sp.start >= last.end {
			out = append(out, sp)
			continue
		}
		last.end = max(last.end, sp.end)
		if last.mask != sp.mask {
			both := Stronger(*last.mask, *sp.mask)
			last.mask = &both
		}
	}
	return out
}

// strength orders masks by how much they hide; what is not known is redacted.
func strength(m access.Mask) int {
	i := slices.Index([]access.MaskStrategy{access.MaskTruncate, access.MaskPartial, access.MaskHash, access.MaskRedact,
		access.MaskNull}, m.Strategy)
	if i < 0 {
		return 3
	}
	return i
}

// Stronger returns of two masks on one value the one that hides more; of two partial ones, one that keeps what both keep.
func Stronger(a, b access.Mask) access.Mask {
	switch sa, sb := strength(a), strength(b); {
	case sb > sa:
		return b
	case sa == sb && a.Strategy == access.MaskPartial:
		a.KeepFirst, a.KeepLast = min(a.KeepFirst, b.KeepFirst), min(a.KeepLast, b.KeepLast)
	}
	return a
}

// finder is one pass over one text.
type finder struct {
	*Scanner
	text  []byte
	tries int              // number plan lookups left
	done  [entityCount]int // each detector goes on from here
	run   int              // the end of the last run that was looked at for an IPv6 address
}

// find appends what the detectors find, block by block.
func (f *finder) find(spans []span, m *marker) []span {
	for more := true; more; more = m.next() {
		for ; m.marks != 0; m.marks &= m.marks - 1 {
			i := m.base + bits.TrailingZeros64(m.marks)
			switch f.text[i] {
			case '@':
				spans = f.try(spans, email, i)
			case '+':
				spans = f.try(spans, phone, i)
			case ':':
				spans = f.try(spans, ip, i)
			default:
				spans = f.atDigit(spans, i)
			}
		}
	}
	return spans
}

// atDigit asks the detectors of things that begin with a digit, at the first digit of a run. What the run's length and its
// neighbours rule out is not asked: most numbers in a text are ruled out here, or were not marked. IBANs begin two letters
// earlier.
func (f *finder) atDigit(spans []span, i int) []span {
	text, end := f.text, i+1
	for end < len(text) && isDigit(text[end]) {
		end++
	}
	size, sep := end-i, byte(0) // sep is what stands between this run and the next
	if end+1 < len(text) && isDigit(text[end+1]) && (text[end] == '-' || text[end] == ' ' || text[end] == '.') {
		sep = text[end]
	}
	if (size >= 13 || (size == 4 && (sep == ' ' || sep == '-'))) && issued(text[i], text[i+1]) {
		spans = f.try(spans, card, i)
	}
	if size == 9 || (size == 3 && sep != 0) {
		spans = f.try(spans, ssn, i)
	}
	if f.mayBePhone(i, end, sep) {
		spans = f.try(spans, phone, i)
	}
	if size >= 2 && i >= 2 && isLetter(text[i-1]) && isLetter(text[i-2]) && (i == 2 || !isWord(text[i-3])) {
		spans = f.try(spans, iban, i)
	}
	if size <= 3 && sep == '.' {
		spans = f.try(spans, ip, i)
	}
	return spans
}

// mayBePhone rules out most runs of digits that begin no phone number without a "+": see findPhone, and national for the
// sizes of groups.
func (f *finder) mayBePhone(i, end int, sep byte) bool {
	text, size := f.text, end-i
	if i > 0 && text[i-1] == '(' {
		return true
	}
	if text[i] == '0' && i+3 < len(text) && text[i+1] == '0' && (text[i+2] == ' ' || isDigit(text[i+2])) {
		return true
	}
	if sep == 0 || size > 5 {
		return false
	}
	switch {
	case size == 3, text[i] == '0' && size > 3, text[i] == '1' && size == 1:
		return end+3 < len(text) && allDigits(text[end+1:end+4]) // the next group has three digits at least
	case text[i] == '0' && size == 2: // pairs, with the same between each two
		return end+4 < len(text) && isDigit(text[end+2]) && text[end+3] == sep && isDigit(text[end+4])
	}
	return false
}

// try asks one detector about the place i.
func (f *finder) try(spans []span, e entity, i int) []span {
	if !f.on[e] || i < f.done[e] {
		return spans
	}
	var start, end int
	switch e {
	case card:
		start, end = findCard(f.text, i)
	case email:
		start, end = findEmail(f.text, i)
	case ssn:
		start, end = findSSN(f.text, i)
	case phone:
		start, end = f.findPhone(i)
	case iban:
		start, end = findIBAN(f.text, i)
	case ip:
		start, end = f.findIP(i)
	}
	if end == 0 {
		return spans
	}
	f.done[e] = end
	return append(spans, span{start, end, &f.masks[e]})
}
