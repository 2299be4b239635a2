package amqp

import "gatehouse/internal/wire"

// prefix is what the names of this protocol's actions begin with.
const prefix = name + ":"

// The verbs.
const (
	verbPublish         = "Publish"
	verbReply           = "Reply"
	verbConsume         = "Consume"
	verbGet             = "Get"
	verbDeliver         = "Deliver"
	verbDeclareQueue    = "DeclareQueue"
	verbCheckQueue      = "CheckQueue"
	verbDeleteQueue     = "DeleteQueue"
	verbPurge           = "Purge"
	verbDiscard         = "Discard"
	verbUseForeignQueue = "UseForeignQueue"
	verbBind            = "Bind"
	verbBindSource      = "BindSource"
	verbUnbind          = "Unbind"
	verbUnbindSource    = "UnbindSource"
	verbDeclareExchange = "DeclareExchange"
	verbCheckExchange   = "CheckExchange"
	verbDeleteExchange  = "DeleteExchange"
	verbTransaction     = "Transaction"
	verbOpaque          = "Opaque"
)

// verbs is the closed list of this protocol's actions.
func verbs() []wire.Verb {
	return []wire.Verb{
		{Name: prefix + verbPublish, About: "sending messages to an exchange under a routing key, by whatever way: a publish with each key of its CC and BCC headers; a declared alternate or dead-letter exchange; a binding that leads into the exchange. What reaches a queue without an exchange between, and what a binding leads into one, counts as Publish on the queue too, for deny and approve"},
		{Name: prefix + verbReply, Implied: true, About: "a publish to a direct reply address (amq.rabbitmq.reply-to.…) that a message of this session named; to any other it is a Publish"},
		{Name: prefix + verbConsume, About: "a subscription to a queue, and each message that it delivers"},
		{Name: prefix + verbGet, About: "fetching single messages of a queue"},
		{Name: prefix + verbDeliver, Implied: true, About: "a message on its way to the client, from a queue; for deny and approve also from the exchange and under the keys that it was published by, and from where it was dead-lettered"},
		{Name: prefix + verbDeclareQueue, About: "making a queue, or making sure that it is as declared; a queue that the broker is to name is `connection/queue/amq.gen-*`"},
		{Name: prefix + verbCheckQueue, About: "a passive declare: whether a queue is there, and how many messages and consumers it has"},
		{Name: prefix + verbDeleteQueue, About: "removing a queue with its messages"},
		{Name: prefix + verbPurge, About: "emptying a queue"},
		{Name: prefix + verbDiscard, About: "declaring a queue that loses messages by itself: bounds on its length, on the age of messages, its expiry or its last consumer's leaving; comes with DeclareQueue, for deny and approve only; not where the queue is exclusive, which ends with the session anyway"},
		{Name: prefix + verbUseForeignQueue, About: "reading, binding, emptying or removing a queue that the broker named for another session"},
		{Name: prefix + verbBind, About: "the destination of a binding: a queue, or an exchange; for an exchange it comes with Publish on it"},
		{Name: prefix + verbBindSource, About: "the exchange whose messages a binding takes, with its keys as a set"},
		{Name: prefix + verbUnbind, About: "the destination of a binding that is taken away"},
		{Name: prefix + verbUnbindSource, About: "the exchange of a binding that is taken away, with its keys as a set"},
		{Name: prefix + verbDeclareExchange, About: "making an exchange, or making sure that it is as declared"},
		{Name: prefix + verbCheckExchange, About: "a passive declare: whether an exchange is there"},
		{Name: prefix + verbDeleteExchange, About: "removing an exchange with its bindings"},
		{Name: prefix + verbTransaction, Implied: true, About: "tx.select, tx.commit and tx.rollback; what is in the transaction is asked for when it is sent"},
		{Name: prefix + verbOpaque, About: "what Gatehouse cannot vouch for, together with the action that it is: a message that masks cannot read, an argument or a type of exchange that is not in its lists, the broker's own exchanges of traces, logs and events; only a policy that names it outright allows it"},
	}
}
