package cloud

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Matrix runs clients at the account itself and through the gateway, and returns the cells of the latter: red also where a client
// saw something else, or where something arrived that was not signed anew.
func (p *Pair) Matrix(ctx context.Context, clients []Client) ([]Cell, error) {
	env, err := p.As(ctx, Everything, "urls")
	if err != nil {
		return nil, err
	}
	var all []Cell
	for _, c := range clients {
		direct := c.Run(ctx, p.Environment(), "direct-"+c.Name)
		p.Forget()
		through := c.Run(ctx, env, "through-"+c.Name)
		for i := range through {
			switch d := direct[i]; {
			case !d.OK && !d.None:
				through[i].OK, through[i].Detail = false, "without the gateway: "+d.Detail
			case through[i].OK && d.OK && through[i].Saw != d.Saw:
				through[i].OK, through[i].Detail = false, fmt.Sprintf("saw %.300q, and without the gateway %.300q", through[i].Saw, d.Saw)
			}
		}
		if foreign := p.Foreign("meaningless", tokenOf(env)); len(foreign) > 0 {
			last := &through[len(through)-1]
			last.OK, last.Detail = false, strings.Join(foreign, "; ")
		}
		all = append(all, through...)
	}
	return all, ctx.Err()
}

// tokenOf is the token in an environment.
func tokenOf(env []string) string {
	for _, v := range env {
		if token, ok := strings.CutPrefix(v, "AWS_SESSION_TOKEN="); ok {
			return token
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

// Table prints the cells for people: a row for each feature, a column for each client, and below the reasons.
func Table(w io.Writer, cells []Cell) {
	features := Features()
	rows := slices.Collect(slices.Chunk(cells, len(features)))
	fmt.Fprintf(w, "%-16s", "")
	for _, row := range rows {
		fmt.Fprintf(w, "%-12s", row[0].Client)
	}
	fmt.Fprintln(w)
	var notes []string
	for i, f := range features {
		fmt.Fprintf(w, "%-16s", f)
		for _, row := range rows {
			c, mark := row[i], "✓"
			switch {
			case c.None:
				mark = "–"
			case !c.OK:
				mark = "✗"
			}
			if mark != "✓" {
				notes = append(notes, fmt.Sprintf("%s %s, %s: %s", mark, c.Client, f, c.Detail))
			}
			fmt.Fprintf(w, "%-12s", mark)
		}
		fmt.Fprintln(w)
	}
	if len(notes) > 0 {
		fmt.Fprintln(w)
	}
	for _, n := range notes {
		fmt.Fprintln(w, n)
	}
}
