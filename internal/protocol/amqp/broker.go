package amqp

import (
	"fmt"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// errBroker is a broker that does not keep to the protocol.
func errBroker(what string) error {
	return fault.New(fault.Backend, "amqp.broker", "the backend broke its protocol: %s", what)
}

// fromBroker takes every whole frame that has come. left says that the client closed the connection, and was told that it is closed.
func (s *session) fromBroker() (left bool, err error) {
	r := s.d.Backend()
	for {
		b := r.Unread()
		f, need, err := peekFrame(b, s.back.frame)
		if err != nil {
			return false, errBroker(err.Error())
		}
		if s.downNeed = need; f.raw == nil {
			return false, nil
		}
		f.from = r.Offset()
		used := len(f.raw)
		switch {
		case f.kind == frameHeartbeat:
		case f.channel == 0:
			if left, err = s.brokerConnection(&f); err != nil || left {
				return left, err
			}
		default:
			if used, err = s.brokerFrame(&f, b[used:]); err != nil {
				return false, err
			}
		}
		r.Skip(used)
	}
}

// brokerConnection takes a method of the connection.
func (s *session) brokerConnection(f *frame) (left bool, err error) {
	m, err := decodeMethod(f.payload)
	if err != nil || f.kind != frameMethod {
		return false, errBroker("a frame on channel 0 cannot be read")
	}
	switch m := m.(type) {
	case *connectionBlocked, *connectionUnblocked:
		return false, s.d.Show(gate.Pass{}, f.raw)
	case *connectionCloseOk:
		if !s.bye {
			return false, errBroker("it closed what was not to be closed")
		}
		return true, s.d.Show(gate.Pass{}, f.raw)
	case *connectionClose:
		s.farewells.Store(true)
		_ = s.d.ControlOwn(appendMethod(nil, 0, &connectionCloseOk{}))
		return false, &exception{code: m.Code, hard: true, cause: methodID(m.Cause), text: m.Text,
			err: fault.New(fault.Backend, "amqp.broker", "the backend closed the connection (%d %s)", m.Code, codeName(m.Code))}
	}
	return false, errBroker("unexpected " + m.name())
}

// brokerFrame takes one frame of a channel, and those behind it that belong to the same message, where they are all there. It returns how
// many bytes it took.
func (s *session) brokerFrame(f *frame, rest []byte) (int, error) {
	ch := s.channels[f.channel]
	if ch == nil {
		return 0, errBroker(fmt.Sprintf("a frame on channel %d, which is not open", f.channel))
	}
	id := methodID(0)
	if f.kind == frameMethod {
		id = peekID(f.payload)
	}
	switch {
	case id == idChannelCloseOk:
		return len(f.raw), s.brokerClosed(ch, f)
	case id == idChannelClose:
		return len(f.raw), s.brokerCloses(ch, f)
	case ch.broker != isOpen || ch.client != isOpen: // of a channel that ends: the broker takes back what was not acknowledged
		s.dropOut(ch)
		return len(f.raw), nil
	}
	switch id {
	case 0:
		if ch.out == nil {
			return 0, errBroker("a part of a message that has not begun")
		}
		return len(f.raw), s.arrives(ch, f)
	case idBasicDeliver, idBasicGetOk, idBasicReturn:
		if ch.out != nil {
			return 0, errBroker("a message in the middle of another")
		}
		return s.deliverFrame(ch, f, id, rest)
	}
	m, err := decodeMethod(f.payload)
	if err != nil || ch.out != nil {
		return 0, errBroker("a method that cannot be read")
	}
	return len(f.raw), s.brokerMethod(ch, f, m)
}

// brokerMethod takes a method on an open channel.
func (s *session) brokerMethod(ch *channel, f *frame, m method) error {
	switch m := m.(type) {
	case *basicAck:
		return s.settleConfirm(ch, m.DeliveryTag, m.Multiple, true)
	case *basicNack:
		return s.settleConfirm(ch, m.DeliveryTag, m.Multiple, false)
	case *channelFlow:
		return s.d.Show(gate.Pass{}, f.raw)
	case *basicCancel: // the queue has gone: this is the consumer's end
		delete(ch.consumers, m.ConsumerTag)
		return s.d.Show(gate.Pass{}, f.raw)
	}
	return s.answer(ch, f, m)
}

// answer takes the answer to the method that has waited longest.
func (s *session) answer(ch *channel, f *frame, m method) error {
	id := m.id()
	if id == idBasicGetEmpty {
		id = idBasicGetOk
	}
	if len(ch.pending) == 0 || ch.pending[0].answer != id {
		return errBroker("it said " + m.name() + ", which nobody asked for")
	}
	p := ch.pending[0]
	ch.pending = ch.pending[1:]
	o := gate.Outcome{Status: access.StatusOK}
	switch m := m.(type) {
	case *basicConsumeOk:
		asked, _ := p.m.(*basicConsume)
		ch.consumers[m.ConsumerTag] = &consumer{queue: asked.Queue, agreed: p.agreed, noAck: asked.NoAck}
	case *basicRecoverOk: // all of them come again, under other tags
		ch.tags.open = nil
	case *queuePurgeOk:
		o.Rows = int64(m.MessageCount)
	case *queueDeleteOk:
		o.Rows = int64(m.MessageCount)
	case *basicCancelOk:
		delete(ch.consumers, m.ConsumerTag)
	}
	if p.pass.Zero() {
		if err := s.d.Show(gate.Pass{}, f.raw); err != nil {
			return err
		}
	} else {
		s.known.learn(&ch.naming, p.asked, m)
		if err := s.d.Reply(p.pass, f.raw); err != nil {
			return err
		}
		if err := s.d.Done(p.pass, o); err != nil {
			return err
		}
	}
	if ch.waits == waitsName {
		ch.waits = waitsNot
		return s.resume(ch)
	}
	return nil
}

// brokerCloses takes the broker's channel.close.
func (s *session) brokerCloses(ch *channel, f *frame) error {
	m, err := decodeMethod(f.payload)
	if err != nil {
		return errBroker("a method that cannot be read")
	}
	if ch.broker != isOpen || ch.client != isOpen { // the client knows, or does not want to
		return s.d.ControlOwn(appendMethod(nil, ch.number, &channelCloseOk{}))
	}
	if err := s.ended(ch, m.(*channelClose).Code); err != nil {
		return err
	}
	closes := ch.closes
	s.endWaits(ch)
	ch.broker, ch.client = isLeaving, isRefused
	if err := s.d.Show(gate.Pass{}, f.raw); err != nil {
		return err
	}
	if closes { // the client had closed it meanwhile
		return s.d.Show(gate.Pass{}, appendMethod(nil, ch.number, &channelCloseOk{}))
	}
	return nil
}

// brokerClosed takes the broker's channel.close-ok.
func (s *session) brokerClosed(ch *channel, f *frame) error {
	if err := s.ended(ch, 0); err != nil {
		return err
	}
	switch {
	case ch.client == isLeaving && ch.broker == isOpen:
		delete(s.channels, ch.number)
		return s.d.Show(gate.Pass{}, f.raw)
	case ch.broker != isRefused:
		return errBroker("it closed a channel that was not to be closed")
	case ch.client == isLeaving: // the client closed it while the gateway did
		delete(s.channels, ch.number)
		return s.d.Show(gate.Pass{}, f.raw)
	}
	ch.broker = isGone
	if ch.client != isGone {
		return nil
	}
	delete(s.channels, ch.number)
	b := ch.aside
	s.aside -= len(b)
	for len(b) > 0 { // the client has opened it again meanwhile
		g, _, err := peekFrame(b, s.tuned.frame)
		if err != nil {
			return err
		}
		g.from = -1
		used, err := s.clientFrame(&g, b[len(g.raw):])
		if err != nil {
			return err
		}
		b = b[used:]
	}
	return s.goodbye()
}

// ended gives what was under way on a channel an outcome. code is the broker's reason; 0 where the channel was closed from this side.
func (s *session) ended(ch *channel, code uint16) error {
	o := gate.Outcome{Status: access.StatusCancelled}
	if code != 0 {
		o = gate.Outcome{Status: access.StatusError, Code: fmt.Sprint(code)}
	}
	var failed error
	done := func(p gate.Pass) {
		if !p.Zero() {
			if err := s.d.Done(p, o); err != nil {
				failed = err
			}
		}
		o = gate.Outcome{Status: access.StatusSkipped} // the broker did nothing of what came after it
		if code == 0 {
			o.Status = access.StatusCancelled
		}
	}
	for _, p := range ch.pending {
		done(p.pass)
	}
	ch.confirms.end(func(p publish) {
		s.due--
		if err := s.d.Done(p.pass, gate.Outcome{Status: access.StatusCancelled}); err != nil {
			failed = err
		}
	})
	ch.pending = nil
	s.dropOut(ch)
	clear(ch.consumers)
	return failed
}
