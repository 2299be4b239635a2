package queues

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// sessionDocuments are the roles of the tests below.
const sessionDocuments = `
kind: Policy
name: broker-work
statements:
  - effect: allow
    actions: ["amqp:*"]
    resources: ["jobs/*"]
  - effect: deny
    actions: [amqp:Publish]
    resources: ["jobs/exchange/amq.topic/secret.*"]
    message: "Nobody publishes secrets."
  - effect: deny
    actions: [amqp:Publish]
    resources: ["jobs/exchange/amq.topic/orders.*"]
    condition: "message.body.amount > 100"
  - effect: deny
    actions: [amqp:Deliver]
    resources: ["jobs/queue/judged-*"]
    condition: "message.body.secret == true"
  - effect: approve
    actions: [amqp:Publish]
    resources: ["jobs/exchange/amq.topic/refunds.*"]
    reviewers: [desk]
  - effect: approve
    actions: [amqp:Purge]
    resources: ["jobs/queue/held-*"]
    reviewers: [desk]
  - effect: mask
    resources: ["jobs/queue/masked-*"]
    fields: ["$.card"]
    headers: [x-customer]
    with: redact
---
kind: Role
name: broker-work
bind:
  - issuer: dev
    claims: {sub: "fn:broker-work"}
policies: [broker-work]
---
kind: Role
name: desk
bind:
  - issuer: dev-people
    claims: {group: desk}
`

// connect connects through the gateway as a subject.
func connect(t *testing.T, subject string) *amqp.Connection {
	t.Helper()
	at, err := shared.Through(t.Context(), shared.Gateway, AMQP, subject)
	if err != nil {
		t.Fatal(err)
	}
	return dialAt(t, at)
}

// straight connects to the broker itself.
func straight(t *testing.T) *amqp.Connection {
	t.Helper()
	return dialAt(t, shared.Direct(AMQP))
}

func dialAt(t *testing.T, at Place) *amqp.Connection {
	t.Helper()
	pem, err := os.ReadFile(at.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	conn, err := amqp.DialConfig(at.URL, amqp.Config{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, Heartbeat: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func channelOf(t *testing.T, conn *amqp.Connection) *amqp.Channel {
	t.Helper()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func apply(t *testing.T) {
	t.Helper()
	if err := shared.Apply(t.Context(), shared.Gateway, sessionDocuments); err != nil {
		t.Fatal(err)
	}
}

func body(s string) amqp.Publishing {
	return amqp.Publishing{ContentType: "application/json", Body: []byte(s)}
}

// bound declares a queue at the broker itself, bound to keys of amq.topic, which is gone after the test.
func bound(t *testing.T, queue string, keys ...string) *amqp.Channel {
	t.Helper()
	ch := channelOf(t, straight(t))
	if _, err := ch.QueueDeclare(queue, false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = ch.QueueDelete(queue, false, false, false) })
	for _, k := range keys {
		if err := ch.QueueBind(queue, k, "amq.topic", false, nil); err != nil {
			t.Fatal(err)
		}
	}
	return ch
}

// ready is how many messages a queue has, by the broker's own count.
func ready(t *testing.T, ch *amqp.Channel, queue string) int {
	t.Helper()
	q, err := ch.QueueDeclarePassive(queue, false, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return q.Messages
}

func code(t *testing.T, closed <-chan *amqp.Error) *amqp.Error {
	t.Helper()
	select {
	case e := <-closed:
		if e == nil {
			t.Fatal("closed without a reason")
		}
		return e
	case <-time.After(patience):
		t.Fatal("nothing was closed")
		return nil
	}
}

// TestRefusalEndsAChannel: a refused publish is a channel exception; the connection, and other channels, live on.
func TestRefusalEndsAChannel(t *testing.T) {
	apply(t)
	at := bound(t, "session-topic", "#")
	conn := connect(t, "fn:broker-work")
	other := channelOf(t, conn)
	for range 3 { // the number of the channel is used again
		ch := channelOf(t, conn)
		closed := ch.NotifyClose(make(chan *amqp.Error, 1))
		for _, key := range []string{"fine", "secret.x", "after"} {
			_ = ch.PublishWithContext(t.Context(), "amq.topic", key, false, false, body("{}"))
		}
		if e := code(t, closed); e.Code != 403 || !strings.Contains(e.Reason, "Nobody publishes secrets") {
			t.Errorf("got %v", e)
		}
	}
	if _, err := other.QueueDeclarePassive("session-topic", false, false, false, false, nil); err != nil {
		t.Errorf("the other channel: %v", err)
	}
	if n := ready(t, at, "session-topic"); n != 3 {
		t.Errorf("%d messages reached the broker, not the 3 that came before a refusal", n)
	}
}

// TestContentRefusedIsANack: under confirms a message that is refused for what it says is not confirmed, and all others are, each by its
// own number.
func TestContentRefusedIsANack(t *testing.T) {
	apply(t)
	at := bound(t, "session-orders", "orders.*")
	conn := connect(t, "fn:broker-work")
	ch := channelOf(t, conn)
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	var confirms []*amqp.DeferredConfirmation
	const n = 300
	for i := range n {
		amount := 5
		if i%3 == 1 {
			amount = 500
		}
		c, err := ch.PublishWithDeferredConfirmWithContext(t.Context(), "amq.topic", "orders.eu", false, false, body(fmt.Sprintf(`{"amount": %d}`, amount)))
		if err != nil {
			t.Fatal(err)
		}
		confirms = append(confirms, c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i, c := range confirms {
		if ok, err := c.WaitContext(ctx); err != nil || ok != (i%3 != 1) {
			t.Fatalf("publish %d: confirmed %t, %v", i+1, ok, err)
		}
	}
	if got := ready(t, at, "session-orders"); got != n-n/3 {
		t.Errorf("%d messages reached the broker", got)
	}
	plain := channelOf(t, conn)
	closed := plain.NotifyClose(make(chan *amqp.Error, 1))
	_ = plain.PublishWithContext(t.Context(), "amq.topic", "orders.eu", false, false, body(`{"amount": 500}`))
	if e := code(t, closed); e.Code != 403 {
		t.Errorf("without confirms: %v", e)
	}
	large := body(`{"amount": 5, "pad": "` + strings.Repeat("x", 2<<20) + `"}`)
	c, err := ch.PublishWithDeferredConfirmWithContext(t.Context(), "amq.topic", "orders.eu", false, false, large)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := c.WaitContext(ctx); ok || err != nil {
		t.Errorf("a message larger than what is held: confirmed %t, %v", ok, err)
	}
}

// TestRefusedDeliveryIsNotLost: a message that the client may not have ends the channel, and stays in its queue.
func TestRefusedDeliveryIsNotLost(t *testing.T) {
	apply(t)
	at := bound(t, "judged-1")
	for _, b := range []string{`{"secret": false}`, `{"secret": true}`, `{"secret": false}`} {
		if err := at.PublishWithContext(t.Context(), "", "judged-1", false, false, body(b)); err != nil {
			t.Fatal(err)
		}
	}
	conn := connect(t, "fn:broker-work")
	ch := channelOf(t, conn)
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	if err := ch.Qos(1, 0, false); err != nil {
		t.Fatal(err)
	}
	got, err := ch.Consume("judged-1", "", false, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := <-got
	if string(d.Body) != `{"secret": false}` || d.Redelivered {
		t.Errorf("got %q", d.Body)
	}
	if err := d.Ack(false); err != nil {
		t.Fatal(err)
	}
	if e := code(t, closed); e.Code != 403 {
		t.Errorf("got %v", e)
	}
	for range got {
		t.Error("more came")
	}
	ch = channelOf(t, conn)
	closed = ch.NotifyClose(make(chan *amqp.Error, 1))
	if _, _, err := ch.Get("judged-1", false); err == nil {
		t.Error("the refused message was got")
	}
	if e := code(t, closed); e.Code != 403 {
		t.Errorf("got %v", e)
	}
	ch = channelOf(t, conn)
	if _, err := ch.Consume("judged-1", "", true, false, false, false, nil); err == nil {
		t.Error("without acknowledgements what is refused would be lost")
	}
	deadline := time.Now().Add(patience)
	for ready(t, at, "judged-1") != 2 && time.Now().Before(deadline) {
	}
	if n := ready(t, at, "judged-1"); n != 2 {
		t.Errorf("%d messages are left, want the refused one and the one behind it", n)
	}
}

// TestMasksOfDeliveries: values are hidden in bodies and headers; what cannot be read is refused, and stays.
func TestMasksOfDeliveries(t *testing.T) {
	apply(t)
	at := bound(t, "masked-1")
	big := `{"card": "4111 1111 1111 1111", "pad": "` + strings.Repeat("p", 300<<10) + `"}`
	for _, m := range []amqp.Publishing{
		{ContentType: "application/json", Body: []byte(`{"card": "4111 1111 1111 1111", "n": 1}`), Headers: amqp.Table{"x-customer": "ann", "x-n": int32(7)}, MessageId: "m1", Priority: 3},
		{ContentType: "application/json", Body: []byte(big)},
		{ContentType: "application/json", Body: []byte(`{"n": 3}`)},
	} {
		if err := at.PublishWithContext(t.Context(), "", "masked-1", false, false, m); err != nil {
			t.Fatal(err)
		}
	}
	conn := connect(t, "fn:broker-work")
	ch := channelOf(t, conn)
	got, err := ch.Consume("masked-1", "", false, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []amqp.Delivery
	for range 3 {
		select {
		case d := <-got:
			all = append(all, d)
		case <-time.After(patience):
			t.Fatal("nothing came")
		}
	}
	for i, d := range all {
		var v map[string]any
		if err := json.Unmarshal(d.Body, &v); err != nil || bytes.Contains(d.Body, []byte("4111")) || d.DeliveryTag != uint64(i+1) {
			t.Errorf("delivery %d: tag %d, %.80q, %v", i, d.DeliveryTag, d.Body, err)
		}
	}
	if h := all[0].Headers; h["x-customer"] == "ann" || h["x-n"] != int32(7) || all[0].MessageId != "m1" || all[0].Priority != 3 {
		t.Errorf("got %+v", all[0])
	}
	if len(all[1].Body) < 300<<10 || string(all[2].Body) != `{"n": 3}` {
		t.Errorf("got %d bytes, and %q", len(all[1].Body), all[2].Body)
	}
	if err := all[2].Ack(true); err != nil {
		t.Fatal(err)
	}
	if err := ch.Close(); err != nil {
		t.Fatal(err)
	}
	if n := ready(t, at, "masked-1"); n != 0 {
		t.Errorf("%d messages were not acknowledged", n)
	}
	odd := amqp.Publishing{ContentType: "application/json", ContentEncoding: "gzip", Body: []byte(`{"card": "4111"}`)}
	if err := at.PublishWithContext(t.Context(), "", "masked-1", false, false, odd); err != nil {
		t.Fatal(err)
	}
	ch = channelOf(t, conn)
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	if _, ok, err := ch.Get("masked-1", false); ok || err == nil {
		t.Errorf("what cannot be read was shown: %v", err)
	}
	if e := code(t, closed); e.Code != 403 {
		t.Errorf("got %v", e)
	}
}

// approvals waits for an approval whose text holds a word, and returns its id.
func pendingApproval(t *testing.T, word string) string {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		r := shared.Gateway.CLI(t.Context(), "", "approvals", "list", "-o", "json")
		var list []struct {
			ID, Text string
			Params   []string
		}
		if err := json.Unmarshal([]byte(r.Out), &list); err != nil {
			t.Fatalf("%v: %s%s", err, r.Out, r.Err)
		}
		for _, a := range list {
			if strings.Contains(a.Text, word) {
				return a.ID
			}
		}
	}
	t.Fatal("nobody was asked")
	return ""
}

func answerApproval(t *testing.T, how, id string) {
	t.Helper()
	token, err := shared.Gateway.PersonToken(t.Context(), "ann", "group=desk")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := shared.Gateway.CLI(t.Context(), "", "approvals", how, id, "--reason", "test", "--token-file", file); r.Code != 0 {
		t.Fatalf("%s: %s%s", how, r.Out, r.Err)
	}
}

// TestHeldPublish: a publish waits for a reviewer with its channel; other channels and the heartbeats go on, and confirms are right.
func TestHeldPublish(t *testing.T) {
	apply(t)
	at := bound(t, "session-refunds", "refunds.*", "plain")
	for _, how := range []string{"approve", "deny"} {
		t.Run(how, func(t *testing.T) {
			conn := connect(t, "fn:broker-work")
			ch, other := channelOf(t, conn), channelOf(t, conn)
			if err := errors.Join(ch.Confirm(false), other.Confirm(false)); err != nil {
				t.Fatal(err)
			}
			publish := func(ch *amqp.Channel, key string) *amqp.DeferredConfirmation {
				c, err := ch.PublishWithDeferredConfirmWithContext(t.Context(), "amq.topic", key, false, false, body(`{"key": "`+key+`"}`))
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			first, held, last := publish(ch, "plain"), publish(ch, "refunds."+how), publish(ch, "plain")
			id := pendingApproval(t, "refunds."+how)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if ok, err := publish(other, "plain").WaitContext(ctx); !ok || err != nil {
				t.Errorf("another channel: %t, %v", ok, err)
			}
			if ok, err := first.WaitContext(ctx); !ok || err != nil {
				t.Errorf("what came before: %t, %v", ok, err)
			}
			select {
			case <-held.Done():
				t.Error("confirmed before it was approved")
			case <-last.Done():
				t.Error("what came after was sent before")
			case <-time.After(3 * time.Second): // three heartbeats
			}
			answerApproval(t, how, id)
			if ok, err := held.WaitContext(ctx); ok != (how == "approve") || err != nil {
				t.Errorf("held: %t, %v", ok, err)
			}
			if ok, err := last.WaitContext(ctx); !ok || err != nil {
				t.Errorf("what came after: %t, %v", ok, err)
			}
		})
	}
	if n := ready(t, at, "session-refunds"); n != 7 {
		t.Errorf("%d messages reached the broker, want 7", n)
	}
}

// TestHeldPurge: a purge waits; closing its connection takes it back.
func TestHeldPurge(t *testing.T) {
	apply(t)
	at := bound(t, "held-1")
	fill := func() {
		for range 3 {
			if err := at.PublishWithContext(t.Context(), "", "held-1", false, false, body("{}")); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill()
	conn := connect(t, "fn:broker-work")
	ch := channelOf(t, conn)
	purged := make(chan error, 1)
	go func() {
		n, err := ch.QueuePurge("held-1", false)
		if err == nil && n != 3 {
			err = fmt.Errorf("%d were purged", n)
		}
		purged <- err
	}()
	answerApproval(t, "approve", pendingApproval(t, "held-1"))
	if err := <-purged; err != nil {
		t.Error(err)
	}
	fill()
	go func() {
		_, err := ch.QueuePurge("held-1", false)
		purged <- err
	}()
	id := pendingApproval(t, "held-1")
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if err := <-purged; err == nil {
		t.Error("purged by a connection that was closed")
	}
	r := shared.Gateway.CLI(t.Context(), "", "approvals", "show", id)
	if !strings.Contains(r.Out, "cancelled") {
		t.Errorf("the approval outlives its client: %s%s", r.Out, r.Err)
	}
	if n := ready(t, at, "held-1"); n != 3 {
		t.Errorf("%d messages are left", n)
	}
}
