package mask

import (
	"encoding/binary"
	"math/bits"
)

// blockSize is how many bytes are looked at together: one bit for each in a word.
const blockSize = 64

// marker finds the places where a detector must be asked, in blocks, eight bytes at a time and without branches on what
// they are: in text full of numbers nobody can foretell the next byte, and a processor that guesses wrong loses more than
// the work. A place may be marked in vain, but none is left out: FuzzMarks holds it against a loop over the bytes.
type marker struct {
	text    []byte
	numbers bool   // whether digits matter
	base    int    // of the block
	marks   uint64 // bit k is text[base+k]
}

// newMarker stands before the first block.
func newMarker(text []byte, numbers bool) marker {
	return marker{text: text, numbers: numbers, base: -blockSize}
}

// next moves on to the next block that has marks, and reports whether there is one.
func (m *marker) next() bool {
	for m.base += blockSize; m.base < len(m.text); m.base += blockSize {
		if m.look(m.text[m.base:min(m.base+blockSize, len(m.text))]) {
			return true
		}
	}
	return false
}

// look marks one block: each "@", "+" and ":", and the numbers that matter.
func (m *marker) look(block []byte) bool {
	var digits, others uint64
	for i := 0; i < len(block); i += 8 {
		x := load(block, i)
		digits |= gather(within(x, '0', '9')) << i
		others |= gather(equal(x, '@')|equal(x, '+')|equal(x, ':')) << i
	}
	m.marks = others
	if m.numbers && digits != 0 {
		m.marks |= m.runs(block, digits)
	}
	return m.marks != 0
}

// Harmless reports whether a value holds nothing that any detector would be asked about. It says so of short values only.
func Harmless(v []byte) bool { return len(v) <= 4*blockSize && harmless(v) }

// fewest is how many digits what is found has at least, but for e-mail addresses, IPv6 addresses, phone numbers with a "+", and IBANs.
const fewest = len("1.1.1.1") - len("...")

// harmless reports whether a text holds nothing that could be found, nor be folded to it. It is worth its time for short
// values, most of which are names, words and small numbers.
func harmless(v []byte) bool {
	digits := 0
	for i := 0; i < len(v); i += 8 {
		x := load(v, i)
		if x&(0x80*ones)|equal(x, '@')|equal(x, '+')|equal(x, ':') != 0 {
			return false
		}
		run := within(x, '0', '9')
		if run == 0 {
			continue
		}
		digits += bits.OnesCount64(run)
		for begin := run &^ (run << 8); begin != 0; begin &= begin - 1 {
			if at := i + bits.TrailingZeros64(begin)/8; at > 0 && isLetter(v[at-1]) {
				return false // an IBAN may begin so
			}
		}
	}
	return digits < fewest
}

// runs returns the first digits of the runs that atDigit must see.
func (m *marker) runs(block []byte, digits uint64) uint64 {
	var letters, high, spaces, joints, opens, zeros uint64
	for i := 0; i < len(block); i += 8 {
		x := load(block, i)
		letters |= gather(within(x|0x20*ones, 'a', 'z')) << i
		high |= gather(x&(0x80*ones)) << i
		spaces |= gather(equal(x, ' ')) << i
		joints |= gather(equal(x, '-')|equal(x, '.')) << i
		opens |= gather(equal(x, '(')) << i
		zeros |= gather(equal(x, '0')) << i
	}
	words := digits | letters | high
	before, lettersBefore := m.behind()
	begin := digits &^ (words<<1 | before>>63) // nothing but an IBAN begins within a word
	iban := digits & (letters<<1 | lettersBefore>>63) & (letters<<2 | lettersBefore>>62) &^ (words<<3 | before>>61)

	const last = 1 << (blockSize - 1) // what follows the block may be anything
	found := begin & (opens<<1 | 1)   // "(415"; the block before may end with a parenthesis
	found |= begin & zeros & (zeros>>1 | last) & ((digits|spaces)>>2 | last | last>>1)
	found |= begin & (eightOrMore(digits) | tail(digits))
	after := (digits + begin) &^ digits // a run's first digit, added, carries over to what comes after its last
	for after &= (spaces | joints) & (digits>>1 | last); after != 0; after &= after - 1 {
		end := bits.TrailingZeros64(after)
		found |= 1 << (end - bits.LeadingZeros64(^(digits << (blockSize - end))))
	}
	return found | iban
}

// behind returns which of the last three bytes of the block before are part of a word, and letters, as the highest bits.
func (m *marker) behind() (words, letters uint64) {
	for k := 1; k <= 3 && k <= m.base; k++ {
		c := m.text[m.base-k]
		if isWord(c) {
			words |= 1 << (blockSize - k)
		}
		if isLetter(c) {
			letters |= 1 << (blockSize - k)
		}
	}
	return words, letters
}

// eightOrMore marks where eight set bits begin.
func eightOrMore(b uint64) uint64 {
	b &= b >> 1
	b &= b >> 2
	return b & (b >> 4)
}

// tail marks the run of set bits that ends with the word: it may go on in the next block.
func tail(b uint64) uint64 {
	n := bits.LeadingZeros64(^b)
	return ^(^uint64(0) >> n)
}

const ones = 0x0101010101010101

// within sets the high bit of each byte from low to high, which are ASCII.
func within(x uint64, low, high byte) uint64 {
	y := x &^ (0x80 * ones)
	return (y + uint64(0x80-low)*ones) &^ (y + uint64(0x7f-high)*ones) &^ x & (0x80 * ones)
}

// equal sets the high bit of each byte that is c, which is ASCII.
func equal(x uint64, c byte) uint64 {
	y := x ^ uint64(c)*ones
	return ^((y&^(0x80*ones) + 0x7f*ones) | y) & (0x80 * ones)
}

// gather makes eight bits of eight bytes' high bits, the first byte's first.
func gather(high uint64) uint64 { return high * 0x0002040810204081 >> 56 }

// load returns up to eight bytes from i on, the first lowest, and zeros where there are less.
func load(b []byte, i int) uint64 {
	if len(b)-i >= 8 {
		return binary.LittleEndian.Uint64(b[i:])
	}
	return loadLast(b, i)
}

// loadLast is load for less than eight bytes. It stays a call, so that load does not.
//
//go:noinline
func loadLast(b []byte, i int) uint64 {
	n := len(b) - i
	switch {
	case i >= 8: // with some that were seen already, which are shifted out
		return binary.LittleEndian.Uint64(b[i+n-8:]) >> (8 * (8 - n))
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(b[i:])) | uint64(binary.LittleEndian.Uint32(b[i+n-4:]))<<(8*(n-4))
	}
	var x uint64
	for k := range n {
		x |= uint64(b[i+k]) << (8 * k)
	}
	return x
}
