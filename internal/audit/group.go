package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// segmentWriter is the segment that is being written.
type segmentWriter struct {
	file  File
	path  string
	size  int64 // where the next frame goes: never behind a write that failed
	total int64 // bytes of all of the epoch's segments

	full bool              // the next write begins a new segment,
	link [sha256.Size]byte // with this link
	next uint64            // and this first record
}

func (s *segmentWriter) end(link [sha256.Size]byte, next uint64) {
	s.full, s.link, s.next = true, link, next
}

// lead writes everything that has been appended, on behalf of everyone who waits. mu is held on entry and on return,
// and let go in between; the caller has seen that nobody is writing.
func (l *Log) lead() {
	l.writing = true
	batch, last := l.buf, l.next-1
	l.buf, l.spare = l.spare[:0], nil
	stale := l.o.Mode == ModeFast && l.lag() > l.o.Window
	l.mu.Unlock()

	var err error
	if stale { // the disk is slow: the window is a promise, so callers wait for it
		err = l.sync()
	}
	if err == nil && len(batch) > 0 {
		err = l.write(batch, last)
	}

	l.mu.Lock()
	l.wrote(batch, last, err)
	if err == nil && l.o.Mode == ModeStrict {
		l.mu.Unlock()
		_ = l.sync() // sync itself reports its failure to everyone
		l.mu.Lock()
	}
	l.writing = false
	l.cond.Broadcast()
}

// wrote notes how a write ended. mu is held.
func (l *Log) wrote(batch []byte, last uint64, err error) {
	if err != nil {
		l.stuck, l.stuckTo = batch, last
		l.fail(failWrite, err)
		return
	}
	l.written = last
	if cap(batch) <= keepBuffer {
		l.spare = batch[:0]
	}
}

// write appends whole frames to the segment, in a new one where the last is full, and hands them to the tree. Where it
// fails, the same call again does no harm: nothing is where the next write goes. From here on an fsync covers the batch,
// although nobody has been told that it is written: the tree may have it before them. The caller owns writing.
func (l *Log) write(batch []byte, last uint64) error {
	if l.seg.full {
		if err := l.roll(); err != nil {
			return err
		}
	}
	if _, err := l.seg.file.WriteAt(batch, l.seg.size); err != nil {
		return err
	}
	l.mu.Lock()
	l.seg.size += int64(len(batch))
	l.seg.total += int64(len(batch))
	l.filled = last
	if l.dirty == 0 {
		l.dirty = l.uptime()
	}
	l.mu.Unlock()
	if l.seg.size >= l.o.SegmentBytes {
		end := lastFrame(batch)
		l.seg.end(linkOf(l.head, end.seq, end.commitment(&hasher{})), end.seq+1)
	}
	l.give(batch)
	return nil
}

// give hands written frames to the tree's feed. Where the feed has grown too long, the caller hashes it: memory stays
// bounded, and who writes too fast pays.
func (l *Log) give(batch []byte) {
	l.feedMu.Lock()
	l.feed.add(batch)
	n := l.feed.size
	l.feedMu.Unlock()
	if n >= hashBatch {
		select {
		case l.hash <- struct{}{}:
		default: // it has been told
		}
	}
	if n < maxUnhashed {
		return
	}
	l.treeMu.Lock()
	defer l.treeMu.Unlock()
	_ = l.absorb() // it closes the log itself
}

// lastFrame returns the last of a run of whole frames.
func lastFrame(b []byte) frame {
	for {
		n := frameHead + int(binary.BigEndian.Uint32(b))
		if n >= len(b) {
			f, _ := parseBody(b[frameHead:]) // this process framed it
			return f
		}
		b = b[n:]
	}
}

// roll begins the next segment. The old one is on the disk before the new one exists, so that only the last segment of
// a log can be torn. The caller owns writing.
func (l *Log) roll() error {
	if err := l.sync(); err != nil {
		return err
	}
	head := l.head
	head.first, head.link = l.seg.next, l.seg.link
	return l.begin(head)
}

// begin creates a segment and makes it the one that is written. The caller owns writing.
func (l *Log) begin(head header) error {
	path := segmentPath(l.dir, head.first)
	data := head.append(nil)
	if err := replaceFile(l.o.FS, path, data); err != nil {
		return err
	}
	if err := l.o.FS.SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := l.o.FS.OpenFile(path, os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	l.syncMu.Lock()
	old := l.seg.file
	l.mu.Lock()
	l.head = head
	l.seg = segmentWriter{file: f, path: path, size: int64(len(data)), total: l.seg.total + int64(len(data))}
	l.mu.Unlock()
	l.syncMu.Unlock()
	if old != nil {
		return old.Close()
	}
	return nil
}

// sync makes everything that is in the file durable. After an fsync that failed, what it covered may be gone although a
// later one succeeds: the log stays closed until it has been opened again.
func (l *Log) sync() error {
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	l.mu.Lock()
	target, f := l.filled, l.seg.file
	if l.failed != nil && l.failed.hard {
		defer l.mu.Unlock()
		return l.failed.err
	}
	if target == l.synced {
		l.mu.Unlock()
		return nil
	}
	l.inflight, l.dirty = l.dirty, 0
	l.mu.Unlock()

	err := f.Sync()

	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.fail(failSync, err)
		return err
	}
	l.synced, l.inflight = target, 0
	l.cond.Broadcast()
	return nil
}

// What can fail. After the first two the log opens by itself; after the others only when it is opened anew.
const (
	failWrite = "write"
	failSeal  = "checkpoint"
	failSync  = "fsync"
	failTree  = "tree"
)

// fail closes the log. mu is held.
func (l *Log) fail(what string, err error) {
	if l.failed != nil && l.failed.hard {
		return
	}
	hard := what == failSync || what == failTree
	say := "audit log: the disk failed (" + what + "): see to the disk under the audit log; the gate opens by itself"
	switch {
	case what == failTree:
		say = "audit log: its tree does not fit its records: restart the gateway, which checks the log as it opens"
	case hard:
		say = "audit log: an fsync failed, so that records may be lost: see to the disk and restart the gateway, which checks the log as it opens"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		say = "audit log: disk full at " + l.o.Dir + ": free space; the gate opens by itself"
	case errors.Is(err, syscall.EROFS):
		say = "audit log: the disk at " + l.o.Dir + " is read-only: make it writable; the gate opens by itself"
	}
	at := l.uptime()
	if l.failed != nil {
		at = l.failed.at
	}
	l.failed = &failure{err: &fault.Error{Op: "audit", Kind: fault.Unavailable, Say: say, Err: err}, hard: hard, at: at}
	l.o.Logger.Error("audit log closed", "what", what, "error", err, "records_to", l.written)
	l.cond.Broadcast()
	select {
	case l.seal <- struct{}{}:
	default:
	}
}

// reopen writes what could not be written, behind the last write that succeeded, and opens the log again. It records
// that it did.
func (l *Log) reopen() {
	l.mu.Lock()
	for l.writing {
		l.cond.Wait()
	}
	failed := l.failed
	if failed == nil || failed.hard {
		l.mu.Unlock()
		return
	}
	l.writing = true
	batch, last := l.stuck, max(l.stuckTo, l.written)
	l.mu.Unlock()

	err := l.rewrite(batch, last)

	l.mu.Lock()
	defer l.mu.Unlock()
	l.writing = false
	l.cond.Broadcast()
	if err != nil {
		return
	}
	if batch != nil {
		l.wrote(batch, last, nil)
	}
	l.stuck, l.stuckTo = nil, 0
	l.mu.Unlock()
	err = l.sealIfNew() // signing was perhaps what failed
	l.mu.Lock()
	if err != nil || l.failed == nil || l.failed.hard {
		return
	}
	l.reopened()
}

// rewrite cuts what a failed write may have left and writes the batch in its place. The caller owns writing.
func (l *Log) rewrite(batch []byte, last uint64) error {
	if len(batch) == 0 {
		return nil
	}
	if err := l.seg.file.Truncate(l.seg.size); err != nil {
		return err
	}
	return l.write(batch, last)
}

// reopened takes records again, the first of which says for how long there were none. mu is held.
func (l *Log) reopened() {
	closed := (l.uptime() - l.failed.at).Round(time.Millisecond)
	reason := l.failed.err.Err.Error()
	l.failed = nil
	l.o.Logger.Info("audit log: open again", "closed_for", closed)
	e := access.Event{Kind: access.EventLogRepaired, Reason: reason, Detail: map[string]string{"closed_for": closed.String(), "lost": "0"}}
	payload, err := appendEvent(nil, &e, l.o.Clock())
	if err == nil {
		_, err = l.frame(payload)
	}
	if err != nil {
		l.o.Logger.Error("audit log: its repair could not be recorded", "error", err)
	}
	l.rouse()
}
