package nats

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"
)

// headerVersion begins every header block.
const headerVersion = "NATS/1.0"

// Bounds of a header block.
const (
	maxHeader  = 64 << 10
	maxHeaders = 256
)

// header is one header of a message. Names keep their case: servers and clients compare them as they are.
type header struct{ name, value string }

// headers is a header block.
type headers struct {
	status string // behind the version: "503", "100 Idle Heartbeat"; "" where there is none
	list   []header
}

var errHeaders = malformed("a message's headers cannot be read")

// readHeaders reads a header block: the version with a status, lines of name and value, and an empty line. What readers
// take for different things is an error: a line that goes on, a lone CR or LF, a name that is no token.
func readHeaders(b []byte) (headers, error) {
	var h headers
	line, rest, ok := cutLine(b)
	if !ok || !bytes.HasPrefix(line, []byte(headerVersion)) || !utf8.Valid(b) {
		return h, errHeaders
	}
	if status := line[len(headerVersion):]; len(status) > 0 {
		if !blank(status[0]) || !plainValue(status) {
			return h, errHeaders
		}
		h.status = string(bytes.Trim(status, " \t"))
	}
	for {
		line, rest, ok = cutLine(rest)
		if !ok || len(h.list) > maxHeaders {
			return h, errHeaders
		}
		if len(line) == 0 {
			break
		}
		name, value, found := bytes.Cut(line, []byte{':'})
		if !found || !headerName(name) || !plainValue(value) {
			return h, errHeaders
		}
		h.list = append(h.list, header{string(name), string(bytes.Trim(value, " \t"))})
	}
	if len(rest) > 0 {
		return h, errHeaders
	}
	return h, nil
}

// cutLine cuts b behind its first CR LF.
func cutLine(b []byte) (line, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 || b[i-1] != '\r' {
		return nil, nil, false
	}
	return b[:i-1], b[i+1:], true
}

// headerName reports whether a name is one: visible ASCII without a colon.
func headerName(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return len(b) > 0
}

// plainValue reports whether a value is free of control characters.
func plainValue(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// facts returns the headers as conditions read them: by name, a string, or a list of strings where a name stands more than
// once. Names are compared as they are.
func (h *headers) facts() map[string]any {
	out := make(map[string]any, len(h.list))
	for _, e := range h.list {
		switch before := out[e.name].(type) {
		case nil:
			out[e.name] = e.value
		case string:
			out[e.name] = []any{before, e.value}
		case []any:
			out[e.name] = append(before, e.value)
		}
	}
	return out
}

// get returns the first value of a name; names are compared as they are.
func (h *headers) get(name string) (string, bool) {
	for _, e := range h.list {
		if e.name == name {
			return e.value, true
		}
	}
	return "", false
}

// append appends h as a header block.
func (h *headers) append(dst []byte) []byte {
	dst = append(dst, headerVersion...)
	if h.status != "" {
		dst = append(append(dst, ' '), h.status...)
	}
	dst = append(dst, '\r', '\n')
	for _, e := range h.list {
		dst = append(append(dst, e.name...), ": "...)
		dst = append(append(dst, e.value...), '\r', '\n')
	}
	return append(dst, '\r', '\n')
}

// appendMsg appends a message as a server delivers it. head is a whole header block, or nil.
func appendMsg(dst []byte, subject, sid, reply string, head, payload []byte) []byte {
	return appendMessage(dst, "MSG ", subject, sid, reply, head, payload)
}

// appendPub appends a message as a client publishes it. head is a whole header block, or nil.
func appendPub(dst []byte, subject, reply string, head, payload []byte) []byte {
	return appendMessage(dst, "PUB ", subject, "", reply, head, payload)
}

func appendMessage(dst []byte, verb, subject, sid, reply string, head, payload []byte) []byte {
	const line = 64 // what is not a name
	dst = slices.Grow(dst, line+len(subject)+len(sid)+len(reply)+len(head)+len(payload))
	if head != nil {
		dst = append(dst, 'H')
	}
	dst = append(append(dst, verb...), subject...)
	for _, word := range [...]string{sid, reply} {
		if word != "" {
			dst = append(append(dst, ' '), word...)
		}
	}
	if head != nil {
		dst = strconv.AppendInt(append(dst, ' '), int64(len(head)), 10)
	}
	dst = strconv.AppendInt(append(dst, ' '), int64(len(head)+len(payload)), 10)
	dst = append(append(dst, '\r', '\n'), head...)
	return append(append(dst, payload...), '\r', '\n')
}
