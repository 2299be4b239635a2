package audit

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// snapshot is what a checkpoint says, and what must be on disk before it.
type snapshot struct {
	size    uint64
	root    tlog.Hash
	partial []fullTile
}

// Checkpoint signs the log as it is now, and returns what was signed.
func (l *Log) Checkpoint(ctx context.Context) (Checkpoint, error) {
	if err := ctx.Err(); err != nil {
		return Checkpoint{}, err
	}
	l.sealMu.Lock()
	defer l.sealMu.Unlock()
	s, err := l.settle()
	if err != nil {
		return Checkpoint{}, err
	}
	return l.sign(s, "", l.signer)
}

// Rotate hands the log to another signing key: an event names it, the old key signs a checkpoint over that event that
// names it too, and the new key alone signs from there on. next is the new key, public its verifier key as package
// note writes them. The caller keeps the new key before this and forgets the old one after.
func (l *Log) Rotate(ctx context.Context, next note.Signer, public string) error {
	const op = "audit.Rotate"
	v, err := note.NewVerifier(public)
	if err != nil || v.Name() != next.Name() || v.KeyHash() != next.KeyHash() {
		return fault.New(fault.Malformed, op, "the new key and its public half do not belong together")
	}
	l.sealMu.Lock()
	defer l.sealMu.Unlock()
	seq, err := l.Append(&access.Event{
		Kind: access.EventKeyRotated, Principal: access.GatewayPrincipal().ID(),
		Detail: map[string]string{"key": "audit", "public": public},
	})
	if err != nil {
		return err
	}
	if err := l.Barrier(seq); err != nil {
		return err
	}
	s, err := l.settle()
	if err != nil {
		return err
	}
	if _, err = l.sign(s, public, l.signer, next); err != nil {
		return err
	}
	l.signer = next
	return ctx.Err()
}

// sealIfNew signs the log where it has grown since the last checkpoint.
func (l *Log) sealIfNew() error {
	l.sealMu.Lock()
	defer l.sealMu.Unlock()
	s, err := l.settle()
	if err != nil || s.size == l.last.Size {
		return err
	}
	_, err = l.sign(s, "", l.signer)
	return err
}

// settle writes what has been appended, takes it into the tree and makes it durable. What comes meanwhile is for the
// next time: a checkpoint never covers a record that a loss of power could still take. sealMu is held.
func (l *Log) settle() (snapshot, error) {
	l.flush()
	s, err := l.snapshot()
	if err == nil {
		err = l.sync()
	}
	if err != nil {
		return s, fault.Wrap(fault.Unavailable, "audit.settle", err, "audit log: the newest records could not be made durable: see to the disk and restart the gateway")
	}
	return s, nil
}

// snapshot brings the tree up to what is written. sealMu is held.
func (l *Log) snapshot() (snapshot, error) {
	l.treeMu.Lock()
	defer l.treeMu.Unlock()
	if err := l.absorb(); err != nil {
		return snapshot{}, err
	}
	l.tiles = append(l.tiles, l.tree.ready...)
	l.tree.ready = nil
	root, err := l.tree.root()
	return snapshot{l.tree.size, root, l.tree.partial()}, err
}

// flush writes what has been appended, if the log is not broken.
func (l *Log) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.next - 1
	for l.written < last && l.failed == nil {
		if l.writing {
			l.cond.Wait()
			continue
		}
		l.lead()
	}
}

// absorb takes written frames into the tree. Where it cannot, the tree is no longer the log's, and nothing may be signed
// any more. treeMu is held.
func (l *Log) absorb() error {
	l.feedMu.Lock()
	chunks := l.feed.take()
	l.feedMu.Unlock()
	var err error
	for _, c := range chunks {
		if err = l.tree.addFrames(c); err != nil {
			l.mu.Lock()
			l.fail(failTree, err)
			l.mu.Unlock()
			break
		}
	}
	l.feedMu.Lock()
	l.feed.recycle(chunks)
	l.feedMu.Unlock()
	return err
}

// sign writes the tiles, signs the tree and publishes the checkpoint. A failure closes the log: a record that nobody
// signs for is not what was promised. sealMu is held.
func (l *Log) sign(s snapshot, next string, signers ...note.Signer) (Checkpoint, error) {
	c := Checkpoint{
		Origin: l.origin, Size: s.size, Root: s.root, First: l.first, Mode: l.o.Mode, Time: l.o.Clock(), Next: next,
	}
	if c.Mode == ModeFast {
		c.Window = l.o.Window
	}
	err := c.sign(signers...)
	if err == nil {
		err = l.publish(&c, s.partial)
	}
	if err != nil {
		l.mu.Lock()
		l.fail(failSeal, err)
		l.mu.Unlock()
		return Checkpoint{}, fault.Wrap(fault.Unavailable, "audit.Checkpoint", err, "audit log: no checkpoint could be written: see to the disk; the gate opens by itself")
	}
	l.last = c
	return c, nil
}

// publish writes tiles, then the history, then the newest checkpoint, so that each only names what exists.
func (l *Log) publish(c *Checkpoint, partial []fullTile) error {
	for len(l.tiles) > 0 {
		if err := writeTile(l.o.FS, l.dir, l.tiles[0]); err != nil {
			return err
		}
		l.tiles = l.tiles[1:]
	}
	l.tiles = nil
	var names []string
	for _, t := range partial {
		if err := writeTile(l.o.FS, l.dir, t); err != nil {
			return err
		}
		names = append(names, filepath.Join(l.dir, tilePath(t.tile)))
	}
	if err := l.appendHistory(c); err != nil {
		return err
	}
	if err := replaceFile(l.o.FS, filepath.Join(l.dir, latestFile), c.Note); err != nil {
		return err
	}
	if err := l.o.FS.SyncDir(l.dir); err != nil {
		return err
	}
	l.dropStale(names)
	return nil
}

func (l *Log) appendHistory(c *Checkpoint) error {
	f, err := l.o.FS.OpenFile(filepath.Join(l.dir, historyFile), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := f.Truncate(l.history); err != nil { // what an earlier failure left
		return err
	}
	entry := append(append([]byte(nil), c.Note...), '\n')
	if _, err := f.WriteAt(entry, l.history); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	l.history += int64(len(entry))
	return nil
}

// dropStale removes the partial tiles of the checkpoint before, which no one needs any more.
func (l *Log) dropStale(now []string) {
	for _, name := range l.stale {
		if !slices.Contains(now, name) {
			_ = l.o.FS.Remove(name) // a file too many harms nobody
		}
	}
	l.stale = now
}

// syncLoop writes and syncs what nobody waits for, half a window after it came, so that it is on the disk within one.
func (l *Log) syncLoop() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-l.wake:
		}
		timer.Reset(l.o.Window / 2)
		select {
		case <-l.stop:
			return
		case <-timer.C:
		}
		l.mu.Lock()
		l.armed = false
		l.mu.Unlock()
		l.flush()
		_ = l.sync() // it closes the log itself
	}
}

// hashLoop takes what is written into the tree, off the data path.
func (l *Log) hashLoop() {
	for {
		select {
		case <-l.stop:
			return
		case <-l.hash:
		}
		l.treeMu.Lock()
		_ = l.absorb() // it closes the log itself
		l.treeMu.Unlock()
	}
}

// sealLoop signs what is new, and tries again after a failure.
func (l *Log) sealLoop() {
	tick := time.NewTicker(l.o.CheckpointEvery)
	defer tick.Stop()
	retry := time.NewTimer(l.o.Retry)
	defer retry.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
			l.tick()
		case <-l.seal:
			retry.Reset(l.o.Retry)
		case <-retry.C:
			if l.broken() {
				l.reopen()
				retry.Reset(l.o.Retry)
			}
		}
	}
}

func (l *Log) tick() {
	now := l.o.Clock()
	l.mu.Lock()
	if l.failed != nil {
		l.mu.Unlock()
		return
	}
	if err := l.watchClock(now); err != nil {
		l.o.Logger.Error("audit log: a clock step could not be recorded", "error", err)
	}
	l.mu.Unlock()
	_ = l.sealIfNew() // it closes the log itself
}

func (l *Log) broken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed != nil && !l.failed.hard
}
