package amqp

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/access"
)

// says writes the actions of a statement in short: Verb resource, with ~ where it is a set, and ? before what is only related.
func says(st *access.Statement) string {
	var out []string
	one := func(mark string, a access.Action) {
		verb, resource := strings.TrimPrefix(a.Name, prefix), strings.TrimPrefix(a.Resource, "jobs/")
		if a.Wild {
			mark += "~"
		}
		out = append(out, mark+verb+" "+resource)
	}
	for _, a := range st.Actions {
		one("", a)
	}
	for _, a := range st.Related {
		one("?", a)
	}
	return strings.Join(out, ", ")
}

// session is what the tests' session knows.
func aSession() *known {
	e := newExchanges()
	for exchange, kind := range map[string]string{"orders": kindTopic, "direct": kindDirect, "all": kindFanout, "by-header": kindHeaders} {
		e.declared(exchange, kind, e.declaring(exchange, kind))
	}
	k := newKnown("jobs", e, func() map[string]string { return map[string]string{"vouched": kindTopic} })
	k.own("amq.gen-mine")
	k.given("amq.rabbitmq.reply-to.abc")
	return k
}

func args(pairs ...any) table {
	var t table
	for i := 0; i < len(pairs); i += 2 {
		t = append(t, entry{pairs[i].(string), pairs[i+1]})
	}
	return t
}

func headers(pairs ...any) *properties {
	return &properties{has: hasHeaders, Headers: args(pairs...)}
}

// TestUnderstand: each way that messages can take is asked for.
func TestUnderstand(t *testing.T) {
	for _, c := range []struct {
		m    method
		p    *properties
		want string
	}{
		{&basicPublish{Exchange: "orders", RoutingKey: "eu.card"}, nil, "Publish exchange/orders/eu.card"},
		{&basicPublish{Exchange: "orders", RoutingKey: ""}, nil, "Publish exchange/orders/"},
		{&basicPublish{Exchange: "orders", RoutingKey: "a/b%c*"}, nil, "Publish exchange/orders/a%2Fb%25c%2A"},
		{&basicPublish{RoutingKey: "payroll"}, nil, "Publish exchange/amq.default/payroll, ?Publish queue/payroll"},
		{&basicPublish{Exchange: "amq.default", RoutingKey: "payroll"}, nil, "Publish exchange/amq.default/payroll, ?Publish queue/payroll"},
		{&basicPublish{Exchange: "orders", RoutingKey: "a"}, headers("CC", list{"b", "a", "b"}, "BCC", list{"c"}),
			"Publish exchange/orders/a, Publish exchange/orders/b, Publish exchange/orders/c"},
		{&basicPublish{RoutingKey: "a"}, headers("BCC", list{"payroll"}),
			"Publish exchange/amq.default/a, Publish exchange/amq.default/payroll, ?Publish queue/a, ?Publish queue/payroll"},
		{&basicPublish{RoutingKey: "amq.rabbitmq.reply-to.abc"}, nil, "Reply queue/amq.rabbitmq.reply-to.abc"},
		{&basicPublish{RoutingKey: "amq.rabbitmq.reply-to.other"}, nil,
			"Publish exchange/amq.default/amq.rabbitmq.reply-to.other, ?Publish queue/amq.rabbitmq.reply-to.other"},
		{&basicPublish{RoutingKey: "amq.rabbitmq.reply-to.abc"}, headers("CC", list{"payroll"}),
			"Reply queue/amq.rabbitmq.reply-to.abc, Publish exchange/amq.default/payroll, ?Publish queue/payroll"},
		{&basicConsume{Queue: "refunds"}, nil, "Consume queue/refunds"},
		{&basicConsume{Queue: "refunds", Arguments: args("x-priority", int32(3))}, nil, "Consume queue/refunds"},
		{&basicConsume{Queue: "refunds", Arguments: args("x-new", int32(3))}, nil, "Consume queue/refunds, Opaque queue/refunds"},
		{&basicConsume{Queue: "amq.gen-mine"}, nil, "Consume queue/amq.gen-mine"},
		{&basicConsume{Queue: "amq.gen-theirs"}, nil, "Consume queue/amq.gen-theirs, UseForeignQueue queue/amq.gen-theirs"},
		{&basicGet{Queue: "amq.gen-theirs"}, nil, "Get queue/amq.gen-theirs, UseForeignQueue queue/amq.gen-theirs"},
		{&queuePurge{Queue: "refunds"}, nil, "Purge queue/refunds"},
		{&queueDelete{Queue: "refunds"}, nil, "DeleteQueue queue/refunds"},
		{&queueDeclare{Queue: "refunds"}, nil, "DeclareQueue queue/refunds"},
		{&queueDeclare{Queue: "refunds", Passive: true}, nil, "CheckQueue queue/refunds"},
		{&queueDeclare{Exclusive: true, AutoDelete: true}, nil, "~DeclareQueue queue/amq.gen-*"},
		{&queueDeclare{Queue: "amq.rabbitmq.reply-to.abc", Passive: true}, nil, "Reply queue/amq.rabbitmq.reply-to.abc"},
		{&queueDeclare{Queue: "amq.rabbitmq.reply-to.other"}, nil, "CheckQueue queue/amq.rabbitmq.reply-to.other"},
		{&queueDeclare{Queue: "q", AutoDelete: true}, nil, "DeclareQueue queue/q, ?Discard queue/q"},
		{&queueDeclare{Queue: "q", Arguments: args("x-max-length", int32(1))}, nil, "DeclareQueue queue/q, ?Discard queue/q"},
		{&queueDeclare{Queue: "q", Exclusive: true, Arguments: args("x-expires", int32(1))}, nil, "DeclareQueue queue/q"},
		{&queueDeclare{Queue: "q", Arguments: args("x-unheard-of", true)}, nil, "DeclareQueue queue/q, Opaque queue/q"},
		{&queueDeclare{Queue: "q", Arguments: args("x-dead-letter-exchange", "dlx", "x-dead-letter-routing-key", "dead.q")}, nil,
			"DeclareQueue queue/q, Publish exchange/dlx/dead.q"},
		{&queueDeclare{Queue: "q", Arguments: args("x-dead-letter-exchange", "dlx")}, nil, "DeclareQueue queue/q, ~Publish exchange/dlx/**"},
		{&queueDeclare{Queue: "q", Arguments: args("x-dead-letter-exchange", "", "x-dead-letter-routing-key", "payroll")}, nil,
			"DeclareQueue queue/q, Publish exchange/amq.default/payroll, ?Publish queue/payroll"},
		{&queueDeclare{Queue: "q", Arguments: args("x-dead-letter-exchange", "")}, nil,
			"DeclareQueue queue/q, ~Publish exchange/amq.default/**, ?~Publish queue/**"},
		{&exchangeDeclare{Exchange: "x", Type: "topic"}, nil, "DeclareExchange exchange/x"},
		{&exchangeDeclare{Exchange: "x", Type: "topic", Passive: true}, nil, "CheckExchange exchange/x"},
		{&exchangeDeclare{Exchange: "x", Type: "x-delayed-message"}, nil, "DeclareExchange exchange/x, Opaque exchange/x"},
		{&exchangeDeclare{Exchange: "x", Type: "topic", Arguments: args("hash-header", "h")}, nil, "DeclareExchange exchange/x, Opaque exchange/x"},
		{&exchangeDeclare{Exchange: "x", Type: "topic", Arguments: args("alternate-exchange", "orders")}, nil,
			"DeclareExchange exchange/x, ~Publish exchange/orders/**"},
		{&exchangeDelete{Exchange: "x"}, nil, "DeleteExchange exchange/x"},
		{&queueBind{Queue: "q", Exchange: "orders", RoutingKey: "eu.card"}, nil, "Bind queue/q, BindSource exchange/orders/eu.card, ?Publish queue/q"},
		{&queueBind{Queue: "q", Exchange: "orders", RoutingKey: "eu.*"}, nil, "Bind queue/q, ~BindSource exchange/orders/eu.*, ?Publish queue/q"},
		{&queueBind{Queue: "q", Exchange: "orders", RoutingKey: "eu.#"}, nil,
			"Bind queue/q, ~BindSource exchange/orders/eu.**, BindSource exchange/orders/eu, ?Publish queue/q"},
		{&queueBind{Queue: "q", Exchange: "orders", RoutingKey: "#"}, nil, "Bind queue/q, ~BindSource exchange/orders/**, ?Publish queue/q"},
		{&queueBind{Queue: "q", Exchange: "orders", RoutingKey: "#.#"}, nil, "Bind queue/q, ~BindSource exchange/orders/**, ?Publish queue/q"},
		{&queueBind{Queue: "q", Exchange: "direct", RoutingKey: "#"}, nil, "Bind queue/q, ~BindSource exchange/direct/**, ?Publish queue/q"},
		{&queueBind{Queue: "q", Exchange: "orders", RoutingKey: "a*.b#"}, nil, "Bind queue/q, BindSource exchange/orders/a%2A.b#, ?Publish queue/q"},
		{&queueBind{Queue: "q", Exchange: "all", RoutingKey: "eu"}, nil, "Bind queue/q, ~BindSource exchange/all/**, ?Publish queue/q"},
		{&queueBind{Queue: "q", Exchange: "by-header", RoutingKey: "eu", Arguments: args("x-match", "any", "region", "eu")}, nil,
			"Bind queue/q, ~BindSource exchange/by-header/**, ?Publish queue/q"},
		{&queueBind{Queue: "q", Exchange: "nobody-knows", RoutingKey: "eu"}, nil, "Bind queue/q, ~BindSource exchange/nobody-knows/**, ?Publish queue/q"},
		{&queueBind{Queue: "q", Exchange: "vouched", RoutingKey: "eu"}, nil, "Bind queue/q, BindSource exchange/vouched/eu, ?Publish queue/q"},
		{&queueBind{Queue: "q", Exchange: "amq.fanout", RoutingKey: "eu"}, nil, "Bind queue/q, ~BindSource exchange/amq.fanout/**, ?Publish queue/q"},
		{&queueBind{Queue: "q", Exchange: "amq.direct", RoutingKey: "eu"}, nil, "Bind queue/q, BindSource exchange/amq.direct/eu, ?Publish queue/q"},
		{&queueBind{Queue: "q", Exchange: "amq.rabbitmq.trace", RoutingKey: "publish.x"}, nil,
			"Bind queue/q, BindSource exchange/amq.rabbitmq.trace/publish.x, Opaque exchange/amq.rabbitmq.trace/publish.x, ?Publish queue/q"},
		{&queueUnbind{Queue: "q", Exchange: "orders", RoutingKey: "eu"}, nil, "Unbind queue/q, UnbindSource exchange/orders/eu"},
		{&exchangeBind{Destination: "d", Source: "orders", RoutingKey: "eu.*"}, nil,
			"Bind exchange/d, ~BindSource exchange/orders/eu.*, ~Publish exchange/d/eu.*"},
		{&exchangeBind{Destination: "d", Source: "all", RoutingKey: "eu"}, nil, "Bind exchange/d, ~BindSource exchange/all/**, ~Publish exchange/d/**"},
		{&exchangeUnbind{Destination: "d", Source: "orders", RoutingKey: "eu"}, nil, "Unbind exchange/d, UnbindSource exchange/orders/eu"},
		{&txSelect{}, nil, "Transaction jobs"},
	} {
		st, err := (*protocol)(nil).understand(aSession(), c.m, c.p)
		if err != nil {
			t.Errorf("%#v: %v", c.m, err)
			continue
		}
		if got := says(st); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", st.Text, got, c.want)
		}
		if st.Text == "" || st.Normal == "" || st.Fingerprint == "" {
			t.Errorf("%#v has no text", c.m)
		}
	}
}

// TestNotUnderstood: what the broker would read in another way than policy, or nobody could name, is refused.
func TestNotUnderstood(t *testing.T) {
	long := make(list, maxRoutes+1)
	for i := range long {
		long[i] = fmt.Sprint(i)
	}
	for what, c := range map[string]struct {
		m method
		p *properties
	}{
		"a line end in a queue's name":        {&queueDelete{Queue: "pay\nroll"}, nil},
		"a line end in an exchange's name":    {&queueBind{Queue: "q", Exchange: "or\rders"}, nil},
		"a zero in a name":                    {&basicGet{Queue: "q\x00"}, nil},
		"a name that is not UTF-8":            {&basicConsume{Queue: "q\xff"}, nil},
		"a destination with a line end":       {&exchangeBind{Destination: "d\n", Source: "orders"}, nil},
		"a key that is not UTF-8":             {&basicPublish{Exchange: "orders", RoutingKey: "\xc3"}, nil},
		"a copy's key that is not UTF-8":      {&basicPublish{Exchange: "orders"}, headers("CC", list{"\xc3"})},
		"immediate":                           {&basicPublish{Exchange: "orders", Immediate: true}, nil},
		"user_id":                             {&basicPublish{Exchange: "orders"}, &properties{has: hasUserID, UserID: "guest"}},
		"CC that is a text":                   {&basicPublish{Exchange: "orders"}, headers("CC", "payroll")},
		"BCC with what is no text":            {&basicPublish{Exchange: "orders"}, headers("BCC", list{int32(1)})},
		"CC with bytes":                       {&basicPublish{Exchange: "orders"}, headers("CC", list{[]byte("payroll")})},
		"CC without end":                      {&basicPublish{Exchange: "orders"}, headers("CC", long)},
		"a dead-letter exchange of bytes":     {&queueDeclare{Queue: "q", Arguments: args("x-dead-letter-exchange", []byte("x"))}, nil},
		"a dead-letter exchange with a zero":  {&queueDeclare{Queue: "q", Arguments: args("x-dead-letter-exchange", "x\x00")}, nil},
		"a dead-letter key that is a number":  {&queueDeclare{Queue: "q", Arguments: args("x-dead-letter-exchange", "x", "x-dead-letter-routing-key", int32(1))}, nil},
		"an alternate exchange that is a map": {&exchangeDeclare{Exchange: "x", Type: "topic", Arguments: args("alternate-exchange", table{})}, nil},
	} {
		if st, err := (*protocol)(nil).understand(aSession(), c.m, c.p); err == nil {
			t.Errorf("%s: %s", what, says(st))
		}
	}
}

// TestMessagesHaveTheirWay: a message on its way to the client is of its queue, and of all that it came through.
func TestMessagesHaveTheirWay(t *testing.T) {
	for _, c := range []struct {
		exchange, key string
		headers       table
		want          string
	}{
		{"orders", "eu.card", nil, "Consume queue/q, Deliver queue/q, ?Deliver exchange/orders/eu.card"},
		{"", "q", nil, "Consume queue/q, Deliver queue/q, ?Deliver exchange/amq.default/q"},
		{"orders", "a", args("CC", list{"b"}), "Consume queue/q, Deliver queue/q, ?Deliver exchange/orders/a, ?Deliver exchange/orders/b"},
		{"dlx", "q", args("x-death", list{args("queue", "payroll", "exchange", "salaries", "routing-keys", list{"jane"}), "odd"}),
			"Consume queue/q, Deliver queue/q, ?Deliver exchange/dlx/q, ?Deliver queue/payroll, ?Deliver exchange/salaries/jane"},
	} {
		st, err := (*protocol)(nil).understandDelivery(aSession(), verbConsume, "q", c.exchange, c.key, c.headers)
		if err != nil {
			t.Fatal(err)
		}
		if got := says(st); got != c.want {
			t.Errorf("got %s\nwant %s", got, c.want)
		}
	}
	var deaths list
	for i := range maxOrigins {
		deaths = append(deaths, args("queue", fmt.Sprint(i)))
	}
	if _, err := (*protocol)(nil).understandDelivery(aSession(), verbConsume, "q", "x", "k", args("x-death", deaths)); err == nil {
		t.Error("origins beyond the bound are not looked at, and nobody minds")
	}
}

// TestMessageFacts: what a condition reads is what the message says, and what it says twice is unknown.
func TestMessageFacts(t *testing.T) {
	again := true
	p := headers("n", int32(1))
	p.has |= hasContentType | hasReplyTo
	p.ContentType, p.ReplyTo = "Application/JSON; charset=utf-8", "back"
	m := message("orders", "eu.card", "q", p, 3, &again, nil)
	if m.Exchange != "orders" || m.RoutingKey != "eu.card" || m.Queue != "q" || m.ContentType != "application/json" || m.ReplyTo != "back" ||
		*m.Size != 3 || !*m.Redelivered || m.Headers["n"] != int64(1) || m.Properties["reply_to"] != "back" {
		t.Errorf("%+v", m)
	}
	if m := message("", "payroll", "", nil, 0, nil, nil); m.Exchange != "amq.default" || m.Queue != "payroll" {
		t.Errorf("%+v", m)
	}
	for _, name := range []string{"CC", "BCC"} {
		if m := message("", "loot", "", headers(name, list{"payroll"}), 0, nil, nil); m.Exchange != "" || m.RoutingKey != "" || m.Queue != "" {
			t.Errorf("%s: %+v", name, m)
		}
		if m := message("orders", "loot", "q", headers(name, list{"payroll"}), 0, nil, nil); m.Exchange != "" || m.RoutingKey != "" || m.Queue != "q" {
			t.Errorf("%s, delivered: %+v", name, m)
		}
	}
}

// BenchmarkUnderstand reads what is read once for each exchange and key of a session.
func BenchmarkUnderstand(b *testing.B) {
	k := aSession()
	for what, m := range map[string]method{
		"publish": &basicPublish{Exchange: "orders", RoutingKey: "eu.card"},
		"bind":    &queueBind{Queue: "q", Exchange: "orders", RoutingKey: "eu.#"},
	} {
		b.Run(what, func(b *testing.B) {
			for b.Loop() {
				if _, err := (*protocol)(nil).understand(k, m, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
