package nats

import (
	"context"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire"
)

// explain understands an operation that is written as text, as the log has it: PUB orders.new, then headers on lines of their own and
// an empty line where there are any, then the payload; SUB orders.> workers; MSG orders.new; $JS.API.STREAM.CREATE.ORDERS {"name":…}.
// The words publish, subscribe and deliver will do, and a payload may stand on the first line. It is read as in a session that has
// no inbox and was given nothing.
func (p *protocol) explain(_ context.Context, aside *gate.Gate, text string) ([]wire.Understood, error) {
	s := &session{p: p, g: aside, know: knowledge{connection: aside.Connection().Name}}
	w, err := readWritten(text)
	if err != nil {
		return nil, err
	}
	if isCall(w.subject) {
		j, err := s.know.understand(w.subject, "", []byte(w.payload))
		if err != nil {
			return nil, err
		}
		return []wire.Understood{{Statement: j.Statement, Refuses: j.refuses}}, nil
	}
	var st *access.Statement
	switch w.verb {
	case "PUB":
		st, err = s.writtenPublish(w)
	case "SUB":
		u := &sub{subject: w.subject, queue: w.payload, counted: w.payload == ""}
		st = statement(subText(u), s.wantedActions(u), s.withheld(u))
	case "MSG":
		r := s.know.subjectResource(w.subject)
		st = statement("MSG "+w.subject, []access.Action{named(actSubscribe, r), named(actDeliver, r)}, nil)
	}
	if err != nil {
		return nil, err
	}
	u := wire.Understood{Statement: *st}
	if w.verb != "SUB" {
		u.Sent = s.writtenSent(w)
	}
	return []wire.Understood{u}, nil
}

// written is an operation that was read from text.
type written struct {
	verb, subject, payload string // the payload of a SUB is its queue group
	h                      *headers
}

func readWritten(text string) (w written, err error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	first, rest, _ := strings.Cut(strings.TrimSpace(text), "\n")
	verb, more, _ := strings.Cut(strings.TrimSpace(first), " ")
	switch strings.ToUpper(verb) {
	case "PUB", "HPUB", "PUBLISH":
		w.verb = "PUB"
	case "SUB", "SUBSCRIBE":
		w.verb = "SUB"
	case "MSG", "HMSG", "DELIVER":
		w.verb = "MSG"
	default:
		if !isCall(verb) {
			return w, errWritten("it begins with none of PUB, SUB, MSG and a subject of JetStream's API")
		}
		w.verb, more = "PUB", first
	}
	w.subject, w.payload, _ = strings.Cut(strings.TrimSpace(more), " ")
	valid := literal([]byte(w.subject)) || isCall(w.subject) && !strings.ContainsAny(w.subject, "\t")
	if w.verb == "SUB" {
		valid = pattern([]byte(w.subject))
	}
	if !valid {
		return w, errWritten("what follows is no subject")
	}
	if w.verb == "SUB" {
		return w, nil
	}
	head, body, found := strings.Cut(rest, "\n\n")
	if w.payload != "" || !found {
		w.payload = strings.TrimSpace(w.payload + "\n" + rest)
		return w, nil
	}
	w.payload = body
	block := headerVersion + "\r\n"
	if head != "" {
		block += strings.ReplaceAll(head, "\n", "\r\n") + "\r\n"
	}
	h, err := readHeaders([]byte(block + "\r\n"))
	if err != nil {
		return w, errWritten("a header is not of the form Name: value")
	}
	w.h = &h
	return w, nil
}

func errWritten(say string) error {
	e := fault.New(fault.Malformed, "nats.explain", "%s", say)
	e.Hint = `Write an operation: PUB orders.new {"amount": 3}, SUB orders.> workers, or $JS.API.STREAM.PURGE.ORDERS {"filter": "orders.eu"}.`
	return e
}

// writtenPublish is the statement of a message.
func (s *session) writtenPublish(w written) (*access.Statement, error) {
	more, err := s.know.publishes(w.subject, w.h)
	if err != nil {
		return nil, err
	}
	actions, related := s.publishActions(w.subject, false)
	return statement("PUB "+w.subject, append(actions, more.actions...), append(related, more.related...)), nil
}

// writtenSent is what conditions read of it.
func (s *session) writtenSent(w written) *access.Sent {
	size := int64(len(w.payload))
	m := &access.Message{Subject: w.subject, Size: &size, Headers: map[string]any{}}
	if w.h != nil {
		m.Headers, m.ContentType, m.ContentEncoding = w.h.facts(), mediaTypeOf(w.h), contentEncoding(w.h)
	}
	payload := []byte(w.payload)
	m.Body = func() any {
		v, err := access.ReadJSON(payload)
		if err != nil {
			return nil
		}
		return v
	}
	return &access.Sent{Message: m}
}

// folds puts together what carries a name that was made up: inboxes.
func folds(*access.Connection) func(resource string) (string, bool) {
	return func(resource string) (string, bool) {
		const at = "/subject/" + inboxToken + "."
		i := strings.Index(resource, at)
		if i < 0 || strings.Contains(resource[:i], "/") {
			return "", false
		}
		return resource[:i+len(at)] + "*", true
	}
}

// parent is what the words of one subject lie below, and the consumers of one stream: never all subjects, nor all streams.
func parent(resource string) (string, bool) {
	resource = strings.TrimSuffix(strings.TrimSuffix(resource, "/"), ".")
	parts := strings.SplitN(resource, "/", 5)
	switch {
	case len(parts) == 3 && parts[1] == "subject":
		if i := strings.LastIndexByte(parts[2], '.'); i >= 0 {
			return resource[:len(resource)-len(parts[2])+i+1], true
		}
	case len(parts) == 5 && parts[1] == "stream":
		return strings.Join(parts[:4], "/") + "/", true
	}
	return "", false
}
