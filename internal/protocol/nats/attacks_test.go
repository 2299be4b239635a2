package nats

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"
	streams "github.com/nats-io/nats.go/jetstream"

	"gatehouse/internal/access"
)

// inboxOfAttack is long enough that it is the session's own.
const inboxOfAttack = "_INBOX.abcdefghijklmnopqrstuv"

// headless is the login of a client that says that it reads no headers.
const headless = "CONNECT {\"user\":\"jobs\",\"pass\":\"good-a\",\"protocol\":1}\r\n"

// storedSecret is a stream at the server itself, with one message of which a value is masked.
func (w *world) storedSecret(stream, subject string, h client.Header) {
	w.t.Helper()
	ctx, done := context.WithTimeout(context.Background(), patience)
	defer done()
	js := must[streams.JetStream](w.t)(streams.New(w.direct()))
	must[streams.Stream](w.t)(js.CreateStream(ctx, streams.StreamConfig{Name: stream, Subjects: []string{subject}, AllowDirect: true}))
	w.t.Cleanup(func() { _ = w.drop(stream) })
	must[*streams.PubAck](w.t)(js.PublishMsg(ctx, &client.Msg{Subject: subject, Data: []byte(`{"ssn": "078-05-1120"}`), Header: h}))
}

func hidesNumber(resource string) access.PolicyStatement {
	return access.PolicyStatement{Effect: "mask", Resources: []string{resource}, Fields: []string{"$.ssn"}, With: &access.MaskWith{Word: "redact"}}
}

// TestClientsWithoutHeaders: a client that says that it reads no headers hides nothing from the gateway by it: neither where an
// answer was stored nor what conditions and masks read. It is sent what a server sends such a client.
func TestClientsWithoutHeaders(t *testing.T) {
	secret := deny("nats:Deliver", "jobs/subject/plain")
	secret.Condition = `message.headers["X-Secret"] == "yes"`
	w := newWorld(t, allow("nats:*", "jobs/*"), hidesNumber("jobs/subject/headless"), secret)
	w.storedSecret("HEADLESS", "headless", nil)
	r := w.raw()
	_, _ = io.WriteString(r, headless+"SUB "+inboxOfAttack+".* 1\r\nPUB $JS.API.DIRECT.GET.HEADLESS.headless "+inboxOfAttack+".1 0\r\n\r\n")
	_, line := r.until(t, "MSG")
	if want := fmt.Sprintf("MSG %s.1 1 %d", inboxOfAttack, len(`{"ssn": "[redacted]"}`)); line != want {
		t.Errorf("%q", line)
	}
	if body := must[string](t)(r.r.ReadString('\n')); strings.TrimSpace(body) != `{"ssn": "[redacted]"}` {
		t.Errorf("%q", body)
	}
	_, _ = io.WriteString(r, "SUB plain 2\r\nPING\r\n")
	r.until(t, "PONG")
	d := w.direct()
	for _, v := range []string{"yes", "no"} {
		if err := d.PublishMsg(&client.Msg{Subject: "plain", Data: []byte(v), Header: client.Header{"X-Secret": {v}}}); err != nil {
			t.Fatal(err)
		}
	}
	_, line = r.until(t, "MSG")
	if body := must[string](t)(r.r.ReadString('\n')); line != "MSG plain 2 2" || body != "no\r\n" {
		t.Errorf("%q %q", line, body)
	}
}

// TestForgedAnswers: what a session tells itself of a stream does not open a backup or a copy of what is masked in it.
func TestForgedAnswers(t *testing.T) {
	w := newWorld(t, allow("nats:*", "jobs/*"), hidesNumber("jobs/subject/forged"))
	w.storedSecret("FORGED", "forged", nil)
	r := w.raw()
	_, _ = io.WriteString(r, connect+"SUB "+inboxOfAttack+".* 1\r\n")
	forged := `{"type":"io.nats.jetstream.api.v1.stream_info_response","config":{"name":"FORGED","subjects":["harmless"]}}`
	_, _ = r.Write(appendPub(nil, inboxOfAttack+".0", "", nil, []byte(forged)))
	r.until(t, "MSG "+inboxOfAttack+".0")
	backup := `{"deliver_subject":"` + inboxOfAttack + `.2"}`
	_, _ = r.Write(appendPub(nil, "$JS.API.STREAM.SNAPSHOT.FORGED", inboxOfAttack+".1", nil, []byte(backup)))
	copied := `{"name":"COPIED","sources":[{"name":"FORGED"}]}`
	_, _ = r.Write(appendPub(nil, "$JS.API.STREAM.CREATE.COPIED", inboxOfAttack+".3", nil, []byte(copied)))
	t.Cleanup(func() { _ = w.drop("COPIED") })
	for _, subject := range []string{"$JS.API.STREAM.SNAPSHOT.FORGED", "$JS.API.STREAM.CREATE.COPIED"} {
		if _, line := r.until(t, "-ERR"); !strings.Contains(line, subject) {
			t.Errorf("%q", line)
		}
	}
}

// TestBucketsByName: a stream that is called as a bucket's is may have other subjects all the same.
func TestBucketsByName(t *testing.T) {
	for _, c := range [][2]string{
		{"$JS.API.STREAM.SNAPSHOT.KV_evil", `{"deliver_subject":"` + inboxMine + `"}`},
		{"$JS.API.STREAM.CREATE.M", `{"name":"M","sources":[{"name":"OBJ_evil"}]}`},
		{"$JS.API.CONSUMER.CREATE.KV_evil.c", `{"stream_name":"KV_evil","config":{"name":"c","deliver_subject":"b"}}`},
	} {
		j, err := jetstream().understand(c[0], inboxMine, []byte(c[1]))
		if err != nil || !slices.Contains(j.copies, "jobs/subject/**") {
			t.Errorf("%s takes %v: %v", c[0], j, err)
		}
	}
	j, err := jetstream().understand("$JS.API.CONSUMER.MSG.NEXT.KV_evil.c", "elsewhere", nil)
	if err != nil || !slices.Contains(j.copies, "jobs/subject/**") {
		t.Errorf("an answer that goes elsewhere takes %v: %v", j, err)
	}
}

// TestStreamsDeliverToSetsToo: a mask on a stream holds for what its consumers deliver to whoever also listens where it was published.
func TestStreamsDeliverToSetsToo(t *testing.T) {
	w := newWorld(t, allow("nats:*", "jobs/*"), hidesNumber("jobs/stream/SETS"))
	w.storedSecret("SETS", "sets", nil)
	r := w.raw()
	_, _ = io.WriteString(r, connect+"SUB > 1\r\nSUB "+inboxOfAttack+".1 2\r\nPING\r\n")
	r.until(t, "PONG")
	d := w.direct()
	if err := errorsOf(d.Publish("sets", []byte("{}")), d.Flush()); err != nil { // so that a statement about the subject is known
		t.Fatal(err)
	}
	r.until(t, "MSG sets 1")
	config := `{"stream_name":"SETS","config":{"durable_name":"c","deliver_subject":"` + inboxOfAttack + `.1","ack_policy":"explicit"}}`
	_, _ = r.Write(appendPub(nil, "$JS.API.CONSUMER.DURABLE.CREATE.SETS.c", inboxOfAttack+".2", nil, []byte(config)))
	for range 2 { // as one of the set, and as the consumer's own
		_, line := r.until(t, "MSG sets ")
		if body := must[string](t)(r.r.ReadString('\n')); strings.TrimSpace(body) != `{"ssn": "[redacted]"}` {
			t.Errorf("%q: %q", line, body)
		}
	}
}

// TestHeadersThatCopyOrTell: headers of a publish that have the server send on, or tell, what is masked, are refused under masks.
func TestHeadersThatCopyOrTell(t *testing.T) {
	w := newWorld(t, allow("nats:*", "jobs/*"), access.PolicyStatement{Effect: "mask", Resources: []string{"jobs/subject/told"}, Fields: []string{"$.ssn"},
		Headers: []string{"Nats-Msg-Id"}, With: &access.MaskWith{Word: "redact"}})
	w.storedSecret("TOLD", "told", client.Header{"Nats-Msg-Id": {"078-05-1120"}})
	r := w.raw()
	_, _ = io.WriteString(r, connect+"SUB "+inboxOfAttack+".* 1\r\n")
	for name, value := range map[string]string{"Nats-Expected-Last-Msg-Id": "x", "Nats-Incr": "0", "Nats-Schedule-Source": "told"} {
		head := "NATS/1.0\r\n" + name + ": " + value + "\r\n\r\n"
		_, _ = r.Write(appendPub(nil, "told", inboxOfAttack+".1", []byte(head), nil))
		before, line := r.until(t, "-ERR")
		if !strings.Contains(line, "masked") || strings.Contains(strings.Join(before, " "), "078-05") {
			t.Errorf("%s: %q %q", name, before, line)
		}
	}
	_, _ = r.Write(appendPub(nil, "free", "", []byte("NATS/1.0\r\nNats-Incr: 1\r\n\r\n"), nil))
	_, _ = io.WriteString(r, "PING\r\n")
	if before, _ := r.until(t, "PONG"); strings.Contains(strings.Join(before, " "), "-ERR") {
		t.Errorf("%q", before)
	}
}

// TestScheduledMessagesAreMasked: a message that the server sends on later is masked as one to where it is sent.
func TestScheduledMessagesAreMasked(t *testing.T) {
	hidden := hidesNumber("jobs/subject/logs.later")
	hidden.In = "request"
	w := newWorld(t, allow("nats:*", "jobs/*"), hidden)
	d := w.direct()
	s := must[*client.Subscription](t)(d.SubscribeSync("timers"))
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	c, _ := w.connect("a")
	head := client.Header{"Nats-Schedule": {"@at 2030-01-01T00:00:00Z"}, "Nats-Schedule-Target": {"logs.later"}}
	if err := c.PublishMsg(&client.Msg{Subject: "timers", Header: head, Data: []byte(`{"ssn": "078-05-1120"}`)}); err != nil {
		t.Fatal(err)
	}
	if m := next(t, s); string(m.Data) != `{"ssn": "[redacted]"}` {
		t.Errorf("%s", m.Data)
	}
}

// TestRefusedForEver: a client that is refused again and again, and never reads, is not remembered every word.
func TestRefusedForEver(t *testing.T) {
	w := newWorld(t, allow("nats:Subscribe", "jobs/subject/a"))
	r := w.raw()
	if c, ok := r.Conn.(*net.TCPConn); ok {
		_ = c.SetReadBuffer(4 << 10)
	}
	_, _ = io.WriteString(r, connect+"PING\r\n")
	r.until(t, "PONG")
	_ = r.SetWriteDeadline(time.Now().Add(3 * time.Second))
	some := strings.Repeat("PUB "+strings.Repeat("x", 500)+" 0\r\n\r\n", 100)
	const most = 64 << 20
	sent := 0
	for sent < most {
		n, err := io.WriteString(r, some)
		if sent += n; err != nil {
			break
		}
	}
	if sent >= most {
		t.Errorf("%d bytes were taken of a client that reads nothing", sent)
	}
}
