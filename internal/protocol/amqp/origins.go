package amqp

import (
	"strings"

	"gatehouse/internal/access"
)

// maxOrigins bounds how many places of origin of one message are looked at.
const maxOrigins = 64

// understandDelivery tells what it is to be given a message: verb is Consume or Get, by which it comes. Deny and approve bind it also
// under what it was published to, and by the queues and exchanges that it was dead-lettered from, as its headers have it.
func (*protocol) understandDelivery(k *known, verb, queue, exchange, key string, headers table) (*access.Statement, error) {
	st := &access.Statement{Bounded: true}
	from, err := k.origins(queue, exchange, key, headers)
	if err != nil {
		return nil, err
	}
	st.Actions = []access.Action{{Name: prefix + verb, Resource: from[0]}, {Name: prefix + verbDeliver, Resource: from[0]}}
	for _, r := range from[1:] {
		st.Related = append(st.Related, access.Action{Name: prefix + verbDeliver, Resource: r})
	}
	writeDelivery(st, queue, exchange, key)
	return st, nil
}

// origins are the resources that a message on its way to the client is of, the queue it comes from first: whatever masks one of them masks
// the message. What it was dead-lettered from counts, since masks are of where it was then.
func (k *known) origins(queue, exchange, key string, headers table) ([]string, error) {
	o := originList{known: k}
	o.add("queue", queue)
	o.add("exchange", called(exchange), key)
	for _, name := range routingHeaders {
		v, _ := headers.Get(name)
		for _, other := range texts(v) {
			o.add("exchange", called(exchange), other)
		}
	}
	v, _ := headers.Get("x-death")
	deaths, _ := v.(list)
	for _, d := range deaths {
		o.death(d)
	}
	if len(o.list) > maxOrigins {
		return nil, notUnderstood("a message that went through more exchanges and queues than are looked at")
	}
	return o.list, nil
}

type originList struct {
	known *known
	list  []string
}

func (o *originList) add(parts ...string) {
	if len(o.list) > maxOrigins {
		return
	}
	r := access.SegmentResource(o.known.connection, parts...)
	for _, have := range o.list {
		if have == r {
			return
		}
	}
	o.list = append(o.list, strings.ToValidUTF8(r, "\uFFFD"))
}

func (o *originList) death(v any) {
	d, _ := v.(table)
	exchange, queue := "", ""
	if v, ok := d.Get("queue"); ok {
		queue, _ = v.(string)
		o.add("queue", queue)
	}
	v, ok := d.Get("exchange")
	if !ok {
		return
	}
	exchange, _ = v.(string)
	keys, _ := d.Get("routing-keys")
	for _, key := range texts(keys) {
		o.add("exchange", called(exchange), key)
	}
}

// texts are the texts of a list.
func texts(v any) (out []string) {
	l, _ := v.(list)
	for _, v := range l {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}
