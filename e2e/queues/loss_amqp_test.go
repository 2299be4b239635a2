package queues

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// window is how many messages are on their way to be confirmed, and prefetch how many to be acknowledged, at once.
const (
	window   = 200
	prefetch = 100
)

func trust(caFile string) (*tls.Config, error) {
	raw, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(raw) {
		return nil, errors.New("no certificate in " + caFile)
	}
	return &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}, nil
}

// dialAMQP logs a stock client in.
func dialAMQP(at Place) (*amqp.Connection, error) {
	config, err := trust(at.CAFile)
	if err != nil {
		return nil, err
	}
	return amqp.DialConfig(at.URL, amqp.Config{TLSClientConfig: config, Heartbeat: 10 * time.Second, Dial: amqp.DefaultDial(20 * time.Second)})
}

// insist calls one round of a client after the other, each with a connection of its own, until one says that it is done. What ends
// the others is what the test does to the gateway and the broker.
func insist(ctx context.Context, l *ledger, name string, round func() (done bool, err error)) {
	var last error
	for deadline := time.Now().Add(outage); ; {
		began := time.Now()
		done, err := round()
		if done {
			return
		}
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > time.Second { // it worked for a while
			deadline = time.Now().Add(outage)
		}
		if last = err; time.Now().After(deadline) {
			l.fail(fmt.Errorf("%s: nothing has worked for %v: %w", name, outage, last))
			return
		}
		select { // clients wait between attempts, too
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// outage is how long a client may find nobody.
const outage = 90 * time.Second

// lossAMQP is what the test of AMQP makes on the broker: an exchange, whose messages go to a queue that is worked off, and to one
// whose consumer never acknowledges.
type lossAMQP struct {
	exchange, worked, held string
	leaves                 atomic.Bool // the consumer leaves some messages unacknowledged at first
}

func (n *lossAMQP) declare(ch *amqp.Channel) error {
	if err := ch.ExchangeDeclare(n.exchange, "fanout", true, false, false, false, nil); err != nil {
		return err
	}
	for _, q := range []string{n.worked, n.held} {
		if _, err := ch.QueueDeclare(q, true, false, false, false, nil); err != nil {
			return err
		}
		if err := ch.QueueBind(q, "", n.exchange, false, nil); err != nil {
			return err
		}
	}
	return nil
}

// publish sends every message until it is confirmed.
func (n *lossAMQP) publish(ctx context.Context, l *ledger, at func() (Place, error)) {
	next, left := 0, []int(nil) // left were sent, and nobody knows
	insist(ctx, l, "publisher", func() (bool, error) {
		ch, end, err := channel(ctx, at)
		if err != nil {
			return false, err
		}
		defer end()
		if err := ch.Confirm(false); err != nil {
			return false, err
		}
		confirms := ch.NotifyPublish(make(chan amqp.Confirmation, window))
		var sent []int // by tag, which count from 1
		open := 0
		// Whatever the round ends by: what is not confirmed by then is sent again by the next.
		defer func() { left = l.unconfirmed(append(left, sent...)) }()
		for {
			for open < window && (len(left) > 0 || next < len(l.entries)) {
				id := next
				if len(left) > 0 {
					id, left = left[0], left[1:]
				} else {
					next++
				}
				sent = append(sent, id)
				l.sends(id)
				if err := ch.PublishWithContext(ctx, n.exchange, "", false, false,
					amqp.Publishing{DeliveryMode: amqp.Persistent, MessageId: strconv.Itoa(id), Body: fmt.Appendf(nil, `{"id": %d}`, id)}); err != nil {
					return false, err
				}
				open++
			}
			if open == 0 {
				return true, nil
			}
			c, ok := <-confirms
			if !ok {
				return false, errors.New("the channel ended")
			}
			if !c.Ack || c.DeliveryTag == 0 || c.DeliveryTag > uint64(len(sent)) {
				return false, fmt.Errorf("a confirm that is none: %+v", c)
			}
			l.confirms(sent[c.DeliveryTag-1])
			open--
		}
	})
}

// consume works a queue off: it acknowledges what comes, but of every hundredth message the first delivery, which it leaves to
// its connection's end; or nothing at all.
func (n *lossAMQP) consume(ctx context.Context, l *ledger, queue string, ack bool, at func() (Place, error)) {
	insist(ctx, l, "consumer of "+queue, func() (bool, error) {
		ch, end, err := channel(ctx, at)
		if err != nil {
			return false, err
		}
		defer end()
		if err := ch.Qos(prefetch, 0, false); err != nil {
			return false, err
		}
		in, err := ch.ConsumeWithContext(ctx, queue, "", false, false, false, false, nil)
		if err != nil {
			return false, err
		}
		left := 0
		for d := range in {
			id, err := strconv.Atoi(d.MessageId)
			if err != nil {
				l.fail(fmt.Errorf("a message that nobody sent: %q", d.MessageId))
				return true, nil
			}
			first, err := l.delivers(id, d.Redelivered)
			if err != nil {
				l.fail(err)
				return true, nil
			}
			if string(d.Body) != fmt.Sprintf(`{"id": %d}`, id) {
				l.fail(fmt.Errorf("message %d came as %q", id, d.Body))
				return true, nil
			}
			if !ack {
				continue
			}
			if first && id%100 == 0 && left < prefetch/2 && n.leaves.Load() {
				left++
				continue
			}
			if err := d.Ack(false); err != nil {
				return false, err
			}
			l.acks(id)
		}
		return false, errors.New("the channel ended")
	})
}

// channel is one of a connection of its own, which ends with it, or with ctx.
func channel(ctx context.Context, at func() (Place, error)) (*amqp.Channel, func(), error) {
	place, err := at()
	if err != nil {
		return nil, nil, err
	}
	conn, err := dialAMQP(place)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.CloseDeadline(time.Now().Add(time.Second)) }) // its error is what the round returns
	end := func() {
		stop()
		_ = conn.CloseDeadline(time.Now().Add(time.Second)) // mostly it has ended
	}
	ch, err := conn.Channel()
	if err != nil {
		end()
		return nil, nil, err
	}
	return ch, end, nil
}

// drain takes everything out of a queue at the broker itself, and returns how often each message was in it.
func drain(t *testing.T, w *World, queue string) map[int]int {
	t.Helper()
	conn, err := dialAMQP(w.Direct(AMQP))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // nothing is left to do
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	found := map[int]int{}
	for {
		d, ok, err := ch.Get(queue, true)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return found
		}
		id, err := strconv.Atoi(d.MessageId)
		if err != nil {
			t.Fatal(err)
		}
		found[id]++
	}
}
