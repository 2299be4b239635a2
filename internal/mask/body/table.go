package body

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
)

// table is the stream of a CSV document (RFC 4180) in which columns are hidden by their names, which the first row holds. It
// holds a row at a time. What some readers take for a separator or a quote and others do not is unreadable, and so is a
// first row that looks like values.
type table struct {
	rules *Rules
	held  int
	hits  *counter
	lines lines

	buf    []byte // the row, as far as it has come
	at     int    // how far it was looked at
	quoted bool   // at stands inside of quotes
	comma  byte   // what parts the columns; 0 before the first row
	names  [][]byte
	row    int // the number of the next row below the names
	cells  []cell
	state  State
	below  State
}

// cell is one value of a row.
type cell struct {
	raw    []byte
	quoted bool
}

func (t *table) wrong(why string) error { return fmt.Errorf("%w: CSV: %s", ErrUnreadable, why) }

func (t *table) write(dst, src []byte) ([]byte, error) {
	t.buf = append(t.buf, src...)
	sent := 0
	for t.at < len(t.buf) {
		part := t.buf[t.at:]
		n := bytes.IndexByte(part, '\n') + 1
		if n > 0 {
			part = part[:n]
		}
		if bytes.IndexByte(part, 0) >= 0 {
			return dst, t.wrong("it holds NUL, or is UTF-16 or UTF-32")
		}
		if bytes.Count(part, []byte{'"'})%2 == 1 {
			t.quoted = !t.quoted // two of them inside a value change nothing
		}
		if t.at += len(part); t.at-sent > t.held+2 { // beyond its line's end
			return dst, t.wrong("a row is too large")
		}
		if n > 0 && !t.quoted {
			var err error
			if dst, err = t.line(dst, t.buf[sent:t.at]); err != nil {
				return dst, err
			}
			sent = t.at
		}
	}
	if sent > 0 {
		t.buf = append(t.buf[:0], t.buf[sent:]...)
		t.at -= sent
	}
	return dst, nil
}

func (t *table) close(dst []byte) ([]byte, error) {
	if t.quoted {
		return dst, t.wrong("it ends inside of quotes")
	}
	return t.line(dst, t.buf)
}

// line appends what becomes of a row.
func (t *table) line(dst, row []byte) ([]byte, error) {
	body := bytes.TrimSuffix(bytes.TrimSuffix(row, []byte("\n")), []byte("\r"))
	end := row[len(body):]
	if t.comma == 0 {
		mark := bytes.HasPrefix(body, []byte("\ufeff")) // as spreadsheets write it
		if mark {
			dst, body = append(dst, body[:3]...), body[3:]
		}
		if len(body) == 0 {
			return append(dst, end...), nil
		}
		if err := t.begin(body); err != nil {
			return dst, err
		}
		return append(t.render(dst, t.titles()), end...), nil
	}
	if len(body) == 0 {
		return append(dst, end...), nil
	}
	if err := t.split(body); err != nil {
		return dst, err
	}
	if len(t.cells) > len(t.names) {
		return dst, t.wrong("a row has more values than there are names")
	}
	p := t.rules.paths
	t.state = p.EnterIndex(t.state[:0], p.start, t.row)
	t.row++
	for i := range t.cells {
		t.below = p.Enter(t.below[:0], t.state, t.names[i])
		t.hide(i, p.start, t.state, t.below)
	}
	return append(t.render(dst, t.cells), end...), nil
}

// begin reads the row of names.
func (t *table) begin(row []byte) error {
	for _, c := range []byte(",;\t|") {
		if bytes.IndexByte(row, c) < 0 {
			continue
		}
		if t.comma != 0 {
			return t.wrong("several bytes may part its columns")
		}
		t.comma = c
	}
	if t.comma == 0 {
		t.comma = ','
	}
	if err := t.split(row); err != nil {
		return err
	}
	for _, c := range t.cells {
		name := bytes.TrimSpace(c.value())
		first, _ := utf8.DecodeRune(name)
		if len(name) == 0 || len(name) > access.MaxPathBytes || first != '_' && (first|0x20 < 'a' || first|0x20 > 'z') && first < utf8.RuneSelf || bytes.IndexByte(name, '@') >= 0 {
			return t.wrong("its first row holds no names")
		}
		t.names = append(t.names, bytes.Clone(name))
	}
	return nil
}

// titles are the cells of the first row, which a path hides where it leads to the document.
func (t *table) titles() []cell {
	for i := range t.cells {
		t.hide(i, t.rules.paths.start)
	}
	return t.cells
}

// split reads a row's cells.
func (t *table) split(row []byte) error {
	t.cells = t.cells[:0]
	for {
		n, quoted := 0, len(row) > 0 && row[0] == '"'
		if quoted {
			n = closing(row)
			if bytes.Contains(row[:n], []byte(`\"`)) {
				return t.wrong("a backslash stands before a quote")
			}
		} else if n = bytes.IndexByte(row, t.comma); n < 0 {
			n = len(row)
		}
		if !quoted && bytes.ContainsAny(row[:n], "\"\r") || n < len(row) && row[n] != t.comma {
			return t.wrong("a quote or a carriage return stands inside a value")
		}
		t.cells = append(t.cells, cell{row[:n], quoted})
		if n == len(row) {
			return nil
		}
		row = row[n+1:]
	}
}

// closing returns where a value in quotes ends: the quotes of a row are even in number.
func closing(row []byte) int {
	for i := 1; i < len(row); i++ {
		if row[i] != '"' {
			continue
		}
		if i+1 == len(row) || row[i+1] != '"' {
			return i + 1
		}
		i++
	}
	return len(row)
}

// value returns what a cell says.
func (c cell) value() []byte {
	if !c.quoted {
		return c.raw
	}
	return bytes.ReplaceAll(c.raw[1:len(c.raw)-1], []byte(`""`), []byte(`"`))
}

// hide hides a cell by the strongest mask of where it stands, or what the detectors find in it.
func (t *table) hide(i int, states ...State) {
	var m access.Mask
	found := false
	for _, s := range states {
		switch one, ok := t.rules.paths.Mask(s); {
		case ok && found:
			m = mask.Stronger(m, one)
		case ok:
			m, found = one, true
		}
	}
	c := &t.cells[i]
	var out []byte
	switch {
	case found:
		t.hits.n++
		out = mask.Value(nil, c.value(), m, t.rules.key, t.rules.domain)
	case t.rules.scan != nil:
		var hits int
		if out, hits = t.lines.detect(c.value(), t.names[i], true); hits == 0 {
			return
		}
		out = bytes.Clone(out) // until the row is written
	default:
		return
	}
	if c.quoted || strings.ContainsAny(string(out), "\"\r\n"+string(rune(t.comma))) {
		out = append(append([]byte{'"'}, bytes.ReplaceAll(out, []byte(`"`), []byte(`""`))...), '"')
	}
	c.raw = out
}

func (t *table) render(dst []byte, cells []cell) []byte {
	for i, c := range cells {
		if i > 0 {
			dst = append(dst, t.comma)
		}
		dst = append(dst, c.raw...)
	}
	return dst
}
