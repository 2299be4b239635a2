package nats

import (
	"io"
	"strings"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"

	"gatehouse/internal/access"
)

// TestReplies: a session answers where it was asked to, and nowhere that the request's author could have it send to with the
// session's own permissions.
func TestReplies(t *testing.T) {
	w := newWorld(t, allow("nats:Publish", "jobs/subject/service"), allow("nats:Subscribe", "jobs/subject/service"), deny("nats:Publish", "jobs/subject/admin"))
	c, errs := w.connect("server")
	s := must[*client.Subscription](t)(c.SubscribeSync("service"))
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	d := w.direct()
	all := must[*client.Subscription](t)(d.SubscribeSync(">"))
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	for reply, want := range map[string]bool{"_INBOX.abcdefghijklmnopqrstuv.1": true, "answers.here": true, "admin.reset": false, "$SYS.REQ.SERVER.PING": false,
		"$JS.API.STREAM.DELETE.X": false} {
		if err := c.Publish(reply, []byte("before")); err != nil {
			t.Fatal(err)
		}
		violation(t, errs, `Permissions Violation for Publish to "`+reply+`"`)
		if err := d.PublishRequest("service", reply, nil); err != nil {
			t.Fatal(err)
		}
		if m := next(t, all); m.Subject != "service" {
			t.Fatalf("%s", m.Subject)
		}
		if err := next(t, s).Respond([]byte("yes")); err != nil {
			t.Fatal(err)
		}
		if !want {
			violation(t, errs, `Permissions Violation for Publish to "`+reply+`"`)
		} else if m := next(t, all); m.Subject != reply || string(m.Data) != "yes" {
			t.Errorf("%s %s", m.Subject, m.Data)
		}
	}
}

// TestAnswersElsewhere: who asks for an answer at a subject that is no inbox of its own needs permission to publish there.
func TestAnswersElsewhere(t *testing.T) {
	w := newWorld(t, allow("nats:Publish", "jobs/subject/service jobs/subject/answers"))
	c, errs := w.connect("a")
	for reply, want := range map[string]bool{"answers": true, "admin": false, "_INBOX.abcdefghijklmnopqrstuv.1": false, "$JS.API.INFO": false} {
		if err := errorsOf(c.PublishRequest("service", reply, nil), c.Flush()); err != nil {
			t.Fatal(err)
		}
		if !want {
			violation(t, errs, `Permissions Violation for Publish to "service"`)
		}
	}
	if len(errs) > 0 {
		t.Error(<-errs)
	}
}

// TestGroupsLoseNothingQuietly: a group's member that may not be shown a message is told, and taken out of the group.
func TestGroupsLoseNothingQuietly(t *testing.T) {
	w := newWorld(t, allow("nats:Subscribe", "jobs/subject/*"))
	c, errs := w.connect("a")
	must[*client.Subscription](t)(c.QueueSubscribeSync("work.*", "q"))
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	w.rules(allow("nats:Subscribe", "jobs/subject/*"), deny("nats:Subscribe", "jobs/subject/work.secret"))
	d := w.direct()
	if err := errorsOf(d.Publish("work.secret", nil), d.Flush()); err != nil {
		t.Fatal(err)
	}
	violation(t, errs, `Permissions Violation for Subscription to "work.*" using queue "q"`)
	if err := c.Flush(); err != nil { // behind it the server has the member's end
		t.Fatal(err)
	}
	other := must[*client.Subscription](t)(d.QueueSubscribeSync("work.*", "q"))
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if err := d.Publish("work.a", nil); err != nil {
			t.Fatal(err)
		}
	}
	for range 50 {
		next(t, other)
	}
}

// TestHeldSubscriptions: what a reviewer agreed to is delivered, and what the client takes back meanwhile never is.
func TestHeldSubscriptions(t *testing.T) {
	held := access.PolicyStatement{Effect: "approve", Actions: []string{"nats:Subscribe"}, Resources: []string{"jobs/subject/held"}, Reviewers: []string{"app"}}
	w := newWorld(t, allow("nats:Publish nats:Subscribe", "jobs/subject/*"), held)
	c, _ := w.connect("a")
	s := must[*client.Subscription](t)(c.SubscribeSync("held"))
	if err := c.Publish("held", []byte("before")); err != nil {
		t.Fatal(err)
	}
	<-w.approvals.asked
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	w.approvals.answers <- access.ApprovalApproved
	for n := 0; n == 0; { // the subscription is on its way to the server
		if err := errorsOf(c.Publish("held", []byte("after")), c.Flush()); err != nil {
			t.Fatal(err)
		}
		n, _, _ = s.Pending()
	}
	if m := next(t, s); string(m.Data) != "after" {
		t.Errorf("%s", m.Data)
	}
	taken := must[*client.Subscription](t)(c.SubscribeSync("held"))
	<-w.approvals.asked
	if err := errorsOf(taken.Unsubscribe(), c.Flush()); err != nil {
		t.Fatal(err)
	}
	for due := time.Now().Add(patience); len(w.recorded(access.EventActionRefused)) == 0; {
		if time.Now().After(due) {
			t.Fatal("the wait goes on")
		}
		time.Sleep(time.Millisecond) // the record says so to nobody
	}
}

// TestFloodsOfMessages: above a rate that policy sets messages are recorded by windows, on both ways, and all of them are counted.
func TestFloodsOfMessages(t *testing.T) {
	both := allow("nats:Publish nats:Subscribe", "jobs/subject/*")
	both.Record = &access.RecordWith{Above: new(int), Messages: 50}
	w := newWorld(t, both)
	c, _ := w.connect("a")
	s := must[*client.Subscription](t)(c.SubscribeSync("flood"))
	const sent = 500
	for range sent {
		if err := c.Publish("flood", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for range sent {
		next(t, s)
	}
	c.Close()
	for due := time.Now().Add(patience); len(w.recorded(access.EventSessionClosed)) == 0; {
		if time.Now().After(due) {
			t.Fatal("the session goes on")
		}
		time.Sleep(time.Millisecond) // the record says so to nobody
	}
	count, windows := map[string]int64{}, 0
	text := map[uint64]string{}
	for _, e := range w.recorded(access.EventActionIntended) {
		text[e.Action] = e.Text
		if e.Window != nil {
			windows++
		}
	}
	for _, e := range w.recorded(access.EventActionEnded) {
		if e.Rows == 0 {
			e.Rows = 1 // recorded by itself
		}
		if strings.HasSuffix(text[e.Action], " flood") && e.Digest != "" {
			count[text[e.Action]] += e.Rows
		}
	}
	if count["PUB flood"] != sent || count["MSG flood"] != sent || windows < 2 || windows > sent/5 {
		t.Errorf("%v in %d windows", count, windows)
	}
}

// TestOddHeaders: what some servers read as a header of their own is refused wherever it stands.
func TestOddHeaders(t *testing.T) {
	w := newWorld(t, allow("nats:Publish", "jobs/subject/a"))
	for name, head := range map[string]string{
		"a status":              "NATS/1.0 503\r\n\r\n",
		"in another's name":     "NATS/1.0\r\nX-Nats-Rollup: all\r\n\r\n",
		"in a value":            "NATS/1.0\r\nX: Nats-Rollup: all\r\n\r\n",
		"a rollup":              "NATS/1.0\r\nNats-Rollup: all\r\n\r\n",
		"a line that goes on":   "NATS/1.0\r\nX: 1\r\n Nats-Rollup: all\r\n\r\n",
		"a lone line feed":      "NATS/1.0\r\nX: 1\nNats-Rollup: all\r\n\r\n",
		"what only servers say": "NATS/1.0\r\nNats-Stream: X\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := w.raw()
			_, _ = io.WriteString(r, connect)
			_, _ = r.Write(appendPub(nil, "a", "", []byte(head), nil))
			_, _ = io.WriteString(r, "PING\r\n")
			if before, _ := r.until(t, "PONG"); !strings.Contains(strings.Join(before, "\n"), "Permissions Violation for Publish") {
				t.Errorf("%q", before)
			}
		})
	}
}
