package amqp

import (
	"encoding/binary"
	"fmt"

	"gatehouse/internal/fault"
)

// The kinds of frame.
const (
	frameMethod    = 1
	frameHeader    = 2
	frameBody      = 3
	frameHeartbeat = 8
	frameEnd       = 0xce
)

// Sizes of frames.
const (
	frameHead = 7             // kind, channel, length
	frameOver = frameHead + 1 // what a frame is longer than its payload
	frameMin  = 4096          // the least that two sides may agree on, and the bound before they have
	frameMost = 131072        // what the gateway offers
	headerMin = 2 + 2 + 8 + 2 // class, weight, size, flags
	protoHead = 8             // the protocol header
	helloByte = 'A'           // its first byte
	version   = "AMQP\x00\x00\x09\x01"
)

// frame is one frame. payload is valid for as long as the buffer is that it lies in.
type frame struct {
	kind    byte
	channel uint16
	payload []byte
	raw     []byte // the whole frame
	from    int64  // where it stands in its stream; -1 where it was kept aside
}

func (f *frame) to() int64 { return f.from + int64(len(f.raw)) }

// peekFrame returns the frame at the start of b. Where b holds less than it, need says how many bytes it takes as far as that is
// known. A frame of more than most bytes is an error, and so is one of a kind that nobody knows.
func peekFrame(b []byte, most int) (f frame, need int, err error) {
	if len(b) < frameHead {
		return frame{}, frameHead, nil
	}
	size := binary.BigEndian.Uint32(b[3:])
	if int64(size)+frameOver > int64(most) {
		return frame{}, 0, errFrame(fmt.Sprintf("type %d, all octets = <<>>: {frame_too_large,%d,%d}", b[0], size, most-frameOver))
	}
	switch b[0] {
	case frameMethod, frameHeader, frameBody:
	case frameHeartbeat:
		if size != 0 || b[1] != 0 || b[2] != 0 {
			return frame{}, 0, errFrame("a heartbeat has neither a channel nor a payload")
		}
	default:
		return frame{}, 0, errFrame(fmt.Sprintf("unknown frame type %d", b[0]))
	}
	n := int(size) + frameOver
	if len(b) < n {
		return frame{}, n, nil
	}
	if b[n-1] != frameEnd {
		return frame{}, 0, errFrame("a frame does not end where it says")
	}
	return frame{kind: b[0], channel: binary.BigEndian.Uint16(b[1:]), payload: b[frameHead : n-1], raw: b[:n]}, n, nil
}

func errFrame(what string) error {
	return &exception{code: codeFrameError, hard: true, err: fault.New(fault.Malformed, "amqp.frame", "%s", what)}
}

// openFrame appends the beginning of a frame whose length closeFrame fills in.
func openFrame(dst []byte, kind byte, channel uint16) ([]byte, int) {
	at := len(dst)
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint16(dst, channel)
	return append(dst, 0, 0, 0, 0), at
}

func closeFrame(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at+3:], uint32(len(dst)-at-frameHead))
	return append(dst, frameEnd)
}

// appendMethod appends a method as a frame.
func appendMethod(dst []byte, channel uint16, m method) []byte {
	dst, at := openFrame(dst, frameMethod, channel)
	dst = binary.BigEndian.AppendUint32(dst, uint32(m.id()))
	return closeFrame(encodeFields(dst, m), at)
}

// appendContent appends a content header and a body, cut to frames of at most most bytes.
func appendContent(dst []byte, channel uint16, header, body []byte, most int) []byte {
	dst, at := openFrame(dst, frameHeader, channel)
	return appendBody(closeFrame(append(dst, header...), at), channel, body, most)
}

// appendBody appends a body, or a part of it, cut to frames of at most most bytes.
func appendBody(dst []byte, channel uint16, body []byte, most int) []byte {
	for len(body) > 0 {
		n := min(len(body), most-frameOver)
		next, at := openFrame(dst, frameBody, channel)
		dst = closeFrame(append(next, body[:n]...), at)
		body = body[n:]
	}
	return dst
}

func appendHeartbeat(dst []byte) []byte {
	return append(dst, frameHeartbeat, 0, 0, 0, 0, 0, 0, frameEnd)
}
