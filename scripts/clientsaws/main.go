// Clientsaws prints the matrix of stock clients of AWS APIs and of what they do (see e2e/cloud), and exits with status 1 if a cell
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

	"gatehouse/e2e/cloud"
)

func main() {
	only := flag.String("only", "", "only clients whose name contains this")
	output := flag.String("o", "table", "table or json")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *only, *output)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only, output string) (err error) {
	list := slices.DeleteFunc(cloud.Clients(), func(c cloud.Client) bool { return !strings.Contains(c.Name, only) })
	if len(list) == 0 {
		return fmt.Errorf("no client's name contains %q", only)
	}
	p, err := cloud.NewPair(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	cells, err := p.Matrix(ctx, list)
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
		cloud.Table(os.Stdout, cells)
	}
	if n := cloud.Failed(cells); n > 0 {
		return fmt.Errorf("%d cells failed", n)
	}
	return nil
}
