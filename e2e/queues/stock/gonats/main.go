// Command gonats does with nats.go what the columns of NATS's matrix in e2e/queues say, and prints a line of JSON for each. It
// knows nothing of what serves it: its environment says where that is.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"gatehouse/e2e/queues/stock/feature"
)

// run is one feature's connection.
type run struct {
	*feature.Saw
	p     *feature.Program
	conn  *nats.Conn
	async chan error // what the server says that nobody asked for
}

func main() {
	p := feature.New()
	for _, f := range []struct {
		name string
		do   func(*run)
	}{
		{"connect", connect}, {"publish", publish}, {"wildcards", wildcards}, {"queue groups", queueGroups}, {"requests", requests},
		{"no responders", noResponders}, {"headers", headers}, {"unsubscribe", unsubscribe}, {"drain", drain}, {"max payload", maxPayload},
		{"many", many}, {"streams", streams}, {"publish acks", publishAcks}, {"pull", pull}, {"push", push}, {"ordered", ordered},
		{"acks", acks}, {"key-value", keyValue}, {"objects", objects}, {"errors", failures},
	} {
		p.Do(f.name, func(s *feature.Saw) {
			r := &run{Saw: s, p: p, async: make(chan error, 100)}
			r.conn = r.dial()
			defer r.conn.Close()
			f.do(r)
			select {
			case err := <-r.async:
				panic(fmt.Errorf("the server said besides: %w", err))
			default:
			}
		})
	}
}

func (r *run) dial(more ...nats.Option) *nats.Conn {
	return feature.Must(nats.Connect(r.p.URL, append(more, nats.Secure(r.p.TLS()), nats.Timeout(feature.Patience), nats.NoReconnect(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { r.async <- err }))...))
}

// name is a subject of this run; as streams and buckets are called, where it has no dots.
func (r *run) name(s string) string { return r.p.Name + "." + s }

func (r *run) plain(s string) string { return r.p.Name + "-" + s }

func (r *run) subscribe(subject string) *nats.Subscription {
	s := feature.Must(r.conn.SubscribeSync(subject))
	feature.Check(r.conn.FlushTimeout(feature.Patience))
	return s
}

func (r *run) put(subject string, bodies ...string) {
	for _, b := range bodies {
		feature.Check(r.conn.Publish(subject, []byte(b)))
	}
	feature.Check(r.conn.FlushTimeout(feature.Patience))
}

func next(s *nats.Subscription) *nats.Msg { return feature.Must(s.NextMsg(feature.Patience)) }

// none says that nothing came: the server answered what was sent later.
func (r *run) none(what string, s *nats.Subscription) {
	feature.Check(r.conn.FlushTimeout(feature.Patience))
	if n, _, err := s.Pending(); err != nil || n > 0 {
		panic(fmt.Errorf("%s: %d came, %w", what, n, err))
	}
}

func (r *run) stream(s string, more nats.StreamConfig) nats.JetStreamContext {
	js := feature.Must(r.conn.JetStream(nats.MaxWait(feature.Patience)))
	more.Name, more.Subjects = r.plain(s), []string{r.name(s) + ".>"}
	feature.Must(js.AddStream(&more))
	return js
}

func connect(r *run) {
	r.Note("%d payload, headers %v, auth %v", r.conn.MaxPayload(), r.conn.HeadersSupported(), r.conn.AuthRequired())
	_ = feature.Must(r.conn.RTT())
	state := feature.Must(r.conn.TLSConnectionState())
	r.Note("%v", state.HandshakeComplete)
}

func publish(r *run) {
	s := r.subscribe(r.name("publish"))
	r.put(r.name("publish"), "a", "", "c")
	for range 3 {
		m := next(s)
		r.Note("%s %q %q %v", m.Subject, m.Data, m.Reply, m.Header)
	}
	silent := r.dial(nats.NoEcho())
	defer silent.Close()
	mine := feature.Must(silent.SubscribeSync(r.name("publish")))
	feature.Check(silent.Publish(r.name("publish"), []byte("to others")))
	feature.Check(silent.FlushTimeout(feature.Patience))
	r.Note("%s", next(s).Data)
	n, _, _ := mine.Pending()
	r.Same("no echo", n, 0)
}

func wildcards(r *run) {
	star, rest := r.subscribe(r.name("w.*.c")), r.subscribe(r.name("w.>"))
	r.put(r.name("w.b.c"), "both")
	r.put(r.name("w.b.d"), "rest")
	r.put(r.name("w"), "nobody")
	r.Note("%s", next(star).Data)
	r.Note("%s %s", next(rest).Data, next(rest).Data)
	r.none("a second", star)
}

func queueGroups(r *run) {
	var got [3]atomic.Int64
	done := make(chan struct{}, 300)
	for i := range got {
		feature.Must(r.conn.QueueSubscribe(r.name("group"), "workers", func(*nats.Msg) { got[i].Add(1); done <- struct{}{} }))
	}
	feature.Check(r.conn.FlushTimeout(feature.Patience))
	for range 300 {
		feature.Check(r.conn.Publish(r.name("group"), []byte("x")))
	}
	for range 300 {
		feature.Take("a message", done)
	}
	feature.Check(r.conn.FlushTimeout(feature.Patience))
	r.Same("each once", got[0].Load()+got[1].Load()+got[2].Load(), 300)
}

func requests(r *run) {
	server := r.dial()
	defer server.Close()
	feature.Must(server.Subscribe(r.name("ask"), func(m *nats.Msg) { _ = m.Respond(append([]byte("re: "), m.Data...)) }))
	feature.Check(server.FlushTimeout(feature.Patience))
	for i := range 50 {
		m := feature.Must(r.conn.Request(r.name("ask"), fmt.Appendf(nil, "%d", i), feature.Patience))
		if string(m.Data) != fmt.Sprintf("re: %d", i) {
			panic(fmt.Errorf("answer %d is %q", i, m.Data))
		}
	}
	old := r.dial(nats.UseOldRequestStyle())
	defer old.Close()
	r.Note("%s", feature.Must(old.Request(r.name("ask"), []byte("old"), feature.Patience)).Data)
}

func noResponders(r *run) {
	_, err := r.conn.Request(r.name("nobody"), nil, feature.Patience)
	r.Same("at once", errors.Is(err, nats.ErrNoResponders), true)
}

func headers(r *run) {
	s := r.subscribe(r.name("headers"))
	m := nats.NewMsg(r.name("headers"))
	m.Header.Add("One", "1")
	m.Header.Add("one", "another case")
	m.Header.Add("Many", "a")
	m.Header.Add("Many", "b c: d")
	m.Header.Add("Empty", "")
	m.Data, m.Reply = []byte("body"), r.name("answers")
	feature.Check(r.conn.PublishMsg(m))
	got := next(s)
	r.Note("%v %q %q", got.Header, got.Data, got.Reply)
	m.Data = nil
	feature.Check(r.conn.PublishMsg(m))
	r.Note("%v", next(s).Header)
}

func unsubscribe(r *run) {
	s := r.subscribe(r.name("few"))
	feature.Check(s.AutoUnsubscribe(2))
	r.put(r.name("few"), "a", "b", "c")
	r.Note("%s %s", next(s).Data, next(s).Data)
	_, err := s.NextMsg(feature.Patience)
	r.Note("%v", err)
	s = r.subscribe(r.name("few"))
	feature.Check(s.Unsubscribe())
	r.put(r.name("few"), "nobody")
}

func drain(r *run) {
	c := r.dial()
	got := make(chan string, 100)
	feature.Must(c.Subscribe(r.name("drain"), func(m *nats.Msg) { got <- string(m.Data) }))
	feature.Check(c.FlushTimeout(feature.Patience))
	for i := range 100 {
		r.put(r.name("drain"), fmt.Sprint(i))
	}
	closed := make(chan struct{})
	c.SetClosedHandler(func(*nats.Conn) { close(closed) })
	feature.Check(c.Drain())
	<-closed
	r.Same("all of them", len(got), 100)
}

func maxPayload(r *run) {
	s := r.subscribe(r.name("large"))
	most := int(r.conn.MaxPayload())
	feature.Check(r.conn.Publish(r.name("large"), make([]byte, most)))
	r.Same("arrived", len(next(s).Data), most)
	r.Note("%v", r.conn.Publish(r.name("large"), make([]byte, most+1)))
}

func many(r *run) {
	n := 100000
	if os.Getenv("SHORT") != "" {
		n = 10000
	}
	in := r.dial()
	defer in.Close()
	got, failed := make(chan struct{}), make(chan error, 1)
	at := 0
	s := feature.Must(in.Subscribe(r.name("many"), func(m *nats.Msg) {
		if string(m.Data) != fmt.Sprint(at) && len(failed) == 0 {
			failed <- fmt.Errorf("message %d is %q", at, m.Data)
		}
		if at++; at == n {
			close(got)
		}
	}))
	feature.Check(s.SetPendingLimits(-1, -1))
	feature.Check(in.FlushTimeout(feature.Patience))
	for i := range n {
		feature.Check(r.conn.Publish(r.name("many"), fmt.Appendf(nil, "%d", i)))
	}
	feature.Check(r.conn.FlushTimeout(feature.Patience))
	select {
	case err := <-failed:
		panic(err)
	case <-got:
	case <-time.After(feature.Patience):
		panic(errors.New("not all of them came"))
	}
}

func streams(r *run) {
	js := r.stream("streams", nats.StreamConfig{MaxMsgs: 3, Description: "of a test"})
	for _, b := range []string{"a", "b", "c", "d"} {
		feature.Must(js.Publish(r.name("streams.x"), []byte(b)))
	}
	info := feature.Must(js.StreamInfo(r.plain("streams"), &nats.StreamInfoRequest{SubjectsFilter: ">"}))
	r.Note("%d %d %d %v %s", info.State.Msgs, info.State.FirstSeq, info.State.LastSeq, info.State.Subjects, info.Config.Description)
	config := info.Config
	config.MaxMsgs = 10
	r.Note("%d", feature.Must(js.UpdateStream(&config)).Config.MaxMsgs)
	m := feature.Must(js.GetMsg(r.plain("streams"), 3))
	r.Note("%s %s %d", m.Subject, m.Data, m.Sequence)
	m = feature.Must(js.GetLastMsg(r.plain("streams"), r.name("streams.x")))
	r.Note("%s %d", m.Data, m.Sequence)
	feature.Check(js.DeleteMsg(r.plain("streams"), 3))
	_, err := js.GetMsg(r.plain("streams"), 3)
	r.Note("%v", err)
	feature.Check(js.PurgeStream(r.plain("streams")))
	found := false
	for name := range js.StreamNames() {
		found = found || name == r.plain("streams")
	}
	r.Same("listed", found, true)
	feature.Check(js.DeleteStream(r.plain("streams")))
	_, err = js.StreamInfo(r.plain("streams"))
	r.Note("%v", err)
	account := feature.Must(js.AccountInfo())
	r.Note("%v", account.Limits)
}

func publishAcks(r *run) {
	js := r.stream("published", nats.StreamConfig{})
	a := feature.Must(js.Publish(r.name("published.a"), []byte("a"), nats.MsgId("1")))
	r.Note("%s %d %v", a.Stream, a.Sequence, a.Duplicate)
	a = feature.Must(js.Publish(r.name("published.a"), []byte("a"), nats.MsgId("1")))
	r.Note("%d %v", a.Sequence, a.Duplicate)
	_, err := js.Publish(r.name("published.a"), []byte("b"), nats.ExpectLastSequence(7))
	r.Note("%v", err)
	for range 100 {
		feature.Must(js.PublishAsync(r.name("published.b"), []byte("x")))
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(feature.Patience):
		panic(errors.New("not all were acknowledged"))
	}
	r.Same("stored", feature.Must(js.StreamInfo(r.plain("published"))).State.Msgs, 101)
}

func fill(r *run, js nats.JetStreamContext, s string, n int) {
	for i := range n {
		feature.Must(js.Publish(r.name(s+".x"), fmt.Appendf(nil, "%d", i)))
	}
}

func pull(r *run) {
	js := r.stream("pulled", nats.StreamConfig{})
	fill(r, js, "pulled", 25)
	s := feature.Must(js.PullSubscribe(r.name("pulled.>"), "puller"))
	got := 0
	for got < 25 {
		for _, m := range feature.Must(s.Fetch(10, nats.MaxWait(5*time.Second))) {
			if string(m.Data) != fmt.Sprint(got) {
				panic(fmt.Errorf("message %d is %q", got, m.Data))
			}
			feature.Check(m.AckSync())
			got++
		}
	}
	_, err := s.Fetch(1, nats.MaxWait(200*time.Millisecond))
	r.Note("%v", err)
	info := feature.Must(js.ConsumerInfo(r.plain("pulled"), "puller"))
	r.Note("%d %d %d %d", info.AckFloor.Stream, info.NumAckPending, info.NumPending, info.NumRedelivered)
	feature.Check(s.Unsubscribe()) // it deletes the consumer
	_, err = js.ConsumerInfo(r.plain("pulled"), "puller")
	r.Note("%v", err)
}

func push(r *run) {
	js := r.stream("pushed", nats.StreamConfig{})
	fill(r, js, "pushed", 20)
	s := feature.Must(js.SubscribeSync(r.name("pushed.>"), nats.Durable("pusher"), nats.ManualAck(), nats.EnableFlowControl(), nats.IdleHeartbeat(time.Second)))
	for i := range 20 {
		m := next(s)
		meta := feature.Must(m.Metadata())
		if string(m.Data) != fmt.Sprint(i) || meta.Sequence.Stream != uint64(i+1) || meta.NumDelivered != 1 || m.Subject != r.name("pushed.x") {
			panic(fmt.Errorf("message %d is %s %q %+v", i, m.Subject, m.Data, meta))
		}
		feature.Check(m.AckSync())
	}
	r.Same("acknowledged", feature.Must(s.ConsumerInfo()).AckFloor.Stream, 20)
	feature.Check(s.Unsubscribe())
	group := feature.Must(js.QueueSubscribeSync(r.name("pushed.>"), "workers", nats.DeliverLast()))
	r.Note("%s", next(group).Data)
}

func ordered(r *run) {
	js := r.stream("ordered", nats.StreamConfig{})
	fill(r, js, "ordered", 200)
	s := feature.Must(js.SubscribeSync(r.name("ordered.>"), nats.OrderedConsumer()))
	for i := range 200 {
		if m := next(s); string(m.Data) != fmt.Sprint(i) {
			panic(fmt.Errorf("message %d is %q", i, m.Data))
		}
	}
}

func acks(r *run) {
	js := r.stream("acks", nats.StreamConfig{})
	fill(r, js, "acks", 4)
	s := feature.Must(js.PullSubscribe(r.name("acks.>"), "acker", nats.AckWait(time.Second)))
	got := feature.Must(s.Fetch(4, nats.MaxWait(feature.Patience)))
	feature.Check(got[0].AckSync())
	feature.Check(got[1].Nak())
	feature.Check(got[2].Term())
	feature.Check(got[3].InProgress())
	again := feature.Must(s.Fetch(1, nats.MaxWait(feature.Patience)))
	r.Note("%s %d", again[0].Data, feature.Must(again[0].Metadata()).NumDelivered)
	feature.Check(again[0].AckSync())
	late := feature.Must(s.Fetch(1, nats.MaxWait(feature.Patience)))
	r.Note("%s %d", late[0].Data, feature.Must(late[0].Metadata()).NumDelivered)
	feature.Check(late[0].AckSync())
	r.Note("%v", late[0].Ack())
	r.Same("floor", feature.Must(s.ConsumerInfo()).AckFloor.Stream, 4)
}

func keyValue(r *run) {
	js := feature.Must(r.conn.JetStream(nats.MaxWait(feature.Patience)))
	kv := feature.Must(js.CreateKeyValue(&nats.KeyValueConfig{Bucket: r.plain("kv"), History: 5}))
	watch := feature.Must(kv.Watch("a.*"))
	if first := feature.Take("what is there", watch.Updates()); first != nil {
		panic(fmt.Errorf("something is there: %v", first))
	}
	r.Note("%d", feature.Must(kv.Put("a.b", []byte("one"))))
	r.Note("%d", feature.Must(kv.Update("a.b", []byte("two"), 1)))
	_, err := kv.Update("a.b", []byte("three"), 1)
	r.Note("%v", err)
	_, err = kv.Create("a.b", nil)
	r.Note("%v", err)
	e := feature.Must(kv.Get("a.b"))
	r.Note("%s %d %v", e.Value(), e.Revision(), e.Operation())
	feature.Check(kv.Delete("a.b"))
	_, err = kv.Get("a.b")
	r.Note("%v", err)
	for range 3 {
		u := feature.Take("an update", watch.Updates())
		r.Note("%s %s %d %v", u.Key(), u.Value(), u.Revision(), u.Operation())
	}
	feature.Must(kv.PutString("c", "x"))
	r.Note("%v", feature.Must(kv.Keys()))
	r.Note("%d in the history", len(feature.Must(kv.History("a.b"))))
	feature.Check(kv.Purge("a.b"))
	r.Note("%d values", feature.Must(kv.Status()).Values())
	feature.Check(js.DeleteKeyValue(r.plain("kv")))
}

func objects(r *run) {
	js := feature.Must(r.conn.JetStream(nats.MaxWait(feature.Patience)))
	o := feature.Must(js.CreateObjectStore(&nats.ObjectStoreConfig{Bucket: r.plain("objects")}))
	body := []byte(strings.Repeat("0123456789abcdef", 1<<16+1))
	info := feature.Must(o.PutBytes("large", body))
	r.Note("%s %d %d %s", info.Name, info.Size, info.Chunks, info.Digest)
	r.Same("the same", string(feature.Must(o.GetBytes("large"))) == string(body), true)
	r.Note("%d", len(feature.Must(o.List())))
	feature.Check(o.Delete("large"))
	_, err := o.GetBytes("large")
	r.Note("%v", err)
	feature.Check(js.DeleteObjectStore(r.plain("objects")))
}

func failures(r *run) {
	js := feature.Must(r.conn.JetStream(nats.MaxWait(feature.Patience)))
	_, err := js.StreamInfo(r.plain("never"))
	r.Note("%v", err)
	_, err = js.AddConsumer(r.plain("never"), &nats.ConsumerConfig{Durable: "d"})
	r.Note("%v", err)
	_, err = nats.Connect(strings.Replace(r.p.URL, "://", "://wrong", 1), nats.Secure(r.p.TLS()))
	r.Same("let in", err == nil, false)
}
