package mask

import (
	"fmt"
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

// class says what a byte may begin, or be in the middle of.
type class uint8

const (
	classDigit class = 1 << iota // card, ssn, phone, iban, ip
	classAt                      // email
	classPlus                    // phone
	classColon                   // ip
	classHigh                    // a byte of a character beyond ASCII, which may stand for one of the above
)

// Scanner masks what detectors find inside values. It is safe for concurrent use.
type Scanner struct {
	on      [entityCount]bool
	masks   [entityCount]access.Mask
	key     *Key
	classes [256]class
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
	s.classify()
	if s.on[phone] {
		validPhone("+14155552671") // loads the number plans now, not during somebody's query
	}
	return s, nil
}

// classify marks the bytes at which a detector that is on must be asked.
func (s *Scanner) classify() {
	if s.on[card] || s.on[ssn] || s.on[phone] || s.on[iban] || s.on[ip] {
		for c := '0'; c <= '9'; c++ {
			s.classes[c] = classDigit
		}
	}
	if s.on[email] {
		s.classes['@'] = classAt
	}
	if s.on[phone] {
		s.classes['+'] = classPlus
	}
	if s.on[ip] {
		s.classes[':'] = classColon
	}
	if slices.Contains(s.on[:], true) {
		for c := 0x80; c <= 0xff; c++ {
			s.classes[c] = classHigh
		}
	}
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
	present := s.prefilter(v)
	if present == 0 || (present == classHigh && !foldable(v)) {
		return v, 0
	}
	if present&classHigh != 0 && foldable(v) {
		f, _ := s.folds.Get().(*folded)
		defer s.folds.Put(f)
		f.fold(v)
		return s.render(dst, v, f.text, f.at)
	}
	return s.render(dst, v, v, nil)
}

// prefilter returns the classes of all bytes of v.
func (s *Scanner) prefilter(v []byte) class {
	var all class
	t := &s.classes
	for ; len(v) >= 8; v = v[8:] {
		all |= t[v[0]] | t[v[1]] | t[v[2]] | t[v[3]] | t[v[4]] | t[v[5]] | t[v[6]] | t[v[7]]
	}
	for _, c := range v {
		all |= t[c]
	}
	return all
}

// span is something found: text[start:end] and what hides it.
type span struct {
	start, end int
	mask       access.Mask
}

// render looks through text, which is v or its folded form, and hides in v what it finds. at gives the place in v of
// each byte of text; nil where they are the same.
func (s *Scanner) render(dst, v, text []byte, at []int) ([]byte, int) {
	var few [8]span
	f := finder{Scanner: s, text: text, tries: phoneTries}
	spans := f.find(few[:0])
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
		dst = Value(dst, v[start:end], sp.mask, s.key, detected)
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
		last.mask = harder(last.mask, sp.mask)
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

func harder(a, b access.Mask) access.Mask {
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

// find appends what the detectors find.
func (f *finder) find(spans []span) []span {
	text, classes := f.text, &f.classes
	for i := 0; i < len(text); i++ {
		switch classes[text[i]] {
		case classDigit:
			if i == 0 || !isDigit(text[i-1]) {
				spans = f.atDigit(spans, i)
			}
		case classAt:
			spans = f.try(spans, email, i)
		case classPlus:
			spans = f.try(spans, phone, i)
		case classColon:
			spans = f.try(spans, ip, i)
		}
	}
	return spans
}

// atDigit asks the detectors of things that begin with a digit, at the first digit of a run. What the run's length and
// its neighbours rule out is not asked: most numbers in a text are ruled out here. IBANs begin two letters earlier.
func (f *finder) atDigit(spans []span, i int) []span {
	text, end := f.text, i+1
	for end < len(text) && isDigit(text[end]) {
		end++
	}
	size, before, sep := end-i, byte(0), byte(0) // sep is what stands between this run and the next
	if i > 0 {
		before = text[i-1]
	}
	if end+1 < len(text) && isDigit(text[end+1]) && among(text[end], " -.") {
		sep = text[end]
	}
	if size >= 13 || (size == 4 && (sep == ' ' || sep == '-')) {
		spans = f.try(spans, card, i)
	}
	if size == 9 || (size == 3 && sep != 0) {
		spans = f.try(spans, ssn, i)
	}
	zeros := text[i] == '0' && size > 1 && text[i+1] == '0'
	if before == '(' || zeros || (sep != 0 && (size == 3 || text[i] == '0' && size > 1 || text[i] == '1' && size == 1)) {
		spans = f.try(spans, phone, i)
	}
	if isWord(before) {
		spans = f.try(spans, iban, i)
	}
	if size <= 3 && sep == '.' {
		spans = f.try(spans, ip, i)
	}
	return spans
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
	return append(spans, span{start, end, f.masks[e]})
}
