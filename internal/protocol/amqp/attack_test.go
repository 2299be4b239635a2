package amqp

import (
	"bytes"
	"strings"
	"testing"
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
	broker.say(appendContent(appendMethod(nil, 1, &basicGetOk{}), 1, appendHeader(nil, 10, &properties{}), []byte("01234"), frameMost),
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
