package audit_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/audit/verify"
	"gatehouse/internal/fault"
)

// brokenDisk is a real disk of which one operation fails, from the nth time on and until it is mended.
type brokenDisk struct {
	op   string // open, write, truncate, sync, rename, syncdir
	from int
	err  error

	mu     sync.Mutex
	seen   int
	failed int
	mended bool
}

func (d *brokenDisk) try(op string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if op != d.op || d.mended {
		return nil
	}
	d.seen++
	if d.seen < d.from {
		return nil
	}
	d.failed++
	return d.err
}

func (d *brokenDisk) mend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mended = true
}

func (d *brokenDisk) failures() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

func (d *brokenDisk) OpenFile(name string, flag int, perm fs.FileMode) (audit.File, error) {
	if err := d.try("open"); err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &brokenFile{d, f}, nil
}

func (d *brokenDisk) Rename(from, to string) error {
	if err := d.try("rename"); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func (d *brokenDisk) Remove(name string) error { return os.Remove(name) }

func (d *brokenDisk) SyncDir(name string) error {
	if err := d.try("syncdir"); err != nil {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return f.Sync()
}

type brokenFile struct {
	d *brokenDisk
	*os.File
}

// WriteAt fails as a full disk does: half of it is written.
func (f *brokenFile) WriteAt(b []byte, at int64) (int, error) {
	if err := f.d.try("write"); err != nil {
		n, _ := f.File.WriteAt(b[:len(b)/2], at)
		return n, err
	}
	return f.File.WriteAt(b, at)
}

func (f *brokenFile) Truncate(size int64) error {
	if err := f.d.try("truncate"); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *brokenFile) Sync() error {
	if err := f.d.try("sync"); err != nil {
		return err
	}
	return f.File.Sync()
}

// told is a logger's handler that reports when the log says that it is open again.
type told struct {
	slog.Handler
	open chan struct{}
}

func (h told) Enabled(context.Context, slog.Level) bool { return true }

func (h told) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "open again") {
		select {
		case h.open <- struct{}{}:
		default:
		}
	}
	return nil
}

func key(t testing.TB) (note.Signer, string) {
	t.Helper()
	skey, public, err := note.GenerateKey(rand.Reader, "k1")
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return s, public
}

func act(n uint64) *access.Event {
	return &access.Event{Kind: access.EventActionIntended, Session: "s", Action: n, Text: strings.Repeat("x", 200)}
}

// work is a gateway's day: it opens the log, and asks for the record of actions until they are 20 or the log refuses.
// It returns the actions that were acknowledged.
func work(l *audit.Log, from uint64) (acked []uint64, err error) {
	for n := from; n < from+20; n++ {
		seq, err := l.Append(act(n))
		if err == nil {
			err = l.Barrier(seq)
		}
		if err != nil {
			return acked, err
		}
		acked = append(acked, n)
		if n%10 == 0 {
			if _, err := l.Checkpoint(context.Background()); err != nil {
				return acked, err
			}
		}
	}
	return acked, nil
}

// TestEveryFileOperationMayFail fails each kind of file operation, each time that it happens in turn. Whatever fails:
// the caller hears of it as fault.Unavailable, nothing that was acknowledged is lost, the log opens by itself when the
// disk is well (or, after an fsync, when it is opened anew), and it verifies.
func TestEveryFileOperationMayFail(t *testing.T) {
	for _, op := range []string{"open", "write", "truncate", "sync", "rename", "syncdir"} {
		for _, mode := range []audit.Mode{audit.ModeFast, audit.ModeStrict} {
			t.Run(op+" "+string(mode), func(t *testing.T) {
				n := 1
				for ; failAt(t, op, mode, n); n++ {
					if n > 400 {
						t.Fatal("there is no end to it")
					}
				}
				if n == 1 && op != "truncate" {
					t.Error("the operation never happened")
				}
				t.Log(n-1, "failures")
			})
		}
	}
}

// failAt returns whether the operation happened that often.
func failAt(t *testing.T, op string, mode audit.Mode, n int) bool {
	t.Helper()
	disk := &brokenDisk{op: op, from: n, err: syscall.ENOSPC}
	signer, public := key(t)
	opened := make(chan struct{}, 1)
	o := audit.Options{
		Dir: filepath.Join(t.TempDir(), "audit"), Mode: mode, Signer: signer, Node: "n1", Clock: time.Now, Rand: rand.Reader,
		SegmentBytes: 3 << 10, CheckpointEvery: time.Hour, Retry: time.Millisecond, Window: time.Hour, FS: disk,
		Logger: slog.New(told{open: opened}),
	}
	l, err := audit.Open(o)
	if err != nil {
		if disk.failures() == 0 || fault.KindOf(err) != fault.Unavailable {
			t.Fatalf("%s %d: Open: %v", op, n, err)
		}
		disk.mend()
		if l, err = audit.Open(o); err != nil {
			t.Fatalf("%s %d: Open once the disk is well: %v", op, n, err)
		}
	}
	acked, err := work(l, 1)
	happened := disk.failures() > 0
	if err != nil {
		if !happened || fault.KindOf(err) != fault.Unavailable {
			t.Fatalf("%s %d: %v", op, n, err)
		}
		if herr := l.Health(); fault.KindOf(herr) != fault.Unavailable {
			t.Fatalf("%s %d: Health says %v while the log is broken", op, n, herr)
		}
		l = heal(t, l, o, disk, opened)
	}
	more, err := work(l, 1000)
	if err != nil && (disk.failures() == 0 || happened) {
		t.Fatalf("%s %d: after it was mended: %v", op, n, err)
	}
	disk.mend()
	if err := l.Close(context.Background()); err != nil && fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("%s %d: Close: %v", op, n, err)
	}
	if err == nil {
		inspect(t, fmt.Sprint(op, " ", n), o.Dir, public, append(acked, more...))
	}
	return happened
}

// heal mends the disk and waits until the log is open again, or opens it anew where it says that only that helps.
func heal(t *testing.T, l *audit.Log, o audit.Options, disk *brokenDisk, opened chan struct{}) *audit.Log {
	t.Helper()
	disk.mend()
	if say, _ := fault.Say(l.Health()); l.Health() != nil && strings.Contains(say, "restart the gateway") {
		_ = l.Close(context.Background())
		l, err := audit.Open(o)
		if err != nil {
			t.Fatal("opened anew: ", err)
		}
		return l
	}
	<-opened
	return l
}

// inspect checks that every acknowledged action is there once, and that the log verifies.
func inspect(t *testing.T, what, dir, public string, acked []uint64) {
	t.Helper()
	seen := make(map[uint64]int)
	for r, err := range audit.Read(dir, 0) {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if r.Event.Kind == access.EventActionIntended {
			seen[r.Event.Action]++
		}
	}
	for _, n := range acked {
		if seen[n] != 1 {
			t.Fatalf("%s: action %d was acknowledged and is there %d times", what, n, seen[n])
		}
	}
	r, err := verify.Dir(dir, []string{public}, verify.Options{})
	if err != nil || !r.OK || r.Unsigned != 0 {
		t.Fatalf("%s: %v %s", what, err, r)
	}
}

func TestWhatAFullDiskSays(t *testing.T) {
	for _, c := range []struct {
		err  error
		says string
	}{
		{syscall.ENOSPC, "disk full at "},
		{syscall.EDQUOT, "disk full at "},
		{syscall.EROFS, "read-only"},
		{syscall.EIO, "the disk failed"},
	} {
		disk := &brokenDisk{op: "write", from: 2, err: c.err} // the first write is the segment's header
		signer, _ := key(t)
		l, err := audit.Open(audit.Options{
			Dir: filepath.Join(t.TempDir(), "audit"), Signer: signer, Node: "n1", Clock: time.Now, Rand: rand.Reader, FS: disk, Retry: time.Hour,
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = work(l, 1)
		say, _ := fault.Say(err)
		if fault.KindOf(err) != fault.Unavailable || !strings.Contains(say, c.says) || !strings.Contains(say, "opens by itself") || !errors.Is(err, c.err) {
			t.Errorf("%v: %v says %q", c.err, err, say)
		}
		if _, err := l.Append(act(1)); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%v: a broken log took a record: %v", c.err, err)
		}
		if l.Status().Error == "" {
			t.Errorf("%v: the status says nothing", c.err)
		}
		disk.mend()
		_ = l.Close(context.Background())
	}
}

// TestAfterAFailedSyncNothingIsSigned: the next fsync may succeed and mean nothing.
func TestAfterAFailedSyncNothingIsSigned(t *testing.T) {
	disk := &brokenDisk{op: "sync", from: 2, err: syscall.EIO} // the first is the segment's header
	signer, public := key(t)
	o := audit.Options{
		Dir: filepath.Join(t.TempDir(), "audit"), Signer: signer, Node: "n1", Clock: time.Now, Rand: rand.Reader, FS: disk,
		Retry: time.Millisecond, Window: time.Hour, CheckpointEvery: time.Hour,
	}
	l, err := audit.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	seq, err := l.Append(act(1))
	if err == nil {
		err = l.Barrier(seq)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Checkpoint(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("the failed fsync: %v", err)
	}
	disk.mend()
	if _, err := l.Checkpoint(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("signed after a failed fsync: %v", err)
	}
	if err := l.Close(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("closed as if nothing had been: %v", err)
	}
	if r, err := verify.Dir(o.Dir, []string{public}, verify.Options{}); err != nil || r.Signed != 0 {
		t.Errorf("%v %s", err, r)
	}
	if l, err = audit.Open(o); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
	inspect(t, "opened anew", o.Dir, public, []uint64{1})
}

// watched is a disk that writes down what happens to segments.
type watched struct {
	brokenDisk
	mu  sync.Mutex
	log []string
}

func (w *watched) OpenFile(name string, flag int, perm fs.FileMode) (audit.File, error) {
	f, err := w.brokenDisk.OpenFile(name, flag, perm)
	if err != nil || !strings.HasSuffix(name, ".seg") {
		return f, err
	}
	return &watchedFile{f, w}, nil
}

func (w *watched) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, what)
}

type watchedFile struct {
	audit.File
	w *watched
}

func (f *watchedFile) WriteAt(b []byte, at int64) (int, error) {
	f.w.note("write")
	return f.File.WriteAt(b, at)
}

func (f *watchedFile) Sync() error {
	f.w.note("sync")
	return f.File.Sync()
}

// TestASlowDiskHoldsCallersToTheWindow: where the fsync is late by more than the window, no further record is
// acknowledged before it.
func TestASlowDiskHoldsCallersToTheWindow(t *testing.T) {
	disk := &watched{}
	signer, _ := key(t)
	uptime := time.Second
	l, err := audit.Open(audit.Options{
		Dir: filepath.Join(t.TempDir(), "audit"), Signer: signer, Node: "n1", Clock: time.Now, Rand: rand.Reader, FS: disk,
		Elapsed: func() time.Duration { return uptime }, Window: time.Hour, CheckpointEvery: 10 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	record := func(n uint64) {
		t.Helper()
		seq, err := l.Append(act(n))
		if err == nil {
			err = l.Barrier(seq)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	record(1)
	uptime += time.Hour
	record(2) // just within
	if err := l.Health(); err != nil {
		t.Error("within the window: ", err)
	}
	uptime += 6 * time.Second
	if err := l.Health(); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("the disk is late and Health says %v", err)
	}
	record(3)
	if got := strings.Join(disk.log, " "); !strings.HasPrefix(got, "write ") || !strings.HasSuffix(got, "sync write") {
		t.Errorf("what happened: %s", got)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
