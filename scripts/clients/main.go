// Clients prints the matrix of drivers and features (see package clients) and exits with status 1 if a cell failed.
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

	"golang.org/x/term"

	"gatehouse/e2e/clients"
	"gatehouse/e2e/pair"
)

func main() {
	dir := flag.String("dir", "e2e/clients", "the folder of the drivers' programs")
	only := flag.String("only", "", "only drivers whose name contains this")
	output := flag.String("o", "table", "table or json")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *dir, *only, *output)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, only, output string) (err error) {
	drivers := slices.DeleteFunc(clients.Drivers(), func(d clients.Driver) bool { return !strings.Contains(d.Name, only) })
	if len(drivers) == 0 {
		return fmt.Errorf("no driver's name contains %q", only)
	}
	p, err := pair.New(ctx, clients.Seed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	cells, err := clients.Run(ctx, p, dir, drivers)
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
		clients.Table(os.Stdout, cells, term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == "")
	}
	if n := clients.Failed(cells); n > 0 {
		return fmt.Errorf("%d cells failed", n)
	}
	return nil
}
