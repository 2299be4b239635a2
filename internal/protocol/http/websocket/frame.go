package websocket

import (
	"bufio"
	"crypto/sha1" // #nosec G505 -- RFC 6455, section 1.3 names it; nothing rests on it
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf8"
)

// Op is what a message is (section 5.2).
type Op byte

// The opcodes.
const (
	more   Op = 0
	Text   Op = 1
	Binary Op = 2
	Close  Op = 8
	Ping   Op = 9
	Pong   Op = 10
)

// Control reports whether a message is about the connection.
func (o Op) Control() bool { return o >= Close }

// The codes of the end of a connection (section 7.4.1) that the gateway itself says.
const (
	CodeNormal      = 1000
	CodeGoingAway   = 1001
	CodeProtocol    = 1002
	CodeUnsupported = 1003
	CodeNone        = 1005 // never on the wire: a close frame that has no code
	CodeInvalid     = 1007
	CodePolicy      = 1008
	CodeTooBig      = 1009
	CodeInternal    = 1011
)

// MaxControl is the longest payload of a control frame.
const MaxControl = 125

// Violation is a breach of the protocol, and how the connection is closed for it.
type Violation struct {
	Code int
	Say  string
}

// Error implements error.
func (v *Violation) Error() string { return "websocket: " + v.Say }

func violation(format string, args ...any) error {
	return &Violation{CodeProtocol, fmt.Sprintf(format, args...)}
}

// Message is one message. Its payload is the reader's own until the next call.
type Message struct {
	Op      Op
	Payload []byte
}

// Reader reads messages of one side.
type Reader struct {
	r      *bufio.Reader
	client bool // what a client sends is masked, what a server sends is not (section 5.1)
	limit  int
	op     Op // of the message that is not yet whole
	open   bool
	data   []byte
	small  [MaxControl]byte
}

// NewReader reads what a client or a server sends. A message of more than limit bytes is a violation.
func NewReader(r *bufio.Reader, client bool, limit int) *Reader {
	return &Reader{r: r, client: client, limit: limit}
}

// header is the beginning of a frame.
type header struct {
	op     Op
	final  bool
	length int
	key    [4]byte
}

// Next returns the next message. Control messages come as they are sent, also between the parts of another one.
func (r *Reader) Next() (Message, error) {
	for {
		h, err := r.header()
		if err != nil {
			return Message{}, err
		}
		if h.op.Control() {
			return r.control(h)
		}
		if r.open = true; h.op != more {
			r.op, r.data = h.op, r.data[:0]
		}
		from := len(r.data)
		if r.data, err = r.payload(r.data, h); err != nil {
			return Message{}, err
		}
		r.unmask(r.data[from:], h)
		if !h.final {
			continue
		}
		r.open = false
		if r.op == Text && !utf8.Valid(r.data) {
			return Message{}, &Violation{CodeInvalid, "a text message is not UTF-8"}
		}
		return Message{r.op, r.data}, nil
	}
}

// header reads and checks the beginning of a frame.
func (r *Reader) header() (h header, err error) {
	var b [8]byte
	if _, err = io.ReadFull(r.r, b[:2]); err != nil {
		return h, err
	}
	h.op, h.final = Op(b[0]&0x0f), b[0]&0x80 != 0
	masked, short := b[1]&0x80 != 0, int(b[1]&0x7f)
	switch {
	case b[0]&0x70 != 0:
		return h, violation("a frame has reserved bits, and no extension was agreed on")
	case h.op > Binary && h.op < Close || h.op > Pong:
		return h, violation("a frame has an unknown opcode")
	case masked != r.client:
		return h, violation("frames of clients are masked, and those of servers are not")
	case h.op.Control() && (!h.final || short > MaxControl):
		return h, violation("a control frame is cut in parts or too long")
	case h.op == more && !r.open, (h.op == Text || h.op == Binary) && r.open:
		return h, violation("a frame continues what was not begun, or begins anew in the middle")
	}
	if h.length, err = r.length(short, b[:]); err != nil {
		return h, err
	}
	if !h.op.Control() {
		have := 0
		if h.op == more {
			have = len(r.data)
		}
		if h.length > r.limit-have {
			return h, &Violation{CodeTooBig, fmt.Sprintf("a message is larger than %d bytes", r.limit)}
		}
	}
	if masked {
		_, err = io.ReadFull(r.r, h.key[:])
	}
	return h, whole(err)
}

// length reads the length of a payload, which is written in the shortest form (section 5.2).
func (r *Reader) length(short int, b []byte) (int, error) {
	size, least := 0, uint64(0)
	switch short {
	case 126:
		size, least = 2, 126
	case 127:
		size, least = 8, 1<<16
	default:
		return short, nil
	}
	clear(b)
	if _, err := io.ReadFull(r.r, b[8-size:8]); err != nil {
		return 0, whole(err)
	}
	n := binary.BigEndian.Uint64(b)
	switch {
	case n < least:
		return 0, violation("a length is not written in the shortest form")
	case n > uint64(r.limit):
		return 0, &Violation{CodeTooBig, fmt.Sprintf("a message is larger than %d bytes", r.limit)}
	}
	return int(n), nil
}

// chunk is how much memory a frame gets at a time: what it says of its length is not believed.
const chunk = 64 << 10

// payload appends the bytes of a frame.
func (r *Reader) payload(dst []byte, h header) ([]byte, error) {
	for left := h.length; left > 0; {
		n := min(left, chunk)
		at := len(dst)
		dst = append(dst, make([]byte, n)...)
		if _, err := io.ReadFull(r.r, dst[at:]); err != nil {
			return dst, whole(err)
		}
		left -= n
	}
	return dst, nil
}

func (r *Reader) control(h header) (Message, error) {
	b := r.small[:h.length]
	if _, err := io.ReadFull(r.r, b); err != nil {
		return Message{}, whole(err)
	}
	r.unmask(b, h)
	if h.op == Close {
		if err := checkClose(b); err != nil {
			return Message{}, err
		}
	}
	return Message{h.op, b}, nil
}

func (r *Reader) unmask(b []byte, h header) {
	if r.client {
		mask(b, h.key)
	}
}

// mask is its own inverse (section 5.3).
func mask(b []byte, key [4]byte) {
	for i := range b {
		b[i] ^= key[i&3]
	}
}

// whole says that an end inside a frame is no end.
func whole(err error) error {
	if err == io.EOF { //nolint:errorlint // io.ReadFull gives io.EOF itself
		return io.ErrUnexpectedEOF
	}
	return err
}

func checkClose(b []byte) error {
	switch code, reason := Closing(b); {
	case len(b) == 1:
		return violation("a close frame has half a code")
	case len(b) > 0 && (code < 1000 || code >= 5000 || code >= 1004 && code <= 1006 || code >= 1015 && code < 3000):
		return violation("a close frame has a code that nobody may send")
	case !utf8.ValidString(reason):
		return &Violation{CodeInvalid, "the reason of a close frame is not UTF-8"}
	}
	return nil
}

// Closing reads the payload of a close frame; CodeNone where it has no code.
func Closing(b []byte) (code int, reason string) {
	if len(b) < 2 {
		return CodeNone, ""
	}
	return int(binary.BigEndian.Uint16(b)), string(b[2:])
}

// Ending makes the payload of a close frame: of a reason that is too long, the beginning.
func Ending(code int, reason string) []byte {
	if code == CodeNone {
		return nil
	}
	b := binary.BigEndian.AppendUint16(nil, uint16(code))
	for len(reason) > MaxControl-2 {
		_, n := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-n]
	}
	return append(b, reason...)
}

// Append appends a message as one frame. key masks it, as a client must; nil leaves it in clear, as a server must.
func Append(dst []byte, m Message, key *[4]byte) []byte {
	bit := byte(0)
	if key != nil {
		bit = 0x80
	}
	dst = append(dst, 0x80|byte(m.Op))
	switch n := len(m.Payload); {
	case n < 126:
		dst = append(dst, bit|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, bit|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, bit|127), uint64(n))
	}
	if key != nil {
		dst = append(dst, key[:]...)
	}
	at := len(dst)
	dst = append(dst, m.Payload...)
	if key != nil {
		mask(dst[at:], *key)
	}
	return dst
}

// Accept is what a server answers to a client's key (section 4.2.2).
func Accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // #nosec G401 -- as above
	return base64.StdEncoding.EncodeToString(sum[:])
}

// ValidKey reports whether a client's key is one: 16 bytes, in base64.
func ValidKey(key string) bool {
	b, err := base64.StdEncoding.Strict().DecodeString(key)
	return err == nil && len(b) == 16
}
