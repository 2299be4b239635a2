package bypass

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"gatehouse/e2e/mqtest"
)

// queueWorld is what cases about queues share: one RabbitMQ behind the gateway of the other cases.
type queueWorld struct {
	broker *mqtest.Rabbit
	admin  *amqp.Connection // an administrator's, around the gateway
	owner  *client          // who may do everything, through the gateway: what this one declares, the gateway knows
	victim string           // a queue that the broker named for somebody else
	count  int
}

// Names of the world. Whatever a case makes is called loot.
const (
	canary = "canary-4f1d" // begins every text that no client of these cases may read
	forged = "forged-by-a-client"
	iban   = "DE" + "00canary4f1d"
)

// rabbit starts the broker where the first case needs it.
func rabbit(t *testing.T) *queueWorld {
	t.Helper()
	if shared.queues != nil {
		return shared.queues
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	broker, err := mqtest.NewRabbit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w := &queueWorld{broker: broker}
	shared.queues = w
	if _, err := broker.Ctl(ctx, "trace_on", "-p", mqtest.VHost); err != nil {
		t.Fatal(err)
	}
	if w.admin, err = amqp.Dial(broker.URL(mqtest.AdminUser, mqtest.AdminPassword, mqtest.VHost)); err != nil {
		t.Fatal(err)
	}
	if r := shared.gw.CLI(ctx, mqtest.AppPassword, "secrets", "set", "broker"); r.Code != 0 {
		t.Fatalf("secrets set: %s%s", r.Out, r.Err)
	}
	docs := strings.NewReplacer("${ADDRESS}", broker.TLSAddress(), "${CA_FILE}", broker.CAFile).Replace(file("queues.yaml"))
	if r := shared.gw.CLI(ctx, docs, "apply", "-f", "-"); r.Code != 0 {
		t.Fatalf("apply: %s%s", r.Out, r.Err)
	}
	w.owner = w.enter(t, "all-queues", "jobs")
	if err := w.owner.raw.SetDeadline(time.Time{}); err != nil { // it stays
		t.Fatal(err)
	}
	return w
}

func (w *queueWorld) close() error {
	if w == nil {
		return nil
	}
	if w.admin != nil {
		_ = w.admin.Close() // the broker goes anyway
	}
	return w.broker.Stop()
}

// channel is one of the administrator's.
func (w *queueWorld) channel(t *testing.T) *amqp.Channel {
	t.Helper()
	ch, err := w.admin.Channel()
	if err == nil {
		err = ch.Confirm(false)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// The queues and exchanges that a case may touch.
var (
	queueNames    = []string{"refunds", "payroll", "mail", "us-orders", "loot", "loot-2", "loot-3", "loot/x", "payroll-2"}
	exchangeNames = []string{"orders", "salaries", "all", "by-header", "loot", "loot-2", "loot-3"}
)

// fresh makes the world as every case finds it.
func (w *queueWorld) fresh(t *testing.T) {
	t.Helper()
	ch := w.channel(t)
	defer func() { _ = ch.Close() }() // what it did is done
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range append([]string{w.victim}, queueNames...) {
		if q != "" {
			_, err := ch.QueueDelete(q, false, false, false)
			must(err)
		}
	}
	for _, x := range exchangeNames {
		must(ch.ExchangeDelete(x, false, false))
	}
	for x, kind := range map[string]string{"orders": "topic", "salaries": "topic", "all": "fanout", "by-header": "headers"} {
		must(ch.ExchangeDeclare(x, kind, true, false, false, false, nil))
	}
	for _, q := range queueNames[:4] {
		_, err := ch.QueueDeclare(q, true, false, false, false, nil)
		must(err)
	}
	victim, err := ch.QueueDeclare("", false, false, false, false, nil)
	must(err)
	w.victim = victim.Name
	if w.owner != nil {
		for x, kind := range map[string]string{"orders": "topic", "salaries": "topic", "all": "fanout", "by-header": "headers"} {
			must(w.owner.channel().ExchangeDeclare(x, kind, true, false, false, false, nil))
		}
	}
	must(ch.QueueBind("refunds", "eu.#", "orders", false, nil))
	must(ch.QueueBind("us-orders", "us.#", "orders", false, nil))
	must(ch.QueueBind("payroll", "#", "salaries", false, nil))
	for _, q := range []string{"payroll", "mail", "us-orders", w.victim} {
		w.send(t, ch, "", q, canary+" from the beginning")
	}
}

// send publishes as the administrator, and waits for the confirm: then it is in the queues.
func (w *queueWorld) send(t *testing.T, ch *amqp.Channel, exchange, key, body string) {
	t.Helper()
	m := amqp.Publishing{ContentType: "text/plain", Headers: amqp.Table{"region": "us"}, Body: []byte(body)}
	if strings.HasPrefix(body, "{") {
		m.ContentType = "application/json"
	}
	d, err := ch.PublishWithDeferredConfirm(exchange, key, false, false, m)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := d.WaitContext(t.Context()); err != nil || !ok {
		t.Fatalf("the administrator's message to %q %q is not confirmed: %v", exchange, key, err)
	}
}

// client is an AMQP client of a case. It goes on after refusals, and keeps every byte that it receives.
type client struct {
	t     *testing.T
	w     *queueWorld
	conn  *amqp.Connection
	ch    *amqp.Channel
	gone  chan *amqp.Error
	raw   *recorded
	notes []string // what it was told
	saw   []string // what it learned and should not have
}

// recorded is what a client received.
type recorded struct {
	net.Conn
	mu  sync.Mutex
	got bytes.Buffer
}

func (r *recorded) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got.Write(b[:n])
	return n, err
}

func (r *recorded) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.String()
}

// enter logs in: as a role through the gateway, or around it where role is direct.
func (w *queueWorld) enter(t *testing.T, role, connection string) *client {
	t.Helper()
	c := &client{t: t, w: w}
	address, user, password, vhost := w.broker.Address(), mqtest.AppUser, mqtest.AppPassword, mqtest.VHost
	if role != direct {
		address, user, password, vhost = shared.gw.Listener["amqp"], "anybody", shared.token(t, role), connection
	}
	conn, err := amqp.DialConfig(mqtest.AMQPURL("amqp", address, user, password, vhost), amqp.Config{Vhost: vhost, Dial: func(network, address string) (net.Conn, error) {
		raw, err := (&net.Dialer{Timeout: tooLong}).Dial(network, address)
		if err != nil {
			return nil, err
		}
		if err := raw.SetDeadline(time.Now().Add(2 * tooLong)); err != nil {
			return nil, err
		}
		if role != direct {
			raw = tls.Client(raw, &tls.Config{RootCAs: roots(t, shared.gw.CAFile()), ServerName: "localhost", MinVersion: tls.VersionTLS12})
		}
		c.raw = &recorded{Conn: raw}
		return c.raw, nil
	}})
	if err != nil {
		t.Fatalf("%s on %s: %v", role, connection, err)
	}
	c.conn = conn
	return c
}

// channel is the client's channel: another one, where the last was closed.
func (c *client) channel() *amqp.Channel {
	c.t.Helper()
	if c.ch != nil && !c.ch.IsClosed() {
		return c.ch
	}
	ch, err := c.conn.Channel()
	if err != nil {
		c.note("open a channel", err)
		return nil
	}
	c.ch, c.gone = ch, ch.NotifyClose(make(chan *amqp.Error, 1))
	return ch
}

// note keeps what a step was told. The channel's own reason says more than what the driver makes of it.
func (c *client) note(what string, err error) {
	if err == nil {
		c.notes = append(c.notes, what+": ok")
		return
	}
	select {
	case why := <-c.gone:
		if why != nil {
			err = why
		}
	default:
	}
	c.notes = append(c.notes, fmt.Sprintf("%s: %v", what, err))
}

// try does one thing on a channel that is open.
func (c *client) try(what string, do func(ch *amqp.Channel) error) {
	c.t.Helper()
	if ch := c.channel(); ch != nil {
		c.note(what, do(ch))
	}
}

// alive reports whether the connection is still good for what the role may do.
func (c *client) alive() bool {
	if c.ch != nil && !c.ch.IsClosed() {
		_ = c.ch.Close() // a transaction, or a channel that waits for confirms, is none to start from
	}
	c.ch = nil
	ch := c.channel()
	if ch == nil {
		return false
	}
	_, err := ch.QueueDeclarePassive("refunds", false, false, false, false, nil)
	c.note("still there", err)
	return err == nil
}

// leave ends the session, and with it what it holds.
func (c *client) leave() { _ = c.conn.Close() } // a connection that is gone already is one that has left
