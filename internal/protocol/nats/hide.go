package nats

import (
	"errors"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/wire/message"
)

// hiding is what must be hidden in the messages of one kind, under one version of the policies.
type hiding struct {
	version uint64
	known   bool
	masks   []*message.Hidden
}

// hidden returns what must be hidden in the messages of k on one way. The policies must be those of this moment.
func (s *session) hidden(k *kind, way access.Way) ([]*message.Hidden, error) {
	h := &k.hiding[way]
	if h.known && h.version == s.d.Version() {
		return h.masks, nil
	}
	*h = hiding{}
	if m := s.d.Masks(); m != nil {
		var all []access.DocumentMasks
		for _, r := range k.resources {
			all = append(all, m.Document(r, way))
		}
		hidden, err := s.p.masks.Union(all, s.know.connection)
		if err != nil {
			return nil, err
		}
		if hidden != nil {
			h.masks = append(h.masks, hidden)
		}
	}
	h.version, h.known = s.d.Version(), true
	return h.masks, nil
}

// content is a message's headers and its payload.
type content struct {
	head    *headers // nil where it has none
	payload []byte
	hits    int64 // values that were hidden
}

// hide hides values in a message.
func hide(masks []*message.Hidden, c content) (content, error) {
	for _, m := range masks {
		payload, hits, err := m.Body(nil, every(c.head, "Content-Type"), every(c.head, "Content-Encoding"), c.payload)
		if err != nil {
			return c, err
		}
		if hits > 0 {
			c.payload, c.hits = payload, c.hits+hits
		}
		if c.head == nil {
			continue
		}
		list, hits := m.Fields(fieldsOf(c.head.list))
		if hits == 0 {
			continue
		}
		head := &headers{status: c.head.status}
		for _, f := range list {
			if !headerName([]byte(f.Name)) || !plainValue([]byte(f.Value)) {
				return c, errBody
			}
			head.list = append(head.list, header{f.Name, f.Value})
		}
		c.head, c.hits = head, c.hits+hits
	}
	return c, nil
}

func fieldsOf(list []header) []message.Field {
	out := make([]message.Field, len(list))
	for i, e := range list {
		out[i] = message.Field{Name: e.name, Value: e.value}
	}
	return out
}

// hideStored hides values in a message, and in the one that its payload holds where it is the answer of a server that sends one.
func hideStored(masks []*message.Hidden, c content, inside bool) (content, error) {
	if !inside {
		return hide(masks, c)
	}
	stored, err := unpackStored(c.payload)
	if err != nil || stored == nil {
		return c, errors.Join(errBody, err)
	}
	in := content{payload: stored.Data}
	if len(stored.Head) > 0 {
		h, err := readHeaders(stored.Head)
		if err != nil {
			return c, errBody
		}
		in.head = &h
	}
	if in, err = hide(masks, in); err != nil || in.hits == 0 {
		return c, err
	}
	var head []byte
	if in.head != nil {
		head = in.head.append(nil)
	}
	c.payload, err = packStored(c.payload, head, in.payload)
	c.hits = in.hits
	return c, err
}

// headBytes is the header block of a message; nil where it has none.
func (c *content) headBytes() []byte {
	if c.head == nil {
		return nil
	}
	return c.head.append(nil)
}

// unreadable reports whether a message cannot be masked because it cannot be read: policy may let it pass by name.
func unreadable(err error) bool { return errors.Is(err, message.ErrUnreadable) }

// opaque returns the kind of a message that is passed as it is, though it may hold what is masked.
func (s *session) opaque(k *kind) *kind {
	if k.unread == nil {
		st := k.h.Statement()
		actions := append([]access.Action{}, st.Actions...)
		actions = append(actions, named(actOpaque, s.know.subjectResource(k.subject)))
		k.unread = &kind{subject: k.subject, h: s.d.Judge(statement(st.Text+" (not read)", actions, st.Related))}
	}
	return k.unread
}

var errChangedMasks = &fault.Error{Op: "nats.hide", Kind: fault.Unavailable, Say: "the policies changed while the message waited for a reviewer: it was not sent",
	Hint: "Send it again."}
