package policy

import (
	"slices"
	"strings"

	"gatehouse/internal/access"
)

// maskSet is what must be hidden from a principal on a connection. It implements access.Masks.
type maskSet struct {
	fields []*bound
	detect []access.Detection // by entity, one each
}

func newMaskSet(masks []*bound) *maskSet {
	if len(masks) == 0 {
		return nil
	}
	s := &maskSet{}
	for _, b := range masks {
		if len(b.detect) == 0 {
			s.fields = append(s.fields, b)
		}
		for _, entity := range b.detect {
			s.add(access.Detection{Entity: entity, Mask: b.withBecause()})
		}
	}
	slices.SortFunc(s.detect, func(a, b access.Detection) int { return strings.Compare(a.Entity, b.Entity) })
	return s
}

func (b *bound) withBecause() access.Mask {
	m := b.mask
	m.Because = b.because
	return m
}

func (s *maskSet) add(d access.Detection) {
	for i := range s.detect {
		if s.detect[i].Entity == d.Entity {
			s.detect[i].Mask = MergeMasks(s.detect[i].Mask, d.Mask)
			return
		}
	}
	s.detect = append(s.detect, d)
}

// Field implements access.Masks.
func (s *maskSet) Field(resource string) (access.Mask, bool) {
	var m access.Mask
	found := false
	for _, b := range s.fields {
		if !slices.ContainsFunc(b.resources, func(p pattern) bool { return p.covers(resource) }) {
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

// Fields implements access.Masks.
func (s *maskSet) Fields() bool { return len(s.fields) > 0 }

// Detect implements access.Masks.
func (s *maskSet) Detect() []access.Detection { return s.detect }

// Document implements access.Masks.
func (s *maskSet) Document(resource string, way access.Way) access.DocumentMasks {
	d := access.DocumentMasks{}
	if way == access.ToClient {
		d.Detect = s.detect
		if m, ok := s.Field(resource); ok {
			d.Whole = &m
		}
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
