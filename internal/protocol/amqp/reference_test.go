package amqp

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/reference/amqp-actions.md")

// TestReference keeps docs/reference/amqp-actions.md what verbs and the lists of arguments say; run with -update after a change.
func TestReference(t *testing.T) {
	page := filepath.Join("..", "..", "..", "docs", "reference", "amqp-actions.md")
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
		t.Error("docs/reference/amqp-actions.md is not current: go test ./internal/protocol/amqp -run TestReference -update")
	}
}

// reference renders the page.
func reference() string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(`# Actions of AMQP 0-9-1

Generated from the lists in 'internal/protocol/amqp'; a test keeps it current. A method may do several actions, and all of them must be
allowed. Implied actions touch no data of users: whoever may connect may do them, unless a policy denies them. What some rows call "for
deny and approve" needs no allow.

| resource | what it is |
|---|---|
| 'connection/exchange/orders' | an exchange: declare, check, delete, the destination of a binding |
| 'connection/exchange/orders/eu.card' | a routing key of an exchange: what is published, and what a binding takes |
| 'connection/exchange/amq.default/refunds' | the exchange without a name, whose routing keys are queues |
| 'connection/queue/refunds' | a queue |
| 'connection/queue/amq.gen-*' | queues that the broker names; in a policy this means them all |

In a name or a key '%', '/' and '*' are written '%25', '%2F' and '%2A'; dots stay as they are. '*' in a policy is any run of characters,
dots too. An exchange's name alone is above its keys: what is denied or held on 'jobs/exchange/orders' is so for every key, and what is
denied or held on 'jobs/exchange/orders/eu' is so for 'eu.card' as well. An allow has to match the key: 'jobs/exchange/orders/*'.

**Binding keys are sets.** 'eu.*' (one word) and 'eu.#' (any words, also none) stand for all keys that they match. An allow holds where one
of its patterns covers the whole set: 'jobs/exchange/orders/eu.*' covers the binding key 'eu.*'; 'eu.#' takes 'eu' too, and needs that as
well. Deny, approve and mask hold where any key of the set is meant. Where keys mean nothing to an exchange (fanout, headers), or its type is
not known, a binding takes all: 'jobs/exchange/orders/**'. The type is known of the exchanges that every broker has, of those that a
client declared through this gateway since it started, and of those that 'amqp.exchanges' of the connection names.

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
	b.WriteString("\nArguments whose meaning is known; with any other, a method needs `amqp:Opaque` too:\n\n")
	for _, l := range []struct {
		of   string
		list []string
	}{{"queue.declare", queueArguments}, {"exchange.declare", exchangeArguments}, {"basic.consume", consumeArguments}} {
		b.WriteString("- `" + l.of + "`: `" + strings.Join(l.list, "`, `") + "`\n")
	}
	b.WriteString("- `queue.bind`, `exchange.bind` and their opposites: any; an exchange of type headers reads them as conditions\n")
	b.WriteString(strings.ReplaceAll(`
Types of exchanges: 'direct', 'fanout', 'topic', 'headers'; any other needs 'amqp:Opaque'. Acknowledgements, 'basic.qos', 'basic.cancel',
'basic.recover', 'confirm.select', 'channel.flow' and whatever opens and closes channels carry no action: they concern only what the
session itself was given.
`, "'", "`"))
	return b.String()
}
