package main

import (
	"context"
	"fmt"
)

func selectPlain() scenario {
	return scenario{"select", "pgbench's select-only script. All in clear over loopback, PgBouncer in transaction mode but for " +
		"prepared statements, which its version keeps in session mode only.",
		func(ctx context.Context, w *world) ([]result, error) { return selectOnly(ctx, w, false) }, false}
}

func selectTLS() scenario {
	return scenario{"select-tls", "The same with verified TLS on both sides of every proxy.",
		func(ctx context.Context, w *world) ([]result, error) { return selectOnly(ctx, w, true) }, false}
}

func selectOnly(ctx context.Context, w *world, tls bool) ([]result, error) {
	var all []result
	for _, clients := range []int{1, 8, 32} {
		for _, mode := range []string{"simple", "extended", "prepared"} {
			pool := w.way(pooler, tls)
			if mode == "prepared" {
				pool.database = "orders_session"
			}
			title := fmt.Sprintf("%s, %d clients", mode, clients)
			var goals []goal
			if clients > 1 {
				goals = append(goals, goal{work: title + ": throughput against PgBouncer", atLeast: 0.85, aim: 1, of: throughput(gated, pooler)})
			}
			goals = append(goals, goal{work: title + ": CPU a statement against a Go relay", atLeast: 1.3, aim: 1, less: true, of: cost(gated, relayed)})
			res, err := w.cell(ctx, title, "statements", []contender{
				{direct, w.statements(w.way(direct, tls), clients, mode)},
				{pooler, w.statements(pool, clients, mode)},
				{relayed, w.statements(w.way(relayed, tls), clients, mode)},
				{gated, w.statements(w.gate.way(reader, tls), clients, mode)},
				{control, w.statements(w.way(control, tls), clients, mode)},
			}, goals...)
			if err != nil {
				return nil, err
			}
			all = append(all, res)
		}
	}
	return all, nil
}
