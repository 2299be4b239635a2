// Clientsqueues prints the matrix of stock clients of queues and of what they do (see e2e/queues), and exits with status 1 if a cell
// failed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"gatehouse/e2e/queues"
)

func main() {
	only := flag.String("only", "", "only clients whose name contains this")
	output := flag.String("o", "table", "table or json")
	direct := flag.Bool("direct", false, "the brokers alone, without a gateway")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *only, *output, *direct)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only, output string, direct bool) (err error) {
	list := slices.DeleteFunc(queues.Clients(), func(c queues.Client) bool { return !strings.Contains(c.Name, only) })
	if len(list) == 0 {
		return fmt.Errorf("no client's name contains %q", only)
	}
	start := queues.New
	if direct {
		start = queues.Brokers
	}
	p, err := start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	cells, err := p.Matrix(ctx, list, false, direct)
	if err != nil {
		return err
	}
	if output == "json" {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		if err := e.Encode(cells); err != nil {
			return err
		}
	} else {
		queues.Table(os.Stdout, cells)
	}
	if n := queues.Failed(cells); n > 0 {
		return fmt.Errorf("%d cells failed", n)
	}
	return nil
}
