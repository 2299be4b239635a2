package main

import (
	"context"
	"errors"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"gatehouse/e2e/mqtest"
)

// underway is how many messages may be published and not yet acknowledged by the consumer.
const underway = 512

func amqpQueues() scenario {
	return scenario{"amqp", "amqp091-go publishes messages of 1 KB of JSON over the default exchange, with publisher confirms, and over another connection consumes " +
		"and acknowledges each, at most 512 under way, in clear over loopback. The queue is in memory, on a RabbitMQ of its own.",
		func(ctx context.Context, w *world) ([]result, error) {
			return w.flows(ctx, "publish with confirms and consume, 1 KB", amqpName, w.confirmed)
		}, true}
}

// amqpDial returns a channel of a connection of its own.
func amqpDial(l link, vhost string) (*amqp.Connection, *amqp.Channel, error) {
	c, err := amqp.DialConfig(mqtest.AMQPURL("amqp", l.address, l.user, l.password, vhost), amqp.Config{})
	if err != nil {
		return nil, nil, err
	}
	ch, err := c.Channel()
	if err != nil {
		_ = c.Close() // the channel says why
	}
	return c, ch, err
}

// confirmed publishes for a slice, and returns how many messages were confirmed, delivered and acknowledged.
func (w *world) confirmed(ctx context.Context, l link) (n int, err error) {
	out, publisher, err := amqpDial(l, mqtest.VHost)
	if err != nil {
		return 0, err
	}
	defer func() { _ = out.Close() }()
	in, consumer, err := amqpDial(l, mqtest.VHost)
	if err != nil {
		return 0, err
	}
	defer func() { _ = in.Close() }()
	q, err := consumer.QueueDeclare("", false, true, true, false, nil)
	if err = errors.Join(err, consumer.Qos(underway, 0, false), publisher.Confirm(false)); err != nil {
		return 0, err
	}
	deliveries, err := consumer.Consume(q.Name, "", false, false, false, false, nil)
	if err != nil {
		return 0, err
	}
	credit, taken := make(chan struct{}, underway), make(chan error, 1)
	arrived := 0
	go func() {
		for d := range deliveries {
			if err := d.Ack(false); err != nil {
				taken <- err
				return
			}
			arrived++
			<-credit
		}
		taken <- nil
	}()
	confirms, wrong := make(chan *amqp.DeferredConfirmation, underway), make(chan error, 1)
	go func() {
		var err error
		for d := range confirms {
			if ok, waited := d.WaitContext(ctx); !ok || waited != nil {
				err = errors.Join(waited, errors.New("a message was not confirmed"))
			}
		}
		wrong <- err
	}()
	body := payload()
	for end := time.Now().Add(w.o.slice); time.Now().Before(end); n++ {
		select {
		case credit <- struct{}{}:
		case err := <-taken:
			return 0, errors.Join(err, errors.New("the consumer has stopped"))
		}
		d, err := publisher.PublishWithDeferredConfirmWithContext(ctx, "", q.Name, false, false, amqp.Publishing{ContentType: "application/json", Body: body})
		if err != nil {
			return 0, err
		}
		confirms <- d
	}
	close(confirms)
	if err := <-wrong; err != nil {
		return 0, err
	}
	for range underway { // all credit comes back when the last message is acknowledged
		select {
		case credit <- struct{}{}:
		case err := <-taken:
			return 0, errors.Join(err, errors.New("the consumer has stopped"))
		}
	}
	if err := in.Close(); err != nil {
		return 0, err
	}
	if err := <-taken; err != nil || arrived != n {
		return 0, errors.Join(err, errors.New("messages were lost, or doubled"))
	}
	return n, nil
}
