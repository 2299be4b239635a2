package body

import (
	"bytes"
	"fmt"
	"html"
	"strings"
)

// markup is the stream of an XML document. It is cut into tags, comments and what stands between; each is looked at by
// itself, with its character references resolved. What is found is replaced, and everything else passes as it is.
type markup struct {
	rules *Rules
	held  int
	lines lines
	buf   []byte
	at    int  // how far buf was looked at for the end of its first part
	quote byte // what the quotes are that at stands in; 0 outside of a tag's
}

func (m *markup) write(dst, src []byte) ([]byte, error) {
	if m.rules.scan == nil {
		return append(dst, src...), nil
	}
	m.buf = append(m.buf, src...)
	rest := m.buf
	for len(rest) > 0 {
		n := m.part(rest)
		if n > m.held || n == 0 && len(rest) > m.held {
			return dst, fmt.Errorf("%w: XML: a text or tag is too large", ErrUnreadable)
		}
		if n == 0 {
			break
		}
		if err := readable(rest[:n]); err != nil {
			return dst, err
		}
		dst, rest, m.at = m.hide(dst, rest[:n]), rest[n:], 0
	}
	if len(rest) < len(m.buf) {
		m.buf = append(m.buf[:0], rest...)
	}
	return dst, nil
}

func (m *markup) close(dst []byte) ([]byte, error) {
	if err := readable(m.buf); err != nil {
		return dst, err
	}
	return m.hide(dst, m.buf), nil
}

// readable refuses a part that says that the document is to be read otherwise than it is here: in another character set, or with words
// that stand for others (XML 1.0, section 4.2).
func readable(part []byte) error {
	if bytes.IndexByte(part, 0) >= 0 {
		return fmt.Errorf("%w: XML: it holds NUL, or is UTF-16 or UTF-32", ErrUnreadable)
	}
	if len(part) < 2 || part[0] != '<' || part[1] != '!' && part[1] != '?' {
		return nil
	}
	switch head := strings.ToLower(string(part[:min(len(part), len("<!doctype"))])); {
	case strings.HasPrefix(head, "<!entity"), head == "<!doctype" && bytes.IndexByte(part, '[') >= 0:
		return fmt.Errorf("%w: XML: it declares entities", ErrUnreadable)
	case strings.HasPrefix(head, "<?xml") && !plainSet(strings.ToLower(string(part))):
		return fmt.Errorf("%w: XML: its character set is not UTF-8", ErrUnreadable)
	}
	return nil
}

// plainSet reports whether an XML declaration, in lower case, names no other character set than UTF-8.
func plainSet(declaration string) bool {
	_, set, found := strings.Cut(declaration, "encoding")
	set = strings.TrimLeft(set, " \t\r\n=\"'")
	return !found || strings.HasPrefix(set, "utf-8") || strings.HasPrefix(set, "us-ascii")
}

// special parts of a document begin and end so.
func spans() [3][2]string {
	return [3][2]string{{"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}}
}

// part returns the size of the first part of b; 0 where its end is not there. It goes on where it stopped the last time.
func (m *markup) part(b []byte) int {
	if b[0] != '<' {
		i := bytes.IndexByte(b[m.at:], '<')
		if i < 0 {
			m.at = len(b)
			return 0
		}
		return m.at + i
	}
	for _, s := range spans() {
		n := min(len(b), len(s[0]))
		switch {
		case string(b[:n]) != s[0][:n]:
		case n < len(s[0]):
			return 0 // it may still become one
		default:
			from := max(m.at-len(s[1]), n)
			i := bytes.Index(b[from:], []byte(s[1]))
			if i < 0 {
				m.at = len(b)
				return 0
			}
			return from + i + len(s[1])
		}
	}
	return m.tag(b)
}

// tag is part for a tag, which ends at the first > outside of quotes.
func (m *markup) tag(b []byte) int {
	for ; m.at < len(b); m.at++ {
		switch c := b[m.at]; {
		case m.quote != 0 && c == m.quote:
			m.quote = 0
		case m.quote != 0:
		case c == '"' || c == '\'':
			m.quote = c
		case c == '>':
			return m.at + 1
		}
	}
	return 0
}

// hide appends what becomes of a part.
func (m *markup) hide(dst, part []byte) []byte {
	if len(part) == 0 || m.rules.scan == nil {
		return append(dst, part...)
	}
	literal := bytes.HasPrefix(part, []byte("<!")) || bytes.HasPrefix(part, []byte("<?"))
	switch {
	case literal || bytes.IndexByte(part, '&') < 0:
		return m.scan(dst, part)
	case part[0] != '<':
		return m.resolved(dst, part)
	}
	for len(part) > 0 { // the values of attributes, and what stands between them
		i := bytes.IndexAny(part, `"'`)
		if i < 0 {
			break
		}
		end := bytes.IndexByte(part[i+1:], part[i])
		if end < 0 {
			break
		}
		dst = m.resolved(append(dst, part[:i+1]...), part[i+1:i+1+end])
		part = part[i+1+end:]
		dst, part = append(dst, part[0]), part[1:]
	}
	return m.scan(dst, part)
}

// scan appends what becomes of bytes that stand for themselves.
func (m *markup) scan(dst, b []byte) []byte {
	var n int
	dst, n = m.lines.take(dst, b)
	dst = m.lines.last(dst, b[n:])
	m.lines.lost = false
	return dst
}

// resolved appends what becomes of a text with character references. Where hiding what is found in it as it is leaves nothing to be
// found behind the references, all else in it stays as it is.
func (m *markup) resolved(dst, b []byte) []byte {
	before := m.lines.hits.n
	plain := m.scan(nil, b)
	found := m.lines.hits.n
	out := m.scan(nil, []byte(html.UnescapeString(string(plain))))
	if m.lines.hits.n == found {
		return append(dst, plain...)
	}
	m.lines.hits.n = before
	out = m.scan(out[:0], []byte(html.UnescapeString(string(b))))
	return append(dst, html.EscapeString(string(out))...)
}
