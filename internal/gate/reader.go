package gate

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"gatehouse/internal/fault"
)

// firstBuffer is what a reader starts with: enough for nearly every statement, and little for a client that says nothing.
const firstBuffer = 2 << 10

// bulkBuffer is what a reader grows to, in steps, when it is read full: large results then cost fewer system calls.
const (
	bulkBuffer = 64 << 10
	bulkStep   = 8
)

// Reader is one side's receive buffer. Offsets count the bytes of the stream from its start, so that a range names bytes
// for as long as they are buffered.
type Reader struct {
	conn net.Conn
	buf  []byte
	r, w int   // unread bytes are buf[r:w]
	base int64 // stream offset of buf[0]
	keep int64 // bytes from this offset on must stay although they were read; -1 where none must
	max  int   // the largest message that is held
	full bool  // the last read filled the buffer
	due  time.Time

	waits  atomic.Uint64 // odd while a wait lasts longer than patience
	nudged atomic.Bool   // somebody wants whoever waits to look around
}

func newReader(conn net.Conn, limit int) *Reader {
	return &Reader{conn: conn, max: limit, keep: -1}
}

// Unread returns the bytes received and not yet skipped. They are valid until the next Fill.
func (b *Reader) Unread() []byte { return b.buf[b.r:b.w] }

// Offset returns the stream offset of the first unread byte.
func (b *Reader) Offset() int64 { return b.base + int64(b.r) }

// Skip marks n unread bytes as read.
func (b *Reader) Skip(n int) { b.r += n }

// span returns the buffered bytes of the range, or nil where they are not all there.
func (b *Reader) span(from, to int64) []byte {
	if from < b.base || to > b.base+int64(b.w) || from > to {
		return nil
	}
	return b.buf[from-b.base : to-b.base]
}

// Fill reads at least once, and until n bytes are unread. It never holds more than the message limit and a buffer.
func (b *Reader) Fill(n int) error {
	if n > b.max {
		return fault.New(fault.Malformed, "gate.Reader", "a message of %d bytes is over the limit of %d: raise limits.max_message or send less at a time", n, b.max)
	}
	b.room(n)
	for first := true; first || b.w-b.r < n; first = false {
		m, err := b.conn.Read(b.buf[b.w:])
		b.w += m
		b.full = b.w == len(b.buf)
		if err != nil && m == 0 {
			return err
		}
	}
	return nil
}

// spareBytes is the room that a read gets at least: a read into none would return at once, and for ever.
const spareBytes = 512

// room makes space for n unread bytes and at least one more read.
func (b *Reader) room(n int) {
	low := b.r
	if b.keep >= 0 {
		low = int(b.keep - b.base)
	}
	full := b.full // more is coming, most likely
	b.full = false
	if low == b.w {
		b.base += int64(low)
		b.r, b.w = b.r-low, 0
		low = 0
	}
	need := n + (b.r - low)
	size := len(b.buf)
	if size == 0 {
		size = firstBuffer
	}
	if full && size < bulkBuffer {
		size = min(bulkStep*size, bulkBuffer)
	}
	for size < max(need, b.w-low)+spareBytes {
		size *= 2
	}
	if size > len(b.buf) {
		next := make([]byte, size)
		copy(next, b.buf[low:b.w])
		b.buf = next
	} else if low > 0 && (len(b.buf)-b.w < spareBytes || b.r+n > len(b.buf)) {
		copy(b.buf, b.buf[low:b.w])
	} else {
		return
	}
	b.base += int64(low)
	b.r -= low
	b.w -= low
}

// Copy moves n bytes that follow in the stream to w without holding them: what is buffered first, then as it arrives.
func (b *Reader) Copy(w io.Writer, n int64) error {
	for n > 0 {
		if b.r == b.w {
			if err := b.Fill(1); err != nil {
				return err
			}
		}
		k := min(int64(b.w-b.r), n)
		if _, err := w.Write(b.buf[b.r : b.r+int(k)]); err != nil {
			return err
		}
		b.r += int(k)
		n -= k
	}
	return nil
}

// patience is how long a session waits on one side alone before it also listens to the other.
const patience = 40 * time.Millisecond

var past = time.Unix(1, 0)

// fillSoon is Fill(1) that gives up after about patience, with os.ErrDeadlineExceeded. Arming a timer costs more than
// looking at the clock, so it is left armed from one call to the next.
func (b *Reader) fillSoon(ctx context.Context, now time.Time) error {
	if b.due.Sub(now) < patience/4 {
		b.due = now.Add(patience)
		if err := b.conn.SetReadDeadline(b.due); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return b.Fill(1)
}

// disarm lets reads wait for ever again.
func (b *Reader) disarm(ctx context.Context) error {
	b.due = time.Time{}
	if err := b.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// Await waits until one of two sides has something to read, or has ended. It blocks on want alone at first, because in
// request and answer the other has nothing to say; only a wait that lasts costs a second goroutine, for as long as it
// lasts. It returns whether other is the one that has news; the reader that ended has its error returned.
func Await(ctx context.Context, want, other *Reader, now time.Time) (bool, error) {
	err := want.fillSoon(ctx, now)
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false, cause(ctx, err)
	}
	want.waits.Add(1)
	defer want.waits.Add(1)
	if err := errors.Join(want.disarm(ctx), other.disarm(ctx)); err != nil {
		return false, err
	}
	if want.nudged.Swap(false) { // asked after the timers were cleared: a nudge from here on sets them again
		return false, os.ErrDeadlineExceeded
	}
	news := make(chan error, 1)
	go func() {
		err := other.Fill(1)
		_ = want.conn.SetReadDeadline(past) // wakes the other half of this wait
		news <- err
	}()
	err = want.Fill(1)
	want.nudged.Store(false)
	woken := errors.Is(err, os.ErrDeadlineExceeded)
	_ = other.conn.SetReadDeadline(past)
	otherErr := <-news
	stopped := errors.Is(otherErr, os.ErrDeadlineExceeded)
	want.due, other.due = past, past // both timers have fired: arm them anew
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case err != nil && !woken:
		return false, err
	case !woken && stopped:
		return false, other.disarm(ctx)
	default:
		_ = want.disarm(ctx)
		return true, cause(ctx, errors.Join(otherErr, other.disarm(ctx)))
	}
}

// Await waits until b has something to read, where there is no other side. A nudge ends it with os.ErrDeadlineExceeded.
func (b *Reader) Await(ctx context.Context) error {
	b.waits.Add(1)
	defer b.waits.Add(1)
	if err := b.disarm(ctx); err != nil {
		return err
	}
	if b.nudged.Swap(false) { // asked after the timer was cleared: a nudge from here on sets it again
		return os.ErrDeadlineExceeded
	}
	err := b.Fill(1)
	b.nudged.Store(false)
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
		b.due = past
	}
	return cause(ctx, err)
}

// Watch reads into b's spare room in the background until stop is called, and calls gone if the stream ends. It bounds
// what it takes in by the message limit.
func (b *Reader) Watch(gone func()) (stop func()) {
	done := make(chan struct{})
	var stopped atomic.Bool
	b.due = time.Time{}
	_ = b.conn.SetReadDeadline(time.Time{})
	go func() {
		defer close(done)
		for b.w-b.r < b.max/2 {
			err := b.Fill(1)
			switch {
			case err == nil:
			case !errors.Is(err, os.ErrDeadlineExceeded):
				gone()
				return
			case stopped.Load():
				return
			default: // nudged: it goes on watching
				_ = b.conn.SetReadDeadline(time.Time{})
				if stopped.Load() {
					return
				}
			}
		}
	}()
	return func() {
		stopped.Store(true)
		_ = b.conn.SetReadDeadline(past)
		<-done
		b.due = past
		_ = b.conn.SetReadDeadline(time.Time{})
		b.due = time.Time{}
	}
}

// cause prefers the reason why ctx ended over the deadline error by which a read noticed it.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
