package bypass

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// fine is what a message says that may go where it goes.
const fine = "what everybody may read"

// queueHonest are the cases that have to work in spite of the others, by the role clerk.
var queueHonest = []struct {
	technique, channel string
	do                 func(c *client, ch *amqp.Channel) error
}{
	{"a message is sent and read", "basic.get", func(c *client, ch *amqp.Channel) error {
		return errors.Join(sendFine(ch, "orders", "eu.card", nil), gets(ch, "refunds"))
	}},
	{"a message is sent and read", "transaction", func(c *client, ch *amqp.Channel) error {
		err := errors.Join(ch.Tx(), ch.PublishWithContext(c.t.Context(), "orders", "eu.card", false, false, amqp.Publishing{Body: []byte(fine)}), ch.TxCommit())
		return errors.Join(err, gets(ch, "refunds"))
	}},
	{"copies to where one may", "CC and BCC", func(c *client, ch *amqp.Channel) error {
		return errors.Join(sendFine(ch, "orders", "eu.x", table{"CC": []any{"eu.a"}, "BCC": []any{"eu.b", "eu.c"}}), gets(ch, "refunds"))
	}},
	{"a queue of one's own", "by its name", func(c *client, ch *amqp.Channel) error {
		_, err := ch.QueueDeclare("loot", true, false, false, false, table{"x-message-ttl": int32(60000)})
		return errors.Join(err, sendFine(ch, "", "loot", nil), gets(ch, "loot"))
	}},
	{"a queue of one's own", "bound by words", func(c *client, ch *amqp.Channel) error {
		_, err := ch.QueueDeclare("loot", true, false, false, false, nil)
		return errors.Join(err, ch.QueueBind("loot", "eu.#", "orders", false, nil), sendFine(ch, "orders", "eu.a.b", nil), gets(ch, "loot"))
	}},
	{"a queue of one's own", "named by the broker, then by no name", func(c *client, ch *amqp.Channel) error {
		_, err := ch.QueueDeclare("", false, true, true, false, nil)
		return errors.Join(err, ch.QueueBind("", "eu.*", "orders", false, nil), sendFine(ch, "orders", "eu.x", nil), gets(ch, ""))
	}},
	{"an exchange of one's own", "bound to a part of another", func(c *client, ch *amqp.Channel) error {
		_, err := ch.QueueDeclare("loot", true, false, false, false, nil)
		return errors.Join(err, ch.ExchangeDeclare("loot", "fanout", true, false, false, false, nil), ch.ExchangeBind("loot", "eu.*", "orders", false, nil),
			ch.QueueBind("loot", "", "loot", false, nil), sendFine(ch, "orders", "eu.x", nil), gets(ch, "loot"))
	}},
	{"dead letters of one's own", "default exchange", func(c *client, ch *amqp.Channel) error {
		_, one := ch.QueueDeclare("loot-2", true, false, false, false, nil)
		_, two := ch.QueueDeclare("loot", true, false, false, false, table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "loot-2"})
		err := errors.Join(one, two, sendFine(ch, "", "loot", nil))
		if err != nil {
			return err
		}
		m, _, err := ch.Get("loot", false)
		if err == nil {
			err = m.Reject(false)
		}
		return errors.Join(err, eventually(c, ch, "loot-2"))
	}},
	{"an answer to who asked", "direct reply", func(c *client, ch *amqp.Channel) error {
		ask := c.w.channel(c.t)
		defer func() { _ = ask.Close() }() // it has its answer
		answers, err := ask.Consume("amq.rabbitmq.reply-to", "", true, false, false, false, nil)
		if err != nil {
			return err
		}
		if err := ask.PublishWithContext(c.t.Context(), "orders", "eu.ask", false, false, amqp.Publishing{ReplyTo: "amq.rabbitmq.reply-to", Body: []byte(fine)}); err != nil {
			return err
		}
		c.w.send(c.t, ask, "orders", "eu.after", fine) // behind it
		m, ok, err := ch.Get("refunds", true)
		if err != nil || !ok {
			return fmt.Errorf("no question: %w", err)
		}
		if err := sendFine(ch, "", m.ReplyTo, nil); err != nil {
			return err
		}
		return comes(answers)
	}},
	{"a question and its answer", "direct reply", func(c *client, ch *amqp.Channel) error {
		answers, err := ch.Consume("amq.rabbitmq.reply-to", "", true, false, false, false, nil)
		if err != nil {
			return err
		}
		if err := ch.PublishWithContext(c.t.Context(), "orders", "eu.ask", false, false, amqp.Publishing{ReplyTo: "amq.rabbitmq.reply-to", Body: []byte(fine)}); err != nil {
			return err
		}
		if err := sendFine(ch, "orders", "eu.after", nil); err != nil { // behind it
			return err
		}
		server := c.w.channel(c.t)
		defer func() { _ = server.Close() }() // it has answered
		m, ok, err := server.Get("refunds", true)
		if err != nil || !ok {
			return fmt.Errorf("no question: %w", err)
		}
		c.w.send(c.t, server, "", m.ReplyTo, fine)
		return comes(answers)
	}},
}

// sendFine publishes, and waits for the confirm.
func sendFine(ch *amqp.Channel, exchange, key string, headers table) error {
	if err := ch.Confirm(false); err != nil {
		return err
	}
	d, err := ch.PublishWithDeferredConfirm(exchange, key, false, false, amqp.Publishing{Headers: headers, Body: []byte(fine)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), tooLong)
	defer cancel()
	if ok, err := d.WaitContext(ctx); err != nil || !ok {
		return fmt.Errorf("not confirmed: %w", err)
	}
	return nil
}

// gets reads one message.
func gets(ch *amqp.Channel, queue string) error {
	m, ok, err := ch.Get(queue, true)
	if err == nil && (!ok || string(m.Body) != fine) {
		err = fmt.Errorf("%q holds %q", queue, m.Body)
	}
	return err
}

// eventually reads one message that the broker itself moves.
func eventually(c *client, ch *amqp.Channel, queue string) error {
	in, err := ch.ConsumeWithContext(c.t.Context(), queue, "", true, false, false, false, nil)
	if err != nil {
		return err
	}
	return comes(in)
}

func comes(in <-chan amqp.Delivery) error {
	select {
	case m, ok := <-in:
		if !ok || string(m.Body) != fine {
			return fmt.Errorf("%q has come", m.Body)
		}
		return nil
	case <-time.After(tooLong):
		return errors.New("nothing has come")
	}
}

// TestQueuesHonest: who stays where they may notices nothing.
func TestQueuesHonest(t *testing.T) {
	w := rabbit(t)
	for _, q := range queueHonest {
		scores.count(t, "honest", attack{Technique: q.technique, Channel: q.channel}, func(t *testing.T) {
			for _, role := range []string{direct, "clerk"} {
				w.fresh(t)
				c := w.enter(t, role, "jobs")
				if ch := c.channel(); ch != nil {
					err := q.do(c, ch)
					if c.note("all", err); err != nil {
						t.Errorf("%s: %v\n%s", role, err, c.notes[len(c.notes)-1])
					}
				}
				c.leave()
			}
		})
	}
}
