package nats

import (
	"bytes"
	"unicode/utf8"

	"gatehouse/internal/fault"
)

// op is an operation of the protocol.
type op uint8

// The operations: what clients say, what servers say, and what both do.
const (
	opNone op = iota
	opConnect
	opPub
	opHPub
	opSub
	opUnsub
	opInfo
	opMsg
	opHMsg
	opOK
	opErr
	opPing
	opPong
)

// Bounds of one frame.
const (
	maxLine    = 4 << 10   // a control line, as servers have it
	maxConnect = 64 << 10  // CONNECT, which carries a token
	maxInfo    = 256 << 10 // INFO, which may list a large cluster
	maxDigits  = 9         // of a size: 999,999,999 is more than any limit
)

// side is who speaks: each may say what the other may not.
type side uint8

const (
	fromClient side = iota
	fromServer
)

// frame is one operation. What it points to lies in the buffer that it was read from.
type frame struct {
	op      op
	subject []byte
	reply   []byte // "" where there is none
	queue   []byte // SUB: "" where there is none
	sid     []byte
	text    []byte // CONNECT, INFO: JSON; -ERR: what it says
	limit   int64  // UNSUB: after how many messages; 0 is at once

	line   int // the control line, with its end
	head   int // of the rest: the headers
	size   int // of the rest: headers and payload
	length int // the whole frame, with every end of line
}

// whole reports whether b, which begins with f, holds all of it.
func (f *frame) whole(b []byte) bool { return len(b) >= f.length }

// header returns the header block of f at the start of b; nil where f has none.
func (f *frame) header(b []byte) []byte {
	if f.head == 0 {
		return nil
	}
	return b[f.line : f.line+f.head]
}

// payload returns the payload of f at the start of b.
func (f *frame) payload(b []byte) []byte {
	return b[f.line+f.head : f.line+f.size]
}

// carries reports whether a payload follows the control line.
func (f *frame) carries() bool {
	return f.op == opPub || f.op == opHPub || f.op == opMsg || f.op == opHMsg
}

func malformed(say string) error { return fault.New(fault.Malformed, "nats.frame", "%s", say) }

// parse reads the frame at the start of b. ok is false where its control line is not all there yet; whether the payload is,
// whole tells. Servers read some lines more loosely: what they could read in another way is an error here.
func parse(b []byte, from side) (f frame, ok bool, err error) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return f, false, lineBound(b, len(b), from)
	}
	if err := lineBound(b, end+1, from); err != nil {
		return f, false, err
	}
	if end == 0 || b[end-1] != '\r' {
		return f, false, malformed("a line does not end in CR LF")
	}
	line := b[:end-1]
	if bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, 0) >= 0 {
		return f, false, malformed("a line holds a control character")
	}
	f.line = end + 1
	verb, rest := cutVerb(line)
	if f.op = verbOf(verb, from); f.op == opNone {
		return f, false, malformed("Unknown Protocol Operation")
	}
	if err := f.arguments(rest); err != nil {
		return f, false, err
	}
	f.length = f.line
	if !f.carries() {
		return f, true, nil
	}
	f.length += f.size + 2
	if f.whole(b) && (b[f.length-2] != '\r' || b[f.length-1] != '\n') {
		return f, false, malformed("a payload does not end where its size says")
	}
	return f, true, nil
}

// lineBound refuses a line, of which n bytes are known, that is longer than its operation may be.
func lineBound(b []byte, n int, from side) error {
	if n <= maxLine {
		return nil
	}
	bound := maxLine
	switch verb, _ := cutVerb(b[:16]); verbOf(verb, from) {
	case opConnect:
		bound = maxConnect
	case opInfo:
		bound = maxInfo
	default:
	}
	if n > bound {
		return malformed("Maximum Control Line Exceeded")
	}
	return nil
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// cutVerb cuts a line behind its first word.
func cutVerb(line []byte) (verb, rest []byte) {
	for i, c := range line {
		if blank(c) {
			return line[:i], line[i:]
		}
	}
	return line, nil
}

// verbOf returns the operation of a word that one side may say. Case does not matter.
func verbOf(verb []byte, from side) op {
	var upper [8]byte
	if len(verb) > len(upper) {
		return opNone
	}
	for i, c := range verb {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper[i] = c
	}
	word := string(upper[:len(verb)])
	switch word {
	case "PING":
		return opPing
	case "PONG":
		return opPong
	}
	if from == fromClient {
		switch word {
		case "PUB":
			return opPub
		case "HPUB":
			return opHPub
		case "SUB":
			return opSub
		case "UNSUB":
			return opUnsub
		case "CONNECT":
			return opConnect
		}
		return opNone
	}
	switch word {
	case "MSG":
		return opMsg
	case "HMSG":
		return opHMsg
	case "INFO":
		return opInfo
	case "+OK":
		return opOK
	case "-ERR":
		return opErr
	}
	return opNone
}

// maxWords is more than any operation takes: one too many shows.
const maxWords = 6

// words cuts a line at its blanks.
func words(line []byte) (out [maxWords][]byte, n int) {
	for i := 0; i < len(line) && n < maxWords; {
		if blank(line[i]) {
			i++
			continue
		}
		from := i
		for i < len(line) && !blank(line[i]) {
			i++
		}
		out[n] = line[from:i]
		n++
	}
	return out, n
}

var errArguments = malformed("an operation has too few arguments, too many, or one that cannot be read")

// arguments reads what follows the verb.
func (f *frame) arguments(rest []byte) error {
	switch f.op {
	case opConnect, opInfo, opErr:
		f.text = bytes.Trim(rest, " \t")
		return nil
	default:
	}
	w, n := words(rest)
	ok := false
	switch f.op {
	case opPub:
		ok = (n == 2 || n == 3) && f.addressed(w[0], w[1:n-1]) && f.sizes(nil, w[n-1])
	case opHPub:
		ok = (n == 3 || n == 4) && f.addressed(w[0], w[1:n-2]) && f.sizes(w[n-2], w[n-1])
	case opMsg:
		ok = (n == 3 || n == 4) && f.addressed(w[0], w[2:n-1]) && f.numbered(w[1]) && f.sizes(nil, w[n-1])
	case opHMsg:
		ok = (n == 4 || n == 5) && f.addressed(w[0], w[2:n-2]) && f.numbered(w[1]) && f.sizes(w[n-2], w[n-1])
	case opSub:
		ok = n == 2 || n == 3
		if ok {
			f.subject = w[0]
			if n == 3 {
				f.queue = w[1]
			}
			ok = f.numbered(w[n-1])
		}
	case opUnsub:
		ok = (n == 1 || n == 2) && f.numbered(w[0])
		if ok && n == 2 {
			f.limit, ok = number(w[1])
		}
	default:
		ok = n == 0
	}
	if !ok {
		return errArguments
	}
	return nil
}

func (f *frame) addressed(subject []byte, reply [][]byte) bool {
	f.subject = subject
	if len(reply) > 0 {
		f.reply = reply[0]
	}
	return true
}

// maxSid bounds the name of a subscription.
const maxSid = 64

func (f *frame) numbered(sid []byte) bool {
	f.sid = sid
	return len(sid) <= maxSid && headerName(sid)
}

// sizes reads the size of the headers (nil where there are none) and of all.
func (f *frame) sizes(head, total []byte) bool {
	size, ok := number(total)
	f.size = int(size)
	if head == nil || !ok {
		return ok
	}
	n, ok := number(head)
	f.head = int(n)
	if ok && n == 0 && f.op == opHPub { // how nats.js writes that there are none
		return true
	}
	return ok && n >= int64(len(headerVersion)+4) && n <= size && n <= maxHeader
}

// number reads a number without a sign.
func number(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > maxDigits {
		return 0, false
	}
	n := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// Bounds of a subject.
const (
	maxSubject = 1 << 10
	maxTokens  = 64
)

// literal reports whether s is a subject that a message can have: tokens between dots, no wildcards.
func literal(s []byte) bool { return validSubject(s, false) }

// pattern reports whether s is a subject that a subscription can have: whole tokens may be wildcards.
func pattern(s []byte) bool { return validSubject(s, true) }

// validSubject is stricter than servers are: they take control characters and half a character, and an asterisk inside of a
// token as itself.
func validSubject(s []byte, wild bool) bool {
	if len(s) == 0 || len(s) > maxSubject || !utf8.Valid(s) {
		return false
	}
	from, tokens := 0, 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			if s[i] <= ' ' || s[i] == 0x7f {
				return false
			}
			continue
		}
		if tokens++; tokens > maxTokens || !validToken(s[from:i], i == len(s), wild) {
			return false
		}
		from = i + 1
	}
	return true
}

func validToken(t []byte, last, wild bool) bool {
	switch {
	case len(t) == 0:
		return false
	case len(t) == 1 && t[0] == '*':
		return wild
	case len(t) == 1 && t[0] == '>':
		return wild && last
	}
	return bytes.IndexByte(t, '*') < 0 && bytes.IndexByte(t, '>') < 0
}

// matches reports whether a subject matches the pattern of a subscription.
func matches(pattern, subject string) bool {
	for {
		pt, prest, pmore := cutToken(pattern)
		st, srest, smore := cutToken(subject)
		switch {
		case pt == ">" && !pmore:
			return true
		case pt != "*" && pt != st:
			return false
		case !pmore || !smore:
			return pmore == smore
		}
		pattern, subject = prest, srest
	}
}

// meets reports whether a subject exists that two patterns match.
func meets(a, b string) bool {
	for {
		at, arest, amore := cutToken(a)
		bt, brest, bmore := cutToken(b)
		switch {
		case at == ">" && !amore || bt == ">" && !bmore:
			return true
		case at != "*" && bt != "*" && at != bt:
			return false
		case !amore || !bmore:
			return amore == bmore
		}
		a, b = arest, brest
	}
}

func cutToken(s string) (token, rest string, more bool) {
	for i := range len(s) {
		if s[i] == '.' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}
