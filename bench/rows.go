package main

import (
	"context"
	"fmt"
)

// The contenders of large results that stand for Gatehouse: what the role hides.
const (
	twoColumns = gated + ", two columns masked"
	everyCell  = gated + ", detectors on every cell"
)

func rows() scenario {
	return scenario{"rows", "One client reads 1,000,000 rows of eight text columns (about 190 bytes) in one simple query, in clear over loopback, and looks " +
		"at nothing of them. Detectors: all six; each row has an e-mail address, each fiftieth a card number in a note.", large, false}
}

func large(ctx context.Context, w *world) ([]result, error) {
	query := simple(nil, "SELECT reference, name, email, city, placed, amount, note, state FROM wide")
	slice := func(y way) func(context.Context) (sample, error) {
		return func(ctx context.Context) (sample, error) {
			c, err := dial(ctx, y)
			if err != nil {
				return sample{}, err
			}
			defer c.close()
			n := 0
			took, used, err := spent(ctx, func() (err error) {
				n, err = c.ask(query)
				return err
			}, y.pid)
			if err == nil && n != w.wideRows() {
				err = fmt.Errorf("%d rows instead of %d", n, w.wideRows())
			}
			return sample{float64(n) / took.Seconds(), micros(used, n)}, err
		}
	}
	res, err := w.cell(ctx, "1,000,000 rows of eight columns", "rows", []contender{
		{direct, slice(w.way(direct, false))},
		{pooler, slice(w.way(pooler, false))},
		{relayed, slice(w.way(relayed, false))},
		{gated, slice(w.gate.way(reader, false))},
		{twoColumns, slice(w.gate.way(masked, false))},
		{everyCell, slice(w.gate.way(scanned, false))},
		{control, slice(w.way(control, false))},
	},
		goal{work: "1,000,000 rows, no mask: CPU a row against a Go relay", atLeast: 1.3, aim: 1.1, less: true, of: cost(gated, relayed)},
		goal{work: "1,000,000 rows, two masked columns: throughput against direct", atLeast: 0.8, aim: 0.95, of: throughput(twoColumns, direct)},
		goal{work: "1,000,000 rows, detectors on every cell: throughput against direct", atLeast: 0.5, aim: 0.75, of: throughput(everyCell, direct)})
	return []result{res}, err
}
