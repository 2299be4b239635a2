package amqp

import (
	"strings"

	"gatehouse/internal/access"
)

// understand tells what a method does; nil where it carries no action by itself. m has the name of its queue in place of an empty
// one. p is what stands in the header of what is published; nil for other methods.
func (*protocol) understand(k *known, m method, p *properties) (*access.Statement, error) {
	st := func(verb string, parts ...string) *access.Statement {
		return &access.Statement{Text: m.name() + " " + strings.Join(parts, " "), Normal: m.name(), Fingerprint: m.name(), Bounded: true,
			Actions: []access.Action{{Name: "amqp:" + verb, Resource: access.Resource(k.connection, parts...)}}}
	}
	exchange := func(name string) string {
		if name == "" {
			return "amq.default"
		}
		return name
	}
	switch m := m.(type) {
	case *basicPublish:
		return st("Publish", "exchange", exchange(m.Exchange), m.RoutingKey), nil
	case *basicConsume:
		return st("Consume", "queue", m.Queue), nil
	case *basicGet:
		return st("Get", "queue", m.Queue), nil
	case *queueDeclare:
		return st("DeclareQueue", "queue", m.Queue), nil
	case *queueBind:
		return st("Bind", "queue", m.Queue), nil
	case *queueUnbind:
		return st("Unbind", "queue", m.Queue), nil
	case *queuePurge:
		return st("Purge", "queue", m.Queue), nil
	case *queueDelete:
		return st("DeleteQueue", "queue", m.Queue), nil
	case *exchangeDeclare:
		return st("DeclareExchange", "exchange", exchange(m.Exchange)), nil
	case *exchangeDelete:
		return st("DeleteExchange", "exchange", exchange(m.Exchange)), nil
	case *exchangeBind:
		return st("Bind", "exchange", exchange(m.Destination)), nil
	case *exchangeUnbind:
		return st("Unbind", "exchange", exchange(m.Destination)), nil
	case *txSelect, *txCommit, *txRollback:
		return st("Transaction"), nil
	}
	return nil, nil
}

// understandDelivery tells what it is to be given a message: verb is Consume or Get, by which it comes.
func (*protocol) understandDelivery(k *known, verb, queue, exchange, key string) *access.Statement {
	r := access.Resource(k.connection, "queue", queue)
	return &access.Statement{Text: "deliver queue=" + queue + " exchange=" + exchange + " key=" + key, Normal: "deliver", Fingerprint: "deliver", Bounded: true,
		Actions: []access.Action{{Name: "amqp:" + verb, Resource: r}, {Name: "amqp:Deliver", Resource: r}}}
}
