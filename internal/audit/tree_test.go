package audit

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// hashes is tlog's own way of keeping a tree: every hash of it.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x >= int64(len(h)) {
			return nil, errors.New("no such hash")
		}
		out[i] = h[x]
	}
	return out, nil
}

func TestTreeAgreesWithTlog(t *testing.T) {
	for _, size := range []int64{0, 1, 2, 3, 255, 256, 257, 700, 65_535, 65_536, 65_537, 70_001} {
		var ours tree
		var theirs hashes
		dir := t.TempDir()
		for n := range size {
			data := binary.BigEndian.AppendUint64(nil, uint64(n))
			ours.add(data)
			more, err := tlog.StoredHashes(n, data, theirs)
			if err != nil {
				t.Fatal(err)
			}
			theirs = append(theirs, more...)
		}
		want, err := tlog.TreeHash(size, theirs)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ours.root()
		if err != nil || got != want {
			t.Fatalf("%d leaves: root %v, %v; tlog has %v", size, got, err, want)
		}
		for _, tile := range append(ours.ready, ours.partial()...) {
			data, err := tlog.ReadTileData(tile.tile, theirs)
			if err != nil || string(data) != string(tile.data) {
				t.Fatalf("%d leaves: tile %v differs (%v)", size, tile.tile, err)
			}
			if err := writeTile(osFS{}, dir, tile); err != nil {
				t.Fatal(err)
			}
		}
		loaded, err := loadTree(dir, uint64(size), want)
		if err != nil {
			t.Fatalf("%d leaves: %v", size, err)
		}
		ours.add([]byte("one more"))
		loaded.add([]byte("one more"))
		a, _ := ours.root()
		if b, _ := loaded.root(); a != b {
			t.Fatalf("%d leaves: a tree that was loaded goes on differently", size)
		}
	}
}

func TestTilePathsAreC2SPs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tile := tlog.Tile{
			H: tileHeight, L: rapid.IntRange(0, 6).Draw(t, "level"), N: rapid.Int64Range(0, 1<<40).Draw(t, "n"),
			W: rapid.IntRange(1, tileWidth).Draw(t, "width"),
		}
		// tlog's own paths name the height as well: tile/8/<level>/…
		want, err := filepath.Rel(filepath.Join("tile", "8"), filepath.FromSlash(tile.Path()))
		if err != nil {
			t.Fatal(err)
		}
		if got := tilePath(tile); got != filepath.Join("tile", want) {
			t.Fatalf("%s, want tile/%s", got, want)
		}
	})
}

func TestOpenMakesLostTilesAgain(t *testing.T) {
	o := options(t)
	for round := range 3 {
		l := mustOpen(t, o)
		for i := range 300 {
			mustAppend(t, l, intent("s", uint64(round*300+i+1)))
		}
		mustClose(t, l)
		if err := os.RemoveAll(filepath.Join(epochDir(o.Dir, 1), "tile")); err != nil {
			t.Fatal(err)
		}
	}
	l := mustOpen(t, o)
	if s := l.Status(); s.Records != 900 || s.Unsigned != 0 {
		t.Errorf("%+v", s)
	}
}
