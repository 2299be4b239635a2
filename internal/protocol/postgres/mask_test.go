package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/mask"
	"gatehouse/internal/sql/pgsql"
)

// canary stands for a value that must not leave.
const canary = "ada.brook@mail.example.test"

// quiet is a recorder that keeps nothing.
type quietLog struct{}

func (quietLog) Append(*access.Event) (uint64, error) { return 1, nil }
func (quietLog) Barrier(uint64) error                 { return nil }

// bench is a session without a client or backend, to rebuild rows in.
func benchSession(tb testing.TB, connection string) *session {
	tb.Helper()
	g, err := gate.OpenAside(&gate.Services{Recorder: quietLog{}, Clock: time.Now},
		&access.Connection{Name: connection, Type: "postgres"}, "postgres", "s1", gate.Limits{Message: 1 << 20, Actions: 4})
	if err != nil {
		tb.Fatal(err)
	}
	d := testDeps()
	d.Mask = mask.NewKey([32]byte{7})
	near, _ := net.Pipe()
	s := newSession(&protocol{deps: d}, near, &startup{}, gate.Limits{Message: 1 << 20})
	s.g = g
	return s
}

func scannerOf(tb testing.TB, entities ...string) *mask.Scanner {
	tb.Helper()
	if len(entities) == 0 {
		return nil
	}
	var d []access.Detection
	for _, e := range entities {
		d = append(d, access.Detection{Entity: e, Mask: access.Mask{Strategy: access.MaskRedact}})
	}
	sc, err := mask.NewScanner(d, mask.NewKey([32]byte{7}))
	if err != nil {
		tb.Fatal(err)
	}
	return sc
}

// rowOf builds the body of a DataRow; nil is NULL.
func rowOf(cells ...[]byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(cells)))
	for _, c := range cells {
		if c == nil {
			b = append(b, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(c))), c...)
	}
	return b
}

// cellsOf takes the body of a DataRow apart; NULL is "NULL".
func cellsOf(t testing.TB, b []byte) []string {
	t.Helper()
	s := scan{b: b}
	var out []string
	for range s.int16() {
		n := s.int32()
		if n < 0 {
			out = append(out, "NULL")
			continue
		}
		out = append(out, string(s.take(int(n))))
	}
	if !s.done() {
		t.Fatalf("not a row: %q", b)
	}
	return out
}

func dateOf(y int, m time.Month, d int) []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(int32(daysSince(time.Date(y, m, d, 0, 0, 0, 0, time.UTC)))))
}

func momentOf(y int, m time.Month, d, hour int) []byte {
	days := daysSince(time.Date(y, m, d, 0, 0, 0, 0, time.UTC))
	return binary.BigEndian.AppendUint64(nil, uint64(days*microsPerDay+int64(hour)*3_600_000_000))
}

// TestMaskedCells: every strategy on every kind of type, in both formats. What a type cannot hold becomes NULL.
func TestMaskedCells(t *testing.T) {
	infinity := binary.BigEndian.AppendUint32(nil, math.MaxInt32)
	long := binary.BigEndian.AppendUint64(nil, math.MaxInt64)
	card := binary.BigEndian.AppendUint64(nil, 4000007700135798)
	hide := func(s access.MaskStrategy) access.Mask { return access.Mask{Strategy: s} }
	month, year := access.Mask{Strategy: access.MaskTruncate, Unit: "month"}, access.Mask{Strategy: access.MaskTruncate, Unit: "year"}
	last := access.Mask{Strategy: access.MaskPartial, KeepLast: 4}
	for _, c := range []struct {
		name   string
		typ    uint32
		format uint16
		mask   *access.Mask
		detect []string
		value  []byte
		want   string
	}{
		{"text, not masked", oidText, 0, nil, nil, []byte(canary), canary},
		{"text, redacted", oidText, 0, ptr(hide(access.MaskRedact)), nil, []byte(canary), "[redacted]"},
		{"text, redacted, binary", oidText, 1, ptr(hide(access.MaskRedact)), nil, []byte(canary), "[redacted]"},
		{"text, redacted, empty", oidText, 0, ptr(hide(access.MaskRedact)), nil, []byte{}, "[redacted]"},
		{"text, redacted, NULL", oidText, 0, ptr(hide(access.MaskRedact)), nil, nil, "[redacted]"},
		{"text, null", oidText, 0, ptr(hide(access.MaskNull)), nil, []byte(canary), "NULL"},
		{"text, partial", oidVarchar, 0, &last, nil, []byte("4000007700135798"), "************5798"},
		{"text, partial, NULL", oidVarchar, 0, &last, nil, nil, "NULL"},
		{"text, truncate", oidText, 0, &month, nil, []byte(canary), "NULL"},
		{"number, redacted", oidInt4, 0, ptr(hide(access.MaskRedact)), nil, []byte("42"), "NULL"},
		{"number, hashed", oidInt8, 1, ptr(hide(access.MaskHash)), nil, card, "NULL"},
		{"number, partial", oidInt8, 0, &last, nil, []byte("4000007700135798"), "NULL"},
		{"bytes, redacted", oidBytea, 1, ptr(hide(access.MaskRedact)), nil, []byte(canary), "NULL"},
		{"json, redacted", oidJSON, 0, ptr(hide(access.MaskRedact)), nil, []byte(`{"a":1}`), `"[redacted]"`},
		{"jsonb, redacted, binary", oidJSONB, 1, ptr(hide(access.MaskRedact)), nil, []byte("\x01{\"a\":1}"), "\x01\"[redacted]\""},
		{"jsonb, partial", oidJSONB, 0, &last, nil, []byte(`"abc"`), `"[redacted]"`},
		{"an unknown type, redacted", 99999, 0, ptr(hide(access.MaskRedact)), nil, []byte(canary), "NULL"},
		{"date, month", oidDate, 0, &month, nil, []byte("2016-02-04"), "2016-02-01"},
		{"date, year", oidDate, 0, &year, nil, []byte("2016-02-04"), "2016-01-01"},
		{"date, month, binary", oidDate, 1, &month, nil, dateOf(2016, 2, 4), string(dateOf(2016, 2, 1))},
		{"date, before 2000, binary", oidDate, 1, &year, nil, dateOf(1967, 12, 31), string(dateOf(1967, 1, 1))},
		{"date, far, binary", oidDate, 1, &year, nil, dateOf(4000, 12, 31), string(dateOf(4000, 1, 1))},
		{"date, infinity", oidDate, 0, &month, nil, []byte("infinity"), "NULL"},
		{"date, infinity, binary", oidDate, 1, &month, nil, infinity, "NULL"},
		{"date, cut short, binary", oidDate, 1, &month, nil, []byte{1, 2}, "NULL"},
		{"time, month, binary", oidTime, 1, &month, nil, momentOf(2016, 2, 4, 13), string(momentOf(2016, 2, 1, 0))},
		{"time, before 2000, binary", oidTimeTZ, 1, &year, nil, momentOf(1999, 12, 31, 23), string(momentOf(1999, 1, 1, 0))},
		{"time, infinity, binary", oidTime, 1, &month, nil, long, "NULL"},
		{"number, truncated", oidInt4, 0, &month, nil, []byte("2016"), "NULL"},
		{"a detector, in text", oidText, 0, nil, []string{access.EntityEmail}, []byte("to " + canary + "!"), "to [redacted]!"},
		{"a detector, nothing there", oidText, 0, nil, []string{access.EntityEmail}, []byte("nobody"), "nobody"},
		{"a detector, NULL", oidText, 0, nil, []string{access.EntityEmail}, nil, "NULL"},
		{"a detector, in jsonb, binary", oidJSONB, 1, nil, []string{access.EntityEmail}, []byte("\x01{\"e\": \"" + canary + "\"}"), "\x01{\"e\": \"[redacted]\"}"},
		{"a detector, in a number", oidInt8, 0, nil, []string{access.EntityCreditCard}, []byte("4000007700135798"), "NULL"},
		{"a detector, in a binary number", oidInt8, 1, nil, []string{access.EntityCreditCard}, card, "NULL"},
		{"a detector, in an array", 1009, 0, nil, []string{access.EntityEmail}, []byte("{" + canary + "}"), "NULL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := benchSession(t, "shop")
			col := column{typ: c.typ, format: c.format}
			if c.mask != nil {
				col.mask, col.hidden = *c.mask, true
			}
			r := &run{fields: []field{{typ: c.typ}}, plan: &plan{columns: []column{col}, scan: scannerOf(t, c.detect...)}}
			if err := s.rebuild(r, rowOf(c.value)); err != nil {
				t.Fatal(err)
			}
			if got := cellsOf(t, s.add); got[0] != c.want {
				t.Errorf("got %q, want %q", got[0], c.want)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

// TestHashedCells: equal values give equal tokens on one connection, and different ones on another.
func TestHashedCells(t *testing.T) {
	token := func(connection, value string) string {
		s := benchSession(t, connection)
		col := column{typ: oidText, hidden: true, mask: access.Mask{Strategy: access.MaskHash}}
		r := &run{fields: []field{{typ: oidText}}, plan: &plan{columns: []column{col}}}
		if err := s.rebuild(r, rowOf([]byte(value))); err != nil {
			t.Fatal(err)
		}
		return cellsOf(t, s.add)[0]
	}
	a := token("shop", canary)
	if a != token("shop", canary) || a == token("shop", "other") || strings.Contains(a, "ada") {
		t.Errorf("token %q", a)
	}
	if a == token("crm", canary) {
		t.Error("tokens of two connections can be joined")
	}
}

// TestRowsThatDoNotFit: a row that is not what was described shows nothing.
func TestRowsThatDoNotFit(t *testing.T) {
	hidden := column{typ: oidText, hidden: true, mask: redact}
	for name, body := range map[string][]byte{
		"one column less":       rowOf([]byte(canary)),
		"one column more":       rowOf([]byte("a"), []byte(canary), []byte("c")),
		"bytes at the end":      append(rowOf([]byte("a"), []byte("b")), canary...),
		"a length past the end": {0, 2, 0, 0, 0, 1, 'a', 0, 0, 0, 99, 'b'},
		"a negative count":      {0xff, 0xff},
		"nothing":               {},
	} {
		s := benchSession(t, "shop")
		r := &run{fields: make([]field, 2), plan: &plan{columns: []column{hidden, hidden}}}
		if err := s.rebuild(r, body); fault.KindOf(err) != fault.Backend {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := benchSession(t, "shop")
	if err := s.rebuild(&run{}, rowOf([]byte(canary), []byte("b"))); err != nil {
		t.Fatal(err)
	}
	if got := cellsOf(t, s.add); strings.Join(got, ",") != "NULL,NULL" {
		t.Errorf("columns that are not known show %q", got)
	}
}

// TestCopiedCells: the formats of COPY are rebuilt cell by cell, NULL and quoting included.
func TestCopiedCells(t *testing.T) {
	hidden := column{typ: oidText, hidden: true, mask: redact}
	blank := column{typ: oidText, hidden: true, mask: access.Mask{Strategy: access.MaskNull}}
	open := column{typ: oidText}
	for _, c := range []struct {
		name    string
		format  cells
		columns []column
		line    string
		want    string // empty: refused
	}{
		{"text", textCells{}, []column{open, hidden, open}, "1\tada\tx\n", "1\t[redacted]\tx\n"},
		{"text, escapes", textCells{}, []column{open, open}, "a\\tb\\nc\\\\d\t\\b\\f\\r\\v\n", "a\\tb\\nc\\\\d\t\\b\\f\\r\\v\n"},
		{"text, NULL", textCells{}, []column{open, hidden, blank}, "\\N\t\\N\tx\n", "\\N\t[redacted]\t\\N\n"},
		{"text, a cell that looks like NULL", textCells{}, []column{open}, "\\\\N\n", "\\\\N\n"},
		{"text, too few", textCells{}, []column{open, hidden}, "ada\n", ""},
		{"text, too many", textCells{}, []column{hidden}, "x\tada\n", ""},
		{"text, no end", textCells{}, []column{open}, "ada", ""},
		{"text, a lone backslash", textCells{}, []column{open}, "ada\\\n", ""},
		{"csv", csvCells{}, []column{open, hidden, open}, "1,\"a,d\"\"a\",x\n", "1,[redacted],x\n"},
		{"csv, quotes", csvCells{}, []column{open, open}, "\"a\"\"b\",\"c\nd\"\n", "\"a\"\"b\",\"c\nd\"\n"},
		{"csv, NULL and empty", csvCells{}, []column{open, open, hidden, blank}, ",\"\",,x\n", ",\"\",[redacted],\n"},
		{"csv, an open quote", csvCells{}, []column{open}, "\"ada\n", ""},
		{"csv, a quote within", csvCells{}, []column{open}, "a\"da\n", ""},
		{"csv, bytes after a quote", csvCells{}, []column{open, open}, "\"a\"da,x\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := benchSession(t, "shop")
			ok := s.copyText(&run{plan: &plan{columns: c.columns}}, []byte(c.line), c.format)
			if ok != (c.want != "") || ok && string(s.add) != c.want {
				t.Errorf("got %t %q, want %q", ok, s.add, c.want)
			}
		})
	}
	head := append(append([]byte(nil), binaryMark...), 0, 0, 0, 0, 0, 0, 0, 0)
	row := rowOf([]byte("1"), []byte("ada"))
	for name, c := range map[string]struct {
		in, want []byte
	}{
		"header and row": {append(append([]byte(nil), head...), row...), append(append([]byte(nil), head...), rowOf([]byte("1"), []byte("[redacted]"))...)},
		"row":            {row, rowOf([]byte("1"), []byte("[redacted]"))},
		"NULL":           {rowOf(nil, nil), rowOf(nil, []byte("[redacted]"))},
		"trailer":        {[]byte{0xff, 0xff}, []byte{0xff, 0xff}},
		"too few":        {rowOf([]byte("ada")), nil},
		"cut short":      {row[:len(row)-1], nil},
		"after the end":  {append([]byte{0xff, 0xff}, row...), nil},
	} {
		s := benchSession(t, "shop")
		ok := s.copyBinary(&run{plan: &plan{columns: []column{open, hidden}}}, c.in)
		if ok != (c.want != nil) || ok && string(s.add) != string(c.want) {
			t.Errorf("binary, %s: got %t %q, want %q", name, ok, s.add, c.want)
		}
	}
}

// TestCopyHeader: the first line passes only where it is the header that was asked for, to the letter.
func TestCopyHeader(t *testing.T) {
	hidden := column{typ: oidText, hidden: true, mask: redact}
	a := &pgsql.Analysis{Copy: &pgsql.Copy{Header: "true", Outputs: []pgsql.Output{{Name: "name"}}}}
	for _, c := range []struct {
		rows       int64
		line, want string
	}{{1, "name\n", "name\n"}, {1, "ada\n", "[redacted]\n"}, {2, "name\n", "[redacted]\n"}} {
		s := benchSession(t, "shop")
		r := &run{u: &understood{a: a}, plan: &plan{columns: []column{hidden}}}
		r.out.Rows = c.rows
		if !s.copyText(r, []byte(c.line), csvCells{}) || string(s.add) != c.want {
			t.Errorf("row %d, %q: %q", c.rows, c.line, s.add)
		}
	}
}

// TestSQLSTATEs: each kind of refusal has the class that pools and retry loops act on sensibly.
func TestSQLSTATEs(t *testing.T) {
	for _, c := range []struct {
		err  error
		code string
		say  string
	}{
		{fault.New(fault.Unauthenticated, "op", "who"), "28P01", "who"},
		{fault.New(fault.Denied, "op", "no"), "42501", "no"},
		{fault.New(fault.Pending, "op", "wait"), "42501", "wait"},
		{fault.New(fault.Malformed, "op", "what"), "42601", "what"},
		{fault.New(fault.Backend, "op", "lost"), "08006", "lost"},
		{fault.New(fault.Unavailable, "op", "closed"), "57P03", "closed"},
		{fault.New(fault.NotFound, "op", "none"), "42704", "none"},
		{fault.New(fault.Conflict, "op", "state"), "55000", "state"},
		{fault.New(fault.Internal, "op", ""), "XX000", "the gateway could not do this; its log says why"},
		{errors.New(canary), "XX000", "the gateway could not do this; its log says why"},
		{fault.Wrap(fault.Backend, "op", errors.New(canary), "lost"), "08006", "lost"},
		{sayCode("57014", fault.Pending, "cancelled", ""), "57014", "cancelled"},
		{fault.Wrap(fault.Denied, "op", sayCode("0A000", fault.Denied, "inner", ""), "outer"), "0A000", "outer"},
		{context.Canceled, "XX000", "the gateway could not do this; its log says why"},
		{fault.New(fault.Denied, "op", "a\x00b"), "42501", "ab"},
	} {
		b := appendError(nil, "ERROR", c.err)
		if len(frames(b)) != 1 || errorField(b[head:], 'C') != c.code || errorField(b[head:], 'M') != c.say || errorCode(b[head:]) != c.code {
			t.Errorf("%v: %q, want %s %q", c.err, b, c.code, c.say)
		}
		if strings.Contains(string(b), canary) {
			t.Errorf("%v: tells %q", c.err, b)
		}
	}
}

func masked(string, string) bool   { return false }
func unmasked(string, string) bool { return true }

// TestCoarseErrors: of an error about masked fields only what cannot hold a value is left.
func TestCoarseErrors(t *testing.T) {
	for _, code := range []string{"23505", "22P02", "P0001", "23502", "23503", "23514", "23P01", "XX000", "99999", "", "2"} {
		var body []byte
		for _, f := range "SVCMDHPpqWstcdnFLR?" {
			v := canary
			switch f {
			case 'S', 'V':
				v = "ERROR"
			case 'C':
				v = code
			case 's', 't', 'n':
				v = "customers"
			case 'P', 'p', 'L':
				v = "7"
			}
			body = appendErrorField(body, byte(f), v)
		}
		body = append(body, 0)
		out, said := appendCoarse(nil, ansError, body, masked)
		if len(frames(out)) != 1 || strings.Contains(string(out), canary) {
			t.Errorf("%s: tells %q", code, out)
		}
		if strings.HasPrefix(code, "23") && (said != "23000" || errorField(out[head:], 'n') != "") {
			t.Errorf("a violation says which: %q", out)
		}
		if out, said := appendCoarse(nil, ansError, body, unmasked); strings.HasPrefix(code, "23") && code != "23503" && (said != code || errorField(out[head:], 'n') == "") {
			t.Errorf("a violation in a table without masks does not say which: %q", out)
		}
		for _, f := range "DHPpqWcdFLR" {
			if v := errorField(out[head:], byte(f)); v != "" {
				t.Errorf("%s: field %c is %q", code, f, v)
			}
		}
	}
	for _, broken := range [][]byte{nil, {0}, {'C'}, []byte("C" + canary), {'S', 0, 'C', 0}} {
		out, _ := appendCoarse(nil, ansError, broken, unmasked)
		if len(frames(out)) != 1 || strings.Contains(string(out), canary) {
			t.Errorf("%q: %q", broken, out)
		}
	}
}
