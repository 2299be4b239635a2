package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

// tileName is a tile's path as C2SP tlog-tiles spells it; a width below 256 is a partial tile's.
func tileName(level int, n uint64, width int) string {
	name := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		name = fmt.Sprintf("x%03d/%s", n%1000, name)
	}
	if width < tileHashes {
		name = fmt.Sprintf("%s.p/%d", name, width)
	}
	return fmt.Sprintf("tile/%d/%s", level, name)
}

// checkTile compares a complete tile on disk with the one that the records give. Tiles prove nothing by themselves, but
// proofs are made from them. Which of the two is wrong shows at the next checkpoint.
func (e *epoch) checkTile(level int, n uint64, data []byte) error {
	if e.latest == nil || e.tree.size > e.latest.size {
		return nil // not published yet
	}
	return e.compareTile(tileName(level, n, tileHashes), data)
}

func (e *epoch) checkPartialTiles() error {
	for level, data := range e.tree.tiles {
		if len(data) == 0 {
			continue
		}
		n := e.tree.size >> (tileBits * (level + 1))
		if err := e.compareTile(tileName(level, n, len(data)/32), data); err != nil {
			return err
		}
	}
	return nil
}

func (e *epoch) compareTile(name string, data []byte) error {
	name = path.Join(e.name, name)
	got, err := e.v.readFile(name, tileHashes*32)
	if err != nil {
		return err
	}
	if len(got) == 0 {
		e.absent++
		return nil
	}
	if !bytes.Equal(got, data) {
		at := int64(0)
		for at < int64(min(len(got), len(data))) && got[at] == data[at] {
			at++
		}
		if e.badTile == nil {
			e.badTile = &Fault{File: name, Offset: at, What: "the tile is not the one that the records give, and the records are the ones that were signed"}
		}
	}
	return nil
}

// locate finds the first record that is not the one which a checkpoint covers. The tiles are not signed, but where
// their own root is the signed one, they hold the hash of every record as it was.
func (e *epoch) locate(c *checkpoint) error {
	from := e.signed
	rough := &Fault{File: c.file, Offset: c.offset, Seq: e.head.epochFirst + from, What: fmt.Sprintf(
		"the records are not the ones that the checkpoint covers: one of the records %d to %d was changed, dropped, inserted or reordered",
		e.head.epochFirst+from, e.head.epochFirst+c.size-1)}
	signed := tree{full: func(int, uint64, []byte) error { return nil }}
	err := e.tileLeaves(c.size, func(_ uint64, h [32]byte) error { return signed.add(h) })
	if err != nil || signed.root() != c.root {
		return rough
	}
	w := &walker{e: e, files: e.files}
	defer w.close()
	err = e.tileLeaves(c.size, func(_ uint64, h [32]byte) error {
		r, err := w.next()
		if err != nil {
			return err
		}
		if r.leafHash() != h {
			return &Fault{File: w.name, Offset: r.offset, Seq: r.seq, What: "the record is not the one that was signed"}
		}
		return nil
	})
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return rough
}

// sharpen looks for a fault earlier than the one that was found. Records that were dropped and the others numbered
// anew show first where a segment ends; the tiles, where the next checkpoint vouches for them, know the record itself.
func (e *epoch) sharpen(err error) error {
	var found, earlier *Fault
	if !errors.As(err, &found) || e.pending == nil || found.Seq == 0 {
		return err
	}
	if signers, serr := e.pending.signers(e.v.keys); serr != nil || len(signers) == 0 {
		return err
	}
	if errors.As(e.locate(e.pending), &earlier) && earlier.File != e.pending.file && earlier.Seq < found.Seq {
		return earlier
	}
	return err
}

// errNoTile means that the tiles do not reach far enough.
var errNoTile = errors.New("a tile is missing")

// tileLeaves shows the hashes of the first size leaves as the tiles hold them.
func (e *epoch) tileLeaves(size uint64, show func(i uint64, h [32]byte) error) error {
	for n := uint64(0); n*tileHashes < size; n++ {
		data, err := e.bottomTile(n)
		if err != nil {
			return err
		}
		for i := n * tileHashes; i < min(size, (n+1)*tileHashes); i++ {
			at := (i - n*tileHashes) * 32
			if at+32 > uint64(len(data)) {
				return errNoTile
			}
			if err := show(i, [32]byte(data[at:])); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *epoch) bottomTile(n uint64) ([]byte, error) {
	data, err := e.v.readFile(path.Join(e.name, tileName(0, n, tileHashes)), tileHashes*32)
	if err == nil && data == nil && e.latest != nil {
		data, err = e.v.readFile(path.Join(e.name, tileName(0, n, int(e.latest.size%tileHashes))), tileHashes*32)
	}
	return data, err
}

// walker reads an epoch's records once more.
type walker struct {
	e     *epoch
	files []string
	name  string
	f     *os.File
	s     *segment
}

func (w *walker) next() (record, error) {
	for {
		if w.s != nil {
			r, err := w.s.read()
			if !errors.Is(err, io.EOF) {
				return r, err
			}
		}
		if err := w.open(); err != nil {
			return record{}, err
		}
	}
}

// open goes on to the next segment; io.EOF behind the last.
func (w *walker) open() error {
	w.close()
	if len(w.files) == 0 {
		return io.EOF
	}
	w.name, w.files = path.Join(w.e.name, "segments", w.files[0]), w.files[1:]
	var err error
	if w.f, err = os.Open(filepath.Join(w.e.v.dir, w.name)); err != nil {
		return err
	}
	info, err := w.f.Stat()
	if err == nil {
		w.s, err = newSegment(w.f, info.Size())
	}
	return err
}

func (w *walker) close() {
	w.s = nil
	if w.f != nil {
		_ = w.f.Close()
		w.f = nil
	}
}
