package main

import (
	"context"
	"fmt"
	"time"
)

func idle() scenario {
	return scenario{"idle", "Resident memory of the proxy, after minus before, over the number of clients that logged in with TLS and say nothing, " +
		"3 s after the last login. 50 clients came and went before. The gateway is fresh; PgBouncer and the relay have worked.", sleepers, false}
}

// rest is how long the proxies are left alone before they are measured.
const rest = 3 * time.Second

// sleepers are measured once: memory does not drift as speed does.
func sleepers(ctx context.Context, w *world) ([]result, error) {
	g, err := w.startGatehouse(ctx, "idle")
	if err != nil {
		return nil, err
	}
	n := 2000
	if w.o.short {
		n = 20
	}
	res := result{title: fmt.Sprintf("%d idle clients", n), rounds: []round{{}}}
	for _, p := range []struct {
		name string
		way  way
	}{{pooler, w.way(pooler, true)}, {gated, g.way(reader, true)}} {
		w.progress("%d idle clients: %s", n, p.name)
		held, perClient, full, err := sleep(ctx, p.way, n)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		res.rounds[0][p.name] = sample{perSecond: perClient}
		note := fmt.Sprintf("%s: %d clients, %.1f KiB each.", p.name, held, perClient)
		if full != nil {
			note += fmt.Sprintf(" The next one was refused: %q.", full)
		}
		res.notes = append(res.notes, note)
	}
	g.end()
	res.goals = append(res.goals, reach(goal{work: "memory for each idle client, TLS", atLeast: 64, aim: 24, less: true, unit: " KiB",
		of: func(r round) float64 { return r[gated].perSecond }}, res.rounds))
	return []result{res}, nil
}

// sleep logs clients in and returns how many there were, KiB for each, and why there were no more.
func sleep(ctx context.Context, y way, n int) (held int, perClient float64, full, err error) {
	for range min(n, 50) {
		c, err := dial(ctx, y)
		if err != nil {
			return 0, 0, nil, err
		}
		c.close()
	}
	before, err := after(ctx, y.pid)
	if err != nil {
		return 0, 0, nil, err
	}
	var all []*client
	defer func() {
		for _, c := range all {
			c.close()
		}
	}()
	for range n {
		c, err := dial(ctx, y)
		if err != nil {
			full = err
			break
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return 0, 0, nil, full
	}
	now, err := after(ctx, y.pid)
	return len(all), float64(now-before) / 1024 / float64(len(all)), full, err
}

// after is the memory of a process after a rest.
func after(ctx context.Context, pid int) (int64, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(rest):
	}
	return resident(pid)
}
