package postgres

import "bytes"

// textCells is COPY's text format: cells between tabs, backslash escapes, \N for NULL.
// Source: https://www.postgresql.org/docs/current/sql-copy.html, "Text Format".
type textCells struct{}

func (textCells) comma() byte               { return '\t' }
func (textCells) putNull(dst []byte) []byte { return append(dst, '\\', 'N') }

func (textCells) cut(line, buf []byte) (cell []byte, null bool, rest []byte, more, ok bool) {
	raw, rest, more := bytes.Cut(line, []byte{'\t'})
	if string(raw) == `\N` {
		return nil, true, rest, more, true
	}
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c != '\\' {
			buf = append(buf, c)
			continue
		}
		i++
		if i == len(raw) {
			return nil, false, nil, false, false
		}
		buf = append(buf, unescaped(raw[i]))
	}
	return buf, false, rest, more, true
}

// unescaped is the byte that a backslash and c stand for. The server writes no numeric escapes.
func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'v':
		return '\v'
	}
	return c
}

func (textCells) put(dst, cell []byte) []byte {
	for _, c := range cell {
		switch c {
		case '\\':
			dst = append(dst, '\\', '\\')
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\v':
			dst = append(dst, '\\', 'v')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// csvCells is COPY's CSV format with its default marks.
type csvCells struct{}

func (csvCells) comma() byte               { return ',' }
func (csvCells) putNull(dst []byte) []byte { return dst }

func (csvCells) cut(line, buf []byte) (cell []byte, null bool, rest []byte, more, ok bool) {
	if len(line) == 0 || line[0] != '"' {
		raw, rest, more := bytes.Cut(line, []byte{','})
		return raw, len(raw) == 0, rest, more, bytes.IndexByte(raw, '"') < 0
	}
	for i := 1; i < len(line); i++ {
		switch {
		case line[i] != '"':
			buf = append(buf, line[i])
		case i+1 < len(line) && line[i+1] == '"':
			buf = append(buf, '"')
			i++
		case i+1 == len(line):
			return buf, false, nil, false, true
		case line[i+1] == ',':
			return buf, false, line[i+2:], true, true
		default:
			return nil, false, nil, false, false
		}
	}
	return nil, false, nil, false, false
}

func (csvCells) put(dst, cell []byte) []byte {
	if len(cell) > 0 && !bytes.ContainsAny(cell, "\",\n\r") && string(cell) != `\.` {
		return append(dst, cell...)
	}
	dst = append(dst, '"')
	for _, c := range cell {
		if c == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}
