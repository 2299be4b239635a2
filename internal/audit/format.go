package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"gatehouse/internal/fault"
)

// FormatVersion is the version of the segment format that this package writes. A log of a newer version is refused.
const FormatVersion = 1

// MaxPayload is the longest record's payload, in bytes. An event that encodes to more is refused.
const MaxPayload = 32 << 20

// The layout of a segment's header and of a frame; docs/reference/audit-format.md draws them.
const (
	magic          = "GHAUDIT\n"
	headerFixed    = 82 // up to the node's name
	maxNode        = 64
	maxHeader      = headerFixed + maxNode + 4
	frameHead      = 8 // length, CRC
	saltSize       = 16
	recordHead     = 1 + 8 + saltSize // type, sequence, salt
	erasedBody     = 1 + 8 + sha256.Size
	maxBody        = recordHead + MaxPayload
	typeRecord     = 1
	typeErased     = 2
	leafVersion    = 1
	leafSize       = 1 + 8 + sha256.Size
	commitmentInfo = "gatehouse audit commitment v1\n"
	linkInfo       = "gatehouse audit segment link v1\n"
)

// castagnoli returns CRC-32C's table (RFC 3720 appendix B.4); the library keeps it, so that this costs nothing.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// header is the head of a segment.
type header struct {
	epoch      uint32
	epochID    [16]byte
	epochFirst uint64
	first      uint64
	link       [sha256.Size]byte
	node       string
}

func (h header) append(b []byte) []byte {
	start := len(b)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint16(b, FormatVersion)
	b = binary.BigEndian.AppendUint16(b, uint16(headerFixed+len(h.node)+4))
	b = binary.BigEndian.AppendUint32(b, h.epoch)
	b = append(b, h.epochID[:]...)
	b = binary.BigEndian.AppendUint64(b, h.epochFirst)
	b = binary.BigEndian.AppendUint64(b, h.first)
	b = append(b, h.link[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.node)))
	b = append(b, h.node...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli()))
}

func (h header) size() int64 { return int64(headerFixed + len(h.node) + 4) }

// origin is the first line of the epoch's checkpoints: no two epochs anywhere share it, as the id is random.
func (h header) origin() string {
	return fmt.Sprintf("gatehouse-audit/%s/%d-%x", h.node, h.epoch, h.epochID)
}

// parseHeader reads a header from the beginning of a segment.
func parseHeader(b []byte) (header, error) {
	const op = "audit.parseHeader"
	if len(b) < 12 || string(b[:8]) != magic {
		return header{}, fault.New(fault.Internal, op, "not a segment of an audit log")
	}
	if v := binary.BigEndian.Uint16(b[8:]); v != FormatVersion {
		return header{}, fault.New(fault.Conflict, op, "the audit log has format %d and this gateway writes format %d: start the version of the gateway that wrote it", v, FormatVersion)
	}
	n := int(binary.BigEndian.Uint16(b[10:]))
	if n < headerFixed+4 || n > maxHeader || n > len(b) {
		return header{}, fault.New(fault.Internal, op, "segment header of %d bytes", n)
	}
	if binary.BigEndian.Uint32(b[n-4:]) != crc32.Checksum(b[:n-4], castagnoli()) {
		return header{}, fault.New(fault.Internal, op, "segment header fails its CRC")
	}
	if int(binary.BigEndian.Uint16(b[80:])) != n-headerFixed-4 {
		return header{}, fault.New(fault.Internal, op, "segment header's lengths disagree")
	}
	h := header{
		epoch:      binary.BigEndian.Uint32(b[12:]),
		epochFirst: binary.BigEndian.Uint64(b[32:]),
		first:      binary.BigEndian.Uint64(b[40:]),
		node:       string(b[headerFixed : n-4]),
	}
	copy(h.epochID[:], b[16:])
	copy(h.link[:], b[48:])
	return h, nil
}

// linkOf ties a segment to the one before it: its header, its last record's sequence and commitment. It is over the
// commitment so that erasing a payload leaves it standing.
func linkOf(prev header, last uint64, commitment [sha256.Size]byte) [sha256.Size]byte {
	b := make([]byte, 0, len(linkInfo)+maxHeader+8+sha256.Size)
	b = append(b, linkInfo...)
	b = prev.append(b)
	b = binary.BigEndian.AppendUint64(b, last)
	b = append(b, commitment[:]...)
	return sha256.Sum256(b)
}

// appendFrame adds one record's frame to b. It does not allocate where b has room.
func appendFrame(b []byte, seq uint64, salt, payload []byte) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(recordHead+len(payload)))
	b = append(b, 0, 0, 0, 0, typeRecord)
	b = binary.BigEndian.AppendUint64(b, seq)
	b = append(b, salt...)
	b = append(b, payload...)
	binary.BigEndian.PutUint32(b[start+4:], frameCRC(b[start:start+4], b[start+frameHead:]))
	return b
}

func frameCRC(length, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(length, castagnoli()), castagnoli(), body)
}

// frame is one parsed record; its slices alias what it was parsed from.
type frame struct {
	seq     uint64
	erased  bool
	salt    []byte // of a record that is not erased
	payload []byte
	commit  [sha256.Size]byte // of an erased record
}

// commitment returns what the tree holds of the record: SHA-256 over domain, salt and payload.
func (f frame) commitment(h *hasher) [sha256.Size]byte {
	if f.erased {
		return f.commit
	}
	return h.commitment(f.salt, f.payload)
}

// parseBody reads a frame's body, whose CRC has been checked.
func parseBody(body []byte) (frame, error) {
	const op = "audit.parseBody"
	if len(body) < 9 {
		return frame{}, fault.New(fault.Internal, op, "record of %d bytes", len(body))
	}
	f := frame{seq: binary.BigEndian.Uint64(body[1:])}
	switch {
	case body[0] == typeRecord && len(body) >= recordHead:
		f.salt, f.payload = body[9:recordHead], body[recordHead:]
	case body[0] == typeErased && len(body) == erasedBody:
		f.erased = true
		copy(f.commit[:], body[9:])
	default:
		return frame{}, fault.New(fault.Conflict, op, "record of type %d: a newer version of the gateway wrote it", body[0])
	}
	return f, nil
}

// hasher makes commitments and leaves without allocating.
type hasher struct{ buf []byte }

func (h *hasher) commitment(salt, payload []byte) [sha256.Size]byte {
	h.buf = append(h.buf[:0], commitmentInfo...)
	h.buf = append(h.buf, salt...)
	h.buf = append(h.buf, payload...)
	sum := sha256.Sum256(h.buf)
	if cap(h.buf) > 1<<20 {
		h.buf = nil // one huge record must not hold its size for ever
	}
	return sum
}

// leaf is the tree's entry for a record: version, sequence, commitment. Payloads can be erased and it stays the same.
func leaf(seq uint64, commitment [sha256.Size]byte) [leafSize]byte {
	var l [leafSize]byte
	l[0] = leafVersion
	binary.BigEndian.PutUint64(l[1:], seq)
	copy(l[9:], commitment[:])
	return l
}
