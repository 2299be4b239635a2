package websocket

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var key = [4]byte{1, 2, 3, 4}

// all reads messages to the end.
func all(in []byte, client bool, limit int) (got []Message, err error) {
	r := NewReader(bufio.NewReader(bytes.NewReader(in)), client, limit)
	for {
		m, err := r.Next()
		if err != nil {
			return got, err
		}
		got = append(got, Message{m.Op, bytes.Clone(m.Payload)})
	}
}

// frame writes a frame as it should not be written.
func frame(first byte, m []byte) []byte { return append([]byte{first, byte(len(m))}, m...) }

// TestFragments: however a message is cut, and whatever comes between, it is the same message.
func TestFragments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		client := rapid.Bool().Draw(t, "client")
		var in []byte
		var want []Message
		put := func(op Op, final bool, b []byte) {
			var k *[4]byte
			if client {
				k = &key
			}
			at := len(in)
			in = Append(in, Message{op, b}, k)
			if !final {
				in[at] &^= 0x80
			}
		}
		for range rapid.IntRange(1, 4).Draw(t, "messages") {
			text := []byte(rapid.StringN(0, 300, 70000).Draw(t, "text"))
			op := rapid.SampledFrom([]Op{Text, Binary}).Draw(t, "op")
			rest, part := text, op
			for range rapid.IntRange(0, 4).Draw(t, "cuts") {
				n := rapid.IntRange(0, len(rest)).Draw(t, "at")
				put(part, false, rest[:n])
				rest, part = rest[n:], more
				if rapid.Bool().Draw(t, "ping") {
					put(Ping, true, []byte("p"))
					want = append(want, Message{Ping, []byte("p")})
				}
			}
			put(part, true, rest)
			want = append(want, Message{op, text})
		}
		got, err := all(in, client, 1<<20)
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if d := cmp.Diff(got, want, cmp.Transformer("text", func(b []byte) string { return string(b) })); d != "" {
			t.Fatal(d)
		}
	})
}

// TestViolations: what the RFC forbids is refused, with the code that it names.
func TestViolations(t *testing.T) {
	for _, x := range []struct {
		name string
		in   []byte
		code int
	}{
		{"a reserved bit", frame(0xc1, []byte("x")), CodeProtocol},
		{"an unknown opcode", frame(0x83, nil), CodeProtocol},
		{"an unknown control opcode", frame(0x8b, nil), CodeProtocol},
		{"a masked frame of a server", Append(nil, Message{Text, []byte("x")}, &key), CodeProtocol},
		{"a continuation of nothing", frame(0x80, nil), CodeProtocol},
		{"a beginning in the middle", append(frame(0x01, []byte("a")), frame(0x81, []byte("b"))...), CodeProtocol},
		{"a continuation after the end", append(frame(0x81, []byte("a")), frame(0x80, []byte("b"))...), CodeProtocol},
		{"a ping in parts", frame(0x09, nil), CodeProtocol},
		{"a long ping", append([]byte{0x89, 126, 0, 126}, make([]byte, 126)...), CodeProtocol},
		{"a length in two bytes that fits in one", append([]byte{0x82, 126, 0, 5}, "hello"...), CodeProtocol},
		{"a length in eight bytes that fits in two", append([]byte{0x82, 127, 0, 0, 0, 0, 0, 0, 0, 5}, "hello"...), CodeProtocol},
		{"a negative length", []byte{0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0}, CodeTooBig},
		{"a large frame", []byte{0x82, 126, 4, 1}, CodeTooBig},
		{"a large message", append(append([]byte{0x02, 126, 4, 0}, make([]byte, 1024)...), frame(0x80, []byte("x"))...), CodeTooBig},
		{"text that is not UTF-8", frame(0x81, []byte{0xff}), CodeInvalid},
		{"half a rune at the end", append(frame(0x01, []byte("a")), frame(0x80, []byte{0xc3})...), CodeInvalid},
		{"half a close code", frame(0x88, []byte{3}), CodeProtocol},
		{"a close code of nobody", frame(0x88, []byte{3, 0xed}), CodeProtocol},
		{"a close code below all", frame(0x88, []byte{0, 1}), CodeProtocol},
		{"a reason that is not UTF-8", frame(0x88, []byte{3, 0xe8, 0xff}), CodeInvalid},
	} {
		got, err := all(x.in, false, 1024)
		var v *Violation
		if !errors.As(err, &v) || v.Code != x.code || len(got) > 1 {
			t.Errorf("%s: %v, %v", x.name, got, err)
		}
	}
	if _, err := all(frame(0x81, []byte("x")), true, 10); err == nil {
		t.Error("a client's frame was taken without a mask")
	}
	if _, err := all([]byte{0x81, 5, 'a'}, false, 10); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("half a frame:", err)
	}
}

func TestClosing(t *testing.T) {
	long := strings.Repeat("é", 100)
	code, reason := Closing(Ending(CodePolicy, long))
	if code != CodePolicy || reason != long[:122] {
		t.Errorf("%d %q", code, reason)
	}
	if b := Ending(CodeNone, "x"); b != nil {
		t.Error(b)
	}
	if code, _ := Closing(nil); code != CodeNone {
		t.Error(code)
	}
}

// TestAccept is the example of RFC 6455, section 1.3.
func TestAccept(t *testing.T) {
	const k = "dGhlIHNhbXBsZSBub25jZQ=="
	if got := Accept(k); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || !ValidKey(k) || ValidKey("dGhl") || ValidKey("") {
		t.Error(got)
	}
}

// FuzzReader: whatever comes in, nothing larger than the limit comes out, and what comes out is read again as the same.
func FuzzReader(f *testing.F) {
	f.Add(frame(0x81, []byte("hello")), false)
	f.Add(Append(nil, Message{Binary, make([]byte, 200)}, &key), true)
	f.Fuzz(func(t *testing.T, in []byte, client bool) {
		got, _ := all(in, client, 1000)
		var again []byte
		for _, m := range got {
			if len(m.Payload) > 1000 {
				t.Fatal("too large")
			}
			again = Append(again, m, nil)
		}
		if back, _ := all(again, false, 1000); !cmp.Equal(back, got) {
			t.Fatal(back, got)
		}
	})
}
