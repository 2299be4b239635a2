package grpc

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// ErrFraming is a body that is not of whole messages, or has one that is too large or cannot be decompressed.
var ErrFraming = errors.New("the body is not of messages that can be read")

const head = 5 // a flag, and the length

// Frames reads the messages of a body.
type Frames struct {
	r     io.Reader
	gzip  bool
	limit int
	head  [head]byte
	plain bytes.Buffer
}

// NewFrames reads r, whose messages may be compressed with encoding: "", identity or gzip. No message is larger than limit, also
// when it is decompressed.
func NewFrames(r io.Reader, encoding string, limit int) (*Frames, error) {
	switch encoding = strings.ToLower(strings.TrimSpace(encoding)); encoding {
	case "", "identity", "gzip":
		return &Frames{r: r, gzip: encoding == "gzip", limit: limit}, nil
	}
	return nil, fmt.Errorf("%w: unknown encoding", ErrFraming)
}

// Next returns the next message, which is the reader's own until the next call. io.EOF is the end of the body.
func (f *Frames) Next() ([]byte, error) {
	if n, err := io.ReadFull(f.r, f.head[:]); err != nil {
		if n > 0 {
			return nil, fmt.Errorf("%w: half a head", ErrFraming)
		}
		return nil, err
	}
	size := binary.BigEndian.Uint32(f.head[1:])
	if f.head[0] > 1 || f.head[0] == 1 && !f.gzip || uint64(size) > uint64(f.limit) {
		return nil, fmt.Errorf("%w: flag %d, %d bytes", ErrFraming, f.head[0], size)
	}
	var b bytes.Buffer
	b.Grow(min(int(size), 64<<10)) // what it says of its length is not believed
	if n, err := io.CopyN(&b, f.r, int64(size)); err != nil {
		return nil, fmt.Errorf("%w: %d of %d bytes", ErrFraming, n, size)
	}
	if f.head[0] == 0 {
		return b.Bytes(), nil
	}
	return f.unzip(&b)
}

func (f *Frames) unzip(b *bytes.Buffer) ([]byte, error) {
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFraming, err)
	}
	f.plain.Reset()
	n, err := io.Copy(&f.plain, io.LimitReader(z, int64(f.limit)+1))
	if err != nil || n > int64(f.limit) {
		return nil, fmt.Errorf("%w: too large, or broken inside", ErrFraming)
	}
	return f.plain.Bytes(), nil
}

// Append appends a message with its head, not compressed.
func Append(dst, message []byte) []byte {
	dst = append(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(message)))
	return append(dst, message...)
}

// Change returns a body in which every message is what change makes of it, not compressed.
func Change(body io.ReadCloser, f *Frames, change func(message []byte) ([]byte, error)) io.ReadCloser {
	return &changed{Closer: body, f: f, change: change}
}

type changed struct {
	io.Closer
	f      *Frames
	change func([]byte) ([]byte, error)
	out    []byte
	left   []byte
	err    error
}

// Read implements io.Reader.
func (c *changed) Read(b []byte) (int, error) {
	for len(c.left) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		m, err := c.next()
		if c.err = err; err == nil {
			c.out = Append(c.out[:0], m)
			c.left = c.out
		}
	}
	n := copy(b, c.left)
	c.left = c.left[n:]
	return n, nil
}

// next makes the next message. It may be read by who sends a request, where a fault in here would end the gateway.
func (c *changed) next() (m []byte, err error) {
	defer func() {
		if recover() != nil {
			m, err = nil, ErrUnreadable
		}
	}()
	if m, err = c.f.Next(); err != nil {
		return nil, err
	}
	return c.change(m)
}

// Timeout reads a grpc-timeout: at most eight digits, and a unit.
func Timeout(s string) (time.Duration, bool) {
	if len(s) < 2 || len(s) > 9 {
		return 0, false
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	units := map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond}
	unit, ok := units[s[len(s)-1]]
	if err != nil || !ok {
		return 0, false
	}
	const most = 1 << 62
	if n > uint64(most/unit) {
		return most, true
	}
	return time.Duration(n) * unit, true
}

// Escape writes a grpc-message: percent-encoded, but for plain characters.
func Escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
