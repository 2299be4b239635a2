package aws

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/access"
)

// statement is a call as the gate judges and records it. masked says that masks bind what it speaks of: then no value of a
// parameter is recorded.
func (c *call) statement(masked bool) *access.Statement {
	w := &writer{sensitive: map[string]bool{}, all: masked}
	if c.service != nil {
		w.sensitive = c.service.sensitive
	}
	if c.operation != nil {
		w.literal(c.service.id + ":" + c.operation.name)
	} else {
		w.literal(c.scope.Service + ": not understood")
	}
	w.literal(" " + c.region + "\n" + c.Method + " " + c.Path)
	for i, name := range slices.Sorted(maps.Keys(c.query)) {
		for _, v := range c.query[name] {
			w.literal(map[bool]string{true: "?", false: "&"}[i == 0] + url.QueryEscape(name) + "=")
			w.value(name, url.QueryEscape(v))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Header)) {
		if lower := strings.ToLower(name); says(lower) || c.stored(lower) {
			w.literal("\n" + lower + ": ")
			w.value(lower, strings.Join(c.Header[name], ", "))
		}
	}
	if len(c.body) > 0 {
		w.literal("\n")
		before := w.text.Len()
		w.json("", c.body)
		w.shorten(before)
	}
	st := &access.Statement{
		Text: w.text.String(), Literals: w.literals, Secrets: w.secrets, Bounded: true,
		Actions: c.actions(c.touches), Related: c.actions(c.related),
	}
	st.Normal = c.normal(st.Actions)
	sum := sha256.Sum256([]byte(st.Normal))
	st.Fingerprint = hex.EncodeToString(sum[:16])
	return st
}

// says reports whether a header is a parameter of the call, rather than how it is sent.
func says(lower string) bool {
	switch lower {
	case "x-amz-target", "x-amzn-trace-id", "x-amzn-requestid", "x-amz-user-agent":
		return false
	}
	return (strings.HasPrefix(lower, "x-amz-") || strings.HasPrefix(lower, "x-amzn-") || strings.HasPrefix(lower, "if-")) && !signs(lower)
}

// stored reports whether a header is about bytes that are written or read, and changes what a call does: an approval is for it too.
func (c *call) stored(lower string) bool {
	if c.operation == nil || c.service.id != "s3" && !c.operation.input {
		return false
	}
	switch lower {
	case "content-type", "content-disposition", "content-language", "cache-control", "expires", "range":
		return true
	case "accept": // in which form a model answers
		return c.service.id != "s3"
	case "content-encoding":
		return unframed(c.Header.Get(lower)) != ""
	}
	return false
}

// normal is what a call does to what, and the shape of its parameters, without their values. Calls that differ in what they
// touch differ here: a grant for one is none for the other.
func (c *call) normal(actions []access.Action) string {
	var b strings.Builder
	for i, a := range actions {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(a.Name + " on " + a.Resource)
	}
	w := &writer{shape: true}
	all := maps.Clone(c.input)
	maps.Copy(all, c.others)
	w.json("", all)
	b.WriteString(" " + w.text.String())
	return b.String()
}

// writer writes the parameters of a call, and notes where values stand.
type writer struct {
	text      strings.Builder
	literals  []access.Span
	secrets   []access.Span
	sensitive map[string]bool // members that hold secrets
	all       bool            // every value is one
	shape     bool            // values are left out
}

// maxText is how much of the parameters is recorded.
const maxText = 64 << 10

// shorten leaves a digest in place of parameters that are too long to be recorded.
func (w *writer) shorten(from int) {
	whole := w.text.String()
	if len(whole)-from <= maxText {
		return
	}
	sum := sha256.Sum256([]byte(whole[from:]))
	w.text.Reset()
	w.text.WriteString(whole[:from] + strconv.Itoa(len(whole)-from) + " bytes of parameters, SHA-256 " + hex.EncodeToString(sum[:]))
	behind := func(s access.Span) bool { return s.End > from }
	w.literals = slices.DeleteFunc(w.literals, behind)
	w.secrets = slices.DeleteFunc(w.secrets, behind)
}

func (w *writer) literal(s string) { w.text.WriteString(s) }

// value writes the value of a member.
func (w *writer) value(name, s string) {
	if w.shape {
		if slices.Contains(conditions, name) || slices.Contains(updates, name) || slices.Contains(projections, name) {
			w.text.WriteString(strconv.Quote(s)) // the statement itself: its values stand elsewhere
		} else {
			w.text.WriteByte('?')
		}
		return
	}
	start := w.text.Len()
	w.text.WriteString(s)
	span := access.Span{Start: start, End: w.text.Len()}
	w.literals = append(w.literals, span)
	if w.all && !structural(name) || w.sensitive[name] {
		w.secrets = append(w.secrets, span)
	}
}

// structural reports whether a member names what is called, which is recorded whatever is masked.
func structural(name string) bool {
	switch name {
	case "TableName", "IndexName", "QueueUrl", "SecretId", "Bucket", "Key", "list-type", "versionId":
		return true
	}
	return slices.Contains(conditions, name) || slices.Contains(updates, name) || slices.Contains(projections, name)
}

// json writes a value, members in order.
func (w *writer) json(name string, v any) {
	switch v := v.(type) {
	case map[string]any:
		w.literal("{")
		for i, member := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				w.literal(",")
			}
			w.literal(strconv.Quote(member) + ":")
			inner := member
			if w.sensitive[name] {
				inner = name // what lies in a secret is one
			}
			w.json(inner, v[member])
		}
		w.literal("}")
	case []any:
		w.literal("[")
		for i, e := range v {
			if w.shape && i > 0 {
				w.literal(",…") // of any length
				break
			}
			if i > 0 {
				w.literal(",")
			}
			w.json(name, e)
		}
		w.literal("]")
	case string:
		w.value(name, strconv.Quote(v))
	case int64:
		w.value(name, strconv.FormatInt(v, 10))
	case float64:
		w.value(name, strconv.FormatFloat(v, 'g', -1, 64))
	case bool:
		w.value(name, strconv.FormatBool(v))
	default:
		w.value(name, "null")
	}
}
