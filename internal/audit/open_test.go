package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// fill makes a closed log of n records and returns its options and its only segment.
func fill(t *testing.T, n uint64) (Options, string) {
	t.Helper()
	o := options(t)
	l := mustOpen(t, o)
	for i := range n {
		mustAppend(t, l, intent("s", i+1))
	}
	mustClose(t, l)
	return o, segmentPath(epochDir(o.Dir, 1), 1)
}

func content(t *testing.T, dir string) [sha256.Size]byte {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		h.Write([]byte(path))
		h.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// TestOpenRefusesAndChangesNothing spoils a log in ways that Open must not go on from.
func TestOpenRefusesAndChangesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, o *Options, segment string)
		says  string
	}{
		"signed record cut": {func(t *testing.T, _ *Options, segment string) {
			info, err := os.Stat(segment)
			if err == nil {
				err = os.Truncate(segment, info.Size()-1)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, "verify"},
		"newer format": {func(t *testing.T, _ *Options, segment string) {
			edit(t, segment, func(b []byte) {
				b[9] = 2
				n := binary.BigEndian.Uint16(b[10:])
				binary.BigEndian.PutUint32(b[n-4:], crc32.Checksum(b[:n-4], castagnoli()))
			})
		}, "format 2"},
		"damaged header":  {func(t *testing.T, _ *Options, s string) { edit(t, s, func(b []byte) { b[20] ^= 1 }) }, "CRC"},
		"another's key":   {func(t *testing.T, o *Options, _ string) { o.Signer, _ = newKey(t, "test-key") }, "not signed by this gateway's key"},
		"another's name":  {func(_ *testing.T, o *Options, _ string) { o.Node = "n2" }, "belongs to node"},
		"segment missing": {func(t *testing.T, _ *Options, s string) { remove(t, s) }, "segment"},
		"history missing": {func(t *testing.T, o *Options, _ string) { remove(t, filepath.Join(epochDir(o.Dir, 1), historyFile)) }, "no history"},
		"bad node":        {func(_ *testing.T, o *Options, _ string) { o.Node = "../x" }, "node's name"},
		"bad mode":        {func(_ *testing.T, o *Options, _ string) { o.Mode = "often" }, "neither fast nor strict"},
	} {
		t.Run(name, func(t *testing.T) {
			o, segment := fill(t, 20)
			c.spoil(t, &o, segment)
			before := content(t, o.Dir)
			l, err := Open(o)
			if err == nil {
				_ = l.Close(context.Background())
				if name == "segment missing" {
					t.Fatal("a log without its segments was begun anew")
				}
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v; want it to say %q", err, c.says)
			}
			if content(t, o.Dir) != before {
				t.Error("something was changed")
			}
		})
	}
}

func edit(t *testing.T, path string, change func([]byte)) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	change(b)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyOneProcessHasTheLog(t *testing.T) {
	o := options(t)
	l := mustOpen(t, o)
	if _, err := Open(o); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second writer was let in: %v", err)
	}
	if err := BeginEpoch(o.Dir, nil); fault.KindOf(err) != fault.Conflict {
		t.Errorf("an epoch was begun under a writer: %v", err)
	}
	mustClose(t, l)
	mustClose(t, mustOpen(t, o))
}

// TestATornTailIsCutKeptAndRecorded cuts the unsigned part of a log at every byte.
func TestATornTailIsCutKeptAndRecorded(t *testing.T) {
	o := options(t)
	o.CheckpointEvery = time.Hour
	l := mustOpen(t, o)
	mustAppend(t, l, intent("s", 1))
	if _, err := l.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	segment := segmentPath(epochDir(o.Dir, 1), 1)
	signed, err := os.Stat(segment)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Barrier(mustAppend(t, l, intent("s", 2))); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	for n := signed.Size(); n <= int64(len(data)); n += 5 {
		lost := o
		lost.Dir = filepath.Join(t.TempDir(), "crashed")
		if err := os.CopyFS(lost.Dir, os.DirFS(o.Dir)); err != nil {
			t.Fatal(err)
		}
		path := segmentPath(epochDir(lost.Dir, 1), 1)
		if err := os.WriteFile(path, data[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		mustClose(t, mustOpen(t, lost))
		records := readAll(t, lost.Dir)
		last := records[len(records)-1].Event
		torn := n > signed.Size() && n < int64(len(data))
		if (last.Kind == access.EventLogRepaired) != torn {
			t.Errorf("cut at %d of %d: the last record is %s", n, len(data), last.Kind)
		}
		if !torn {
			continue
		}
		kept, err := os.ReadFile(filepath.Join(filepath.Dir(path), last.Detail["kept"]))
		if err != nil || !bytes.Equal(kept, data[signed.Size():n]) {
			t.Errorf("cut at %d: what was cut is not kept: %v", n, err)
		}
	}
}

// TestAClockStepIsAnEvent steps the wall clock against the monotonic one.
func TestAClockStepIsAnEvent(t *testing.T) {
	o := options(t)
	wall, uptime := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), time.Minute
	o.Clock = func() time.Time { return wall }
	o.Elapsed = func() time.Duration { return uptime }
	o.CheckpointEvery, o.Window = time.Hour, time.Hour
	l := mustOpen(t, o)
	move := func(w, m time.Duration) {
		wall, uptime = wall.Add(w), uptime+m
		mustAppend(t, l, intent("s", uptimeNumber(uptime)))
	}
	move(time.Second, time.Second)
	move(500*time.Millisecond, 0)              // slewed: not a step
	move(700*time.Millisecond, time.Hour/2)    // the wall stood still: a step back
	move(time.Hour, time.Second)               // a step ahead
	move(3*time.Millisecond, time.Duration(0)) // and on
	mustClose(t, l)
	var steps []string
	for i, r := range readAll(t, o.Dir) {
		if r.Event.Kind == access.EventClockStepped {
			steps = append(steps, r.Event.Detail["step"])
			if i == 0 {
				t.Error("the step stands before everything")
			}
		}
	}
	if strings.Join(steps, " ") != "-29m59.3s 59m59s" {
		t.Errorf("steps %q", steps)
	}
}

func uptimeNumber(d time.Duration) uint64 { return uint64(d) }

// TestOutcomesReachTheFileWithoutABarrier: what nobody waits for is written and signed in time.
func TestOutcomesReachTheFileWithoutABarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t)
		l, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, l, outcome("s", 1))
		time.Sleep(51 * time.Millisecond) // the bubble's clock: half a window and a little
		synctest.Wait()
		if s := l.Status(); s.Unsynced != 0 || s.Unsigned != 1 {
			t.Errorf("after half a window: %+v", s)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if s := l.Status(); s.Unsigned != 0 || s.Age > time.Second {
			t.Errorf("after a second: %+v", s)
		}
		mustClose(t, l)
	})
}

func TestAClosedLogRefuses(t *testing.T) {
	l := mustOpen(t, options(t))
	seq := mustAppend(t, l, intent("s", 1))
	mustClose(t, l)
	if err := l.Barrier(seq); err != nil {
		t.Errorf("what was appended before is not durable: %v", err)
	}
	if _, err := l.Append(intent("s", 2)); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a closed log took a record: %v", err)
	}
	if err := l.Barrier(seq + 1); err == nil {
		t.Error("Barrier vouched for a record that was never appended")
	}
	if l.Health() == nil {
		t.Error("a closed log is healthy")
	}
}

func TestARecordBeyondTheLimitIsRefused(t *testing.T) {
	l := mustOpen(t, options(t))
	if _, err := l.Append(&access.Event{Text: strings.Repeat("x", MaxPayload)}); fault.KindOf(err) != fault.Malformed {
		t.Errorf("%v", err)
	}
	if seq := mustAppend(t, l, intent("s", 1)); seq != 1 {
		t.Errorf("the refused record took a sequence: the next is %d", seq)
	}
}

// drained is randomness that ends.
type drained struct{ left int }

func (d *drained) Read(b []byte) (int, error) {
	if d.left < len(b) {
		return 0, errors.New("no more randomness")
	}
	d.left -= len(b)
	return len(b), nil
}

func TestNoRandomnessNoRecord(t *testing.T) {
	o := options(t)
	o.Rand = &drained{16 + saltBatch} // the epoch's id and one batch of salts
	l := mustOpen(t, o)
	for range saltBatch / saltSize {
		mustAppend(t, l, outcome("s", 1))
	}
	if _, err := l.Append(outcome("s", 1)); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a record without a salt: %v", err)
	}
}
