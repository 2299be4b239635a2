package verify

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// epoch is one epoch while it is verified.
type epoch struct {
	v      *verifier
	name   string
	number uint32
	files  []string // segments, in order
	head   segmentHead
	next   uint64 // the sequence that must come
	commit [32]byte
	tree   tree

	signs     int64 // bytes of the history that are read: those that were there before the records
	hist      *history
	pending   *checkpoint   // the history's next, which the records have not reached
	recent    []*checkpoint // the last two of the history
	latest    *checkpoint   // the file "checkpoint"
	outside   []*checkpoint // kept elsewhere, or in the epoch behind: their roots must agree
	active    *key          // who signs
	announced map[string]bool
	signed    uint64 // records under a verified checkpoint
	absent    int    // tiles that are not there
	badTile   *Fault // the first that is not the one which the records give
}

// verify reads the epoch from its first byte to its last.
func (e *epoch) verify(lastOne bool) error {
	if err := e.prepare(); err != nil {
		return err
	}
	if len(e.files) == 0 {
		return e.empty(lastOne)
	}
	closer, err := e.openHistory()
	if err != nil {
		return err
	}
	defer func() { _ = closer.Close() }()
	if err := e.advance(); err != nil {
		return err
	}
	if err := e.read(); err != nil {
		return e.sharpen(err)
	}
	r := &e.v.report
	r.Epochs = append(r.Epochs, Epoch{Number: e.number, Origin: e.head.origin(), First: e.head.epochFirst, Last: e.next - 1})
	return nil
}

func (e *epoch) read() error {
	for i, name := range e.files {
		if err := e.segment(name, i); err != nil {
			return err
		}
	}
	return e.finish()
}

// prepare finds the files, and the checkpoints that are not in the history.
func (e *epoch) prepare() error {
	e.tree.full = e.checkTile
	e.announced = make(map[string]bool)
	raw, err := e.signedSoFar()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(e.v.dir, e.name, "segments"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".seg") {
			e.files = append(e.files, entry.Name())
		}
	}
	slices.Sort(e.files)
	if raw != nil {
		name := path.Join(e.name, "checkpoint")
		if e.latest, err = parseCheckpoint(raw); err != nil {
			return &Fault{File: name, What: "the newest checkpoint cannot be read: " + err.Error()}
		}
		e.latest.file = name
	}
	if e.v.since != nil {
		e.outside = append(e.outside, e.v.since)
	}
	name := path.Join(epochName(e.number+1), "previous")
	raw, err = e.v.readFile(name, longestNote)
	if err != nil || len(raw) == 0 {
		return err
	}
	c, err := parseCheckpoint(raw)
	if err != nil {
		return &Fault{File: name, What: "the checkpoint that the epoch follows cannot be read: " + err.Error()}
	}
	c.file = name
	e.outside = append(e.outside, c)
	return nil
}

// signedSoFar reads the newest checkpoint, and how long the history is with it: before the records, so that of a log that is being
// written nothing is signed that is not read. The checkpoint is read again until both are of one moment.
func (e *epoch) signedSoFar() (raw []byte, err error) {
	const tries = 10
	for range tries {
		if raw, err = e.v.readFile(path.Join(e.name, "checkpoint"), longestNote); err != nil {
			return nil, err
		}
		info, err := os.Stat(filepath.Join(e.v.dir, e.name, "checkpoints"))
		if err == nil {
			e.signs = info.Size()
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		again, err := e.v.readFile(path.Join(e.name, "checkpoint"), longestNote)
		if err != nil || bytes.Equal(raw, again) {
			return again, err
		}
	}
	return raw, nil
}

func (e *epoch) empty(lastOne bool) error {
	if e.latest == nil && lastOne && e.number > 1 {
		e.v.note("%s has been begun and not yet opened", e.name)
		return nil
	}
	return &Fault{File: path.Join(e.name, "segments"), What: "the segments are missing"}
}

// segment verifies the i-th segment.
func (e *epoch) segment(base string, i int) error {
	name := path.Join(e.name, "segments", base)
	f, err := os.Open(filepath.Join(e.v.dir, name))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	s, err := newSegment(f, info.Size())
	if err != nil {
		return &Fault{File: name, Seq: e.next, What: "the segment's header: " + err.Error()}
	}
	if err := e.header(s, name, i); err != nil {
		return err
	}
	for {
		r, err := s.read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if errors.Is(err, errCut) && i == len(e.files)-1 && !e.covered() {
			e.v.report.Torn = append(e.v.report.Torn, Torn{File: name, Offset: s.at, Bytes: s.size - s.at})
			return nil
		}
		if err != nil {
			return &Fault{File: name, Offset: s.at, Seq: e.next, What: "the record cannot be read: " + err.Error()}
		}
		if err := e.record(&r, name); err != nil {
			return err
		}
	}
}

// header checks that the segment belongs exactly here.
func (e *epoch) header(s *segment, name string, i int) error {
	h := s.head
	bad := func(what string) error { return &Fault{File: name, Seq: e.next, What: what} }
	if want := fmt.Sprintf("%020d.seg", h.first); path.Base(name) != want {
		return bad("the segment's name is not its first record: a segment was renamed or exchanged")
	}
	if h.epoch != e.number {
		return bad(fmt.Sprintf("the segment is of epoch %d", h.epoch))
	}
	var link [32]byte
	if i > 0 {
		if h.origin() != e.head.origin() || h.epochFirst != e.head.epochFirst {
			return bad("the segment is of another log")
		}
		link = linkAfter(e.head.raw, e.next-1, e.commit)
	} else {
		e.next = h.epochFirst
	}
	if h.first != e.next {
		return bad(fmt.Sprintf("the segment begins with record %d: records are missing or inserted", h.first))
	}
	if h.link != link {
		return bad("the segment does not follow the one before it")
	}
	if b := e.v.before; i == 0 && b != nil && h.first < b.next || i == 0 && b == nil && h.first != 1 {
		return bad("the epoch's first sequence is wrong")
	}
	e.head = h
	if i == 0 {
		return e.reached()
	}
	return nil
}

// covered reports whether some checkpoint covers records that have not come yet.
func (e *epoch) covered() bool {
	if e.pending != nil || e.latest != nil && e.latest.size > e.tree.size {
		return true
	}
	return e.v.since != nil && e.v.since.origin == e.head.origin() && e.v.since.size > e.tree.size
}

// record verifies one record and what it means.
func (e *epoch) record(r *record, name string) error {
	bad := func(what string) error { return &Fault{File: name, Offset: r.offset, Seq: e.next, What: what} }
	if r.seq != e.next {
		return bad(fmt.Sprintf("here is record %d: records were dropped, inserted or reordered", r.seq))
	}
	if err := e.tree.add(r.leafHash()); err != nil {
		return err
	}
	e.commit = r.commit
	if err := e.meaning(r); err != nil {
		return bad(err.Error())
	}
	e.v.report.Records++
	e.next++
	return e.reached()
}

func (e *epoch) meaning(r *record) error {
	if r.erased {
		e.v.report.Erased++
		return nil
	}
	var ev event
	if err := json.Unmarshal(r.payload, &ev); err != nil {
		return fmt.Errorf("the payload is not JSON: %w", err)
	}
	if first := e.tree.size == 1 && e.number > 1; first != (ev.Kind == "log.epoch") {
		return fmt.Errorf("a record of kind %q stands where an epoch begins, or an epoch's beginning within one", ev.Kind)
	}
	switch ev.Kind {
	case "key.rotated":
		var d detail
		if err := json.Unmarshal(ev.Detail, &d); err != nil {
			return fmt.Errorf("the rotation cannot be read: %w", err)
		}
		if d.Key == "audit" {
			e.announced[d.Public] = true
		}
	case "log.epoch":
		if err := e.follows(ev.Detail); err != nil {
			return err
		}
	}
	return e.v.judge(ev)
}

// follows checks that the epoch's first event describes the epoch before as it is here.
func (e *epoch) follows(raw json.RawMessage) error {
	var d detail
	if err := json.Unmarshal(raw, &d); err != nil {
		return fmt.Errorf("the epoch's beginning cannot be read: %w", err)
	}
	b := e.v.before
	if b == nil || d.Epoch != strconv.FormatUint(uint64(e.number), 10) || d.Origin != b.head.origin() {
		return errors.New("the epoch does not follow the one before it")
	}
	root := b.tree.root()
	if d.Size != strconv.FormatUint(b.tree.size, 10) || d.Root != base64.StdEncoding.EncodeToString(root[:]) {
		return fmt.Errorf("the epoch was begun when the one before it had %s records; here it has %d, or others", d.Size, b.tree.size)
	}
	previous, err := e.v.readFile(path.Join(e.name, "previous"), longestNote)
	if err != nil {
		return err
	}
	if !bytes.Equal(previous, []byte(d.Checkpoint)) {
		return errors.New("the file \"previous\" is not the checkpoint that the epoch's first record names")
	}
	return nil
}

// openHistory begins to read the history of checkpoints; one that does not exist is empty.
func (e *epoch) openHistory() (io.Closer, error) {
	name := path.Join(e.name, "checkpoints")
	f, err := os.Open(filepath.Join(e.v.dir, name))
	if errors.Is(err, os.ErrNotExist) {
		e.hist = &history{name: name, r: &lineReader{bytes.NewReader(nil)}}
		return io.NopCloser(nil), nil
	}
	if err != nil {
		return nil, err
	}
	e.hist = &history{name: name, r: &lineReader{bufio.NewReader(io.LimitReader(f, e.signs))}}
	return f, nil
}
