package amqp

import (
	"errors"
	"fmt"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// errGone is the cause of the end of a wait whose channel, or client, has gone.
var errGone = fault.New(fault.Pending, "amqp.wait", "the channel was closed before a reviewer answered")

// fromClient takes every whole frame that has come.
func (s *session) fromClient() error {
	r := s.d.Client()
	for {
		b := r.Unread()
		f, need, err := peekFrame(b, s.tuned.frame)
		if err != nil {
			return err
		}
		if s.upNeed = need; f.raw == nil {
			return nil
		}
		f.from = r.Offset()
		used, err := s.clientFrame(&f, b[len(f.raw):])
		if err != nil {
			return err
		}
		r.Skip(used)
	}
}

// clientFrame takes one frame, and those behind it that belong to the same message, where they are all there. It returns how many bytes
// it took.
func (s *session) clientFrame(f *frame, rest []byte) (int, error) {
	used := len(f.raw)
	if f.kind == frameHeartbeat {
		return used, nil
	}
	if s.leaving && f.from >= 0 {
		return used, nil // whoever closes the connection says nothing more
	}
	if f.channel == 0 {
		return used, s.clientConnection(f)
	}
	ch := s.channels[f.channel]
	switch {
	case ch == nil:
		return used, s.openChannel(f)
	case ch.client != isOpen:
		return used, s.clientClosing(ch, f)
	case ch.waits != waitsNot:
		return used, s.keep(ch, f)
	}
	switch f.kind {
	case frameMethod:
		if ch.in != nil {
			return 0, hard(codeUnexpectedFrame, 0, "expected the rest of a message, got a method")
		}
		if peekID(f.payload) == idBasicPublish {
			return s.publishFrame(ch, f, rest)
		}
		m, err := decodeMethod(f.payload)
		if err != nil {
			return 0, err
		}
		return used, s.clientMethod(ch, f, m)
	default:
		if ch.in == nil {
			return 0, hard(codeUnexpectedFrame, 0, "expected a method, got a part of a message")
		}
		return used, s.comes(ch, f)
	}
}

// clientConnection takes a method of the connection.
func (s *session) clientConnection(f *frame) error {
	if f.kind != frameMethod {
		return hard(codeUnexpectedFrame, 0, "a message on channel 0")
	}
	m, err := decodeMethod(f.payload)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *connectionClose:
		s.leaving = true
		for _, ch := range s.channels {
			if ch.cancel != nil {
				ch.cancel(errGone)
			}
		}
		return s.goodbye()
	case *connectionUpdateSecret:
		return &exception{code: codeAccessRefused, hard: true, cause: m.id(), err: &fault.Error{Op: "amqp.secret", Kind: fault.Denied,
			Say: "a session ends with its token, and takes no other", Hint: "Connect again with the fresh token."}}
	}
	return hard(codeCommandInvalid, m.id(), "unexpected "+m.name()+" on an open connection")
}

// goodbye passes connection.close on once no channel has frames that wait.
func (s *session) goodbye() error {
	for _, ch := range s.channels {
		if ch.waits != waitsNot && ch.client == isOpen {
			return nil
		}
	}
	if !s.leaving || s.bye {
		return nil
	}
	s.bye = true
	s.farewells.Store(true)
	return s.d.ControlOwn(appendMethod(nil, 0, farewell()))
}

// openChannel takes the first frame on a channel.
func (s *session) openChannel(f *frame) error {
	if f.kind != frameMethod || peekID(f.payload) != idChannelOpen {
		return hard(codeChannelError, peekID(f.payload), "expected 'channel.open'")
	}
	if _, err := decodeMethod(f.payload); err != nil {
		return err
	}
	if f.channel > min(s.tuned.channels, s.back.channels) {
		return hard(codeNotAllowed, idChannelOpen, fmt.Sprintf("number of channels opened has reached the negotiated channel_max (%d)", min(s.tuned.channels, s.back.channels)))
	}
	ch := &channel{number: f.channel, consumers: map[string]*consumer{}}
	s.channels[f.channel] = ch
	return s.control(ch, f, &channelOpen{}, idChannelOpenOk)
}

// control passes a method on that carries no action by itself. answer is what the broker says to it; 0 where it says nothing.
func (s *session) control(ch *channel, f *frame, m method, answer methodID) error {
	if answer != 0 {
		if len(ch.pending) >= maxPending {
			return s.refuseChannel(ch, m.id(), errManyPending)
		}
		ch.pending = append(ch.pending, pending{answer: answer, m: m})
	}
	if f.from < 0 {
		return s.d.ControlOwn(f.raw)
	}
	return s.d.Control(f.from, f.to())
}

var errManyPending = fault.New(fault.Unavailable, "amqp.client", "too many methods of this channel wait for their answers")

// clientMethod takes a method on an open channel.
func (s *session) clientMethod(ch *channel, f *frame, m method) error {
	switch m := m.(type) {
	case *channelOpen:
		return hard(codeChannelError, m.id(), "second 'channel.open' seen")
	case *channelClose:
		ch.client = isLeaving
		s.endWaits(ch)
		return s.control(ch, f, m, 0)
	case *channelFlow:
		return s.control(ch, f, m, idChannelFlowOk)
	case *channelFlowOk:
		return s.control(ch, f, m, 0)
	case *accessRequest:
		return s.control(ch, f, m, idAccessRequestOk)
	case *basicQos:
		return s.control(ch, f, m, idBasicQosOk)
	case *basicCancel:
		return s.cancelConsumer(ch, f, m)
	case *basicAck, *basicReject, *basicNack:
		return s.acknowledge(ch, f, m)
	case *basicRecoverAsync:
		ch.tags.open = nil
		return s.control(ch, f, m, 0)
	case *basicRecover:
		return s.control(ch, f, m, idBasicRecoverOk)
	case *confirmSelect:
		ch.confirms.on = true
		if m.NoWait {
			return s.control(ch, f, m, 0)
		}
		return s.control(ch, f, m, idConfirmSelectOk)
	}
	if answer, ok := answerOf(m); ok {
		return s.ask(ch, f, m, answer)
	}
	return hard(codeCommandInvalid, m.id(), m.name()+" is not for clients to say")
}

func (s *session) cancelConsumer(ch *channel, f *frame, m *basicCancel) error {
	if m.NoWait { // nobody says when its last delivery has come: the tag stays taken
		return s.control(ch, f, m, 0)
	}
	return s.control(ch, f, m, idBasicCancelOk)
}

// answerOf returns the answer to a method that is asked about; 0 where the client wants none.
func answerOf(m method) (answer methodID, ok bool) {
	wants := func(noWait bool, id methodID) (methodID, bool) {
		if noWait {
			return 0, true
		}
		return id, true
	}
	switch m := m.(type) {
	case *exchangeDeclare:
		return wants(m.NoWait, idExchangeDeclareOk)
	case *exchangeDelete:
		return wants(m.NoWait, idExchangeDeleteOk)
	case *exchangeBind:
		return wants(m.NoWait, idExchangeBindOk)
	case *exchangeUnbind:
		return wants(m.NoWait, idExchangeUnbindOk)
	case *queueDeclare:
		return wants(m.NoWait, idQueueDeclareOk)
	case *queueBind:
		return wants(m.NoWait, idQueueBindOk)
	case *queuePurge:
		return wants(m.NoWait, idQueuePurgeOk)
	case *queueDelete:
		return wants(m.NoWait, idQueueDeleteOk)
	case *queueUnbind:
		return wants(false, idQueueUnbindOk)
	case *basicConsume:
		return wants(m.NoWait, idBasicConsumeOk)
	case *basicGet:
		return wants(false, idBasicGetOk)
	case *txSelect:
		return wants(false, idTxSelectOk)
	case *txCommit:
		return wants(false, idTxCommitOk)
	case *txRollback:
		return wants(false, idTxRollbackOk)
	}
	return 0, false
}

// ask asks for a method, and passes it on.
func (s *session) ask(ch *channel, f *frame, m method, answer methodID) error {
	full, waits, err := ch.naming.full(m)
	if waits || ch.ending(m) { // the name of a queue is on its way, or the end of a consumer
		ch.waits = waitsName
		return s.keep(ch, f)
	}
	if err == nil {
		err = s.fits(ch, full)
	}
	var st *access.Statement
	if err == nil {
		st, err = s.p.understand(s.known, full, nil)
	}
	if err == nil && st == nil {
		err = fault.New(fault.Malformed, "amqp.ask", "%s is not understood", m.name())
	}
	if err != nil {
		return s.refuseText(ch, m, err, len(f.raw))
	}
	r := gate.Request{Clear: true}
	if f.from < 0 {
		r.Aside = f.raw
	} else {
		r.From, r.To = f.from, f.to()
	}
	pass, err := s.d.Ask(s.ctx, s.d.Judge(st), r)
	var held *gate.Hold
	if errors.As(err, &held) {
		s.await(ch, held, func(pass gate.Pass, err error) error {
			if err != nil {
				return s.refuseChannel(ch, m.id(), err)
			}
			return s.passOn(ch, pass, full, answer, true, nil)
		})
		return nil
	}
	if err != nil {
		return s.refuseChannel(ch, m.id(), err)
	}
	var copied []byte
	if f.from < 0 {
		copied = f.raw
	}
	return s.passOn(ch, pass, full, answer, false, copied)
}

// ending reports whether a method takes the tag of a consumer whose end the broker has yet to confirm.
func (ch *channel) ending(m method) bool {
	c, ok := m.(*basicConsume)
	if !ok || ch.consumers[c.ConsumerTag] == nil {
		return false
	}
	for i := range ch.pending {
		if p, ok := ch.pending[i].m.(*basicCancel); ok && p.ConsumerTag == c.ConsumerTag {
			return true
		}
	}
	return false
}

// takes reports whether a tag is, or is about to be, that of a consumer. Deliveries are told apart by it alone: one that is under way for
// a consumer must not be taken for another's.
func (ch *channel) takes(tag string) bool {
	if tag == "" {
		return false
	}
	if ch.consumers[tag] != nil {
		return true
	}
	for i := range ch.pending {
		if p, ok := ch.pending[i].m.(*basicConsume); ok && p.ConsumerTag == tag {
			return true
		}
	}
	return false
}

// fits refuses what the session could not follow.
func (s *session) fits(ch *channel, m method) error {
	if len(ch.pending) >= maxPending {
		return errManyPending
	}
	switch m := m.(type) {
	case *queueDeclare:
		if m.Queue == "" && m.NoWait {
			return notUnderstood("a queue that the broker names, without waiting for the name")
		}
	case *basicConsume:
		if m.ConsumerTag == "" && m.NoWait {
			return notUnderstood("a consumer that the broker names, without waiting for the name")
		}
		if ch.takes(m.ConsumerTag) {
			return fault.New(fault.Malformed, "amqp.consume", "attempt to reuse consumer tag '%s'", m.ConsumerTag)
		}
		if len(ch.consumers) >= maxConsumers {
			return fault.New(fault.Unavailable, "amqp.consume", "too many consumers on this channel")
		}
		return s.mayLose(m.Queue, verbConsume, m.NoAck)
	case *basicGet:
		return s.mayLose(m.Queue, verbGet, m.NoAck)
	}
	return nil
}

// passOn sends a method that was permitted. copied is its frame where it was kept aside.
func (s *session) passOn(ch *channel, pass gate.Pass, m method, answer methodID, agreed bool, copied []byte) error {
	var err error
	if copied != nil {
		err = s.d.StageRewrite(pass, gate.RewriteFrames, copied)
	} else {
		err = s.d.Stage(pass)
	}
	if err != nil {
		return err
	}
	asked := s.known.sending(&ch.naming, m)
	switch m := m.(type) {
	case *txSelect:
		ch.transacts = true
	case *basicConsume:
		if m.NoWait {
			ch.consumers[m.ConsumerTag] = &consumer{queue: m.Queue, agreed: agreed, noAck: m.NoAck}
		}
	}
	if answer == 0 {
		return s.d.DoneUp(pass, gate.Outcome{Status: access.StatusOK})
	}
	ch.pending = append(ch.pending, pending{answer: answer, pass: pass, m: m, asked: asked, agreed: agreed})
	return nil
}
