package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// The colours of a terminal; all empty elsewhere.
type colours struct{ head, command, good, bad, off string }

// teller prints the story.
type teller struct {
	mu    sync.Mutex // a statement that waits prints while the reviewer works
	out   io.Writer
	c     colours
	steps int
	began time.Time
}

func newTeller(out *os.File) *teller {
	t := &teller{out: out, began: time.Now()}
	if term.IsTerminal(int(out.Fd())) && os.Getenv("NO_COLOR") == "" {
		t.c = colours{"\x1b[1;36m", "\x1b[1m", "\x1b[32m", "\x1b[31m", "\x1b[0m"}
	}
	return t
}

func (t *teller) printf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, format, args...)
}

func (t *teller) heading(title, about string) {
	t.steps++
	t.printf("\n%s%d. %s%s\n", t.c.head, t.steps, title, t.c.off)
	if about != "" {
		t.printf("%s\n", about)
	}
}

func (t *teller) command(text string) { t.printf("%s$ %s%s\n", t.c.command, text, t.c.off) }

func (t *teller) output(text string) {
	if text = strings.TrimRight(text, "\n"); text != "" {
		t.printf("%s\n", text)
	}
}

// check prints what holds, or returns what was expected.
func (t *teller) check(ok bool, what, got string) error {
	if ok {
		t.printf("%s✓ %s%s\n", t.c.good, what, t.c.off)
		return nil
	}
	t.printf("%s✗ %s%s\n", t.c.bad, what, t.c.off)
	return fmt.Errorf("expected: %s; got: %s", what, strings.TrimSpace(got))
}

func (t *teller) done() {
	t.printf("\n%sThat was the story: %d steps in %.1f s.%s\n", t.c.head, t.steps, time.Since(t.began).Seconds(), t.c.off)
}

// reach says how to go on by hand.
func (t *teller) reach(w *world) {
	t.printf(`
Everything is still up. In another terminal:
    . %s
and every command above can be typed again. For a token of another kind:
    gatehouse dev token --subject fn:refund
    gatehouse dev token --person --subject bob --claim group=dba
The gateway's API   %s
for PostgreSQL      %s
for HTTP            %s
for AMQP            %s
the local issuer    %s
its log             %s
PostgreSQL itself   %s
the billing API     %s
RabbitMQ itself     %s
Ctrl-C ends it all, and removes %s.
`, w.envFile, w.gateway.API, w.listener, w.gateway.Listener["http"], w.gateway.Listener["amqp"], w.gateway.Issuer, w.gateway.LogFile, w.server.Address(), w.billing.url, w.rabbit.Address(), w.dir)
}
