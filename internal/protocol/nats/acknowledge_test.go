package nats

import (
	"strings"
	"testing"

	client "github.com/nats-io/nats.go"

	"gatehouse/internal/access"
)

// TestAcknowledgements: acknowledgements of what was delivered share a statement and need no permission; any other needs that of its
// consumer, whatever was acknowledged before.
func TestAcknowledgements(t *testing.T) {
	w := newWorld(t, allow("nats:*", "jobs/*"))
	admin := must[client.JetStreamContext](t)(w.direct().JetStream())
	must[*client.StreamInfo](t)(admin.AddStream(&client.StreamConfig{Name: "acks", Subjects: []string{"acks.*"}, Storage: client.MemoryStorage}))
	t.Cleanup(func() { _ = admin.DeleteStream("acks") })
	for range 4 {
		must[*client.PubAck](t)(admin.Publish("acks.a", []byte("x")))
	}
	c, errs := w.connect("a")
	s := must[*client.Subscription](t)(must[client.JetStreamContext](t)(c.JetStream()).PullSubscribe("acks.a", "work", client.BindStream("acks")))
	all := must[[]*client.Msg](t)(s.Fetch(4, client.MaxWait(patience)))
	w.rules(allow("nats:Subscribe", "jobs/subject/acks.*"))
	for _, m := range all[:3] {
		if err := m.AckSync(); err != nil {
			t.Fatal(err)
		}
	}
	info := must[*client.ConsumerInfo](t)(admin.ConsumerInfo("acks", "work"))
	if info.NumAckPending != 1 || info.AckFloor.Consumer != 3 {
		t.Errorf("%d wait, up to %d are acknowledged", info.NumAckPending, info.AckFloor.Consumer)
	}
	texts := map[string]int{}
	for _, e := range w.recorded(access.EventActionIntended) {
		if strings.Contains(e.Text, "$JS.ACK.") {
			texts[e.Text]++
		}
	}
	if len(texts) != 1 || texts["PUB $JS.ACK.acks.work.> +ACK"] != 3 {
		t.Errorf("recorded: %v", texts)
	}
	reply := all[3].Reply
	for _, forged := range []string{strings.Replace(reply, ".4.4.", ".5.5.", 1), reply + "0", strings.Replace(reply, ".acks.", ".other.", 1)} {
		if forged == reply {
			t.Fatal(reply)
		}
		if err := c.Publish(forged, []byte("+ACK")); err != nil {
			t.Fatal(err)
		}
		violation(t, errs, "Permissions Violation for Publish")
	}
	if err := c.Publish(reply, []byte("+TERM because")); err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
}
