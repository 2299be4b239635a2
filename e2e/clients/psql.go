package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// psql is the command-line client.
func psql(ctx context.Context, e *Env, r *Report) {
	g := &viaPsql{ctx: ctx, env: e}
	says := func(want string, script ...string) func() error {
		return func() error { return g.says(e.Token, want, strings.Join(script, "\n")) }
	}
	for _, f := range []struct {
		name string
		run  func() error
	}{
		{"login", says("1", "SELECT 1;")},
		{"simple", says("42", "SELECT 40 + 2;")},
		{"prepared", says("2\n4\n6", "PREPARE p (integer) AS SELECT $1 * 2;", "EXECUTE p(1);", "EXECUTE p(2);", "EXECUTE p(3);", "DEALLOCATE p;")},
		{"batch", says("1\n2\n3", `SELECT 1\; SELECT 2\; SELECT 3;`)},
		{"copy in", says("2", `\copy tables.work FROM STDIN`, "1\tcopied\t{a,b}", "2\tcopied\t\\N", `\.`, "SELECT count(*) FROM tables.work WHERE name = 'copied';")},
		{"copy out", says("1\t{a,b}\n2\t\\N", `\copy (SELECT id, tags FROM tables.work WHERE name = 'copied' ORDER BY id) TO STDOUT`, "DELETE FROM tables.work WHERE name = 'copied';")},
		{"cancel", g.cancel},
		{"notify", says("Asynchronous notification \"matrix\" with payload \"hello\" received", "LISTEN matrix;", "NOTIFY matrix, 'hello';")},
		{"64 MiB", g.large},
		{"null", says("∅|x", `\pset null ∅`, "SELECT NULL, 'x';")},
		{"array", says(`{a,"b,c"}`, "SELECT ARRAY['a', 'b,c'];")},
		{"tx errors", says("1\n0", "BEGIN;", "INSERT INTO tables.work (id, name) VALUES (7, 'tx');", "SAVEPOINT a;", "SELECT 1/0;", "SELECT 5;", "ROLLBACK TO a;",
			"SELECT count(*) FROM tables.work WHERE name = 'tx';", "ROLLBACK;", "SELECT count(*) FROM tables.work WHERE name = 'tx';")},
		{"reset", says("0", "SET statement_timeout = '1h';", "RESET statement_timeout;", "SET statement_timeout = '1h';", "RESET ALL;", "DISCARD ALL;", "SHOW statement_timeout;")},
		{"bad token", func() error {
			_, errs, _ := g.run("no-token-at-all", "SELECT 1;", nil)
			return clear28P01("28P01", errs) // psql shows no SQLSTATE of a login
		}},
		{"refusal", func() error {
			out, errs, err := g.run(e.Limited, "\\set VERBOSITY verbose\nSELECT * FROM hidden.things;\nSELECT 1;", nil)
			if !strings.Contains(errs, "HINT:") || !strings.Contains(errs, "not-the-hidden") || !strings.Contains(errs, "42501") || out != "1" {
				return fmt.Errorf("%s, %s: %w", out, errs, err)
			}
			return nil
		}},
	} {
		r.Do(f.name, f.run)
	}
}

type viaPsql struct {
	ctx context.Context
	env *Env
}

// says runs a script, and compares what it prints to standard output but for lines about a process.
func (g *viaPsql) says(token, want, script string) error {
	out, errs, err := g.run(token, script, nil)
	out, _, _ = strings.Cut(out, " from server process")
	if err != nil || out != want {
		return fmt.Errorf("%.200q, want %.200q; %s: %w", out, want, errs, err)
	}
	return nil
}

func (g *viaPsql) run(token, script string, begun func(*os.Process)) (out, errs string, err error) {
	cmd := exec.CommandContext(g.ctx, "psql", "-X", "-A", "-t", "-q", "-f", "-")
	cmd.Env, cmd.Stdin, cmd.WaitDelay = g.env.environ(token), strings.NewReader(script+"\n"), stuck
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Start(); err != nil {
		return "", "", err
	}
	if begun != nil {
		begun(cmd.Process)
	}
	err = cmd.Wait()
	return strings.TrimSpace(o.String()), strings.TrimSpace(e.String()), err
}

// cancel does what Ctrl-C does.
func (g *viaPsql) cancel() error {
	began := time.Now()
	_, errs, _ := g.run(g.env.Token, "SELECT pg_sleep(60);\nSELECT 1;", func(p *os.Process) {
		time.AfterFunc(700*time.Millisecond, func() { _ = p.Signal(os.Interrupt) }) // seen by the statement's end
	})
	if !strings.Contains(errs, "canceling statement") || time.Since(began) > 30*time.Second {
		return fmt.Errorf("after %s: %s", time.Since(began), errs)
	}
	return nil
}

func (g *viaPsql) large() error {
	out, errs, err := g.run(g.env.Token, "SELECT repeat('x', 67108864);", nil)
	if err != nil || len(out) != large {
		return fmt.Errorf("received %d bytes, %s: %w", len(out), errs, err)
	}
	out, errs, err = g.run(g.env.Token, "\\copy tables.work (id, name) FROM STDIN\n3\t"+out+"\n\\.\nSELECT length(name) FROM tables.work WHERE id = 3;\nDELETE FROM tables.work WHERE id = 3;", nil)
	if err != nil || out != "67108864" {
		return errors.Join(fmt.Errorf("sent: %.100q, %s", out, errs), err)
	}
	return nil
}
