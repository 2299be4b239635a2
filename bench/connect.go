package main

import (
	"context"
	"strconv"
)

func connect() scenario {
	return scenario{"connect", "pgbench -C: connect with verified TLS, one query, close; 8 clients, each on a thread of its own. " +
		"Direct, PgBouncer (transaction mode) and the relay log in with SCRAM, Gatehouse with a token; to the server it speaks SCRAM over TLS.", connects, false}
}

func connects(ctx context.Context, w *world) ([]result, error) {
	slice := func(y way) func(context.Context) (sample, error) {
		return func(ctx context.Context) (sample, error) {
			n := 0
			args := []string{"-C", "-c", "8", "-j", "8", "-T", strconv.Itoa(max(1, int(w.o.slice.Seconds())))}
			if w.o.short {
				args = []string{"-C", "-c", "8", "-j", "8", "-t", "2"}
			}
			took, used, err := spent(ctx, func() (err error) {
				n, _, err = w.pgbench(ctx, y, args...)
				return err
			}, y.pid)
			return sample{float64(n) / took.Seconds(), micros(used, n)}, err
		}
	}
	res, err := w.cell(ctx, "connect, query, close", "connections", []contender{
		{direct, slice(w.way(direct, true))},
		{pooler, slice(w.way(pooler, true))},
		{relayed, slice(w.way(relayed, true))},
		{gated, slice(w.gate.way(reader, true))},
		{control, slice(w.way(control, true))},
	}, goal{work: "connect, query, close with TLS and a token, against direct with SCRAM and TLS", atLeast: 2, aim: 4, of: throughput(gated, direct)})
	return []result{res}, err
}
