package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// distinct is how many texts there are, and workers how many clients send them.
const (
	distinct = 5000
	workers  = 8
)

func texts() scenario {
	return scenario{"texts", "8 clients send 5,000 distinct texts, Zipf-distributed (s = 1.1), with fresh values: as a literal in a simple query, or as the " +
		"parameter of an unnamed statement. In clear over loopback; PgBouncer in transaction mode. A miss is a text that was never sent before.", manyTexts, false}
}

// speaker writes the message of one statement: text number k with a value.
type speaker func(b []byte, k uint64, value int) []byte

func literal(b []byte, k uint64, value int) []byte {
	return simple(b, fmt.Sprintf("SELECT abalance AS c%d FROM pgbench_accounts WHERE aid = %d", k, value))
}

func parameter(b []byte, k uint64, value int) []byte {
	return extended(b, fmt.Sprintf("SELECT abalance AS c%d FROM pgbench_accounts WHERE aid = $1", k), strconv.Itoa(value))
}

func manyTexts(ctx context.Context, w *world) ([]result, error) {
	var all []result
	var unique atomic.Uint64 // texts that were never sent before are numbered on from here
	unique.Store(distinct)
	for _, kind := range []struct {
		name string
		say  speaker
	}{{"literals", literal}, {"parameters", parameter}} {
		zipf := func(y way) func(context.Context) (sample, error) {
			return func(ctx context.Context) (sample, error) {
				return w.send(ctx, y, kind.say, func(r *rand.Rand) func() uint64 { return rand.NewZipf(r, 1.1, 1, distinct-1).Uint64 })
			}
		}
		fresh := func(y way) func(context.Context) (sample, error) {
			return func(ctx context.Context) (sample, error) {
				return w.send(ctx, y, kind.say, func(*rand.Rand) func() uint64 { return func() uint64 { return unique.Add(1) } })
			}
		}
		missed, missedDirect := gated+", each text new", direct+", each text new"
		res, err := w.cell(ctx, "5,000 texts, "+kind.name, "statements", []contender{
			{direct, zipf(w.way(direct, false))},
			{pooler, zipf(w.way(pooler, false))},
			{relayed, zipf(w.way(relayed, false))},
			{gated, zipf(w.gate.way(reader, false))},
			{missed, fresh(w.gate.way(reader, false))},
			{missedDirect, fresh(w.way(direct, false))},
			{control, zipf(w.way(control, false))},
		},
			goal{work: "5,000 texts, " + kind.name + ": throughput against PgBouncer", atLeast: 0.85, aim: 1, of: throughput(gated, pooler)},
			goal{work: "5,000 texts, " + kind.name + ": CPU a statement against a Go relay", atLeast: 1.3, aim: 1, less: true, of: cost(gated, relayed)})
		if err != nil {
			return nil, err
		}
		var misses []float64
		for _, r := range res.rounds {
			misses = append(misses, r[missed].micros-r[gated].micros)
		}
		res.notes = append(res.notes, fmt.Sprintf("A miss costs the gateway %.0f µs of processor time more than the mix.", median(misses)))
		all = append(all, res)
	}
	return all, nil
}

// send lets the workers send statements for the length of a slice. pick makes what chooses the texts.
func (w *world) send(ctx context.Context, y way, say speaker, pick func(*rand.Rand) func() uint64) (sample, error) {
	var clients []*client
	defer func() {
		for _, c := range clients {
			c.close()
		}
	}()
	for range workers {
		c, err := dial(ctx, y)
		if err != nil {
			return sample{}, err
		}
		clients = append(clients, c)
	}
	counts, errs := make([]int, workers), make([]error, workers)
	took, used, err := spent(ctx, func() error {
		var wg sync.WaitGroup
		end := time.Now().Add(w.o.slice)
		for i, c := range clients {
			wg.Go(func() {
				r := rand.New(rand.NewSource(int64(i)))
				counts[i], errs[i] = talk(c, say, pick(r), r, end)
			})
		}
		wg.Wait()
		return errors.Join(errs...)
	}, y.pid)
	n := 0
	for _, one := range counts {
		n += one
	}
	return sample{float64(n) / took.Seconds(), micros(used, n)}, err
}

// talk sends one statement after the other until the end, and returns their number.
func talk(c *client, say speaker, next func() uint64, r *rand.Rand, end time.Time) (n int, err error) {
	var msg []byte
	for ; time.Now().Before(end); n++ {
		msg = say(msg[:0], next(), 1+r.Intn(100_000))
		rows, err := c.ask(msg)
		if err != nil {
			return n, err
		}
		if rows != 1 {
			return n, fmt.Errorf("%d rows instead of one", rows)
		}
	}
	return n, nil
}
