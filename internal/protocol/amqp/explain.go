package amqp

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire"
)

// explain understands a method that is written as text, as the log has it: basic.publish exchange=orders key=eu.card, with a body below an
// empty line; or in short, publish orders eu.card {"amount": 3}. It is read as in a session that knows nothing.
func (p *protocol) explain(_ context.Context, aside *gate.Gate, text string) ([]wire.Understood, error) {
	conn := aside.Connection()
	w, err := readWritten(text)
	if err != nil {
		return nil, err
	}
	k := newKnown(conn.Name, p.places.of(conn), func() map[string]string { return vouchedBy(conn) })
	st, err := p.understand(k, w.m, w.props)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return nil, errWritten("this carries no action by itself")
	}
	u := wire.Understood{Statement: *st}
	if m, ok := w.m.(*basicPublish); ok {
		more, err := checkProperties(w.props)
		if err != nil {
			return nil, err
		}
		writeMessage(&u.Statement, m, more, w.props, []byte(w.body))
		u.Sent = &access.Sent{Message: message(m.Exchange, m.RoutingKey, "", w.props, int64(len(w.body)), nil, w.json)}
	}
	return []wire.Understood{u}, nil
}

// written is a method that was read from text.
type written struct {
	m     method
	props *properties
	body  string
}

// json is the body as conditions read it, where it may be JSON.
func (w written) json() any {
	if w.props.ContentType != "" && !strings.Contains(w.props.ContentType, "json") || w.props.ContentEncoding != "" {
		return nil
	}
	v, err := access.ReadJSON([]byte(w.body))
	if err != nil {
		return nil
	}
	return v
}

// shorthands are the methods that have a form without names: what stands in each place.
var shorthands = map[string][]string{
	"publish": {"exchange", "key"},
	"consume": {"queue"},
	"get":     {"queue"},
	"purge":   {"queue"},
	"delete":  {"queue"},
	"bind":    {"queue", "exchange", "key"},
	"unbind":  {"queue", "exchange", "key"},
}

var shortMethods = map[string]string{"publish": "basic.publish", "consume": "basic.consume", "get": "basic.get", "purge": "queue.purge",
	"delete": "queue.delete", "bind": "queue.bind", "unbind": "queue.unbind"}

// writtenMethods are those that can be written.
func writtenMethods() []method {
	return []method{&basicPublish{}, &basicConsume{}, &basicGet{}, &queueDeclare{}, &queueDelete{}, &queuePurge{}, &queueBind{}, &queueUnbind{},
		&exchangeDeclare{}, &exchangeDelete{}, &exchangeBind{}, &exchangeUnbind{}, &txSelect{}, &txCommit{}, &txRollback{}}
}

// readWritten reads a method from text.
func readWritten(text string) (written, error) {
	head, body, _ := strings.Cut(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n")
	name, rest, _ := strings.Cut(strings.TrimSpace(head), " ")
	places := shorthands[name]
	if places != nil {
		name = shortMethods[name]
	}
	all := writtenMethods()
	i := slices.IndexFunc(all, func(m method) bool { return m.name() == name })
	if i < 0 {
		return written{}, errWritten("it begins with no method that carries an action")
	}
	r := reader{written: written{m: all[i], props: &properties{}, body: body}, places: places}
	for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimSpace(rest) {
		var err error
		if rest, err = r.next(rest); err != nil {
			return written{}, err
		}
	}
	r.copies()
	return r.written, nil
}

type reader struct {
	written
	places []string // for words without a name, in order
	cc     []string // further keys
}

// next reads one word or name=value.
func (r *reader) next(s string) (rest string, err error) {
	end := strings.IndexAny(s, "= \"{[")
	if end > 0 && s[end] == '=' {
		field := s[:end]
		value, rest, err := valueOf(s[end+1:])
		if err == nil && !r.set(field, value) {
			err = errWritten(r.m.name() + " has no " + field)
		}
		return rest, err
	}
	value, rest, err := valueOf(s)
	if err != nil {
		return "", err
	}
	bare, isBare := value.(string)
	switch {
	case len(r.places) > 0 && isBare:
		field := r.places[0]
		r.places = r.places[1:]
		r.set(field, bare)
	case isBare && r.flag(bare):
	case strings.HasPrefix(s, "{") || strings.HasPrefix(s, "["):
		r.body = s[:len(s)-len(rest)]
	default:
		return "", errWritten("a word that is no field of " + r.m.name())
	}
	return rest, nil
}

// valueOf reads a value: a word, a text in quotes, or JSON.
func valueOf(s string) (v any, rest string, err error) {
	switch {
	case strings.HasPrefix(s, `"`):
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return nil, "", errWritten("a text in quotes does not end")
		}
		text, err := strconv.Unquote(quoted)
		return text, s[len(quoted):], err
	case strings.HasPrefix(s, "{"), strings.HasPrefix(s, "["):
		d := json.NewDecoder(strings.NewReader(s))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			return nil, "", errWritten("JSON that cannot be read")
		}
		return v, s[d.InputOffset():], nil
	}
	word, rest, _ := strings.Cut(s, " ")
	return word, rest, nil
}

// set puts a value in its place; false where the method has none of that name.
func (r *reader) set(field string, value any) bool {
	args, isArgs := value.(map[string]any)
	text, isText := value.(string)
	place, ok := r.texts()[field]
	switch {
	case ok && isText:
		*place = text
	case field == "arguments" && isArgs && r.arguments() != nil:
		*r.arguments() = tableOf(args)
	case r.publishes() && field == "headers" && isArgs:
		r.props.Headers = append(r.props.Headers, tableOf(args)...)
		r.props.has |= hasHeaders
	case r.publishes() && field == "cc" && isText:
		r.cc = append(r.cc, text)
	case r.publishes() && isText:
		return r.property(field, text)
	default:
		return false
	}
	return true
}

func (r *reader) publishes() bool { return r.m.id() == idBasicPublish }

// copies adds the further keys that the headers do not name anyway.
func (r *reader) copies() {
	more, err := checkProperties(&properties{Headers: r.props.Headers})
	if err != nil {
		return // it is refused where it is understood
	}
	var l list
	for _, key := range r.cc {
		if !slices.Contains(more, key) {
			l = append(l, key)
		}
	}
	if len(l) == 0 {
		return
	}
	r.props.has |= hasHeaders
	for i, e := range r.props.Headers {
		if had, ok := e.Value.(list); ok && e.Name == "CC" {
			r.props.Headers[i].Value = append(had, l...)
			return
		}
	}
	r.props.Headers = append(r.props.Headers, entry{"CC", l})
}

// property sets a property by its name.
func (r *reader) property(field, text string) bool {
	p := r.props
	n, _ := strconv.ParseUint(text, 10, 8)
	switch field {
	case "content_type":
		p.has, p.ContentType = p.has|hasContentType, text
	case "content_encoding":
		p.has, p.ContentEncoding = p.has|hasContentEncoding, text
	case "delivery_mode":
		p.has, p.DeliveryMode = p.has|hasDeliveryMode, uint8(n) // #nosec G115 -- it was read as one
	case "priority":
		p.has, p.Priority = p.has|hasPriority, uint8(n) // #nosec G115 -- it was read as one
	case "correlation_id":
		p.has, p.CorrelationID = p.has|hasCorrelationID, text
	case "reply_to":
		p.has, p.ReplyTo = p.has|hasReplyTo, text
	case "expiration":
		p.has, p.Expiration = p.has|hasExpiration, text
	case "message_id":
		p.has, p.MessageID = p.has|hasMessageID, text
	case "type":
		p.has, p.Type = p.has|hasType, text
	case "user_id":
		p.has, p.UserID = p.has|hasUserID, text
	case "app_id":
		p.has, p.AppID = p.has|hasAppID, text
	default:
		return false
	}
	return true
}

// texts are the fields of the method that are texts.
func (r *reader) texts() map[string]*string {
	switch m := r.m.(type) {
	case *basicPublish:
		return map[string]*string{"exchange": &m.Exchange, "key": &m.RoutingKey}
	case *basicConsume:
		return map[string]*string{"queue": &m.Queue}
	case *basicGet:
		return map[string]*string{"queue": &m.Queue}
	case *queueDeclare:
		return map[string]*string{"queue": &m.Queue}
	case *queueDelete:
		return map[string]*string{"queue": &m.Queue}
	case *queuePurge:
		return map[string]*string{"queue": &m.Queue}
	case *queueBind:
		return map[string]*string{"queue": &m.Queue, "exchange": &m.Exchange, "key": &m.RoutingKey}
	case *queueUnbind:
		return map[string]*string{"queue": &m.Queue, "exchange": &m.Exchange, "key": &m.RoutingKey}
	case *exchangeDeclare:
		return map[string]*string{"exchange": &m.Exchange, "type": &m.Type}
	case *exchangeDelete:
		return map[string]*string{"exchange": &m.Exchange}
	case *exchangeBind:
		return map[string]*string{"destination": &m.Destination, "exchange": &m.Source, "key": &m.RoutingKey}
	case *exchangeUnbind:
		return map[string]*string{"destination": &m.Destination, "exchange": &m.Source, "key": &m.RoutingKey}
	}
	return nil
}

func (r *reader) arguments() *table {
	switch m := r.m.(type) {
	case *basicConsume:
		return &m.Arguments
	case *queueDeclare:
		return &m.Arguments
	case *queueBind:
		return &m.Arguments
	case *queueUnbind:
		return &m.Arguments
	case *exchangeDeclare:
		return &m.Arguments
	case *exchangeBind:
		return &m.Arguments
	case *exchangeUnbind:
		return &m.Arguments
	}
	return nil
}

// flag sets what is a bare word.
func (r *reader) flag(word string) bool {
	var flags map[string]*bool
	switch m := r.m.(type) {
	case *basicPublish:
		flags = map[string]*bool{"mandatory": &m.Mandatory, "immediate": &m.Immediate}
	case *basicConsume:
		flags = map[string]*bool{"no_ack": &m.NoAck, "exclusive": &m.Exclusive}
	case *basicGet:
		flags = map[string]*bool{"no_ack": &m.NoAck}
	case *queueDeclare:
		flags = map[string]*bool{"passive": &m.Passive, "durable": &m.Durable, "exclusive": &m.Exclusive, "auto_delete": &m.AutoDelete}
	case *queueDelete:
		flags = map[string]*bool{"if_unused": &m.IfUnused, "if_empty": &m.IfEmpty}
	case *exchangeDeclare:
		flags = map[string]*bool{"passive": &m.Passive, "durable": &m.Durable, "auto_delete": &m.AutoDelete, "internal": &m.Internal}
	case *exchangeDelete:
		flags = map[string]*bool{"if_unused": &m.IfUnused}
	}
	f := flags[word]
	if f != nil {
		*f = true
	}
	return f != nil
}

// tableOf makes a table of JSON, in the order of its names.
func tableOf(m map[string]any) table {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	t := table{}
	for _, n := range names {
		t = append(t, entry{n, fieldOf(m[n])})
	}
	return t
}

func fieldOf(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case []any:
		l := list{}
		for _, e := range v {
			l = append(l, fieldOf(e))
		}
		return l
	case map[string]any:
		return tableOf(v)
	}
	return v
}

func errWritten(say string) error {
	e := fault.Wrap(fault.Malformed, "amqp.explain", errors.New(say), "%s", say)
	var f *fault.Error
	if errors.As(e, &f) {
		f.Hint = "Write a method as the log has it: basic.publish exchange=orders key=eu.card content_type=application/json, then an empty line and " +
			"a body; queue.bind queue=q exchange=orders key=eu.*; or in short: publish orders eu.card {\"amount\": 3}, consume q, bind q orders eu.*."
	}
	return e
}
