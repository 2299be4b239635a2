package queues

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

// shared is the world of this package's tests, which run one after the other. Who ends a gateway starts one of its own.
var shared *World

func TestMain(m *testing.M) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // the first build may be cold
	w, err := New(ctx)
	cancel()
	code := 1
	if err == nil {
		shared = w
		code = m.Run()
		err = w.Stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
