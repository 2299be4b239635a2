package main

import (
	"context"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"gatehouse/e2e/mqtest"
)

// The function's clients of AMQP, as they stand before what they do, and the queue that they are about.
const (
	login    = `--cacert=$DEMO/ca.pem --url="amqps://fn:$(cat $DEMO/fn.token)@$JOBS" `
	publish  = "amqp-publish " + login + "-C application/json "
	getsOne  = "amqp-get " + login
	ownQueue = "refunds"
)

// declare is what the broker's owner has made: an exchange, and a queue that gets every refund.
func (w *world) declare() error {
	conn, err := amqp.Dial(w.rabbit.URL(mqtest.AppUser, mqtest.AppPassword, mqtest.VHost))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := ch.ExchangeDeclare("shop", "topic", true, false, false, false, nil); err != nil {
		return err
	}
	if _, err := ch.QueueDeclare(ownQueue, true, false, false, false, nil); err != nil {
		return err
	}
	return ch.QueueBind(ownQueue, "refund.#", "shop", false, nil)
}

func showQueue(ctx context.Context, w *world) error {
	if err := w.declare(); err != nil {
		return err
	}
	if err := w.write("jobs.password", mqtest.AppPassword); err != nil {
		return err
	}
	_, err := w.must(ctx, "gatehouse secrets set jobs < $DEMO/jobs.password && rm $DEMO/jobs.password && gatehouse connections test jobs")
	return err
}

// waiting asks the broker itself how many messages wait.
func (w *world) waiting(ctx context.Context) (int, error) {
	all, err := w.rabbit.Queues(ctx, mqtest.VHost)
	return all[ownQueue].Ready, err
}

func useQueue(ctx context.Context, w *world) error {
	const refund = `-b '{"order": 7, "amount": 50, "card": "4242 4242 4242 4242"}'`
	if _, err := w.must(ctx, publish+"-e shop -r refund.eu "+refund); err != nil {
		return err
	}
	n, err := w.waiting(ctx)
	if err != nil {
		return err
	}
	if err := w.check(n == 1, "the message is in the queue", fmt.Sprint(n, " messages")); err != nil {
		return err
	}
	for _, c := range []struct{ line, what string }{
		{publish + "-e shop -r refund.us " + refund, "another routing key is not the function's to use"},
		{publish + "-r refunds " + refund, "nor is the way around the exchange"},
		{publish + `-e shop -r refund.eu -b '{"order": 8, "amount": 5000}'`, "nor an amount that the policy does not allow: it reads the message"},
	} {
		r := w.run(ctx, c.line)
		if n, err = w.waiting(ctx); err != nil {
			return err
		}
		if err := w.check(n == 1 && strings.Contains(r.text, "403"), c.what, fmt.Sprint(n, " messages; ", r.text)); err != nil {
			return err
		}
	}
	out, err := w.must(ctx, getsOne+"-q "+ownQueue)
	if err != nil {
		return err
	}
	return w.check(strings.Contains(out, `"order"`) && !strings.Contains(out, "4242 4242"), "what comes out of the queue is masked", out)
}
