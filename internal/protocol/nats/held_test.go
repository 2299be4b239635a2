package nats

import (
	"strings"
	"testing"

	client "github.com/nats-io/nats.go"

	"gatehouse/internal/access"
)

// TestMasksThatCameMeanwhile: what waited for a reviewer is held to the masks of the moment in which it would leave.
func TestMasksThatCameMeanwhile(t *testing.T) {
	all := allow("nats:*", "jobs/*")
	held := access.PolicyStatement{Effect: "approve", Actions: []string{"nats:Publish", "nats:CreateStream"}, Resources: []string{"jobs/subject/refunds", "jobs/stream/COPY"},
		Reviewers: []string{"app"}}
	mask := access.PolicyStatement{Effect: "mask", Resources: []string{"jobs/subject/refunds", "jobs/subject/held.*"}, Fields: []string{"$.ssn"}, In: "both"}
	w := newWorld(t, all, held)
	c, errs := w.connect("a")
	d := w.direct()
	s := must[*client.Subscription](t)(d.SubscribeSync("refunds"))
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, publish := range []struct{ subject, payload, refusal string }{
		{"refunds", `{"ssn": "1"}`, `Permissions Violation for Publish to "refunds": the policies changed`},
		{"$JS.API.STREAM.CREATE.COPY", `{"name":"COPY","subjects":["held.>"],"republish":{"dest":"free.x"},"storage":"memory"}`,
			`Permissions Violation for Publish to "$JS.API.STREAM.CREATE.COPY": this would take messages that are masked`},
	} {
		w.rules(all, held)
		if err := c.Publish(publish.subject, []byte(publish.payload)); err != nil {
			t.Fatal(err)
		}
		<-w.approvals.asked
		w.rules(all, held, mask)
		w.approvals.answers <- access.ApprovalApproved
		violation(t, errs, publish.refusal)
	}
	js := must[client.JetStreamContext](t)(d.JetStream())
	for name := range js.StreamNames() {
		if strings.HasPrefix(name, "COPY") {
			t.Error("the stream was made")
		}
	}
	if m, _, err := s.Pending(); err != nil || m != 0 {
		t.Errorf("%d messages arrived, %v", m, err)
	}
}

// TestConditionsOfCalls: what is said of messages is not known of those that a call is about, whatever the call itself is like.
func TestConditionsOfCalls(t *testing.T) {
	large := access.PolicyStatement{Effect: "deny", Actions: []string{"nats:Subscribe"}, Resources: []string{"jobs/subject/large.*"}, Condition: "message.size > 1000"}
	w := newWorld(t, allow("nats:*", "jobs/*"), large)
	c, errs := w.connect("a")
	js := must[client.JetStreamContext](t)(w.direct().JetStream())
	must[*client.StreamInfo](t)(js.AddStream(&client.StreamConfig{Name: "LARGE", Subjects: []string{"large.>", "small.>"}, Storage: client.MemoryStorage}))
	t.Cleanup(func() { _ = js.DeleteStream("LARGE") }) // the server goes with the tests
	for _, filter := range []string{"large.>", ">"} {
		if err := c.Publish("$JS.API.CONSUMER.CREATE.LARGE.c", []byte(`{"stream_name":"LARGE","config":{"name":"c","filter_subject":"`+filter+`"}}`)); err != nil {
			t.Fatal(err)
		}
		violation(t, errs, `Permissions Violation for Publish to "$JS.API.CONSUMER.CREATE.LARGE.c"`)
	}
	own := must[client.JetStreamContext](t)(c.JetStream())
	must[*client.ConsumerInfo](t)(own.AddConsumer("LARGE", &client.ConsumerConfig{Name: "c", FilterSubject: "small.>"}))
}

// TestWhereItWasStored: a header that says where a message was stored takes nothing from what a subscription to its subject needs, and
// asks for nothing that only who reads streams has.
func TestWhereItWasStored(t *testing.T) {
	public := allow("nats:Subscribe", "jobs/subject/free.*")
	public.Condition = `message.headers.Kind == "public"`
	secret := access.PolicyStatement{Effect: "deny", Actions: []string{"nats:Subscribe"}, Resources: []string{"jobs/subject/secret.*"}}
	w := newWorld(t, public, secret)
	c, _ := w.connect("a")
	s := must[*client.Subscription](t)(c.SubscribeSync("free.*"))
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	d := w.direct()
	for _, m := range []client.Header{
		{"Nats-Stream": {"S"}, "Nats-Subject": {"stored"}, "Kind": {"private"}},
		{"Nats-Stream": {"S"}, "Nats-Subject": {"secret.a"}, "Kind": {"public"}},
		{"Nats-Stream": {"S"}, "Nats-Subject": {"stored"}, "Kind": {"public"}},
	} {
		if err := d.PublishMsg(&client.Msg{Subject: "free.x", Data: []byte(m.Get("Nats-Subject") + m.Get("Kind")), Header: m}); err != nil {
			t.Fatal(err)
		}
	}
	if m := next(t, s); string(m.Data) != "storedpublic" {
		t.Errorf("%s arrived", m.Data)
	}
}
