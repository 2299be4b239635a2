package policy

import (
	"slices"
	"strings"
	"sync"

	"gatehouse/internal/access"
)

// maskSet is what must be hidden from a principal on a connection. It implements access.Masks. But for what it remembers of
// its own answers it is immutable.
type maskSet struct {
	fields    []*bound           // by resource, as a whole
	detect    []access.Detection // by entity, one each: of what a principal is shown
	documents []*documentMask
	sets      bool // an asterisk in a resource makes it a set
	remember  documentMemory
}

// documentMask is what one statement hides inside the documents of its resources, or of all where it names none.
type documentMask struct {
	resources []pattern
	all       bool
	ways      ways
	hides     access.DocumentMasks
}

// newMaskSet puts masks together. sets says that the connection's protocol writes every asterisk of a name encoded, as
// access.SegmentResource does: then a resource with one is a set (access.Action.Wild).
func newMaskSet(masks []*bound, sets bool) *maskSet {
	if len(masks) == 0 {
		return nil
	}
	s := &maskSet{sets: sets}
	for _, b := range masks {
		d := b.documentMask()
		s.documents = append(s.documents, d)
		if d.hides.Whole != nil {
			s.fields = append(s.fields, b)
		}
		if d.ways[access.ToClient] {
			s.detect = mergeDetect(s.detect, d.hides.Detect)
		}
	}
	return s
}

func (b *bound) documentMask() *documentMask {
	m := b.withBecause()
	d := &documentMask{resources: b.resources, all: len(b.rule.resources) == 0, ways: b.ways}
	for _, entity := range b.detect {
		d.hides.Detect = mergeDetect(d.hides.Detect, []access.Detection{{Entity: entity, Mask: m}})
	}
	for _, p := range b.paths {
		d.hides.Paths = append(d.hides.Paths, access.PathMask{Path: p.Path, Mask: m})
	}
	for _, h := range b.headers {
		d.hides.Headers = append(d.hides.Headers, access.HeaderMask{Name: h.Name, Mask: m})
	}
	if d.hides.None() {
		d.hides.Whole = &m
	}
	return d
}

func (b *bound) withBecause() access.Mask {
	m := b.mask
	m.Because = b.because
	return m
}

// Field implements access.Masks.
func (s *maskSet) Field(resource string) (access.Mask, bool) {
	var m access.Mask
	found := false
	for _, b := range s.fields {
		if !coversAny(b.resources, resource) {
			continue
		}
		if !found {
			m, found = b.withBecause(), true
			continue
		}
		m = MergeMasks(m, b.withBecause())
	}
	return m, found
}

func coversAny(patterns []pattern, resource string) bool {
	return slices.ContainsFunc(patterns, func(p pattern) bool { return p.covers(resource) })
}

// Fields implements access.Masks.
func (s *maskSet) Fields() bool { return len(s.fields) > 0 }

// Detect implements access.Masks. A detector for some resources counts for all: where there are no documents, there is no
// telling what a value belongs to.
func (s *maskSet) Detect() []access.Detection { return s.detect }

// Document implements access.Masks. Of a set of resources it returns what must be hidden of any of them. The slices of equal answers are the same ones, as a rule: what is compiled from them can
// be kept by their address.
func (s *maskSet) Document(resource string, way access.Way) access.DocumentMasks {
	if int(way) >= len(ways{}) {
		way = access.ToClient
	}
	binds := coversAny
	if s.sets && strings.IndexByte(resource, '*') >= 0 {
		binds = meetsAny
	}
	var room [32]byte
	key, last := append(room[:0], byte(way)), (*documentMask)(nil)
	for i, d := range s.documents {
		if d.ways[way] && (d.all || binds(d.resources, resource)) {
			key, last = append(key, byte(i), byte(i>>8), byte(i>>16)), d
		}
	}
	switch len(key) {
	case 1:
		return access.DocumentMasks{}
	case 1 + numberBytes:
		return last.hides
	}
	if d, ok := s.remember.get(key); ok {
		return d
	}
	return s.remember.put(key, s.merge(key[1:]))
}

// numberBytes is how long the number of a statement is in the key of an answer.
const numberBytes = 3

// Below reports whether a mask may bind something whose resource begins with prefix, and that a call which names no more than that
// reads. Masks of everything are left out: they bind the call itself.
func (s *maskSet) Below(prefix string) bool {
	return slices.ContainsFunc(s.documents, func(d *documentMask) bool {
		return slices.ContainsFunc(d.resources, func(p pattern) bool {
			from, under := p.parts[0], prefix
			if p.rootless {
				_, under, _ = strings.Cut(under, "/")
			}
			return strings.HasPrefix(from, under) || strings.HasPrefix(under, from)
		})
	})
}

// merge puts together what several statements hide.
func (s *maskSet) merge(numbers []byte) access.DocumentMasks {
	var out access.DocumentMasks
	for ; len(numbers) > 0; numbers = numbers[numberBytes:] {
		n := numbers
		d := s.documents[int(n[0])|int(n[1])<<8|int(n[2])<<16].hides
		if d.Whole != nil {
			m := *d.Whole
			if out.Whole != nil {
				m = MergeMasks(*out.Whole, m)
			}
			out.Whole = &m
		}
		out.Paths = distinctPaths(append(out.Paths, d.Paths...))
		out.Headers = distinctHeaders(append(out.Headers, d.Headers...))
		out.Detect = mergeDetect(out.Detect, d.Detect)
	}
	return out
}

// distinctPaths sorts masks by their paths and merges those of the same one.
func distinctPaths(all []access.PathMask) []access.PathMask {
	return distinct(all, func(p *access.PathMask) (string, *access.Mask) { return p.Path, &p.Mask })
}

func distinctHeaders(all []access.HeaderMask) []access.HeaderMask {
	return distinct(all, func(h *access.HeaderMask) (string, *access.Mask) { return h.Name, &h.Mask })
}

// mergeDetect returns what either list hides, in a list of its own.
func mergeDetect(a, b []access.Detection) []access.Detection {
	return distinct(slices.Concat(a, b), func(d *access.Detection) (string, *access.Mask) { return d.Entity, &d.Mask })
}

// distinct sorts masks by what they hide and merges those that hide the same, in the place of the list.
func distinct[M any](all []M, parts func(*M) (string, *access.Mask)) []M {
	slices.SortStableFunc(all, func(a, b M) int {
		x, _ := parts(&a)
		y, _ := parts(&b)
		return strings.Compare(x, y)
	})
	out := all[:0]
	for i := range all {
		name, mask := parts(&all[i])
		if len(out) > 0 {
			if last, merged := parts(&out[len(out)-1]); last == name {
				*merged = MergeMasks(*merged, *mask)
				continue
			}
		}
		out = append(out, all[i])
	}
	return out
}

// maxRemembered bounds how many answers a set of masks remembers: there are as many as combinations of statements that some
// resource brings together.
const maxRemembered = 256

// documentMemory remembers answers. It is safe for concurrent use.
type documentMemory struct {
	mu  sync.RWMutex
	all map[string]access.DocumentMasks
}

func (m *documentMemory) get(key []byte) (access.DocumentMasks, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	d, ok := m.all[string(key)]
	return d, ok
}

// put returns the answer that was there first.
func (m *documentMemory) put(key []byte, d access.DocumentMasks) access.DocumentMasks {
	m.mu.Lock()
	defer m.mu.Unlock()
	if first, ok := m.all[string(key)]; ok {
		return first
	}
	if m.all == nil {
		m.all = map[string]access.DocumentMasks{}
	}
	if len(m.all) < maxRemembered {
		m.all[string(key)] = d
	}
	return d
}

// strength orders the strategies by how much they hide. What is not known hides all.
func strength(s access.MaskStrategy) int {
	switch s {
	case access.MaskTruncate:
		return 1
	case access.MaskPartial:
		return 2
	case access.MaskHash:
		return 3
	case access.MaskRedact:
		return 4
	}
	return 5
}

// stricter returns the budget that allows what both allow: nothing where one allows nothing, else the smaller count in the
// longer window.
func stricter(a, b access.Budget) access.Budget {
	if a.Count == 0 || b.Count == 0 {
		return access.Budget{}
	}
	return access.Budget{Count: min(a.Count, b.Count), Per: max(a.Per, b.Per)}
}

// MergeMasks returns the mask that hides what either hides, as hidden by both (mergeStrategies), and allows the lookups
// that both allow.
func MergeMasks(a, b access.Mask) access.Mask {
	m := mergeStrategies(a, b)
	m.Lookup = stricter(a.Lookup, b.Lookup)
	return m
}

// mergeStrategies returns the mask that hides what either hides: null before redact before hash before partial before
// truncate. Of two partials the fewest characters are kept at each end; of two truncations the longer unit counts. A
// partial and a truncation each show something that the other hides, so together they give the next that hides more than
// both. Because is a's unless b alone hides more.
func mergeStrategies(a, b access.Mask) access.Mask {
	sa, sb := strength(a.Strategy), strength(b.Strategy)
	switch {
	case sa != sb && max(sa, sb) == strength(access.MaskPartial):
		return access.Mask{Strategy: access.MaskHash, Because: a.Because}
	case sa > sb:
		return a
	case sb > sa:
		return b
	case a.Strategy == access.MaskPartial:
		first, last := min(a.KeepFirst, b.KeepFirst), min(a.KeepLast, b.KeepLast)
		if first == b.KeepFirst && last == b.KeepLast && (first != a.KeepFirst || last != a.KeepLast) {
			a.Because = b.Because
		}
		a.KeepFirst, a.KeepLast = first, last
	case a.Strategy == access.MaskTruncate && a.Unit != "year" && b.Unit == "year":
		return b
	}
	return a
}
