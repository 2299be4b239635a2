package body

import (
	"bytes"
	"fmt"
)

// events is the stream of server-sent events (WHATWG HTML, 9.2). An event is held until the empty line that ends it; its data
// are hidden as JSON or as text, and its other fields as text.
type events struct {
	rules *Rules
	held  int
	hits  *counter
	json  *jsonStream // both count for themselves, since data are tried as JSON first
	text  lines

	buf   []byte // the event, as far as it has come
	line  int    // where the line that is being read begins in buf
	at    int    // how far buf was looked at
	begun bool
	data  []byte
	out   []byte
}

// done is what readers of streams from language models are sent behind the last JSON.
const done = "[DONE]"

func (e *events) write(dst, src []byte) ([]byte, error) {
	e.buf = append(e.buf, src...)
	sent := 0
	for {
		i := bytes.IndexAny(e.buf[e.at:], "\r\n")
		if i < 0 {
			e.at = len(e.buf)
			break
		}
		end := e.at + i
		next := end + 1
		if e.buf[end] == '\r' {
			if next == len(e.buf) {
				e.at = end
				break // a line feed may follow
			}
			if e.buf[next] == '\n' {
				next++
			}
		}
		empty := end == e.line
		e.line, e.at = next, next
		if !empty {
			continue
		}
		var err error
		if dst, err = e.event(dst, e.buf[sent:next]); err != nil {
			return dst, err
		}
		sent = next
	}
	if sent > 0 {
		e.buf = append(e.buf[:0], e.buf[sent:]...)
		e.line, e.at = e.line-sent, e.at-sent
	}
	if len(e.buf) > e.held {
		return dst, e.wrong("one of them is too large")
	}
	return dst, nil
}

func (e *events) close(dst []byte) ([]byte, error) {
	if len(e.buf) == 0 {
		return dst, nil
	}
	return e.event(dst, e.buf)
}

func (e *events) wrong(why string) error { return fmt.Errorf("%w: events: %s", ErrUnreadable, why) }

// event appends what becomes of one event.
func (e *events) event(dst, raw []byte) ([]byte, error) {
	if len(raw) > e.held {
		return dst, e.wrong("one of them is too large")
	}
	if !e.begun && raw[0] >= 0x80 || bytes.IndexByte(raw, 0) >= 0 {
		return dst, e.wrong("they begin with a byte order mark, or hold NUL")
	}
	e.begun, e.data = true, e.data[:0]
	fields := 0
	for rest := raw; len(rest) > 0; {
		var line []byte
		line, _, rest = cutLine(rest)
		if value, ok := dataOf(line); ok {
			if fields++; fields > 1 {
				e.data = append(e.data, '\n')
			}
			e.data = append(e.data, value...)
		}
	}
	changed := false
	if fields > 0 {
		var err error
		if changed, err = e.hide(); err != nil {
			return dst, err
		}
	}
	first := true
	for rest := raw; len(rest) > 0; {
		var line, end []byte
		line, end, rest = cutLine(rest)
		switch _, ok := dataOf(line); {
		case !ok:
			dst = append(e.other(dst, line), end...)
		case !changed:
			dst = append(append(dst, line...), end...)
		case first:
			first = false
			dst = appendData(dst, e.out, end)
		}
	}
	return dst, nil
}

// other appends what becomes of a line that is no data.
func (e *events) other(dst, line []byte) []byte {
	if e.rules.scan == nil || len(line) == 0 {
		return append(dst, line...)
	}
	before := e.text.hits.n
	dst = e.text.line(dst, line)
	e.text.lost = false
	e.hits.n += e.text.hits.n - before
	return dst
}

// appendData appends data as an event's lines.
func appendData(dst, data, end []byte) []byte {
	for more := true; more; {
		var line []byte
		line, data, more = bytes.Cut(data, []byte("\n"))
		dst = append(append(append(dst, "data: "...), line...), end...)
	}
	return dst
}

// hide puts what becomes of the data in out, and reports whether that differs. Data that are no JSON are refused where a path
// may lead into them.
func (e *events) hide() (changed bool, err error) {
	e.out = e.out[:0]
	if data := bytes.TrimSpace(e.data); len(data) == 0 || string(data) == done {
		return false, nil
	}
	e.json.again()
	if e.out, err = e.json.write(e.out, e.data); err == nil {
		e.out, err = e.json.close(e.out)
	}
	if err == nil {
		e.hits.n += e.json.hits.n
		return e.json.hits.n > 0, nil
	}
	if e.rules.paths != nil {
		return false, err
	}
	before := e.text.hits.n
	var n int
	e.out, n = e.text.take(e.out[:0], e.data)
	e.out = e.text.last(e.out, e.data[n:])
	e.text.lost = false
	e.hits.n += e.text.hits.n - before
	return e.text.hits.n > before, nil
}

// cutLine cuts the first line and its end off.
func cutLine(b []byte) (line, end, rest []byte) {
	i := bytes.IndexAny(b, "\r\n")
	if i < 0 {
		return b, nil, nil
	}
	n := i + 1
	if b[i] == '\r' && n < len(b) && b[n] == '\n' {
		n++
	}
	return b[:i], b[i:n], b[n:]
}

// dataOf returns the value of a line that is a field of data.
func dataOf(line []byte) ([]byte, bool) {
	rest, ok := bytes.CutPrefix(line, []byte("data"))
	if !ok || len(rest) > 0 && rest[0] != ':' {
		return nil, false
	}
	rest = bytes.TrimPrefix(rest, []byte(":"))
	return bytes.TrimPrefix(rest, []byte(" ")), true
}
