package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// advance takes the next checkpoint of the history.
func (e *epoch) advance() error {
	c, err := e.hist.next()
	switch {
	case errors.Is(err, io.EOF):
		e.pending = nil
		return nil
	case errors.Is(err, errHistoryCut):
		e.pending = nil
		e.v.note("%s ends inside a checkpoint, as a crash leaves it; the whole ones before it count", e.hist.name)
		return nil
	case err != nil:
		return err
	}
	if c.size < e.tree.size {
		return &Fault{File: c.file, Offset: c.offset, What: "a checkpoint covers fewer records than the one before it"}
	}
	e.pending = c
	e.recent = append(e.recent, c)
	if len(e.recent) > 2 {
		e.recent = e.recent[1:]
	}
	return nil
}

// reached checks every checkpoint whose size the tree has now.
func (e *epoch) reached() error {
	for e.pending != nil && e.pending.size == e.tree.size {
		if err := e.accept(e.pending); err != nil {
			return err
		}
		if err := e.advance(); err != nil {
			return err
		}
	}
	for _, c := range e.outside {
		if c.size != e.tree.size || c.origin != e.head.origin() {
			continue
		}
		if c.root != e.tree.root() {
			return &Fault{File: c.file, Seq: e.next - 1, What: fmt.Sprintf("the first %d records are not the ones that an outside checkpoint covers: this is a second history", c.size)}
		}
		e.v.found = e.v.found || c == e.v.since
	}
	if e.latest != nil && e.latest.size == e.tree.size {
		return e.checkPartialTiles()
	}
	return nil
}

// accept verifies one checkpoint of the history: root, place, and who signed it.
func (e *epoch) accept(c *checkpoint) error {
	bad := func(what string) error { return &Fault{File: c.file, Offset: c.offset, What: what} }
	if c.origin != e.head.origin() || c.first != e.head.epochFirst {
		return bad(fmt.Sprintf("the checkpoint is of another log, %q", c.origin))
	}
	signers, err := c.signers(e.v.keys)
	if err != nil {
		return bad("the checkpoint is not genuine: " + err.Error())
	}
	if len(signers) == 0 {
		return bad(fmt.Sprintf("the checkpoint is signed by %q, a key that was not given and that no rotation names: give its public key as well, if it is to be trusted", c.sigs[0].name))
	}
	by := signers[0]
	if e.active != nil {
		i := slices.IndexFunc(signers, func(k key) bool { return k.text == e.active.text })
		if i < 0 {
			return bad(fmt.Sprintf("the checkpoint is signed by %q and the log's key was %q by then", by.name, e.active.name))
		}
		by = signers[i]
	}
	if c.root != e.tree.root() {
		return e.locate(c)
	}
	if e.badTile != nil {
		return e.badTile
	}
	if err := e.hand(c, by); err != nil {
		return bad(err.Error())
	}
	r := &e.v.report
	r.Checkpoints++
	r.Signed += c.size - e.signed
	e.signed = c.size
	r.Newest = e.v.signed(c, by)
	if !slices.Contains(r.Keys, by.text) {
		r.Keys = append(r.Keys, by.text)
	}
	return nil
}

// hand notes who signs from here on.
func (e *epoch) hand(c *checkpoint, by key) error {
	e.active = &by
	if c.next == "" {
		return nil
	}
	if !e.announced[c.next] {
		return errors.New("the checkpoint names a new key that no record names")
	}
	k, err := parseKey(c.next)
	if err != nil {
		return errors.New("the checkpoint names a new key that is none")
	}
	e.active = &k
	if !slices.ContainsFunc(e.v.keys, func(o key) bool { return o.text == k.text }) {
		e.v.keys = append(e.v.keys, k)
	}
	return nil
}

// finish checks that nothing is missing behind the last record.
func (e *epoch) finish() error {
	if e.pending != nil {
		return e.short(e.pending)
	}
	if e.latest != nil && !slices.ContainsFunc(e.recent, func(c *checkpoint) bool { return bytes.Equal(c.raw, e.latest.raw) }) {
		return &Fault{File: e.latest.file, What: "the newest checkpoint is not the newest of the history: one of the two was changed or rolled back"}
	}
	if e.latest == nil && len(e.recent) > 1 {
		return &Fault{File: path.Join(e.name, "checkpoint"), What: "the newest checkpoint is missing"}
	}
	for _, c := range e.outside {
		if c.origin != e.head.origin() || c.size <= e.tree.size {
			continue
		}
		if c == e.v.since {
			return e.short(c)
		}
		e.v.note("%s covers %d records of %s, and %d are here: a restore lost the others", c.file, c.size, e.name, e.tree.size)
	}
	if e.badTile != nil {
		return e.badTile
	}
	if e.absent > 0 {
		e.v.note("%d tiles of %s are missing or empty: the records were checked without them", e.absent, e.name)
	}
	return e.vouched()
}

// vouched checks the checkpoint of the epoch before that this epoch's first record names, and counts that epoch's
// unsigned tail as signed, because a signed record of this one holds its root.
func (e *epoch) vouched() error {
	b := e.v.before
	if b == nil {
		return nil
	}
	for _, c := range b.outside {
		if c == e.v.since {
			continue
		}
		signers, err := c.signers(e.v.keys)
		if err != nil || len(signers) == 0 {
			return &Fault{File: c.file, What: "the checkpoint that the epoch follows is not signed by a key of this log"}
		}
	}
	if e.signed > 0 {
		e.v.report.Signed += b.tree.size - b.signed
		b.signed = b.tree.size
	}
	return nil
}

func (e *epoch) short(c *checkpoint) error {
	name := path.Join(e.name, "segments", e.files[len(e.files)-1])
	what := fmt.Sprintf("the log ends here and a checkpoint (%s) covers %d records of this epoch, of which %d are missing", c.file, c.size, c.size-e.tree.size)
	if c == e.v.since {
		what = fmt.Sprintf("roll-back: the outside checkpoint covers %d records and only %d are here", c.size, e.tree.size)
	}
	var offset int64
	if info, err := os.Stat(filepath.Join(e.v.dir, name)); err == nil {
		offset = info.Size()
	}
	return &Fault{File: name, Offset: offset, Seq: e.next, What: what}
}
