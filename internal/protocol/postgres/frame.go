package postgres

import (
	"bytes"
	"encoding/binary"

	"gatehouse/internal/fault"
)

// frame is one message: a type byte and a body. body is valid until the next fill of the buffer that it lies in.
type frame struct {
	kind     byte
	body     []byte
	from, to int64 // offsets in the stream, header included
}

// head is the type byte and the length.
const head = 5

// peekHead returns the type and the whole length (header included) of the message at the start of b; ok is false where b
// is shorter than a header. A length that cannot be is an error.
func peekHead(b []byte) (kind byte, size int, ok bool, err error) {
	if len(b) < head {
		return 0, 0, false, nil
	}
	n := int32(binary.BigEndian.Uint32(b[1:]))
	if n < 4 {
		return 0, 0, false, fault.New(fault.Malformed, "postgres.frame", "invalid message length")
	}
	return b[0], int(n) + 1, true, nil
}

// appendFrame appends a message.
func appendFrame(dst []byte, kind byte, body []byte) []byte {
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(body)+4))
	return append(dst, body...)
}

// openFrame appends a header whose length closeFrame fills in.
func openFrame(dst []byte, kind byte) ([]byte, int) {
	at := len(dst) + 1
	return append(dst, kind, 0, 0, 0, 0), at
}

func closeFrame(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

// scan reads a body field by field. The first field that does not fit makes it bad; what follows reads as zero.
type scan struct {
	b   []byte
	bad bool
}

func (s *scan) take(n int) []byte {
	if s.bad || n < 0 || n > len(s.b) {
		s.bad = true
		return nil
	}
	v := s.b[:n]
	s.b = s.b[n:]
	return v
}

func (s *scan) byte() byte {
	if v := s.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (s *scan) int16() int {
	if v := s.take(2); v != nil {
		return int(int16(binary.BigEndian.Uint16(v)))
	}
	return 0
}

func (s *scan) int32() int32 {
	if v := s.take(4); v != nil {
		return int32(binary.BigEndian.Uint32(v))
	}
	return 0
}

// text reads a NUL-terminated string.
func (s *scan) text() []byte {
	i := bytes.IndexByte(s.b, 0)
	if s.bad || i < 0 {
		s.bad = true
		return nil
	}
	v := s.b[:i]
	s.b = s.b[i+1:]
	return v
}

// done reports whether the body was read to its last byte and no field was missing.
func (s *scan) done() bool { return !s.bad && len(s.b) == 0 }

// count checks a number of items against the bytes that are left for them, each at least size bytes long.
func (s *scan) count(n, size int) int {
	if n < 0 || n*size > len(s.b) {
		s.bad = true
		return 0
	}
	return n
}
