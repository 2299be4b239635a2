package amqp

import (
	"errors"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/gate"
	wired "gatehouse/internal/wire/message"
)

// hiding is what is hidden in messages of one kind, on their way: worked out once for each version of the policies.
type hiding struct {
	known   bool
	version uint64
	list    []*wired.Hidden
}

// hidden works out what is hidden in messages of some resources. The policies are fresh.
func (s *session) hidden(h *hiding, way access.Way, resources func() ([]string, error)) error {
	if h.known && h.version == s.d.Version() {
		return nil
	}
	*h = hiding{}
	if masks := s.d.Masks(); masks != nil {
		list, err := resources()
		if err != nil {
			return err
		}
		var all []access.DocumentMasks
		for _, r := range list {
			all = append(all, masks.Document(r, way))
		}
		one, err := s.p.hidden.Union(all, s.known.connection)
		if err != nil {
			return err
		}
		if one != nil {
			h.list = append(h.list, one)
		}
	}
	h.known, h.version = true, s.d.Version()
	return nil
}

// published are the resources of what is published under a handle.
func published(h *gate.Handle) func() ([]string, error) {
	return func() (out []string, err error) {
		st := h.Statement()
		for _, list := range [...][]access.Action{st.Actions, st.Related} {
			for i := range list {
				out = append(out, list[i].Resource)
			}
		}
		return out, nil
	}
}

// masked is a message of which values are hidden.
type masked struct {
	header []byte
	body   []byte
	hits   int64
	opaque bool // its body could not be read, and is as it was
}

// hide hides values in a message. header is the payload of its content header.
func (s *session) hide(h *hiding, header, body []byte) (masked, error) {
	m := masked{header: header, body: body}
	_, p, err := decodeHeader(header)
	if err != nil {
		return m, notUnderstood("the properties of the message cannot be read: " + err.Error())
	}
	for _, one := range h.list {
		out, hits, err := one.Body(nil, p.ContentType, p.ContentEncoding, m.body)
		switch {
		case errors.Is(err, wired.ErrUnreadable):
			m.opaque = true
		case err != nil:
			return m, err
		default:
			m.body = out
			m.hits += hits
		}
	}
	if m.opaque {
		m.body, m.hits = body, 0
	}
	for _, one := range h.list {
		m.hits += hideProperties(one, &p)
	}
	if m.hits > 0 {
		m.header = appendHeader(nil, uint64(len(m.body)), &p)
	}
	return m, nil
}

// opaquely is the judgement of a message that masks cannot read: it is Opaque besides, wherever it goes.
func (s *session) opaquely(h *gate.Handle) *gate.Handle {
	st := *h.Statement()
	for _, a := range h.Statement().Actions {
		a.Name = prefix + verbOpaque
		if !slices.ContainsFunc(st.Actions, func(have access.Action) bool { return have.Name == a.Name && have.Resource == a.Resource }) {
			st.Actions = append(slices.Clip(st.Actions), a)
		}
	}
	return s.d.Judge(&st)
}

// rebuilt is a message in frames: method is its first frame.
func rebuilt(dst, method []byte, channel uint16, m *masked, most int) []byte {
	return appendContent(append(dst, method...), channel, m.header, m.body, most)
}

// plan settles what is sent in place of the frames of a message: the message without what is hidden, or in frames of the broker's size. It
// returns the handle to ask with.
func (s *session) plan(h *gate.Handle, hid *hiding, c *content) (*gate.Handle, error) {
	if len(hid.list) > 0 {
		m, err := s.hide(hid, c.header, s.join(c.body))
		if err != nil {
			return h, err
		}
		if m.opaque {
			h = s.opaquely(h)
		}
		if c.hits = m.hits; m.hits > 0 {
			s.out = rebuilt(s.out[:0], methodFrame(c.frames), c.channel, &m, s.back.frame)
			c.instead, c.why = s.out, gate.RewriteMask
			return h, nil
		}
	}
	switch {
	case s.back.frame < s.tuned.frame:
		c.instead, c.why = s.recut(c.frames), gate.RewriteFrames
	case c.from < 0:
		c.instead, c.why = c.frames, gate.RewriteFrames
	}
	return h, nil
}

// sameHidden reports whether what was hidden in a message that waited is still all that must be.
func (s *session) sameHidden(was []*wired.Hidden, h *gate.Handle) bool {
	var now hiding
	return s.d.Refresh() == nil && s.hidden(&now, access.ToBackend, published(h)) == nil && slices.Equal(was, now.list)
}

// methodFrame returns the first of some frames.
func methodFrame(frames []byte) []byte {
	f, n, err := peekFrame(frames, len(frames))
	if err != nil || f.raw == nil {
		return nil // it was read before
	}
	return frames[:n]
}
