package queues

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"gatehouse/e2e/gateway"
	"gatehouse/e2e/mqtest"
)

//go:embed documents.yaml
var documents string

// Everything is the subject of tokens of a role that may do all on both connections. What else the documents have, tests say.
const Everything = "fn:everything"

// The connections, named like RabbitMQ's virtual host, so that a client's address differs in host and port alone.
const (
	Jobs   = mqtest.VHost // RabbitMQ, in TLS
	Events = "events"     // NATS, upgraded to TLS
)

// World is two brokers and a gateway before them.
type World struct {
	Folder  string
	Rabbit  *mqtest.Rabbit
	NATS    *mqtest.NATS
	Gateway *gateway.Gateway

	binary string
}

// New starts everything. ctx bounds the start only; the caller stops it.
func New(ctx context.Context) (*World, error) {
	w, err := Brokers(ctx)
	if err != nil {
		return nil, err
	}
	if w.binary, err = gateway.Build(ctx, w.Folder); err == nil {
		w.Gateway, err = w.Start(ctx, "state")
	}
	if err != nil {
		return nil, errors.Join(err, w.Stop())
	}
	return w, nil
}

// Brokers starts the brokers alone.
func Brokers(ctx context.Context) (*World, error) {
	folder, err := os.MkdirTemp("", "gatehouse-queues-")
	if err != nil {
		return nil, err
	}
	w := &World{Folder: folder}
	var both sync.WaitGroup
	var failed [2]error
	both.Go(func() { w.Rabbit, failed[0] = mqtest.NewRabbit(ctx) })
	both.Go(func() { w.NATS, failed[1] = mqtest.NewNATS(ctx, mqtest.NATSOptions{}) })
	both.Wait()
	if err := errors.Join(failed[0], failed[1]); err != nil {
		return nil, errors.Join(err, w.Stop())
	}
	return w, nil
}

// Start starts a gateway before the same brokers, with the documents and the credentials: one of its own for who kills it.
func (w *World) Start(ctx context.Context, name string, args ...string) (*gateway.Gateway, error) {
	g, err := gateway.Start(ctx, gateway.Options{Binary: w.binary, State: filepath.Join(w.Folder, name), Args: args})
	if err != nil {
		return nil, err
	}
	for _, connection := range []string{Jobs, Events} {
		if r := g.CLI(ctx, mqtest.AppPassword, "secrets", "set", connection); r.Code != 0 {
			g.Kill()
			return nil, fmt.Errorf("secrets set: %s%s", r.Out, r.Err)
		}
	}
	if err := w.Apply(ctx, g, documents); err != nil {
		g.Kill()
		return nil, err
	}
	return g, nil
}

// Apply applies documents, with the brokers' addresses in them.
func (w *World) Apply(ctx context.Context, g *gateway.Gateway, docs string) error {
	docs = strings.NewReplacer("${RABBIT}", w.Rabbit.Address(), "${RABBIT_TLS}", w.Rabbit.TLSAddress(), "${RABBIT_CA}", w.Rabbit.CAFile,
		"${NATS}", w.NATS.Address(), "${NATS_CA}", w.NATS.CAFile, "${USER}", mqtest.AppUser).Replace(docs)
	if r := g.CLI(ctx, docs, "apply", "-f", "-"); r.Code != 0 {
		return fmt.Errorf("apply: %s%s", r.Out, r.Err)
	}
	return nil
}

// Place is what a client has to be told, and all that it knows.
type Place struct {
	URL    string
	CAFile string
}

// Direct is the broker itself.
func (w *World) Direct(protocol string) Place {
	if protocol == AMQP {
		return Place{mqtest.AMQPURL("amqps", w.Rabbit.TLSAddress(), mqtest.AppUser, mqtest.AppPassword, mqtest.VHost), w.Rabbit.CAFile}
	}
	return Place{w.NATS.URL("tls", mqtest.AppUser, mqtest.AppPassword), w.NATS.CAFile}
}

// Through is a gateway, with a token of a subject.
func (w *World) Through(ctx context.Context, g *gateway.Gateway, protocol, subject string) (Place, error) {
	token, err := g.Token(ctx, subject)
	if err != nil {
		return Place{}, err
	}
	if protocol == AMQP {
		return Place{mqtest.AMQPURL("amqps", g.Listener[AMQP], "fn", token, Jobs), g.CAFile()}, nil
	}
	return Place{"tls://" + Events + ":" + token + "@" + g.Listener[NATS], g.CAFile()}, nil
}

// Stop ends everything, and removes it.
func (w *World) Stop() error {
	if w.Gateway != nil {
		w.Gateway.Stop()
	}
	var err error
	if w.Rabbit != nil {
		err = w.Rabbit.Stop()
	}
	if w.NATS != nil {
		err = errors.Join(err, w.NATS.Stop())
	}
	return errors.Join(err, os.RemoveAll(w.Folder))
}
