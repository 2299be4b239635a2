package amqp

import (
	"encoding/binary"
	"errors"
	"math"
	"unicode/utf8"
)

// Bounds of one table, with all that is nested in it.
const (
	tableDepth  = 16
	tableFields = 4096
)

// table is a field table: arguments, headers, capabilities. Its order and the types of its values are kept, so that it can be
// written again as it was. No name is in it twice.
type table []entry

type entry struct {
	Name  string
	Value any // bool, int8, uint8, int16, uint16, int32, uint32, int64, float32, float64, decimal, string, []byte, list, stamp, table, nil
}

// list is an array of values.
type list []any

// stamp is a time in seconds since 1970.
type stamp uint64

// decimal is Value / 10^Scale.
type decimal struct {
	Scale uint8
	Value int32
}

var (
	errDeep  = errors.New("a table is nested deeper than 16 levels")
	errMany  = errors.New("a table of more than 4096 fields")
	errTwice = errors.New("a name is twice in one table")
	errBool  = errors.New("a truth value that is neither 0 nor 1")
)

// Get returns a value; ok is false where there is none of that name.
func (t table) Get(name string) (v any, ok bool) {
	for i := range t {
		if t[i].Name == name {
			return t[i].Value, true
		}
	}
	return nil, false
}

// Map is the table as conditions read it: numbers are int64 or float64, times int64, texts string; texts that are not UTF-8 stay
// []byte.
func (t table) Map() map[string]any {
	m := make(map[string]any, len(t))
	for i := range t {
		m[t[i].Name] = plain(t[i].Value)
	}
	return m
}

func plain(v any) any {
	switch v := v.(type) {
	case int8:
		return int64(v)
	case uint8:
		return int64(v)
	case int16:
		return int64(v)
	case uint16:
		return int64(v)
	case int32:
		return int64(v)
	case uint32:
		return int64(v)
	case stamp:
		return int64(min(v, math.MaxInt64)) // #nosec G115 -- it is bounded here
	case float32:
		return float64(v)
	case decimal:
		return float64(v.Value) / math.Pow10(int(v.Scale))
	case string:
		if !utf8.ValidString(v) {
			return []byte(v)
		}
	case list:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	case table:
		return v.Map()
	}
	return v
}

// table reads or writes a table.
func (c *coder) table(t *table) {
	if c.writing {
		c.out = appendTable(c.out, *t)
		return
	}
	left := tableFields
	*t = c.readTable(0, &left)
}

func (c *coder) readTable(depth int, left *int) table {
	inner := c.inner(depth)
	var t table
	for len(inner.b) > 0 && inner.err == nil {
		if *left--; *left < 0 {
			inner.fail(errMany)
			break
		}
		name := string(inner.shortBytes())
		v := inner.value(depth, left)
		if _, twice := t.Get(name); twice && inner.err == nil {
			inner.fail(errTwice)
		}
		t = append(t, entry{name, v})
	}
	if inner.err != nil {
		c.fail(inner.err)
		return nil
	}
	return t
}

func (c *coder) readList(depth int, left *int) list {
	inner := c.inner(depth)
	l := list{}
	for len(inner.b) > 0 && inner.err == nil {
		if *left--; *left < 0 {
			inner.fail(errMany)
			break
		}
		l = append(l, inner.value(depth, left))
	}
	if inner.err != nil {
		c.fail(inner.err)
		return nil
	}
	return l
}

// inner is what a length in front of a table or a list bounds.
func (c *coder) inner(depth int) *coder {
	var b []byte
	c.long(&b)
	if depth == tableDepth {
		c.fail(errDeep)
	}
	return &coder{b: b, err: c.err}
}

func (c *coder) value(depth int, left *int) any {
	kind := c.take(1)
	if kind == nil {
		return nil
	}
	switch kind[0] {
	case 't':
		b := c.take(1)
		if b != nil && b[0] > 1 {
			c.fail(errBool)
		}
		return b != nil && b[0] == 1
	case 'S':
		var b []byte
		c.long(&b)
		return string(b)
	case 'x':
		var b []byte
		c.long(&b)
		return append([]byte{}, b...)
	case 'A':
		return c.readList(depth+1, left)
	case 'F':
		return c.readTable(depth+1, left)
	case 'V':
		return nil
	}
	return c.number(kind[0])
}

func (c *coder) number(kind byte) any {
	var v8 uint8
	var v16 uint16
	var v32 uint32
	var v64 uint64
	switch kind {
	case 'b':
		c.uint8(&v8)
		return int8(v8)
	case 'B':
		c.uint8(&v8)
		return v8
	case 's':
		c.uint16(&v16)
		return int16(v16)
	case 'u':
		c.uint16(&v16)
		return v16
	case 'I':
		c.uint32(&v32)
		return int32(v32)
	case 'i':
		c.uint32(&v32)
		return v32
	case 'l':
		c.uint64(&v64)
		return int64(v64)
	case 'T':
		c.uint64(&v64)
		return stamp(v64)
	case 'f':
		c.uint32(&v32)
		return math.Float32frombits(v32)
	case 'd':
		c.uint64(&v64)
		return math.Float64frombits(v64)
	case 'D':
		c.uint8(&v8)
		c.uint32(&v32)
		return decimal{v8, int32(v32)}
	}
	c.fail(errUnknown)
	return nil
}

// appendTable appends a table. Values of other types than those of entry are left out as void.
func appendTable(dst []byte, t table) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	for i := range t {
		name := t[i].Name
		dst = append(append(dst, byte(len(name))), name...)
		dst = appendValue(dst, t[i].Value)
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

func appendValue(dst []byte, v any) []byte {
	e := binary.BigEndian
	switch v := v.(type) {
	case bool:
		if v {
			return append(dst, 't', 1)
		}
		return append(dst, 't', 0)
	case int8:
		return append(dst, 'b', byte(v))
	case uint8:
		return append(dst, 'B', v)
	case int16:
		return e.AppendUint16(append(dst, 's'), uint16(v))
	case uint16:
		return e.AppendUint16(append(dst, 'u'), v)
	case int32:
		return e.AppendUint32(append(dst, 'I'), uint32(v))
	case uint32:
		return e.AppendUint32(append(dst, 'i'), v)
	case int64:
		return e.AppendUint64(append(dst, 'l'), uint64(v))
	case stamp:
		return e.AppendUint64(append(dst, 'T'), uint64(v))
	case float32:
		return e.AppendUint32(append(dst, 'f'), math.Float32bits(v))
	case float64:
		return e.AppendUint64(append(dst, 'd'), math.Float64bits(v))
	case decimal:
		return e.AppendUint32(append(dst, 'D', v.Scale), uint32(v.Value))
	case string:
		return append(e.AppendUint32(append(dst, 'S'), uint32(len(v))), v...)
	case []byte:
		return append(e.AppendUint32(append(dst, 'x'), uint32(len(v))), v...)
	case table:
		return appendTable(append(dst, 'F'), v)
	case list:
		dst = append(dst, 'A', 0, 0, 0, 0)
		at := len(dst)
		for i := range v {
			dst = appendValue(dst, v[i])
		}
		e.PutUint32(dst[at-4:], uint32(len(dst)-at))
		return dst
	}
	return append(dst, 'V')
}
