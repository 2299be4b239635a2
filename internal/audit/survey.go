package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// standing is where an epoch's files stand: what Open goes on from.
type standing struct {
	fsys    FS
	dir     string
	head    header // of the last segment
	path    string // the last segment
	at      int64  // where its last whole frame ends
	end     int64  // where the file ends: behind at, where it is torn
	next    uint64 // the sequence of the next record
	commit  [32]byte
	total   int64
	tree    *tree
	last    *Checkpoint
	history int64  // where the last whole checkpoint of the history ends
	saved   string // where cut put the tail
}

func (s *standing) torn() bool { return s.at < s.end }

// survey reads an epoch from its newest checkpoint on. What the checkpoint covers must be there, record for record;
// what lies behind may end in a torn record, and only there.
func survey(fsys FS, dir string, firsts []uint64) (*standing, error) {
	s := &standing{fsys: fsys, dir: dir}
	var err error
	if s.last, s.history, err = lastCheckpoint(filepath.Join(dir, historyFile)); err != nil {
		return nil, err
	}
	if s.last == nil {
		if _, err := os.Stat(filepath.Join(dir, latestFile)); err == nil {
			return nil, fault.New(fault.Conflict, "audit.Open", "audit log: %s has a checkpoint and no history of checkpoints: run gatehouse audit verify; nothing was changed", dir)
		}
	}
	if err := s.start(dir, firsts); err != nil {
		return nil, err
	}
	for i, first := range firsts {
		if i+1 < len(firsts) && firsts[i+1] <= s.next {
			continue // whole and signed
		}
		if err := s.readSegment(segmentPath(dir, first), i == len(firsts)-1); err != nil {
			return nil, err
		}
	}
	if s.last != nil && s.tree.size < s.last.Size {
		return nil, s.damaged(fmt.Sprintf("its checkpoint covers %d records and %d are there", s.last.Size, s.tree.size))
	}
	for _, first := range firsts {
		info, err := os.Stat(segmentPath(dir, first))
		if err != nil {
			return nil, err
		}
		s.total += info.Size()
	}
	s.total -= s.end - s.at
	return s, nil
}

// start sets the tree and the next record: from the newest checkpoint and its tiles, or, where there are none or they
// do not fit, from the first record.
func (s *standing) start(dir string, firsts []uint64) error {
	r, err := openSegment(segmentPath(dir, firsts[0]))
	if err != nil {
		return err
	}
	defer r.close()
	s.tree, s.next = &tree{}, r.header.epochFirst
	if s.last == nil {
		return nil
	}
	if s.last.Origin != r.header.origin() || s.last.First != r.header.epochFirst {
		return s.damaged("its checkpoint is of another log: " + strconv.Quote(s.last.Origin))
	}
	if t, err := loadTree(dir, s.last.Size, s.last.Root); err == nil {
		s.tree, s.next = t, s.last.First+s.last.Size
	}
	return nil
}

// readSegment adds a segment's records from next on to the tree. lastOne says that it may be torn.
func (s *standing) readSegment(path string, lastOne bool) error {
	r, err := openSegment(path)
	if err != nil {
		return err
	}
	defer r.close()
	s.head, s.path = r.header, path
	if r.header.first > s.next {
		return s.damaged(fmt.Sprintf("record %d is missing", s.next))
	}
	for {
		f, err := r.read()
		if errors.Is(err, io.EOF) || errors.Is(err, errTorn) && lastOne {
			break
		}
		if err != nil {
			return s.damaged(fmt.Sprintf("%s, record %d: %v", filepath.Base(path), r.next, err))
		}
		s.commit = f.commitment(&s.tree.hash)
		if f.seq < s.next {
			continue
		}
		l := leaf(f.seq, s.commit)
		s.tree.add(l[:])
		s.next++
		if err := s.keepTiles(); err != nil {
			return err
		}
		if s.last != nil && s.tree.size == s.last.Size {
			if root, err := s.tree.root(); err != nil || root != s.last.Root {
				return s.damaged("its records are not the ones that its checkpoint covers")
			}
		}
	}
	s.at, s.end = r.at, r.end
	if r.next < s.next {
		return s.damaged(fmt.Sprintf("its checkpoint covers record %d, and %s ends at %d", s.next-1, filepath.Base(path), r.next-1))
	}
	return nil
}

// keepTiles writes complete tiles before there are many: a tree that is made again from its first record must not need
// memory for all of it.
func (s *standing) keepTiles() error {
	if len(s.tree.ready) < tileWidth {
		return nil
	}
	for _, t := range s.tree.ready {
		if err := writeTile(s.fsys, s.dir, t); err != nil {
			return err
		}
	}
	s.tree.ready = nil
	return nil
}

func (s *standing) damaged(what string) error {
	return fault.New(fault.Conflict, "audit.Open", "audit log: damaged: %s: run gatehouse audit verify; nothing was changed. Restore the log, or begin a new epoch with gatehouse restore", what)
}

// cut moves the torn tail of the last segment to a file beside it: a cut is a repair, not a deletion.
func (s *standing) cut(fsys FS) error {
	s.saved = fmt.Sprintf("%s.torn-%d", s.path, s.at)
	src, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	if err := copyFile(fsys, s.saved, io.NewSectionReader(src, s.at, s.end-s.at)); err != nil {
		return err
	}
	f, err := fsys.OpenFile(s.path, os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := f.Truncate(s.at); err != nil {
		return err
	}
	return f.Sync()
}

func copyFile(fsys FS, name string, r io.Reader) error {
	f, err := fsys.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.NewOffsetWriter(f, 0), r)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// repaired is the event that tells of the cut.
func (s *standing) repaired() access.Event {
	return access.Event{
		Kind: access.EventLogRepaired, Principal: access.GatewayPrincipal().ID(), Reason: "torn tail",
		Detail: map[string]string{
			"segment": filepath.Base(s.path),
			"offset":  strconv.FormatInt(s.at, 10),
			"bytes":   strconv.FormatInt(s.end-s.at, 10),
			"kept":    filepath.Base(s.saved),
		},
	}
}
