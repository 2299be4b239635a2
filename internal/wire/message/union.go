package message

import (
	"fmt"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
	"gatehouse/internal/mask/body"
)

// maxUnions bounds how many unions are kept; beyond it everything is forgotten and made anew.
const maxUnions = 1024

// Union compiles the masks of a message that has several resources, such as an exchange and a queue: it is read once, and hidden by all of
// them. The same masks give the same Hidden, for as long as it is kept; nil where there are none.
func (m *Masks) Union(all []access.DocumentMasks, connection string) (*Hidden, error) {
	d := united(all)
	if d.None() {
		return nil, nil
	}
	whole := access.Mask{}
	if d.Whole != nil {
		whole = *d.Whole
	}
	key := fmt.Sprintf("%q %+v %+v %+v %+v", connection, whole, d.Paths, d.Headers, d.Detect)
	m.mu.Lock()
	defer m.mu.Unlock()
	if h, ok := m.unions[key]; ok {
		return h, nil
	}
	h, err := m.compile(d, connection)
	if err != nil {
		return nil, err
	}
	if m.unions == nil || len(m.unions) >= maxUnions {
		m.unions = map[string]*Hidden{}
	}
	m.unions[key] = h
	return h, nil
}

// united puts masks together, each once.
func united(all []access.DocumentMasks) (out access.DocumentMasks) {
	for _, d := range all {
		switch {
		case d.Whole != nil && out.Whole != nil:
			both := mask.Stronger(*out.Whole, *d.Whole)
			out.Whole = &both
		case d.Whole != nil:
			out.Whole = d.Whole
		}
		out.Paths, out.Headers, out.Detect = once(out.Paths, d.Paths), once(out.Headers, d.Headers), once(out.Detect, d.Detect)
	}
	return out
}

func once[T comparable](have, more []T) []T {
	for _, one := range more {
		if !slices.Contains(have, one) {
			have = append(have, one)
		}
	}
	return have
}

// compile makes a Hidden of masks.
func (m *Masks) compile(d access.DocumentMasks, connection string) (*Hidden, error) {
	rules, err := body.Compile(d, m.key, connection)
	if err != nil {
		return nil, err
	}
	header, err := body.CompileHeader(d, m.key, connection)
	if err != nil {
		return nil, err
	}
	return &Hidden{rules: rules, header: header, whole: d.Whole, reader: &m.reader}, nil
}
