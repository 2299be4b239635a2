package nats

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/config"
	"gatehouse/internal/policy"
)

// passes are the verbs that each guardrail that ships lets through. A verb that is new must be put into every list where it belongs,
// or be denied by the guardrail's document.
func passes(guardrail string) []string {
	const messages = `Connect Publish Subscribe Deliver Reply Inbox Schedule CreateConsumer DeleteConsumer ConsumerInfo ListConsumers Consume Ack
		StreamInfo ListStreams GetMessage AccountInfo`
	return strings.Fields(map[string]string{
		"no-stream-changes": messages,
		"no-stream-loss":    messages + " CreateStream UpdateStream SnapshotStream PauseConsumer",
	}[guardrail])
}

// ready is a guardrail that ships, as rules on a connection, for a role that may do everything on it.
type ready struct {
	name  string
	rules *policy.Rules
}

func readyGuardrails(t *testing.T) (out []ready) {
	t.Helper()
	v := policy.Vocabulary{Type: "nats", Documents: true}
	for _, verb := range verbs() {
		v.Actions = append(v.Actions, policy.ActionName{Name: verb.Name, Implied: verb.Implied})
	}
	for _, g := range guardrails() {
		docs, err := config.ParseDocuments(g.Name, g.Document)
		if err != nil {
			t.Fatal(err)
		}
		p, ok := docs[0].Doc.(*access.Policy)
		if !ok || len(docs) != 1 || p.Name != g.Name || p.Description == "" {
			t.Fatalf("%s is not one policy of that name with a description", g.Name)
		}
		set, err := policy.Compile(policy.Documents{
			Issuers: []*access.Issuer{{Name: "i", URL: "https://issuer.test", Audiences: []string{"a"}}},
			Policies: []*access.Policy{p, {Name: "all", Statements: []access.PolicyStatement{
				{Effect: "allow", Actions: []string{"nats:*", actOpaque}, Resources: []string{"*"}}}}},
			Connections: []*access.Connection{{Name: "jobs", Type: "nats", Address: "mq.test:4222", Guardrails: []string{p.Name}}},
			Roles:       []*access.Role{{Name: "r", Bind: []access.Binding{{Issuer: "i", Claims: map[string]any{"sub": "fn"}}}, Policies: []string{"all"}}},
		}, []policy.Vocabulary{v}, 1)
		if err != nil {
			t.Fatal(err)
		}
		r, err := set.Rules(&access.Principal{Issuer: "https://issuer.test", Subject: "fn", Kind: access.Workload, Claims: map[string]any{"sub": "fn"}}, "jobs")
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, ready{p.Name, r})
	}
	return out
}

func (g ready) denies(st *access.Statement) bool {
	return g.rules.Decide(st, &access.Input{Connection: "jobs", Type: "nats", Now: time.Unix(0, 0)}).Effect == access.Deny
}

// TestGuardrailsTakeAStand holds every guardrail that ships to a decision about every verb.
func TestGuardrailsTakeAStand(t *testing.T) {
	for _, g := range readyGuardrails(t) {
		through := passes(g.name)
		for _, v := range verbs() {
			verb := strings.TrimPrefix(v.Name, "nats:")
			st := &access.Statement{Text: "x", Bounded: true, Actions: []access.Action{{Name: v.Name, Resource: "jobs/stream/ORDERS"}}}
			if got, want := !g.denies(st), slices.Contains(through, verb); got != want {
				t.Errorf("%s lets %s through: %v", g.name, verb, got)
			}
		}
	}
}

// TestGuardrailsByCall looks at what depends on more than the verb.
func TestGuardrailsByCall(t *testing.T) {
	for _, g := range readyGuardrails(t) {
		for _, c := range []struct {
			guardrail, subject, payload string
			denied                      bool
		}{
			{"no-stream-loss", "$JS.API.STREAM.UPDATE.S", `{"name":"S","subjects":["a"],"max_msgs":-1}`, false},
			{"no-stream-loss", "$JS.API.STREAM.UPDATE.S", `{"name":"S","subjects":["a"],"max_msgs":1}`, true},
			{"no-stream-loss", "$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["a"],"max_msgs":1}`, false},
			{"no-stream-loss", "$JS.hub.API.STREAM.PURGE.S", `{"filter":"a"}`, true},
			{"no-stream-changes", "$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["a"]}`, true},
			{"no-stream-changes", "$JS.API.CONSUMER.CREATE.S.c", `{"stream_name":"S","config":{"name":"c","deliver_subject":"_INBOX.mine.1"}}`, false},
		} {
			if c.guardrail != g.name {
				continue
			}
			j, err := jetstream().understand(c.subject, inboxMine, []byte(c.payload))
			if err != nil {
				t.Fatal(err)
			}
			if got := g.denies(&j.Statement); got != c.denied {
				t.Errorf("%s denies %s %s: %v", g.name, c.subject, c.payload, got)
			}
		}
	}
}
