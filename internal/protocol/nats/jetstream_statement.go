package nats

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/access"
)

// everySubject is the set of all subjects.
const everySubject = ">"

// resource builds a resource of the domain that the call is about.
func (c *call) resource(segments ...string) string {
	return access.SegmentResource(c.connection, append(slices.Clone(c.prefix), segments...)...)
}

// act adds an action on a resource, and what it is related to.
func (c *call) act(name string, a access.Action) {
	c.actions = add(c.actions, name, a)
	if c.prefix != nil && strings.HasPrefix(a.Resource, c.resource()) {
		// A stream of another domain may be the one that this server has under the same name.
		a.Resource = access.Name(c.connection) + strings.TrimPrefix(a.Resource, c.resource())
		c.relate(name, a)
	}
}

// relate adds an action that deny and approve bind, and that no allow is needed for.
func (c *call) relate(name string, a access.Action) { c.related = add(c.related, name, a) }

func add(to []access.Action, name string, a access.Action) []access.Action {
	a.Name = name
	if slices.ContainsFunc(to, func(b access.Action) bool { return a.Name == b.Name && a.Resource == b.Resource }) {
		return to
	}
	return append(to, a)
}

func (c *call) streams() access.Action { return access.Action{Resource: c.resource("stream")} }

func (c *call) stream(name string) access.Action {
	return access.Action{Resource: c.resource("stream", name)}
}

// consumer is the resource of a consumer; name is "" where the server will choose it.
func (c *call) consumer(stream, name string) access.Action {
	if name == "" {
		return access.Action{Resource: c.resource("stream", stream, "consumer") + "/*", Wild: true}
	}
	return access.Action{Resource: c.resource("stream", stream, "consumer", name)}
}

// subjectResource is the resource of a subject, or of the set that a pattern of subjects stands for.
func (k knowledge) subjectResource(pattern string) access.Action {
	return subjectAction(k.connection, pattern)
}

func subjectAction(connection, pattern string) access.Action {
	if !strings.ContainsAny(pattern, "*>") {
		return access.Action{Resource: access.SegmentResource(connection, "subject", pattern)}
	}
	segment := access.WildSegment(pattern, "*", ">", false)
	return access.Action{Resource: access.SegmentResource(connection, "subject") + "/" + segment, Wild: strings.Contains(segment, "*")}
}

// sends asks for a subject, or a set of them, that the server will publish to for the caller.
func (c *call) sends(pattern string) {
	a := c.subjectResource(pattern)
	c.act(actPublish, a)
	if classOf(pattern) != plain || anywhere(pattern) {
		c.act(actOpaque, a)
	}
}

// captures asks for a subject, or a set of them, whose messages a stream will have. A set of everything would have the inboxes of
// others too.
func (c *call) captures(pattern string) {
	a := c.subjectResource(pattern)
	c.act(actSubscribe, a)
	if classOf(pattern) != plain || anywhere(pattern) {
		c.act(actOpaque, a)
	}
}

// messages are the resources of what lies in a stream under some subjects.
func (c *call) messages(stream string, patterns []string) []string {
	out := []string{c.stream(stream).Resource}
	if c.prefix != nil {
		out = append(out, access.SegmentResource(c.connection, "stream", stream))
	}
	for _, p := range patterns {
		out = append(out, c.subjectResource(p).Resource)
	}
	return out
}

// reading says that messages are read of which none can be left out: a consumer, a copy, a backup. That needs an action on the stream;
// deny and approve of Subscribe and of Deliver bind the subjects as well.
func (c *call) reading(patterns []string) {
	for _, p := range patterns {
		c.relate(actSubscribe, c.subjectResource(p))
		c.relate(actDeliver, c.subjectResource(p))
	}
}

// answers says that the answer holds messages of a stream. Each is asked for when it arrives, too.
func (c *call) answers(stream string, patterns []string) {
	for _, p := range patterns {
		c.relate(actSubscribe, c.subjectResource(p))
	}
	c.stored = append(c.stored, c.messages(stream, patterns)...)
}

// takes says that messages of a stream go to where masks do not follow.
func (c *call) takes(stream string, patterns []string) {
	c.copies = append(c.copies, c.messages(stream, patterns)...)
}

// maxRecorded is how much of a payload is recorded; of a longer one it is a digest.
const maxRecorded = 16 << 10

// judged puts the statement together.
func (c *call) judged() *judged {
	if len(c.unknown) > 0 {
		c.actions = add(c.actions, actOpaque, access.Action{Resource: access.SegmentResource(c.connection, "subject", c.subject)})
	}
	j := &judged{copies: c.copies}
	j.Actions, j.Related, j.Bounded = c.actions, c.related, !c.unbounded
	j.Text = c.subject
	switch payload := bytes.TrimSpace(c.payload); {
	case len(payload) == 0:
	case len(payload) > maxRecorded:
		sum := sha256.Sum256(payload)
		j.Text += " " + strconv.Itoa(len(payload)) + " bytes, SHA-256 " + hex.EncodeToString(sum[:])
	default:
		j.Text += " "
		j.Literals = literalsOf(payload, len(j.Text))
		j.Text += string(payload)
	}
	j.Normal = c.normal()
	sum := sha256.Sum256([]byte(j.Normal))
	j.Fingerprint = hex.EncodeToString(sum[:16])
	return j
}

// normal is what the call does to what, and the keys of its payload.
func (c *call) normal() string {
	var b strings.Builder
	for i, a := range c.actions {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(a.Name + " on " + a.Resource)
	}
	if c.shape != "" {
		b.WriteString(" " + c.shape)
	}
	if len(c.unknown) > 0 {
		b.WriteString(" (not understood: " + strings.Join(c.unknown, ", ") + ")")
	}
	return b.String()
}

// literalsOf finds the texts and numbers of a JSON payload that are values, at in the text of a statement.
func literalsOf(payload []byte, at int) []access.Span {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	var spans []access.Span
	var inObject []bool // for each level that is open
	name := false       // a name comes next
	for {
		before := d.InputOffset()
		t, err := d.Token()
		if err != nil {
			return spans
		}
		if delim, ok := t.(json.Delim); ok {
			if delim == '{' || delim == '[' {
				inObject = append(inObject, delim == '{')
			} else {
				inObject = inObject[:len(inObject)-1]
			}
			name = len(inObject) > 0 && inObject[len(inObject)-1]
			continue
		}
		if name {
			name = false
			continue
		}
		start := int(before) + bytes.IndexFunc(payload[before:], func(r rune) bool { return !strings.ContainsRune(" \t\r\n,:", r) })
		spans = append(spans, access.Span{Start: at + start, End: at + int(d.InputOffset())})
		name = len(inObject) > 0 && inObject[len(inObject)-1]
	}
}
