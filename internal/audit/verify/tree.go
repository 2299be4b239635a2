package verify

import "crypto/sha256"

// Tiles hold 256 hashes (C2SP tlog-tiles); seven levels of them are enough for 2^56 records.
const (
	tileHashes = 256
	tileBits   = 8
	levels     = 7
)

// tree is RFC 6962's Merkle tree, of which it keeps the right edge only.
type tree struct {
	size  uint64
	edge  [64][32]byte
	tiles [levels][]byte // hashes of the tile that is being filled
	full  func(level int, n uint64, data []byte) error
}

func node(left, right [32]byte) [32]byte {
	b := make([]byte, 0, 65)
	b = append(b, 0x01) // RFC 6962's prefix for inner nodes
	b = append(b, left[:]...)
	return sha256.Sum256(append(b, right[:]...))
}

// add appends the hash of a leaf, and shows each tile that it completes to full.
func (t *tree) add(h [32]byte) error {
	n := t.size
	t.size++
	for level := 0; ; level++ {
		if tl := level / tileBits; level%tileBits == 0 && tl < levels {
			t.tiles[tl] = append(t.tiles[tl], h[:]...)
			if len(t.tiles[tl]) == tileHashes*32 {
				if err := t.full(tl, n>>level>>tileBits, t.tiles[tl]); err != nil {
					return err
				}
				t.tiles[tl] = t.tiles[tl][:0]
			}
		}
		if n>>level&1 == 0 {
			t.edge[level] = h
			return nil
		}
		h = node(t.edge[level], h)
	}
}

// root is RFC 6962 section 2.1's tree hash.
func (t *tree) root() [32]byte {
	var h [32]byte
	started := false
	for level := range t.edge {
		switch {
		case t.size>>level&1 == 0:
		case !started:
			h, started = t.edge[level], true
		default:
			h = node(t.edge[level], h)
		}
	}
	if !started {
		return sha256.Sum256(nil)
	}
	return h
}
