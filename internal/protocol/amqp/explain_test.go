package amqp

import (
	"reflect"
	"strings"
	"testing"

	"gatehouse/internal/access"
)

// TestWrittenMethods: what the log has of a method is read as the same method again.
func TestWrittenMethods(t *testing.T) {
	for _, m := range []method{
		&basicPublish{Exchange: "orders", RoutingKey: "eu.card", Mandatory: true},
		&basicPublish{Exchange: "amq.default", RoutingKey: "a b\"c\\ mandatory"},
		&basicPublish{Exchange: "amq.default", RoutingKey: ""},
		&basicConsume{Queue: "refunds", NoAck: true, Exclusive: true, Arguments: args("x-priority", int64(3))},
		&basicGet{Queue: "refunds=x", NoAck: true},
		&queueDeclare{Queue: "", Exclusive: true, AutoDelete: true},
		&queueDeclare{Queue: "q", Durable: true, Arguments: args("x-dead-letter-exchange", "", "x-message-ttl", int64(10))},
		&queueDelete{Queue: "q", IfEmpty: true, IfUnused: true},
		&queuePurge{Queue: "{}"},
		&queueBind{Queue: "q", Exchange: "orders", RoutingKey: "eu.#", Arguments: args("x-match", "all")},
		&queueUnbind{Queue: "q", Exchange: "orders", RoutingKey: "*"},
		&exchangeBind{Destination: "d", Source: "s", RoutingKey: "k"},
		&exchangeUnbind{Destination: "d", Source: "s", RoutingKey: "k"},
		&exchangeDeclare{Exchange: "x", Type: "topic", Durable: true, Internal: true, AutoDelete: true, Arguments: args("alternate-exchange", "y")},
		&exchangeDeclare{Exchange: "x", Passive: true},
		&exchangeDelete{Exchange: "x", IfUnused: true},
		&txCommit{},
	} {
		var st access.Statement
		write(&st, m, nil)
		w, err := readWritten(st.Text)
		if err != nil {
			t.Errorf("%s: %v", st.Text, err)
			continue
		}
		if !reflect.DeepEqual(w.m, m) {
			t.Errorf("%s is read as %#v", st.Text, w.m)
		}
	}
}

// TestWrittenMessages: a message is read with its properties, its copies and its body.
func TestWrittenMessages(t *testing.T) {
	p := headers("CC", list{"b", "c d"}, "n", int64(1))
	p.has |= hasContentType | hasReplyTo | hasPriority
	p.ContentType, p.ReplyTo, p.Priority = "application/json", "back", 3
	m := &basicPublish{Exchange: "orders", RoutingKey: "a"}
	var st access.Statement
	writeMessage(&st, m, []string{"b", "c d"}, p, []byte("{\"amount\": 3}"))
	w, err := readWritten(st.Text)
	if err != nil {
		t.Fatalf("%s: %v", st.Text, err)
	}
	if !reflect.DeepEqual(w.m, m) || !reflect.DeepEqual(w.props, p) || w.body != "{\"amount\": 3}" {
		t.Errorf("%s\nis read as %#v %#v %q", st.Text, w.m, w.props, w.body)
	}
	for _, l := range st.Literals {
		if l.Start >= l.End || l.End > len(st.Text) {
			t.Errorf("a literal from %d to %d of %d bytes", l.Start, l.End, len(st.Text))
		}
	}
	if strings.Contains(st.Normal, "amount") || strings.Contains(st.Normal, "back") {
		t.Errorf("the normal form holds values: %s", st.Normal)
	}
	body, _ := w.json().(map[string]any)
	if body["amount"] != int64(3) {
		t.Errorf("the body is %v", body)
	}
}

// TestShorthand: what people write by hand.
func TestShorthand(t *testing.T) {
	for text, want := range map[string]string{
		`publish orders eu.card {"amount": 3}`: `basic.publish exchange=orders key=eu.card`,
		`bind q orders eu.*`:                   `queue.bind queue=q exchange=orders key=eu.*`,
		`consume refunds no_ack`:               `basic.consume queue=refunds no_ack`,
		`purge refunds`:                        `queue.purge queue=refunds`,
	} {
		w, err := readWritten(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var st access.Statement
		if write(&st, w.m, nil); st.Text != want {
			t.Errorf("%s is read as %s", text, st.Text)
		}
		if strings.Contains(text, "amount") && w.body != `{"amount": 3}` {
			t.Errorf("%s has the body %q", text, w.body)
		}
	}
	for _, text := range []string{"", "basic.ack delivery_tag=1", "publish a b c d", `queue.bind nobody=1`, `queue.purge queue="`, `queue.declare arguments={`, "basic.qos"} {
		if w, err := readWritten(text); err == nil {
			t.Errorf("%q is read as %#v", text, w.m)
		}
	}
}

// TestFingerprints: methods that differ only in values are alike, and those that do other things are not.
func TestFingerprints(t *testing.T) {
	of := func(m method, more ...string) string {
		var st access.Statement
		write(&st, m, more)
		return st.Fingerprint
	}
	a := of(&basicPublish{Exchange: "orders", RoutingKey: "eu.order.10001"})
	if a != of(&basicPublish{Exchange: "orders", RoutingKey: "eu.order.20002"}) {
		t.Error("keys that differ in a number are not alike")
	}
	for what, b := range map[string]string{
		"another exchange": of(&basicPublish{Exchange: "payroll", RoutingKey: "eu.order.10001"}),
		"another key":      of(&basicPublish{Exchange: "orders", RoutingKey: "eu.refund.10001"}),
		"a copy":           of(&basicPublish{Exchange: "orders", RoutingKey: "eu.order.10001"}, "payroll"),
	} {
		if a == b {
			t.Errorf("%s is alike", what)
		}
	}
}

// TestFolds: names that the broker made up are one, and keys lie below their exchange.
func TestFolds(t *testing.T) {
	f := folds(nil)
	for resource, want := range map[string]string{
		"jobs/queue/amq.gen-JzTY20":                                "jobs/queue/amq.gen-*",
		"jobs/exchange/amq.default/amq.gen-JzTY20":                 "jobs/exchange/amq.default/amq.gen-*",
		"jobs/exchange/amq.default/amq.rabbitmq.reply-to.g1h2.x==": "jobs/exchange/amq.default/amq.rabbitmq.reply-to.*",
		"jobs/queue/refunds":                                       "",
		"jobs/exchange/orders/amq.gen-x":                           "",
	} {
		if got, ok := f(resource); got != want || ok != (want != "") {
			t.Errorf("%s: %s, %v", resource, got, ok)
		}
	}
	for resource, want := range map[string]string{
		"jobs/exchange/orders/eu.card.1": "jobs/exchange/orders/eu.card.", "jobs/exchange/orders/eu.": "jobs/exchange/orders/",
		"jobs/exchange/orders/eu": "jobs/exchange/orders/", "jobs/exchange/orders/": "", "jobs/exchange/orders": "", "jobs/queue/refunds.eu": "",
	} {
		if got, ok := parent(resource); got != want || ok != (want != "") {
			t.Errorf("above %s: %q, %v", resource, got, ok)
		}
	}
}
