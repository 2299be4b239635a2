package main

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// sample is what one slice of one way gave.
type sample struct {
	perSecond float64
	micros    float64 // processor time of the proxy, for one unit of work
}

// contender is one way to do the work of a cell.
type contender struct {
	name  string
	slice func(ctx context.Context) (sample, error)
}

// The names of the contenders. direct is measured twice.
const (
	direct  = "direct"
	control = "direct again"
	pooler  = "PgBouncer"
	relayed = "Go relay"
	gated   = "Gatehouse"
)

// round is one sample of each contender, by name.
type round map[string]sample

// goal is one line of the table of what is to be reached.
type goal struct {
	work    string
	atLeast float64
	aim     float64
	less    bool   // a cost: less is better
	unit    string // of a figure that is no ratio
	of      func(r round) float64
}

// reached is a goal with what was measured.
type reached struct {
	goal
	got    float64
	spread [2]float64 // the lowest and highest round
}

// result is one cell: the medians of each contender, and the goals.
type result struct {
	title  string
	unit   string // what perSecond counts
	order  []string
	rounds []round
	goals  []reached
	notes  []string
	peer   string // the contender that figures are set against beside direct; PgBouncer where it is empty
}

// cell measures its contenders in turns, starting each round with another one, so that what disturbs the machine disturbs
// all alike.
func (w *world) cell(ctx context.Context, title, unit string, all []contender, goals ...goal) (result, error) {
	if w.o.only != "" {
		all = slices.DeleteFunc(all, func(c contender) bool { return c.name != w.o.only })
		goals = nil
	}
	res := result{title: title, unit: unit}
	for _, c := range all {
		res.order = append(res.order, c.name)
	}
	for i := range w.o.rounds {
		r := round{}
		for k := range all {
			c := all[(i+k)%len(all)]
			w.progress("%s: round %d of %d: %s", title, i+1, w.o.rounds, c.name)
			got, err := c.slice(ctx)
			if err != nil {
				return res, fmt.Errorf("%s: %s: %w", title, c.name, err)
			}
			r[c.name] = got
		}
		res.rounds = append(res.rounds, r)
	}
	for _, g := range goals {
		res.goals = append(res.goals, reach(g, res.rounds))
	}
	return res, nil
}

// reach takes the figure of a goal in each round, and their median.
func reach(g goal, rounds []round) reached {
	var all []float64
	for _, r := range rounds {
		all = append(all, g.of(r))
	}
	return reached{goal: g, got: median(all), spread: [2]float64{slices.Min(all), slices.Max(all)}}
}

func (r reached) mark() string {
	switch {
	case r.less && r.got <= r.aim, !r.less && r.got >= r.aim:
		return "aim"
	case r.less && r.got <= r.atLeast, !r.less && r.got >= r.atLeast:
		return "pass"
	}
	return "short"
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return math.NaN()
	}
	all = slices.Sorted(slices.Values(all))
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}

// throughput is a goal's figure: how much of what one contender does another does.
func throughput(of, against string) func(round) float64 {
	return func(r round) float64 { return r[of].perSecond / r[against].perSecond }
}

// cost is a goal's figure: how many times the processor time of one contender another takes.
func cost(of, against string) func(round) float64 {
	return func(r round) float64 { return r[of].micros / r[against].micros }
}
