package queues

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Matrix runs clients at the brokers themselves and through the gateway, and returns the cells of the latter: red also where a
// client saw something else. direct has the brokers alone run them, to see what the clients are worth.
func (w *World) Matrix(ctx context.Context, clients []Client, short, direct bool) ([]Cell, error) {
	var all []Cell
	for _, c := range clients {
		alone := c.Run(ctx, w.Direct(c.Protocol), "direct-"+c.program(), short)
		if direct {
			all = append(all, alone...)
			continue
		}
		at, err := w.Through(ctx, w.Gateway, c.Protocol, Everything)
		if err != nil {
			return nil, err
		}
		through := c.Run(ctx, at, "through-"+c.program(), short)
		for i := range through {
			through[i].compare(alone[i])
		}
		all = append(all, through...)
	}
	return all, ctx.Err()
}

// program is the client's name as names of queues and subjects may hold it.
func (c *Client) program() string {
	return strings.NewReplacer(" ", "-", ".", "-").Replace(c.Name)
}

func (c *Cell) compare(alone Cell) {
	switch {
	case !alone.OK && !alone.None:
		c.OK, c.Detail = false, "without the gateway: "+alone.Detail
	case c.OK && c.Saw != alone.Saw:
		c.OK, c.Detail = false, difference(c.Saw, alone.Saw)
	}
}

// difference is the first lines that differ.
func difference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		var a, b string
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return fmt.Sprintf("saw %.400q, and without the gateway %.400q", a, b)
		}
	}
	return ""
}

// Failed counts the cells that are neither a success nor a documented impossibility.
func Failed(cells []Cell) int {
	n := 0
	for _, c := range cells {
		if !c.OK && !c.None {
			n++
		}
	}
	return n
}

// Table prints the cells for people: for each protocol a row for each feature, a column for each client, and below the reasons.
func Table(w io.Writer, cells []Cell) {
	for _, protocol := range []string{AMQP, NATS} {
		part := slices.DeleteFunc(slices.Clone(cells), func(c Cell) bool { return c.Protocol != protocol })
		if len(part) > 0 {
			table(w, Features(protocol), part)
		}
	}
}

func table(w io.Writer, features []string, cells []Cell) {
	columns := slices.Collect(slices.Chunk(cells, len(features)))
	fmt.Fprintf(w, "%-16s", "")
	for _, c := range columns {
		fmt.Fprintf(w, "%-12s", c[0].Client)
	}
	fmt.Fprintln(w)
	var notes []string
	for i, f := range features {
		fmt.Fprintf(w, "%-16s", f)
		for _, column := range columns {
			c, mark := column[i], "✓"
			switch {
			case c.None:
				mark = "–"
			case !c.OK:
				mark = "✗"
				notes = append(notes, fmt.Sprintf("%s %s, %s: %s", mark, c.Client, f, c.Detail))
			}
			fmt.Fprintf(w, "%-12s", mark)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
	for _, n := range notes {
		fmt.Fprintln(w, n)
	}
}
