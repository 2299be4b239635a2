package amqp

import (
	"context"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// await has a reviewer asked beside the session. The channel's later frames wait; other channels go on. then is called with the answer,
// unless the channel has gone meanwhile.
func (s *session) await(ch *channel, h *gate.Hold, then func(gate.Pass, error) error) {
	ctx, cancel := context.WithCancelCause(s.ctx)
	ch.waits, ch.cancel = waitsHeld, cancel
	if s.leaving {
		cancel(errGone)
	}
	s.d.Await(ctx, h, func(pass gate.Pass, err error) {
		cancel(nil)
		if err := s.answered(ch, pass, err, then); err != nil {
			s.d.Stop(err)
		}
	})
}

func (s *session) answered(ch *channel, pass gate.Pass, err error, then func(gate.Pass, error) error) error {
	ch.cancel = nil
	if ch.waits == waitsHeld {
		ch.waits = waitsNot
	}
	if ch.client != isOpen || s.ctx.Err() != nil {
		if err == nil {
			return s.d.Done(pass, gate.Outcome{Status: access.StatusCancelled})
		}
		return nil
	}
	if err == nil || !ch.closes || ch.confirms.on { // whoever closes a channel waits for no other answer
		if err := then(pass, err); err != nil {
			return err
		}
	}
	return s.resume(ch)
}

// keep puts a frame of a channel that waits aside. Closing the channel ends the wait for a reviewer, and is done in its turn.
func (s *session) keep(ch *channel, f *frame) error {
	if s.aside+len(f.raw) > s.maxWaiting() {
		if ch.client != isOpen {
			return hard(codeResource, 0, "too much is sent on a channel that is not open yet")
		}
		return s.refuseChannel(ch, peekID(f.payload), errAside)
	}
	if f.kind == frameMethod && peekID(f.payload) == idChannelClose {
		ch.closes = true
		if ch.cancel != nil {
			ch.cancel(errGone)
		}
	}
	s.aside += len(f.raw)
	ch.aside = append(ch.aside, f.raw...)
	return nil
}

var errAside = &fault.Error{Op: "amqp.keep", Kind: fault.Denied, Say: "too much of this channel waits behind what a reviewer was asked about",
	Hint: "Wait for the answer, or send what needs one on a channel of its own."}

// resume takes the frames that waited, until there is something to wait for again.
func (s *session) resume(ch *channel) error {
	if ch.waits == waitsNot && len(ch.aside) > 0 {
		b := ch.aside
		s.aside -= len(b)
		ch.aside, ch.closes = nil, false
		for len(b) > 0 {
			f, _, err := peekFrame(b, s.tuned.frame)
			if err != nil {
				return err
			}
			f.from = -1
			used, err := s.clientFrame(&f, b[len(f.raw):])
			if err != nil {
				return err
			}
			b = b[used:]
		}
	}
	if s.leaving {
		return s.goodbye()
	}
	return nil
}

// endWaits forgets what waits in a channel that ends.
func (s *session) endWaits(ch *channel) {
	if ch.cancel != nil {
		ch.cancel(errGone)
	}
	s.aside -= len(ch.aside)
	ch.aside, ch.waits, ch.closes = nil, waitsNot, false
	if ch.in != nil {
		s.forget(ch)
	}
}

// refuseText refuses a method that is not understood, on record.
func (s *session) refuseText(ch *channel, m method, why error, size int) error {
	return s.refuseChannel(ch, m.id(), s.d.RefuseText(why, size))
}

// refuseChannel ends a channel on both sides, with the reason for the client: what it still says on it goes nowhere, and the broker takes
// back what it was not acknowledged.
func (s *session) refuseChannel(ch *channel, cause methodID, why error) error {
	if ch.client != isOpen {
		return nil
	}
	if fault.KindOf(why) == fault.Internal {
		return why
	}
	code, closes := channelCode(why), ch.closes
	s.endWaits(ch)
	ch.client = isRefused
	_ = s.d.Show(gate.Pass{}, appendMethod(nil, ch.number, &channelClose{Code: code, Text: words(code, why), Cause: uint32(cause)}))
	if closes { // the client had closed it meanwhile
		_ = s.d.Show(gate.Pass{}, appendMethod(nil, ch.number, &channelCloseOk{}))
	}
	if ch.broker != isOpen {
		return nil
	}
	ch.broker = isRefused
	return s.d.ControlOwn(appendMethod(nil, ch.number, &channelClose{Code: codeOK, Text: "goodbye"}))
}

// clientClosing takes a frame on a channel that is not open to the client any more.
func (s *session) clientClosing(ch *channel, f *frame) error {
	if f.kind != frameMethod {
		return nil
	}
	switch id := peekID(f.payload); {
	case ch.client == isLeaving: // it waits for channel.close-ok, and says nothing before
	case ch.client == isGone, id == idChannelOpen:
		return s.reopen(ch, f)
	case id == idChannelClose: // both closed it at once
		return s.d.Show(gate.Pass{}, appendMethod(nil, ch.number, &channelCloseOk{}))
	case id == idChannelCloseOk:
		return s.closed(ch, f)
	}
	return nil
}

// closed takes the client's channel.close-ok.
func (s *session) closed(ch *channel, f *frame) error {
	ch.client = isGone
	switch ch.broker {
	case isLeaving: // the broker closed it, and waits for this
		delete(s.channels, ch.number)
		return s.control(ch, f, &channelCloseOk{}, 0)
	case isGone:
		delete(s.channels, ch.number)
	}
	return nil
}

// reopen opens a channel of which the client is done, as soon as the broker is.
func (s *session) reopen(ch *channel, f *frame) error {
	if ch.broker == isLeaving { // a client that had closed it at the same time does not answer
		delete(s.channels, ch.number)
		if err := s.d.ControlOwn(appendMethod(nil, ch.number, &channelCloseOk{})); err != nil {
			return err
		}
		return s.openChannel(f)
	}
	if ch.broker == isGone {
		delete(s.channels, ch.number)
		return s.openChannel(f)
	}
	ch.client, ch.waits = isGone, waitsClose
	return s.keep(ch, f)
}
