package amqp

import (
	"fmt"
	"testing"

	"gatehouse/internal/access"
)

// TestNaming: an empty name is the queue that the broker would take it for, or not understood.
func TestNaming(t *testing.T) {
	k := aSession()
	declare := func(n *naming, queue string) asked { return k.sending(n, &queueDeclare{Queue: queue}) }
	answer := func(n *naming, a asked, queue string) { k.learn(n, a, &queueDeclareOk{Queue: queue}) }
	for what, c := range map[string]struct {
		do    func(n *naming)
		want  string // "" where it is not understood
		waits bool
	}{
		"nothing declared":      {func(*naming) {}, "", false},
		"a name, not answered":  {func(n *naming) { declare(n, "a") }, "a", false},
		"no name, not answered": {func(n *naming) { declare(n, "") }, "", true},
		"no name, answered":     {func(n *naming) { answer(n, declare(n, ""), "amq.gen-1") }, "amq.gen-1", false},
		"a name before the answer": {func(n *naming) {
			a := declare(n, "")
			declare(n, "b")
			answer(n, a, "amq.gen-1")
		}, "b", false},
		"two without a name, one answered": {func(n *naming) {
			a := declare(n, "")
			declare(n, "")
			answer(n, a, "amq.gen-1")
		}, "", true},
		"two without a name": {func(n *naming) {
			a, b := declare(n, ""), declare(n, "")
			answer(n, a, "amq.gen-1")
			answer(n, b, "amq.gen-2")
		}, "amq.gen-2", false},
		"no name, and no answer wanted": {func(n *naming) {
			declare(n, "a")
			k.sending(n, &queueDeclare{NoWait: true})
		}, "", false},
	} {
		n := &naming{}
		c.do(n)
		for _, m := range []method{&basicConsume{}, &basicGet{}, &queueDelete{}, &queuePurge{}, &queueBind{}, &queueUnbind{}} {
			full, waits, err := n.full(m)
			if waits != c.waits || (err == nil) != (c.want != "") {
				t.Errorf("%s: %s: waits %v, %v", what, m.name(), waits, err)
			}
			queue, key := "", c.want
			switch m := full.(type) {
			case *basicConsume:
				queue = m.Queue
			case *basicGet:
				queue = m.Queue
			case *queueDelete:
				queue = m.Queue
			case *queuePurge:
				queue = m.Queue
			case *queueBind:
				queue, key = m.Queue, m.RoutingKey
			case *queueUnbind:
				queue, key = m.Queue, m.RoutingKey
			}
			if queue != c.want || key != c.want {
				t.Errorf("%s: %s on %q with key %q", what, m.name(), queue, key)
			}
		}
	}
	n := &naming{last: "a"}
	if m, _, _ := n.full(&queueBind{RoutingKey: "k"}); m.(*queueBind).RoutingKey != "k" {
		t.Error("a key that was given is another one")
	}
}

// TestOwnQueues: a session's own are those that it declared exclusive, or the broker named for it.
func TestOwnQueues(t *testing.T) {
	k := aSession()
	n := &naming{}
	for _, m := range []*queueDeclare{{Queue: "exclusive", Exclusive: true}, {}, {Queue: "shared"}, {Queue: "looked at", Exclusive: true, Passive: true}} {
		a := k.sending(n, m)
		ok := &queueDeclareOk{Queue: m.Queue}
		if m.Queue == "" {
			ok.Queue = "amq.gen-1"
		}
		k.learn(n, a, ok)
	}
	for queue, want := range map[string]bool{"exclusive": true, "amq.gen-1": true, "shared": false, "looked at": false} {
		if k.owns(queue) != want {
			t.Errorf("owns %q: %v", queue, !want)
		}
	}
}

// TestKindsOfExchanges: a type is known after the broker agreed to it, and no longer than until somebody asks to change it.
func TestKindsOfExchanges(t *testing.T) {
	var p places
	e := p.of(brokerConnection("jobs"))
	if p.of(brokerConnection("jobs")) != e || p.of(brokerConnection("other")) == e {
		t.Fatal("what is known belongs to a broker")
	}
	k, n := newKnown("jobs", e, func() map[string]string { return map[string]string{"vouched": kindDirect} }), &naming{}
	declare := func(kind string) asked { return k.sending(n, &exchangeDeclare{Exchange: "x", Type: kind}) }
	agree := func(a asked) { k.learn(n, a, &exchangeDeclareOk{}) }
	is := func(want string) {
		t.Helper()
		if got := e.kind("x"); got != want {
			t.Errorf("the type is %q, not %q", got, want)
		}
	}
	a := declare(kindDirect)
	is("")
	agree(a)
	is(kindDirect)
	b := declare(kindFanout) // the broker refuses it, unless the exchange is gone
	is("")
	agree(a) // late
	is("")
	agree(b)
	is(kindFanout)
	c := declare(kindFanout)
	k.sending(n, &exchangeDelete{Exchange: "x"})
	is("")
	agree(c)
	is("")
	agree(k.sending(n, &exchangeDeclare{Exchange: "x", Type: kindTopic, Passive: true}))
	is("")
	agree(declare(kindTopic))
	is(kindTopic)
	for i := range 2*maxKinds + 2 {
		e.deleting(fmt.Sprint(i))
	}
	if len(e.changed) > maxKinds {
		t.Errorf("%d names are kept", len(e.changed))
	}
	late := declare(kindTopic)
	for i := range 2*maxKinds + 2 {
		e.deleting(fmt.Sprint(i))
		if i == 3 {
			e.deleting("x")
		}
	}
	agree(late)
	is("")
}

// TestVouchedExchanges: what a document says of an exchange holds until somebody asks to change the exchange.
func TestVouchedExchanges(t *testing.T) {
	for what, c := range map[string]struct {
		do   func(k *known, n *naming)
		want string
	}{
		"nothing":             {func(*known, *naming) {}, "direct"},
		"declared as it is":   {func(k *known, n *naming) { k.sending(n, &exchangeDeclare{Exchange: "x", Type: kindDirect}) }, "direct"},
		"looked at":           {func(k *known, n *naming) { k.sending(n, &exchangeDeclare{Exchange: "x", Passive: true}) }, "direct"},
		"declared as another": {func(k *known, n *naming) { k.sending(n, &exchangeDeclare{Exchange: "x", Type: kindFanout}) }, ""},
		"deleted":             {func(k *known, n *naming) { k.sending(n, &exchangeDelete{Exchange: "x"}) }, ""},
		"another, and it was made": {func(k *known, n *naming) {
			k.learn(n, k.sending(n, &exchangeDeclare{Exchange: "x", Type: kindFanout}), &exchangeDeclareOk{})
		}, "fanout"},
	} {
		k := newKnown("jobs", newExchanges(), func() map[string]string { return map[string]string{"x": kindDirect} })
		c.do(k, &naming{})
		if got := k.exchanges.kindOr("x", k.vouched()["x"]); got != c.want {
			t.Errorf("%s: it is %q", what, got)
		}
	}
}

// TestReplies: replies may go to where this session was asked to send them, by as many as are kept.
func TestReplies(t *testing.T) {
	k := aSession()
	for i := range maxReplies + 10 {
		k.given(fmt.Sprint(replyKeys, i))
	}
	k.given("payroll")
	for key, want := range map[string]bool{replyKeys + "0": false, replyKeys + "4000": true, "payroll": false} {
		if k.mayReply(key) != want {
			t.Errorf("%s: %v", key, !want)
		}
	}
	if len(k.order) != maxReplies || len(k.replies) != maxReplies {
		t.Errorf("%d addresses are kept", len(k.order))
	}
}

func brokerConnection(name string) *access.Connection {
	return &access.Connection{Name: name, Type: "amqp", Address: name + ".test:5672"}
}
