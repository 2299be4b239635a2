package amqp

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"time"
	"unicode/utf8"

	"gatehouse/internal/fault"
)

// The codes of exceptions.
const (
	codeOK              = 200
	codeForced          = 320
	codeAccessRefused   = 403
	codeNotFound        = 404
	codePrecondition    = 406
	codeFrameError      = 501
	codeSyntax          = 502
	codeCommandInvalid  = 503
	codeChannelError    = 504
	codeUnexpectedFrame = 505
	codeResource        = 506
	codeNotAllowed      = 530
	codeNotImplemented  = 540
	codeInternal        = 541
)

// codeName is how brokers begin the text of an exception.
func codeName(code uint16) string {
	switch code {
	case codeForced:
		return "CONNECTION_FORCED"
	case codeAccessRefused:
		return "ACCESS_REFUSED"
	case codeNotFound:
		return "NOT_FOUND"
	case codePrecondition:
		return "PRECONDITION_FAILED"
	case codeFrameError:
		return "FRAME_ERROR"
	case codeSyntax:
		return "SYNTAX_ERROR"
	case codeCommandInvalid:
		return "COMMAND_INVALID"
	case codeChannelError:
		return "CHANNEL_ERROR"
	case codeUnexpectedFrame:
		return "UNEXPECTED_FRAME"
	case codeResource:
		return "RESOURCE_ERROR"
	case codeNotAllowed:
		return "NOT_ALLOWED"
	case codeNotImplemented:
		return "NOT_IMPLEMENTED"
	}
	return "INTERNAL_ERROR"
}

// exception is an error with its code: one that ends a channel, or the connection.
type exception struct {
	code  uint16
	hard  bool // it ends the connection
	cause methodID
	text  string // the broker's own words, which are passed on as they are; "" where the gateway says it
	err   error
}

// Error implements error.
func (e *exception) Error() string { return e.err.Error() }

// Unwrap returns what it says, with its kind.
func (e *exception) Unwrap() error { return e.err }

// hard is an exception that ends the connection.
func hard(code uint16, cause methodID, say string) error {
	return &exception{code: code, hard: true, cause: cause, err: fault.New(fault.Malformed, "amqp", "%s", say)}
}

// channelCode is the code with which a refusal ends a channel.
func channelCode(err error) uint16 {
	var e *exception
	if errors.As(err, &e) {
		return e.code
	}
	switch fault.KindOf(err) {
	case fault.Internal:
		return codeInternal
	case fault.Unavailable:
		return codeResource
	}
	return codeAccessRefused
}

// connectionCode is the code with which a refusal ends the connection; opened says that the client was told that it is open.
func connectionCode(err error, opened bool) uint16 {
	var e *exception
	if errors.As(err, &e) {
		return e.code
	}
	switch kind := fault.KindOf(err); {
	case kind == fault.Internal:
		return codeInternal
	case kind == fault.Malformed:
		return codeFrameError
	case opened, kind == fault.Unavailable:
		return codeForced
	case kind == fault.Unauthenticated:
		return codeAccessRefused
	case kind == fault.Backend:
		return codeInternal
	}
	return codeNotAllowed
}

// maxText is how long the text of an exception may be.
const maxText = 255

// words is the text of an exception: what a client may read of err, and the hint as far as there is room.
func words(code uint16, err error) string {
	var e *exception
	if errors.As(err, &e) && e.text != "" {
		return cut(e.text, maxText)
	}
	say, hint := fault.Say(err)
	text := cut(codeName(code)+" - "+say, maxText)
	if hint != "" && len(text)+len(hint)+2 <= maxText {
		text += ". " + hint
	}
	return text
}

// cut shortens a text, between two characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func causeOf(err error) uint32 {
	var e *exception
	if errors.As(err, &e) {
		return uint32(e.cause)
	}
	return 0
}

// closing is the connection.close that tells why.
func closing(err error, opened bool) []byte {
	code := connectionCode(err, opened)
	return appendMethod(nil, 0, &connectionClose{Code: code, Text: words(code, err), Cause: causeOf(err)})
}

// lastWords is how long a client has to answer them.
const lastWords = 500 * time.Millisecond

// linger writes the last words on a connection, and reads what still comes until they were answered: closing a socket with unread bytes
// would take the words back.
func (p *protocol) linger(conn net.Conn, b []byte) {
	if _, err := conn.Write(b); err != nil {
		return
	}
	if _, socket := conn.(interface{ CloseWrite() error }); !socket {
		return
	}
	_ = conn.SetReadDeadline(p.deps.Clock().Add(lastWords))
	answer := appendMethod(nil, 0, &connectionCloseOk{})
	var tail []byte
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		tail = append(tail, buf[:n]...)
		if err != nil || bytes.Contains(tail, answer) {
			return
		}
		tail = append(tail[:0], tail[max(0, len(tail)-len(answer)):]...)
	}
}

// Refuse implements wire.Session: connection.close with the reason.
func (s *session) Refuse(err error) {
	var e *exception
	if errors.As(err, &e) && e.code == 0 { // the two sides no longer speak
		return
	}
	if !s.opened && !s.tellsLogin && fault.KindOf(err) == fault.Unauthenticated {
		return // such a client takes the end of the connection for the answer
	}
	s.p.linger(s.conn, closing(err, s.opened))
}

// numbered words a limit.
func numbered(before string, n int, after string) string {
	return before + strconv.Itoa(n) + after
}
