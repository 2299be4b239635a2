package nats

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// fromServer takes everything that the server has said, asks for each message, and sends the client what it may see.
func (s *session) fromServer(ctx context.Context) error {
	for {
		s.d.Lock()
		need, err := s.news(ctx)
		s.d.PushUp()
		s.d.Unlock()
		if err != nil {
			return err
		}
		if err := s.d.FlushDown(); err != nil {
			return err
		}
		if err := s.left(&s.down); err != nil {
			return err
		}
		if err := s.d.HearFor(ctx, need); err != nil {
			return err
		}
	}
}

// news takes what is there, and returns how many bytes have to be there for more.
func (s *session) news(ctx context.Context) (need int, err error) {
	r := s.d.Backend()
	for {
		b := r.Unread()
		f, ok, err := parse(b, fromServer)
		if err != nil {
			return 0, fault.Wrap(fault.Backend, "nats.news", err, "the server said what cannot be read")
		}
		if !ok {
			return len(b) + 1, nil
		}
		if !f.whole(b) {
			return f.length, nil
		}
		if err := s.heard(ctx, &f, b, r.Offset()); err != nil {
			return 0, err
		}
		if due := s.turns.due(); due != nil {
			if err := s.d.Show(gate.Pass{}, due); err != nil {
				return 0, err
			}
		}
		r.Skip(f.length)
	}
}

// heard takes one operation of the server.
func (s *session) heard(ctx context.Context, f *frame, b []byte, from int64) error {
	line := b[:f.length]
	switch f.op {
	case opMsg, opHMsg:
		return s.deliver(ctx, f, b, from)
	case opPing:
		return s.d.Show(gate.Pass{}, line)
	case opPong:
		s.passed()
		if !s.turns.answer(true) {
			return nil
		}
		if err := s.d.Show(gate.Pass{}, line); err != nil || s.greeted || s.client.protocol < 1 {
			return err
		}
		s.greeted = true // clients expect PONG first
		return s.d.Show(gate.Pass{}, appendInfo(nil, s.told()))
	case opOK:
		if s.turns.answer(false) {
			return s.d.Show(gate.Pass{}, line)
		}
		return nil
	case opErr:
		return s.failed(string(f.text))
	default: // INFO
		return s.changed(f)
	}
}

// failed passes an error of the server on, where it is about what the client did.
func (s *session) failed(text string) error {
	if !passedOn(text) {
		return fault.Wrap(fault.Backend, "nats.failed", serverSays(text), "the server ended the connection")
	}
	s.turns.answer(false)
	return s.d.Show(gate.Pass{}, appendErr(nil, strings.Trim(text, "' ")))
}

// changed takes a new INFO. The client hears of it where it says what concerns it: the server is about to stop, or takes larger
// messages.
func (s *session) changed(f *frame) error {
	i, err := readInfo(f.text)
	if err != nil {
		return fault.Wrap(fault.Backend, "nats.changed", err, "the server's INFO cannot be read")
	}
	before := *s.told()
	s.info = *i
	after := *s.told()
	s.most = int(after.MaxPayload)
	if before == after || !s.greeted {
		return nil
	}
	return s.d.Show(gate.Pass{}, appendInfo(nil, &after))
}

// arrival is a message on its way to the client.
type arrival struct {
	u       *sub
	k       *kind
	h       *headers
	stored  bool // a consumer sent it: what is not shown is not lost, and comes again
	subject string
}

// deliver asks for a message of the server.
func (s *session) deliver(ctx context.Context, f *frame, b []byte, from int64) error {
	u := s.subs[string(f.sid)]
	if u == nil || u.shut {
		return nil // the client ended it meanwhile
	}
	u.seen++
	last := !u.counted && u.limit > 0 && u.seen >= u.limit
	err := s.arrived(ctx, u, f, b, from)
	if last && err == nil {
		s.forget(u)
	}
	return err
}

func (s *session) arrived(ctx context.Context, u *sub, f *frame, b []byte, from int64) error {
	if anywhere(u.subject) && u.queue == "" && !literalPlain(f.subject) {
		return nil // a set of all subjects is one of all that users have
	}
	a, err := s.arrivalOf(u, f, b)
	if err != nil {
		return s.withhold(a, s.d.RefuseText(err, f.length))
	}
	k, out, err := s.incoming(&a, f, b)
	if err != nil {
		if closed(err) {
			return err
		}
		return s.withhold(a, s.d.Refuse(k.h, nil, err))
	}
	if out == nil && f.head > 0 && !s.client.headers {
		out = s.rebuilt(&a, f, content{payload: f.payload(b)})
	}
	r := gate.Request{From: from, To: from + int64(f.length), Message: true, Arrives: true, Agreed: u.agreed, Clear: out == nil}
	if !s.d.Settled(k.h) {
		r.Sent = s.sentOf(f, b, a.subject, a.h)
	}
	pass, err := s.d.Ask(ctx, k.h, r)
	if err != nil {
		var hold *gate.Hold
		if errors.As(err, &hold) {
			err = s.d.Decline(hold)
		}
		if fatal(ctx, err) || closed(err) {
			return err
		}
		return s.withhold(a, err)
	}
	if err := s.hand(pass, out, f, b); err != nil {
		return err
	}
	s.give(f, a.h)
	u.got++
	if u.counted && u.limit > 0 && u.got >= u.limit {
		return s.cut(u)
	}
	return nil
}

// hand stages a message for the client: as it came, or as it may be shown.
func (s *session) hand(pass gate.Pass, out *masked, f *frame, b []byte) error {
	if out == nil {
		s.d.Count(pass, sha256.Sum256(b[f.line:f.line+f.size]), f.size)
		s.down = append(s.down, ending{pass, gate.Outcome{Status: access.StatusOK, Bytes: int64(f.size)}})
		return s.d.Reply(pass, b[:f.length])
	}
	s.d.Count(pass, out.sum, out.size)
	s.down = append(s.down, ending{pass, gate.Outcome{Status: access.StatusOK, Bytes: int64(out.size), Masked: out.hits}})
	return s.d.Show(pass, out.frame)
}

// incoming takes up the policies of this moment, and hides in a message what the client must not be shown; nil where that is
// nothing. The kind is another one where the message cannot be read.
func (s *session) incoming(a *arrival, f *frame, b []byte) (*kind, *masked, error) {
	if err := s.d.Refresh(); err != nil || s.d.Masks() == nil {
		return a.k, nil, err
	}
	masks, err := s.hidden(a.k, access.ToClient)
	if err != nil || len(masks) == 0 {
		return a.k, nil, err
	}
	c, err := hideStored(masks, content{head: a.h, payload: f.payload(b)}, a.k.inside)
	switch {
	case unreadable(err):
		return s.opaque(a.k), nil, nil
	case err != nil:
		return a.k, nil, err
	case c.hits == 0:
		return a.k, nil, nil
	}
	return a.k, s.rebuilt(a, f, c), nil
}

// rebuilt is a message as the client is shown it: without headers where it says that it reads none, as servers do it.
func (s *session) rebuilt(a *arrival, f *frame, c content) *masked {
	if !s.client.headers {
		c.head = nil
	}
	head := c.headBytes()
	size := len(head) + len(c.payload)
	frame := appendMsg(nil, a.subject, a.u.sid, string(f.reply), head, c.payload)
	return &masked{frame: frame, sum: sha256.Sum256(frame[len(frame)-2-size : len(frame)-2]), size: size, hits: c.hits}
}

// closed reports whether the gate is closed: nothing of what arrives can be decided, or recorded. The session ends, so that its client
// knows of a gap.
func closed(err error) bool {
	return fault.KindOf(err) == fault.Unavailable || fault.KindOf(err) == fault.Internal
}

// literalPlain reports whether a subject is a literal one of users.
func literalPlain(subject []byte) bool { return classOf(string(subject)) == plain }

// arrivalOf works out what a message is to its session.
func (s *session) arrivalOf(u *sub, f *frame, b []byte) (arrival, error) {
	a := arrival{u: u}
	matched := u.subject == string(f.subject) || matches(u.subject, string(f.subject))
	if k := s.arrives[string(f.subject)]; k != nil && matched && f.head == 0 && u.inbox == "" && !bytes.HasPrefix(f.reply, ackPrefix) {
		a.k, a.subject = k, k.subject
		return a, nil
	}
	if !literal(f.subject) {
		return a, errSubject
	}
	a.subject = string(f.subject)
	if f.head > 0 {
		h, err := readHeaders(f.header(b))
		if err != nil {
			return a, err
		}
		a.h = &h
	}
	o, err := originOf(a.subject, string(f.reply), a.h, f.payload(b))
	if err != nil {
		return a, err
	}
	if u.inbox != "" && s.know.catalogue != nil {
		s.know.catalogue.learn(f.payload(b))
	}
	a.stored = o.consumer != "" && !matched
	o.listened = matched && u.inbox == ""
	known := o.consumer == "" && !o.direct
	switch {
	case known && u.inbox != "" && matched:
		a.k = u.kind
	case known && s.arrives[a.subject] != nil:
		a.k = s.arrives[a.subject]
	case known:
		a.k = &kind{subject: a.subject, resources: o.resources(s.know.connection), h: s.d.Judge(statement("MSG "+a.subject, s.arrivalActions(a.subject), nil))}
		s.keep(s.arrives, a.subject, a.k)
	default:
		a.k = s.kindOf(a.subject, o, !a.stored && !o.direct)
	}
	return a, nil
}

// arrivalActions returns what a message needs that was published where the session listens.
func (s *session) arrivalActions(subject string) []access.Action {
	r := s.know.subjectResource(subject)
	actions := []access.Action{named(actSubscribe, r), named(actDeliver, r)}
	if classOf(subject) != plain {
		actions = append(actions, named(actOpaque, r))
	}
	return actions
}

// kindOf returns the statement of a message that was stored. Where the session listens to its subject anyway, permission for that is
// enough; masks, denies and approvals bind it as one of the stream's all the same.
func (s *session) kindOf(subject string, o origin, heard bool) *kind {
	key := strings.Join(append([]string{subject, o.stream, o.consumer}, o.subjects...), "\x00")
	if o.inside {
		key += "\x00"
	}
	if o.listened {
		key += "\x01"
	}
	if heard {
		key += "\x00heard"
	}
	if k := s.arrives[key]; k != nil {
		return k
	}
	actions, related := o.delivery(s.know.connection)
	if heard {
		actions, related = s.arrivalActions(subject), append(actions, related...)
	}
	text := "MSG " + subject
	if o.stream != "" {
		text += " from " + strings.TrimSuffix(o.stream+"/"+o.consumer, "/")
	}
	k := &kind{subject: subject, inside: o.inside, resources: o.resources(s.know.connection), h: s.d.Judge(statement(text, actions, related))}
	s.keep(s.arrives, key, k)
	return k
}

// keep remembers a statement, for as many subjects as there is room for.
func (s *session) keep(in map[string]*kind, key string, k *kind) {
	if len(in) >= maxKinds {
		clear(in)
	}
	in[key] = k
}

// withhold leaves a message out. Of a plain subscription nobody is told, as a server with permissions does it. A group would lose
// the message, so that the session takes no more of it; what a consumer sent stays unacknowledged, and comes again.
func (s *session) withhold(a arrival, why error) error {
	switch {
	case a.u.queue != "":
		if err := s.cut(a.u); err != nil {
			return err
		}
	case a.stored || a.u.inbox != "":
	default:
		return nil
	}
	return s.d.Show(gate.Pass{}, notSubscribed(a.u.subject, a.u.queue, why))
}

// give notes where the session may reply to.
func (s *session) give(f *frame, h *headers) {
	now := s.g.Now()
	if len(f.reply) > 0 && literal(f.reply) {
		s.given.add(f.reply, now.Add(replyTimeOf(f.reply)))
		if token := inboxOf(string(f.reply)); token != "" && s.inboxes[token] == 0 {
			s.p.inboxes.hand(inboxKey(s.know.connection, token), s.g.Caller().Principal.ID())
		}
	}
	if h != nil && h.status != "" { // a consumer that waits for its client to say that it keeps up
		if v, ok := h.get("Nats-Consumer-Stalled"); ok && strings.HasPrefix(v, "$JS.FC.") {
			s.given.add([]byte(v), now.Add(replyTime))
		}
	}
}

func replyTimeOf(reply []byte) time.Duration {
	if strings.HasPrefix(string(reply), "$JS.ACK.") {
		return ackTime
	}
	return replyTime
}
