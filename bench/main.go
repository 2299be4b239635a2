// Bench measures what Gatehouse costs, as ratios within one run: against the server itself, Debian's PgBouncer, and the
// plainest relay that Go can have (bench/relay), all on this machine. A role, a guardrail and full audit are on. Each figure
// is the median of interleaved rounds of short slices, each ratio is taken inside a round, and the server is measured twice
// in each round: how far the two differ is how much the machine can be believed. Afterwards the audit log is verified.
//
// The scenarios: select.go (statements), connect.go (logins), rows.go (large results, masks), idle.go (memory), texts.go
// (many texts), requests.go (HTTP), queues.go (messages). servers.go and documents.go hold the configuration of everything that is compared.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

// options are what the command line says.
type options struct {
	gatehouse string
	relay     string
	scenarios []string
	rounds    int
	slice     time.Duration
	short     bool
	only      string
	write     string
	date      string
}

// scenario is one kind of work.
type scenario struct {
	name  string
	about string // how it is measured, for the reader of the table
	run   func(ctx context.Context, w *world) ([]result, error)
	bare  bool // it needs no database
}

func scenarios() []scenario {
	return []scenario{selectPlain(), selectTLS(), connect(), rows(), texts(), idle(), requests(), idleRequests(),
		amqpQueues(), natsSubjects(), natsStreams(), idleQueues()}
}

func main() {
	o := options{}
	var only string
	flag.StringVar(&o.gatehouse, "gatehouse", "bin/gatehouse", "the gatehouse `binary`")
	flag.StringVar(&o.relay, "relay", "bin/relay", "the `binary` of bench/relay")
	flag.StringVar(&only, "scenarios", "", "only these, `a,b` of select,select-tls,connect,rows,texts,idle,requests,idle-requests,amqp,nats,jetstream,idle-queues")
	flag.IntVar(&o.rounds, "rounds", 7, "how many rounds; the median counts")
	flag.DurationVar(&o.slice, "slice", time.Second, "how long each way is measured in a round")
	flag.BoolVar(&o.short, "short", false, "little of everything: shows that it runs, and measures nothing")
	flag.StringVar(&o.only, "only", "", "measure this one `contender` alone, to profile it: \"Gatehouse\"")
	flag.StringVar(&o.write, "write", "", "put the tables into this `file`, between its marks")
	flag.StringVar(&o.date, "date", "", "the `date` that the tables get")
	flag.Parse()
	if only != "" {
		o.scenarios = strings.Split(only, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	chosen, err := choose(o.scenarios)
	if err != nil {
		return err
	}
	w, err := newWorld(ctx, o, slices.ContainsFunc(chosen, func(s scenario) bool { return !s.bare }))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	m := describeMachine(ctx, w)
	for _, s := range chosen {
		if !s.bare {
			if err := w.gate.renew(ctx); err != nil {
				return err
			}
		}
		got, err := s.run(ctx, w)
		w.progress("")
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		text := render(s, got, o, m)
		fmt.Println(text)
		if o.write != "" {
			if err := put(o.write, s.name, text); err != nil {
				return err
			}
		}
	}
	said, err := w.verify(ctx)
	if err != nil {
		return err
	}
	fmt.Println(said)
	return nil
}

// choose returns the scenarios that were named; all of them where none was.
func choose(names []string) ([]scenario, error) {
	all := scenarios()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []scenario
	for _, name := range names {
		i := slices.IndexFunc(all, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no scenario %q", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
