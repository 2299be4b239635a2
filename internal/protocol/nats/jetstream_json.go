package nats

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"gatehouse/internal/access"
)

// maxCall bounds the payload of a call.
const maxCall = 1 << 20

// object reads one object of a payload. A key that nobody asks for is not understood.
type object struct {
	c     *call
	m     map[string]any
	asked map[string]bool
	where string // what it is, for people: "config."
}

// read reads the payload. Nothing at all is the empty object.
func (c *call) read() *object {
	o := &object{c: c, asked: map[string]bool{}}
	if len(bytes.TrimSpace(c.payload)) == 0 {
		return o
	}
	if len(c.payload) > maxCall {
		c.fail("the payload is longer than %d bytes", maxCall)
		return o
	}
	v, err := access.ReadJSON(c.payload)
	m, ok := v.(map[string]any)
	if err != nil || !ok {
		c.fail("the payload is no JSON object, or one that can be read in two ways")
		return o
	}
	o.m, c.shape = m, shapeOf(m)
	return o
}

// shapeOf is the keys of an object, without values.
func shapeOf(v any) string {
	switch v := v.(type) {
	case map[string]any:
		parts := make([]string, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, name+shapeOf(v[name]))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		if len(v) > 0 {
			return "[" + shapeOf(v[0]) + "]"
		}
	}
	return ""
}

// value returns what stands under a key; nil where nothing does, or null.
func (o *object) value(name string) any {
	o.asked[name] = true
	return o.m[name]
}

func (o *object) has(name string) bool { return o.value(name) != nil }

// known says that keys are understood and do nothing that needs permission.
func (o *object) known(names ...string) {
	for _, n := range names {
		o.asked[n] = true
	}
}

func (o *object) text(name string) string {
	v := o.value(name)
	s, ok := v.(string)
	if v != nil && !ok {
		o.c.fail("%s%s is no text", o.where, name)
	}
	return s
}

// number returns a whole number; 0 where there is none.
func (o *object) number(name string) int64 {
	v := o.value(name)
	n, ok := v.(int64)
	if v != nil && !ok {
		o.c.fail("%s%s is no whole number", o.where, name)
	}
	return n
}

// subject returns a pattern of subjects; "" where there is none.
func (o *object) subject(name string) string {
	s := o.text(name)
	if s != "" && !pattern([]byte(s)) {
		o.c.fail("%s%s is no subject", o.where, name)
	}
	return s
}

// subjects returns a list of them.
func (o *object) subjects(name string) []string {
	var out []string
	for _, v := range o.list(name) {
		s, ok := v.(string)
		if !ok || !pattern([]byte(s)) {
			o.c.fail("%s%s holds what is no subject", o.where, name)
			return nil
		}
		out = append(out, s)
	}
	return out
}

func (o *object) list(name string) []any {
	v := o.value(name)
	l, ok := v.([]any)
	if v != nil && !ok {
		o.c.fail("%s%s is no list", o.where, name)
	}
	return l
}

// object returns the object under a key; nil where there is none.
func (o *object) object(name string) *object {
	v := o.value(name)
	if v == nil {
		return nil
	}
	return o.c.inner(v, o.where+name+".")
}

// objects returns a list of objects.
func (o *object) objects(name string) []*object {
	var out []*object
	for _, v := range o.list(name) {
		out = append(out, o.c.inner(v, o.where+name+"[]."))
	}
	return out
}

func (c *call) inner(v any, where string) *object {
	m, ok := v.(map[string]any)
	if !ok {
		c.fail("%s is no object", strings.TrimSuffix(where, "."))
	}
	return &object{c: c, m: m, asked: map[string]bool{}, where: where}
}

// done says what was not asked for.
func (o *object) done() {
	for _, name := range slices.Sorted(maps.Keys(o.m)) {
		if !o.asked[name] {
			o.c.opaque("the key " + o.where + name)
		}
	}
}

// empty says that the payload has no keys.
func (c *call) empty() { c.read().done() }
