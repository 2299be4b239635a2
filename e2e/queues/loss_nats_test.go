package queues

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// dialNATS logs a stock client in. It does not come back by itself: the tests look at each connection's end.
func dialNATS(at Place, more ...nats.Option) (*nats.Conn, error) {
	config, err := trust(at.CAFile)
	if err != nil {
		return nil, err
	}
	return nats.Connect(at.URL, append(more, nats.Secure(config), nats.NoReconnect(), nats.Timeout(20*time.Second), nats.PingInterval(2*time.Second))...)
}

// lossNATS is what the test of JetStream makes on the server: a stream, with a consumer that is worked off and one that nobody
// acknowledges.
type lossNATS struct {
	stream, worked, held string
}

func (n *lossNATS) declare(js nats.JetStreamContext) error {
	if _, err := js.AddStream(&nats.StreamConfig{Name: n.stream, Subjects: []string{n.stream + ".>"}, Duplicates: time.Hour}); err != nil {
		return err
	}
	_, err := js.AddConsumer(n.stream, &nats.ConsumerConfig{Durable: n.worked, AckPolicy: nats.AckExplicitPolicy, AckWait: 3 * time.Second})
	if err != nil {
		return err
	}
	_, err = js.AddConsumer(n.stream, &nats.ConsumerConfig{Durable: n.held, AckPolicy: nats.AckExplicitPolicy, AckWait: time.Hour, MaxAckPending: 1 << 20})
	return err
}

func jetstream(ctx context.Context, at func() (Place, error)) (*nats.Conn, nats.JetStreamContext, error) {
	place, err := at()
	if err != nil {
		return nil, nil, err
	}
	conn, err := dialNATS(place)
	if err != nil {
		return nil, nil, err
	}
	context.AfterFunc(ctx, conn.Close)
	js, err := conn.JetStream(nats.MaxWait(10*time.Second), nats.PublishAsyncMaxPending(window))
	if err != nil {
		conn.Close()
	}
	return conn, js, err
}

// publish sends every message until the stream acknowledges it. What is sent again is known by its id.
func (n *lossNATS) publish(ctx context.Context, l *ledger, at func() (Place, error)) {
	next, left := 0, []int(nil)
	insist(ctx, l, "publisher", func() (bool, error) {
		conn, js, err := jetstream(ctx, at)
		if err != nil {
			return false, err
		}
		defer conn.Close()
		var sent []int
		defer func() { left = l.unconfirmed(append(left, sent...)) }()
		for {
			var acks []nats.PubAckFuture
			var ids []int
			for len(acks) < window && (len(left) > 0 || next < len(l.entries)) {
				id := next
				if len(left) > 0 {
					id, left = left[0], left[1:]
				} else {
					next++
				}
				sent = append(sent, id)
				l.sends(id)
				ack, err := js.PublishAsync(n.stream+".m", fmt.Appendf(nil, `{"id": %d}`, id), nats.MsgId(strconv.Itoa(id)))
				if err != nil {
					return false, err
				}
				acks, ids = append(acks, ack), append(ids, id)
			}
			if len(acks) == 0 {
				return true, nil
			}
			for i, a := range acks {
				select {
				case <-a.Ok():
					l.confirms(ids[i])
				case err := <-a.Err():
					return false, err
				case <-time.After(10 * time.Second):
					return false, errors.New("no acknowledgement")
				}
			}
			sent = nil
		}
	})
}

// consume works a consumer off: it acknowledges what comes, but not the first delivery of every hundredth message; or nothing at all.
func (n *lossNATS) consume(ctx context.Context, l *ledger, consumer string, ack bool, at func() (Place, error)) {
	insist(ctx, l, "consumer "+consumer, func() (bool, error) {
		conn, js, err := jetstream(ctx, at)
		if err != nil {
			return false, err
		}
		defer conn.Close()
		s, err := js.PullSubscribe("", consumer, nats.Bind(n.stream, consumer))
		if err != nil {
			return false, err
		}
		for {
			got, err := s.Fetch(prefetch, nats.MaxWait(2*time.Second))
			if err != nil && !errors.Is(err, nats.ErrTimeout) {
				return false, err
			}
			if err := n.work(l, got, ack); err != nil {
				l.fail(err)
				return true, nil
			}
			if err := conn.FlushTimeout(10 * time.Second); err != nil {
				return false, err
			}
		}
	})
}

// work looks at messages, and acknowledges them. Its error is a broken promise. An acknowledgement that a cut takes along is sent again
// with the redelivery; where the server had read it, there is none.
func (n *lossNATS) work(l *ledger, got []*nats.Msg, ack bool) error {
	for _, m := range got {
		var id int
		if _, err := fmt.Sscanf(string(m.Data), `{"id": %d}`, &id); err != nil {
			return fmt.Errorf("a message that nobody sent: %q", m.Data)
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if said := m.Header.Get(nats.MsgIdHdr); said != strconv.Itoa(id) {
			return fmt.Errorf("message %d came as %q", id, said)
		}
		first, err := l.delivers(id, meta.NumDelivered > 1)
		if err != nil {
			return err
		}
		if !ack || first && id%100 == 0 {
			continue
		}
		if m.Ack() == nil { // else the connection has ended, which flushing says
			l.acks(id)
		}
	}
	return nil
}

// orderly is a broker that is never killed: nats-server writes what consumers were given some time later.
type orderly struct{ broker }

func (o orderly) Kill() { o.Down() }

// TestNothingIsLostOverJetStream: the same promise as TestNothingIsLostOverAMQP's, for streams of NATS, which know a message that is
// sent again: each is there exactly once.
func TestNothingIsLostOverJetStream(t *testing.T) {
	messages, parts := calm()
	s := newStorm(t, NATS)
	n := &lossNATS{stream: "loss", worked: "worked", held: "held"}
	conn, js, err := jetstream(t.Context(), s.place)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.declare(js); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	worked, held := newLedger(messages), newLedger(messages)
	clients.Go(func() { n.publish(ctx, worked, s.place) })
	clients.Go(func() { n.consume(ctx, worked, n.worked, true, s.place) })
	clients.Go(func() { n.consume(ctx, held, n.held, false, s.place) })
	s.interrupt(t, orderly{s.NATS}, worked, parts)
	worked.await(t, messages, messages)
	if conn, err = dialNATS(s.Direct(NATS)); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if js, err = conn.JetStream(); err != nil {
		t.Fatal(err)
	}
	await(t, "the last acknowledgements", func() bool {
		c, err := js.ConsumerInfo(n.stream, n.worked)
		return err == nil && c.NumAckPending+int(c.NumPending) == 0
	})
	cancel()
	clients.Wait()
	once, again := newLedger(messages), 0
	for id, e := range worked.entries {
		once.entries[id] = entry{sent: 1, confirmed: e.confirmed}
		again += e.sent - 1
	}
	t.Logf("%d messages, sent again %d times", messages, again)
	worked.check(t, "worked off", once)
	held.check(t, "held", workedOnly(once, held))
	stream, err := js.StreamInfo(n.stream)
	if err != nil || stream.State.Msgs != uint64(messages) {
		t.Errorf("the stream has %d messages, want %d (%v)", stream.State.Msgs, messages, err)
	}
	for name, want := range map[string]int{n.worked: 0, n.held: messages} {
		c, err := js.ConsumerInfo(n.stream, name)
		if err != nil {
			t.Fatal(err)
		}
		if left := c.NumAckPending + int(c.NumPending); left != want {
			t.Errorf("consumer %s has %d messages that nobody acknowledged, want %d", name, left, want)
		}
	}
	s.recorded(t, "nats:Publish", messages)
}
