package bypass

import (
	"context"
	"slices"

	amqp "github.com/rabbitmq/amqp091-go"
)

// queueAttacks are the cases about queues.
func queueAttacks() []queueAttack {
	return slices.Concat(queueWrites(), queueReads(), queueLosses(), queueGuardrails(), queueMasks(), underDeny(queueWrites()), underDeny(queueReads()))
}

// underDeny are those cases again of a role whose allow is wide and whose deny is about one place.
func underDeny(cases []queueAttack) (out []queueAttack) {
	for _, q := range cases {
		if q.Role == "" {
			q.Role, q.Channel = "all-but-payroll", q.Channel+", under a deny"
			out = append(out, q)
		}
	}
	return out
}

func acts(list ...act) []act { return list }

type table = amqp.Table

// queueWrites put messages where the client may not.
func queueWrites() []queueAttack {
	return []queueAttack{
		{Technique: "a queue is named by the key of the default exchange", Channel: "publish", Acts: acts(publish("", "payroll", nil))},
		{Technique: "a queue is named by the key of the default exchange", Channel: "transaction", Acts: acts(within("", "payroll"))},
		{Technique: "a queue is named by the key of the default exchange", Channel: "behind one that is allowed", Acts: acts(publish("orders", "eu.card", nil), publish("", "mail", nil))},
		{Technique: "the default exchange by its other name", Channel: "publish", Acts: acts(publish("amq.default", "payroll", nil)), Unproven: "the broker knows no such exchange"},
		{Technique: "another routing key", Channel: "publish", Acts: acts(publish("orders", "us.secret", nil))},
		{Technique: "another routing key", Channel: "transaction", Acts: acts(within("orders", "us.secret"))},
		{Technique: "another exchange", Channel: "publish", Acts: acts(publish("salaries", "eu.card", nil))},
		{Technique: "a copy by a header", Channel: "CC", Acts: acts(publish("orders", "eu.card", table{"CC": []any{"us.secret"}}))},
		{Technique: "a copy by a header", Channel: "BCC", Acts: acts(publish("orders", "eu.card", table{"BCC": []any{"eu.x", "us.secret"}}))},
		{Technique: "a copy by a header", Channel: "CC, default exchange", Acts: acts(makeQueue("loot", nil), publish("", "loot", table{"CC": []any{"payroll"}}))},
		{Technique: "a copy by a header", Channel: "BCC, default exchange", Acts: acts(makeQueue("loot", nil), publish("", "loot", table{"BCC": []any{"mail"}}))},
		{Technique: "a copy by a header", Channel: "transaction", Acts: acts(withinOf("orders", "eu.card", table{"CC": []any{"us.secret"}}))},
		{Technique: "a queue of others is bound to an exchange of one's own", Channel: "queue.bind", Acts: acts(makeExchange("loot", "direct", nil), bindQueue("payroll", "loot", "k", nil), publish("loot", "k", nil))},
		{Technique: "a queue of others is bound to an exchange of one's own", Channel: "amq.fanout", Acts: acts(bindQueue("mail", "amq.fanout", "", nil), publish("amq.fanout", "", nil))},
		{Technique: "an exchange of others is bound to one of one's own", Channel: "exchange.bind", Acts: acts(makeExchange("loot", "fanout", nil), bindExchange("salaries", "loot", ""), publish("loot", "k", nil))},
		{Technique: "an exchange of others is bound to one of one's own", Channel: "one key", Acts: acts(makeExchange("loot", "direct", nil), bindExchange("orders", "loot", "us.secret"), publish("loot", "us.secret", nil))},
		{Technique: "an exchange of others is bound to one of one's own", Channel: "a key with words of any", Acts: acts(makeExchange("loot", "topic", nil), bindExchange("orders", "loot", "*.secret"), publish("loot", "us.secret", nil))},
		{Technique: "a chain of exchanges", Channel: "exchange.bind", Acts: acts(makeExchange("loot", "topic", nil), makeExchange("loot-2", "topic", nil), bindExchange("loot-2", "loot", "#"),
			bindExchange("salaries", "loot-2", "#"), publish("loot", "k", nil))},
		{Technique: "an alternate exchange", Channel: "exchange.declare", Acts: acts(makeExchange("loot", "topic", table{"alternate-exchange": "salaries"}), publish("loot", "k", nil))},
		{Technique: "an alternate exchange", Channel: "to another key", Acts: acts(makeExchange("loot", "direct", table{"alternate-exchange": "orders"}), publish("loot", "us.secret", nil))},
		{Technique: "an alternate exchange", Channel: "the default exchange", Acts: acts(makeExchange("loot", "direct", table{"alternate-exchange": ""}), publish("loot", "payroll", nil)),
			Unproven: "the broker routes nothing from there"},
		{Technique: "what expires is dead-lettered", Channel: "default exchange", Acts: acts(makeQueue("loot", table{"x-message-ttl": int32(0), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "payroll"}),
			publish("", "loot", nil), fetch("loot"))},
		{Technique: "what expires is dead-lettered", Channel: "another exchange", Acts: acts(makeQueue("loot", table{"x-message-ttl": int32(0), "x-dead-letter-exchange": "salaries"}), publish("", "loot", nil), fetch("loot"))},
		{Technique: "what is rejected is dead-lettered", Channel: "another key", Acts: acts(makeQueue("loot", table{"x-dead-letter-exchange": "orders", "x-dead-letter-routing-key": "us.secret"}), publish("", "loot", nil), giveUp("loot"))},
		{Technique: "what is too much is dead-lettered", Channel: "length", Acts: acts(makeQueue("loot", table{"x-max-length": int32(0), "x-dead-letter-exchange": "salaries", "x-dead-letter-routing-key": "k"}), publish("", "loot", nil))},
		{Technique: "what is too much is dead-lettered", Channel: "bytes, refused to the sender", Acts: acts(makeQueue("loot", table{"x-max-length-bytes": int32(0), "x-overflow": "reject-publish-dlx",
			"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "mail"}), publish("", "loot", nil), publish("", "loot", nil))},
		{Technique: "dead-lettered under the key that a copy names", Channel: "CC", Acts: acts(makeQueue("loot", table{"x-message-ttl": int32(0), "x-dead-letter-exchange": "orders"}),
			publish("", "loot", table{"CC": []any{"us.secret"}}), fetch("loot"))},
		{Technique: "a reply to where a message says", Channel: "reply_to", Acts: acts(emit("orders", "eu.card", amqp.Publishing{ReplyTo: "payroll"}), answer("refunds"))},
		{Technique: "a queue that the broker named for others", Channel: "queue.bind", Role: "clerk", Acts: acts(makeExchange("loot", "fanout", nil), bindVictim("loot"), publish("loot", "", nil))},
		{Technique: "the user is named", Channel: "user_id", Acts: acts(emit("orders", "eu.card", amqp.Publishing{UserId: "app", Body: []byte("x")}))},
		{Technique: "an exchange is made again as another type", Channel: "exchange.declare", Acts: acts(makeExchange("orders", "fanout", nil), publish("orders", "eu.card", nil)), Unproven: "the broker refuses to change it"},
	}
}

// within publishes in a transaction and commits it, as often as it goes.
func within(exchange, key string) act { return withinOf(exchange, key, nil) }

func withinOf(exchange, key string, headers table) act {
	return func(c *client) {
		c.ch = nil // what confirms cannot have transactions
		c.try("a transaction", func(ch *amqp.Channel) error {
			if err := ch.Tx(); err != nil {
				return err
			}
			if err := ch.PublishWithContext(context.Background(), "orders", "eu.card", false, false, amqp.Publishing{Body: []byte("fine")}); err != nil {
				return err
			}
			if err := ch.PublishWithContext(context.Background(), exchange, key, false, false, amqp.Publishing{Headers: headers, Body: []byte(forged)}); err != nil {
				return err
			}
			return ch.TxCommit()
		})
		c.try("commit again", func(ch *amqp.Channel) error {
			if err := ch.Tx(); err != nil {
				return err
			}
			return ch.TxCommit()
		})
		c.ch = nil
	}
}

// answer takes one message and replies to where it says.
func answer(queue string) act {
	return func(c *client) {
		to := ""
		c.try("take one of "+queue, func(ch *amqp.Channel) error {
			m, _, err := ch.Get(queue, true)
			to = m.ReplyTo
			return err
		})
		publish("", to, nil)(c)
	}
}

func bindVictim(exchange string) act {
	return func(c *client) { bindQueue(c.w.victim, exchange, "", nil)(c) }
}

func onVictim(do func(queue string) act) act { return func(c *client) { do(c.w.victim)(c) } }

// spy makes a queue of one's own, binds it, and reads what comes.
func spy(exchange, key string, args table) []act {
	return acts(makeQueue("loot", nil), bindQueue("loot", exchange, key, args), canaries, fetch("loot"))
}

// queueReads read what the client may not.
func queueReads() []queueAttack {
	return []queueAttack{
		{Technique: "a queue of others is read", Channel: "basic.get", Acts: acts(fetch("payroll"))},
		{Technique: "a queue of others is read", Channel: "basic.consume", Acts: acts(subscribe("us-orders", nil))},
		{Technique: "a queue of others is read", Channel: "with a priority", Acts: acts(subscribe("payroll", table{"x-priority": int32(10)}))},
		{Technique: "a binding of one's own", Channel: "another exchange", Acts: spy("salaries", "#", nil)},
		{Technique: "a binding of one's own", Channel: "another key", Acts: spy("orders", "us.secret", nil)},
		{Technique: "a binding key that means more", Channel: "#", Acts: spy("orders", "#", nil)},
		{Technique: "a binding key that means more", Channel: "*.secret", Acts: spy("orders", "*.secret", nil)},
		{Technique: "a binding key that means more", Channel: "us.*", Acts: spy("orders", "us.*", nil)},
		{Technique: "a binding key that means more", Channel: "#.secret", Acts: spy("orders", "#.secret", nil)},
		{Technique: "a binding key that means more", Channel: "*", Acts: spy("orders", "*", nil)},
		{Technique: "a binding key that means more", Channel: "#.#.#", Acts: spy("orders", "#.#.#", nil)},
		{Technique: "a binding key that means more", Channel: "#.us.#.secret.#", Acts: spy("orders", "#.us.#.secret.#", nil)},
		{Technique: "a binding key that means nothing", Channel: "fanout", Acts: spy("all", "eu", nil)},
		{Technique: "a binding key that means nothing", Channel: "headers", Acts: spy("by-header", "eu", table{"x-match": "any", "region": "us"})},
		{Technique: "a binding key that means nothing", Channel: "headers, of all", Acts: spy("by-header", "eu", table{"x-match": "all"})},
		{Technique: "an empty name", Channel: "queue.bind", Acts: acts(makeQueue("loot", nil), bindQueue("", "salaries", "#", nil), canaries, fetch(""))},
		{Technique: "an empty name", Channel: "basic.get", Acts: acts(quietly("payroll"), fetch(""))},
		{Technique: "an empty name after others", Channel: "basic.get", Acts: acts(makeQueue("loot", nil), quietly("payroll"), fetch(""))},
		{Technique: "a name with a line end", Channel: "queue.declare, then an empty name", Acts: acts(quietly("pay\nroll"), fetch(""))},
		{Technique: "an exchange of one's own is bound to others", Channel: "exchange.bind", Acts: acts(makeExchange("loot", "fanout", nil), makeQueue("loot", nil), bindQueue("loot", "loot", "", nil),
			bindExchange("loot", "salaries", "#"), canaries, fetch("loot"))},
		{Technique: "an exchange of one's own is bound to others", Channel: "part of an exchange", Acts: acts(makeExchange("loot", "fanout", nil), makeQueue("loot", nil), bindQueue("loot", "loot", "", nil),
			bindExchange("loot", "orders", "#"), canaries, fetch("loot"))},
		{Technique: "an exchange of one's own is bound to others", Channel: "a name with a line end", Acts: acts(makeExchange("loot", "fanout", nil), makeQueue("loot", nil), bindQueue("loot", "loot", "", nil),
			bindExchange("loot", "sala\nries", "#"), canaries, fetch("loot"))},
		{Technique: "a queue that the broker named for others", Channel: "basic.get", Acts: acts(onVictim(fetch)), Role: "clerk"},
		{Technique: "a queue that the broker named for others", Channel: "basic.consume", Acts: acts(onVictim(func(q string) act { return subscribe(q, nil) })), Role: "clerk"},
		{Technique: "the broker's own traces", Channel: "amq.rabbitmq.trace", Role: "tracer", Acts: spy("amq.rabbitmq.trace", "#", nil)},
		{Technique: "the broker's own traces", Channel: "one key", Role: "tracer", Acts: spy("amq.rabbitmq.trace", "publish.salaries", nil)},
		{Technique: "a passive declare tells how much is there", Channel: "queue.declare", Role: "clerk", Acts: acts(look("payroll"))},
		{Technique: "a declare tells how much is there", Channel: "queue.declare", Role: "clerk", Acts: acts(count("payroll"))},
		{Technique: "messages that others have not acknowledged", Channel: "basic.ack", Acts: acts(ackOthers), Unproven: "delivery tags belong to a channel: the broker refuses others"},
	}
}

// quietly declares passively, and wants no answer: the name is the channel's last all the same.
func quietly(queue string) act {
	return also("declare "+queue+" without an answer", func(_ *client, ch *amqp.Channel) error {
		_, err := ch.QueueDeclarePassive(queue, true, false, false, true, nil)
		return err
	})
}

// count declares a queue as it is, and keeps what it learned.
func count(queue string) act {
	return also("declare "+queue+" as it is", func(c *client, ch *amqp.Channel) error {
		q, err := ch.QueueDeclare(queue, true, false, false, false, nil)
		if err == nil && q.Messages > 0 {
			c.saw = append(c.saw, "it is known how much is in "+queue)
		}
		return err
	})
}

// ackOthers acknowledges what another session was given.
func ackOthers(c *client) {
	other := c.w.channel(c.t)
	defer func() { _ = other.Close() }() // what it holds goes back
	if _, _, err := other.Get("payroll", false); err != nil {
		c.t.Fatal(err)
	}
	c.try("acknowledge", func(ch *amqp.Channel) error {
		if err := ch.Ack(1, true); err != nil {
			return err
		}
		_, err := ch.QueueDeclarePassive("refunds", false, false, false, false, nil) // the answer to an ack is none
		return err
	})
}

// queueLosses lose what is somebody else's.
func queueLosses() []queueAttack {
	return []queueAttack{
		{Technique: "a queue is emptied", Channel: "queue.purge", Acts: acts(purge("payroll"))},
		{Technique: "a queue is emptied", Channel: "an empty name", Acts: acts(quietly("payroll"), purge(""))},
		{Technique: "a queue is emptied", Channel: "it is made again", Acts: acts(remove("payroll", false, false), makeQueue("payroll", nil))},
		{Technique: "a queue is removed", Channel: "queue.delete", Acts: acts(remove("mail", false, false))},
		{Technique: "a queue is removed", Channel: "if unused", Acts: acts(remove("refunds", true, true))},
		{Technique: "a queue is removed", Channel: "a name with a line end", Acts: acts(remove("pay\rroll", false, false))},
		{Technique: "a queue that the broker named for others", Channel: "queue.purge", Acts: acts(onVictim(purge))},
		{Technique: "a queue that the broker named for others", Channel: "queue.delete", Acts: acts(onVictim(func(q string) act { return remove(q, false, false) }))},
		{Technique: "an exchange is removed", Channel: "exchange.delete", Acts: acts(removeExchange("orders", false))},
		{Technique: "an exchange is removed", Channel: "a name with a line end", Acts: acts(removeExchange("salaries\n", false))},
		{Technique: "a binding is taken away", Channel: "queue.unbind", Acts: acts(unbindQueue("payroll", "salaries", "#"))},
		{Technique: "a binding is taken away", Channel: "one that may be made", Acts: acts(unbindQueue("refunds", "orders", "eu.#"))},
		{Technique: "a queue is bounded after the fact", Channel: "queue.declare", Acts: acts(makeQueue("payroll", table{"x-max-length": int32(0)})), Unproven: "the broker refuses to change it"},
		{Technique: "a queue with an argument nobody knows", Channel: "queue.declare", Acts: acts(makeQueue("loot-3", table{"x-unheard-of": true})), Made: "loot-3"},
	}
}

// queueGuardrails are tried by a role that may do everything else.
func queueGuardrails() []queueAttack {
	return []queueAttack{
		{Technique: "what is denied to everybody", Channel: "purge", Guardrail: "no-message-loss", Acts: acts(purge("payroll"))},
		{Technique: "what is denied to everybody", Channel: "delete", Guardrail: "no-message-loss", Acts: acts(remove("refunds", true, false))},
		{Technique: "what is denied to everybody", Channel: "unbind", Guardrail: "no-message-loss", Acts: acts(unbindQueue("refunds", "orders", "eu.#"))},
		{Technique: "a queue that loses messages by itself", Channel: "length", Guardrail: "no-message-loss", Acts: acts(makeQueue("payroll-2", table{"x-max-length": int32(0)})), Made: "payroll-2"},
		{Technique: "a queue that loses messages by itself", Channel: "age", Guardrail: "no-message-loss", Acts: acts(makeQueue("payroll-2", table{"x-message-ttl": int32(0)})), Made: "payroll-2"},
		{Technique: "a queue that loses messages by itself", Channel: "expiry", Guardrail: "no-message-loss", Acts: acts(makeQueue("payroll-2", table{"x-expires": int32(600000)})), Made: "payroll-2"},
		{Technique: "the default exchange, denied to everybody", Channel: "publish", Guardrail: "no-default-exchange", Acts: acts(publish("", "payroll", nil))},
		{Technique: "the default exchange, denied to everybody", Channel: "CC", Guardrail: "no-default-exchange", Acts: acts(publish("", "amq.gen-x", table{"CC": []any{"payroll"}}))},
		{Technique: "the default exchange, denied to everybody", Channel: "dead letters", Guardrail: "no-default-exchange", Acts: acts(makeExchange("loot", "fanout", nil),
			makeQueue("loot", table{"x-message-ttl": int32(0), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "mail"}), bindQueue("loot", "loot", "", nil), publish("loot", "", nil), fetch("loot"))},
		{Technique: "a change of topology", Channel: "queue.bind", Guardrail: "messages-only", Acts: acts(bindQueue("mail", "orders", "eu.*", nil), publish("orders", "eu.card", nil))},
		{Technique: "a change of topology", Channel: "queue.declare", Guardrail: "messages-only", Acts: acts(makeQueue("payroll-2", nil)), Made: "payroll-2"},
		{Technique: "a change of topology", Channel: "queue.purge", Guardrail: "messages-only", Acts: acts(purge("us-orders"))},
	}
}

// pay has the administrator publish a document with a masked field.
func pay(c *client) {
	ch := c.w.channel(c.t)
	defer func() { _ = ch.Close() }() // what it did is done
	c.w.send(c.t, ch, "salaries", "jane", `{"name": "Jane", "iban": "`+iban+`"}`)
}

// emptied has the administrator take out what is in payroll from the beginning, which is no document.
func emptied(c *client) { c.w.take(c.t, "payroll") }

// queueMasks read a masked field.
func queueMasks() []queueAttack {
	var all []queueAttack
	for _, q := range []queueAttack{
		{Technique: "a masked field", Channel: "basic.get", Acts: acts(emptied, pay, fetch("payroll"))},
		{Technique: "a masked field", Channel: "basic.consume", Acts: acts(emptied, pay, subscribe("payroll", nil))},
		{Technique: "a masked field, by another queue", Channel: "queue.bind", Acts: append(acts(makeQueue("loot", nil), bindQueue("loot", "salaries", "#", nil)), pay, fetch("loot"))},
		{Technique: "a masked field, dead-lettered", Channel: "reject", Acts: append(acts(makeQueue("loot-2", nil), makeQueue("loot", table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "loot-2"}),
			bindQueue("loot", "salaries", "#", nil)), pay, giveUp("loot"), fetch("loot-2"))},
		{Technique: "a masked field, by another exchange", Channel: "exchange.bind", Acts: append(acts(makeExchange("loot", "fanout", nil), makeQueue("loot", nil), bindQueue("loot", "loot", "", nil),
			bindExchange("loot", "salaries", "#")), pay, fetch("loot"))},
		{Technique: "a masked field, given back and read again", Channel: "redelivery", Acts: acts(emptied, pay, giveBack("payroll"), fetch("payroll"))},
	} {
		q.Role, q.Masked = "masked-reader", true
		all = append(all, q)
	}
	return all
}

// giveBack takes one message and gives it back.
func giveBack(queue string) act {
	return also("give back what is in "+queue, func(_ *client, ch *amqp.Channel) error {
		m, _, err := ch.Get(queue, false)
		if err != nil {
			return err
		}
		return m.Nack(false, true)
	})
}
