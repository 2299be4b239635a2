// Demo tells the story of Gatehouse with a real PostgreSQL, a small HTTP API, the real psql and curl, and the real gatehouse
// binary. Every command is shown as it is run, so that the reader can type it; every step is checked, and a failed check ends
// the demo with status 1. With DEMO_EXIT=1 it ends by itself, otherwise it stays up until Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// patience bounds the whole story: a step that hangs is a step that failed.
const patience = 5 * time.Minute

func main() {
	binary := flag.String("gatehouse", "bin/gatehouse", "the gatehouse binary")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *binary)
	interrupted := ctx.Err() != nil // Ctrl-C is how the reader ends it
	stop()
	if err != nil && !interrupted {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary string) (err error) {
	binary, err = filepath.Abs(binary)
	if err != nil {
		return err
	}
	t := newTeller(os.Stdout)
	w, err := newWorld(ctx, binary, t)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	told, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, step := range story() {
		t.heading(step.title, step.about)
		if err := step.tell(told, w); err != nil {
			return fmt.Errorf("step %d, %q: %w", t.steps, step.title, err)
		}
	}
	t.done()
	if os.Getenv("DEMO_EXIT") == "1" {
		return nil
	}
	t.reach(w)
	select {
	case <-ctx.Done():
		return nil
	case <-w.gateway.Done():
		return errors.New("the gateway ended by itself")
	}
}
