package amqp

import (
	"bytes"
	"crypto/sha256"
	"errors"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// delivered is the method that a message comes with.
type delivered struct {
	verb          string // Consume or Get
	queue         string
	exchange, key []byte
	redelivered   bool
	agreed        bool // a reviewer agreed to the subscription
	tag           uint64
	settled       bool // it waits for no acknowledgement
	cause         methodID
}

// deliverFrame takes the method that a message comes with, and the message where it is there as a whole.
func (s *session) deliverFrame(ch *channel, f *frame, id methodID, rest []byte) (int, error) {
	if id == idBasicReturn { // the client's own message
		ch.out = &outgoing{id: id, plain: true}
		return len(f.raw), s.d.Show(gate.Pass{}, f.raw)
	}
	if h, n, _ := peekFrame(rest, s.back.frame); h.kind == frameHeader && h.channel == f.channel {
		size, _, err := peekHeader(h.payload)
		if err != nil {
			return 0, errBroker(err.Error())
		}
		if body, m, ok := gather(&s.downParts, s.back.frame, rest[n:], f.channel, size); ok {
			used := len(f.raw) + n + m
			return used, s.deliver(ch, id, f.payload, &content{header: h.payload, body: body, size: size, whole: true,
				frames: f.raw[:used:used], from: f.from})
		}
	}
	ch.out = &outgoing{id: id, method: bytes.Clone(f.payload), raw: bytes.Clone(f.raw)}
	return len(f.raw), nil
}

// arrives takes a part of a message that has not come whole.
func (s *session) arrives(ch *channel, f *frame) error {
	out := ch.out
	if out.header == nil {
		size, _, err := peekHeader(f.payload)
		if err != nil || f.kind != frameHeader {
			return errBroker("a message without a content header")
		}
		out.header, out.size = bytes.Clone(f.payload), size
		return s.arriving(ch, f)
	}
	if f.kind != frameBody || uint64(len(f.payload)) > out.size-out.got {
		return errBroker("more of a message than it said")
	}
	if len(f.payload) == 0 {
		return nil // it is nothing of the message, and there may be any number of them
	}
	out.got += uint64(len(f.payload))
	switch {
	case out.plain:
		if err := s.d.Show(gate.Pass{}, f.raw); err != nil {
			return err
		}
	case out.stream != nil:
		_, _ = out.stream.sum.Write(f.payload)
		if err := s.d.Reply(out.stream.pass, f.raw); err != nil {
			return err
		}
	default:
		out.raw = append(out.raw, f.raw...)
		if s.coming += len(f.payload); s.coming > maxGathered+s.maxBody() {
			return errBroker("it begins more messages at once than it ends")
		}
	}
	if out.got < out.size {
		return nil
	}
	return s.arrived(ch)
}

// arriving settles whether a message is gathered or shown as it comes.
func (s *session) arriving(ch *channel, f *frame) error {
	out := ch.out
	if out.plain {
		if err := s.d.Show(gate.Pass{}, f.raw); err != nil {
			return err
		}
	} else {
		out.raw = append(out.raw, f.raw...)
	}
	switch {
	case out.size == 0:
		return s.arrived(ch)
	case out.plain || out.size <= smallBody:
		return nil
	}
	d, err := s.delivered(ch, out.id, out.method)
	if err != nil {
		return err
	}
	h, hid, err := s.judgeDelivery(&d, out.header)
	if err != nil {
		return s.refuseDelivery(ch, &d, s.d.RefuseText(err, len(out.raw)))
	}
	c := &content{header: out.header, size: out.size, frames: out.raw, from: -1}
	if s.holds(h) || len(hid.list) > 0 {
		if out.size <= uint64(s.maxBody()) {
			return nil
		}
		return s.refuseDelivery(ch, &d, s.d.Refuse(h, nil, errTooLarge))
	}
	pass, err := s.askDelivery(&d, h, hid, c)
	if err != nil {
		return s.refuseDelivery(ch, &d, err)
	}
	out.stream = &stream{pass: pass, sum: sha256.New()}
	s.replies(out.header)
	if err := ch.tags.shown(d.tag, d.settled); err != nil {
		return err
	}
	err = s.d.Reply(pass, out.raw)
	out.raw = nil
	return err
}

// dropOut forgets a message of the broker's.
func (s *session) dropOut(ch *channel) {
	if out := ch.out; out != nil && out.stream == nil && !out.plain {
		s.coming -= int(out.got)
	}
	ch.out = nil
}

// arrived takes a message whose last part has come.
func (s *session) arrived(ch *channel) error {
	out := ch.out
	s.dropOut(ch)
	switch {
	case out.plain:
		return nil
	case out.stream != nil:
		var sum [sha256.Size]byte
		out.stream.sum.Sum(sum[:0])
		s.d.Count(out.stream.pass, sum, int(out.size))
		if err := s.d.DoneDown(out.stream.pass, gate.Outcome{Status: access.StatusOK}); err != nil {
			return err
		}
		return s.got(ch, out.id)
	}
	behind := len(out.method) + frameOver + len(out.header) + frameOver
	body, _, ok := gather(&s.downParts, s.back.frame, out.raw[behind:], ch.number, out.size)
	if !ok {
		return fault.New(fault.Internal, "amqp.arrived", "")
	}
	return s.deliver(ch, out.id, out.method, &content{header: out.header, body: body, size: out.size, whole: true, frames: out.raw, from: -1})
}

// delivered reads the method that a message comes with.
func (s *session) delivered(ch *channel, id methodID, payload []byte) (delivered, error) {
	d := delivered{cause: id}
	c := coder{b: payload[4:]}
	if id == idBasicDeliver {
		name := c.shortBytes()
		by := ch.consumers[string(name)]
		if by == nil {
			return d, errBroker("a delivery to a consumer that there is not")
		}
		d.verb, d.queue, d.agreed, d.settled = verbConsume, by.queue, by.agreed, by.noAck
	}
	c.uint64(&d.tag)
	c.bits(&d.redelivered)
	d.exchange, d.key = c.shortBytes(), c.shortBytes()
	if id == idBasicGetOk {
		if len(ch.pending) == 0 || ch.pending[0].answer != id {
			return d, errBroker("it said basic.get-ok, which nobody asked for")
		}
		asked, _ := ch.pending[0].m.(*basicGet)
		d.verb, d.queue, d.agreed, d.settled = verbGet, asked.Queue, ch.pending[0].agreed, asked.NoAck
		var count uint32
		c.uint32(&count)
	}
	if c.err != nil || len(c.b) > 0 {
		return d, errBroker("a delivery that cannot be read")
	}
	return d, nil
}

// judgeDelivery returns the judgement of a delivery, by where it comes from and by what of its header says that it came from elsewhere; and
// what is hidden in it.
func (s *session) judgeDelivery(d *delivered, header []byte) (*gate.Handle, *hiding, error) {
	if err := s.d.Refresh(); err != nil {
		return nil, nil, err
	}
	_, has, _ := peekHeader(header)
	if has&hasHeaders == 0 || !bytes.Contains(header, []byte("CC")) && !bytes.Contains(header, []byte("x-death")) {
		s.key = append(append(append(append(append(append(s.key[:0], d.verb...), 0), d.queue...), 0, byte(len(d.exchange))), d.exchange...), d.key...)
		k, ok := s.arrivals[string(s.key)]
		if !ok {
			if len(s.arrivals) >= maxKindsKept {
				clear(s.arrivals)
			}
			st, err := s.p.understandDelivery(s.known, d.verb, d.queue, string(d.exchange), string(d.key), nil)
			if err != nil {
				return nil, nil, err
			}
			k = &kind{h: s.d.Judge(st)}
			s.arrivals[string(s.key)] = k
		}
		return k.h, &k.hiding, s.hidden(&k.hiding, access.ToClient, published(k.h))
	}
	_, p, err := decodeHeader(header)
	if err != nil {
		return nil, nil, notUnderstood("the properties of the message cannot be read")
	}
	st, err := s.p.understandDelivery(s.known, d.verb, d.queue, string(d.exchange), string(d.key), p.Headers)
	if err != nil {
		return nil, nil, err
	}
	h, hid := s.d.Judge(st), &hiding{}
	return h, hid, s.hidden(hid, access.ToClient, published(h))
}

// askDelivery asks for a message on its way to the client.
func (s *session) askDelivery(d *delivered, h *gate.Handle, hid *hiding, c *content) (gate.Pass, error) {
	r := gate.Request{Message: true, Arrives: true, Clear: len(hid.list) == 0, Unseen: !c.whole, Agreed: d.agreed, Rows: true}
	if c.from < 0 {
		r.Aside = c.frames
	} else {
		r.From, r.To = c.from, c.from+int64(len(c.frames))
	}
	if s.contents(h) {
		_, p, err := decodeHeader(c.header)
		if err != nil {
			return gate.Pass{}, s.d.Refuse(h, nil, notUnderstood("the properties of the message cannot be read"))
		}
		r.Sent = &access.Sent{Message: message(string(d.exchange), string(d.key), d.queue, &p, int64(c.size), &d.redelivered, s.reading(&p, c))}
	}
	pass, err := s.d.Ask(s.ctx, h, r)
	var held *gate.Hold
	if errors.As(err, &held) { // a delivery cannot wait: the subscription should have
		held.Drop()
		return gate.Pass{}, s.d.Refuse(h, nil, errNoWait)
	}
	if err != nil {
		return gate.Pass{}, err
	}
	if err := s.d.Spend(pass, 1, int64(len(c.header))+int64(c.size)); err != nil { // beyond what a policy lets out
		return gate.Pass{}, errors.Join(err, s.d.Done(pass, gate.Outcome{Status: access.StatusCancelled}))
	}
	return pass, nil
}

var errNoWait = &fault.Error{Op: "amqp.deliver", Kind: fault.Denied, Say: "permission denied: each message of this queue needs an approval, which a delivery cannot wait for",
	Hint: "Let the approval be for Consume or Get without a condition on messages."}

// deliver takes a message that is there as a whole.
func (s *session) deliver(ch *channel, id methodID, payload []byte, c *content) error {
	d, err := s.delivered(ch, id, payload)
	if err != nil {
		return err
	}
	h, hid, err := s.judgeDelivery(&d, c.header)
	if err != nil {
		return s.refuseDelivery(ch, &d, s.d.RefuseText(err, len(c.frames)))
	}
	m := masked{header: c.header}
	if len(hid.list) > 0 {
		if m, err = s.hide(hid, c.header, s.join(c.body)); err != nil {
			return s.refuseDelivery(ch, &d, s.d.Refuse(h, nil, err))
		}
		if m.opaque {
			h = s.opaquely(h)
		}
	}
	pass, err := s.askDelivery(&d, h, hid, c)
	if err != nil {
		return s.refuseDelivery(ch, &d, err)
	}
	switch {
	case len(hid.list) == 0:
		err = s.d.Reply(pass, c.frames)
	case m.hits == 0:
		err = s.d.Show(pass, c.frames)
	default:
		s.out = rebuilt(s.out[:0], methodFrame(c.frames), ch.number, &m, s.back.frame)
		err = s.d.Show(pass, s.out)
	}
	if err != nil {
		return err
	}
	if err := ch.tags.shown(d.tag, d.settled); err != nil {
		return err
	}
	s.replies(m.header)
	s.d.Count(pass, digest(c.body), int(c.size))
	if err := s.d.DoneDown(pass, gate.Outcome{Status: access.StatusOK, Masked: m.hits}); err != nil {
		return err
	}
	return s.got(ch, id)
}

// got takes a message that was fetched for the answer to its basic.get: the next one is judged by the next basic.get.
func (s *session) got(ch *channel, id methodID) error {
	if id != idBasicGetOk {
		return nil
	}
	p := ch.pending[0]
	ch.pending = ch.pending[1:]
	return s.d.DoneDown(p.pass, gate.Outcome{Status: access.StatusOK, Rows: 1})
}

// replies notes where a message that the client is shown says that it may reply to.
func (s *session) replies(header []byte) {
	if _, has, _ := peekHeader(header); has&hasReplyTo == 0 || !bytes.Contains(header, []byte(replyKeys)) {
		return
	}
	if _, p, err := decodeHeader(header); err == nil {
		s.known.given(p.ReplyTo)
	}
}

// refuseDelivery ends the channel of a message that the client may not have: the broker takes it back.
func (s *session) refuseDelivery(ch *channel, d *delivered, why error) error {
	return s.refuseChannel(ch, d.cause, why)
}

// mayLose refuses a subscription without acknowledgements where a message of it may turn out to be refused: the broker would not take it
// back, and it would be lost.
func (s *session) mayLose(queue, verb string, noAck bool) error {
	if !noAck || queue == replyQueue {
		return nil
	}
	st, err := s.p.understandDelivery(s.known, verb, queue, "", "", nil)
	if err != nil {
		return err
	}
	if err := s.d.Refresh(); err != nil {
		return err
	}
	if h := s.d.Judge(st); s.d.Reads(h) {
		return &fault.Error{Op: "amqp.consume", Kind: fault.Denied, Say: "permission denied: each message of this queue is decided on, and without acknowledgements one that is refused would be lost",
			Hint: "Consume with acknowledgements (no_ack off)."}
	}
	return nil
}
