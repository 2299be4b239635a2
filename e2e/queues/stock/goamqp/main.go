// Command goamqp does with amqp091-go what the columns of AMQP's matrix in e2e/queues say, and prints a line of JSON for each.
// It knows nothing of what serves it: its environment says where that is.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"gatehouse/e2e/queues/stock/feature"
)

// run is one feature's connection and channel.
type run struct {
	*feature.Saw
	p    *feature.Program
	conn *amqp.Connection
	ch   *amqp.Channel
}

var background = context.Background()

func main() {
	p := feature.New()
	for _, f := range []struct {
		name string
		do   func(*run)
	}{
		{"connect", connect}, {"confirms", confirms}, {"returns", returns}, {"prefetch", prefetch}, {"acks", acks}, {"get", get},
		{"queues", queues}, {"exchanges", exchanges}, {"reply-to", replyTo}, {"transactions", transactions}, {"properties", properties},
		{"large", large}, {"channels", channels}, {"redelivery", redelivery}, {"cancel", cancel}, {"dead letters", deadLetters},
		{"errors", failures}, {"many", many},
	} {
		p.Do(f.name, func(s *feature.Saw) {
			r := &run{Saw: s, p: p}
			r.conn = r.dial()
			defer func() { _ = r.conn.Close() }() // a feature may have ended it
			r.ch = feature.Must(r.conn.Channel())
			f.do(r)
		})
	}
}

func (r *run) dial() *amqp.Connection {
	return feature.Must(amqp.DialConfig(r.p.URL, amqp.Config{TLSClientConfig: r.p.TLS(), Heartbeat: 10 * time.Second}))
}

func (r *run) name(s string) string { return r.p.Name + "." + s }

// queue is an empty one of a name of this run.
func (r *run) queue(s string, args amqp.Table) string {
	q := feature.Must(r.ch.QueueDeclare(r.name(s), false, false, false, false, args))
	feature.Must(r.ch.QueuePurge(q.Name, false))
	return q.Name
}

func (r *run) put(exchange, key string, bodies ...string) {
	for _, b := range bodies {
		feature.Check(r.ch.PublishWithContext(background, exchange, key, false, false, amqp.Publishing{Body: []byte(b)}))
	}
}

func (r *run) consume(queue string) <-chan amqp.Delivery {
	return feature.Must(r.ch.Consume(queue, "", false, false, false, false, nil))
}

// count is how many messages wait in a queue.
func (r *run) count(queue string) int {
	return feature.Must(r.ch.QueueDeclarePassive(queue, false, false, false, false, nil)).Messages
}

// holds waits until a queue counts as many: the broker's counts overtake what it was sent before.
func (r *run) holds(what, queue string, want int) {
	end := time.Now().Add(feature.Patience)
	for r.count(queue) != want && time.Now().Before(end) {
	}
	r.Same(what, r.count(queue), want)
}

// none says that nothing comes: it was asked of the server after whatever could have brought it, on the same channel.
func (r *run) none(what string, in <-chan amqp.Delivery, queue string) {
	r.count(queue)
	select {
	case d := <-in:
		panic(fmt.Errorf("%s: %q came", what, d.Body))
	default:
	}
}

func (r *run) refused(what string, err error) {
	var e *amqp.Error
	if !errors.As(err, &e) {
		panic(fmt.Errorf("%s: %w is no refusal", what, err))
	}
	r.Note("%s: %d %s server=%v recover=%v", what, e.Code, e.Reason, e.Server, e.Recover)
}

func connect(r *run) {
	can, _ := r.conn.Properties["capabilities"].(amqp.Table)
	var names []string
	for k, v := range can {
		names = append(names, fmt.Sprint(k, "=", v))
	}
	slices.Sort(names)
	r.Note("%s %v %d.%d", r.conn.Properties["product"], names, r.conn.Major, r.conn.Minor)
	r.Note("channels %d, frames %d, heartbeat %v", r.conn.Config.ChannelMax, r.conn.Config.FrameSize, r.conn.Config.Heartbeat)
	feature.Check(r.ch.Close())
	feature.Check(r.conn.Close())
}

func confirms(r *run) {
	q := r.queue("confirms", nil)
	feature.Check(r.ch.Confirm(false))
	tags := r.ch.NotifyPublish(make(chan amqp.Confirmation, 200))
	for i := range 150 {
		r.put("", q, fmt.Sprint(i))
	}
	for i := range 150 {
		c := feature.Take("a confirm", tags)
		if c.DeliveryTag != uint64(i+1) || !c.Ack {
			panic(fmt.Errorf("confirm %d is %+v", i, c))
		}
	}
	r.holds("waiting", q, 150)
}

func returns(r *run) {
	feature.Check(r.ch.Confirm(false))
	back := r.ch.NotifyReturn(make(chan amqp.Return, 1))
	sure := r.ch.NotifyPublish(make(chan amqp.Confirmation, 1))
	feature.Check(r.ch.PublishWithContext(background, "", r.name("nobody"), true, false, amqp.Publishing{MessageId: "7", Headers: amqp.Table{"a": "b"}, Body: []byte("back")}))
	b := feature.Take("the return", back)
	r.Note("%d %s %q %q %s %s %v", b.ReplyCode, b.ReplyText, b.Exchange, b.RoutingKey, b.Body, b.MessageId, b.Headers)
	c := feature.Take("the confirm", sure)
	r.Note("%+v", c)
}

func prefetch(r *run) {
	q := r.queue("prefetch", nil)
	feature.Check(r.ch.Qos(5, 0, false))
	for i := range 20 {
		r.put("", q, fmt.Sprint(i))
	}
	in := r.consume(q)
	var last amqp.Delivery
	for round := range 4 {
		for i := range 5 {
			last = feature.Take("a delivery", in)
			if string(last.Body) != fmt.Sprint(round*5+i) || last.DeliveryTag != uint64(round*5+i+1) {
				panic(fmt.Errorf("round %d: delivery %d is %d %q", round, i, last.DeliveryTag, last.Body))
			}
		}
		r.none("a sixth", in, q)
		feature.Check(last.Ack(true))
	}
	r.holds("waiting", q, 0)
}

func acks(r *run) {
	q := r.queue("acks", nil)
	r.put("", q, "a", "b", "c", "d")
	in := r.consume(q)
	var got []amqp.Delivery
	for range 4 {
		got = append(got, feature.Take("a delivery", in))
	}
	feature.Check(got[0].Ack(false))
	feature.Check(got[1].Nack(false, true))
	feature.Check(got[2].Reject(true))
	feature.Check(got[3].Nack(false, false))
	for range 2 {
		d := feature.Take("a redelivery", in)
		r.Note("%s %v %d", d.Body, d.Redelivered, d.DeliveryTag)
	}
	feature.Check(r.ch.Recover(true))
	for range 2 {
		d := feature.Take("a recovered one", in)
		r.Note("%s %v %d", d.Body, d.Redelivered, d.DeliveryTag)
		feature.Check(d.Reject(false))
	}
	feature.Check(r.ch.Close())
	r.ch = feature.Must(r.conn.Channel())
	r.holds("waiting", q, 0)
}

func get(r *run) {
	q := r.queue("get", nil)
	r.put("", q, "a", "b")
	for range 3 {
		d, ok, err := r.ch.Get(q, false)
		feature.Check(err)
		r.Note("%v %q left %d tag %d %q %v", ok, d.Body, d.MessageCount, d.DeliveryTag, d.RoutingKey, d.Redelivered)
		if ok {
			feature.Check(d.Ack(false))
		}
	}
	r.put("", q, "c")
	d, ok, err := r.ch.Get(q, true)
	feature.Check(err)
	r.Note("%v %q", ok, d.Body)
}

func queues(r *run) {
	own := feature.Must(r.ch.QueueDeclare("", false, true, true, false, nil))
	r.Same("named by the server", strings.HasPrefix(own.Name, "amq.gen-"), true)
	r.put("", own.Name, "a", "b")
	r.holds("waiting", own.Name, 2)
	other := r.dial()
	defer func() { _ = other.Close() }() // it was only another
	_, err := feature.Must(other.Channel()).QueueDeclarePassive(own.Name, false, false, false, false, nil)
	r.refused("exclusive", err)
	r.Same("purged", feature.Must(r.ch.QueuePurge(own.Name, false)), 2)
	q := r.queue("queues", amqp.Table{"x-max-length": int32(2), "x-overflow": "drop-head", "x-message-ttl": int32(60000)})
	r.put("", q, "a", "b", "c")
	r.holds("at most", q, 2)
	in := r.consume(q)
	feature.Take("a delivery", in)
	again := feature.Must(r.ch.QueueDeclarePassive(q, false, false, false, false, nil))
	r.Note("%d consumers", again.Consumers)
	r.Same("deleted", feature.Must(r.ch.QueueDelete(q, false, false, false)), 0)
	_, err = r.ch.QueueDeclarePassive(r.name("never"), false, false, false, false, nil)
	r.refused("none of the name", err)
}

func exchanges(r *run) {
	x, y, h := r.name("x"), r.name("y"), r.name("h")
	feature.Check(r.ch.ExchangeDeclare(x, "topic", false, false, false, false, amqp.Table{"alternate-exchange": y}))
	feature.Check(r.ch.ExchangeDeclare(y, "fanout", false, false, false, false, nil))
	feature.Check(r.ch.ExchangeDeclare(h, "headers", false, false, false, false, nil))
	feature.Check(r.ch.ExchangeDeclarePassive(h, "headers", false, false, false, false, nil))
	q, z := r.queue("q", nil), r.queue("z", nil)
	feature.Check(r.ch.QueueBind(q, "orders.*.new", x, false, nil))
	feature.Check(r.ch.QueueBind(z, "", y, false, nil))
	feature.Check(r.ch.ExchangeBind(h, "deep.#", x, false, nil))
	feature.Check(r.ch.QueueBind(q, "", h, false, amqp.Table{"x-match": "all", "kind": "refund"}))
	r.put(x, "orders.eu.new", "a")
	r.put(x, "orders.eu.old", "to the alternate")
	feature.Check(r.ch.PublishWithContext(background, x, "deep.er", false, false, amqp.Publishing{Headers: amqp.Table{"kind": "refund"}, Body: []byte("by header")}))
	r.holds("bound", q, 2)
	r.holds("alternate", z, 1)
	feature.Check(r.ch.QueueUnbind(q, "orders.*.new", x, nil))
	feature.Check(r.ch.ExchangeUnbind(h, "deep.#", x, false, nil))
	r.put(x, "orders.eu.new", "to the alternate")
	r.holds("unbound", q, 2)
	r.holds("alternate", z, 2)
	for _, e := range []string{x, y, h} {
		feature.Check(r.ch.ExchangeDelete(e, false, false))
	}
	r.refused("none of the name", r.ch.ExchangeDeclarePassive(x, "topic", false, false, false, false, nil))
}

func replyTo(r *run) {
	q := r.queue("rpc", nil)
	server := feature.Must(r.dial().Channel())
	asked := feature.Must(server.Consume(q, "", true, false, false, false, nil))
	answers := feature.Must(r.ch.Consume("amq.rabbitmq.reply-to", "", true, false, false, false, nil))
	feature.Check(r.ch.PublishWithContext(background, "", q, false, false, amqp.Publishing{ReplyTo: "amq.rabbitmq.reply-to", CorrelationId: "1", Body: []byte("ping")}))
	d := feature.Take("the question", asked)
	r.Same("a name to answer to", strings.HasPrefix(d.ReplyTo, "amq.rabbitmq.reply-to."), true)
	feature.Check(server.PublishWithContext(background, "", d.ReplyTo, false, false, amqp.Publishing{CorrelationId: d.CorrelationId, Body: []byte("pong")}))
	a := feature.Take("the answer", answers)
	r.Note("%s %s", a.Body, a.CorrelationId)
	own := feature.Must(r.ch.QueueDeclare("", false, true, true, false, nil))
	replies := feature.Must(r.ch.Consume(own.Name, "", true, true, false, false, nil))
	feature.Check(r.ch.PublishWithContext(background, "", q, false, false, amqp.Publishing{ReplyTo: own.Name, CorrelationId: "2", Body: []byte("ping")}))
	d = feature.Take("the question", asked)
	feature.Check(server.PublishWithContext(background, "", d.ReplyTo, false, false, amqp.Publishing{CorrelationId: d.CorrelationId, Body: []byte("pong")}))
	a = feature.Take("the answer", replies)
	r.Note("%s %s", a.Body, a.CorrelationId)
}

func transactions(r *run) {
	q := r.queue("tx", nil)
	feature.Check(r.ch.Tx())
	r.put("", q, "never")
	feature.Check(r.ch.TxRollback())
	r.holds("rolled back", q, 0)
	r.put("", q, "a", "b")
	r.holds("not yet", q, 0)
	feature.Check(r.ch.TxCommit())
	r.holds("committed", q, 2)
	d, _, err := r.ch.Get(q, false)
	feature.Check(err)
	feature.Check(d.Ack(false))
	feature.Check(r.ch.TxRollback())
	feature.Check(d.Ack(false))
	feature.Check(r.ch.TxCommit())
	r.holds("taken", q, 1)
}

func properties(r *run) {
	q := r.queue("properties", nil)
	at := time.Unix(1700000000, 0)
	feature.Check(r.ch.PublishWithContext(background, "", q, false, false, amqp.Publishing{
		Headers: amqp.Table{"bool": true, "byte": int8(-3), "short": int16(-300), "int": int32(-70000), "long": int64(-1 << 40), "float": float32(1.5),
			"double": 2.25, "decimal": amqp.Decimal{Scale: 2, Value: 314}, "text": "snow ☃", "bytes": []byte{0, 1, 255}, "time": at, "none": nil,
			"list": []any{int32(1), "two", amqp.Table{"three": nil}}, "table": amqp.Table{"deep": amqp.Table{"er": true}}, "": "no name"},
		ContentType: "application/json", ContentEncoding: "identity", DeliveryMode: amqp.Persistent, Priority: 3, CorrelationId: "c", ReplyTo: q,
		Expiration: "60000", MessageId: "m", Timestamp: at, Type: "t", AppId: "a", Body: []byte(`{"x": 1}`)}))
	d, _, err := r.ch.Get(q, true)
	feature.Check(err)
	var heads []string
	for k, v := range d.Headers {
		heads = append(heads, fmt.Sprintf("%s=%T %v", k, v, v))
	}
	slices.Sort(heads)
	r.Note("%s %s %s %d %d %s %s %s %s %s %s %s %s", strings.Join(heads, "; "), d.ContentType, d.ContentEncoding, d.DeliveryMode, d.Priority,
		d.CorrelationId, d.ReplyTo, d.Expiration, d.MessageId, d.Timestamp.UTC(), d.Type, d.AppId, d.Body)
	feature.Check(r.ch.PublishWithContext(background, "", q, false, false, amqp.Publishing{}))
	d, _, err = r.ch.Get(q, true)
	feature.Check(err)
	r.Note("%q %d %v %q", d.Body, d.DeliveryMode, d.Headers, d.ContentType)
}

func large(r *run) {
	size := 64 << 20
	if os.Getenv("SHORT") != "" {
		size = 8 << 20
	}
	q := r.queue("large", nil)
	feature.Check(r.ch.Confirm(false))
	sure := r.ch.NotifyPublish(make(chan amqp.Confirmation, 1))
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(i * i >> 8)
	}
	feature.Check(r.ch.PublishWithContext(background, "", q, false, false, amqp.Publishing{Body: body}))
	r.Same("confirmed", feature.Take("the confirm", sure).Ack, true)
	in := r.consume(q)
	d := feature.Take("the message", in)
	r.Same("the same", sha256.Sum256(d.Body) == sha256.Sum256(body), true)
	feature.Check(d.Ack(false))
	feature.Must(r.ch.QueueDelete(q, false, false, false))
}

func channels(r *run) {
	const most = 1000
	q := r.queue("channels", nil)
	var all sync.WaitGroup
	failed := make(chan error, most)
	for range 50 {
		all.Go(func() {
			for range most / 50 {
				ch, err := r.conn.Channel()
				if err == nil {
					err = ch.PublishWithContext(background, "", q, false, false, amqp.Publishing{Body: []byte("x")})
				}
				if err == nil {
					_, err = ch.QueueDeclarePassive(q, false, false, false, false, nil)
				}
				if err != nil {
					failed <- err
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-failed:
		panic(err)
	default:
	}
	r.holds("waiting", q, most)
}

func redelivery(r *run) {
	q := r.queue("redelivery", nil)
	r.put("", q, "a", "b", "c")
	in := r.consume(q)
	feature.Check(feature.Take("a", in).Ack(false))
	feature.Take("b", in)
	r.count(q) // what was acknowledged arrived
	// The connection ends as a cut does: nothing is said on it.
	_ = r.conn.CloseDeadline(time.Unix(1, 0)) // it says that the time was over
	r.conn = r.dial()
	r.ch = feature.Must(r.conn.Channel())
	in = r.consume(q)
	for range 2 {
		d := feature.Take("a redelivery", in)
		r.Note("%s", d.Body)
		if string(d.Body) == "b" {
			r.Same("marked", d.Redelivered, true)
		}
		feature.Check(d.Ack(false))
	}
	r.holds("waiting", q, 0)
}

func cancel(r *run) {
	q := r.queue("cancel", nil)
	gone := r.ch.NotifyCancel(make(chan string, 1))
	feature.Must(r.ch.Consume(q, "mine", false, false, false, false, nil))
	other := feature.Must(r.conn.Channel())
	feature.Must(other.QueueDelete(q, false, false, false))
	r.Note("cancelled %s", feature.Take("the cancel", gone))
	q = r.queue("cancel", nil)
	in := feature.Must(r.ch.Consume(q, "mine", false, false, false, false, nil))
	feature.Check(r.ch.Cancel("mine", false))
	_, open := <-in
	r.Same("open", open, false)
}

func deadLetters(r *run) {
	dead := r.queue("dead", nil)
	q := r.queue("living", amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
	r.put("", q, "a")
	d, _, err := r.ch.Get(q, false)
	feature.Check(err)
	feature.Check(d.Nack(false, false))
	d = feature.Take("the dead letter", r.consume(dead))
	death, _ := d.Headers["x-death"].([]any)
	first, _ := death[0].(amqp.Table)
	r.Note("%s %v %v %v %v", d.Body, d.Headers["x-first-death-reason"], first["queue"], first["reason"], first["count"])
}

func failures(r *run) {
	q := r.queue("failures", nil)
	for name, f := range map[string]func(*amqp.Channel) error{
		"another kind": func(ch *amqp.Channel) error {
			return ch.ExchangeDeclare("amq.direct", "fanout", true, false, false, false, nil)
		},
		"reserved": func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclare("amq.mine", false, false, false, false, nil)
			return err
		},
		"durable": func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclare(q, true, false, false, false, nil)
			return err
		},
		"no exchange": func(ch *amqp.Channel) error {
			ended := ch.NotifyClose(make(chan *amqp.Error, 1))
			if err := ch.PublishWithContext(background, r.name("no exchange"), "", false, false, amqp.Publishing{}); err != nil {
				return err
			}
			return feature.Take("the end of the channel", ended)
		},
		"no such tag": func(ch *amqp.Channel) error {
			ended := ch.NotifyClose(make(chan *amqp.Error, 1))
			if err := ch.Ack(77, false); err != nil {
				return err
			}
			return feature.Take("the end of the channel", ended)
		},
	} {
		ch := feature.Must(r.conn.Channel())
		err := f(ch)
		sub := &run{Saw: &feature.Saw{}, p: r.p}
		sub.refused(name, err)
		r.Note("%s", strings.Join(sub.Lines(), ""))
	}
	r.Sort()
	r.holds("alive", q, 0)
}

func many(r *run) {
	n := 20000
	if os.Getenv("SHORT") != "" {
		n = 3000
	}
	q := r.queue("many", nil)
	in := r.consume(q)
	out := feature.Must(r.conn.Channel())
	failed := make(chan error, 1)
	go func() {
		for i := range n {
			if err := out.PublishWithContext(background, "", q, false, false, amqp.Publishing{Body: fmt.Appendf(nil, "%d", i)}); err != nil {
				failed <- err
				return
			}
		}
	}()
	for i := range n {
		d := feature.Take("a delivery", in)
		if string(d.Body) != fmt.Sprint(i) {
			panic(fmt.Errorf("delivery %d is %q", i, d.Body))
		}
		if i%100 == 99 {
			feature.Check(d.Ack(true))
		}
	}
	r.holds("waiting", q, 0)
}
