package gate

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/fault"
)

// drip is a connection that gives a stream in pieces of given sizes.
type drip struct {
	net.Conn
	stream []byte
	sizes  []int
	reads  int
}

func (d *drip) Read(b []byte) (int, error) {
	if len(d.stream) == 0 {
		return 0, io.EOF
	}
	n := d.sizes[d.reads%len(d.sizes)]
	d.reads++
	n = copy(b[:min(n, len(b))], d.stream)
	d.stream = d.stream[n:]
	return n, nil
}

func (d *drip) SetReadDeadline(time.Time) error { return nil }

// TestReader compares a Reader with the plain stream, under any sequence of calls: what is unread is the stream's next
// bytes, and a range that was kept stays readable until it is let go.
func TestReader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 20_000
		stream := make([]byte, rapid.IntRange(0, 200_000).Draw(t, "length"))
		for i := range stream {
			stream[i] = byte(i * 31 >> 3)
		}
		d := &drip{stream: bytes.Clone(stream), sizes: rapid.SliceOfN(rapid.IntRange(1, 30_000), 1, 5).Draw(t, "sizes")}
		r := newReader(d, limit)
		var read int64
		keep := int64(-1)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				n := rapid.IntRange(1, limit+10).Draw(t, "fill")
				err := r.Fill(n)
				switch {
				case n > limit:
					if fault.KindOf(err) != fault.Malformed {
						t.Fatalf("a message over the limit: %v", err)
					}
				case err == nil && len(r.Unread()) < n:
					t.Fatalf("filled %d of %d", len(r.Unread()), n)
				case err != nil && !errors.Is(err, io.EOF):
					t.Fatal(err)
				}
			case 1:
				n := rapid.IntRange(0, len(r.Unread())).Draw(t, "skip")
				r.Skip(n)
				read += int64(n)
			case 2:
				if keep < 0 {
					keep = r.Offset()
					r.keep = keep
				}
			case 3:
				keep, r.keep = -1, -1
			case 4:
				n := rapid.Int64Range(0, 9000).Draw(t, "copy")
				var w bytes.Buffer
				if err := r.Copy(&w, n); err != nil && !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
				if !bytes.Equal(w.Bytes(), stream[read:read+int64(w.Len())]) {
					t.Fatal("copied something else")
				}
				read += int64(w.Len())
			}
			check(t, r, stream, read, keep)
		}
	})
}

func check(t *rapid.T, r *Reader, stream []byte, read, keep int64) {
	if r.Offset() != read {
		t.Fatalf("offset %d, want %d", r.Offset(), read)
	}
	u := r.Unread()
	if !bytes.Equal(u, stream[read:read+int64(len(u))]) {
		t.Fatal("unread bytes are not the stream's")
	}
	if keep >= 0 && !bytes.Equal(r.span(keep, read), stream[keep:read]) {
		t.Fatal("a kept range changed")
	}
	if most := 8 * bulkBuffer; keep < 0 && len(r.buf) > most {
		t.Fatalf("holds %d bytes", len(r.buf))
	}
}

// TestReaderTakesNothingForAnOversizeMessage: the limit is checked before the buffer grows.
func TestReaderTakesNothingForAnOversizeMessage(t *testing.T) {
	r := newReader(&drip{stream: make([]byte, 10), sizes: []int{10}}, 1000)
	if err := r.Fill(1 << 40); err == nil || r.buf != nil {
		t.Errorf("%d bytes are held, %v", len(r.buf), err)
	}
}

// TestWatchKeepsWhatItReads: what a client says while its action is held is there afterwards, and its leaving is noticed.
func TestWatchKeepsWhatItReads(t *testing.T) {
	near, far := net.Pipe()
	r := newReader(near, 1000)
	gone := make(chan struct{})
	stop := r.Watch(func() { close(gone) })
	if _, err := far.Write([]byte("more")); err != nil {
		t.Fatal(err)
	}
	stop()
	if string(r.Unread()) != "more" {
		t.Errorf("kept %q", r.Unread())
	}
	select {
	case <-gone:
		t.Error("stopping looks like leaving")
	default:
	}
	stop = r.Watch(func() { close(gone) })
	_ = far.Close()
	<-gone
	stop()
}

// TestReaderGrowsUnderRows: a stream that is read full grows the buffer, also where each read leaves the beginning of a
// message behind, as rows do.
func TestReaderGrowsUnderRows(t *testing.T) {
	stream := make([]byte, 4<<20)
	d := &drip{stream: stream, sizes: []int{len(stream)}}
	r := newReader(d, 1<<20)
	for range 200 {
		if err := r.Fill(len(r.Unread()) + 1); err != nil {
			break
		}
		r.Skip(len(r.Unread()) - 100) // the beginning of a row stays
	}
	if len(r.buf) < bulkBuffer {
		t.Errorf("the buffer is %d bytes after a stream of %d", len(r.buf), len(stream))
	}
}
