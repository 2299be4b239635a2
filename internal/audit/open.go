package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/mod/sumdb/note"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Open opens the log in a directory, or begins one. It cuts a tail that a crash tore, keeps what it cut beside the
// segment, and records that. It refuses, and changes nothing, where another process has the log, where the log is of a
// newer format or signed by another key, and where records that a checkpoint covers are not there.
func Open(o Options) (*Log, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Unavailable, "audit.Open", err, "audit log: %s cannot be made: check its owner and permissions", o.Dir)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	l, err := open(o)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	l.lock = lock
	return l, nil
}

func (o Options) complete() (Options, error) {
	const op = "audit.Open"
	if o.Dir == "" || o.Signer == nil || o.Clock == nil || o.Rand == nil {
		return o, fault.New(fault.Internal, op, "Dir, Signer, Clock and Rand are required")
	}
	if !regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`).MatchString(o.Node) {
		return o, fault.New(fault.Malformed, op, "audit log: the node's name %q must be 1 to 64 letters, digits, dots, underscores and hyphens", o.Node)
	}
	if o.Mode == "" {
		o.Mode = ModeFast
	}
	if o.Mode != ModeFast && o.Mode != ModeStrict {
		return o, fault.New(fault.Malformed, op, "audit log: mode %q is neither fast nor strict", o.Mode)
	}
	o.Window = orElse(o.Window, 100*time.Millisecond)
	o.CheckpointEvery = orElse(o.CheckpointEvery, time.Second)
	o.Retry = orElse(o.Retry, time.Second)
	o.SegmentBytes = orElse(o.SegmentBytes, 64<<20)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = osFS{}
	}
	return o, nil
}

func orElse[T int64 | time.Duration](v, fallback T) T {
	if v <= 0 {
		return fallback
	}
	return v
}

// lockDir takes the directory for this process. The kernel lets go of it when the process ends, however it ends.
func lockDir(dir string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "audit.Open", err, "audit log: %s cannot be written: check its owner and permissions", dir)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fault.Wrap(fault.Conflict, "audit.Open", err, "audit log: another process writes to %s: stop it first, or give this gateway another directory", dir)
	}
	return f, nil
}

func open(o Options) (*Log, error) {
	epochs, err := listEpochs(o.Dir)
	if err != nil {
		return nil, err
	}
	epoch := uint32(1)
	if len(epochs) > 0 {
		epoch = epochs[len(epochs)-1]
	}
	l := &Log{
		o: o, base: o.Clock(), dir: epochDir(o.Dir, epoch), epoch: epoch, signer: o.Signer,
		salts: make([]byte, 0, saltBatch), wake: make(chan struct{}, 1), hash: make(chan struct{}, 1),
		seal: make(chan struct{}, 1), stop: make(chan struct{}),
		scratch: sync.Pool{New: func() any { return &scratch{b: make([]byte, 0, 4096)} }},
	}
	l.cond = sync.NewCond(&l.mu)
	l.offset = time.Duration(l.base.UnixNano()) - l.elapsed(l.base)
	events, err := l.resume()
	if err != nil {
		return nil, err
	}
	l.filled, l.written, l.synced = l.next-1, l.next-1, l.next-1
	for _, loop := range []func(){l.syncLoop, l.hashLoop, l.sealLoop} {
		l.tasks.Go(loop)
	}
	return l, l.announce(events)
}

// announce records what Open itself did.
func (l *Log) announce(events []access.Event) error {
	for i := range events {
		seq, err := l.Append(&events[i])
		if err == nil {
			err = l.Barrier(seq)
		}
		if err != nil {
			close(l.stop)
			l.tasks.Wait()
			return err
		}
	}
	return nil
}

// resume finds where the log stands, and returns the events that tell what it did about it.
func (l *Log) resume() ([]access.Event, error) {
	firsts, err := listSegments(l.dir)
	if err != nil {
		return nil, err
	}
	if len(firsts) == 0 {
		if _, err := os.Stat(filepath.Join(l.dir, historyFile)); err == nil {
			return nil, (&standing{}).damaged("its segments are missing")
		}
		return l.beginEpoch()
	}
	s, err := survey(l.o.FS, l.dir, firsts)
	if err != nil {
		return nil, err
	}
	if s.head.node != l.o.Node {
		return nil, fault.New(fault.Conflict, "audit.Open", "audit log: %s belongs to node %q and this is node %q: use its own directory, or its own name", l.o.Dir, s.head.node, l.o.Node)
	}
	if s.last != nil {
		l.last = *s.last
		if err := l.checkSigner(); err != nil {
			return nil, err
		}
		if err := l.showLatest(); err != nil {
			return nil, err
		}
	}
	var events []access.Event
	if l.epoch > 1 && s.next == s.head.epochFirst { // a crash took the event that begins the epoch
		e, _, err := l.follow()
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	if s.torn() {
		if err := s.cut(l.o.FS); err != nil {
			return nil, fault.Wrap(fault.Unavailable, "audit.Open", err, "audit log: its torn tail could not be cut: see to the disk")
		}
		events = append(events, s.repaired())
	}
	f, err := l.o.FS.OpenFile(s.path, os.O_WRONLY, 0o600)
	if err == nil {
		err = f.Sync() // what the process before wrote and did not sync
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "audit.Open", err, "audit log: its last segment cannot be written: see to the disk")
	}
	l.head, l.first, l.origin, l.next = s.head, s.head.epochFirst, s.head.origin(), s.next
	l.tree, l.history = s.tree, s.history
	l.seg = segmentWriter{file: f, path: s.path, size: s.at, total: s.total}
	if s.at >= l.o.SegmentBytes && s.next > s.head.first {
		l.seg.end(linkOf(s.head, s.next-1, s.commit), s.next)
	}
	for _, t := range s.tree.partial() {
		l.stale = append(l.stale, filepath.Join(l.dir, tilePath(t.tile)))
	}
	return events, nil
}

// showLatest brings the file of the newest checkpoint up to the history: a crash between the two leaves it one behind, and
// a second one would leave it two.
func (l *Log) showLatest() error {
	path := filepath.Join(l.dir, latestFile)
	have, err := os.ReadFile(path)
	if err == nil && bytes.Equal(have, l.last.Note) {
		return nil
	}
	if err := replaceFile(l.o.FS, path, l.last.Note); err != nil {
		return fault.Wrap(fault.Unavailable, "audit.Open", err, "audit log: %s cannot be written: see to the disk", path)
	}
	return nil
}

// checkSigner refuses a signer that is not the one whose signature the newest checkpoint holds: going on would sign
// for a history that another key, or nobody, vouched for.
func (l *Log) checkSigner() error {
	const op = "audit.Open"
	if l.last.Next != "" {
		v, err := note.NewVerifier(l.last.Next)
		if err != nil || v.Name() != l.signer.Name() || v.KeyHash() != l.signer.KeyHash() {
			return fault.New(fault.Conflict, op, "audit log: it was handed to the signing key %q: put that key in place, then start again", l.last.Next)
		}
	}
	if !l.last.signedBy(l.signer) {
		return fault.New(fault.Conflict, op, "audit log: its newest checkpoint is not signed by this gateway's key %q: put the log's own key back, or run gatehouse audit verify to see what was changed", l.signer.Name())
	}
	return nil
}

// beginEpoch makes the first segment of an epoch.
func (l *Log) beginEpoch() ([]access.Event, error) {
	if err := os.MkdirAll(filepath.Join(l.dir, segmentDir), 0o700); err != nil {
		return nil, fault.Wrap(fault.Unavailable, "audit.Open", err, "audit log: %s cannot be written: see to the disk", l.dir)
	}
	head := header{epoch: l.epoch, epochFirst: 1, first: 1, node: l.o.Node}
	var events []access.Event
	if l.epoch > 1 {
		e, first, err := l.follow()
		if err != nil {
			return nil, err
		}
		events = append(events, e)
		head.epochFirst, head.first = first, first
	}
	if _, err := io.ReadFull(l.o.Rand, head.epochID[:]); err != nil {
		return nil, fault.Wrap(fault.Unavailable, "audit.Open", err, "audit log: no randomness")
	}
	l.first, l.origin, l.next, l.tree = head.epochFirst, head.origin(), head.first, &tree{}
	err := l.begin(head)
	if err == nil {
		err = errors.Join(l.o.FS.SyncDir(l.dir), l.o.FS.SyncDir(l.o.Dir))
	}
	return events, fault.Wrap(fault.Unavailable, "audit.Open", err, "audit log: %s cannot be written: see to the disk", l.dir)
}

// follow returns the first event of an epoch that follows another, and its sequence: behind whatever is known of the
// epoch before, so that no sequence is used twice.
func (l *Log) follow() (access.Event, uint64, error) {
	before := epochDir(l.o.Dir, l.epoch-1)
	firsts, err := listSegments(before)
	if err == nil && len(firsts) == 0 {
		err = fmt.Errorf("%s has no segments", before)
	}
	if err != nil {
		return access.Event{}, 0, err
	}
	s, err := survey(l.o.FS, before, firsts)
	if err != nil {
		return access.Event{}, 0, err
	}
	previous, err := os.ReadFile(filepath.Join(l.dir, previousFile))
	if err != nil {
		return access.Event{}, 0, err
	}
	root, err := s.tree.root()
	if err != nil {
		return access.Event{}, 0, err
	}
	first := s.next
	if len(previous) > 0 {
		c, err := ParseCheckpoint(previous)
		if err != nil {
			return access.Event{}, 0, err
		}
		first = max(first, c.First+c.Size)
	}
	return access.Event{
		Kind: access.EventEpochBegun, Principal: access.GatewayPrincipal().ID(),
		Detail: map[string]string{
			"epoch":      strconv.FormatUint(uint64(l.epoch), 10),
			"checkpoint": string(previous),
			"origin":     s.head.origin(),
			"size":       strconv.FormatUint(s.tree.size, 10),
			"root":       root.String(),
		},
	}, first, nil
}

// BeginEpoch makes the log in dir, which nobody has open, continue in a new epoch when it is next opened: after a
// restore, where going on in the old one would fork it. previous is the last checkpoint that is known of the log before
// (of this directory or from elsewhere); where it is nil, the directory's own newest is taken.
func BeginEpoch(dir string, previous []byte) error {
	const op = "audit.BeginEpoch"
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	epochs, err := listEpochs(dir)
	if err != nil || len(epochs) == 0 {
		return fault.Wrap(fault.NotFound, op, errors.Join(err, os.ErrNotExist), "no audit log in %s", dir)
	}
	n := epochs[len(epochs)-1]
	if previous == nil {
		previous, err = os.ReadFile(filepath.Join(epochDir(dir, n), latestFile))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if len(previous) > 0 {
		if _, err := ParseCheckpoint(previous); err != nil {
			return err
		}
	}
	fresh := epochDir(dir, n+1)
	if err := os.MkdirAll(fresh+".tmp", 0o700); err != nil {
		return fault.Wrap(fault.Unavailable, op, err, "the new epoch cannot be written to %s: see to the disk", dir)
	}
	err = replaceFile(osFS{}, filepath.Join(fresh+".tmp", previousFile), previous)
	if err == nil {
		err = os.Rename(fresh+".tmp", fresh)
	}
	if err == nil {
		err = osFS{}.SyncDir(dir)
	}
	return fault.Wrap(fault.Unavailable, op, err, "the new epoch cannot be written to %s: see to the disk", dir)
}
