package body

import (
	"encoding/binary"

	"gatehouse/internal/mask"
)

// Names that were met are remembered, since documents say the same ones over and over, and in the same order.
const (
	guesses   = 32
	longest   = 4 << 10 // bytes of a name that is plain
	guessSize = 24      // of a name with its quotes and colon; longer ones are not guessed
)

// guess is a plain name that was met.
type guess struct {
	words [3]uint64 // the name with its quotes and colon; zeros fill the rest
	masks [3]uint64 // the bytes of the words that the name has
	size  uint16
	name  uint16   // its size without them
	next  uint8    // the name that came behind it the last time
	row   []uint64 // the steps that fit it; nil where those do that fit every name
}

// plainName reads a name and its colon, and returns what is behind them. The name that it guesses takes one comparison.
func (j *jsonStream) plainName(in []byte, at int, top *level) (int, bool) {
	g := &j.guesses[j.guessed%guesses]
	if g.size == 0 || at+guessSize > len(in) || !g.stands(in[at:at+guessSize]) {
		if g = j.newName(in[at:]); g == nil {
			return at, false
		}
	}
	if j.met, j.guessed = j.guessed, g.next; j.rules.scan != nil {
		j.name = append(j.name[:0], in[at+1:][:g.name]...)
	}
	if top.live && g.row != nil {
		j.here = j.rules.paths.down(j.here[:0], j.parent(), g.row)
		j.settle()
	} else if j.settled, j.cover = false, nil; top.covered {
		j.unsettle()
		j.settle()
	}
	return at + int(g.size), true
}

// stands reports whether the name is what comes next.
func (g *guess) stands(in []byte) bool {
	return (load(in, 0)^g.words[0])&g.masks[0]|(load(in, 8)^g.words[1])&g.masks[1]|(load(in, 16)^g.words[2])&g.masks[2] == 0
}

// load returns the eight bytes from i on.
func load(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8]) }

// newName is plainName for a name that was not guessed, at the start of in; nil where it is not plain.
func (j *jsonStream) newName(in []byte) *guess {
	end := 1 + special(in[1:])
	colon := j.skip(in, end+1)
	if colon >= len(in) || in[end] != '"' || in[colon] != ':' || end == 1 || colon > min(j.short, longest) {
		return nil
	}
	name, raw := in[1:end], in[:colon+1]
	if j.rules.scan != nil && !mask.Harmless(name) {
		return nil
	}
	g := &j.long
	if len(raw) <= guessSize {
		if g = j.guess(raw); g.size > 0 {
			return g
		}
	}
	g.size, g.name = uint16(len(raw)), uint16(len(name))
	if p := j.rules.paths; p != nil {
		if g.row = nil; p.known(name) {
			g.row = p.row(name)
		}
	}
	return g
}

// guess returns the place of a name, whose size is 0 where the name is new there. From now on it is what comes behind the
// last one.
func (j *jsonStream) guess(raw []byte) (g *guess) {
	var text [guessSize]byte
	copy(text[:], raw)
	words := [3]uint64{load(text[:], 0), load(text[:], 8), load(text[:], 16)}
	const near, odd = 4, 0x9e3779b97f4a7c15
	slot := uint8((words[0] ^ words[1] ^ words[2]) * odd >> 59)
	for i := range uint8(near) {
		j.guessed = slot + i
		if g = &j.guesses[j.guessed%guesses]; g.size == 0 || g.words == words {
			break
		}
	}
	j.guesses[j.met%guesses].next = j.guessed
	if g.words != words {
		for i := range raw {
			text[i] = 0xff
		}
		*g = guess{words: words, masks: [3]uint64{load(text[:], 0), load(text[:], 8), load(text[:], 16)}}
	}
	return g
}
