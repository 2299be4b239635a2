package audit

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Limits on what is held in memory.
const (
	maxBuffered = 64 << 20  // bytes appended and not yet written
	maxUnhashed = 8 << 20   // bytes written and not yet in the tree
	hashBatch   = 256 << 10 // bytes written that are worth waking the hash loop for
	feedChunk   = 256 << 10 // how much of it one buffer holds
	feedSpare   = 4         // how many of those buffers are kept for reuse
	keepBuffer  = 1 << 20   // a buffer that has grown beyond this is not kept for reuse
	saltBatch   = 4096      // bytes of randomness read at a time
	clockStep   = time.Second
	slowDisk    = 5 * time.Second // an fsync that is later than the window by this makes Health report it
)

// Options says where and how to keep a log. Dir, Signer, Node, Clock and Rand are required.
type Options struct {
	Dir             string
	Mode            Mode                 // default ModeFast
	Window          time.Duration        // ModeFast: what a loss of power may take; default 100 ms
	Signer          note.Signer          // Ed25519, as note.NewSigner makes it
	Node            string               // 1 to 64 of letters, digits, ".", "_" and "-"; part of every checkpoint's origin
	Clock           func() time.Time     // wall clock; with a monotonic reading it also tells a clock's step
	Elapsed         func() time.Duration // monotonic time; default: from Clock's monotonic reading
	Rand            io.Reader            // crypto/rand.Reader; salts and the epoch's id come from it
	SegmentBytes    int64                // where a segment ends, roughly; default 64 MiB
	CheckpointEvery time.Duration        // while there are new records; default 1 s
	Retry           time.Duration        // how often a full disk is tried again; default 1 s
	Logger          *slog.Logger         // default: discards
	FS              FS                   // default: the operating system's
}

// Log is an open audit log. Its methods are safe for concurrent use.
type Log struct {
	o      Options
	base   time.Time // Clock when the log was opened
	lock   io.Closer
	dir    string // of the current epoch, as the next three
	epoch  uint32
	first  uint64
	origin string

	scratch sync.Pool // *scratch

	mu       sync.Mutex
	cond     *sync.Cond // on mu: written, synced, failed or writing changed
	next     uint64     // the sequence of the next record
	buf      []byte     // frames not yet handed to a writer
	spare    []byte
	stuck    []byte // frames whose write failed
	stuckTo  uint64 // the last record in stuck
	filled   uint64 // every record up to here is in the file
	written  uint64 // and has been handed to the tree
	synced   uint64 // every record up to here is on the disk
	writing  bool   // somebody owns the file and everything below
	failed   *failure
	closed   bool
	armed    bool          // the sync loop knows that there is something to do
	dirty    time.Duration // uptime at the oldest write that no fsync has begun to cover; 0 where none
	inflight time.Duration // the same for the fsync that is under way
	salts    []byte
	offset   time.Duration // wall clock less monotonic clock

	head    header        // of the current segment; owned by whoever set writing, as seg
	seg     segmentWriter // totals are also read under mu
	syncMu  sync.Mutex    // an fsync of the segment is under way, or the segment is being changed
	feedMu  sync.Mutex
	feed    feed // written frames that are not in the tree yet
	treeMu  sync.Mutex
	tree    *tree
	sealMu  sync.Mutex // a checkpoint is being made; taken before every other lock
	signer  note.Signer
	last    Checkpoint
	tiles   []fullTile // complete tiles that are not on disk yet
	history int64      // where the next checkpoint goes in the history
	stale   []string   // partial tiles of the last checkpoint

	wake  chan struct{}
	hash  chan struct{}
	seal  chan struct{}
	stop  chan struct{}
	tasks sync.WaitGroup
}

// failure is why the log refuses.
type failure struct {
	err  *fault.Error
	hard bool // only a restart helps: what was written may be lost
	at   time.Duration
}

type scratch struct{ b []byte }

// Append encodes an event and gives it the next sequence number. It copies what it needs, never waits for a disk, and
// does not make the record durable: Barrier does. It fails with fault.Unavailable while the log is broken or closed,
// and with fault.Malformed where the event is larger than MaxPayload.
func (l *Log) Append(e *access.Event) (uint64, error) {
	now := l.o.Clock()
	s, _ := l.scratch.Get().(*scratch)
	payload, err := appendEvent(s.b[:0], e, now)
	if cap(payload) <= keepBuffer {
		s.b = payload
	}
	if err != nil {
		l.scratch.Put(s)
		return 0, err
	}
	if len(payload) > MaxPayload {
		return 0, fault.New(fault.Malformed, "audit.Append", "the record of this action would take %d bytes and may take %d: send a shorter one", len(payload), MaxPayload)
	}
	l.mu.Lock()
	seq, err := l.admit(now, payload)
	l.rouse()
	l.mu.Unlock()
	l.scratch.Put(s)
	return seq, err
}

// rouse tells the sync loop that there is something to do. mu is held.
func (l *Log) rouse() {
	if !l.armed {
		l.armed = true
		l.wake <- struct{}{} // never blocks: the channel has room for one, and armed admits one
	}
}

// admit puts a payload into the sequence, behind a clock.stepped event where the clock has stepped. mu is held.
func (l *Log) admit(now time.Time, payload []byte) (uint64, error) {
	if err := l.refusal(); err != nil {
		return 0, err
	}
	if len(l.buf)+len(payload) > maxBuffered {
		return 0, fault.New(fault.Unavailable, "audit.Append", "audit log: the disk does not keep up: try again in a moment")
	}
	if err := l.watchClock(now); err != nil {
		return 0, err
	}
	return l.frame(payload)
}

func (l *Log) refusal() error {
	if l.closed {
		return fault.New(fault.Unavailable, "audit.Append", "audit log: the gateway is stopping")
	}
	if l.failed != nil {
		return l.failed.err
	}
	return nil
}

// frame gives payload its salt, sequence and place in the buffer. mu is held.
func (l *Log) frame(payload []byte) (uint64, error) {
	if len(l.salts) < saltSize {
		l.salts = l.salts[:saltBatch]
		if _, err := io.ReadFull(l.o.Rand, l.salts); err != nil {
			l.salts = l.salts[:0]
			return 0, fault.Wrap(fault.Unavailable, "audit.Append", err, "audit log: no randomness: try again in a moment")
		}
	}
	n := len(l.salts) - saltSize
	salt := l.salts[n:]
	l.buf = appendFrame(l.buf, l.next, salt, payload)
	clear(salt)
	l.salts = l.salts[:n]
	l.next++
	return l.next - 1, nil
}

// watchClock records a step of the wall clock against the monotonic one. Slow adjustment is followed in silence.
func (l *Log) watchClock(now time.Time) error {
	offset := time.Duration(now.UnixNano()) - l.elapsed(now)
	step := offset - l.offset
	l.offset = offset
	if step.Abs() <= clockStep {
		return nil
	}
	e := access.Event{Kind: access.EventClockStepped, Detail: map[string]string{"step": step.String()}}
	payload, err := appendEvent(nil, &e, now)
	if err == nil {
		_, err = l.frame(payload)
	}
	return err
}

// Barrier returns when every record up to seq survives what the mode promises: in ModeFast the death of the process
// (and, but for Window, loss of power), in ModeStrict loss of power. One of the callers writes for all. Where it
// fails, nothing may be sent to a backend on the strength of these records.
func (l *Log) Barrier(seq uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.durable() < seq {
		if l.failed != nil {
			return l.failed.err
		}
		switch {
		case seq >= l.next:
			return fault.New(fault.Internal, "audit.Barrier", "record %d was never appended", seq)
		case l.writing:
			l.cond.Wait()
		default:
			l.lead()
		}
	}
	return nil
}

// durable returns the last record that satisfies the mode. mu is held.
func (l *Log) durable() uint64 {
	if l.o.Mode == ModeStrict {
		return l.synced
	}
	return l.written
}

// Health returns nil while the log takes records, and otherwise why it does not, as fault.Unavailable.
func (l *Log) Health() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.refusal(); err != nil {
		return err
	}
	if lag := l.lag(); lag > l.o.Window+slowDisk {
		return fault.New(fault.Unavailable, "audit.Health", "audit log: the disk under %s has not finished an fsync for %s: check the disk", l.o.Dir, lag.Round(time.Second))
	}
	return nil
}

// lag is how old the oldest write is that is not known to be on the disk. mu is held.
func (l *Log) lag() time.Duration {
	since := l.inflight
	if since == 0 {
		since = l.dirty
	}
	if since == 0 {
		return 0
	}
	return l.uptime() - since
}

// uptime is monotonic, and never 0.
func (l *Log) uptime() time.Duration { return max(1, l.elapsed(l.o.Clock())) }

// elapsed is uptime at a moment that Clock has told.
func (l *Log) elapsed(now time.Time) time.Duration {
	if l.o.Elapsed != nil {
		return l.o.Elapsed()
	}
	return now.Sub(l.base)
}

// Status is what /readyz, metrics and sessions show of the log.
type Status struct {
	Mode       Mode          `json:"mode"`
	Window     time.Duration `json:"window_ns"` // 0 in ModeStrict
	Node       string        `json:"node"`
	Epoch      uint32        `json:"epoch"`
	Records    uint64        `json:"records"`  // the last record's sequence
	Unsynced   uint64        `json:"unsynced"` // records that a loss of power would take now
	Unsigned   uint64        `json:"unsigned"` // records that no checkpoint covers yet
	Bytes      int64         `json:"bytes"`    // of the current epoch's segments
	Checkpoint Checkpoint    `json:"-"`        // the newest; its Note is empty where there is none
	Age        time.Duration `json:"checkpoint_age_ns"`
	Error      string        `json:"error,omitempty"` // why the log refuses
}

// Status describes the log.
func (l *Log) Status() Status {
	l.sealMu.Lock()
	last := l.last
	l.sealMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Status{
		Mode: l.o.Mode, Node: l.o.Node, Epoch: l.epoch, Records: l.next - 1, Unsynced: l.next - 1 - l.synced,
		Unsigned: l.next - l.first - last.Size, Bytes: l.seg.total, Checkpoint: last,
	}
	if l.o.Mode == ModeFast {
		s.Window = l.o.Window
	}
	if len(last.Note) > 0 {
		s.Age = l.o.Clock().Sub(last.Time)
	}
	if err := l.refusal(); err != nil {
		s.Error, _ = fault.Say(err)
	}
	return s
}

// Close writes, syncs and signs what there is, and lets go of the directory. It gives up when ctx ends; the directory
// stays locked then, until the process ends.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	already := l.closed
	l.closed = true
	l.mu.Unlock()
	if already {
		return nil
	}
	close(l.stop)
	done := make(chan error, 1)
	go func() { done <- l.finish() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fault.Wrap(fault.Unavailable, "audit.Close", ctx.Err(), "audit log: the disk did not finish in time: the last records may be unsigned")
	}
}

func (l *Log) finish() error {
	l.tasks.Wait()
	err := l.sealIfNew()
	l.mu.Lock()
	if err == nil && l.failed != nil {
		err = l.failed.err
	}
	l.mu.Unlock()
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	return errors.Join(err, l.seg.file.Close(), l.lock.Close())
}
