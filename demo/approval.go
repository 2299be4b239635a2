package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// held is a psql whose statement waits for an approval.
type held struct {
	cmd      *exec.Cmd
	approval chan string // the approval's name, once psql has shown it; closed when psql ends
	text     *strings.Builder
}

// approvalName finds the approval in the NOTICE that the gateway sends while a statement waits.
var approvalName = regexp.MustCompile(`gatehouse approvals [a-z]+ ([A-Za-z0-9-]+)|approval ([A-Za-z0-9]+(?:-[A-Za-z0-9]+)+)`)

// hold starts a command that will wait, and passes on what it prints.
func (w *world) hold(ctx context.Context, line string) (*held, error) {
	w.command(line + " &")
	h := &held{cmd: w.shell(ctx, line), approval: make(chan string, 1), text: &strings.Builder{}}
	r, pipe, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	h.cmd.Stdout, h.cmd.Stderr = pipe, pipe
	if err := errors.Join(h.cmd.Start(), pipe.Close()); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	go h.read(r, w)
	return h, nil
}

func (h *held) read(r io.ReadCloser, w *world) {
	defer close(h.approval)
	defer func() { _ = r.Close() }() // nothing is left in it
	named := false
	for lines := bufio.NewScanner(r); lines.Scan(); {
		h.text.WriteString(lines.Text() + "\n")
		w.output("  psql | " + lines.Text())
		if m := approvalName.FindStringSubmatch(lines.Text()); m != nil && !named {
			named = true
			h.approval <- m[1] + m[2]
		}
	}
}

// name waits until psql has shown the approval.
func (h *held) name(ctx context.Context) (string, error) {
	select {
	case id, ok := <-h.approval:
		if !ok {
			return "", fmt.Errorf("psql ended without waiting: %s", h.text)
		}
		return id, nil
	case <-ctx.Done():
		return "", fmt.Errorf("psql did not name an approval: %w", ctx.Err())
	}
}

// finish waits until psql has ended, and returns what it printed.
func (h *held) finish() (string, error) {
	for range h.approval { // until it is closed: everything has been read
	}
	err := h.cmd.Wait()
	return h.text.String(), err
}

const (
	duplicates = "SELECT count(*) FROM payments WHERE state = 'duplicate'"
	others     = "SELECT count(*) FROM payments WHERE state <> 'duplicate'"
)

func holdDelete(ctx context.Context, w *world) error {
	before, err := w.direct(ctx, others)
	if err != nil {
		return err
	}
	h, err := w.hold(ctx, `PGPASSWORD=$(cat $DEMO/fn.token) psql -X -c "DELETE FROM payments WHERE state = 'duplicate'"`)
	if err != nil {
		return err
	}
	id, err := h.name(ctx)
	if err != nil {
		return err
	}
	if err := review(ctx, w, id); err != nil {
		return err
	}
	text, err := h.finish()
	if err != nil {
		return err
	}
	if err := w.check(strings.Contains(text, "DELETE 3"), "then, and only then, psql finishes", text); err != nil {
		return err
	}
	left, err := w.direct(ctx, duplicates)
	if err != nil {
		return err
	}
	after, err := w.direct(ctx, others)
	if err != nil {
		return err
	}
	return w.check(left == "0" && after == before, "in the database exactly those three rows are gone",
		fmt.Sprintf("%s duplicates, %s others (before: %s)", left, after, before))
}

// review is the other person's part.
func review(ctx context.Context, w *world, id string) error {
	waiting, err := w.direct(ctx, duplicates)
	if err != nil {
		return err
	}
	if err := w.check(waiting == "3", "while it waits, nothing is deleted", waiting+" duplicates"); err != nil {
		return err
	}
	if _, err := w.must(ctx, "gatehouse dev token --person --subject ann --claim group=dba > $DEMO/ann.token"); err != nil {
		return err
	}
	r := w.run(ctx, "gatehouse approvals approve "+id+" --reason 'I wrote it myself' --token-file $DEMO/fn.token")
	if err := w.check(r.status != 0, "the function cannot approve its own statement", r.text); err != nil {
		return err
	}
	out, err := w.must(ctx, "gatehouse approvals list --token-file $DEMO/ann.token")
	if err != nil {
		return err
	}
	if err := w.check(strings.Contains(out, id), "the reviewer sees what waits, and who asks", out); err != nil {
		return err
	}
	_, err = w.must(ctx, "gatehouse approvals approve "+id+" --reason 'duplicates of ticket 4711' --token-file $DEMO/ann.token")
	return err
}
