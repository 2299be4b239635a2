package postgres

import (
	"bytes"

	"gatehouse/internal/access"
	"gatehouse/internal/sql/pgsql"
)

// Texts of the simple protocol carry their values, so that no two are alike, and parsing each would cost more than
// everything else together. What was understood of one text holds for another that differs only in literals, if each
// literal does no more than be compared with or assigned to a field. template finds that out by itself only for texts of
// the plainest kind; every other text is parsed.

// marks stand for literals in a template. They cannot be in a plain text.
const (
	markNumber = 1
	markString = 2
)

// template appends to key the text with its literals replaced, and to spans where they are. ok is false where the text is
// not plain: where it holds a comment, a quoted identifier, a parameter, a backslash, an escape or dollar string, a number
// in any but decimal notation, or a byte outside printable ASCII.
func template(text, key []byte, spans []access.Span) ([]byte, []access.Span, bool) {
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\'':
			end := plainString(text, i)
			if end < 0 || !plainBefore(text[:i]) {
				return key, spans, false
			}
			key = append(key, markString)
			spans = append(spans, access.Span{Start: i, End: end})
			i = end
		case c >= '0' && c <= '9':
			end := plainNumber(text, i)
			if end < 0 {
				return key, spans, false
			}
			key = append(key, markNumber)
			spans = append(spans, access.Span{Start: i, End: end})
			i = end
		case isWord(c):
			end := i
			for end < len(text) && (isWord(text[end]) || isDigit(text[end])) {
				end++
			}
			if end < len(text) && text[end] == '\'' || bytes.EqualFold(text[i:end], []byte("cast")) {
				return key, spans, false // E'', B'', X'', N'' and the like; a type may read its text as a name
			}
			key = append(key, text[i:end]...)
			i = end
		case plainByte(c) && !comment(text[i:]):
			key = append(key, c)
			i++
		default:
			return key, spans, false
		}
	}
	return key, spans, true
}

func isWord(c byte) bool  { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// plainByte reports whether c is white space or punctuation that is one token, or part of an operator.
func plainByte(c byte) bool { return bytes.IndexByte([]byte(" \t\r\n,();=<>*+-/%."), c) >= 0 }

func comment(b []byte) bool {
	return len(b) > 1 && (b[0] == '-' && b[1] == '-' || b[0] == '/' && b[1] == '*')
}

// plainBefore reports whether a string may follow b as a plain value. After a word it would be a typed constant, and a type
// such as regclass reads its text as a name.
func plainBefore(b []byte) bool {
	b = bytes.TrimRight(b, " \t\r\n")
	return len(b) > 0 && bytes.IndexByte([]byte("(,=<>"), b[len(b)-1]) >= 0
}

// plainString returns the end of the string that begins at i; -1 where it does not end, or holds a backslash, a control
// byte or a byte outside ASCII. Two strings with only white space with a newline between them would be one: a string must
// be followed by something else.
func plainString(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\'' && i+1 < len(text) && text[i+1] == '\'':
			i++
		case c == '\'':
			rest := bytes.TrimLeft(text[i+1:], " \t\r\n")
			if len(rest) > 0 && (rest[0] == '\'' || isWord(rest[0]) && len(rest)+i+1 == len(text)) {
				return -1
			}
			return i + 1
		case c == '\\' || c < 0x20 || c > 0x7e:
			return -1
		}
	}
	return -1
}

// plainNumber returns the end of the decimal number that begins at i; -1 where it is written in another way, or touches a
// name.
func plainNumber(text []byte, i int) int {
	if i > 0 && (text[i-1] == '.' || text[i-1] == '$') {
		return -1
	}
	digits := func() {
		for i < len(text) && isDigit(text[i]) {
			i++
		}
	}
	digits()
	if i+1 < len(text) && text[i] == '.' && isDigit(text[i+1]) {
		i++
		digits()
	}
	if i < len(text) && (isWord(text[i]) || text[i] == '.' || text[i] == '\'') {
		return -1
	}
	return i
}

// shaped is what was understood of all texts of one template.
type shaped struct {
	a     *pgsql.Analysis
	cat   *pgsql.Catalogue
	state uint64
}

// shapeOf returns what a parsed text teaches about its template; nil where it is not one statement whose every literal is
// bound to a field, or where the parser saw other literals than template did.
func shapeOf(j *judged, text []byte, spans []access.Span) *shaped {
	if len(j.stmts) != 1 {
		return nil
	}
	a := j.stmts[0].a
	if a.LiteralMatters || a.Offset != 0 || len(a.Literals) != len(spans) || len(a.Bound) != len(spans) || a.Prepare != nil || a.Cursor != nil || a.Explain != nil {
		return nil
	}
	if rest := bytes.TrimRight(text[len(a.Text):], "; \t\r\n"); len(rest) > 0 {
		return nil
	}
	for i, s := range spans {
		if a.Literals[i] != s || a.Bound[i].Span != s {
			return nil
		}
	}
	return &shaped{a: a, cat: j.cat, state: j.state}
}

// fit makes the analysis of another text of the same template.
func (sh *shaped) fit(text []byte, spans []access.Span) *pgsql.Analysis {
	a := *sh.a
	a.Text = string(bytes.TrimRight(text, "; \t\r\n"))
	a.Literals = append([]access.Span(nil), spans...)
	a.Bound = append([]pgsql.BoundLiteral(nil), sh.a.Bound...)
	for i := range a.Bound {
		a.Bound[i].Span = spans[i]
	}
	return &a
}
