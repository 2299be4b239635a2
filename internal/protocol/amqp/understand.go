package amqp

import (
	"slices"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// defaultExchange is how resources call the exchange without a name.
const defaultExchange = "amq.default"

const (
	serverNamed = "amq.gen-"               // how the names begin that the broker gives to queues
	replyQueue  = "amq.rabbitmq.reply-to"  // where a client says that it wants direct replies
	replyKeys   = "amq.rabbitmq.reply-to." // how the addresses of direct replies begin
)

// judging makes a statement of a method.
type judging struct {
	known *known
	st    *access.Statement
	more  []string // further keys of a message
}

// understand tells what a method does; nil where it carries no action by itself. m has the name of its queue in place of an empty
// one. p is what stands in the header of what is published; nil for other methods, and for a message without properties.
func (*protocol) understand(k *known, m method, p *properties) (*access.Statement, error) {
	if err := checkMethod(m); err != nil {
		return nil, err
	}
	j := &judging{known: k, st: &access.Statement{Bounded: true}}
	if err := j.act(m, p); err != nil {
		return nil, err
	}
	if len(j.st.Actions) == 0 {
		return nil, nil
	}
	write(j.st, m, j.more)
	return j.st, nil
}

func (j *judging) act(m method, p *properties) error {
	switch m := m.(type) {
	case *basicPublish:
		return j.publish(m, p)
	case *basicConsume:
		j.queue(verbConsume, m.Queue)
		j.foreign(m.Queue)
		j.arguments(consumeArguments, m.Arguments, m.Queue)
	case *basicGet:
		j.queue(verbGet, m.Queue)
		j.foreign(m.Queue)
	case *queueDeclare:
		return j.declareQueue(m)
	case *queueDelete:
		j.queue(verbDeleteQueue, m.Queue)
		j.foreign(m.Queue)
		j.st.Bounded = m.IfEmpty
	case *queuePurge:
		j.queue(verbPurge, m.Queue)
		j.foreign(m.Queue)
		j.st.Bounded = false
	case *queueBind:
		j.bindQueue(verbBind, verbBindSource, m.Queue, m.Exchange, m.RoutingKey)
	case *queueUnbind:
		j.bindQueue(verbUnbind, verbUnbindSource, m.Queue, m.Exchange, m.RoutingKey)
	case *exchangeBind:
		j.bindExchange(m)
	case *exchangeUnbind:
		j.exchange(verbUnbind, m.Destination)
		j.source(verbUnbindSource, m.Source, m.RoutingKey)
	case *exchangeDeclare:
		return j.declareExchange(m)
	case *exchangeDelete:
		j.exchange(verbDeleteExchange, m.Exchange)
		j.st.Bounded = m.IfUnused
	case *txSelect, *txCommit, *txRollback:
		j.do(verbTransaction, access.Action{Resource: access.Resource(j.known.connection)})
	}
	return nil
}

// publish asks for each key that the message goes by: its own, and those of its CC and BCC headers.
func (j *judging) publish(m *basicPublish, p *properties) error {
	if m.Immediate {
		return notUnderstood("immediate is not supported, by the broker either")
	}
	more, err := checkProperties(p)
	if err != nil {
		return err
	}
	j.more = slices.DeleteFunc(more, func(key string) bool { return key == m.RoutingKey })
	for _, key := range append([]string{m.RoutingKey}, j.more...) {
		j.publishKey(m.Exchange, oneKey(key), key)
	}
	return nil
}

// publishKey asks for one key, or one set of keys (plain is "" then).
func (j *judging) publishKey(exchange string, key keySet, plain string) {
	direct := isDefault(exchange)
	if direct && strings.HasPrefix(plain, replyKeys) && j.known.mayReply(plain) {
		j.queue(verbReply, plain)
		return
	}
	j.keyed(verbPublish, exchange, key)
	if direct { // the key names the queue
		j.related(verbPublish, access.Action{Resource: access.SegmentResource(j.known.connection, "queue") + "/" + key.segment, Wild: key.wild})
	}
}

func (j *judging) declareQueue(m *queueDeclare) error {
	if m.Passive || strings.HasPrefix(m.Queue, replyQueue) { // the broker only looks whether the client of a direct reply is there
		if strings.HasPrefix(m.Queue, replyKeys) && j.known.mayReply(m.Queue) {
			j.queue(verbReply, m.Queue)
			return nil
		}
		j.queue(verbCheckQueue, m.Queue)
		return nil
	}
	if m.Queue == "" {
		j.do(verbDeclareQueue, access.Action{Resource: access.SegmentResource(j.known.connection, "queue", serverNamed) + "*", Wild: true})
	} else {
		j.queue(verbDeclareQueue, m.Queue)
		j.foreign(m.Queue)
	}
	if !m.Exclusive && (m.AutoDelete || discards(m.Arguments)) {
		last := j.st.Actions[0]
		j.related(verbDiscard, last)
	}
	j.arguments(queueArguments, m.Arguments, m.Queue)
	return j.deadLetters(m.Arguments)
}

// deadLetters asks for where a queue sends what it gives up: it publishes there, for whoever declared it so.
func (j *judging) deadLetters(args table) error {
	exchange, ok, err := textArgument(args, "x-dead-letter-exchange")
	if err != nil || !ok {
		return err
	}
	key, fixed, err := textArgument(args, "x-dead-letter-routing-key")
	if err != nil {
		return err
	}
	if fixed {
		j.publishKey(exchange, oneKey(key), key)
		return nil
	}
	j.publishKey(exchange, everyKey()[0], "") // under the keys of whatever message it is
	return nil
}

// bindQueue is about a binding between a queue and an exchange. What is bound into a queue is published to it.
func (j *judging) bindQueue(verb, source, queue, exchange, key string) {
	j.queue(verb, queue)
	j.foreign(queue)
	j.source(source, exchange, key)
	if verb == verbBind {
		j.related(verbPublish, j.queueAction(queue))
	}
}

// bindExchange is about a binding between exchanges: what the one routes is published to the other, under the keys that it came by.
func (j *judging) bindExchange(m *exchangeBind) {
	j.exchange(verbBind, m.Destination)
	j.source(verbBindSource, m.Source, m.RoutingKey)
	for _, key := range j.known.bound(m.Source, m.RoutingKey) {
		j.publishKey(m.Destination, key, "")
	}
}

func (j *judging) declareExchange(m *exchangeDeclare) error {
	if m.Passive {
		j.exchange(verbCheckExchange, m.Exchange)
		return nil
	}
	j.exchange(verbDeclareExchange, m.Exchange)
	switch m.Type {
	case kindDirect, kindFanout, kindTopic, kindHeaders:
	default:
		j.exchange(verbOpaque, m.Exchange)
	}
	if unknownArgument(exchangeArguments, m.Arguments) {
		j.exchange(verbOpaque, m.Exchange)
	}
	other, ok, err := textArgument(m.Arguments, "alternate-exchange")
	if err != nil || !ok {
		return err
	}
	j.publishKey(other, everyKey()[0], "") // whatever finds no other way
	return nil
}

// arguments asks for Opaque where there is one that is not in the list.
func (j *judging) arguments(list []string, args table, queue string) {
	if unknownArgument(list, args) {
		j.do(verbOpaque, j.queueAction(queue))
	}
}

// foreign asks for more where the broker named a queue for another session: whoever learned its name reads what is meant for that one.
func (j *judging) foreign(queue string) {
	if strings.HasPrefix(queue, serverNamed) && !j.known.owns(queue) {
		j.queue(verbUseForeignQueue, queue)
	}
}

// source asks for the messages that a binding is about. The broker's own exchanges of traces, logs and events show everybody's.
func (j *judging) source(verb, exchange, key string) {
	for _, set := range j.known.bound(exchange, key) {
		j.keyed(verb, exchange, set)
		if tells(exchange) {
			j.keyed(verbOpaque, exchange, set)
		}
	}
}

// tells reports whether an exchange is one by which the broker tells what others do.
func tells(exchange string) bool { return strings.HasPrefix(exchange, "amq.rabbitmq.") }

// queueAction is about a queue. One without a name is one that the broker is to name, or, in what people write, has named for the session.
func (j *judging) queueAction(queue string) access.Action {
	if queue == "" {
		return access.Action{Resource: access.SegmentResource(j.known.connection, "queue", serverNamed) + "*", Wild: true}
	}
	return access.Action{Resource: access.SegmentResource(j.known.connection, "queue", queue)}
}

func (j *judging) queue(verb, queue string) { j.do(verb, j.queueAction(queue)) }

func (j *judging) exchange(verb, exchange string) {
	j.do(verb, access.Action{Resource: access.SegmentResource(j.known.connection, "exchange", called(exchange))})
}

func (j *judging) keyed(verb, exchange string, key keySet) {
	j.do(verb, access.Action{Resource: access.SegmentResource(j.known.connection, "exchange", called(exchange)) + "/" + key.segment, Wild: key.wild})
}

func (j *judging) do(verb string, a access.Action) {
	a.Name = prefix + verb
	j.st.Actions = append(j.st.Actions, a)
}

func (j *judging) related(verb string, a access.Action) {
	a.Name = prefix + verb
	j.st.Related = append(j.st.Related, a)
}

// called is how resources call an exchange.
func called(exchange string) string {
	if exchange == "" {
		return defaultExchange
	}
	return exchange
}

func isDefault(exchange string) bool { return exchange == "" || exchange == defaultExchange }

// bound is the set of messages that a binding takes from an exchange, by their keys.
func (k *known) bound(exchange, key string) []keySet {
	return k.exchanges.bound(exchange, key, k.vouched()[exchange])
}

// checkMethod refuses names that the broker would read as others: it takes line ends out of them. Nor can what is no text be named in a
// policy.
func checkMethod(m method) error {
	var names []string
	var keys []string
	switch m := m.(type) {
	case *basicPublish:
		names, keys = []string{m.Exchange}, []string{m.RoutingKey}
	case *basicConsume:
		names = []string{m.Queue, m.ConsumerTag}
	case *basicGet:
		names = []string{m.Queue}
	case *queueDeclare:
		names = []string{m.Queue}
	case *queueDelete:
		names = []string{m.Queue}
	case *queuePurge:
		names = []string{m.Queue}
	case *queueBind:
		names, keys = []string{m.Queue, m.Exchange}, []string{m.RoutingKey}
	case *queueUnbind:
		names, keys = []string{m.Queue, m.Exchange}, []string{m.RoutingKey}
	case *exchangeBind:
		names, keys = []string{m.Destination, m.Source}, []string{m.RoutingKey}
	case *exchangeUnbind:
		names, keys = []string{m.Destination, m.Source}, []string{m.RoutingKey}
	case *exchangeDeclare:
		names = []string{m.Exchange, m.Type}
	case *exchangeDelete:
		names = []string{m.Exchange}
	}
	for _, n := range names {
		if err := checkName(n); err != nil {
			return err
		}
	}
	for _, k := range keys {
		if err := checkKey(k); err != nil {
			return err
		}
	}
	return nil
}

func checkName(s string) error {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
		return notUnderstood("a name of an exchange, a queue or a consumer holds control characters, or is not UTF-8")
	}
	return nil
}

func checkKey(s string) error {
	if !utf8.ValidString(s) {
		return notUnderstood("a routing key is not UTF-8")
	}
	return nil
}

// notUnderstood refuses what could be read in another way than it is judged, or in none.
func notUnderstood(say string) error { return fault.New(fault.Malformed, "amqp.understand", "%s", say) }
