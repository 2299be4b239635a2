package grpc

import (
	"errors"
	"math"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
)

const (
	optional = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
	repeated = descriptorpb.FieldDescriptorProto_LABEL_REPEATED
)

func field(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type, label descriptorpb.FieldDescriptorProto_Label, of string) *descriptorpb.FieldDescriptorProto {
	f := &descriptorpb.FieldDescriptorProto{Name: proto.String(name), Number: proto.Int32(number), Type: kind.Enum(), Label: label.Enum()}
	if of != "" {
		f.TypeName = proto.String(of)
	}
	return f
}

// kinds is a schema of proto2 whose message M has a field of each kind that is read in a way of its own.
func kinds(t testing.TB, more ...*descriptorpb.FileDescriptorProto) (*Schema, protoreflect.MessageDescriptor) {
	t.Helper()
	type d = descriptorpb.FieldDescriptorProto
	m := &descriptorpb.DescriptorProto{Name: proto.String("M"), Field: []*d{
		field("flag", 1, descriptorpb.FieldDescriptorProto_TYPE_BOOL, optional, ""), field("amount", 2, descriptorpb.FieldDescriptorProto_TYPE_INT32, optional, ""),
		field("ratio", 3, descriptorpb.FieldDescriptorProto_TYPE_DOUBLE, optional, ""), field("small", 4, descriptorpb.FieldDescriptorProto_TYPE_FLOAT, optional, ""),
		field("one", 5, descriptorpb.FieldDescriptorProto_TYPE_STRING, optional, ""), field("two", 6, descriptorpb.FieldDescriptorProto_TYPE_STRING, optional, ""),
		field("packed", 7, descriptorpb.FieldDescriptorProto_TYPE_UINT32, repeated, ""), field("map", 8, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, repeated, ".k.M.MapEntry"),
		field("group", 9, descriptorpb.FieldDescriptorProto_TYPE_GROUP, optional, ".k.M.Group"), field("big", 10, descriptorpb.FieldDescriptorProto_TYPE_UINT64, optional, ""),
		field("empty", 11, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, repeated, ".k.E"), field("named", 12, descriptorpb.FieldDescriptorProto_TYPE_STRING, optional, ""),
	}, OneofDecl: []*descriptorpb.OneofDescriptorProto{{Name: proto.String("choice")}},
		ExtensionRange: []*descriptorpb.DescriptorProto_ExtensionRange{{Start: proto.Int32(100), End: proto.Int32(200)}},
		NestedType: []*descriptorpb.DescriptorProto{
			{Name: proto.String("MapEntry"), Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)}, Field: []*d{
				field("key", 1, descriptorpb.FieldDescriptorProto_TYPE_STRING, optional, ""), field("value", 2, descriptorpb.FieldDescriptorProto_TYPE_STRING, optional, "")}},
			{Name: proto.String("Group"), Field: []*d{field("inner", 1, descriptorpb.FieldDescriptorProto_TYPE_STRING, optional, "")}}}}
	m.Field[4].OneofIndex, m.Field[5].OneofIndex = proto.Int32(0), proto.Int32(0)
	m.Field[11].JsonName = proto.String("amount")
	extension := field("added", 100, descriptorpb.FieldDescriptorProto_TYPE_STRING, optional, "")
	extension.Extendee = proto.String(".k.M")
	file := &descriptorpb.FileDescriptorProto{Name: proto.String("k.proto"), Package: proto.String("k"), Syntax: proto.String("proto2"),
		MessageType: []*descriptorpb.DescriptorProto{m, {Name: proto.String("E")}}, Extension: []*d{extension}}
	set := &descriptorpb.FileDescriptorSet{File: append(more, file)}
	if len(more) > 0 {
		file.Dependency = []string{more[0].GetName()}
		m.Field = append(m.Field, field("held", 13, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, optional, "."+more[0].GetPackage()+"."+more[0].GetMessageType()[0].GetName()))
	}
	s, err := schemaOf(set, 0)
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.files.FindDescriptorByName("k.M")
	if err != nil {
		t.Fatal(err)
	}
	return s, found.(protoreflect.MessageDescriptor)
}

func varint(n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
}

func words(n protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, n, protowire.BytesType), s)
}

func join(parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// TestAttackByOtherReaders: conditions read no message that readers of Protocol Buffers take for different ones.
func TestAttackByOtherReaders(t *testing.T) {
	s, d := kinds(t)
	for name, in := range map[string][]byte{
		"a field twice":                 join(varint(2, 1), varint(2, 1000)),
		"two of one choice":             join(words(5, "a"), words(6, "b")),
		"a number as bytes":             words(2, "\x01"),
		"a text as a number":            varint(5, 1),
		"a flag of 64 bits":             varint(1, 1<<32),
		"a number of more than 32 bits": varint(2, 1<<32|5),
		"a negative number of 32 bits":  varint(2, math.MaxUint32),
		"more than 32 bits, packed":     words(7, string(protowire.AppendVarint(nil, 1<<32))),
		"longer than it needs to be":    {0x10, 0x81, 0x00},
		"no number":                     protowire.AppendFixed64(protowire.AppendTag(nil, 3, protowire.Fixed64Type), math.Float64bits(math.NaN())),
		"no small number":               protowire.AppendFixed32(protowire.AppendTag(nil, 4, protowire.Fixed32Type), math.Float32bits(float32(math.NaN()))),
		"a name twice":                  join(words(8, string(join(words(1, "k"), words(2, "a")))), words(8, string(join(words(2, "b"), words(1, "k"))))),
		"not UTF-8":                     words(5, "\xff"),
		"an unknown field":              words(99, "x"),
		"an unknown one in a group":     protowire.AppendGroup(protowire.AppendTag(nil, 9, protowire.StartGroupType), 9, words(2, "x")),
		"an unknown one in an entry":    words(8, string(words(3, "x"))),
	} {
		if got, err := s.JSON(in, d); !errors.Is(err, errTwoWays) {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
	got, err := s.JSON(join(varint(1, 1), varint(2, math.MaxUint64), words(5, "a"), words(7, "\x01\x02"), varint(7, 3), words(8, string(join(words(1, "k"), words(2, "a")))),
		words(8, string(words(2, "b"))), protowire.AppendGroup(protowire.AppendTag(nil, 9, protowire.StartGroupType), 9, words(1, "x")), varint(10, 1<<60+1), words(100, "e"), words(12, "n")), d)
	if err != nil || got["flag"] != true || got["amount"] != int64(-1) || got["one"] != "a" || len(got["packed"].([]any)) != 3 || len(got["map"].(map[string]any)) != 2 ||
		got["big"] != int64(1<<60+1) || got["[k.added]"] != "e" || got["named"] != "n" || got["group"].(map[string]any)["inner"] != "x" {
		t.Errorf("%v %v", got, err)
	}
}

// TestHeavyMessages: a few bytes that would become many values are not decoded, at whatever depth they stand.
func TestHeavyMessages(t *testing.T) {
	s, d := kinds(t)
	h := hider(t, s, at(access.MaskRedact, "$.nothing"))
	for name, in := range map[string][]byte{
		"packed numbers": words(7, strings.Repeat("\x01", 4<<20)),
		"empty messages": []byte(strings.Repeat("\x5a\x00", 2<<20)),
		"short texts":    []byte(strings.Repeat("\x2a\x00", 2<<20)[:4<<20]),
	} {
		if _, err := h.Hide(in, d); !errors.Is(err, errHeavy) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.JSON(in, d); err == nil {
			t.Errorf("%s is read", name)
		}
	}
	if out, err := h.Hide(words(7, strings.Repeat("\x01", 1<<20)), d); err != nil || len(out) < 1<<20 {
		t.Errorf("what is merely large: %d %v", len(out), err)
	}
	boxed, node := schema(t)
	in := encoded(t, boxed, node, `{"eMail": "`+strings.Repeat("x", 3<<20)+`"}`)
	for range 40 { // an Any in an Any: each would be copied
		in = words(4, string(join(words(1, "type.googleapis.com/t.Node"), words(2, string(in)))))
	}
	if _, err := hider(t, boxed, at(access.MaskRedact, "$.nothing")).Hide(in, node); !errors.Is(err, errHeavy) {
		t.Errorf("boxes in boxes: %v", err)
	}
}

// TestHostileDescriptors: a backend that describes the well-known types otherwise, or files that import each other, breaks its own calls,
// and nothing else.
func TestHostileDescriptors(t *testing.T) {
	well := func(name string, fields ...*descriptorpb.FieldDescriptorProto) *descriptorpb.FileDescriptorProto {
		return &descriptorpb.FileDescriptorProto{Name: proto.String("g.proto"), Package: proto.String("google.protobuf"), Syntax: proto.String("proto3"),
			MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String(name), Field: fields}}}
	}
	s, d := kinds(t, well("Any", field("type_url", 1, descriptorpb.FieldDescriptorProto_TYPE_STRING, optional, ""), field("value", 2, descriptorpb.FieldDescriptorProto_TYPE_INT32, optional, "")))
	if _, err := hider(t, s, at(access.MaskRedact, "**.x")).Hide(words(13, string(varint(2, 1))), d); !errors.Is(err, ErrUnreadable) {
		t.Error(err)
	}
	s, d = kinds(t, well("Value", field("string_value", 1, descriptorpb.FieldDescriptorProto_TYPE_INT32, optional, ""), field("null_value", 2, descriptorpb.FieldDescriptorProto_TYPE_INT32, optional, "")))
	if out, err := hider(t, s, at(access.MaskRedact, "$.held")).Hide(words(13, string(varint(1, 7))), d); err != nil || strings.Contains(string(out), "\x07") {
		t.Errorf("%q %v", out, err)
	}
	circle := func(name, needs string) *descriptorpb.FileDescriptorProto {
		return &descriptorpb.FileDescriptorProto{Name: proto.String(name), Dependency: []string{needs}}
	}
	if _, err := schemaOf(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{circle("a", "b"), circle("b", "a")}}, 0); err == nil {
		t.Error("files that import each other")
	}
	frames, err := NewFrames(strings.NewReader(string(Append(nil, []byte("x")))), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Change(nil, frames, func([]byte) ([]byte, error) { panic("a fault") }).Read(make([]byte, 9)); !errors.Is(err, ErrUnreadable) {
		t.Error(err)
	}
}

// TestPlansAreKept: masks are compiled once for a schema, and what is kept is bounded.
func TestPlansAreKept(t *testing.T) {
	s, _ := kinds(t)
	key, d := mask.NewKey([32]byte{1}), at(access.MaskRedact, "$.one")
	first, err := s.Plan(d, key, "shop")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if p, err := s.Plan(d, key, "shop"); p != first || err != nil {
				t.Error("compiled again", err)
			}
		})
	}
	wait.Wait()
	if other, _ := s.Plan(d, key, "other"); other == first {
		t.Error("tokens of one connection are another's")
	}
	for range 3 * maxPlans {
		if p, err := s.Plan(at(access.MaskRedact, "$.two"), key, "shop"); p == first || err != nil {
			t.Fatal("other masks are the same", err)
		}
	}
	if len(s.plans) > maxPlans {
		t.Errorf("%d are kept", len(s.plans))
	}
}
