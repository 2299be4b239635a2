package amqp

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// content is a message that is there as a whole, or whose body is sent on as it comes.
type content struct {
	header []byte   // the payload of its content header
	body   [][]byte // nil where it is sent on as it comes
	size   uint64
	whole  bool
	frames []byte // the frames as they came; where from is -1 they were kept aside
	from   int64

	channel uint16
	instead []byte // what is sent in place of the frames; nil where they are
	why     gate.Rewrite
	hits    int64 // values hidden
}

// publishFrame takes basic.publish, with its message where that is there as a whole.
func (s *session) publishFrame(ch *channel, f *frame, rest []byte) (int, error) {
	if h, n, _ := peekFrame(rest, s.tuned.frame); h.kind == frameHeader && h.channel == f.channel {
		size, _, err := peekHeader(h.payload)
		if err != nil {
			return 0, errSyntax(idBasicPublish, err)
		}
		if body, m, ok := gather(&s.upParts, s.tuned.frame, rest[n:], f.channel, size); ok {
			used := len(f.raw) + n + m
			k, err := s.kindOf(f.payload)
			if err != nil {
				return 0, err
			}
			return used, s.publish(ch, k, &content{header: h.payload, body: body, size: size, whole: true,
				frames: f.raw[:used:used], from: f.from})
		}
	}
	ch.in = &incoming{method: bytes.Clone(f.payload), raw: bytes.Clone(f.raw), held: len(f.raw)}
	s.gathered += len(f.raw)
	return len(f.raw), nil
}

// gather finds the body of a message in the frames at the start of b; ok is false where it is not all there. The body is good until the
// next one that is kept in parts.
func gather(parts *[][]byte, most int, b []byte, channel uint16, size uint64) (body [][]byte, used int, ok bool) {
	*parts = (*parts)[:0]
	for size > 0 {
		f, n, err := peekFrame(b[used:], most)
		if err != nil || f.raw == nil || f.kind != frameBody || f.channel != channel || uint64(len(f.payload)) > size || len(f.payload) == 0 {
			return nil, 0, false
		}
		*parts = append(*parts, f.payload)
		size -= uint64(len(f.payload))
		used += n
	}
	return *parts, used, true
}

// kindOf returns what is known of the messages that are published with a method.
func (s *session) kindOf(payload []byte) (*kind, error) {
	if k, ok := s.kinds[string(payload)]; ok && k.since == s.known.changes {
		return k, nil
	}
	m, err := decodeMethod(payload)
	if err != nil {
		return nil, err
	}
	k := &kind{publish: m.(*basicPublish), since: s.known.changes}
	if len(s.kinds) >= maxKindsKept {
		clear(s.kinds)
	}
	s.kinds[string(payload)] = k
	return k, nil
}

// comes takes a part of a message that has not come whole.
func (s *session) comes(ch *channel, f *frame) error {
	in := ch.in
	if in.header == nil {
		if f.kind != frameHeader {
			return hard(codeUnexpectedFrame, 0, "expected a content header, got a body")
		}
		return s.begins(ch, f)
	}
	if f.kind != frameBody || uint64(len(f.payload)) > in.size-in.got {
		return hard(codeUnexpectedFrame, 0, "expected the body of a message, got more or something else")
	}
	if len(f.payload) == 0 {
		return nil // it is nothing of the message, and there may be any number of them
	}
	in.got += uint64(len(f.payload))
	switch {
	case in.drop:
	case in.stream != nil:
		_, _ = in.stream.sum.Write(f.payload)
		if err := s.follow(ch, in.stream.pass, f); err != nil {
			return err
		}
	default:
		in.raw = append(in.raw, f.raw...)
	}
	if in.got < in.size {
		return nil
	}
	return s.complete(ch)
}

// begins takes the content header, and settles whether the message is gathered or sent on as it comes.
func (s *session) begins(ch *channel, f *frame) error {
	in := ch.in
	size, _, err := peekHeader(f.payload)
	if err != nil {
		return errSyntax(idBasicPublish, err)
	}
	if in.k, err = s.kindOf(in.method); err != nil {
		return err
	}
	in.header, in.size = bytes.Clone(f.payload), size
	in.raw = append(in.raw, f.raw...)
	in.held += len(f.raw)
	s.gathered += len(f.raw)
	if size == 0 {
		return s.complete(ch)
	}
	if size <= smallBody && s.gathered < maxGathered {
		s.expects(in)
		return nil
	}
	h, hid, err := s.judgePublish(in.k, in.header)
	if err != nil {
		in.drop = true
		return s.refusePublish(ch, nil, ch.confirms.countOn(), s.d.RefuseText(err, len(in.raw)))
	}
	if s.holds(h) || s.hidden(hid, access.ToBackend, published(h)) != nil || len(hid.list) > 0 {
		if size <= uint64(s.maxBody()) && s.gathered+int(size) < maxGathered+s.maxBody() {
			s.expects(in)
			return nil
		}
		in.drop = true
		return s.refusePublish(ch, h, ch.confirms.countOn(), s.d.Refuse(h, nil, errTooLarge))
	}
	return s.streams(ch, h)
}

var errTooLarge = &fault.Error{Op: "amqp.publish", Kind: fault.Denied, Say: "permission denied: this message has to be read before it is sent, and is larger than what is held",
	Hint: "Send less at once; amqp.max_body of the connection says how much is held."}

// holds reports whether a message has to be known whole before it is decided on. The policies are fresh.
func (s *session) holds(h *gate.Handle) bool {
	return s.d.Refresh() != nil || s.d.Holds(h)
}

// expects counts a message that is gathered as what it says that it will hold: many may begin before one of them is there.
func (s *session) expects(in *incoming) {
	in.held += int(in.size)    // #nosec G115 -- it is bounded by then
	s.gathered += int(in.size) // #nosec G115 -- it is bounded by then
}

// streams sends the beginning of a message on; the rest follows as it comes.
func (s *session) streams(ch *channel, h *gate.Handle) error {
	in := ch.in
	tag := ch.confirms.countOn()
	c := &content{header: in.header, size: in.size, frames: in.raw, from: -1}
	pass, err := s.askPublish(in.k, h, c)
	if err != nil {
		in.drop = true
		return s.refusePublish(ch, h, tag, err)
	}
	if err := s.d.StageRewrite(pass, gate.RewriteFrames, s.recut(in.raw)); err != nil {
		return err
	}
	s.gathered -= in.held
	in.raw, in.held = nil, 0
	in.stream = &stream{pass: pass, sum: sha256.New()}
	if ch.confirms.on {
		s.due++
		ch.confirms.sent(tag, pass, 0)
	}
	return nil
}

// follow sends a part of a body on, in frames of the size that the broker takes.
func (s *session) follow(ch *channel, pass gate.Pass, f *frame) error {
	if len(f.raw) <= s.back.frame {
		return s.d.FollowRewrite(pass, f.raw)
	}
	s.out = appendBody(s.out[:0], ch.number, f.payload, s.back.frame)
	return s.d.FollowRewrite(pass, s.out)
}

// complete takes a message whose last part has come.
func (s *session) complete(ch *channel) error {
	in := ch.in
	ch.in = nil
	if in.drop {
		s.gathered -= in.held
		return nil
	}
	if in.stream != nil {
		var sum [sha256.Size]byte
		in.stream.sum.Sum(sum[:0])
		s.d.Count(in.stream.pass, sum, int(in.size))
		if ch.confirms.on {
			return nil
		}
		return s.d.DoneUp(in.stream.pass, gate.Outcome{Status: access.StatusOK})
	}
	s.gathered -= in.held
	behind := len(in.method) + frameOver + len(in.header) + frameOver
	body, _, ok := gather(&s.upParts, s.tuned.frame, in.raw[behind:], ch.number, in.size)
	if !ok {
		return fault.New(fault.Internal, "amqp.complete", "")
	}
	return s.publish(ch, in.k, &content{header: in.header, body: body, size: in.size, whole: true, frames: in.raw, from: -1})
}

// forget drops a message that has not come whole.
func (s *session) forget(ch *channel) {
	in := ch.in
	ch.in = nil
	s.gathered -= in.held
	if in.stream != nil && !ch.confirms.on {
		_ = s.d.Done(in.stream.pass, gate.Outcome{Status: access.StatusCancelled})
	}
}

// judgePublish returns the judgement of a publish, by its method and by what of its header leads elsewhere; and where it is kept what is
// hidden in it.
func (s *session) judgePublish(k *kind, header []byte) (*gate.Handle, *hiding, error) {
	_, has, _ := peekHeader(header)
	if has&hasUserID == 0 && (has&hasHeaders == 0 || !bytes.Contains(header, []byte("CC"))) {
		if k.h == nil {
			st, err := s.p.understand(s.known, k.publish, nil)
			if err != nil {
				return nil, nil, err
			}
			k.h = s.d.Judge(st)
		}
		return k.h, &k.hiding, nil
	}
	_, p, err := decodeHeader(header)
	if err != nil {
		return nil, nil, notUnderstood("the properties of the message cannot be read: " + err.Error())
	}
	st, err := s.p.understand(s.known, k.publish, &p)
	if err != nil {
		return nil, nil, err
	}
	return s.d.Judge(st), &hiding{}, nil
}

// publish takes a message that is there as a whole.
func (s *session) publish(ch *channel, k *kind, c *content) error {
	tag := ch.confirms.countOn()
	h, hid, err := s.judgePublish(k, c.header)
	if err != nil {
		return s.refusePublish(ch, nil, tag, s.d.RefuseText(err, len(c.frames)))
	}
	c.channel = ch.number
	if err = s.d.Refresh(); err == nil {
		if err = s.hidden(hid, access.ToBackend, published(h)); err == nil {
			h, err = s.plan(h, hid, c)
		}
	}
	if err != nil {
		return s.refusePublish(ch, h, tag, s.d.Refuse(h, nil, err))
	}
	pass, err := s.askPublish(k, h, c)
	var held *gate.Hold
	if errors.As(err, &held) {
		s.heldPublish(ch, held, tag, h, hid, c)
		return nil
	}
	if err != nil {
		return s.refusePublish(ch, h, tag, err)
	}
	return s.send(ch, tag, pass, c, digest(c.body))
}

// heldPublish has a reviewer asked about a message.
func (s *session) heldPublish(ch *channel, held *gate.Hold, tag uint64, h *gate.Handle, hid *hiding, c *content) {
	sum, was := digest(c.body), slices.Clone(hid.list)
	again := &content{size: c.size, hits: c.hits}
	if c.why == gate.RewriteMask || s.back.frame < s.tuned.frame { // otherwise the gate has the frames
		again.instead, again.why = bytes.Clone(c.instead), c.why
	}
	s.await(ch, held, func(pass gate.Pass, err error) error {
		if err == nil && !s.sameHidden(was, h) {
			if err := s.d.Done(pass, gate.Outcome{Status: access.StatusCancelled}); err != nil {
				return err
			}
			err = s.d.Refuse(h, nil, errMasksChanged)
		}
		if err != nil {
			return s.refusePublish(ch, h, tag, err)
		}
		return s.send(ch, tag, pass, again, sum)
	})
}

var errMasksChanged = &fault.Error{Op: "amqp.publish", Kind: fault.Pending, Say: "the policies changed while this waited for a reviewer: what it holds is masked by now",
	Hint: "Send it again."}

// askPublish asks for a message.
func (s *session) askPublish(k *kind, h *gate.Handle, c *content) (gate.Pass, error) {
	r := gate.Request{Message: true, Clear: true, Unseen: !c.whole}
	if c.from < 0 {
		r.Aside = c.frames
	} else {
		r.From, r.To = c.from, c.from+int64(len(c.frames))
	}
	if err := s.d.Refresh(); err != nil {
		return gate.Pass{}, err
	}
	if s.contents(h) {
		_, p, err := decodeHeader(c.header)
		if err != nil {
			return gate.Pass{}, s.d.Refuse(h, nil, notUnderstood("the properties of the message cannot be read: "+err.Error()))
		}
		r.Sent = &access.Sent{Message: message(k.publish.Exchange, k.publish.RoutingKey, "", &p, int64(c.size), nil, s.reading(&p, c))}
		r.Shown = func() []any { return shown(c) }
	}
	return s.d.Ask(s.ctx, h, r)
}

// reading returns how the body of a message is read; nil where it is not there.
func (s *session) reading(p *properties, c *content) func() any {
	if !c.whole || c.size > uint64(s.maxBody()) {
		return nil
	}
	return s.p.hidden.Reader().Document(p.ContentType, p.ContentEncoding, s.join(c.body))
}

// join returns a body in one piece.
func (s *session) join(body [][]byte) []byte {
	if len(body) == 1 {
		return body[0]
	}
	s.flat = s.flat[:0]
	for _, b := range body {
		s.flat = append(s.flat, b...)
	}
	return s.flat
}

// shown is what a reviewer sees of a message: what the broker would be sent.
func shown(c *content) []any {
	header, body := c.header, bytes.Join(c.body, nil)
	if c.why == gate.RewriteMask {
		header, body = nil, nil
		for b := c.instead; len(b) > 0; {
			f, n, err := peekFrame(b, len(b))
			if err != nil || f.raw == nil {
				return nil // it was made here
			}
			switch b = b[n:]; f.kind {
			case frameHeader:
				header = f.payload
			case frameBody:
				body = append(body, f.payload...)
			}
		}
	}
	_, p, err := decodeHeader(header)
	if err != nil {
		return nil // it was read before
	}
	var out []any
	p.each(func(name string, v any) {
		out = append(out, name+"="+string(appendJSON(nil, v)))
	})
	if !readable(body) {
		return append(out, body)
	}
	return append(out, string(body))
}

func digest(body [][]byte) (sum [sha256.Size]byte) {
	if len(body) == 1 {
		return sha256.Sum256(body[0])
	}
	h := sha256.New()
	for _, b := range body {
		_, _ = h.Write(b)
	}
	h.Sum(sum[:0])
	return sum
}

// send passes a message on that was permitted.
func (s *session) send(ch *channel, tag uint64, pass gate.Pass, c *content, sum [sha256.Size]byte) error {
	var err error
	if c.instead != nil {
		err = s.d.StageRewrite(pass, c.why, c.instead)
	} else {
		err = s.d.Stage(pass)
	}
	if err != nil {
		return err
	}
	s.d.Count(pass, sum, int(c.size))
	if !ch.confirms.on {
		return s.d.DoneUp(pass, gate.Outcome{Status: access.StatusOK, Masked: c.hits})
	}
	s.due++
	ch.confirms.sent(tag, pass, c.hits)
	return nil
}

// recut returns frames in the size that the broker takes.
func (s *session) recut(frames []byte) []byte {
	s.out = s.out[:0]
	for len(frames) > 0 {
		f, n, err := peekFrame(frames, s.tuned.frame)
		if err != nil || f.raw == nil {
			return nil // it was read before
		}
		if f.kind == frameBody {
			s.out = appendBody(s.out, f.channel, f.payload, s.back.frame)
		} else {
			s.out = append(s.out, f.raw...)
		}
		frames = frames[n:]
	}
	return s.out
}

// contents reports whether what a message says may decide on it, or has to be seen by a reviewer. The policies are fresh.
func (s *session) contents(h *gate.Handle) bool { return s.d.Reads(h) || s.d.Holds(h) }

// refusePublish tells the client that a message was refused. What was refused for what it says is not confirmed, where the client waits for
// confirms; otherwise the channel ends, as brokers do it.
func (s *session) refusePublish(ch *channel, h *gate.Handle, tag uint64, why error) error {
	if ch.client != isOpen {
		return nil
	}
	if !ch.confirms.on || h == nil || !s.contents(h) || fault.KindOf(why) == fault.Internal {
		return s.refuseChannel(ch, idBasicPublish, why)
	}
	ch.confirms.refuse(tag)
	s.tellConfirm(ch, confirm{tag, false}, false)
	return nil
}
