package bypass

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/e2e/mqtest"
)

// natsHonest is what has to work in spite of the same policy, by the ordinary client: it says what it saw, which has to be the same
// around the gateway.
type natsHonest struct {
	technique, channel string
	do                 func(ctx context.Context, c *nats.Conn, js jetstream.JetStream) (string, error)
}

var natsHonestCases = []natsHonest{
	{"messages are published and listened to", "plain", func(ctx context.Context, c *nats.Conn, _ jetstream.JetStream) (string, error) {
		s, err := c.SubscribeSync("work.*")
		if err != nil {
			return "", err
		}
		if err := c.PublishMsg(&nats.Msg{Subject: "work.a", Data: []byte("x"), Header: nats.Header{"Kind": {"one", "two"}}}); err != nil {
			return "", err
		}
		m, err := s.NextMsgWithContext(ctx)
		if err != nil {
			return "", err
		}
		return fmt.Sprint(m.Subject, m.Header, string(m.Data)), nil
	}},
	{"messages are published and listened to", "queue group, so many messages", func(ctx context.Context, c *nats.Conn, _ jetstream.JetStream) (string, error) {
		s, err := c.QueueSubscribeSync("work.>", "q")
		if err != nil {
			return "", err
		}
		if err := s.AutoUnsubscribe(2); err != nil {
			return "", err
		}
		for i := range 3 {
			if err := c.Publish("work.a", fmt.Append(nil, i)); err != nil {
				return "", err
			}
		}
		one, err := s.NextMsgWithContext(ctx)
		if err != nil {
			return "", err
		}
		two, err := s.NextMsgWithContext(ctx)
		if err != nil {
			return "", err
		}
		if err := c.FlushWithContext(ctx); err != nil {
			return "", err
		}
		_, err = s.NextMsg(time.Millisecond)
		return fmt.Sprint(string(one.Data), string(two.Data), err), nil
	}},
	{"requests are answered", "plain", func(ctx context.Context, c *nats.Conn, _ jetstream.JetStream) (string, error) {
		if _, err := c.Subscribe("work.ask", func(m *nats.Msg) { _ = m.Respond(append([]byte("you said "), m.Data...)) }); err != nil {
			return "", err
		}
		m, err := c.RequestWithContext(ctx, "work.ask", []byte("hello"))
		if err != nil {
			return "", err
		}
		_, none := c.RequestWithContext(ctx, "work.nobody", nil)
		return fmt.Sprint(string(m.Data), none), nil
	}},
	{"messages are stored and read", "a stream and a consumer of one's own", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) (string, error) {
		s, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "WORK", Subjects: []string{"work.>"}, Storage: jetstream.MemoryStorage})
		if err != nil {
			return "", err
		}
		for i := range 3 {
			if _, err := js.Publish(ctx, "work.a", fmt.Append(nil, i), jetstream.WithMsgID(fmt.Sprint(i))); err != nil {
				return "", err
			}
		}
		again, err := js.Publish(ctx, "work.a", []byte("0"), jetstream.WithMsgID("0"))
		if err != nil {
			return "", err
		}
		cons, err := s.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "w", FilterSubject: "work.*", AckPolicy: jetstream.AckExplicitPolicy})
		if err != nil {
			return "", err
		}
		out, err := natsTake(ctx, cons, 3)
		return fmt.Sprint(out, again.Duplicate), err
	}},
	{"messages are stored and read", "a consumer with a filter", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) (string, error) {
		cons, err := js.CreateOrUpdateConsumer(ctx, "OPEN", jetstream.ConsumerConfig{Name: "c", FilterSubject: "open.1"})
		if err != nil {
			return "", err
		}
		return natsTake(ctx, cons, 1)
	}},
	{"messages are stored and read", "in order", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) (string, error) {
		cons, err := js.OrderedConsumer(ctx, "OPEN", jetstream.OrderedConsumerConfig{FilterSubjects: []string{"open.>"}})
		if err != nil {
			return "", err
		}
		m, err := cons.Next(jetstream.FetchMaxWait(natsPatience))
		if err != nil {
			return "", err
		}
		return m.Subject() + string(m.Data()), nil
	}},
	{"messages are stored and read", "pushed", func(ctx context.Context, c *nats.Conn, _ jetstream.JetStream) (string, error) {
		old, err := c.JetStream(nats.MaxWait(natsPatience))
		if err != nil {
			return "", err
		}
		s, err := old.SubscribeSync("open.>", nats.OrderedConsumer())
		if err != nil {
			return "", err
		}
		m, err := s.NextMsgWithContext(ctx)
		if err != nil {
			return "", err
		}
		return m.Subject + string(m.Data), nil
	}},
	{"messages are stored and read", "by their numbers and subjects", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) (string, error) {
		s, err := js.Stream(ctx, "OPEN")
		if err != nil {
			return "", err
		}
		one, err := s.GetMsg(ctx, 1)
		if err != nil {
			return "", err
		}
		last, err := s.GetLastMsgForSubject(ctx, "open.1")
		if err != nil {
			return "", err
		}
		return fmt.Sprint(one.Subject, string(one.Data), last.Sequence), nil
	}},
	{"a bucket is used", "put, get, watch, delete", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) (string, error) {
		kv, err := js.KeyValue(ctx, "notes")
		if err != nil {
			return "", err
		}
		if _, err := kv.Put(ctx, "mine", []byte("one")); err != nil {
			return "", err
		}
		e, err := kv.Get(ctx, "mine")
		if err != nil {
			return "", err
		}
		_, taken := kv.Create(ctx, "mine", nil)
		w, err := kv.Watch(ctx, "mine")
		if err != nil {
			return "", err
		}
		seen := <-w.Updates()
		if err := w.Stop(); err != nil {
			return "", err
		}
		keys, err := kv.Keys(ctx)
		slices.Sort(keys)
		return fmt.Sprint(string(e.Value()), errors.Is(taken, jetstream.ErrKeyExists), string(seen.Value()), keys), err
	}},
	{"an object is stored", "put, get", func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) (string, error) {
		o, err := js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: "images", Storage: jetstream.MemoryStorage})
		if err != nil {
			return "", err
		}
		if _, err := o.PutBytes(ctx, "cat", []byte(strings.Repeat("meow", 100_000))); err != nil {
			return "", err
		}
		b, err := o.GetBytes(ctx, "cat")
		return fmt.Sprint(len(b)), err
	}},
}

// natsTake takes n messages of a consumer, and acknowledges them.
func natsTake(ctx context.Context, cons jetstream.Consumer, n int) (string, error) {
	batch, err := cons.Fetch(n, jetstream.FetchMaxWait(natsPatience))
	if err != nil {
		return "", err
	}
	var out []string
	for m := range batch.Messages() {
		out = append(out, m.Subject()+" "+string(m.Data()))
		if cons.CachedInfo().Config.AckPolicy == jetstream.AckExplicitPolicy {
			if err := m.DoubleAck(ctx); err != nil {
				return "", err
			}
		}
	}
	return strings.Join(out, ", "), batch.Error()
}

// run runs a case as a role, or around the gateway.
func (c natsHonest) run(t *testing.T, old nats.JetStreamContext, role string) string {
	t.Helper()
	natsReset(t, old)
	url, ca := queues.nats.URL("tls", mqtest.AppUser, mqtest.AppPassword), queues.nats.CAFile
	if role != direct {
		url, ca = "tls://events:"+shared.token(t, role)+"@"+shared.gw.Listener["nats"], shared.gw.CAFile()
	}
	conn, err := nats.Connect(url, nats.RootCAs(ca), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { t.Logf("%s: %v", role, err) }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), natsPatience)
	defer cancel()
	out, err := c.do(ctx, conn, js)
	if err != nil {
		t.Fatalf("%s: %v", role, err)
	}
	return out
}

// honestOnNATS: what works around the gateway works through it, alike.
func honestOnNATS(t *testing.T, js nats.JetStreamContext) {
	for _, c := range natsHonestCases {
		scores.count(t, "honest", attack{Technique: c.technique, Channel: c.channel}, func(t *testing.T) {
			around, through := c.run(t, js, direct), c.run(t, js, "messages")
			if around != through {
				t.Errorf("around the gateway %q, through it %q", around, through)
			}
		})
	}
}
