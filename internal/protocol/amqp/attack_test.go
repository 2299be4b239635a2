package amqp

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/gate"
)

const secretBody = `{"ssn":"078-05-1120"}`

// jsonType are the properties of a document.
func jsonType() *properties { return &properties{has: hasContentType, ContentType: "application/json"} }

// masked is a world in which what is in one queue, and no other, holds what must be hidden.
func maskedQueue(t *testing.T) (client, broker *peer) {
	t.Helper()
	w := newWorld(t, allow("amqp:*", "jobs jobs/*"), hide("jobs/queue/secret", "response"))
	client, broker = w.begin()
	open(client, broker, 1)
	return client, broker
}

// TestAttackByLargeGets: a message that is sent on as it comes answers its own basic.get, so that the next one is judged by its own queue.
func TestAttackByLargeGets(t *testing.T) {
	client, broker := maskedQueue(t)
	client.say(appendMethod(nil, 1, &basicGet{Queue: "plain"}))
	broker.hears(idBasicGet)
	broker.say(contentOf(1, &basicGetOk{DeliveryTag: 1, RoutingKey: "plain"}, &properties{}, strings.Repeat("x", 2*smallBody)))
	client.hears(idBasicGetOk)
	client.body()
	client.say(appendMethod(nil, 1, &basicGet{Queue: "secret"}))
	broker.hears(idBasicGet)
	broker.say(contentOf(1, &basicGetOk{DeliveryTag: 2, RoutingKey: "k"}, jsonType(), secretBody))
	client.hears(idBasicGetOk)
	if got := client.body(); strings.Contains(got, "078") {
		t.Errorf("got %s", got)
	}
	client.say(appendMethod(nil, 1, &basicGet{Queue: "secret"})) // and both sides are still in step
	broker.hears(idBasicGet)
	broker.say(appendMethod(nil, 1, &basicGetEmpty{}))
	client.hears(idBasicGetEmpty)
}

// TestAttackByConsumerTags: a tag that stood for one queue of a channel does not come to stand for another one there: what the broker
// has sent from the first would be judged as the other's.
func TestAttackByConsumerTags(t *testing.T) {
	first := &basicConsume{Queue: "secret", ConsumerTag: "t"}
	for what, then := range map[string][]method{
		"at once":                  {&basicConsume{Queue: "plain", ConsumerTag: "t", NoWait: true}},
		"after a cancel":           {&basicCancel{ConsumerTag: "t", NoWait: true}, &basicConsume{Queue: "plain", ConsumerTag: "t", NoWait: true}},
		"after a cancel, and wait": {&basicCancel{ConsumerTag: "t", NoWait: true}, &basicConsume{Queue: "plain", ConsumerTag: "t"}},
	} {
		for _, answered := range []bool{true, false} {
			t.Run(what, func(t *testing.T) {
				client, broker := maskedQueue(t)
				client.say(appendMethod(nil, 1, first))
				broker.hears(idBasicConsume)
				if answered {
					broker.say(appendMethod(nil, 1, &basicConsumeOk{ConsumerTag: "t"}))
					client.hears(idBasicConsumeOk)
				}
				for _, m := range then {
					client.say(appendMethod(nil, 1, m))
				}
				client.hears(idChannelClose)
				broker.hears(idChannelClose)
				if broker.heard("plain") {
					t.Error("the broker was sent the second subscription")
				}
			})
		}
	}
}

// TestConsumerTagsAgain: a tag may come back for its own queue, and for another one on another channel.
func TestConsumerTagsAgain(t *testing.T) {
	client, broker := maskedQueue(t)
	open(client, broker, 2)
	consume := func(n uint16, queue string) {
		client.say(appendMethod(nil, n, &basicConsume{Queue: queue, ConsumerTag: "t"}))
		broker.hears(idBasicConsume)
		broker.say(appendMethod(nil, n, &basicConsumeOk{ConsumerTag: "t"}))
		client.hears(idBasicConsumeOk)
	}
	consume(1, "secret")
	client.say(appendMethod(nil, 1, &basicCancel{ConsumerTag: "t"}))
	broker.hears(idBasicCancel)
	broker.say(appendMethod(nil, 1, &basicCancelOk{ConsumerTag: "t"}))
	client.hears(idBasicCancelOk)
	consume(1, "secret")
	consume(2, "plain")
	broker.say(contentOf(1, &basicDeliver{ConsumerTag: "t", DeliveryTag: 1}, jsonType(), secretBody))
	client.hears(idBasicDeliver)
	if got := client.body(); strings.Contains(got, "078") {
		t.Errorf("got %s", got)
	}
}

// TestAttackByEmptyFrames: a body in frames of which many hold nothing is the same message, and they take no memory.
func TestAttackByEmptyFrames(t *testing.T) {
	w := newWorld(t, allow("amqp:*", "jobs jobs/*"))
	client, broker := w.begin()
	open(client, broker, 1)
	empty, at := openFrame(nil, frameBody, 1)
	empty = closeFrame(empty, at)
	b := appendContent(appendMethod(nil, 1, &basicPublish{RoutingKey: "q"}), 1, appendHeader(nil, 10, &properties{}), []byte("01234"), frameMost)
	b = append(b, bytes.Repeat(empty, 200_000)...)
	client.say(appendBody(b, 1, []byte("56789"), frameMost))
	broker.hears(idBasicPublish)
	if got := broker.body(); got != "0123456789" {
		t.Errorf("the broker got %q", got)
	}
	client.say(appendMethod(nil, 1, &basicGet{Queue: "q"}))
	broker.hears(idBasicGet)
	broker.say(appendContent(appendMethod(nil, 1, &basicGetOk{DeliveryTag: 1}), 1, appendHeader(nil, 10, &properties{}), []byte("01234"), frameMost),
		empty, empty, appendBody(nil, 1, []byte("56789"), frameMost))
	client.hears(idBasicGetOk)
	if got := client.body(); got != "0123456789" {
		t.Errorf("the client got %q", got)
	}
}

// TestAttackByManyBeginnings: what messages say that they will hold counts when they begin, not when it has come.
func TestAttackByManyBeginnings(t *testing.T) {
	w := newWorld(t, allow("amqp:*", "jobs jobs/*"), hide("jobs/exchange/amq.default/*", "request"))
	client, broker := w.begin()
	const channels = 100
	for n := range uint16(channels) {
		open(client, broker, n+1)
	}
	for n := range uint16(channels) {
		client.say(appendMethod(nil, n+1, &basicPublish{RoutingKey: "q"}), appendContent(nil, n+1, appendHeader(nil, defaultBody, jsonType()), nil, frameMost))
	}
	const may = (maxGathered + defaultBody) / defaultBody
	for range channels - may {
		client.hears(idChannelClose)
	}
}

// TestBrokersOfSmallFrames: a broker that offers frames in which nothing fits is not logged in to.
func TestBrokersOfSmallFrames(t *testing.T) {
	w := newWorld(t, allow("amqp:*", "jobs jobs/*"))
	for _, most := range []uint32{1, frameOver, frameOver + 1, frameMin - 1} {
		w.tune.FrameMax = most
		client := w.dial()
		conn, err := w.back.Accept()
		if err != nil {
			t.Fatal(err)
		}
		broker := newPeer(t, conn)
		if _, err := broker.r.Discard(protoHead); err != nil {
			t.Fatal(err)
		}
		broker.say(appendMethod(nil, 0, &connectionStart{Minor: 9, Mechanisms: []byte("PLAIN"), Locales: []byte("en_US")}))
		broker.hears(idConnectionStartOk)
		broker.say(appendMethod(nil, 0, &w.tune), appendMethod(nil, 0, &connectionOpenOk{}))
		client.hears(idConnectionClose)
	}
}

// TestAttackByAcknowledgements: a client acknowledges what it was shown, and nothing that is under way and may be refused.
func TestAttackByAcknowledgements(t *testing.T) {
	start := func() (client, broker *peer) {
		client, broker = maskedQueue(t)
		client.say(appendMethod(nil, 1, &basicConsume{Queue: "plain", ConsumerTag: "t", NoWait: true}))
		broker.hears(idBasicConsume)
		broker.say(contentOf(1, &basicDeliver{ConsumerTag: "t", DeliveryTag: 1}, jsonType(), "1"), contentOf(1, &basicDeliver{ConsumerTag: "t", DeliveryTag: 2}, jsonType(), "2"))
		for range 2 {
			client.hears(idBasicDeliver)
			client.body()
		}
		return client, broker
	}
	for _, early := range []method{&basicAck{DeliveryTag: 3}, &basicAck{DeliveryTag: 3, Multiple: true}, &basicNack{DeliveryTag: 3}, &basicReject{DeliveryTag: 3}, &basicReject{}} {
		client, broker := start()
		client.say(appendMethod(nil, 1, early))
		if m, _ := client.hears(idChannelClose); m.(*channelClose).Code != codePrecondition {
			t.Errorf("%s: %v", early.name(), m)
		}
		broker.hears(idChannelClose)
		if broker.heard(string(appendMethod(nil, 1, early))) {
			t.Errorf("the broker heard %s", early.name())
		}
	}
	for _, all := range []method{&basicAck{Multiple: true}, &basicNack{Multiple: true}} {
		client, broker := start()
		client.say(appendMethod(nil, 1, &basicReject{DeliveryTag: 1}), appendMethod(nil, 1, all), appendMethod(nil, 1, all), appendMethod(nil, 1, &basicQos{}))
		broker.hears(idBasicReject)
		m, _ := broker.hears(idBasicAck, idBasicNack)
		if tag, multiple := acknowledged(m); *tag != 2 || !multiple {
			t.Errorf("%s of %d", m.name(), *tag)
		}
		if m, _ := broker.hears(idBasicAck, idBasicNack, idBasicQos); m.id() != idBasicQos {
			t.Errorf("%s for nothing", m.name())
		}
	}
}

// TestTags: which deliveries wait for an acknowledgement.
func TestTags(t *testing.T) {
	var got tags
	want := map[uint64]bool{}
	top := func() (most uint64) {
		for tag := range want {
			most = max(most, tag)
		}
		return most
	}
	next := uint64(0)
	for i := range uint64(5000) {
		switch pick := i * 2654435761 >> 7 % 10; {
		case pick < 6:
			next++
			if err := got.shown(next, pick == 0); err != nil {
				t.Fatal(err)
			}
			if pick != 0 {
				want[next] = true
			}
		case pick < 9:
			tag := next - min(next, i*40503>>3%30)
			got.settle(tag, false)
			delete(want, tag)
		default:
			tag := next - min(next, i*40503>>3%50)
			got.settle(tag, true)
			for have := range want {
				if have <= tag {
					delete(want, have)
				}
			}
		}
		if got.all() != top() {
			t.Fatalf("step %d: %d, want %d", i, got.all(), top())
		}
	}
	for range 2 { // direct replies
		if err := got.shown(next+1, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := got.shown(next+1, false); err != nil {
		t.Error(err)
	}
	if err := got.shown(next+1, false); err == nil {
		t.Error("a tag came twice")
	}
}

// TestAttackByCopiesOfWhatIsUnread: a message that masks cannot read is Opaque wherever it goes.
func TestAttackByCopiesOfWhatIsUnread(t *testing.T) {
	w := newWorld(t, allow("amqp:*", "jobs jobs/*"), allow("amqp:Opaque", "jobs/exchange/x/a"), hide("jobs/exchange/x/*", "request"))
	client, broker := w.begin()
	open(client, broker, 1)
	p := jsonType()
	client.say(contentOf(1, &basicPublish{Exchange: "x", RoutingKey: "a"}, p, "none"))
	broker.hears(idBasicPublish)
	p.has, p.Headers = p.has|hasHeaders, table{{"CC", list{"b"}}}
	client.say(contentOf(1, &basicPublish{Exchange: "x", RoutingKey: "a"}, p, "copies"))
	client.hears(idChannelClose)
	broker.hears(idChannelClose)
	if broker.heard("copies") {
		t.Error("the broker was sent it")
	}
}

// TestRefusedConfirmsTakeNoRoom: while the broker confirms nothing, any number of messages may be refused.
func TestRefusedConfirmsTakeNoRoom(t *testing.T) {
	c := confirms{on: true}
	c.sent(c.count(), gate.Pass{}, 0)
	for range 1000 {
		c.refuse(c.count())
	}
	c.sent(c.count(), gate.Pass{}, 0)
	if len(c.list) > 3 {
		t.Errorf("%d are remembered", len(c.list))
	}
	told, ok := c.settle(0, true, func(publish) {})
	if want := []confirm{{1, false}, {1002, false}}; !ok || !slices.Equal(told, want) {
		t.Errorf("told %v", told)
	}
}

// TestAttackByNegativeSize: no message says that it is of a size that a condition would take for another.
func TestAttackByNegativeSize(t *testing.T) {
	w := newWorld(t, allow("amqp:*", "jobs jobs/*"),
		access.PolicyStatement{Effect: "deny", Actions: []string{"amqp:Publish"}, Resources: []string{"jobs/*"}, Condition: "message.size > 100"})
	client, broker := w.begin()
	open(client, broker, 1)
	client.say(appendMethod(nil, 1, &basicPublish{RoutingKey: "q"}), appendContent(nil, 1, appendHeader(nil, 1<<63, &properties{}), nil, frameMost),
		appendBody(nil, 1, []byte("beginning"), frameMost))
	client.hears(idConnectionClose)
	if broker.heard("beginning") {
		t.Error("the broker was sent it")
	}
}

// TestAttackByMovedHost: a session does not go on in a virtual host that its connection has left.
func TestAttackByMovedHost(t *testing.T) {
	w := newWorld(t, allow("amqp:*", "jobs jobs/*"))
	client, broker := w.begin()
	open(client, broker, 1)
	w.options.VirtualHost = "another"
	w.rules(allow("amqp:*", "jobs jobs/*"))
	client.say(appendMethod(nil, 1, &queuePurge{Queue: "q"}))
	client.hears(idChannelClose, idConnectionClose)
	if m, _ := broker.hears(idQueuePurge, idChannelClose, idConnectionClose); m.id() == idQueuePurge {
		t.Error("the broker was asked")
	}
}
