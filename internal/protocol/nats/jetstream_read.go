package nats

import (
	"bytes"
	"encoding/json"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Buckets are streams by convention: their names, and the subjects that such a stream has.
const (
	keysStream, keysSubject       = "KV_", "$KV."
	objectsStream, objectsSubject = "OBJ_", "$O."
)

// bucketOf returns the stream of the bucket that a subject belongs to.
func bucketOf(subject string) (stream string, ok bool) {
	for prefix, name := range map[string]string{keysSubject: keysStream, objectsSubject: objectsStream} {
		if rest, found := strings.CutPrefix(subject, prefix); found {
			bucket, _, _ := strings.Cut(rest, ".")
			return name + bucket, bucket != ""
		}
	}
	return "", false
}

// everything is the subjects of what leaves for where no message is judged by its own: a backup, a copy, an answer elsewhere. What answers
// have told does not narrow it, nor a bucket's name: answers can be forged, and any stream can be called so.
func everything() []string { return []string{everySubject} }

// subjectsOf returns the subjects that messages of a stream have: all of them where that is not known. It is for messages that come
// to the session, where each is judged by its own subject.
func (c *call) subjectsOf(stream string) []string {
	if c.catalogue != nil && c.prefix == nil {
		if sets, ok := c.catalogue.stream(stream); ok {
			return sets
		}
	}
	if bucket, ok := strings.CutPrefix(stream, keysStream); ok && bucket != "" {
		return []string{keysSubject + bucket + "." + everySubject}
	}
	if bucket, ok := strings.CutPrefix(stream, objectsStream); ok && bucket != "" {
		return []string{objectsSubject + bucket + "." + everySubject}
	}
	return []string{everySubject}
}

// filtersOf returns the subjects that a consumer reads.
func (c *call) filtersOf(stream, consumer string) []string {
	if c.catalogue != nil && c.prefix == nil {
		if sets, ok := c.catalogue.consumer(stream, consumer); ok && len(sets) > 0 {
			return sets
		}
	}
	return c.subjectsOf(stream)
}

// getMessage reads a message of a stream: the answer holds it in JSON.
func (c *call) getMessage(names []string, _ string) {
	o := c.read()
	c.get(o, names[0])
	o.done()
}

// directGet reads messages as they are: by an object, or the last one of the subject that stands behind the stream.
func (c *call) directGet(names []string, subject string) {
	if subject == "" {
		o := c.read()
		c.get(o, names[0])
		o.done()
		return
	}
	c.empty()
	if !pattern([]byte(subject)) {
		c.fail("%q is no subject", subject)
		return
	}
	c.act(actGetMessage, c.stream(names[0]))
	c.answers(names[0], []string{subject})
}

// get judges which messages a request wants.
func (c *call) get(o *object, stream string) {
	o.number("seq")
	o.known("batch", "max_bytes", "up_to_seq", "up_to_time", "start_time")
	sets := o.subjects("multi_last")
	for _, key := range []string{"last_by_subj", "next_by_subj"} {
		if s := o.subject(key); s != "" {
			sets = append(sets, s)
		}
	}
	c.act(actGetMessage, c.stream(stream))
	if o.has("no_hdr") { // an answer that does not say how the message is to be read
		c.takes(stream, everything())
	}
	if len(sets) > 0 {
		c.answers(stream, sets)
		return
	}
	c.answers(stream, c.subjectsOf(stream))
	c.stored = append(c.stored, c.messages(stream, everything())...)
}

// The headers by which a server says which stored message it sends: in answers to DIRECT.GET, and where a stream republishes.
const (
	headerStream  = "Nats-Stream"
	headerSubject = "Nats-Subject"
)

// origin is where a message that a server delivers was stored.
type origin struct {
	stream, consumer string   // "" where it was not stored, or not delivered by a consumer
	subjects         []string // under which it was stored, or is delivered; never empty
	direct           bool     // it is the answer to a request for stored messages, or was published again from a stream
	inside           bool     // its payload is JSON that holds the message: unpackStored and packStored
	listened         bool     // it arrives by a subscription to its subject, wherever else it was stored
}

// originOf tells it by what the message says. Clients can say some of it too: that only adds to what binds the message. A payload
// that holds a message and cannot be read is an error.
func originOf(subject, reply string, h *headers, payload []byte) (origin, error) {
	o := origin{subjects: []string{subject}}
	if rest, ok := strings.CutPrefix(reply, "$JS.ACK."); ok {
		o.stream, o.consumer, _ = acknowledged("ACK", strings.Split(rest, "."))
	}
	if h != nil {
		for _, e := range h.list {
			switch {
			case strings.EqualFold(e.name, headerSubject) && e.value != "":
				o.subjects, o.direct = append(o.subjects, e.value), true
			case strings.EqualFold(e.name, headerStream) && o.consumer == "" && e.value != "":
				o.stream, o.direct = e.value, true
			}
		}
	}
	if len(o.subjects) > maxOrigins {
		return o, fault.New(fault.Malformed, "nats.originOf", "the message says more than once where it was stored")
	}
	if classOf(subject) != ofInbox || !bytes.Contains(payload, []byte(answerGet)) {
		return o, nil // an answer comes to an inbox: where one goes elsewhere, the call needed a publish there, and no masks
	}
	m, err := unpackStored(payload)
	if err != nil {
		return o, err
	}
	if m != nil {
		o.subjects, o.direct, o.inside = append(o.subjects, m.Subject), true, true
	}
	return o, nil
}

// maxOrigins bounds how many subjects a message may claim.
const maxOrigins = 8

// resources are those whose masks and policies bind a message of that origin.
func (o origin) resources(connection string) []string {
	out := make([]string, 0, len(o.subjects)+1)
	for _, s := range o.subjects {
		out = append(out, access.SegmentResource(connection, "subject", s))
	}
	if o.stream != "" {
		out = append(out, access.SegmentResource(connection, "stream", o.stream))
	}
	return out
}

// delivery is the statement of a stored message that arrives: what reads it, and its subjects. Where it was stored, headers say, and
// anybody may write some: they only add to what binds it.
func (o origin) delivery(connection string) (actions, related []access.Action) {
	subject := func(s string) access.Action {
		return access.Action{Resource: access.SegmentResource(connection, "subject", s)}
	}
	switch {
	case o.listened:
		actions = add(actions, actSubscribe, subject(o.subjects[0]))
		if classOf(o.subjects[0]) != plain {
			actions = add(actions, actOpaque, subject(o.subjects[0]))
		}
	case o.consumer != "":
		actions = add(actions, actConsume, access.Action{Resource: access.SegmentResource(connection, "stream", o.stream, "consumer", o.consumer)})
	}
	if o.stream != "" && o.consumer == "" { // a request for it was asked before, and a subscription needs no more
		related = add(related, actGetMessage, access.Action{Resource: access.SegmentResource(connection, "stream", o.stream)})
	}
	for _, s := range o.subjects {
		actions = add(actions, actDeliver, subject(s))
		if o.consumer != "" || o.direct {
			related = add(related, actSubscribe, subject(s))
		}
	}
	return actions, related
}

// The types of answers, as they say themselves.
const (
	answerPrefix = "io.nats.jetstream.api.v1."
	answerGet    = answerPrefix + "stream_msg_get_response"
)

// storedMessage is a message inside of an answer.
type storedMessage struct {
	Subject string          `json:"subject"`
	Seq     json.RawMessage `json:"seq,omitempty"`
	Head    []byte          `json:"hdrs,omitempty"`
	Data    []byte          `json:"data,omitempty"`
	Time    json.RawMessage `json:"time,omitempty"`
}

// storedAnswer is the answer to STREAM.MSG.GET.
type storedAnswer struct {
	Type    string          `json:"type"`
	Error   json.RawMessage `json:"error,omitempty"`
	Message *storedMessage  `json:"message,omitempty"`
}

// unpackStored returns the message that an answer holds; nil where it holds none, or is no such answer.
func unpackStored(payload []byte) (*storedMessage, error) {
	unreadable := fault.New(fault.Backend, "nats.unpackStored", "the server's answer cannot be read")
	v, err := access.ReadJSON(payload) // what two readers could take for different answers is none
	m, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, unreadable
	}
	if t, _ := m["type"].(string); t != answerGet {
		return nil, nil //nolint:nilnil // most messages that speak of an answer are none
	}
	var a storedAnswer
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields() // what stands beside what is known would be shown as it is
	if err := d.Decode(&a); err != nil {
		return nil, unreadable
	}
	return a.Message, nil
}

// packStored returns an answer whose message is another one: with its data and headers as they may be shown.
func packStored(payload []byte, head, data []byte) ([]byte, error) {
	var a storedAnswer
	if err := json.Unmarshal(payload, &a); err != nil || a.Message == nil {
		return nil, fault.New(fault.Backend, "nats.packStored", "the server's answer cannot be read")
	}
	a.Message.Head, a.Message.Data = head, data
	return json.Marshal(a)
}
