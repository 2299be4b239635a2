package main

import (
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

// documents are the rules of the benchmark: a role that may read, a guardrail that every statement passes.
const documents = `
kind: Connection
name: bench
type: postgres
address: %s
database: orders
tls: {ca_file: %s}
credential: {user: app, secret: bench}
guardrails: [no-changes]
---
kind: Policy
name: no-changes
statements:
  - effect: deny
    actions: ["postgres:Drop*", postgres:Truncate]
    resources: ["*"]
---
kind: Policy
name: reader
statements:
  - effect: allow
    actions: [postgres:Select]
    resources: ["bench/public.*"]
---
kind: Role
name: reader
bind: [{issuer: dev, claims: {sub: "fn:bench"}}]
policies: [reader]
`

func startGatehouse(ctx context.Context, binary, dir string, s *pgtest.Server) (target, func(), error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return target{}, nil, err
	}
	gw, err := gateway.Start(ctx, gateway.Options{Binary: binary, State: filepath.Join(dir, "state")})
	if err != nil {
		return target{}, nil, err
	}
	secret := gw.CLI(ctx, pgtest.AppPassword, "secrets", "set", "bench")
	apply := gw.CLI(ctx, fmt.Sprintf(documents, s.Address(), s.CAFile), "apply", "-f", "-")
	tok, err := gw.Token(ctx, "fn:bench")
	if secret.Code != 0 || apply.Code != 0 || err != nil {
		gw.Kill()
		return target{}, nil, errors.Join(err, fmt.Errorf("%s%s%s%s", secret.Out, secret.Err, apply.Out, apply.Err))
	}
	host, port, err := net.SplitHostPort(gw.Listener["postgres"])
	return target{"gatehouse", gw.PID(), pgEnv(host, port, "fn", tok, "bench", gw.CAFile())}, gw.Stop, err
}

// bouncer is PgBouncer's configuration: TLS verified on both sides, one server connection per client session, as Gatehouse
// has.
const bouncer = `[databases]
orders = host=127.0.0.1 port=%d dbname=orders user=app password=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s
pool_mode = session
default_pool_size = 20
max_client_conn = 100
log_connections = 0
log_disconnections = 0
ignore_startup_parameters = extra_float_digits
client_tls_sslmode = require
client_tls_cert_file = %s
client_tls_key_file = %s
server_tls_sslmode = verify-full
server_tls_ca_file = %s
`

// startBouncer runs Debian's PgBouncer with the certificate of the private server, as that server's user.
func startBouncer(ctx context.Context, s *pgtest.Server) (target, func(), error) {
	who, err := pgtest.ServerCredential()
	if err != nil {
		return target{}, nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return target{}, nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return target{}, nil, err
	}
	users, ini := filepath.Join(s.Dir, "users.txt"), filepath.Join(s.Dir, "pgbouncer.ini")
	key := filepath.Join(s.Dir, "server")
	text := fmt.Sprintf(bouncer, s.Port, pgtest.AppPassword, port, users, filepath.Join(key, "server.pem"), filepath.Join(key, "server.key"), s.CAFile)
	for name, content := range map[string]string{users: `"app" "` + pgtest.AppPassword + "\"\n", ini: text} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil { // a benchmark's made-up password
			return target{}, nil, err
		}
	}
	cmd := exec.Command("/usr/sbin/pgbouncer", "-q", ini)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	var said strings.Builder
	cmd.Stderr = &said
	p, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return target{}, nil, err
	}
	if err := answers(ctx, p, port); err != nil {
		p.End(syscall.SIGKILL)
		return target{}, nil, fmt.Errorf("pgbouncer: %w: %s", err, said.String())
	}
	t := target{"pgbouncer", p.PID(), pgEnv("127.0.0.1", strconv.Itoa(port), pgtest.AppUser, pgtest.AppPassword, "orders", s.CAFile)}
	return t, func() { p.End(syscall.SIGTERM, syscall.SIGKILL) }, nil
}

// answers waits until something listens on a port, or its process has ended.
func answers(ctx context.Context, p *child.Process, port int) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
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
