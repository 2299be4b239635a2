package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gatehouse/e2e/child"
	"gatehouse/e2e/gateway"
	"gatehouse/e2e/pgtest"
)

// gate is a running gateway.
type gate struct {
	*gateway.Gateway
	tokens map[string]string // by subject
	ended  bool
}

// The subjects of tokens, and with them the roles.
const (
	reader  = "fn:reader"
	masked  = "fn:masked"
	scanned = "fn:scanned"
)

// startGatehouse starts a gateway with a state directory of its own.
func (w *world) startGatehouse(ctx context.Context, state string) (*gate, error) {
	binary, err := filepath.Abs(w.o.gatehouse)
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(w.dir, state+".yaml")
	if err := os.WriteFile(conf, []byte(settings), 0o600); err != nil {
		return nil, err
	}
	gw, err := gateway.Start(ctx, gateway.Options{Binary: binary, State: filepath.Join(w.dir, state), Config: conf})
	if err != nil {
		return nil, err
	}
	g := &gate{Gateway: gw, tokens: map[string]string{}}
	w.gates = append(w.gates, g)
	w.stops = append(w.stops, func() error { g.end(); return nil })
	text := strings.NewReplacer("$address", w.server.Address(), "$ca", w.server.CAFile).Replace(documents)
	secret := gw.CLI(ctx, pgtest.AppPassword, "secrets", "set", "bench")
	apply := gw.CLI(ctx, text, "apply", "-f", "-")
	if secret.Code != 0 || apply.Code != 0 {
		return nil, errors.New(secret.Out + secret.Err + apply.Out + apply.Err)
	}
	return g, g.renew(ctx)
}

// renew gets fresh tokens: an issuer is believed for an hour at a time.
func (g *gate) renew(ctx context.Context) error {
	for _, subject := range []string{reader, masked, scanned} {
		t := g.CLI(ctx, "", "dev", "token", "--subject", subject, "--ttl", "1h")
		if t.Code != 0 {
			return errors.New(t.Err)
		}
		g.tokens[subject] = strings.TrimSpace(t.Out)
	}
	return nil
}

func (g *gate) end() {
	if !g.ended {
		g.ended = true
		g.Stop()
	}
}

// way is the way through the gateway for a subject.
func (g *gate) way(subject string, tls bool) way {
	host, port, _ := net.SplitHostPort(g.Listener["postgres"]) // the gateway wrote it
	y := way{pid: g.PID(), host: host, port: port, user: "fn", password: g.tokens[subject], database: "plain"}
	if tls {
		y.ca, y.database = g.CAFile(), "secure"
	}
	return y
}

// verify stops every gateway and checks its audit log, as anyone can.
func (w *world) verify(ctx context.Context) (string, error) {
	var said []string
	for _, g := range w.gates {
		w.progress("the audit log")
		g.end()
		v := g.CLI(ctx, "", "audit", "verify", "--dir", g.AuditDir(), "--key", g.AuditKey())
		if v.Code != 0 {
			return "", fmt.Errorf("the audit log does not verify: %s%s", v.Out, v.Err)
		}
		said = append(said, strings.TrimSpace(v.Out))
	}
	w.progress("")
	return strings.Join(said, "\n"), nil
}

// startBouncer runs Debian's PgBouncer with the certificate of the private server, as that server's user.
func (w *world) startBouncer(ctx context.Context, tls bool) (port string, pid int, err error) {
	who, err := pgtest.ServerCredential()
	if err != nil {
		return "", 0, err
	}
	if port, err = freePort(); err != nil {
		return "", 0, err
	}
	s := w.server
	users, ini := filepath.Join(s.Dir, "users.txt"), filepath.Join(s.Dir, "pgbouncer"+port+".ini")
	text := bouncer
	if tls {
		text += bouncerTLS
	}
	text = strings.NewReplacer("$server", strconv.Itoa(s.Port), "$password", pgtest.AppPassword, "$port", port, "$users", users,
		"$key", filepath.Join(s.Dir, "server"), "$ca", s.CAFile).Replace(text)
	for name, content := range map[string]string{users: `"app" "` + pgtest.AppPassword + "\"\n", ini: text} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil { // a benchmark's made-up password
			return "", 0, err
		}
	}
	cmd := exec.Command("/usr/sbin/pgbouncer", "-q", ini)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	var said strings.Builder
	cmd.Stderr = &said
	p, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return "", 0, err
	}
	w.stops = append(w.stops, func() error { p.End(syscall.SIGTERM, syscall.SIGKILL); return nil })
	if err := answers(ctx, p, port); err != nil {
		return "", 0, fmt.Errorf("pgbouncer: %w: %s", err, said.String())
	}
	return port, p.PID(), nil
}

// relayArgs are those of bench/relay before the private server, with that server's certificate where it ends TLS.
func (w *world) relayArgs(tls bool) []string {
	args := []string{"-to", w.server.Address()}
	if tls {
		key := filepath.Join(w.server.Dir, "server")
		args = append(args, "-cert", filepath.Join(key, "server.pem"), "-key", filepath.Join(key, "server.key"), "-ca", w.server.CAFile)
	}
	return args
}

// startRelay runs bench/relay.
func (w *world) startRelay(args ...string) (port string, pid int, err error) {
	binary, err := filepath.Abs(w.o.relay)
	if err != nil {
		return "", 0, err
	}
	cmd := exec.Command(binary, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", 0, err
	}
	p, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return "", 0, err
	}
	w.stops = append(w.stops, func() error { p.End(syscall.SIGKILL); return nil })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return "", 0, fmt.Errorf("relay: %w", err)
	}
	_, port, err = net.SplitHostPort(strings.TrimSpace(line))
	return port, p.PID(), err
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// answers waits until something listens on a port, or its process has ended.
func answers(ctx context.Context, p *child.Process, port string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.Done():
			return errors.Join(errors.New("it ended"), p.Err())
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
