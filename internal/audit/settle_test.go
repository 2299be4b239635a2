package audit

import (
	"io/fs"
	"strings"
	"testing"
	"time"
)

// syncCounter is the operating system's file system, and counts how often a segment is synced.
type syncCounter struct {
	osFS
	syncs int
}

type countedFile struct {
	File
	c *syncCounter
}

func (c *syncCounter) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := c.osFS.OpenFile(name, flag, perm)
	if err != nil || !strings.HasSuffix(name, segmentExt) {
		return f, err
	}
	return countedFile{f, c}, nil
}

func (f countedFile) Sync() error {
	f.c.syncs++
	return f.File.Sync()
}

// TestWhatTheTreeHasIsSyncedBeforeItIsSigned stops a writer where its records are in the file and in the tree, and nobody
// has been told: a checkpoint made at that moment covers them, so the fsync before it must too.
func TestWhatTheTreeHasIsSyncedBeforeItIsSigned(t *testing.T) {
	o := options(t)
	disk := &syncCounter{}
	o.FS, o.Window, o.CheckpointEvery = disk, time.Hour, time.Hour
	l := mustOpen(t, o)
	if err := l.Barrier(mustAppend(t, l, intent("s", 1))); err != nil {
		t.Fatal(err)
	}
	if err := l.sync(); err != nil {
		t.Fatal(err)
	}
	last := mustAppend(t, l, outcome("s", 1))
	l.mu.Lock()
	l.writing = true
	batch := l.buf
	l.buf, l.spare = l.spare[:0], nil
	l.mu.Unlock()
	if err := l.write(batch, last); err != nil {
		t.Fatal(err)
	}
	before := disk.syncs
	s, err := l.snapshot()
	if err == nil {
		err = l.sync()
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := l.first + s.size - 1; got != last {
		t.Fatalf("the tree ends at record %d and the file at %d", got, last)
	}
	if disk.syncs == before {
		t.Error("a checkpoint would cover a record that no fsync has covered")
	}
	if lag := l.lag(); lag != 0 {
		t.Errorf("all is synced and the oldest unsynced write is %s old", lag)
	}
	l.mu.Lock()
	l.wrote(batch, last, nil)
	l.writing = false
	l.cond.Broadcast()
	l.mu.Unlock()
	mustClose(t, l)
}

// TestTheFeedKeepsFramesWholeAndInOrder also for a frame that is longer than a chunk.
func TestTheFeedKeepsFramesWholeAndInOrder(t *testing.T) {
	var f feed
	for range 3 { // the second time in chunks that were used before
		var want []byte
		for i, n := range []int{10, feedChunk - 10, 1, feedChunk + 1, 7, feedChunk, feedChunk / 2, feedChunk/2 + 1} {
			b := make([]byte, n)
			for j := range b {
				b[j] = byte(i + 1)
			}
			f.add(b)
			want = append(want, b...)
		}
		if f.size != len(want) {
			t.Fatalf("%d bytes of %d", f.size, len(want))
		}
		chunks := f.take()
		var got []byte
		for i, c := range chunks {
			if i > 0 && len(got) > 0 && got[len(got)-1] == c[0] {
				t.Errorf("frame %d lies in two chunks", c[0])
			}
			got = append(got, c...)
		}
		if string(got) != string(want) {
			t.Error("not what was added")
		}
		f.recycle(chunks)
		if f.size != 0 || len(f.take()) != 0 || len(f.spare) > feedSpare {
			t.Errorf("%d bytes and %d spare chunks are left", f.size, len(f.spare))
		}
	}
}
