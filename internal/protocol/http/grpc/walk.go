package grpc

import (
	"errors"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

var (
	errTwoWays = errors.New("readers of the message differ in what it says")
	errHeavy   = errors.New("the message would take too much memory")
)

// maxWeight bounds what a message takes in memory, in bytes, once it is decoded: one of 4 MiB can hold millions of values.
const maxWeight = 64 << 20

// What values take, about.
const (
	perValue   = 32
	perMessage = 192
)

// walk goes through the bytes of a message before it is decoded. It finds out what the message will take, and, where it is strict,
// whether all readers take it for the same: one may drop what another keeps where a field is not of its type, stands twice, is beyond
// its range, or is not known.
type walk struct {
	types  *dynamicpb.Types
	strict bool
	left   int // that may still be taken
}

func (w *walk) take(n int) error {
	if w.left -= n; w.left < 0 {
		return errHeavy
	}
	return nil
}

func (w *walk) message(b []byte, md protoreflect.MessageDescriptor, depth int) error {
	if depth > maxDepth {
		return ErrUnreadable
	}
	if err := w.take(perMessage); err != nil {
		return err
	}
	var seen map[any]bool
	if w.strict {
		seen = map[any]bool{}
	}
	for len(b) > 0 {
		num, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return ErrUnreadable
		}
		b = b[n:]
		n = protowire.ConsumeFieldValue(num, kind, b)
		if n < 0 {
			return ErrUnreadable
		}
		raw := b[:n]
		b = b[n:]
		fd := w.field(md, num)
		if fd == nil || !carries(fd, kind) {
			if w.strict {
				return errTwoWays
			}
			if err := w.take(n); err != nil {
				return err
			}
			continue
		}
		if err := w.once(seen, fd, raw, kind); err != nil {
			return err
		}
		if err := w.value(num, kind, raw, fd, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) field(md protoreflect.MessageDescriptor, num protowire.Number) protoreflect.FieldDescriptor {
	if fd := md.Fields().ByNumber(num); fd != nil {
		return fd
	}
	if t, err := w.types.FindExtensionByNumber(md.FullName(), num); err == nil {
		return t.TypeDescriptor()
	}
	return nil
}

// once refuses what stands twice where it may stand once: a field, one of several, the name of an entry.
func (w *walk) once(seen map[any]bool, fd protoreflect.FieldDescriptor, raw []byte, kind protowire.Type) error {
	if !w.strict || fd.IsList() {
		return nil
	}
	var what any = fd.Number()
	switch {
	case fd.IsMap():
		entry, _ := protowire.ConsumeBytes(raw)
		what = [2]string{string(fd.Name()), keyOf(entry)}
	case fd.ContainingOneof() != nil:
		what = fd.ContainingOneof().Name()
	}
	if seen[what] {
		return errTwoWays
	}
	seen[what] = true
	return nil
}

// keyOf is the name of an entry as it is written.
func keyOf(entry []byte) string {
	for len(entry) > 0 {
		num, kind, n := protowire.ConsumeTag(entry)
		if n < 0 {
			return ""
		}
		entry = entry[n:]
		if n = protowire.ConsumeFieldValue(num, kind, entry); n < 0 {
			return ""
		}
		if num == 1 {
			return string(entry[:n])
		}
		entry = entry[n:]
	}
	return ""
}

// value weighs a value, or several that are packed.
func (w *walk) value(num protowire.Number, kind protowire.Type, raw []byte, fd protoreflect.FieldDescriptor, depth int) error {
	if err := w.take(perValue); err != nil {
		return err
	}
	switch kind {
	case protowire.StartGroupType:
		held, _ := protowire.ConsumeGroup(num, raw)
		return w.message(held, fd.Message(), depth+1)
	case protowire.BytesType:
		held, _ := protowire.ConsumeBytes(raw)
		switch {
		case fd.Message() != nil:
			return w.message(held, fd.Message(), depth+1)
		case fd.Kind() == protoreflect.StringKind || fd.Kind() == protoreflect.BytesKind:
			if w.strict && fd.Kind() == protoreflect.StringKind && !utf8.Valid(held) {
				return errTwoWays
			}
			return w.take(len(held))
		}
		return w.packed(held, fd)
	}
	return w.scalar(raw, fd)
}

func (w *walk) packed(b []byte, fd protoreflect.FieldDescriptor) error {
	kind := wireType(fd.Kind())
	for len(b) > 0 {
		n := protowire.ConsumeFieldValue(fd.Number(), kind, b)
		if n < 0 {
			return ErrUnreadable
		}
		if err := w.take(perValue); err != nil {
			return err
		}
		if err := w.scalar(b[:n], fd); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// scalar refuses a number that some readers cut, and one that is none: nothing is larger or smaller than it.
func (w *walk) scalar(raw []byte, fd protoreflect.FieldDescriptor) error {
	if !w.strict {
		return nil
	}
	ok := true
	switch fd.Kind() {
	case protoreflect.FloatKind:
		v, _ := protowire.ConsumeFixed32(raw)
		f := math.Float32frombits(v)
		ok = f == f
	case protoreflect.DoubleKind:
		v, _ := protowire.ConsumeFixed64(raw)
		f := math.Float64frombits(v)
		ok = f == f
	case protoreflect.BoolKind, protoreflect.Int32Kind, protoreflect.EnumKind, protoreflect.Uint32Kind, protoreflect.Sint32Kind,
		protoreflect.Int64Kind, protoreflect.Uint64Kind, protoreflect.Sint64Kind:
		v, n := protowire.ConsumeVarint(raw)
		ok = n == protowire.SizeVarint(v) && within(v, fd.Kind())
	}
	if !ok {
		return errTwoWays
	}
	return nil
}

func within(v uint64, kind protoreflect.Kind) bool {
	switch kind {
	case protoreflect.BoolKind:
		return v <= 1
	case protoreflect.Int32Kind, protoreflect.EnumKind:
		return v == uint64(int64(int32(v))) // #nosec G115 -- it is what a reader of 32 bits makes of it
	case protoreflect.Uint32Kind, protoreflect.Sint32Kind:
		return v <= math.MaxUint32
	}
	return true
}

// carries reports whether a field is written with a wire type.
func carries(fd protoreflect.FieldDescriptor, kind protowire.Type) bool {
	own := wireType(fd.Kind())
	return kind == own || fd.IsList() && kind == protowire.BytesType && own != protowire.StartGroupType
}

func wireType(k protoreflect.Kind) protowire.Type {
	switch k {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.GroupKind:
		return protowire.StartGroupType
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	}
	return protowire.VarintType
}
