package nats

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// kind is a statement that many messages share.
type kind struct {
	h         *gate.Handle
	subject   string
	resources []string // whose masks bind the message
	copies    []string // of a message: whose messages it has the server send on, or tell of
	call      *judged  // where it is a call; nil elsewhere
	inside    bool     // its payload holds a message that was stored
	hiding    [2]hiding
	unread    *kind // the same where nothing can be hidden in it; nil where that was never asked
}

var (
	errSubject  = fault.New(fault.Malformed, "nats.publish", "the subject has an empty or odd token, or a wildcard")
	errReply    = fault.New(fault.Malformed, "nats.publish", "the reply subject has an empty or odd token, or a wildcard")
	errStatus   = fault.New(fault.Malformed, "nats.publish", "only servers send a status")
	errDisguise = fault.New(fault.Malformed, "nats.publish", "a header holds the name of another one, which some servers read")
	errNoHeader = fault.New(fault.Malformed, "nats.publish", "the server does not take headers")
	errBody     = &fault.Error{Op: "nats.publish", Kind: fault.Denied, Say: "permission denied: the message may hold what is masked here, and cannot be masked"}
)

// publish asks for a message of the client.
func (s *session) publish(ctx context.Context, f *frame, b []byte, from int64) error {
	refusal := func(subject string) func(error) []byte {
		return func(why error) []byte { return notPublished(subject, why) }
	}
	k, h, err := s.publishing(f, b)
	if err != nil {
		subject := strings.ToValidUTF8(string(f.subject), "?")
		return s.say(refusal(subject)(s.d.RefuseText(err, f.length)))
	}
	k, out, err := s.outgoing(k, f, b, h)
	if err != nil {
		return s.say(refusal(k.subject)(s.d.Refuse(k.h, nil, err)))
	}
	r := gate.Request{From: from, To: from + int64(f.length), Clear: true, Message: k.call == nil}
	if r.Message && !s.d.Settled(k.h) { // what a call does is about other messages: nothing is known of those
		r.Sent = s.sentOf(f, b, k.subject, h)
	}
	if r.Message {
		r.Shown = func() []any { return []any{string(f.header(b)), string(f.payload(b))} }
	}
	size, sum, version, waited := f.size, [sha256.Size]byte{}, s.d.Version(), false
	if out == nil {
		sum = sha256.Sum256(b[f.line : f.line+f.size])
	}
	err = s.ask(ctx, k.h, r, refusal(k.subject), func(pass gate.Pass) error {
		if waited {
			if why := s.still(k, out, version); why != nil {
				return errors.Join(s.d.Done(pass, gate.Outcome{Status: access.StatusCancelled}), s.say(refusal(k.subject)(why)))
			}
		}
		if out != nil {
			s.d.Count(pass, out.sum, out.size)
			return s.stageMasked(pass, out)
		}
		s.d.Count(pass, sum, size)
		return s.stage(pass, gate.Outcome{Bytes: int64(size)})
	})
	waited = true // what is permitted from here on was waited for
	return err
}

// still says why a message that waited for a reviewer must not leave as it was judged: the masks of this moment may be others.
func (s *session) still(k *kind, out *masked, version uint64) error {
	if err := s.d.Refresh(); err != nil || s.d.Version() == version {
		return err
	}
	switch {
	case k.call != nil:
		return k.call.refuses(s.d.Masks())
	case out != nil:
		return errChangedMasks
	}
	if err := refuses(s.d.Masks(), k.copies); err != nil {
		return err
	}
	masks, err := s.hidden(k, access.ToBackend)
	if err == nil && len(masks) > 0 {
		err = errChangedMasks
	}
	return err
}

// masked is a message in which values were hidden.
type masked struct {
	frame []byte
	sum   [sha256.Size]byte
	size  int
	hits  int64
}

// outgoing takes up the policies of this moment, and hides in a message what the server must not be sent; nil where that is nothing.
// The kind is another one where the message cannot be read.
func (s *session) outgoing(k *kind, f *frame, b []byte, h *headers) (*kind, *masked, error) {
	if err := s.d.Refresh(); err != nil || s.d.Masks() == nil {
		return k, nil, err
	}
	if k.call != nil {
		return k, nil, k.call.refuses(s.d.Masks())
	}
	if err := refuses(s.d.Masks(), k.copies); err != nil {
		return k, nil, err
	}
	masks, err := s.hidden(k, access.ToBackend)
	if err != nil || len(masks) == 0 {
		return k, nil, err
	}
	c, err := hide(masks, content{head: h, payload: f.payload(b)})
	switch {
	case unreadable(err):
		return s.opaque(k), nil, nil
	case err != nil:
		return k, nil, err
	case c.hits == 0:
		return k, nil, nil
	}
	head := c.headBytes()
	size := len(head) + len(c.payload)
	if size > s.most {
		return k, nil, errBody
	}
	frame := appendPub(nil, string(f.subject), string(f.reply), head, c.payload)
	return k, &masked{frame: frame, sum: sha256.Sum256(frame[len(frame)-2-size : len(frame)-2]), size: size, hits: c.hits}, nil
}

// publishing works out what a message does.
func (s *session) publishing(f *frame, b []byte) (*kind, *headers, error) {
	if k := s.sent[string(f.subject)]; k != nil && f.head == 0 && len(f.reply) == 0 && !s.isGiven(f.subject) {
		return k, nil, nil
	}
	if k := s.acknowledging(f, b); k != nil {
		return k, nil, nil
	}
	switch {
	case !literal(f.subject) && !filtered(f.subject):
		return nil, nil, errSubject
	case len(f.reply) > 0 && !literal(f.reply):
		return nil, nil, errReply
	}
	var h *headers
	if f.head > 0 {
		read, err := readHeaders(f.header(b))
		switch {
		case !s.info.Headers:
			return nil, nil, errNoHeader
		case err != nil:
			return nil, nil, err
		case read.status != "":
			return nil, nil, errStatus
		case disguised(&read):
			return nil, nil, errDisguise
		}
		h = &read
	}
	subject, reply := string(f.subject), string(f.reply)
	if isCall(subject) {
		j, err := s.know.understand(subject, reply, f.payload(b))
		if err != nil {
			return nil, h, err
		}
		if h != nil {
			more, err := s.know.publishes(subject, h)
			if err != nil {
				return nil, h, err
			}
			j.Actions, j.Related, j.copies = append(j.Actions, more.actions...), append(j.Related, more.related...), append(j.copies, more.copies...)
		}
		return &kind{h: s.d.Judge(&j.Statement), subject: subject, call: j}, h, nil
	}
	k, err := s.messageTo(subject, reply, h)
	return k, h, err
}

// messageTo returns the statement of a message.
func (s *session) messageTo(subject, reply string, h *headers) (*kind, error) {
	mine := reply == "" || s.mine(reply)
	given := s.isGiven([]byte(subject)) && !internalCall(subject)
	usual := mine && !given && classOf(subject) == plain
	if k := s.sent[subject]; usual && h == nil && k != nil {
		return k, nil
	}
	more, err := s.know.publishes(subject, h)
	if err != nil {
		return nil, err
	}
	actions, related := s.publishActions(subject, given)
	text := "PUB " + subject
	if !mine {
		a, r := s.publishActions(reply, false)
		actions, related = append(actions, a...), append(related, r...)
		text += " " + reply
	}
	usual = usual && more.none()
	if k := s.sent[subject]; usual && k != nil {
		return k, nil
	}
	k := &kind{subject: subject, resources: append([]string{s.know.subjectResource(subject).Resource}, more.targets...), copies: more.copies}
	k.h = s.d.Judge(statement(text, append(actions, more.actions...), append(related, more.related...)))
	if usual {
		if len(s.sent) >= maxKinds {
			clear(s.sent)
		}
		s.sent[subject] = k
	}
	return k, nil
}

// internalCall reports whether a subject that was given to reply to leads to what servers do for clients: whoever gave it wants it
// done with the session's permissions.
func internalCall(subject string) bool {
	return classOf(subject) == internal && !strings.HasPrefix(subject, "_")
}

// publishActions returns what publishing to a subject needs.
func (s *session) publishActions(subject string, given bool) (actions, related []access.Action) {
	a := s.know.subjectResource(subject)
	switch c := classOf(subject); {
	case given && c == plain:
		return []access.Action{named(actReply, a)}, []access.Action{named(actPublish, a)}
	case given, c == ofInbox && s.mine(subject):
		return []access.Action{named(actReply, a)}, nil
	case c == plain:
		return []access.Action{named(actPublish, a)}, nil
	}
	return []access.Action{named(actPublish, a), named(actOpaque, a)}, nil
}

func (s *session) isGiven(subject []byte) bool {
	return len(s.given.when) > 0 && s.given.use(subject, s.g.Now())
}

// disguised reports whether a header that servers know stands inside of another one's name or value, with its colon: there are
// servers that look for it anywhere.
func disguised(h *headers) bool {
	for _, e := range h.list {
		if hides(e.name[1:]+":") || hides(e.value) {
			return true
		}
	}
	return false
}

func hides(text string) bool {
	for {
		i := strings.Index(text, "Nats-")
		if i < 0 {
			return false
		}
		text = text[i+len("Nats-"):]
		if rest := strings.TrimLeft(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-"); strings.HasPrefix(rest, ":") {
			return true
		}
	}
}

// sentOf is what conditions read of a message.
func (s *session) sentOf(f *frame, b []byte, subject string, h *headers) *access.Sent {
	size := int64(f.size - f.head)
	m := &access.Message{Subject: subject, ReplyTo: string(f.reply), Size: &size}
	if f.head == 0 {
		m.Headers = map[string]any{}
	} else if h != nil {
		m.Headers = h.facts()
		m.ContentType, m.ContentEncoding = mediaTypeOf(h), contentEncoding(h)
	}
	if payload := f.payload(b); len(payload) <= s.maxBody() {
		m.Body = s.p.masks.Reader().Document(every(h, "Content-Type"), every(h, "Content-Encoding"), payload)
	}
	return &access.Sent{Message: m}
}

// maxBody is how much of a message is held to be judged.
func (s *session) maxBody() int {
	if o := s.g.Connection().NATS; o != nil && o.MaxBody > 0 {
		return o.MaxBody
	}
	return defaultBody
}

const defaultBody = 1 << 20

// mediaTypeOf is the content type of a message, as users of headers write it; "" where it says none.
func mediaTypeOf(h *headers) string {
	v := firstFold(h, "Content-Type")
	v, _, _ = strings.Cut(v, ";")
	return strings.ToLower(strings.TrimSpace(v))
}

func contentEncoding(h *headers) string {
	return strings.ToLower(strings.TrimSpace(firstFold(h, "Content-Encoding")))
}

// every is what all headers of a name say, whatever its case: a message with two types is of none that is known.
func every(h *headers, name string) string {
	if h == nil {
		return ""
	}
	var all []string
	for _, e := range h.list {
		if strings.EqualFold(e.name, name) {
			all = append(all, e.value)
		}
	}
	return strings.Join(all, ", ")
}

func firstFold(h *headers, name string) string {
	for _, e := range h.list {
		if strings.EqualFold(e.name, name) {
			return e.value
		}
	}
	return ""
}
