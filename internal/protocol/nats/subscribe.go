package nats

import (
	"context"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

var (
	errPattern = fault.New(fault.Malformed, "nats.subscribe", "the subject has an empty or odd token, or a wildcard that is not a token of its own")
	errQueue   = fault.New(fault.Malformed, "nats.subscribe", "the queue group's name cannot be read")
	errSid     = fault.New(fault.Conflict, "nats.subscribe", "the subscription's number is in use")
	errSubs    = fault.New(fault.Unavailable, "nats.subscribe", "too many subscriptions")
)

// subscribe asks for a subscription.
func (s *session) subscribe(ctx context.Context, f *frame, from int64) error {
	u := &sub{sid: string(f.sid), subject: strings.ToValidUTF8(string(f.subject), "?"), queue: string(f.queue)}
	refusal := func(why error) []byte { return notSubscribed(u.subject, u.queue, why) }
	if err := s.takes(f, u); err != nil {
		return s.say(refusal(s.d.RefuseText(err, f.length)))
	}
	if old := s.subs[u.sid]; old != nil {
		s.forget(old)
	}
	actions, err := s.subscribeActions(u)
	st := statement(subText(u), actions, s.withheld(u))
	h := s.d.Judge(st)
	if err != nil {
		return s.say(refusal(s.d.Refuse(h, nil, err)))
	}
	waiting, cancel := context.WithCancelCause(ctx)
	u.cancel = cancel
	s.subs[u.sid] = u
	r := gate.Request{From: from, To: from + int64(f.length)}
	asked := false
	err = s.ask(waiting, h, r, func(why error) []byte {
		cancel(nil)
		s.forget(u)
		return refusal(why)
	}, func(pass gate.Pass) error {
		cancel(nil)
		if u.cancel, u.agreed = nil, asked; u.over { // the client ended it as a reviewer answered
			return s.d.Done(pass, gate.Outcome{Status: access.StatusCancelled})
		}
		return s.stage(pass, gate.Outcome{})
	})
	asked = true // what is permitted from here on was waited for
	return err
}

func subText(u *sub) string {
	text := "SUB " + u.subject
	if u.queue != "" {
		text += " " + u.queue
	}
	return text
}

// takes refuses what cannot be a subscription.
func (s *session) takes(f *frame, u *sub) error {
	switch old := s.subs[u.sid]; {
	case !pattern(f.subject):
		return errPattern
	case len(f.queue) > 0 && !literal(f.queue):
		return errQueue
	case old != nil && !old.over: // servers keep the old one and say nothing
		return errSid
	case len(s.subs) >= maxSubs:
		return errSubs
	}
	return nil
}

// subscribeActions returns what a subscription needs, and claims the inbox that it lies in.
func (s *session) subscribeActions(u *sub) ([]access.Action, error) {
	a := s.know.subjectResource(u.subject)
	c := classOf(u.subject)
	if c == ofInbox { // also of a group: what is held back there is left to it, see withhold
		if token := inboxOf(u.subject); token != "" {
			if err := s.p.inboxes.claim(inboxKey(s.know.connection, token), s.g.Caller().Principal.ID()); err != nil {
				return []access.Action{named(actInbox, a)}, err
			}
			u.inbox = token
			s.inboxes[token]++
			u.kind = &kind{subject: u.subject, resources: []string{a.Resource},
				h: s.d.Judge(statement("MSG "+u.subject, []access.Action{named(actInbox, a), named(actDeliver, a)}, nil))}
			return []access.Action{named(actInbox, a)}, nil
		}
	}
	u.counted = u.queue == ""
	return s.wantedActions(u), nil
}

// withheld is what denies and approvals bind that may keep single messages from a group, which would lose them.
func (s *session) withheld(u *sub) []access.Action {
	if u.queue == "" {
		return nil
	}
	return []access.Action{named(actDeliver, s.know.subjectResource(u.subject))}
}

// wantedActions returns what a subscription outside of an inbox of one's own needs.
func (s *session) wantedActions(u *sub) []access.Action {
	a := s.know.subjectResource(u.subject)
	a.Apart = u.counted
	actions := []access.Action{named(actSubscribe, a)}
	if classOf(u.subject) != plain || u.queue != "" && anywhere(u.subject) { // a group would lose what one of it is not shown
		actions = append(actions, named(actOpaque, a))
	}
	return actions
}

// unsubscribe ends a subscription, at once or after so many messages.
func (s *session) unsubscribe(f *frame, from int64) error {
	u := s.subs[string(f.sid)]
	switch {
	case u == nil || u.over || u.shut:
		return s.ok()
	case u.cancel != nil: // it waits for a reviewer, and is not at the server yet
		u.over = true
		u.cancel(errUnsubscribed)
		return s.ok()
	case f.limit > 0 && u.counted && u.got < f.limit:
		u.limit = f.limit // the server counts what is not shown, too
		return s.ok()
	case f.limit > 0 && u.seen < f.limit && !u.counted:
		u.limit = f.limit
	default:
		s.end(u)
	}
	s.turns.ask(false, false)
	return s.d.Control(from, from+int64(f.length))
}

var errUnsubscribed = fault.New(fault.Pending, "nats.unsubscribe", "the client ended the subscription before a reviewer answered")

// end keeps a subscription that is over for what is under way: a client that drains waits for it.
func (s *session) end(u *sub) {
	if u.over {
		return
	}
	s.endings++
	u.over, u.number = true, s.endings
	s.ended = append(s.ended, u)
	if len(s.ended) > maxEnded {
		s.forget(s.ended[0])
		s.ended = s.ended[1:]
	}
}

// forget drops a subscription: nothing arrives on it any more.
func (s *session) forget(u *sub) {
	if s.subs[u.sid] == u {
		delete(s.subs, u.sid)
	}
	if u.inbox == "" {
		return
	}
	s.p.inboxes.leave(inboxKey(s.know.connection, u.inbox))
	if s.inboxes[u.inbox]--; s.inboxes[u.inbox] <= 0 {
		delete(s.inboxes, u.inbox)
	}
	u.inbox = ""
}

// cut ends a subscription at the server, for the gateway.
func (s *session) cut(u *sub) error {
	u.shut = true
	s.end(u)
	s.turns.ask(false, true)
	err := s.d.ControlOwn([]byte("UNSUB " + u.sid + "\r\n"))
	s.d.PushUp()
	return err
}

// mark notes a PING: its answer comes behind the last messages of what has ended before.
func (s *session) mark() error {
	if len(s.marks) >= maxPings {
		return fault.New(fault.Unavailable, "nats.ping", "too many PINGs wait for their answers")
	}
	s.marks = append(s.marks, s.endings)
	return nil
}

// passed forgets what ended before the PING that was answered.
func (s *session) passed() {
	if len(s.marks) == 0 {
		return
	}
	before := s.marks[0]
	s.marks = s.marks[1:]
	for len(s.ended) > 0 && s.ended[0].number <= before {
		s.forget(s.ended[0])
		s.ended = s.ended[1:]
	}
}
