package queues

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"gatehouse/e2e/mqtest"
)

// through is where the shared gateway is, for a role that may do everything.
func through(t *testing.T, protocol string) Place {
	t.Helper()
	at, err := shared.Through(t.Context(), shared.Gateway, protocol, Everything)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// openAMQP is a channel of a connection of its own, through the gateway.
func openAMQP(t *testing.T) (*amqp.Connection, *amqp.Channel) {
	t.Helper()
	conn, err := dialAMQP(through(t, AMQP))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // a test may have ended it
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return conn, ch
}

func declared(t *testing.T, ch *amqp.Channel, name string) string {
	t.Helper()
	q, err := ch.QueueDeclare(name, false, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return q.Name
}

// await asks until the answer is yes.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(time.Minute)
	defer end.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// stalling is a client's connection that takes nothing while it is told not to.
type stalling struct {
	net.Conn
	mu   sync.Mutex
	more *sync.Cond
	off  bool
}

func (s *stalling) stall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = true
}

func (s *stalling) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = false
	s.more.Broadcast()
}

// Read implements net.Conn.
func (s *stalling) Read(b []byte) (int, error) {
	s.mu.Lock()
	for s.off {
		s.more.Wait()
	}
	s.mu.Unlock()
	return s.Conn.Read(b)
}

// openStalling is openAMQP over a connection that can be stalled.
func openStalling(t *testing.T) (*amqp.Channel, *stalling) {
	t.Helper()
	at := through(t, AMQP)
	config, err := trust(at.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	line := &stalling{}
	line.more = sync.NewCond(&line.mu)
	conn, err := amqp.DialConfig(at.URL, amqp.Config{TLSClientConfig: config, Dial: func(network, address string) (net.Conn, error) {
		c, err := amqp.DefaultDial(20*time.Second)(network, address)
		line.Conn = c
		return line, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // a test may have ended it
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch, line
}

// TestSlowConsumer: a client that takes nothing holds up the broker, not the gateway's memory; what it left waits, and is taken
// in order once it reads.
func TestSlowConsumer(t *testing.T) {
	const size, most, slack = 64 << 10, 256 << 20, 48 << 20
	_, ch := openAMQP(t)
	q := declared(t, ch, "slow")
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, size)
	var last *amqp.DeferredConfirmation
	for i := range most / size {
		var err error
		if last, err = ch.PublishWithDeferredConfirmWithContext(t.Context(), "", q, false, false, amqp.Publishing{MessageId: strconv.Itoa(i), Body: body}); err != nil {
			t.Fatal(err)
		}
	}
	if ok, err := last.WaitContext(t.Context()); err != nil || !ok {
		t.Fatal(ok, err)
	}
	before, err := mqtest.Resident(shared.Gateway.PID())
	if err != nil {
		t.Fatal(err)
	}
	slow, line := openStalling(t)
	defer line.resume()
	in, err := slow.ConsumeWithContext(t.Context(), q, "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := <-in
	line.stall() // the client's library would read on, and hold it all itself
	largest, ready := 0, -1
	await(t, "the broker to be held up", func() bool {
		now, err := mqtest.Resident(shared.Gateway.PID())
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, now)
		d, err := ch.QueueDeclarePassive(q, false, false, false, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		held := d.Messages == ready && ready < most/size
		ready = d.Messages
		return held
	})
	t.Logf("%d MiB before, %d MiB at most, %d of %d messages still wait at the broker", before>>20, largest>>20, ready, most/size)
	if ready < most/size/2 {
		t.Errorf("only %d of %d messages still wait at the broker", ready, most/size)
	}
	if largest-before > slack {
		t.Errorf("the gateway grew by %d MiB", (largest-before)>>20)
	}
	line.resume()
	for i := 1; i < most/size; i++ {
		if d := <-in; d.MessageId != strconv.Itoa(i) || len(d.Body) != size {
			t.Fatalf("message %d is %q of %d bytes, after %q", i, d.MessageId, len(d.Body), first.MessageId)
		}
	}
}

// TestReconnectStorm: two hundred clients that lose their connections at once all come back, and work.
func TestReconnectStorm(t *testing.T) {
	const clients = 200
	_, ch := openAMQP(t)
	q := declared(t, ch, "storm")
	at := through(t, AMQP)
	var all sync.WaitGroup
	failed := make(chan error, clients)
	began := time.Now()
	for i := range clients {
		all.Go(func() {
			for range 2 {
				if err := once(t.Context(), at, q, strconv.Itoa(i)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	await(t, "every message", func() bool {
		d, err := ch.QueueDeclarePassive(q, false, false, false, false, nil)
		return err == nil && d.Messages == 2*clients
	})
	t.Logf("%d logins in %v", 2*clients, time.Since(began).Round(time.Millisecond))
}

// once is a connection that publishes a confirmed message and is cut.
func once(ctx context.Context, at Place, queue, id string) error {
	conn, err := dialAMQP(at)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseDeadline(time.Unix(1, 0)) }() // a cut: nothing is said
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := ch.Confirm(false); err != nil {
		return err
	}
	d, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", queue, false, false, amqp.Publishing{MessageId: id})
	if err != nil {
		return err
	}
	if ok, err := d.WaitContext(ctx); err != nil || !ok {
		return fmt.Errorf("confirmed %v: %w", ok, err)
	}
	return nil
}

// TestBlocked: a broker that is short of memory says so through the gateway, and what was published meanwhile is confirmed once it
// is not.
func TestBlocked(t *testing.T) {
	conn, ch := openAMQP(t)
	q := declared(t, ch, "blocked")
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	said := conn.NotifyBlocked(make(chan amqp.Blocking, 2))
	limit := func(fraction string) {
		t.Helper()
		if _, err := shared.Rabbit.Ctl(context.WithoutCancel(t.Context()), "set_vm_memory_high_watermark", fraction); err != nil {
			t.Fatal(err)
		}
	}
	limit("0.00001")
	defer limit("0.4")
	d, err := ch.PublishWithDeferredConfirmWithContext(t.Context(), "", q, false, false, amqp.Publishing{Body: []byte("waits")})
	if err != nil {
		t.Fatal(err)
	}
	take := func(active bool) {
		t.Helper()
		select {
		case b := <-said:
			if b.Active != active {
				t.Fatalf("%+v", b)
			}
		case <-time.After(time.Minute):
			t.Fatalf("nothing was said; want active %v", active)
		}
	}
	take(true)
	if d.Acked() {
		t.Error("it was confirmed while the broker takes nothing")
	}
	limit("0.4")
	take(false)
	if ok, err := d.WaitContext(t.Context()); err != nil || !ok {
		t.Error(ok, err)
	}
}
