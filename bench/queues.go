package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gatehouse/e2e/gateway"
	"gatehouse/e2e/mqtest"
)

// queueSettings are the gateway's: clients come from loopback, with TLS or in clear.
const queueSettings = `
api: {address: "127.0.0.1:0"}
listeners:
  - {protocol: amqp, address: "127.0.0.1:0", plaintext: true}
  - {protocol: nats, address: "127.0.0.1:0", plaintext: true}
limits: {max_sessions: 5000}
`

// queueDocuments are the rules: roles that may work with their queues, subjects and streams, without masks and with two fields masked, and a
// guardrail that every message passes.
const queueDocuments = `
kind: Connection
name: jobs
type: amqp
address: $rabbit
tls: {mode: disable}
amqp: {virtual_host: jobs}
credential: {user: app, secret: bench}
guardrails: [nothing-is-lost]
---
kind: Connection
name: bus
type: nats
address: $nats
tls: {mode: disable}
credential: {user: app, secret: bench}
guardrails: [nothing-is-lost]
---
kind: Policy
name: nothing-is-lost
statements:
  - effect: deny
    actions: [amqp:Purge, amqp:DeleteQueue, nats:UpdateStream, nats:PurgeStream]
    resources: ["*"]
---
kind: Policy
name: worker
statements:
  - effect: allow
    actions: ["amqp:*"]
    resources: ["jobs/*"]
  - effect: allow
    actions: ["nats:*"]
    resources: ["bus/*"]
---
kind: Policy
name: two-fields
statements:
  - effect: mask
    resources: ["jobs/queue/*", "bus/subject/bench*"]
    fields: ["$.items[*].email"]
    with: {partial: {keep_last: 4}}
  - effect: mask
    resources: ["jobs/queue/*", "bus/subject/bench*"]
    fields: ["**.name"]
    with: redact
---
kind: Role
name: reader
bind: [{issuer: dev, claims: {sub: "fn:reader"}}]
policies: [worker]
---
kind: Role
name: masked
bind: [{issuer: dev, claims: {sub: "fn:masked"}}]
policies: [worker, two-fields]
`

// queues are the two brokers and everything that stands before them.
type queues struct {
	rabbit *mqtest.Rabbit
	nats   *mqtest.NATS
	relays map[string]link // by protocol
	gate   *gate
}

// link is one way to a broker.
type link struct {
	pid      int // of the proxy; 0 for none
	address  string
	user     string
	password string
}

// startQueues starts the brokers, a relay before each, and a gateway before both.
func (w *world) startQueues(ctx context.Context) (_ *queues, err error) {
	w.progress("the brokers and their proxies")
	q := &queues{relays: map[string]link{}}
	if q.rabbit, err = mqtest.NewRabbit(ctx); err != nil {
		return nil, err
	}
	w.stops = append(w.stops, q.rabbit.Stop)
	if q.nats, err = mqtest.NewNATS(ctx, mqtest.NATSOptions{}); err != nil {
		return nil, err
	}
	w.stops = append(w.stops, q.nats.Stop)
	for protocol, address := range map[string]string{amqpName: q.rabbit.Address(), natsName: q.nats.Address()} {
		port, pid, err := w.startRelay("-to", address)
		if err != nil {
			return nil, err
		}
		q.relays[protocol] = link{pid, net.JoinHostPort("127.0.0.1", port), mqtest.AppUser, mqtest.AppPassword}
	}
	if w.o.only == "" || strings.HasPrefix(w.o.only, gated) {
		q.gate, err = w.startQueueGate(ctx, q)
	}
	return q, err
}

func (w *world) startQueueGate(ctx context.Context, q *queues) (*gate, error) {
	binary, err := filepath.Abs(w.o.gatehouse)
	if err != nil {
		return nil, err
	}
	state := "queues" + strconv.Itoa(len(w.gates))
	conf := filepath.Join(w.dir, state+".yaml")
	if err := os.WriteFile(conf, []byte(queueSettings), 0o600); err != nil {
		return nil, err
	}
	gw, err := gateway.Start(ctx, gateway.Options{Binary: binary, State: filepath.Join(w.dir, state), Config: conf})
	if err != nil {
		return nil, err
	}
	g := &gate{Gateway: gw, tokens: map[string]string{}}
	w.gates = append(w.gates, g)
	w.stops = append(w.stops, func() error { g.end(); return nil })
	text := strings.NewReplacer("$rabbit", q.rabbit.Address(), "$nats", q.nats.Address()).Replace(queueDocuments)
	secret := gw.CLI(ctx, mqtest.AppPassword, "secrets", "set", "bench")
	apply := gw.CLI(ctx, text, "apply", "-f", "-")
	if secret.Code != 0 || apply.Code != 0 {
		return nil, errors.New(secret.Out + secret.Err + apply.Out + apply.Err)
	}
	return g, g.renew(ctx)
}

const (
	amqpName = "amqp"
	natsName = "nats"
)

// connectionOf is the connection's name for a protocol.
func connectionOf(protocol string) string {
	if protocol == amqpName {
		return "jobs"
	}
	return "bus"
}

// direct is the way to a broker itself.
func (q *queues) direct(protocol string) link {
	address := q.rabbit.Address()
	if protocol == natsName {
		address = q.nats.Address()
	}
	return link{address: address, user: mqtest.AppUser, password: mqtest.AppPassword}
}

// through is the way through the gateway for a subject, in clear.
func (q *queues) through(protocol, subject string) link {
	if q.gate == nil { // another contender is measured alone
		return link{}
	}
	return link{q.gate.PID(), q.gate.Listener[protocol], connectionOf(protocol), q.gate.tokens[subject]}
}

// gatedMasked is the contender that hides two fields of each message that is delivered.
const gatedMasked = gated + ", two fields masked"

// flows measures a kind of work over each way to a broker.
func (w *world) flows(ctx context.Context, title, protocol string, work func(context.Context, link) (int, error)) ([]result, error) {
	q, err := w.startQueues(ctx)
	if err != nil {
		return nil, err
	}
	way := func(l link) func(context.Context) (sample, error) {
		return func(ctx context.Context) (sample, error) {
			var n int
			took, used, err := spent(ctx, func() (err error) {
				n, err = work(ctx, l)
				return err
			}, l.pid)
			if err != nil {
				return sample{}, err
			}
			if n == 0 {
				return sample{}, errors.New("no message arrived")
			}
			return sample{float64(n) / took.Seconds(), micros(used, n)}, nil
		}
	}
	res, err := w.cell(ctx, title, "messages", []contender{
		{direct, way(q.direct(protocol))}, {relayed, way(q.relays[protocol])}, {gated, way(q.through(protocol, reader))},
		{gatedMasked, way(q.through(protocol, masked))}, {control, way(q.direct(protocol))},
	}, goal{work: title + ": throughput against a Go relay", atLeast: 0.85, aim: 0.95, of: throughput(gated, relayed)},
		goal{work: title + ", two fields masked: throughput against a Go relay", atLeast: 0.6, aim: 0.8, of: throughput(gatedMasked, relayed)})
	res.peer = relayed
	return []result{res}, err
}

// payload is the body of every message: an order as a shop sends it.
func payload() []byte { return []byte(document(1 << 10)) }

func idleQueues() scenario {
	return scenario{"idle-queues", "Resident memory of the gateway, after minus before, over the number of clients of amqp091-go and of nats.go that logged in and say " +
		"nothing but heartbeats, in clear, 3 s after the last login. 20 clients came and went before.", queueSleepers, true}
}

func queueSleepers(ctx context.Context, w *world) ([]result, error) {
	q, err := w.startQueues(ctx)
	if err != nil {
		return nil, err
	}
	n := 300
	if w.o.short {
		n = 10
	}
	var all []result
	for _, c := range []struct {
		protocol string
		dial     func(link) (func(), error)
	}{{amqpName, amqpSleeper}, {natsName, natsSleeper}} {
		if q.gate, err = w.startQueueGate(ctx, q); err != nil { // one that has no memory of others
			return nil, err
		}
		perClient, err := doze(ctx, q.through(c.protocol, reader), n, c.dial)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.protocol, err)
		}
		res := result{title: c.protocol, rounds: []round{{gated: {perSecond: perClient}}},
			notes: []string{fmt.Sprintf("%s: %d clients of %s, %.1f KiB each.", gated, n, c.protocol, perClient)}}
		res.goals = append(res.goals, reach(goal{work: "memory for each idle client of " + c.protocol, atLeast: 96, aim: 64, less: true, unit: " KiB",
			of: func(r round) float64 { return r[gated].perSecond }}, res.rounds))
		all = append(all, res)
	}
	return all, nil
}

// doze logs n clients in, and returns how many KiB the proxy holds for each.
func doze(ctx context.Context, l link, n int, dial func(link) (func(), error)) (float64, error) {
	for range min(n, 20) {
		end, err := dial(l)
		if err != nil {
			return 0, err
		}
		end()
	}
	before, err := after(ctx, l.pid)
	if err != nil {
		return 0, err
	}
	for range n {
		end, err := dial(l)
		if err != nil {
			return 0, err
		}
		defer end()
	}
	now, err := after(ctx, l.pid)
	return float64(now-before) / 1024 / float64(n), err
}

func amqpSleeper(l link) (func(), error) {
	c, _, err := amqpDial(l, connectionOf(amqpName))
	return func() { _ = c.Close() }, err
}

func natsSleeper(l link) (func(), error) {
	c, err := natsDial(l)
	return func() { c.Close() }, err
}
