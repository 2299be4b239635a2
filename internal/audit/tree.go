package audit

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"gatehouse/internal/fault"
)

// Tiles have the height that C2SP tlog-tiles fixes: 256 hashes each.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	tileLevels = 7 // 2^56 leaves
)

// tree is the right edge of the Merkle tree: what is needed to add leaves, to know the root and to write tiles. Its
// size does not depend on how many leaves there are. [TestTreeAgreesWithTlog] holds it against tlog's own functions.
type tree struct {
	size  uint64
	edge  [64]tlog.Hash      // edge[k] is the root of the subtree of 2^k leaves that waits for its right sibling
	open  [tileLevels][]byte // the hashes of the tile that is being filled, by tile level
	ready []fullTile         // complete tiles that are not on disk yet
	hash  hasher
}

type fullTile struct {
	tile tlog.Tile
	data []byte
}

// add appends a leaf.
func (t *tree) add(leafData []byte) {
	h := tlog.RecordHash(leafData)
	n := t.size
	t.size++
	for level := 0; ; level++ {
		if level%tileHeight == 0 {
			t.addToTile(level/tileHeight, n>>level, h)
		}
		if n>>level&1 == 0 {
			t.edge[level] = h
			return
		}
		h = tlog.NodeHash(t.edge[level], h)
	}
}

func (t *tree) addToTile(level int, n uint64, h tlog.Hash) {
	if level >= tileLevels {
		return
	}
	t.open[level] = append(t.open[level], h[:]...)
	if len(t.open[level]) == tileWidth*tlog.HashSize {
		t.ready = append(t.ready, fullTile{
			tile: tlog.Tile{H: tileHeight, L: level, N: int64(n >> tileHeight), W: tileWidth},
			data: t.open[level],
		})
		t.open[level] = nil
	}
}

// addFrames adds the records of whole frames, as they were written.
func (t *tree) addFrames(b []byte) error {
	for len(b) > 0 {
		n := frameHead + int(binary.BigEndian.Uint32(b))
		f, err := parseBody(b[frameHead:n])
		if err != nil {
			return err
		}
		l := leaf(f.seq, f.commitment(&t.hash))
		t.add(l[:])
		b = b[n:]
	}
	return nil
}

// root returns the tree's root: RFC 6962 section 2.1, as tlog computes it.
func (t *tree) root() (tlog.Hash, error) {
	if t.size == 0 {
		return tlog.TreeHash(0, nil)
	}
	return tlog.TreeHash(int64(t.size), tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			level, n := tlog.SplitStoredHashIndex(index)
			if uint64(n) != t.size>>level-1 {
				return nil, fault.New(fault.Internal, "audit.tree", "hash %d of level %d is not on the edge of %d leaves", n, level, t.size)
			}
			out[i] = t.edge[level]
		}
		return out, nil
	}))
}

// partial returns the tiles on the right edge that are not full.
func (t *tree) partial() []fullTile {
	var out []fullTile
	for level, data := range t.open {
		if len(data) == 0 {
			continue
		}
		n := int64(t.size >> (tileHeight * (level + 1)))
		out = append(out, fullTile{tlog.Tile{H: tileHeight, L: level, N: n, W: len(data) / tlog.HashSize}, data})
	}
	return out
}

// tilePath is a tile's path under an epoch's directory, as C2SP tlog-tiles names it: tile/<level>/<n>[.p/<width>].
func tilePath(t tlog.Tile) string {
	n, path := t.N, fmt.Sprintf("%03d", t.N%1000)
	for n >= 1000 {
		n /= 1000
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if t.W != tileWidth {
		path = fmt.Sprintf("%s.p/%d", path, t.W)
	}
	return filepath.Join("tile", fmt.Sprint(t.L), filepath.FromSlash(path))
}

// writeTile writes one tile. It does not sync it: tiles follow from the segments, and Open makes them again.
func writeTile(fsys FS, dir string, t fullTile) error {
	name := filepath.Join(dir, tilePath(t.tile))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := fsys.OpenFile(name+".tmp", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(t.data, 0)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return fsys.Rename(name+".tmp", name)
}

// loadTree reads the edge of a tree of size leaves from its tiles and checks that the root is the one that was signed.
func loadTree(dir string, size uint64, root tlog.Hash) (*tree, error) {
	t := &tree{size: size}
	for level := range tileLevels {
		count := size >> (tileHeight * level)
		w := int(count % tileWidth)
		if w == 0 {
			continue
		}
		tile := tlog.Tile{H: tileHeight, L: level, N: int64(count >> tileHeight), W: w}
		data, err := os.ReadFile(filepath.Join(dir, tilePath(tile)))
		if err != nil {
			return nil, err
		}
		if len(data) != w*tlog.HashSize {
			return nil, fault.New(fault.Internal, "audit.loadTree", "tile %s has %d bytes", tilePath(tile), len(data))
		}
		t.open[level] = data
		t.edgesOf(level, data)
	}
	got, err := t.root()
	if err != nil {
		return nil, err
	}
	if got != root {
		return nil, fault.New(fault.Internal, "audit.loadTree", "the tiles do not give the root that was signed")
	}
	return t, nil
}

// edgesOf sets the edge's hashes that follow from the hashes of one unfinished tile.
func (t *tree) edgesOf(level int, data []byte) {
	for k := tileHeight - 1; k >= 0; k-- {
		span := tlog.HashSize << k
		if len(data) < span {
			continue
		}
		t.edge[level*tileHeight+k] = subtree(data[:span])
		data = data[span:]
	}
}

// subtree returns the root over a power of two of hashes.
func subtree(data []byte) tlog.Hash {
	if len(data) == tlog.HashSize {
		return tlog.Hash(data)
	}
	half := len(data) / 2
	return tlog.NodeHash(subtree(data[:half]), subtree(data[half:]))
}
