package bypass

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"gatehouse/e2e/mqtest"
)

// natsCase is an attack on what policy denies or masks of messages, by a role that may do everything else.
type natsCase struct {
	technique, channel string
	steps              []natsStep
	victim             bool   // somebody else listens in an inbox meanwhile
	unproven           string // why it cannot work even around the gateway
	changes            bool   // it may change what the server has: only what is heard counts
}

// queues is what cases about messages share.
var queues struct {
	nats   *mqtest.NATS
	events *nats.Conn           // of everybody else, at the server itself
	seen   []*nats.Subscription // of where attacks may not publish
}

// natsForbidden are the subjects on which nothing of an attack may arrive. A server delivers nothing by itself to where nobody listens
// by that very name.
var natsForbidden = []string{"secret.>", "secret.x", natsVictim + ".x", "mix.secret.>", "$KV.vault.>", "hidden.>", natsVictim + ".>", "$JS.EVENT.>"}

// natsSeen returns what has arrived at the server where attacks may not publish. What others say is no attack's.
func natsSeen(t *testing.T) (out []string) {
	t.Helper()
	if err := queues.events.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, s := range queues.seen {
		for {
			if n, _, err := s.Pending(); err != nil || n == 0 {
				break
			}
			m, err := s.NextMsg(natsPatience)
			if err != nil {
				t.Fatal(err)
			}
			forged := string(m.Data) == natsForged
			if forged || !slices.Contains(natsCanaries, string(m.Data)) && !strings.HasPrefix(m.Subject, "$JS.EVENT.") {
				out = append(out, fmt.Sprintf("on %s: %.80q", s.Subject, m.Data))
			}
		}
	}
	return out
}

func roots(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		t.Fatal("no certificate")
	}
	return pool
}

const natsDocuments = `
kind: Connection
name: events
type: nats
address: ${ADDRESS}
tls: {ca_file: "${CA_FILE}"}
credential: {user: app, secret: events}
---
kind: Policy
name: messages
statements:
  - {effect: allow, actions: ["nats:*"], resources: ["events", "events/*"]}
  - effect: deny
    actions: [nats:Publish, nats:Subscribe]
    resources: ["events/subject/secret.*", "events/subject/mix.secret.*", "events/subject/hidden.*", "events/subject/$KV.vault.*"]
  - {effect: deny, actions: ["nats:*"], resources: ["events/stream/SECRET"]}
  - effect: deny
    actions: ["nats:PurgeStream", "nats:Rollup", "nats:DeleteStream", "nats:DeleteMessage"]
    resources: ["events/subject/open.*", "events/subject/$KV.*", "events/stream/OPEN", "events/stream/KV_*"]
  - {effect: mask, resources: ["events/subject/people.*", "events/subject/staff.*"], fields: ["$.ssn"]}
---
kind: Role
name: messages
bind: [{issuer: dev, claims: {sub: "fn:messages"}}]
policies: [messages]
---
kind: Role
name: victim
bind: [{issuer: dev, claims: {sub: "fn:victim"}}]
policies: [messages]
`

// natsWorld starts the server, and puts the gateway before it.
func natsWorld(t *testing.T) nats.JetStreamContext {
	t.Helper()
	queues.nats = mqtest.StartNATS(t, mqtest.NATSOptions{})
	var err error
	if queues.events, err = nats.Connect(queues.nats.URL("tls", mqtest.AppUser, mqtest.AppPassword), nats.RootCAs(queues.nats.CAFile)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(queues.events.Close)
	for _, subject := range natsForbidden {
		s, err := queues.events.SubscribeSync(subject)
		if err != nil {
			t.Fatal(err)
		}
		queues.seen = append(queues.seen, s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), natsPatience)
	defer cancel()
	if r := shared.gw.CLI(ctx, mqtest.AppPassword, "secrets", "set", "events"); r.Code != 0 {
		t.Fatalf("secrets set: %s%s", r.Out, r.Err)
	}
	docs := strings.NewReplacer("${ADDRESS}", queues.nats.Address(), "${CA_FILE}", queues.nats.CAFile).Replace(natsDocuments)
	if r := shared.gw.CLI(ctx, docs, "apply", "-f", "-"); r.Code != 0 {
		t.Fatalf("apply: %s%s", r.Out, r.Err)
	}
	js, err := queues.events.JetStream(nats.MaxWait(natsPatience))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// natsReset makes the server's streams what they are at the start of a case.
func natsReset(t *testing.T, js nats.JetStreamContext) {
	t.Helper()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name := range js.StreamNames() {
		must(nil, js.DeleteStream(name))
	}
	for name, subject := range map[string]string{"PEOPLE": "people.>", "MIX": "mix.>", "SECRET": "secret.>", "OPEN": "open.>"} {
		must(js.AddStream(&nats.StreamConfig{Name: name, Subjects: []string{subject}, AllowDirect: true, AllowRollup: true, Storage: nats.MemoryStorage}))
	}
	for _, bucket := range []string{"vault", "notes"} {
		kv, err := js.CreateKeyValue(&nats.KeyValueConfig{Bucket: bucket, Storage: nats.MemoryStorage})
		must(nil, err)
		must(kv.Put("k", []byte(natsSecret)))
	}
	for _, m := range [][2]string{{"people.1", natsPerson}, {"mix.open.1", "nothing"}, {"mix.secret.1", natsSecret}, {"secret.1", natsSecret}, {"secret.2", natsSecret}, {"open.1", "nothing"}} {
		must(js.Publish(m[0], []byte(m[1])))
	}
	must(js.AddConsumer("SECRET", &nats.ConsumerConfig{Durable: "work", AckPolicy: nats.AckExplicitPolicy}))
	must(js.AddConsumer("MIX", &nats.ConsumerConfig{Durable: "mixed", AckPolicy: nats.AckExplicitPolicy}))
	sub, err := js.PullSubscribe("", "work", nats.Bind("SECRET", "work"))
	must(nil, err)
	must(sub.Fetch(1, nats.MaxWait(natsPatience)))
	must(nil, sub.Unsubscribe())
	natsSeen(t)
}

// run runs a case and returns what came of it that must not be.
func (c natsCase) run(t *testing.T, js nats.JetStreamContext, role string) (out []string) {
	t.Helper()
	natsReset(t, js)
	before := natsState(t, js)
	if c.victim {
		who := "victim"
		if role == direct {
			who = direct
		}
		v := natsOpen(t, who)
		defer v.leave()
		sub(natsVictim+".*", "1")(v)
		v.settle()
	}
	s := natsOpen(t, role)
	defer s.leave()
	for _, do := range c.steps {
		do(s)
	}
	s.settle()
	after := natsState(t, js) // what it asks for comes behind what the case asked for
	out = append(s.leaked(), natsSeen(t)...)
	if !c.changes {
		for what := range after {
			if before[what] != after[what] {
				out = append(out, fmt.Sprintf("%s is now %s", what, after[what]))
			}
		}
		for what := range before {
			if _, there := after[what]; !there {
				out = append(out, what+" is gone")
			}
		}
	}
	if role != direct == (len(out) > 0) {
		t.Logf("heard:\n%s", s.heard.String())
	}
	return out
}

// TestMessagesOnNATS: each attack works around the gateway, or says why not, and none through it; and what is no attack works.
func TestMessagesOnNATS(t *testing.T) {
	js := natsWorld(t)
	honestOnNATS(t, js)
	for _, c := range slices.Concat(natsPublishing, natsListening, natsStreams, natsReading) {
		scores.count(t, "messages", attack{Technique: c.technique, Channel: c.channel}, func(t *testing.T) {
			if around := c.run(t, js, direct); len(around) == 0 && c.unproven == "" {
				t.Error("this is no attack: around the gateway, too, nothing comes of it")
			}
			if through := c.run(t, js, "messages"); len(through) > 0 {
				t.Errorf("through the gateway: %s", strings.Join(through, "; "))
			}
		})
	}
}
