package queues

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// clerk is a role under masks, approvals and records of NATS, and reviewer is who answers.
const (
	clerk     = "fn:nats-clerk"
	reviewer  = "nats-reviewer"
	clerkDocs = `
kind: Policy
name: nats-clerk
statements:
  - effect: allow
    actions: ["nats:*"]
    resources: ["events", "events/*"]
    record: {above: 0, messages: 500, within: 10s}
  - effect: approve
    actions: ["nats:PurgeStream"]
    resources: ["events/stream/CLERK"]
    reviewers: [nats-reviewers]
  - effect: approve
    actions: ["nats:Publish"]
    resources: ["events/subject/clerk.held"]
    reviewers: [nats-reviewers]
  - effect: mask
    resources: ["events/subject/clerk.people.*", "events/subject/$KV.clerk.*"]
    fields: ["$.ssn"]
    headers: [X-Card]
---
kind: Role
name: nats-clerk
bind: [{issuer: dev, claims: {sub: "fn:nats-clerk"}}]
policies: [nats-clerk]
---
kind: Role
name: nats-reviewers
bind: [{issuer: dev-people, claims: {sub: "nats-reviewer"}}]
`
	ssn, card     = "078-05-1120", "4111111111111111"
	clerkPatience = 30 * time.Second
	person        = `{"name":"Ada","ssn":"` + ssn + `"}`
)

// clerkWorld applies the documents once, makes a stream anew, and returns a client of the clerk's and one at the server itself.
func clerkWorld(t *testing.T) (through, direct nats.JetStreamContext, c, d *nats.Conn) {
	t.Helper()
	if err := shared.Apply(t.Context(), shared.Gateway, clerkDocs); err != nil {
		t.Fatal(err)
	}
	at, err := shared.Through(t.Context(), shared.Gateway, NATS, clerk)
	if err != nil {
		t.Fatal(err)
	}
	dial := func(at Place) (*nats.Conn, nats.JetStreamContext) {
		conn, err := dialNATS(at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		js, err := conn.JetStream(nats.MaxWait(clerkPatience))
		if err != nil {
			t.Fatal(err)
		}
		return conn, js
	}
	c, through = dial(at)
	d, direct = dial(shared.Direct(NATS))
	for _, name := range []string{"CLERK", "KV_clerk"} {
		if err := direct.DeleteStream(name); err != nil && err != nats.ErrStreamNotFound { //nolint:errorlint // as the client has it
			t.Fatal(err)
		}
	}
	if _, err := direct.AddStream(&nats.StreamConfig{Name: "CLERK", Subjects: []string{"clerk.>"}, Storage: nats.MemoryStorage, AllowDirect: true}); err != nil {
		t.Fatal(err)
	}
	return through, direct, c, d
}

// TestStoredMessagesAreMasked: a masked field is hidden however a stored message is read, and the rest of it arrives.
func TestStoredMessagesAreMasked(t *testing.T) {
	js, direct, _, _ := clerkWorld(t)
	if _, err := direct.PublishMsg(&nats.Msg{Subject: "clerk.people.1", Data: []byte(person), Header: nats.Header{"X-Card": {card}, "X-Kind": {"one"}}}); err != nil {
		t.Fatal(err)
	}
	kv, err := direct.CreateKeyValue(&nats.KeyValueConfig{Bucket: "clerk", Storage: nats.MemoryStorage})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put("ada", []byte(person)); err != nil {
		t.Fatal(err)
	}
	const want = `{"name":"Ada","ssn":"[redacted]"}`
	check := func(how string, data []byte, h nats.Header, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", how, err)
			return
		}
		if string(data) != want || h != nil && (h.Get("X-Card") != "[redacted]" || h.Get("X-Kind") != "one") {
			t.Errorf("%s: %s %v", how, data, h)
		}
	}
	raw, err := js.GetMsg("CLERK", 1)
	if err == nil {
		check("got", raw.Data, raw.Header, nil)
	} else {
		t.Error(err)
	}
	raw, err = js.GetLastMsg("CLERK", "clerk.people.1", nats.DirectGet())
	if err == nil {
		check("got directly", raw.Data, raw.Header, nil)
	} else {
		t.Error(err)
	}
	pull, err := js.PullSubscribe("clerk.people.*", "puller")
	if err != nil {
		t.Fatal(err)
	}
	batch, err := pull.Fetch(1, nats.MaxWait(clerkPatience))
	if err != nil || len(batch) != 1 {
		t.Fatal(batch, err)
	}
	check("pulled", batch[0].Data, batch[0].Header, batch[0].AckSync())
	push, err := js.SubscribeSync("clerk.people.*", nats.OrderedConsumer())
	if err != nil {
		t.Fatal(err)
	}
	m, err := push.NextMsg(clerkPatience)
	if err != nil {
		t.Fatal(err)
	}
	check("pushed", m.Data, m.Header, nil)
	bucket, err := js.KeyValue("clerk")
	if err != nil {
		t.Fatal(err)
	}
	e, err := bucket.Get("ada")
	if err != nil {
		t.Fatal(err)
	}
	check("of a bucket", e.Value(), nil, nil)
	// The server has what was stored, and what the client may not read in another way is refused.
	if raw, err = direct.GetMsg("CLERK", 1); err != nil || string(raw.Data) != person {
		t.Error(raw, err)
	}
	if _, err := js.AddStream(&nats.StreamConfig{Name: "COPY", Mirror: &nats.StreamSource{Name: "CLERK"}}, nats.MaxWait(time.Second)); err == nil {
		t.Error("masked messages are copied")
	}
	if log, err := shared.Gateway.Log(); err != nil || strings.Contains(log, ssn) || strings.Contains(log, card) {
		t.Error("the gateway's log holds what is masked", err)
	}
}

// review answers the one approval whose text begins as said.
func review(t *testing.T, verdict, text string) {
	t.Helper()
	for deadline := time.Now().Add(clerkPatience); time.Now().Before(deadline); {
		r := shared.Gateway.CLI(t.Context(), "", "approvals", "list", "-o", "json")
		var list any
		if err := json.Unmarshal([]byte(r.Out), &list); err != nil {
			t.Fatalf("approvals list: %v: %s%s", err, r.Out, r.Err)
		}
		for _, a := range objects(list, "text") {
			id, _ := a["id"].(string)
			if said, _ := a["text"].(string); id == "" || !strings.HasPrefix(said, text) || a["state"] != nil && a["state"] != "pending" {
				continue
			}
			token, err := shared.Gateway.PersonToken(t.Context(), reviewer)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if r := shared.Gateway.CLI(t.Context(), "", "approvals", verdict, id, "--reason", "test", "--token-file", file); r.Code != 0 {
				t.Fatalf("approvals %s: %s%s", verdict, r.Out, r.Err)
			}
			return
		}
	}
	t.Fatalf("nobody asks for an approval of %q", text)
}

// objects collects the objects that have a key, anywhere in a JSON value.
func objects(v any, key string) (found []map[string]any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			found = append(found, objects(x, key)...)
		}
	case map[string]any:
		if _, ok := v[key]; ok {
			return []map[string]any{v}
		}
		for _, x := range v {
			found = append(found, objects(x, key)...)
		}
	}
	return found
}

// TestHeldCalls: a purge and a publish wait for a reviewer, and what comes after them does not.
func TestHeldCalls(t *testing.T) {
	js, direct, c, d := clerkWorld(t)
	if _, err := js.Publish("clerk.a", []byte("one")); err != nil {
		t.Fatal(err)
	}
	purged := make(chan error, 1)
	go func() { purged <- js.PurgeStream("CLERK") }()
	if _, err := js.Publish("clerk.a", []byte("two")); err != nil {
		t.Fatal("what comes after a held request is held too:", err)
	}
	if info, err := direct.StreamInfo("CLERK"); err != nil || info.State.Msgs != 2 {
		t.Fatal(info, err)
	}
	review(t, "approve", "$JS.API.STREAM.PURGE.CLERK")
	if err := <-purged; err != nil {
		t.Fatal(err)
	}
	if info, err := direct.StreamInfo("CLERK"); err != nil || info.State.Msgs != 0 {
		t.Fatal(info, err)
	}
	s, err := d.SubscribeSync("clerk.held")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"first", "second"} {
		if err := c.Publish("clerk.held", []byte(body)); err != nil {
			t.Fatal(err)
		}
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
		verdict := map[string]string{"first": "deny", "second": "approve"}[body]
		review(t, verdict, "PUB clerk.held")
	}
	m, err := s.NextMsg(clerkPatience)
	if err != nil || string(m.Data) != "second" {
		t.Fatal(m, err)
	}
}

// TestMessagesAreOnRecord: the intents of windows come first, their outcomes have the number of messages and their root, and the log is
// whole.
func TestMessagesAreOnRecord(t *testing.T) {
	_, _, c, d := clerkWorld(t)
	const n = 1200
	s, err := d.SubscribeSync("clerk.many")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	var digests bytes.Buffer
	for i := range n {
		body := fmt.Appendf(nil, "message %d, %s", i, ssn)
		sum := sha256.Sum256(body)
		fmt.Fprintln(&digests, hex.EncodeToString(sum[:]))
		if err := c.Publish("clerk.many", body); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	for range n {
		if _, err := s.NextMsg(clerkPatience); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	lines := strings.SplitAfter(digests.String(), "\n")
	counted := 0
	for _, r := range endedWindows(t, n, "PUB clerk.many") {
		rows := int(r["rows"].(float64))
		list := strings.Join(lines[counted:counted+rows], "")
		counted += rows
		if got := shared.Gateway.CLI(t.Context(), list, "audit", "messages", "--root", r["digest"].(string)); got.Code != 0 {
			t.Errorf("a window of %d: %s%s", rows, got.Out, got.Err)
		}
	}
	if counted != n {
		t.Errorf("%d messages are on record, want %d", counted, n)
	}
	if r := shared.Gateway.CLI(t.Context(), "", "audit", "verify", "--dir", shared.Gateway.AuditDir(), "--key", shared.Gateway.AuditKey()); r.Code != 0 {
		t.Errorf("audit verify: %s%s", r.Out, r.Err)
	}
}

// endedWindows waits until the clerk's sessions have outcomes for n messages with a text, and returns them.
func endedWindows(t *testing.T, n int, text string) (out []map[string]any) {
	t.Helper()
	for deadline := time.Now().Add(clerkPatience); ; {
		out = nil
		counted := 0
		for _, records := range clerkRecords(t) {
			intents := map[float64]bool{}
			for _, r := range records {
				action, _ := r["action"].(float64)
				switch {
				case r["kind"] == "action.intended" && r["text"] == text:
					intents[action] = true
				case r["kind"] == "action.ended" && intents[action]:
					rows, _ := r["rows"].(float64)
					counted += int(rows)
					out = append(out, r)
				}
			}
		}
		if counted >= n || time.Now().After(deadline) {
			return out
		}
	}
}

// clerkRecords returns the records of each of the clerk's sessions.
func clerkRecords(t *testing.T) (out [][]map[string]any) {
	t.Helper()
	list := shared.Gateway.CLI(t.Context(), "", "sessions", "list", "-o", "json")
	for _, s := range decoded(t, list.Out, "principal") {
		if p, _ := s["principal"].(string); strings.HasSuffix(p, "#"+clerk) {
			shown := shared.Gateway.CLI(t.Context(), "", "sessions", "replay", s["id"].(string), "-o", "json")
			out = append(out, decoded(t, shown.Out, "kind"))
		}
	}
	return out
}

// decoded reads objects that have a key from the JSON values of a text.
func decoded(t *testing.T, text, key string) (out []map[string]any) {
	t.Helper()
	for d := json.NewDecoder(strings.NewReader(text)); d.More(); {
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		out = append(out, objects(v, key)...)
	}
	return out
}
