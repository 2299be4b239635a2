package nats

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/reference/nats-actions.md")

// TestReference keeps docs/reference/nats-actions.md what verbs and operations say; run with -update after a change.
func TestReference(t *testing.T) {
	page := filepath.Join("..", "..", "..", "docs", "reference", "nats-actions.md")
	want := reference()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/reference/nats-actions.md is not current: go test ./internal/protocol/nats -run TestReference -update")
	}
}

// reference renders the page.
func reference() string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(`# Actions of NATS

Generated from the lists in 'internal/protocol/nats'; a test keeps it current. An operation may do several actions, and all of them must be
allowed. Implied actions touch no data of users: whoever may connect may do them, unless a policy denies them. What some rows call "for
deny and approve" needs no allow.

| resource | what it is |
|---|---|
| 'connection/subject/orders.eu.new' | a subject |
| 'connection/stream/ORDERS' | a stream of JetStream |
| 'connection/stream/ORDERS/consumer/work' | one of its consumers |
| 'connection/stream/KV_settings', 'connection/stream/OBJ_images' | buckets of keys and of objects: streams by convention, whose messages have the subjects '$KV.settings.key' and '$O.images.…' |
| 'connection/domain/hub/stream/ORDERS' | a stream of another domain of JetStream; what is denied or held on 'connection/stream/ORDERS' binds it too |

In a subject '%', '/' and '*' are written '%25', '%2F' and '%2A'; dots stay as they are. '*' in a policy is any run of characters, dots too.
What is denied or held on 'events/subject/orders' is so for 'orders.eu' as well. An allow has to match the subject: 'events/subject/orders.*'.

**Subscriptions are sets.** 'orders.*' and 'orders.>' stand for all subjects that they match. An allow holds where one of its patterns covers
the whole set; deny, approve and mask hold where any subject of the set is meant.

**Whatever reads stored messages is judged by their subjects too**, as sets: a consumer without a filter, and a message that is asked for by
its number, read every subject of the stream, as far as the session was told them by the server; else all there are. No allow of
'nats:Subscribe' is needed for that, but a deny of it or of 'nats:Deliver' binds, so that a denied subject is not read through a stream. Name a filter, or ask for
information about the consumer first, as clients do by themselves.

| action | implied | what it is |
|---|---|---|
`, "'", "`"))
	for _, v := range verbs() {
		implied := ""
		if v.Implied {
			implied = "yes"
		}
		b.WriteString("| `" + v.Name + "` | " + implied + " | " + v.About + " |\n")
	}
	b.WriteString("\nRequests that are understood, below `$JS.API.` and `$JS.<domain>.API.`; any other is `nats:Opaque`, and so is a key of their payloads\n" +
		"that nats-server 2.9 to 2.12 does not have:\n\n")
	for _, op := range operations() {
		line := op.path
		for i := range op.names {
			line += []string{".<stream>", ".<consumer>"}[i]
		}
		if op.rest {
			line += "[.<subject>]"
		}
		b.WriteString("- `" + line + "`\n")
	}
	b.WriteString(strings.ReplaceAll(`
'$JS.ACK', '$JS.FC' and '$JS.SNAPSHOT' are understood; other subjects that begin with '$' or with an inbox that is not the session's own
need 'nats:Opaque', but for '$KV', '$O' and '$SRV'. Headers that begin 'Nats-' are a closed list: those that have the server do more are
actions above, those that only servers say are refused.
`, "'", "`"))
	return b.String()
}
