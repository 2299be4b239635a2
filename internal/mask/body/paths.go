package body

import (
	"fmt"
	"math/bits"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
)

// Paths matches places inside documents against the paths of masks, all at once: each path is a run of bits in a State, one
// for each of its steps, and a step down into the document shifts the bits whose steps fit. It is immutable.
//
// Names are compared without regard to case, as some readers of JSON do.
type Paths struct {
	start   State
	anyhow  []uint64 // bits of steps that fit any number of times (**)
	each    []uint64 // bits of steps that fit every member and element
	ends    []uint64 // bits behind the last step
	names   map[string][]uint64
	first   [256]uint64 // by a name's first byte: the lengths of names (below 63; bit 63 for others)
	indexes map[int][]uint64
	masks   []*access.Mask // by the bits behind last steps; nil for others
}

// State is a place in a document, as the bits of the steps that led to it.
type State []uint64

// wordBits is the size of a State's words. No path's bits lie in two words.
const wordBits = 64

// NewPaths compiles paths. A path that cannot be parsed is an error.
func NewPaths(masks []access.PathMask) (*Paths, error) {
	p := &Paths{names: map[string][]uint64{}, indexes: map[int][]uint64{}}
	used := wordBits
	for _, m := range masks {
		path, err := access.ParsePath(m.Path)
		if err != nil {
			return nil, fmt.Errorf("body.NewPaths: %w", err)
		}
		if used+len(path.Steps)+1 > wordBits {
			used = 0
			p.start, p.anyhow, p.each, p.ends = append(p.start, 0), append(p.anyhow, 0), append(p.each, 0), append(p.ends, 0)
			p.masks = append(p.masks, make([]*access.Mask, wordBits)...)
		}
		p.place(path, len(p.start)-1, used, m.Mask)
		used += len(path.Steps) + 1
	}
	for i := range p.start {
		p.start[i] |= p.start[i] & p.anyhow[i] << 1
	}
	for name, row := range p.names {
		p.names[name] = p.fill(row)
	}
	for i, row := range p.indexes {
		p.indexes[i] = p.fill(row)
	}
	return p, nil
}

// place lays one path's bits into a word, from a bit on.
func (p *Paths) place(path access.Path, word, from int, m access.Mask) {
	p.start[word] |= 1 << from
	for i, s := range path.Steps {
		bit := uint64(1) << (from + i)
		switch s.Kind {
		case access.StepName:
			name := string(appendFold(nil, []byte(s.Name)))
			p.names[name] = set(p.names[name], word, bit)
			p.remember(name)
		case access.StepIndex:
			p.indexes[s.Index] = set(p.indexes[s.Index], word, bit)
		case access.StepEach:
			p.each[word] |= bit
		case access.StepAny:
			p.anyhow[word] |= bit
		}
	}
	last := from + len(path.Steps)
	p.ends[word] |= 1 << last
	p.masks[word*wordBits+last] = &m
}

// set sets a bit in a row, which is made as long as it must be.
func set(row []uint64, word int, bit uint64) []uint64 {
	for len(row) <= word {
		row = append(row, 0)
	}
	row[word] |= bit
	return row
}

// fill makes a row as long as a State, and adds the steps that fit everything.
func (p *Paths) fill(row []uint64) []uint64 {
	for i, e := range p.each {
		row = set(row, i, e)
	}
	return row
}

// remember notes a folded name's first byte, in either case, and its length, so that most names of a document need no more
// than a glance.
func (p *Paths) remember(name string) {
	if name == "" {
		return
	}
	c, bit := name[0], uint64(1)<<min(len(name), wordBits-1)
	p.first[c] |= bit
	if c >= 'A' && c <= 'Z' {
		p.first[c|0x20] |= bit
	}
}

// Start appends the state of the document itself.
func (p *Paths) Start(dst State) State { return append(dst, p.start...) }

// Enter appends the state of the member called name of what is at from. dst may share from's memory, before its end.
func (p *Paths) Enter(dst, from State, name []byte) State {
	return p.down(dst, from, p.row(name))
}

// EnterIndex appends the state of the element i, from 0, of what is at from.
func (p *Paths) EnterIndex(dst, from State, i int) State {
	row := p.each
	if len(p.indexes) > 0 {
		if r := p.indexes[i]; r != nil {
			row = r
		}
	}
	return p.down(dst, from, row)
}

// EnterAny appends the state of an element whose number is not known.
func (p *Paths) EnterAny(dst, from State) State {
	n := len(dst)
	dst = p.EnterIndex(dst, from, -1)
	for i := range p.indexes {
		State(dst[n:]).Join(p.EnterIndex(nil, from, i))
	}
	return dst
}

func (p *Paths) down(dst, from State, row []uint64) State {
	for i, s := range from {
		next := s&row[i]<<1 | s&p.anyhow[i]
		dst = append(dst, next|next&p.anyhow[i]<<1)
	}
	return dst
}

// row returns the steps that fit a name.
func (p *Paths) row(name []byte) []uint64 {
	if len(name) == 0 {
		if r := p.names[""]; r != nil {
			return r
		}
		return p.each
	}
	if !p.known(name) && plain(name) {
		return p.each
	}
	var few [64]byte
	if r := p.names[string(appendFold(few[:0], name))]; r != nil {
		return r
	}
	return p.each
}

// known reports whether a name that is ASCII, and not empty, may be a step's; of others it reports nothing.
func (p *Paths) known(name []byte) bool {
	return p.first[name[0]]&(1<<min(len(name), wordBits-1)) != 0
}

// plain reports whether a name is ASCII.
func plain(name []byte) bool {
	for _, c := range name {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Live reports whether something at s or below it may be masked.
func (s State) Live() bool {
	for _, w := range s {
		if w != 0 {
			return true
		}
	}
	return false
}

// Mask returns the mask of what is at s, the strongest where there are several.
func (p *Paths) Mask(s State) (m access.Mask, ok bool) {
	if found := p.cover(s, &m); found != nil {
		return *found, true
	}
	return m, false
}

// cover is Mask for who calls it often: nil where there is none. Where there are several, joined has what they come to.
func (p *Paths) cover(s State, joined *access.Mask) (m *access.Mask) {
	for i, w := range s {
		for found := w & p.ends[i]; found != 0; found &= found - 1 {
			one := p.masks[i*wordBits+bits.TrailingZeros64(found)]
			if m == nil {
				m = one
				continue
			}
			*joined = mask.Stronger(*m, *one)
			m = joined
		}
	}
	return m
}

// Join adds to s what leads to t: a place that can be read in two ways is in both.
func (s State) Join(t State) {
	for i := range s {
		s[i] |= t[i]
	}
}

// appendFold appends a name with each character as the least of those that differ from it in case only. Beyond what any
// path's name can be, it is cut off: nothing equals it.
func appendFold(dst, name []byte) []byte {
	for len(name) > 0 && len(dst) <= access.MaxPathBytes {
		c := name[0]
		if c < utf8.RuneSelf {
			if c >= 'a' && c <= 'z' {
				c &^= 0x20
			}
			dst, name = append(dst, c), name[1:]
			continue
		}
		r, size := utf8.DecodeRune(name)
		least := r
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			least = min(least, other)
		}
		dst, name = utf8.AppendRune(dst, least), name[size:]
	}
	return dst
}
