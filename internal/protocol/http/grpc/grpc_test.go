package grpc

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
)

// schema has a message Node of one field of each kind that is treated by itself, and a service.
func schema(t testing.TB) (*Schema, protoreflect.MessageDescriptor) {
	t.Helper()
	type kind = descriptorpb.FieldDescriptorProto_Type
	node := &descriptorpb.DescriptorProto{Name: proto.String("Node")}
	for i, f := range []struct {
		name string
		kind kind
		of   string
		many bool
	}{
		{"e_mail", descriptorpb.FieldDescriptorProto_TYPE_STRING, "", false}, {"next", descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, ".t.Node", false},
		{"list", descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, ".t.Node", true}, {"any", descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, ".google.protobuf.Any", false},
		{"big", descriptorpb.FieldDescriptorProto_TYPE_UINT64, "", false}, {"raw", descriptorpb.FieldDescriptorProto_TYPE_BYTES, "", false},
		{"texts", descriptorpb.FieldDescriptorProto_TYPE_STRING, "", true},
	} {
		d := &descriptorpb.FieldDescriptorProto{Name: proto.String(f.name), Number: proto.Int32(int32(i + 1)), Type: f.kind.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
		if f.many {
			d.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		}
		if f.of != "" {
			d.TypeName = proto.String(f.of)
		}
		node.Field = append(node.Field, d)
	}
	set := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{protodesc.ToFileDescriptorProto(anypb.File_google_protobuf_any_proto),
		{Name: proto.String("t.proto"), Package: proto.String("t"), Syntax: proto.String("proto3"), Dependency: []string{"google/protobuf/any.proto"}, MessageType: []*descriptorpb.DescriptorProto{node},
			Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("S"), Method: []*descriptorpb.MethodDescriptorProto{{Name: proto.String("M"), InputType: proto.String(".t.Node"), OutputType: proto.String(".t.Node")}}}}}}}
	raw, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Read(raw)
	if err != nil {
		t.Fatal(err)
	}
	m := s.Method("/t.S/M")
	if m == nil || s.Method("/t.S/N") != nil || s.Method("/t.Node/M") != nil || s.Method("t") != nil {
		t.Fatal("methods are not found as they should be")
	}
	return s, m.Output()
}

func encoded(t testing.TB, s *Schema, d protoreflect.MessageDescriptor, from string) []byte {
	t.Helper()
	m := dynamicpb.NewMessage(d)
	if err := (protojson.UnmarshalOptions{Resolver: s.types}).Unmarshal([]byte(from), m); err != nil {
		t.Fatal(err)
	}
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func hider(t testing.TB, s *Schema, d access.DocumentMasks) *Hider {
	t.Helper()
	p, err := s.Plan(d, mask.NewKey([32]byte{1}), "shop")
	if err != nil {
		t.Fatal(err)
	}
	return p.Hider()
}

func at(strategy access.MaskStrategy, paths ...string) (d access.DocumentMasks) {
	for _, p := range paths {
		d.Paths = append(d.Paths, access.PathMask{Path: p, Mask: access.Mask{Strategy: strategy, KeepLast: 4}})
	}
	return d
}

func TestHide(t *testing.T) {
	s, d := schema(t)
	cards := access.DocumentMasks{Detect: []access.Detection{{Entity: "CREDIT_CARD", Mask: access.Mask{Strategy: access.MaskRedact}}}}
	const held = `{"any": {"@type": "type.googleapis.com/t.Node", "eMail": "x"}, "eMail": "y"}`
	for _, x := range []struct {
		name     string
		masks    access.DocumentMasks
		in, want string
		hits     int64
	}{
		{"by the schema's name", at(access.MaskRedact, "$.e_mail"), `{"eMail": "x", "next": {"eMail": "y"}}`, `{"eMail": "[redacted]", "next": {"eMail": "y"}}`, 1},
		{"by JSON's name", at(access.MaskRedact, "$.next.eMail"), `{"eMail": "x", "next": {"eMail": "y"}}`, `{"eMail": "x", "next": {"eMail": "[redacted]"}}`, 1},
		{"anywhere", at(access.MaskNull, "**.email", "**.e_mail"), `{"eMail": "x", "list": [{"eMail": "y"}, {"big": "1"}]}`, `{"list": [{}, {"big": "1"}]}`, 2},
		{"one element", at(access.MaskPartial, "$.list[1].e_mail"), `{"list": [{"eMail": "12345678"}, {"eMail": "12345678"}]}`, `{"list": [{"eMail": "12345678"}, {"eMail": "*****678"}]}`, 1},
		{"each of a list of text", at(access.MaskRedact, "$.texts[*]"), `{"texts": ["a", "b"]}`, `{"texts": ["[redacted]", "[redacted]"]}`, 2},
		{"what is no text", at(access.MaskRedact, "$.big", "$.raw", "$.next", "$.list"), `{"big": "5", "raw": "AAAA", "next": {"eMail": "y"}, "list": [{}]}`, `{}`, 4},
		{"inside of anything", at(access.MaskRedact, "$.any.e_mail"), held, `{"any": {"@type": "type.googleapis.com/t.Node", "eMail": "[redacted]"}, "eMail": "y"}`, 1},
		{"everything", at(access.MaskRedact, "$"), held, `{}`, 1},
		{"the resource", access.DocumentMasks{Whole: &access.Mask{}}, held, `{}`, 1},
		{"by a detector", cards, `{"eMail": "a 4111111111111111", "big": "4111111111111111", "raw": "NDExMTExMTExMTExMTExMQ==", "texts": ["4111111111111111", "x"]}`,
			`{"eMail": "a [redacted]", "raw": "W3JlZGFjdGVkXQ==", "texts": ["[redacted]", "x"]}`, 4},
	} {
		h := hider(t, s, x.masks)
		out, err := h.Hide(encoded(t, s, d, x.in), d)
		m, want := dynamicpb.NewMessage(d), dynamicpb.NewMessage(d)
		if errors.Join(err, proto.Unmarshal(out, m), proto.Unmarshal(encoded(t, s, d, x.want), want)) != nil || !proto.Equal(m, want) || h.Hits != x.hits {
			t.Errorf("%s: %v %d %v", x.name, m, h.Hits, err)
		}
	}
}

// TestUnknownFieldsAreDropped: what the descriptor does not know does not pass, at any depth; nor does what an Any holds of a type that
// nobody knows.
func TestUnknownFieldsAreDropped(t *testing.T) {
	s, d := schema(t)
	secret := protowire.AppendString(protowire.AppendTag(nil, 99, protowire.BytesType), "canary")
	inner := append(encoded(t, s, d, `{"eMail": "x"}`), secret...)
	stranger := protowire.AppendBytes(protowire.AppendTag(protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "type.googleapis.com/t.Stranger"), 2, protowire.BytesType), secret)
	in := append([]byte(nil), secret...)
	for field, v := range map[protowire.Number][]byte{2: inner, 3: inner, 4: stranger} {
		in = protowire.AppendBytes(protowire.AppendTag(in, field, protowire.BytesType), v)
	}
	h := hider(t, s, at(access.MaskRedact, "$.nothing"))
	out, err := h.Hide(in, d)
	if err != nil || bytes.Contains(out, []byte("canary")) || !bytes.Contains(out, []byte("x")) {
		t.Errorf("%q %v", out, err)
	}
}

// TestUnreadable: what is not of its type is not passed.
func TestUnreadable(t *testing.T) {
	s, d := schema(t)
	deep := encoded(t, s, d, `{"eMail": "x"}`)
	for range maxDepth + 1 {
		deep = protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), deep)
	}
	for name, in := range map[string][]byte{"no message": []byte("canary"), "half": {0x0a, 5, 'a'}, "not UTF-8": {0x0a, 1, 0xff}, "too deep": deep} {
		if out, err := hider(t, s, at(access.MaskRedact, "$.e_mail")).Hide(in, d); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %q %v", name, out, err)
		}
	}
	if _, err := Read([]byte("not descriptors")); err == nil {
		t.Error("read")
	}
}

func zipped(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(b)
	_ = w.Close()
	out := Append(nil, z.Bytes())
	out[0] = 1
	return out
}

func TestFrames(t *testing.T) {
	body := append(Append(Append(nil, []byte("one")), nil), zipped([]byte("three"))...)
	for name, r := range map[string]io.Reader{"at once": bytes.NewReader(body), "byte by byte": iotest.OneByteReader(bytes.NewReader(body))} {
		f, err := NewFrames(r, "gzip", 100)
		if err != nil {
			t.Fatal(err)
		}
		out, err := io.ReadAll(Change(io.NopCloser(r), f, func(m []byte) ([]byte, error) { return bytes.ToUpper(m), nil }))
		if want := Append(Append(Append(nil, []byte("ONE")), nil), []byte("THREE")); err != nil || !bytes.Equal(out, want) {
			t.Errorf("%s: %q %v", name, out, err)
		}
	}
	for name, x := range map[string]struct {
		in       []byte
		encoding string
	}{
		"half a head":            {[]byte{0, 0}, ""},
		"half a message":         {Append(nil, []byte("abc"))[:6], ""},
		"too large":              {Append(nil, make([]byte, 101)), ""},
		"larger than all":        {[]byte{0, 0xff, 0xff, 0xff, 0xff}, ""},
		"an unknown flag":        {[]byte{0x80, 0, 0, 0, 0}, ""},
		"compressed, it says":    {zipped([]byte("x")), "identity"},
		"not compressed":         {append([]byte{1, 0, 0, 0, 3}, "abc"...), "gzip"},
		"a bomb":                 {zipped(make([]byte, 1<<20)), "gzip"},
		"a message that is less": {zipped([]byte("x"))[:20], "gzip"},
	} {
		f, err := NewFrames(bytes.NewReader(x.in), x.encoding, 100)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := f.Next(); !errors.Is(err, ErrFraming) {
			t.Errorf("%s: %q %v", name, m, err)
		}
	}
	if _, err := NewFrames(strings.NewReader(""), "snappy", 1); !errors.Is(err, ErrFraming) {
		t.Error("an unknown encoding was taken")
	}
}

func TestTimeout(t *testing.T) {
	for in, want := range map[string]time.Duration{"20S": 20 * time.Second, "100m": 100 * time.Millisecond, "1u": time.Microsecond, "99999999H": 1 << 62, "": -1, "S": -1, "1": -1, "-1S": -1, "1x": -1, "123456789S": -1} {
		if got, ok := Timeout(in); ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %v %v", in, got, ok)
		}
	}
}

func TestEscape(t *testing.T) {
	if got := Escape("50% ä\n"); got != "50%25 %C3%A4%0A" {
		t.Error(got)
	}
}

// TestFinding: a server that sends one file at a time is asked for what is missing, and one that sends nothing new is let be.
func TestFinding(t *testing.T) {
	file := func(name string, needs ...string) []byte {
		raw, err := proto.Marshal(&descriptorpb.FileDescriptorProto{Name: proto.String(name), Dependency: needs})
		if err != nil {
			t.Fatal(err)
		}
		list := protowire.AppendBytes(protowire.AppendTag(nil, oneFile, protowire.BytesType), raw)
		return Append(nil, protowire.AppendBytes(protowire.AppendTag(nil, gotFiles, protowire.BytesType), list))
	}
	f := Find("t.S")
	if q := f.Ask(); !bytes.Contains(q, []byte("t.S")) {
		t.Errorf("%q", q)
	}
	if err := f.Answer(file("a.proto", "b.proto")); err != nil {
		t.Fatal(err)
	}
	if q := f.Ask(); !bytes.Contains(q, []byte("b.proto")) {
		t.Errorf("%q", q)
	}
	if err := f.Answer(file("b.proto")); err != nil || f.Ask() != nil {
		t.Fatal(err)
	}
	if _, err := f.Schema(); err != nil {
		t.Error(err)
	}
	for name, answer := range map[string][]byte{"nothing": nil, "rubbish": Append(nil, []byte("\xff")), "a frame that lies": {0, 0, 0, 0, 9}} {
		if err := Find("t.S").Answer(answer); err == nil {
			t.Error(name)
		}
	}
}

// FuzzHide: whatever comes in, a masked field never comes out with its value.
func FuzzHide(f *testing.F) {
	s, d := schema(f)
	f.Add(encoded(f, s, d, `{"eMail": "canary", "next": {"eMail": "canary"}, "any": {"@type": "type.googleapis.com/t.Node", "eMail": "canary"}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := hider(t, s, at(access.MaskNull, "**.e_mail", "**.any")).Hide(in, d)
		if err != nil {
			return
		}
		m := dynamicpb.NewMessage(d)
		if err := proto.Unmarshal(out, m); err != nil || strings.Contains(protojson.Format(m), "eMail") {
			t.Errorf("%v %v", m, err)
		}
	})
}
