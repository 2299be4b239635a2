package nats

import (
	"testing"
	"time"

	client "github.com/nats-io/nats.go"

	"gatehouse/internal/access"
)

// TestPublishAndSubscribe: what policy allows passes as it is, what it does not is refused in the server's words, and the
// connection lives on.
func TestPublishAndSubscribe(t *testing.T) {
	w := newWorld(t, allow("nats:Publish nats:Subscribe", "jobs/subject/orders.*"))
	c, errs := w.connect("a")
	s := must[*client.Subscription](t)(c.SubscribeSync("orders.>"))
	for _, m := range []*client.Msg{{Subject: "orders.eu", Data: []byte("one")}, {Subject: "payments", Data: []byte("no")},
		{Subject: "orders.us", Data: []byte("two"), Header: client.Header{"X-A": {"1", "2"}}}} {
		if err := c.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	if m := next(t, s); m.Subject != "orders.eu" || string(m.Data) != "one" {
		t.Errorf("%+v", m)
	}
	if m := next(t, s); m.Subject != "orders.us" || string(m.Data) != "two" || len(m.Header["X-A"]) != 2 {
		t.Errorf("%+v", m)
	}
	violation(t, errs, `Permissions Violation for Publish to "payments": permission denied`)
	if _, err := c.SubscribeSync("payments.>"); err != nil {
		t.Fatal(err)
	}
	violation(t, errs, `Permissions Violation for Subscription to "payments.>"`)
	if err := c.Flush(); err != nil {
		t.Error(err)
	}
	if i := c.ConnectedServerVersion(); i != "2.9.10" && i == leastVersion {
		t.Errorf("the client knows its server as %s", i)
	}
}

// TestRequests: a requester is answered, and who answers needs no permission but to have been asked.
func TestRequests(t *testing.T) {
	w := newWorld(t, allow("nats:Publish nats:Subscribe", "jobs/subject/service"))
	server, _ := w.connect("server")
	must[*client.Subscription](t)(server.Subscribe("service", func(m *client.Msg) { _ = m.Respond(append([]byte("re: "), m.Data...)) }))
	if err := server.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, o := range [][]client.Option{nil, {client.UseOldRequestStyle()}} {
		c, _ := w.connect("client", o...)
		for range 3 {
			if m := must[*client.Msg](t)(c.Request("service", []byte("hello"), patience)); string(m.Data) != "re: hello" {
				t.Errorf("%q", m.Data)
			}
		}
	}
	if _, err := server.Request("nobody", nil, 300*time.Millisecond); err == nil {
		t.Error("a request to a subject that nothing allows was answered")
	}
}

// TestNobodyAnswers: where nobody listens the client is told so at once.
func TestNobodyAnswers(t *testing.T) {
	w := newWorld(t, allow("nats:Publish", "jobs/subject/service"))
	c, _ := w.connect("client")
	if _, err := c.Request("service", nil, patience); err != client.ErrNoResponders { //nolint:errorlint // the library returns it itself
		t.Errorf("%v", err)
	}
}

// TestInboxes: an inbox is its own requester's.
func TestInboxes(t *testing.T) {
	w := newWorld(t, allow("nats:Publish nats:Subscribe", "jobs/*"))
	a, _ := w.connect("a")
	mine := client.NewInbox()
	must[*client.Subscription](t)(a.SubscribeSync(mine + ".*"))
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	b, errs := w.connect("b")
	for _, subject := range []string{"_INBOX.>", "_INBOX.*", "_INBOX.*.*", "_INBOX.short", "*.>.x", mine, mine + ".*", mine + ".>", "$SYS.>", "$JS.API.>", "$JS.ACK.>"} {
		_, _ = b.SubscribeSync(subject) // the library itself refuses what is malformed
		_ = b.Flush()
	}
	for range 11 {
		violation(t, errs, "Permissions Violation for Subscription")
	}
	for _, subject := range []string{mine, mine + ".x", "_INBOX.abc", "$SYS.REQ.SERVER.PING", "$JS.FC.x"} {
		if err := b.Publish(subject, []byte("forged")); err != nil {
			t.Fatal(err)
		}
		violation(t, errs, `Permissions Violation for Publish to "`+subject+`"`)
	}
	all := must[*client.Subscription](t)(b.SubscribeSync(">"))
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	d := w.direct()
	for _, subject := range []string{mine + ".x", "_INBOX.other", "$KV.x.y", "plain"} {
		if err := d.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"$KV.x.y", "plain"} {
		if m := next(t, all); m.Subject != want {
			t.Errorf("%s, want %s", m.Subject, want)
		}
	}
	if n := len(w.recorded(access.EventActionRefused)); n != 11+5 {
		t.Errorf("%d refusals on record: what a set of all does not stand for is not refused", n)
	}
}

// TestFiltered: of a plain subscription to a set that is denied in part, what is denied is left out; a group would lose it, and is
// refused.
func TestFiltered(t *testing.T) {
	w := newWorld(t, allow("nats:Publish nats:Subscribe", "jobs/subject/*"), deny("nats:Subscribe", "jobs/subject/orders.secret"))
	c, errs := w.connect("a")
	s := must[*client.Subscription](t)(c.SubscribeSync("orders.*"))
	if err := s.AutoUnsubscribe(2); err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"orders.secret", "orders.a", "orders.secret", "orders.b", "orders.c"} {
		if err := c.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"orders.a", "orders.b"} {
		if m := next(t, s); m.Subject != want {
			t.Errorf("%s, want %s", m.Subject, want)
		}
	}
	if n := len(w.recorded(access.EventActionRefused)); n != 2 {
		t.Errorf("%d refusals on record, want 2", n)
	}
	if _, err := c.QueueSubscribeSync("orders.*", "workers"); err != nil {
		t.Fatal(err)
	}
	violation(t, errs, `Permissions Violation for Subscription to "orders.*" using queue "workers"`)
	if _, err := c.SubscribeSync("orders.secret"); err != nil {
		t.Fatal(err)
	}
	violation(t, errs, `Permissions Violation for Subscription to "orders.secret"`)
}

// TestDecidedByContent: conditions read a message's headers and its body, on both ways.
func TestDecidedByContent(t *testing.T) {
	big := deny("nats:Publish", "jobs/*")
	big.Condition = "message.body.amount > 100"
	secret := deny("nats:Subscribe", "jobs/*")
	secret.Condition = `message.headers["X-Secret"] == "yes"`
	w := newWorld(t, allow("nats:Publish nats:Subscribe", "jobs/subject/*"), big, secret)
	c, errs := w.connect("a")
	s := must[*client.Subscription](t)(c.SubscribeSync("orders"))
	send := func(body string, h client.Header) {
		if err := c.PublishMsg(&client.Msg{Subject: "orders", Data: []byte(body), Header: h}); err != nil {
			t.Fatal(err)
		}
	}
	send(`{"amount": 101}`, client.Header{"X-Secret": {"no"}})
	violation(t, errs, `Permissions Violation for Publish to "orders"`)
	send(`{"amount": 1}`, client.Header{"X-Secret": {"yes"}})
	send(`{"amount": 2}`, client.Header{"X-Secret": {"no"}})
	if m := next(t, s); string(m.Data) != `{"amount": 2}` {
		t.Errorf("%s", m.Data)
	}
}

// TestMasked: values are hidden in what arrives, and in what is sent where policy says so; the sizes are the new ones.
func TestMasked(t *testing.T) {
	shown := access.PolicyStatement{Effect: "mask", Resources: []string{"jobs/subject/people"}, Fields: []string{"$.ssn"}, Headers: []string{"X-Card"}, With: &access.MaskWith{Word: "redact"}}
	sent := access.PolicyStatement{Effect: "mask", Resources: []string{"jobs/subject/logs"}, Fields: []string{"$.ssn"}, In: "request", With: &access.MaskWith{Word: "redact"}}
	w := newWorld(t, allow("nats:Publish nats:Subscribe", "jobs/subject/*"), shown, sent)
	c, _ := w.connect("a")
	d := w.direct()
	people, logs := must[*client.Subscription](t)(c.SubscribeSync("people")), must[*client.Subscription](t)(d.SubscribeSync("logs"))
	if err := errorsOf(c.Flush(), d.Flush()); err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"name": "Ann", "ssn": "078-05-1120"}`)
	for _, m := range []*client.Msg{{Subject: "people", Data: []byte("not JSON")}, {Subject: "people", Data: body, Header: client.Header{"X-Card": {"4111"}}}} {
		if err := d.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	if m := next(t, people); string(m.Data) != `{"name": "Ann", "ssn": "[redacted]"}` || m.Header.Get("X-Card") != "[redacted]" {
		t.Errorf("%s %v", m.Data, m.Header)
	}
	if err := c.Publish("logs", body); err != nil {
		t.Fatal(err)
	}
	if m := next(t, logs); string(m.Data) != `{"name": "Ann", "ssn": "[redacted]"}` {
		t.Errorf("%s", m.Data)
	}
}

// TestHeld: what waits for a reviewer waits aside, and what comes after it goes on.
func TestHeld(t *testing.T) {
	held := access.PolicyStatement{Effect: "approve", Actions: []string{"nats:Publish"}, Resources: []string{"jobs/subject/refunds"}, Reviewers: []string{"app"}}
	w := newWorld(t, allow("nats:Publish nats:Subscribe", "jobs/subject/*"), held)
	c, errs := w.connect("a")
	d := w.direct()
	s := must[*client.Subscription](t)(d.SubscribeSync("*"))
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"refunds", "other"} {
		if err := c.Publish(subject, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	if m := next(t, s); m.Subject != "other" {
		t.Fatalf("%s came first", m.Subject)
	}
	if a := <-w.approvals.asked; a.Text != "PUB refunds" || len(a.Params) != 2 || a.Params[1] != "x" {
		t.Errorf("%+v", a)
	}
	w.approvals.answers <- access.ApprovalApproved
	if m := next(t, s); m.Subject != "refunds" || string(m.Data) != "x" {
		t.Errorf("%+v", m)
	}
	if err := c.Publish("refunds", []byte("y")); err != nil {
		t.Fatal(err)
	}
	<-w.approvals.asked
	w.approvals.answers <- access.ApprovalDenied
	violation(t, errs, `Permissions Violation for Publish to "refunds": a reviewer denied this`)
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
