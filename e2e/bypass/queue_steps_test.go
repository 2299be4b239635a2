package bypass

import (
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// act is one thing that a client of queues does, and waits for.
type act func(c *client)

func makeQueue(queue string, args amqp.Table) act {
	return func(c *client) {
		c.try("declare "+queue, func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclare(queue, true, false, false, false, args)
			return err
		})
	}
}

func makeExchange(name, kind string, args amqp.Table) act {
	return func(c *client) {
		c.try("declare exchange "+name, func(ch *amqp.Channel) error { return ch.ExchangeDeclare(name, kind, true, false, false, false, args) })
	}
}

func bindQueue(queue, exchange, key string, args amqp.Table) act {
	return func(c *client) {
		c.try("bind "+queue+" to "+exchange+" "+key, func(ch *amqp.Channel) error { return ch.QueueBind(queue, key, exchange, false, args) })
	}
}

func unbindQueue(queue, exchange, key string) act {
	return func(c *client) {
		c.try("unbind "+queue, func(ch *amqp.Channel) error { return ch.QueueUnbind(queue, key, exchange, nil) })
	}
}

func bindExchange(destination, source, key string) act {
	return func(c *client) {
		c.try("bind exchange "+destination+" to "+source, func(ch *amqp.Channel) error { return ch.ExchangeBind(destination, key, source, false, nil) })
	}
}

// publish sends what is forged, and waits until the broker has it or the channel is gone.
func publish(exchange, key string, headers amqp.Table) act {
	return emit(exchange, key, amqp.Publishing{Headers: headers, Body: []byte(forged)})
}

func emit(exchange, key string, m amqp.Publishing) act {
	return func(c *client) {
		ch := c.channel()
		if ch == nil {
			return
		}
		err := ch.Confirm(false)
		if err == nil {
			var d *amqp.DeferredConfirmation
			if d, err = ch.PublishWithDeferredConfirm(exchange, key, false, false, m); err == nil {
				select {
				case <-d.Done():
					if !d.Acked() {
						err = fmt.Errorf("not confirmed")
					}
				case why := <-c.gone:
					err = ended(why)
				case <-time.After(tooLong):
					err = fmt.Errorf("no answer")
				}
			}
		}
		c.note("publish "+exchange+" "+key, err)
	}
}

// ended is why a channel has ended.
func ended(why *amqp.Error) error {
	if why == nil {
		return amqp.ErrClosed
	}
	return why
}

// fetch reads what is in a queue, message by message.
func fetch(queue string) act {
	return func(c *client) {
		c.try("get "+queue, func(ch *amqp.Channel) error {
			for {
				_, more, err := ch.Get(queue, true)
				if err != nil || !more {
					return err
				}
			}
		})
	}
}

// subscribe reads by a consumer until as many messages as there were have come, or the channel ends.
func subscribe(queue string, args amqp.Table) act {
	return func(c *client) {
		c.try("consume "+queue, func(ch *amqp.Channel) error {
			in, err := ch.Consume(queue, "", true, false, false, false, args)
			if err != nil {
				return err
			}
			select {
			case <-in:
			case <-time.After(tooLong):
				err = fmt.Errorf("nothing has come")
			case why := <-c.gone:
				err = ended(why)
			}
			return err
		})
	}
}

// giveUp takes the messages of a queue and rejects them: they are dead-lettered.
func giveUp(queue string) act {
	return func(c *client) {
		c.try("reject what is in "+queue, func(ch *amqp.Channel) error {
			for {
				m, more, err := ch.Get(queue, false)
				if err != nil || !more {
					return err
				}
				if err := m.Reject(false); err != nil {
					return err
				}
			}
		})
	}
}

// canaries has the administrator publish what nobody here may read, and waits until it is in its queues.
func canaries(c *client) {
	ch := c.w.channel(c.t)
	defer func() { _ = ch.Close() }() // what it did is done
	c.w.count++
	body := fmt.Sprintf("%s number %d", canary, c.w.count)
	c.w.send(c.t, ch, "salaries", "jane", body)
	c.w.send(c.t, ch, "salaries", "eu.jane", body)
	c.w.send(c.t, ch, "orders", "us.secret", body)
	c.w.send(c.t, ch, "orders", "asia", body)
	c.w.send(c.t, ch, "all", "us", body)
	c.w.send(c.t, ch, "by-header", "us", body)
}

func purge(queue string) act {
	return func(c *client) {
		c.try("purge "+queue, func(ch *amqp.Channel) error {
			_, err := ch.QueuePurge(queue, false)
			return err
		})
	}
}

func remove(queue string, ifUnused, ifEmpty bool) act {
	return func(c *client) {
		c.try("delete "+queue, func(ch *amqp.Channel) error {
			_, err := ch.QueueDelete(queue, ifUnused, ifEmpty, false)
			return err
		})
	}
}

func removeExchange(name string, ifUnused bool) act {
	return func(c *client) {
		c.try("delete exchange "+name, func(ch *amqp.Channel) error { return ch.ExchangeDelete(name, ifUnused, false) })
	}
}

// look declares passively, and keeps what it learned.
func look(queue string) act {
	return func(c *client) {
		c.try("look at "+queue, func(ch *amqp.Channel) error {
			q, err := ch.QueueDeclarePassive(queue, false, false, false, false, nil)
			if err == nil {
				c.saw = append(c.saw, fmt.Sprintf("%s has %d messages", queue, q.Messages))
			}
			return err
		})
	}
}

// also does what no step has a word for.
func also(what string, do func(c *client, ch *amqp.Channel) error) act {
	return func(c *client) { c.try(what, func(ch *amqp.Channel) error { return do(c, ch) }) }
}
