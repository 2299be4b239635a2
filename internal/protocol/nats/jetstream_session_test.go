package nats

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"
	streams "github.com/nats-io/nats.go/jetstream"

	"gatehouse/internal/access"
)

// TestStreams: a stock client makes a stream, publishes with acknowledgements, and reads by every kind of consumer.
func TestStreams(t *testing.T) {
	w := newWorld(t, allow("nats:*", "jobs/*"))
	c, errs := w.connect("a")
	ctx, done := context.WithTimeout(context.Background(), patience)
	defer done()
	js := must[streams.JetStream](t)(streams.New(c))
	st := must[streams.Stream](t)(js.CreateStream(ctx, streams.StreamConfig{Name: "STREAMS", Subjects: []string{"streams.>"}}))
	t.Cleanup(func() { _ = w.drop("STREAMS") })
	for i := range 10 {
		must[*streams.PubAck](t)(js.Publish(ctx, fmt.Sprintf("streams.%d", i), []byte("x"), streams.WithMsgID(fmt.Sprint(i))))
	}
	cons := must[streams.Consumer](t)(st.CreateOrUpdateConsumer(ctx, streams.ConsumerConfig{Durable: "pull", AckPolicy: streams.AckExplicitPolicy}))
	batch := must[streams.MessageBatch](t)(cons.Fetch(10, streams.FetchMaxWait(patience)))
	n := 0
	for m := range batch.Messages() {
		if m.Subject() != fmt.Sprintf("streams.%d", n) {
			t.Errorf("%s", m.Subject())
		}
		if err := m.DoubleAck(ctx); err != nil {
			t.Error(err)
		}
		n++
	}
	info := must[*streams.ConsumerInfo](t)(cons.Info(ctx))
	if n != 10 || info.NumAckPending != 0 || info.AckFloor.Stream != 10 {
		t.Errorf("%d messages, %+v", n, info)
	}
	ordered := must[streams.Consumer](t)(js.OrderedConsumer(ctx, "STREAMS", streams.OrderedConsumerConfig{}))
	it := must[streams.MessagesContext](t)(ordered.Messages())
	for i := range 10 {
		if m := must[streams.Msg](t)(it.Next()); m.Subject() != fmt.Sprintf("streams.%d", i) {
			t.Errorf("%s", m.Subject())
		}
	}
	it.Stop()
	old := must[client.JetStreamContext](t)(c.JetStream())
	push := must[*client.Subscription](t)(old.SubscribeSync("streams.>", client.Durable("push"), client.AckExplicit()))
	for range 10 {
		if err := next(t, push).AckSync(); err != nil {
			t.Error(err)
		}
	}
	if m := must[*streams.RawStreamMsg](t)(st.GetMsg(ctx, 3)); m.Subject != "streams.2" {
		t.Errorf("%+v", m)
	}
	select {
	case err := <-errs:
		t.Error(err)
	default:
	}
}

// TestBuckets: keys and objects.
func TestBuckets(t *testing.T) {
	w := newWorld(t, allow("nats:*", "jobs/*"))
	c, _ := w.connect("a")
	ctx, done := context.WithTimeout(context.Background(), patience)
	defer done()
	js := must[streams.JetStream](t)(streams.New(c))
	kv := must[streams.KeyValue](t)(js.CreateKeyValue(ctx, streams.KeyValueConfig{Bucket: "keys"}))
	t.Cleanup(func() { _ = w.drop("KV_keys") })
	watch := must[streams.KeyWatcher](t)(kv.WatchAll(ctx))
	must[uint64](t)(kv.Put(ctx, "a.b", []byte("1")))
	if e := must[streams.KeyValueEntry](t)(kv.Get(ctx, "a.b")); string(e.Value()) != "1" {
		t.Errorf("%s", e.Value())
	}
	for e := range watch.Updates() {
		if e != nil {
			if e.Key() != "a.b" {
				t.Errorf("%s", e.Key())
			}
			break
		}
	}
	if err := errorsOf(watch.Stop(), kv.Delete(ctx, "a.b"), kv.Purge(ctx, "a.b")); err != nil {
		t.Error(err)
	}
	objects := must[streams.ObjectStore](t)(js.CreateObjectStore(ctx, streams.ObjectStoreConfig{Bucket: "things"}))
	t.Cleanup(func() { _ = w.drop("OBJ_things") })
	big := bytes.Repeat([]byte("0123456789"), 50_000)
	must[*streams.ObjectInfo](t)(objects.PutBytes(ctx, "big", big))
	if got := must[[]byte](t)(objects.GetBytes(ctx, "big")); !bytes.Equal(got, big) {
		t.Errorf("%d bytes", len(got))
	}
	if err := objects.Delete(ctx, "big"); err != nil {
		t.Error(err)
	}
}

// TestStoredMessagesAreMasked: whatever way a stored message takes to the client.
func TestStoredMessagesAreMasked(t *testing.T) {
	hidden := access.PolicyStatement{Effect: "mask", Resources: []string{"jobs/subject/masked.*"}, Fields: []string{"$.ssn"}, With: &access.MaskWith{Word: "redact"}}
	w := newWorld(t, allow("nats:*", "jobs/*"), hidden)
	ctx, done := context.WithTimeout(context.Background(), patience)
	defer done()
	js := must[streams.JetStream](t)(streams.New(w.direct()))
	must[streams.Stream](t)(js.CreateStream(ctx, streams.StreamConfig{Name: "MASKED", Subjects: []string{"masked.>"}, AllowDirect: true}))
	t.Cleanup(func() { _ = w.drop("MASKED") })
	must[*streams.PubAck](t)(js.Publish(ctx, "masked.a", []byte(`{"ssn": "078-05-1120"}`)))
	c, _ := w.connect("a")
	js = must[streams.JetStream](t)(streams.New(c))
	st := must[streams.Stream](t)(js.Stream(ctx, "MASKED"))
	const want = `{"ssn": "[redacted]"}`
	if m := must[*streams.RawStreamMsg](t)(st.GetLastMsgForSubject(ctx, "masked.a")); string(m.Data) != want {
		t.Errorf("the answer to DIRECT.GET: %s", m.Data)
	}
	var stored *client.RawStreamMsg
	old := must[client.JetStreamContext](t)(c.JetStream())
	stored = must[*client.RawStreamMsg](t)(old.GetMsg("MASKED", 1))
	if string(stored.Data) != want {
		t.Errorf("the answer to MSG.GET: %s", stored.Data)
	}
	cons := must[streams.Consumer](t)(st.CreateOrUpdateConsumer(ctx, streams.ConsumerConfig{AckPolicy: streams.AckExplicitPolicy}))
	if m := must[streams.Msg](t)(cons.Next(streams.FetchMaxWait(patience))); string(m.Data()) != want {
		t.Errorf("what a consumer delivers: %s", m.Data())
	}
}

// TestForeignAcknowledgements: who was not delivered a message does not acknowledge it.
func TestForeignAcknowledgements(t *testing.T) {
	w := newWorld(t, allow("nats:Publish nats:Subscribe", "jobs/*"))
	ctx, done := context.WithTimeout(context.Background(), patience)
	defer done()
	js := must[streams.JetStream](t)(streams.New(w.direct()))
	st := must[streams.Stream](t)(js.CreateStream(ctx, streams.StreamConfig{Name: "ACKS", Subjects: []string{"acks"}}))
	t.Cleanup(func() { _ = w.drop("ACKS") })
	must[*streams.PubAck](t)(js.Publish(ctx, "acks", nil))
	cons := must[streams.Consumer](t)(st.CreateOrUpdateConsumer(ctx, streams.ConsumerConfig{Durable: "c", AckPolicy: streams.AckExplicitPolicy}))
	m := must[streams.Msg](t)(cons.Next(streams.FetchMaxWait(patience)))
	c, errs := w.connect("a")
	if err := c.Publish(m.Reply(), []byte("+ACK")); err != nil {
		t.Fatal(err)
	}
	violation(t, errs, "Permissions Violation for Publish")
	if info := must[*streams.ConsumerInfo](t)(cons.Info(ctx)); info.NumAckPending != 1 {
		t.Errorf("%d messages wait for their acknowledgement", info.NumAckPending)
	}
}

// drop removes a stream at the server itself.
func (w *world) drop(stream string) error {
	ctx, done := context.WithTimeout(context.Background(), time.Second)
	defer done()
	c := w.direct()
	defer c.Close()
	js, err := streams.New(c)
	if err != nil {
		return err
	}
	return js.DeleteStream(ctx, stream)
}
