package amqp

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/config"
	"gatehouse/internal/policy"
)

// passes are the verbs that each guardrail that ships lets through on a queue or an exchange that everybody uses. A verb that is new must
// be put into every list where it belongs, or be denied by the guardrail's document.
func passes(guardrail string) []string {
	return strings.Fields(map[string]string{
		"messages-only":       "Publish Reply Consume Get Deliver CheckQueue CheckExchange Transaction BindSource UnbindSource",
		"no-message-loss":     "Publish Reply Consume Get Deliver CheckQueue CheckExchange Transaction BindSource UnbindSource DeclareQueue DeclareExchange Bind",
		"no-default-exchange": "Publish Reply Consume Get Deliver CheckQueue CheckExchange Transaction BindSource UnbindSource DeclareQueue DeclareExchange Bind Purge DeleteQueue DeleteExchange Discard Unbind UseForeignQueue Opaque",
	}[guardrail])
}

// guarded are the rules on a connection with one guardrail, for a role that may do everything on it.
func guarded(t *testing.T, guardrail *access.Policy) *policy.Rules {
	t.Helper()
	v := policy.Vocabulary{Type: name, Documents: true}
	for _, verb := range verbs() {
		v.Actions = append(v.Actions, policy.ActionName{Name: verb.Name, Implied: verb.Implied})
	}
	set, err := policy.Compile(policy.Documents{
		Issuers: []*access.Issuer{{Name: "i", URL: "https://issuer.test", Audiences: []string{"a"}}},
		Policies: []*access.Policy{guardrail, {Name: "all", Statements: []access.PolicyStatement{
			{Effect: "allow", Actions: []string{"amqp:*", "amqp:Opaque"}, Resources: []string{"*"}}}}},
		Connections: []*access.Connection{{Name: "jobs", Type: name, Address: "mq.test:5672", Guardrails: []string{guardrail.Name}}},
		Roles:       []*access.Role{{Name: "r", Bind: []access.Binding{{Issuer: "i", Claims: map[string]any{"sub": "fn"}}}, Policies: []string{"all"}}},
	}, []policy.Vocabulary{v}, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := set.Rules(&access.Principal{Issuer: "https://issuer.test", Subject: "fn", Kind: access.Workload, Claims: map[string]any{"sub": "fn"}}, "jobs")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// readyPolicies are the guardrails that ship.
func readyPolicies(t *testing.T) []*access.Policy {
	t.Helper()
	var out []*access.Policy
	for _, g := range guardrails() {
		docs, err := config.ParseDocuments(g.Name, g.Document)
		if err != nil {
			t.Fatal(err)
		}
		p, ok := docs[0].Doc.(*access.Policy)
		if !ok || len(docs) != 1 || p.Name != g.Name || p.Description == "" {
			t.Fatalf("%s is not one policy of that name with a description", g.Name)
		}
		out = append(out, p)
	}
	return out
}

func decided(r *policy.Rules, st *access.Statement) access.Effect {
	return r.Decide(st, &access.Input{Connection: "jobs", Type: name, Now: time.Unix(0, 0)}).Effect
}

// TestGuardrailsTakeAStand holds every guardrail that ships to a decision about every verb.
func TestGuardrailsTakeAStand(t *testing.T) {
	ready := readyPolicies(t)
	if len(ready) == 0 {
		t.Fatal("no guardrail ships")
	}
	for _, p := range ready {
		through := passes(p.Name)
		r := guarded(t, p)
		for _, v := range verbs() {
			verb := strings.TrimPrefix(v.Name, prefix)
			st := &access.Statement{Text: "x", Actions: []access.Action{{Name: v.Name, Resource: "jobs/queue/refunds"}}}
			if got, want := decided(r, st) != access.Deny, slices.Contains(through, verb); got != want {
				t.Errorf("%s lets %s through: %v", p.Name, verb, got)
			}
		}
	}
}

// TestGuardrailsByMethod looks at what depends on more than the verb.
func TestGuardrailsByMethod(t *testing.T) {
	for _, p := range readyPolicies(t) {
		r := guarded(t, p)
		for _, c := range []struct {
			guardrail string
			m         method
			p         *properties
			denied    bool
		}{
			{"no-default-exchange", &basicPublish{RoutingKey: "payroll"}, nil, true},
			{"no-default-exchange", &basicPublish{RoutingKey: "amq.gen-theirs"}, nil, false},
			{"no-default-exchange", &basicPublish{RoutingKey: "amq.rabbitmq.reply-to.x"}, nil, false},
			{"no-default-exchange", &basicPublish{RoutingKey: "amq.gen-theirs"}, headers("CC", list{"payroll"}), true},
			{"no-default-exchange", &basicPublish{Exchange: "orders", RoutingKey: "payroll"}, nil, false},
			{"no-default-exchange", &queueDeclare{Queue: "q", Arguments: args("x-dead-letter-exchange", "")}, nil, true},
			{"no-default-exchange", &exchangeDeclare{Exchange: "x", Type: "topic", Arguments: args("alternate-exchange", "")}, nil, true},
			{"no-message-loss", &queueDelete{Queue: "amq.gen-mine"}, nil, false},
			{"no-message-loss", &queueDelete{Queue: "amq.gen-theirs"}, nil, true},
			{"no-message-loss", &queueDelete{Queue: "x/queue/amq.gen-1"}, nil, true},
			{"no-message-loss", &queueDeclare{Queue: "q"}, nil, false},
			{"no-message-loss", &queueDeclare{Queue: "q", Arguments: args("x-message-ttl", int32(0))}, nil, true},
			{"no-message-loss", &queueDeclare{Exclusive: true, AutoDelete: true}, nil, false},
			{"messages-only", &queueDeclare{Exclusive: true, AutoDelete: true}, nil, false},
			{"messages-only", &queueBind{Queue: "amq.gen-mine", Exchange: "orders", RoutingKey: "eu.*"}, nil, false},
			{"messages-only", &queueBind{Queue: "refunds", Exchange: "orders", RoutingKey: "eu.*"}, nil, true},
			{"messages-only", &exchangeBind{Destination: "d", Source: "orders"}, nil, true},
		} {
			if c.guardrail != p.Name {
				continue
			}
			st, err := (*protocol)(nil).understand(aSession(), c.m, c.p)
			if err != nil {
				t.Fatal(err)
			}
			if got := decided(r, st) == access.Deny; got != c.denied {
				t.Errorf("%s denies %s: %v", p.Name, st.Text, got)
			}
		}
	}
}
