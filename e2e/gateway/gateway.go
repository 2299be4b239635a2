// Package gateway starts the real gatehouse binary for end-to-end tests, benchmarks and the demo, on free ports and a state
// directory of its own, and speaks to it as a user does: through its command line. TestPsql in e2e is the simplest user.
package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"gatehouse/e2e/child"
)

// Gateway is a running gateway with its local issuer.
type Gateway struct {
	Binary  string
	State   string // the state directory
	Env     []string
	LogFile string // its standard error: JSON lines
	OutFile string // its standard output: how to reach everything

	API      string // https://127.0.0.1:port
	Issuer   string // of the local issuer
	Listener map[string]string

	process *child.Process
}

// Options say how to start a gateway.
type Options struct {
	Binary string
	State  string   // made where it is missing
	Config string   // a configuration file, which then says where to listen
	Args   []string // more arguments for `gatehouse dev`
	Env    []string // more environment
}

// Command is what Start runs: for people to read.
func (o Options) Command() []string {
	where := []string{"--listen", "postgres=127.0.0.1:0", "--listen", "http=127.0.0.1:0", "--listen", "aws=127.0.0.1:0", "--listen", "amqp=127.0.0.1:0", "--listen", "nats=127.0.0.1:0"}
	if o.Config != "" {
		where = []string{"--config", o.Config}
	}
	return slices.Concat([]string{o.Binary, "dev", "--state", o.State, "--api", "127.0.0.1:0"}, where, o.Args)
}

// Start starts `gatehouse dev` and waits until it says where it listens. ctx bounds the start only; the caller stops it.
func Start(ctx context.Context, o Options) (*Gateway, error) {
	if err := os.MkdirAll(o.State, 0o700); err != nil {
		return nil, err
	}
	g := &Gateway{Binary: o.Binary, State: o.State, Env: o.Env, LogFile: o.State + ".log", OutFile: o.State + ".out"}
	log, err := os.OpenFile(g.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the gateway holds its own descriptor
	out, err := os.OpenFile(g.OutFile, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the same
	args := o.Command()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Env = out, log, slices.Concat(os.Environ(), raceEnv(), o.Env)
	if g.process, err = child.Start(cmd, syscall.SIGKILL); err != nil {
		return nil, err
	}
	if err := g.awaitReady(ctx); err != nil {
		g.Kill()
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, g.logTail())
	}
	return g, nil
}

// whereabouts is gateway.json, which a gateway writes into its state directory once it listens.
type whereabouts struct {
	API       string `json:"api"`
	Issuer    string `json:"issuer"`
	PID       int    `json:"pid"`
	Listeners []struct {
		Protocol string `json:"protocol"`
		Address  string `json:"address"`
	} `json:"listeners"`
}

func (g *Gateway) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var w whereabouts
		raw, err := os.ReadFile(filepath.Join(g.State, "gateway.json"))
		if err == nil && json.Unmarshal(raw, &w) == nil && w.PID == g.process.PID() { // a killed one may have left its own
			g.API, g.Issuer, g.Listener = w.API, w.Issuer, map[string]string{}
			for _, l := range w.Listeners {
				g.Listener[l.Protocol] = l.Address
			}
			return nil
		}
		select {
		case <-g.process.Done():
			return fmt.Errorf("the gateway exited at start: %w", errors.Join(g.process.Err(), err))
		case <-ctx.Done():
			return fmt.Errorf("the gateway did not say where it listens: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// Stop drains the gateway, as its operator would, and waits for its end. It panics where the race detector ended it before.
func (g *Gateway) Stop() { g.end(syscall.SIGTERM, syscall.SIGKILL) }

// Kill ends it at once, as a crash would.
func (g *Gateway) Kill() { g.end(syscall.SIGKILL) }

func (g *Gateway) end(signals ...syscall.Signal) {
	g.process.End(signals...)
	g.mustNotRace()
}

// Signal sends a signal: SIGHUP reloads.
func (g *Gateway) Signal(s syscall.Signal) { g.process.Signal(s) }

// PID is its process id.
func (g *Gateway) PID() int { return g.process.PID() }

// Done is closed when it has exited.
func (g *Gateway) Done() <-chan struct{} { return g.process.Done() }

// CAFile is the PEM root that its clients trust.
func (g *Gateway) CAFile() string { return filepath.Join(g.State, "tls", "ca.pem") }

// AuditDir is the folder of its audit log.
func (g *Gateway) AuditDir() string { return filepath.Join(g.State, "audit") }

// AuditKey is the file of the public key that verifies the log.
func (g *Gateway) AuditKey() string { return filepath.Join(g.State, "keys", "audit.pub") }

// Run is the outcome of one command.
type Run struct {
	Out  string
	Err  string
	Code int
}

// CLI runs gatehouse against this gateway. in is its standard input.
func (g *Gateway) CLI(ctx context.Context, in string, args ...string) Run {
	cmd := exec.CommandContext(ctx, g.Binary, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &out, &errs
	cmd.Env = slices.Concat(os.Environ(), raceEnv(), g.Env, []string{"GATEHOUSE_STATE=" + g.State, "NO_COLOR=1"})
	err := cmd.Run()
	r := Run{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
	if err != nil && r.Code <= 0 {
		r.Code, r.Err = -1, r.Err+err.Error()
	}
	return r
}

// Token asks the local issuer for a workload's token; claims are written k=v.
func (g *Gateway) Token(ctx context.Context, subject string, claims ...string) (string, error) {
	return g.mint(ctx, subject, claims)
}

// PersonToken asks for a person's token.
func (g *Gateway) PersonToken(ctx context.Context, subject string, claims ...string) (string, error) {
	return g.mint(ctx, subject, claims, "--person")
}

func (g *Gateway) mint(ctx context.Context, subject string, claims []string, more ...string) (string, error) {
	args := append([]string{"dev", "token", "--subject", subject}, more...)
	for _, c := range claims {
		args = append(args, "--claim", c)
	}
	r := g.CLI(ctx, "", args...)
	if r.Code != 0 {
		return "", fmt.Errorf("gatehouse %s: status %d: %s", strings.Join(args, " "), r.Code, r.Err)
	}
	return strings.TrimSpace(r.Out), nil
}

// Log returns what the gateway logged.
func (g *Gateway) Log() (string, error) {
	raw, err := os.ReadFile(g.LogFile)
	return string(raw), err
}

func (g *Gateway) logTail() string {
	const most = 4000
	raw, _ := os.ReadFile(g.LogFile) // no log, no tail
	return string(raw[max(0, len(raw)-most):])
}
