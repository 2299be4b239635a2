package grpc

import (
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
	"gatehouse/internal/mask/body"
)

// ErrUnreadable is a message that is not of its type, or nested too deep.
var ErrUnreadable = errors.New("the message is not of its type")

const maxDepth = 100 // of messages in messages, as most readers have it

// Plan is masks, compiled for a schema. It is immutable.
type Plan struct {
	schema *Schema
	whole  bool
	paths  *body.Paths   // nil where there are none
	scan   *mask.Scanner // nil where there are no detectors
	key    *mask.Key
	domain string
}

// planned tells one set of masks from another: what policy hands out is immutable, and made anew when it changes.
type planned struct {
	key    *mask.Key
	domain string
	whole  *access.Mask
	paths  *access.PathMask
	detect *access.Detection
	n      [2]int
}

// maxPlans bounds how many plans a schema keeps; beyond it all are forgotten and made anew.
const maxPlans = 64

// Plan compiles masks, once. The domain is that of tokens: the connection's name.
func (s *Schema) Plan(d access.DocumentMasks, key *mask.Key, domain string) (*Plan, error) {
	id := planned{key: key, domain: domain, whole: d.Whole, n: [2]int{len(d.Paths), len(d.Detect)}}
	if len(d.Paths) > 0 {
		id.paths = &d.Paths[0]
	}
	if len(d.Detect) > 0 {
		id.detect = &d.Detect[0]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.plans[id]; p != nil {
		return p, nil
	}
	p := &Plan{schema: s, whole: d.Whole != nil, key: key, domain: domain}
	var err error
	if len(d.Paths) > 0 {
		if p.paths, err = body.NewPaths(d.Paths); err != nil {
			return nil, err
		}
	}
	if len(d.Detect) > 0 {
		if p.scan, err = mask.NewScanner(d.Detect, key); err != nil {
			return nil, err
		}
	}
	if s.plans == nil || len(s.plans) >= maxPlans {
		s.plans = map[planned]*Plan{}
	}
	s.plans[id] = p
	return p, nil
}

// Hider returns what hides fields in the messages of one call.
func (p *Plan) Hider() *Hider { return &Hider{Plan: p} }

// Hider hides fields of messages. Fields are named as in the schema or as in JSON; names in maps and in google.protobuf.Struct are
// members. What lies at a path is replaced where it is text, and cleared where it is not.
type Hider struct {
	*Plan
	left int   // that the message may still take in memory, with all that it holds
	Hits int64 // what was hidden so far
}

// Hide returns a message of a type without what is hidden in it.
func (h *Hider) Hide(raw []byte, t protoreflect.MessageDescriptor) ([]byte, error) {
	if h.whole {
		h.Hits++
		return nil, nil
	}
	h.left = maxWeight
	m, err := h.decode(raw, t)
	if err != nil {
		return nil, err
	}
	var at body.State
	if h.paths != nil {
		at = h.paths.Start(nil)
		if _, hidden := h.paths.Mask(at); hidden {
			h.Hits++
			return nil, nil
		}
	}
	if err := h.message(m, at, 0); err != nil {
		return nil, err
	}
	return proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(m.Interface())
}

func (h *Hider) decode(raw []byte, t protoreflect.MessageDescriptor) (protoreflect.Message, error) {
	w := walk{types: h.schema.types, left: h.left}
	m, err := w.decode(raw, t)
	h.left = w.left
	return m, err
}

func (w *walk) decode(raw []byte, t protoreflect.MessageDescriptor) (protoreflect.Message, error) {
	if err := w.message(raw, t, 0); err != nil {
		return nil, err
	}
	m := dynamicpb.NewMessage(t)
	if err := (proto.UnmarshalOptions{AllowPartial: true, Resolver: w.types, RecursionLimit: maxDepth}).Unmarshal(raw, m); err != nil {
		return nil, ErrUnreadable
	}
	return m, nil
}

// enter is the state of a field of what is at a place, by either of its names.
func (h *Hider) enter(at body.State, names ...string) body.State {
	if h.paths == nil {
		return nil
	}
	next := h.paths.Enter(nil, at, []byte(names[0]))
	for _, n := range names[1:] {
		next.Join(h.paths.Enter(nil, at, []byte(n)))
	}
	return next
}

func (h *Hider) enterIndex(at body.State, i int) body.State {
	if h.paths == nil {
		return nil
	}
	return h.paths.EnterIndex(nil, at, i)
}

// masked returns the mask of what is at a place.
func (h *Hider) masked(at body.State) (access.Mask, bool) {
	if h.paths == nil {
		return access.Mask{}, false
	}
	return h.paths.Mask(at)
}

// message hides what is in a message.
func (h *Hider) message(m protoreflect.Message, at body.State, depth int) (err error) {
	if depth > maxDepth {
		return ErrUnreadable
	}
	m.SetUnknown(nil)
	switch m.Descriptor().FullName() {
	case "google.protobuf.Any":
		return h.anything(m, at, depth)
	case freeValue, "google.protobuf.Struct", "google.protobuf.ListValue":
		return h.value(m, at, depth)
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		names := []string{fd.TextName(), fd.JSONName()}
		if fd.IsExtension() {
			names = []string{string(fd.FullName()), "[" + string(fd.FullName()) + "]"}
		}
		err = h.field(m, fd, v, h.enter(at, names...), depth)
		return err == nil
	})
	return err
}

// value hides what is in a google.protobuf.Struct, Value or ListValue: in JSON they are what they hold, without the fields in between.
func (h *Hider) value(m protoreflect.Message, at body.State, depth int) (err error) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		next := h.enter(at, fd.TextName(), fd.JSONName())
		if h.paths != nil {
			next.Join(at)
		}
		err = h.field(m, fd, v, next, depth)
		return err == nil
	})
	return err
}

// field hides what is in a field.
func (h *Hider) field(m protoreflect.Message, fd protoreflect.FieldDescriptor, v protoreflect.Value, at body.State, depth int) (err error) {
	if k, hidden := h.masked(at); hidden {
		h.Hits++
		if !fd.IsList() && !fd.IsMap() && fd.Kind() == protoreflect.StringKind && k.Strategy != access.MaskNull {
			m.Set(fd, protoreflect.ValueOfString(h.text(v.String(), k)))
			return nil
		}
		m.Clear(fd)
		switch {
		case fd.Message() != nil && fd.Message().FullName() == freeValue && !fd.IsList() && !fd.IsMap():
			h.free(m.Mutable(fd).Message(), v.Message(), k)
		case fd.Cardinality() == protoreflect.Required:
			m.Set(fd, m.NewField(fd))
		}
		return nil
	}
	switch {
	case fd.IsList():
		return h.list(v.List(), fd, at, depth)
	case fd.IsMap():
		return h.entries(v.Map(), fd, at, depth)
	case fd.Message() != nil:
		return h.message(m.Mutable(fd).Message(), at, depth+1)
	}
	if clean, found := h.detect(v, fd.Kind()); found {
		m.Set(fd, clean)
	}
	return nil
}

// freeValue is the one type that must hold something, if it is nothing.
const freeValue = "google.protobuf.Value"

// free makes what stands for a google.protobuf.Value: text for text, else null.
func (h *Hider) free(clean, was protoreflect.Message, k access.Mask) {
	fields := clean.Descriptor().Fields()
	text, null := fields.ByName("string_value"), fields.ByName("null_value")
	switch {
	case text != nil && text.Kind() == protoreflect.StringKind && !text.IsList() && was.Has(text) && k.Strategy != access.MaskNull:
		clean.Set(text, protoreflect.ValueOfString(h.text(was.Get(text).String(), k)))
	case null != nil && null.Kind() == protoreflect.EnumKind && !null.IsList():
		clean.Set(null, protoreflect.ValueOfEnum(0))
	}
}

func (h *Hider) list(list protoreflect.List, fd protoreflect.FieldDescriptor, at body.State, depth int) error {
	for i := range list.Len() {
		here := h.enterIndex(at, i)
		v, err := h.element(list.Get(i), fd, here, depth, func() protoreflect.Value { return list.NewElement() })
		if err != nil {
			return err
		}
		list.Set(i, v)
	}
	return nil
}

func (h *Hider) entries(entries protoreflect.Map, fd protoreflect.FieldDescriptor, at body.State, depth int) (err error) {
	entries.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		if _, found := h.detect(k.Value(), fd.MapKey().Kind()); found {
			entries.Clear(k) // what has no name has no place
			return true
		}
		var clean protoreflect.Value
		clean, err = h.element(v, fd.MapValue(), h.enter(at, k.String()), depth, func() protoreflect.Value { return entries.NewValue() })
		if err == nil {
			entries.Set(k, clean)
		}
		return err == nil
	})
	return err
}

// element hides one element of a list, or one value of a map.
func (h *Hider) element(v protoreflect.Value, fd protoreflect.FieldDescriptor, at body.State, depth int, empty func() protoreflect.Value) (protoreflect.Value, error) {
	if k, hidden := h.masked(at); hidden {
		h.Hits++
		if fd.Kind() == protoreflect.StringKind && k.Strategy != access.MaskNull {
			return protoreflect.ValueOfString(h.text(v.String(), k)), nil
		}
		clean := empty()
		if fd.Message() != nil && fd.Message().FullName() == freeValue {
			h.free(clean.Message(), v.Message(), k)
		}
		return clean, nil
	}
	if fd.Message() != nil {
		return v, h.message(v.Message(), at, depth+1)
	}
	clean, _ := h.detect(v, fd.Kind())
	return clean, nil
}

// text hides text. What mask.Value makes of UTF-8 is UTF-8.
func (h *Hider) text(s string, k access.Mask) string {
	return string(mask.Value(nil, []byte(s), k, h.key, h.domain))
}

// detect hides what the detectors find in a scalar: text is rewritten, a number that is one is cleared.
func (h *Hider) detect(v protoreflect.Value, kind protoreflect.Kind) (protoreflect.Value, bool) {
	if h.scan == nil {
		return v, false
	}
	var text []byte
	var zero protoreflect.Value
	switch kind {
	case protoreflect.StringKind:
		text = []byte(v.String())
	case protoreflect.BytesKind:
		if text = v.Bytes(); !utf8.Valid(text) {
			return v, false
		}
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		text, zero = strconv.AppendInt(nil, v.Int(), 10), protoreflect.ValueOfInt64(0)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		text, zero = strconv.AppendUint(nil, v.Uint(), 10), protoreflect.ValueOfUint64(0)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		text, zero = strconv.AppendInt(nil, v.Int(), 10), protoreflect.ValueOfInt32(0)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		text, zero = strconv.AppendUint(nil, v.Uint(), 10), protoreflect.ValueOfUint32(0)
	case protoreflect.DoubleKind:
		text, zero = strconv.AppendFloat(nil, v.Float(), 'f', -1, 64), protoreflect.ValueOfFloat64(0)
	default:
		return v, false
	}
	clean, hits := h.scan.Mask(nil, text)
	if hits == 0 {
		return v, false
	}
	h.Hits += int64(hits)
	switch kind {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(string(clean)), true
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(clean), true
	}
	return zero, true
}

// anything hides what is in a google.protobuf.Any. What it holds of a type that is not known is dropped.
func (h *Hider) anything(m protoreflect.Message, at body.State, depth int) error {
	fields := m.Descriptor().Fields()
	name, value := fields.ByName("type_url"), fields.ByName("value")
	if name == nil || value == nil || name.Kind() != protoreflect.StringKind || value.Kind() != protoreflect.BytesKind || name.IsList() || value.IsList() {
		return ErrUnreadable // a backend may describe it as it likes
	}
	t, err := h.schema.types.FindMessageByURL(m.Get(name).String())
	if err != nil {
		h.Hits++
		m.Clear(value)
		return nil
	}
	held, err := h.decode(m.Get(value).Bytes(), t.Descriptor())
	if err != nil {
		return err
	}
	next := h.enter(at, "value")
	if h.paths != nil {
		next.Join(at)
	}
	if err := h.message(held, next, depth+1); err != nil {
		return err
	}
	raw, err := proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(held.Interface())
	m.Set(value, protoreflect.ValueOfBytes(raw))
	return err
}

// JSON is what conditions read of a message: members under both of their names, integers as int64, bytes in base64. A message that
// readers may take for different ones, or that holds what the schema does not know, is none.
func (s *Schema) JSON(raw []byte, t protoreflect.MessageDescriptor) (map[string]any, error) {
	w := walk{types: s.types, strict: true, left: maxWeight / 4} // what it becomes is larger
	m, err := w.decode(raw, t)
	if err != nil {
		return nil, err
	}
	return members(m), nil
}

func members(m protoreflect.Message) map[string]any {
	all := map[protoreflect.FieldDescriptor]any{}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		var x any
		switch {
		case fd.IsList():
			list := make([]any, v.List().Len())
			for i := range list {
				list[i] = scalar(v.List().Get(i), fd)
			}
			x = list
		case fd.IsMap():
			entries := map[string]any{}
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				entries[k.String()] = scalar(v, fd.MapValue())
				return true
			})
			x = entries
		default:
			x = scalar(v, fd)
		}
		all[fd] = x
		return true
	})
	out := make(map[string]any, 2*len(all))
	for fd, x := range all {
		out[fd.JSONName()] = x
	}
	for fd, x := range all { // a schema may call a field in JSON what another one is called
		out[fd.TextName()] = x
	}
	return out
}

func scalar(v protoreflect.Value, fd protoreflect.FieldDescriptor) any {
	switch x := v.Interface().(type) {
	case protoreflect.Message:
		return members(x)
	case protoreflect.EnumNumber:
		if e := fd.Enum().Values().ByNumber(x); e != nil {
			return string(e.Name())
		}
		return int64(x)
	case int32:
		return int64(x)
	case uint32:
		return int64(x)
	case uint64:
		if x <= math.MaxInt64 {
			return int64(x)
		}
		return float64(x)
	case float32:
		return float64(x)
	case []byte:
		return base64.StdEncoding.EncodeToString(x)
	default:
		return x
	}
}
