package main

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// batch is how many messages of core NATS one unit of credit is for.
const batch = 64

func natsSubjects() scenario {
	return scenario{"nats", "nats.go publishes messages of 1 KB of JSON, and over another connection another one is subscribed to them, at most 2,048 under way, in clear " +
		"over loopback: nothing waits for anything, which is the hardest case for whatever reads along.",
		func(ctx context.Context, w *world) ([]result, error) {
			return w.flows(ctx, "publish and subscribe, 1 KB", natsName, w.subscribed)
		}, true}
}

func natsStreams() scenario {
	return scenario{"jetstream", "nats.go publishes messages of 1 KB of JSON to a stream in memory, with an acknowledgement of each, and over another connection a pull consumer " +
		"takes and acknowledges each, at most 512 under way, in clear over loopback.",
		func(ctx context.Context, w *world) ([]result, error) {
			return w.flows(ctx, "publish with acknowledgement and consume, 1 KB", natsName, w.streamed)
		}, true}
}

func natsDial(l link) (*nats.Conn, error) {
	return nats.Connect("nats://"+l.address, nats.UserInfo(l.user, l.password), nats.NoReconnect())
}

// natsPair returns a connection to publish with and one to receive with.
func natsPair(l link) (out, in *nats.Conn, err error) {
	if out, err = natsDial(l); err != nil {
		return nil, nil, err
	}
	if in, err = natsDial(l); err != nil {
		out.Close()
	}
	return out, in, err
}

// subscribed publishes for a slice, and returns how many messages arrived.
func (w *world) subscribed(ctx context.Context, l link) (n int, err error) {
	out, in, err := natsPair(l)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	defer in.Close()
	credit := make(chan struct{}, underway*4/batch)
	var arrived atomic.Int64
	subject := "bench." + strconv.FormatInt(time.Now().UnixNano(), 36)
	if _, err := in.Subscribe(subject, func(*nats.Msg) {
		if arrived.Add(1)%batch == 0 {
			<-credit
		}
	}); err != nil {
		return 0, err
	}
	if err := in.FlushTimeout(patience); err != nil {
		return 0, err
	}
	body := payload()
	for end := time.Now().Add(w.o.slice); time.Now().Before(end); n += batch {
		if err := lend(ctx, credit, out, in); err != nil {
			return 0, err
		}
		for range batch {
			if err := out.Publish(subject, body); err != nil {
				return 0, err
			}
		}
	}
	for range cap(credit) { // all credit comes back with the last message
		if err := lend(ctx, credit, out, in); err != nil {
			return 0, err
		}
	}
	if int(arrived.Load()) != n {
		return 0, errors.New("messages were lost, or doubled")
	}
	return n, nil
}

// patience is how long a message may be under way.
const patience = 20 * time.Second

// lend takes one unit of credit.
func lend(ctx context.Context, credit chan<- struct{}, all ...*nats.Conn) error {
	select {
	case credit <- struct{}{}:
		return nil
	default:
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case credit <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
		err := errors.New("messages do not arrive")
		for _, c := range all {
			err = errors.Join(err, c.LastError())
		}
		return err
	}
}

// streamed publishes to a stream for a slice, and returns how many messages were acknowledged both ways.
func (w *world) streamed(ctx context.Context, l link) (n int, err error) {
	out, in, err := natsPair(l)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	defer in.Close()
	publisher, err := jetstream.New(out, jetstream.WithPublishAsyncMaxPending(underway))
	if err != nil {
		return 0, err
	}
	streams, err := jetstream.New(in)
	if err != nil {
		return 0, err
	}
	name := "bench-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	stream, err := streams.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name}, Storage: jetstream.MemoryStorage, Retention: jetstream.WorkQueuePolicy,
		MaxBytes: 64 << 20})
	if err != nil {
		return 0, err
	}
	defer func() { _ = streams.DeleteStream(ctx, name) }() // the next slice has another one
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "bench", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 2 * underway})
	if err != nil {
		return 0, err
	}
	credit := make(chan struct{}, underway)
	var arrived, broken atomic.Int64
	flow, err := consumer.Consume(func(m jetstream.Msg) {
		if m.Ack() != nil {
			broken.Add(1)
		}
		arrived.Add(1)
		<-credit
	}, jetstream.PullMaxMessages(underway))
	if err != nil {
		return 0, err
	}
	defer flow.Stop()
	body := payload()
	for end := time.Now().Add(w.o.slice); time.Now().Before(end); n++ {
		if err := lend(ctx, credit, out, in); err != nil {
			return 0, err
		}
		if _, err := publisher.PublishAsync(name, body); err != nil {
			return 0, err
		}
	}
	for range underway {
		if err := lend(ctx, credit, out, in); err != nil {
			return 0, err
		}
	}
	select {
	case <-publisher.PublishAsyncComplete():
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if int(arrived.Load()) != n || broken.Load() > 0 {
		return 0, errors.New("messages were lost, or doubled")
	}
	return n, nil
}
