package aws

import (
	"bytes"
	"crypto/md5" //nolint:gosec // SQS's own checksum of a body
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
	"gatehouse/internal/mask/body"
)

// hider hides values in an answer that was read.
type hider struct {
	paths  *body.Paths // nil where there are none
	whole  *access.Mask
	scan   *mask.Scanner // nil where there are no detectors
	key    *mask.Key
	domain string
	hits   int64
	depth  int // of documents in texts of documents
}

func newHider(m masks, k *mask.Key, domain string) (*hider, error) {
	h := &hider{whole: m.Whole, key: k, domain: domain}
	var err error
	if len(m.Paths) > 0 {
		if h.paths, err = body.NewPaths(m.Paths); err != nil {
			return nil, err
		}
	}
	if len(m.Detect) > 0 {
		h.scan, err = mask.NewScanner(m.Detect, k)
	}
	return h, err
}

func (h *hider) start() body.State {
	if h.paths == nil {
		return nil
	}
	return h.paths.Start(nil)
}

func (h *hider) enter(from body.State, name string) body.State {
	if h.paths == nil {
		return nil
	}
	return h.paths.Enter(nil, from, []byte(name))
}

func (h *hider) element(from body.State, i int) body.State {
	if h.paths == nil {
		return nil
	}
	return h.paths.EnterIndex(nil, from, i)
}

// at returns the mask of a place.
func (h *hider) at(s body.State) (access.Mask, bool) {
	if h.paths == nil {
		return access.Mask{}, false
	}
	return h.paths.Mask(s)
}

// readTree reads an answer with its numbers as they are written.
func readTree(b []byte) (any, error) {
	if _, err := decodeJSON(b); err != nil {
		return nil, err // in two ways
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

func writeTree(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// embedded are the members whose text is often a document of its own: paths go on inside of it.
var embedded = []string{"Body", "SecretString", "Message", "Payload", "Detail", "Value"}

// carriers are those of them that a mask of the resource as a whole hides.
var carriers = []string{"Body", "SecretString", "SecretBinary", "Value", "Payload", "MessageAttributes"}

// tree hides values of an answer in JSON.
func (h *hider) tree(v any, at body.State, name string) any {
	if m, ok := h.at(at); ok {
		return h.replaced(v, m)
	}
	if h.whole != nil && slices.Contains(carriers, name) && v != nil {
		return h.replaced(v, *h.whole)
	}
	switch v := v.(type) {
	case map[string]any:
		for member, inner := range v {
			v[member] = h.tree(inner, h.enter(at, member), member)
		}
		rehash(v)
		return v
	case []any:
		for i, inner := range v {
			v[i] = h.tree(inner, h.element(at, i), name)
		}
		return v
	case string:
		return h.text(v, at, name)
	case json.Number:
		return h.detected(v.String(), v)
	}
	return v
}

// text hides what is in a text: a document of its own, or what detectors know.
func (h *hider) text(s string, at body.State, name string) any {
	if name == "SecretBinary" && (h.paths != nil || h.scan != nil) {
		return base64.StdEncoding.EncodeToString(mask.Value(nil, nil, access.Mask{Strategy: access.MaskRedact}, h.key, h.domain)) // what is inside cannot be told
	}
	if trimmed := strings.Trim(s, " \t\r\n\ufeff"); looksLikeJSON(trimmed) {
		if out, ok := h.inner(s, trimmed, at); ok {
			return out
		}
		if h.paths != nil && (at.Live() || slices.Contains(embedded, name)) {
			h.hits++
			return string(mask.Value(nil, []byte(s), access.Mask{Strategy: access.MaskRedact}, h.key, h.domain))
		}
	}
	return h.detected(s, s)
}

// maxInner is how many documents may stand in one another.
const maxInner = 8

// inner hides what is in a text that is a document; ok is false where it cannot be read in one way, or lies too deep.
func (h *hider) inner(s, trimmed string, at body.State) (out string, ok bool) {
	if h.depth >= maxInner {
		return "", false
	}
	v, err := readAny(trimmed)
	if err != nil {
		return "", false
	}
	h.depth++
	before := h.hits
	v = h.tree(v, at, "")
	h.depth--
	if h.hits == before {
		return s, true
	}
	b, err := writeTree(v)
	return string(b), err == nil
}

// looksLikeJSON reports whether a text looks like JSON that holds something: an object, a list, or a text of JSON with one in it. What only
// looks so is hidden where it may hold what is masked: whoever reads it may be less strict.
func looksLikeJSON(s string) bool {
	if s == "" {
		return false
	}
	rest := strings.TrimLeft(s[1:], " \t\r\n")
	switch s[0] {
	case '{':
		return true
	case '[': // and not, say, [INFO] in a line of a log
		return rest == "" || strings.IndexByte(`{["'-]0123456789`, rest[0]) >= 0 || slices.ContainsFunc([]string{"true", "false", "null", "NaN", "Infinity"},
			func(word string) bool { return strings.HasPrefix(rest, word) })
	case '"':
		return strings.ContainsAny(rest, `{[\`)
	}
	return false
}

// readAny is readTree for an object or a list.
func readAny(s string) (any, error) {
	v, err := readTree([]byte(`{"a":` + s + `}`))
	return member(v, "a"), err
}

// detected hides what detectors find in a text; v is returned where that is nothing.
func (h *hider) detected(s string, v any) any {
	if h.scan == nil {
		return v
	}
	out, hits := h.scan.Mask(nil, []byte(s))
	if hits == 0 {
		return v
	}
	h.hits += int64(hits)
	return string(out)
}

// replaced is what stands for a value.
func (h *hider) replaced(v any, m access.Mask) any {
	h.hits++
	if m.Strategy == access.MaskNull || v == nil {
		return nil
	}
	s, ok := v.(string)
	if !ok {
		b, err := writeTree(v)
		if err != nil {
			b = nil
		}
		s = string(b)
	}
	return string(mask.Value(nil, []byte(s), m, h.key, h.domain))
}

// rehash corrects the checksum of a message of SQS, which SDKs look at; the one of its attributes is left out.
func rehash(m map[string]any) {
	if _, there := m["MD5OfBody"]; !there {
		return
	}
	text, _ := m["Body"].(string)
	sum := md5.Sum([]byte(text)) //nolint:gosec // as above
	m["MD5OfBody"] = hex.EncodeToString(sum[:])
	delete(m, "MD5OfMessageAttributes")
}

// The members of DynamoDB's answers that hold items: names of attributes, with a value that names its type.
var (
	itemMembers = []string{"Item", "Attributes", "LastEvaluatedKey", "ItemCollectionKey", "NewImage", "OldImage", "Keys", "Key"}
	itemLists   = []string{"Items", "Keys"}
)

// items hides attributes in an answer of DynamoDB: to paths, the values' types are not there.
func (h *hider) items(v any, at body.State, name string, batch bool) any {
	switch v := v.(type) {
	case map[string]any:
		if slices.Contains(itemMembers, name) && !batch {
			return h.item(v, at)
		}
		for member, inner := range v {
			v[member] = h.items(inner, h.enter(at, member), member, name == "Responses")
		}
		return v
	case []any:
		for i, inner := range v {
			below := h.element(at, i)
			if item, ok := inner.(map[string]any); ok && (batch || slices.Contains(itemLists, name)) {
				v[i] = h.item(item, below)
				continue
			}
			v[i] = h.items(inner, below, "", false)
		}
		return v
	case string:
		return h.detected(v, v)
	}
	return v
}

// item hides attributes of one item.
func (h *hider) item(item map[string]any, at body.State) any {
	if m, ok := h.at(at); ok {
		for name, v := range item {
			item[name] = h.retyped(v, m)
		}
		return item
	}
	for name, v := range item {
		item[name] = h.attribute(v, h.enter(at, name))
	}
	return item
}

// attribute hides the value of one attribute, or what is inside of it.
func (h *hider) attribute(v any, at body.State) any {
	if m, ok := h.at(at); ok {
		return h.retyped(v, m)
	}
	if h.whole != nil {
		return h.retyped(v, *h.whole)
	}
	typed, ok := v.(map[string]any)
	if !ok || len(typed) != 1 {
		return h.retyped(v, access.Mask{Strategy: access.MaskRedact}) // no value of DynamoDB's
	}
	for kind, inner := range typed {
		switch inner := inner.(type) {
		case map[string]any: // M
			for name, value := range inner {
				inner[name] = h.attribute(value, h.enter(at, name))
			}
		case []any: // L, SS, NS, BS
			for i, value := range inner {
				if kind == "L" {
					inner[i] = h.attribute(value, h.element(at, i))
					continue
				}
				inner[i] = h.elementOf(kind, value, h.element(at, i))
			}
		case string:
			if kind == "S" {
				typed[kind] = h.text(inner, at, "")
			} else if s, changed := h.detected(inner, nil).(string); changed {
				return map[string]any{"S": s}
			}
		}
	}
	return typed
}

// elementOf hides an element of a set. A set of numbers cannot hold a word: its element becomes 0.
func (h *hider) elementOf(kind string, v any, at body.State) any {
	s, _ := v.(string)
	out := h.detected(s, v)
	if m, ok := h.at(at); ok {
		out = h.replaced(v, m)
	}
	if out == v {
		return v
	}
	switch {
	case kind == "NS":
		return "0"
	case kind == "BS", out == nil:
		return ""
	}
	return out
}

// retyped is what stands for a value: a text, or NULL.
func (h *hider) retyped(v any, m access.Mask) any {
	plain := v
	if typed, ok := v.(map[string]any); ok && len(typed) == 1 {
		for kind, inner := range typed {
			if kind == "NULL" {
				return v
			}
			plain = inner
		}
	}
	out := h.replaced(plain, m)
	if out == nil {
		return map[string]any{"NULL": true}
	}
	return map[string]any{"S": out}
}
