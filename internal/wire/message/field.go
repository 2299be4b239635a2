package message

import (
	"fmt"
	"strconv"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/mask/body"
)

// What stands beside a body: headers by name, and properties under the names that protocols give them. Masks of headers hold for both,
// whatever the case of a name and however deep it stands; detectors read every text, and numbers of as many digits as they look for.

// Redacted stands where something is hidden as a whole.
const Redacted = "[redacted]"

// Field is one header of a protocol whose headers are a list.
type Field struct{ Name, Value string }

// Beside reports whether something may be hidden beside bodies.
func (h *Hidden) Beside() bool { return h != nil && (!h.header.None() || h.Bodies()) }

// Tells reports whether a header must be left out, since it would tell what is hidden in the body: a digest, a signature.
func (h *Hidden) Tells(name string) bool { return h.Bodies() && body.Tells(name) }

// Text hides values in a text that stands under a name, and returns how many.
func (h *Hidden) Text(name, v string) (out string, hits int64) {
	if h == nil {
		return v, 0
	}
	if m, ok := h.header.Named(name); ok {
		v, hits = h.header.Hide(v, m), 1
	}
	out, found := h.header.Detect(name, v)
	return out, hits + found
}

// Fields hides values in a list of headers. Where there are none it returns the list itself, else another one.
func (h *Hidden) Fields(list []Field) (out []Field, hits int64) {
	if !h.Beside() {
		return list, 0
	}
	for i, f := range list {
		name, n := h.Name(f.Name)
		v, more := h.Text(f.Name, f.Value)
		n += more
		tells := h.Tells(f.Name)
		if tells {
			n++
		}
		if n > 0 && hits == 0 {
			out = append(make([]Field, 0, len(list)), list[:i]...)
		}
		if hits += n; hits > 0 && !tells {
			out = append(out, Field{name, v})
		}
	}
	if hits == 0 {
		return list, 0
	}
	return out, hits
}

// Name hides values in the name of a header, and returns how many.
func (h *Hidden) Name(name string) (out string, hits int64) {
	if h == nil {
		return name, 0
	}
	return h.header.Detect("", name)
}

// Named reports whether whatever stands under a name is hidden. What stands for a table or a list is Redacted.
func (h *Hidden) Named(name string) bool {
	if h == nil {
		return false
	}
	_, named := h.header.Named(name)
	return named
}

// Value hides values in a value that stands under a name and holds no others. A number that is hidden becomes a text, and what a mask of null
// hides becomes nil. Where nothing is hidden the value is returned as it is.
func (h *Hidden) Value(name string, v any) (out any, hits int64) {
	if h == nil {
		return v, 0
	}
	m, named := h.header.Named(name)
	if named && m.Strategy == access.MaskNull {
		return nil, 1
	}
	switch x := v.(type) { // what stays is returned as it came: to put it into an interface again costs memory
	case nil:
		return nil, 0
	case string:
		if out, hits := h.Text(name, x); hits > 0 {
			return out, hits
		}
		return v, 0
	case []byte:
		if out, hits := h.Text(name, string(x)); hits > 0 {
			return []byte(out), hits
		}
		return v, 0
	}
	return h.scalar(name, v, m, named)
}

// scalar hides what is no text.
func (h *Hidden) scalar(name string, v any, m access.Mask, named bool) (any, int64) {
	text, number := "", true
	switch x := v.(type) {
	case bool, time.Time: // no detector reads them
		number = false
	case int64:
		if named || x > 99_999_999 || x < -99_999_999 {
			text = strconv.FormatInt(x, 10)
		}
	case int, int8, int16, int32, uint, uint8, uint16, uint32, uint64:
		text = fmt.Sprint(v)
	case float32:
		text = strconv.FormatFloat(float64(x), 'f', -1, 32)
	case float64:
		text = strconv.FormatFloat(x, 'f', -1, 64)
	default:
		text, number = fmt.Sprint(v), false
	}
	switch {
	case named && number:
		return h.header.Hide(text, m), 1
	case named:
		return Redacted, 1
	}
	const card, ssn = 13, 9 // what detectors find in digits alone
	if number && len(text) != ssn && len(text) < card {
		return v, 0
	}
	if out, hits := h.header.Detect(name, text); hits > 0 {
		return out, hits
	}
	return v, 0
}
