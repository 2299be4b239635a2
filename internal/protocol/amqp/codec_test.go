package amqp

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// every is a table with a value of each type.
func every() table {
	return table{{"bool", true}, {"i8", int8(-3)}, {"u8", uint8(200)}, {"i16", int16(-300)}, {"u16", uint16(60000)}, {"i32", int32(-70000)},
		{"u32", uint32(4e9)}, {"i64", int64(-1 << 60)}, {"f32", float32(1.5)}, {"f64", 2.5}, {"dec", decimal{2, -314}}, {"text", "käse"},
		{"bytes", []byte{0, 255}}, {"time", stamp(1700000000)}, {"void", nil}, {"list", list{int32(1), "two", table{{"in", nil}}}},
		{"table", table{{"deep", table{{"er", true}}}}}}
}

// everyMethod calls f with each method that is known, empty.
func everyMethod(f func(m method)) {
	for class := range methodID(100) {
		for id := range methodID(256) {
			if m := newMethod(class<<16 | id); m != nil {
				f(m)
			}
		}
	}
}

// fill sets every field of a method.
func fill(m method) {
	v := reflect.ValueOf(m).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Interface().(type) {
		case string:
			f.SetString("text of " + v.Type().Field(i).Name)
		case []byte:
			f.SetBytes([]byte("some bytes"))
		case bool:
			f.SetBool(true)
		case table:
			f.Set(reflect.ValueOf(every()))
		default:
			f.SetUint(77)
		}
	}
}

// TestMethods: each method is read as it was written, and is what its number says; a frame with a byte too few or too many is none.
func TestMethods(t *testing.T) {
	n := 0
	everyMethod(func(m method) {
		n++
		fill(m)
		f, _, err := peekFrame(appendMethod(nil, 7, m), frameMost)
		if err != nil || f.kind != frameMethod || f.channel != 7 {
			t.Fatalf("%s: %+v %v", m.name(), f, err)
		}
		got, err := decodeMethod(f.payload)
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%s: got %+v, %v", m.name(), got, err)
		}
		for cut := range len(f.payload) - 4 {
			if _, err := decodeMethod(f.payload[:4+cut]); err == nil {
				t.Errorf("%s: understood without its last %d bytes", m.name(), len(f.payload)-4-cut)
			}
		}
		if _, err := decodeMethod(append(bytes.Clone(f.payload), 0)); err == nil {
			t.Errorf("%s: understood with a byte too many", m.name())
		}
	})
	if n != 66 {
		t.Errorf("%d methods are known", n)
	}
}

// TestTables: what is nested too deep, too often, twice, or of an unknown type is no table.
func TestTables(t *testing.T) {
	read := func(b []byte) (table, error) {
		c := coder{b: b}
		var got table
		c.table(&got)
		if c.err == nil && len(c.b) > 0 {
			c.err = errBehind
		}
		return got, c.err
	}
	whole := appendTable(nil, every())
	if got, err := read(whole); err != nil || !reflect.DeepEqual(got, every()) {
		t.Errorf("got %+v, %v", got, err)
	}
	deep := table{}
	for range tableDepth + 1 {
		deep = table{{"t", deep}}
	}
	many := table{}
	for i := range tableFields + 1 {
		many = append(many, entry{strings.Repeat("x", i%200) + string(rune('a'+i/200)), nil})
	}
	for name, c := range map[string]struct {
		b   []byte
		err error
	}{
		"deep":             {appendTable(nil, deep), errDeep},
		"many":             {appendTable(nil, many), errMany},
		"many in a list":   {appendTable(nil, table{{"l", make(list, tableFields+1)}}), errMany},
		"twice":            {appendTable(nil, table{{"a", true}, {"b", true}, {"a", false}}), errTwice},
		"an unknown type":  {[]byte{0, 0, 0, 3, 1, 'n', 'L'}, errUnknown},
		"half a truth":     {[]byte{0, 0, 0, 4, 1, 'n', 't', 2}, errBool},
		"a length too far": {[]byte{0, 0, 0, 9, 1, 'n', 't', 1}, errShort},
		"a text too far":   {[]byte{0, 0, 0, 7, 1, 'n', 'S', 0, 0, 0, 1}, errShort},
		"a huge length":    {[]byte{255, 255, 255, 255}, errShort},
	} {
		if _, err := read(c.b); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
	}
}

// TestHeaders: a content header is read as it was written, and one with flags that mean nothing is refused.
func TestHeaders(t *testing.T) {
	p := properties{has: 0xfffc, ContentType: "a/b", ContentEncoding: "gzip", Headers: every(), DeliveryMode: 2, Priority: 9, CorrelationID: "c", ReplyTo: "r",
		Expiration: "60", MessageID: "m", Timestamp: 5, Type: "t", UserID: "u", AppID: "app", ClusterID: "cl"}
	b := appendHeader(nil, 99, &p)
	if size, got, err := decodeHeader(b); err != nil || size != 99 || !reflect.DeepEqual(got, p) {
		t.Errorf("got %d %+v %v", size, got, err)
	}
	for _, flag := range []uint16{hasNone, hasMore} {
		odd := properties{has: flag}
		if _, _, err := decodeHeader(appendHeader(nil, 1, &odd)); err == nil {
			t.Errorf("flags %x are taken", flag)
		}
	}
	if _, _, err := decodeHeader(b[:len(b)-1]); err == nil {
		t.Error("a header cut short is taken")
	}
}

// TestFrames: contents are cut to the size of frames, and odd frames are refused.
func TestFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "body")
		most := rapid.IntRange(frameOver+1, 64).Draw(t, "most")
		out := appendContent(nil, 3, []byte("header"), body, most)
		var got []byte
		for i := 0; len(out) > 0; i++ {
			f, n, err := peekFrame(out, max(most, 32))
			if err != nil || f.raw == nil || f.channel != 3 || (f.kind == frameHeader) != (i == 0) {
				t.Fatalf("frame %d: %+v %v", i, f, err)
			}
			if i > 0 {
				got = append(got, f.payload...)
			}
			out = out[n:]
		}
		if !bytes.Equal(got, body) {
			t.Fatalf("got %q", got)
		}
	})
	for name, b := range map[string][]byte{
		"too large":                 {frameMethod, 0, 1, 0, 1, 0, 0},
		"huge":                      {frameBody, 0, 1, 0xff, 0xff, 0xff, 0xff},
		"of an unknown kind":        {4, 0, 1, 0, 0, 0, 0, frameEnd},
		"a heartbeat with a body":   {frameHeartbeat, 0, 0, 0, 0, 0, 1, 0, frameEnd},
		"a heartbeat on a channel":  {frameHeartbeat, 0, 1, 0, 0, 0, 0, frameEnd},
		"not ending where it says":  {frameMethod, 0, 1, 0, 0, 0, 0, 0},
		"another protocol's header": []byte("GET / HTTP/1.1"),
	} {
		if f, _, err := peekFrame(b, frameMin); err == nil {
			t.Errorf("a frame %s is taken: %+v", name, f)
		}
	}
}

func FuzzFrames(f *testing.F) {
	everyMethod(func(m method) {
		fill(m)
		f.Add(appendMethod(nil, 1, m))
	})
	f.Add(appendContent(nil, 1, appendHeader(nil, 3, &properties{has: hasType, Type: "t"}), []byte("abc"), frameMin))
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, n, err := peekFrame(b, frameMin)
		if err != nil || fr.raw == nil {
			return
		}
		if n != len(fr.raw) || n > len(b) || n > frameMin {
			t.Fatalf("a frame of %d bytes out of %d", n, len(b))
		}
		switch fr.kind {
		case frameMethod:
			m, err := decodeMethod(fr.payload)
			if err != nil {
				return
			}
			again, err := decodeMethod(append(fr.payload[:4:4], encodeFields(nil, m)...))
			if err != nil || !bytes.Equal(encodeFields(nil, again), encodeFields(nil, m)) {
				t.Fatalf("%+v is read as %+v once it was written: %v", m, again, err)
			}
		case frameHeader:
			fuzzHeader(t, fr.payload)
		}
	})
}

func FuzzHeaders(f *testing.F) {
	f.Add(appendHeader(nil, 3, &properties{has: hasHeaders | hasClusterID, Headers: every(), ClusterID: "c"}))
	f.Fuzz(fuzzHeader)
}

func fuzzHeader(t *testing.T, b []byte) {
	size, p, err := decodeHeader(b)
	if err == nil && !bytes.Equal(appendHeader(nil, size, &p), b) {
		t.Fatalf("%+v is not written as it was read: %x", p, b)
	}
}

func FuzzTables(f *testing.F) {
	f.Add(appendTable(nil, every()))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := coder{b: b}
		var got table
		if c.table(&got); c.err != nil {
			return
		}
		if again := appendTable(nil, got); !bytes.Equal(again, b[:len(b)-len(c.b)]) {
			t.Fatalf("%+v is not written as it was read", got)
		}
		got.Map()
	})
}
