package amqp

import (
	"encoding/binary"
	"errors"
)

// The flags of properties, from the first to the last.
const (
	hasContentType = 1 << (15 - iota)
	hasContentEncoding
	hasHeaders
	hasDeliveryMode
	hasPriority
	hasCorrelationID
	hasReplyTo
	hasExpiration
	hasMessageID
	hasTimestamp
	hasType
	hasUserID
	hasAppID
	hasClusterID
	hasNone // no property
	hasMore // another word of flags follows: nothing uses it, and it is refused
)

const classBasic = 60

// properties are those of a message. A flag of has says which are there.
type properties struct {
	has             uint16
	ContentType     string
	ContentEncoding string
	Headers         table
	DeliveryMode    uint8
	Priority        uint8
	CorrelationID   string
	ReplyTo         string
	Expiration      string
	MessageID       string
	Timestamp       uint64
	Type            string
	UserID          string
	AppID           string
	ClusterID       string
}

var errHeader = errors.New("a content header that is none")

// peekHeader reads how large the body is that follows a content header, and which properties it has.
func peekHeader(payload []byte) (size uint64, has uint16, err error) {
	if len(payload) < headerMin || binary.BigEndian.Uint16(payload) != classBasic || binary.BigEndian.Uint16(payload[2:]) != 0 {
		return 0, 0, errHeader
	}
	has = binary.BigEndian.Uint16(payload[12:])
	if has&(hasNone|hasMore) != 0 || payload[4] > 0x7f { // no size that a condition could read
		return 0, 0, errBits
	}
	return binary.BigEndian.Uint64(payload[4:]), has, nil
}

// decodeHeader reads a content header whole.
func decodeHeader(payload []byte) (size uint64, p properties, err error) {
	size, has, err := peekHeader(payload)
	if err != nil {
		return 0, properties{}, err
	}
	p.has = has
	c := coder{b: payload[headerMin:]}
	p.fields(&c)
	if c.err == nil && len(c.b) > 0 {
		c.err = errBehind
	}
	return size, p, c.err
}

// appendHeader appends a content header without a frame around it.
func appendHeader(dst []byte, size uint64, p *properties) []byte {
	dst = binary.BigEndian.AppendUint16(dst, classBasic)
	dst = binary.BigEndian.AppendUint16(dst, 0)
	dst = binary.BigEndian.AppendUint64(dst, size)
	dst = binary.BigEndian.AppendUint16(dst, p.has)
	c := coder{out: dst, writing: true}
	p.fields(&c)
	return c.out
}

func (p *properties) fields(c *coder) {
	if p.has&hasContentType != 0 {
		c.text(&p.ContentType)
	}
	if p.has&hasContentEncoding != 0 {
		c.text(&p.ContentEncoding)
	}
	if p.has&hasHeaders != 0 {
		c.table(&p.Headers)
	}
	if p.has&hasDeliveryMode != 0 {
		c.uint8(&p.DeliveryMode)
	}
	if p.has&hasPriority != 0 {
		c.uint8(&p.Priority)
	}
	if p.has&hasCorrelationID != 0 {
		c.text(&p.CorrelationID)
	}
	if p.has&hasReplyTo != 0 {
		c.text(&p.ReplyTo)
	}
	if p.has&hasExpiration != 0 {
		c.text(&p.Expiration)
	}
	if p.has&hasMessageID != 0 {
		c.text(&p.MessageID)
	}
	if p.has&hasTimestamp != 0 {
		c.uint64(&p.Timestamp)
	}
	if p.has&hasType != 0 {
		c.text(&p.Type)
	}
	if p.has&hasUserID != 0 {
		c.text(&p.UserID)
	}
	if p.has&hasAppID != 0 {
		c.text(&p.AppID)
	}
	if p.has&hasClusterID != 0 {
		c.text(&p.ClusterID)
	}
}
