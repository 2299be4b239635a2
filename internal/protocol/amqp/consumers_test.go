package amqp

import "testing"

// TestConsumerTags: a tag that stands for one consumer, or may still, is not taken for another: deliveries are told apart by it alone.
func TestConsumerTags(t *testing.T) {
	ch := &channel{consumers: map[string]*consumer{"there": {queue: "a"}, "leaving": {queue: "a"}},
		pending: []pending{{m: &basicConsume{ConsumerTag: "coming"}}, {m: &basicCancel{ConsumerTag: "leaving"}}}}
	for tag, want := range map[string][2]bool{"there": {true, false}, "coming": {true, false}, "leaving": {true, true}, "new": {false, false}, "": {false, false}} {
		if got := [2]bool{ch.takes(tag), ch.ending(&basicConsume{ConsumerTag: tag})}; got != want {
			t.Errorf("%q: got %v, want %v", tag, got, want)
		}
	}
}
