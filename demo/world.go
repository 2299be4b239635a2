package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"gatehouse/e2e/gateway"
	"gatehouse/e2e/mqtest"
	"gatehouse/e2e/pgtest"
)

//go:embed documents.yaml
var documents string

// world is everything that the demo started, and where it is.
type world struct {
	*teller
	dir      string
	binary   string
	envFile  string
	env      []string // what envFile sets
	server   *pgtest.Server
	billing  *billing
	rabbit   *mqtest.Rabbit
	gateway  *gateway.Gateway
	listener string // PostgreSQL's
}

func newWorld(ctx context.Context, binary string, t *teller) (*world, error) {
	dir, err := os.MkdirTemp("", "gatehouse-demo-")
	if err != nil {
		return nil, err
	}
	w := &world{teller: t, dir: dir, binary: binary, envFile: filepath.Join(dir, "env.sh")}
	if w.server, err = pgtest.New(ctx); err != nil {
		return nil, errors.Join(err, w.close())
	}
	if w.billing, err = newBilling(ctx); err != nil {
		return nil, errors.Join(err, w.close())
	}
	if w.rabbit, err = mqtest.NewRabbit(ctx); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *world) close() error {
	if w.gateway != nil {
		w.gateway.Stop()
	}
	var err error
	if w.server != nil {
		err = w.server.Stop()
	}
	if w.billing != nil {
		err = errors.Join(err, w.billing.close())
	}
	if w.rabbit != nil {
		err = errors.Join(err, w.rabbit.Stop())
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name, text string) error {
	return os.WriteFile(w.path(name), []byte(text), 0o600)
}

// setEnv writes the environment of every command to a file that the reader can source: of the database and the API, and once there
// is one, of the gateway.
func (w *world) setEnv() error {
	w.env = []string{"DEMO=" + w.dir, "DIRECT=" + w.server.DSN(pgtest.AppUser, pgtest.AppPassword, pgtest.Database), "BILLING_DIRECT=" + w.billing.url}
	if w.gateway != nil {
		host, port, err := net.SplitHostPort(w.listener)
		if err != nil {
			return err
		}
		_, jobs, err := net.SplitHostPort(w.gateway.Listener["amqp"])
		if err != nil {
			return err
		}
		w.env = append(w.env, "GATEHOUSE_STATE="+w.gateway.State, "PGHOST="+host, "PGPORT="+port, "PGDATABASE=orders-db",
			"PGUSER=fn", "PGSSLMODE=verify-full", "PGSSLROOTCERT="+w.path("ca.pem"), "PGCONNECT_TIMEOUT=10",
			"BILLING=https://"+w.gateway.Listener["http"]+"/c/billing",
			"JOBS=localhost:"+jobs+"/jobs") // amqp-tools only verify names
	}
	text := "export PATH=" + filepath.Dir(w.binary) + ":$PATH\n"
	for _, e := range w.env {
		name, value, _ := strings.Cut(e, "=")
		text += fmt.Sprintf("export %s='%s'\n", name, value)
	}
	return w.write("env.sh", text)
}

// source shows the environment that the commands from here on have.
func (w *world) source() error {
	if err := w.setEnv(); err != nil {
		return err
	}
	w.command("cat " + w.envFile + "; . " + w.envFile)
	text, err := os.ReadFile(w.envFile)
	w.output(string(text))
	return err
}

// shell prepares a command line exactly as the reader would type it after sourcing the environment.
func (w *world) shell(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), w.env...)
	cmd.Env = append(cmd.Env, "PATH="+filepath.Dir(w.binary)+":"+os.Getenv("PATH"), "PAGER=cat", "PSQLRC=/dev/null")
	return cmd
}

// result is a finished command: what it printed (errors included, as on a terminal) and its status.
type result struct {
	text   string
	status int
}

// run shows a command line, runs it, and shows what it printed.
func (w *world) run(ctx context.Context, line string) result {
	w.command(line)
	r := w.quiet(ctx, line)
	w.output(r.text)
	return r
}

func (w *world) quiet(ctx context.Context, line string) result {
	cmd := w.shell(ctx, line)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		return result{err.Error(), -1}
	}
	return result{out.String(), cmd.ProcessState.ExitCode()}
}

// must runs a command that has to succeed.
func (w *world) must(ctx context.Context, line string) (string, error) {
	r := w.run(ctx, line)
	if r.status != 0 {
		return "", fmt.Errorf("%q ended with status %d", line, r.status)
	}
	return r.text, nil
}

// direct asks the database itself, around the gateway, as its owner.
func (w *world) direct(ctx context.Context, sql string) (string, error) {
	cmd := exec.CommandContext(ctx, "psql", "-X", "-At", "-c", sql, w.server.DSN(pgtest.AppUser, pgtest.AppPassword, pgtest.Database))
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
