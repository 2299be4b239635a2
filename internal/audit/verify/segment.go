package verify

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// The format, as docs/reference/audit-format.md says it. It is written down here a second time on purpose.
const (
	segmentMagic   = "GHAUDIT\n"
	segmentVersion = 1
	fixedHeader    = 82
	longestNode    = 64
	longestHeader  = fixedHeader + longestNode + 4
	longestBody    = 25 + 32<<20
	kindRecord     = 1
	kindErased     = 2
)

// errCut means that a segment ends, or goes bad, inside a frame.
var errCut = errors.New("the frame is cut short or fails its CRC")

// segmentHead is a segment's header; raw is what it was read from.
type segmentHead struct {
	raw        []byte
	epoch      uint32
	id         [16]byte
	epochFirst uint64
	first      uint64
	link       [32]byte
	node       string
}

func (h *segmentHead) origin() string {
	return fmt.Sprintf("gatehouse-audit/%s/%d-%x", h.node, h.epoch, h.id)
}

// record is one frame. payload and salt are good until the next one is read.
type record struct {
	offset  int64
	seq     uint64
	erased  bool
	salt    []byte
	payload []byte
	commit  [32]byte
}

// leafHash is RFC 6962's hash of the record's leaf.
func (r *record) leafHash() [32]byte {
	leaf := make([]byte, 0, 42)
	leaf = append(leaf, 0x00, 1) // RFC 6962's prefix for leaves, the leaf's version
	leaf = binary.BigEndian.AppendUint64(leaf, r.seq)
	leaf = append(leaf, r.commit[:]...)
	return sha256.Sum256(leaf)
}

// segment reads one segment's bytes. It never allocates more than the bytes that are there.
type segment struct {
	head segmentHead
	r    *bufio.Reader
	at   int64
	size int64
	crc  *crc32.Table
	body []byte
}

// newSegment reads the header of a segment of size bytes.
func newSegment(r io.Reader, size int64) (*segment, error) {
	s := &segment{r: bufio.NewReaderSize(r, 64<<10), size: size, crc: crc32.MakeTable(crc32.Castagnoli)}
	raw, err := s.r.Peek(int(min(size, longestHeader)))
	if err != nil {
		return nil, err
	}
	if len(raw) < 12 || string(raw[:8]) != segmentMagic {
		return nil, errors.New("it does not begin as a segment does")
	}
	if v := binary.BigEndian.Uint16(raw[8:]); v != segmentVersion {
		return nil, fmt.Errorf("it has format %d and this verifier knows format %d", v, segmentVersion)
	}
	n := int(binary.BigEndian.Uint16(raw[10:]))
	if n < fixedHeader+5 || n > len(raw) || int(binary.BigEndian.Uint16(raw[80:])) != n-fixedHeader-4 {
		return nil, errors.New("its header's lengths are wrong")
	}
	if crc32.Checksum(raw[:n-4], s.crc) != binary.BigEndian.Uint32(raw[n-4:]) {
		return nil, errors.New("its header fails its CRC")
	}
	h := &s.head
	h.raw = append([]byte(nil), raw[:n]...)
	h.epoch = binary.BigEndian.Uint32(raw[12:])
	copy(h.id[:], raw[16:])
	h.epochFirst = binary.BigEndian.Uint64(raw[32:])
	h.first = binary.BigEndian.Uint64(raw[40:])
	copy(h.link[:], raw[48:])
	h.node = string(h.raw[fixedHeader : n-4])
	s.at = int64(n)
	_, err = s.r.Discard(n)
	return s, err
}

// read returns the next record; io.EOF at a clean end; errCut where what follows is no whole frame.
func (s *segment) read() (record, error) {
	left := s.size - s.at
	if left == 0 {
		return record{}, io.EOF
	}
	var head [8]byte
	if left < int64(len(head)) {
		return record{}, errCut
	}
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return record{}, err
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if n > longestBody || n > left-int64(len(head)) {
		return record{}, errCut
	}
	if int64(cap(s.body)) < n {
		s.body = make([]byte, n)
	}
	s.body = s.body[:n]
	if _, err := io.ReadFull(s.r, s.body); err != nil {
		return record{}, err
	}
	if crc32.Update(crc32.Checksum(head[:4], s.crc), s.crc, s.body) != binary.BigEndian.Uint32(head[4:]) {
		return record{}, errCut
	}
	r, err := s.parse()
	r.offset = s.at
	if err == nil {
		s.at += int64(len(head)) + n
	}
	return r, err
}

func (s *segment) parse() (record, error) {
	b := s.body
	if len(b) >= 25 && b[0] == kindRecord {
		r := record{seq: binary.BigEndian.Uint64(b[1:]), salt: b[9:25], payload: b[25:]}
		h := sha256.New()
		h.Write([]byte("gatehouse audit commitment v1\n"))
		h.Write(r.salt)
		h.Write(r.payload)
		h.Sum(r.commit[:0])
		return r, nil
	}
	if len(b) == 41 && b[0] == kindErased {
		return record{seq: binary.BigEndian.Uint64(b[1:]), erased: true, commit: [32]byte(b[9:])}, nil
	}
	return record{}, errors.New("the record is of a kind that this verifier does not know")
}

// linkAfter is what the header of the segment behind must say.
func linkAfter(raw []byte, last uint64, commit [32]byte) [32]byte {
	b := append([]byte("gatehouse audit segment link v1\n"), raw...)
	b = binary.BigEndian.AppendUint64(b, last)
	return sha256.Sum256(append(b, commit[:]...))
}
