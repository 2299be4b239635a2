package clients

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gatehouse/e2e/child"
	"gatehouse/e2e/pair"
	"gatehouse/e2e/pgtest"
)

// bouncer is a PgBouncer that is a client of the gateway: the token stands where a server's password does.
const bouncer = `[databases]
orders-db = host=127.0.0.1 port=$gateway dbname=orders-db user=fn password=$token
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = any
pool_mode = session
default_pool_size = 1
server_reset_query = DISCARD ALL
server_check_query = SELECT 1
server_check_delay = 0
server_tls_sslmode = verify-full
server_tls_ca_file = $ca
ignore_startup_parameters = extra_float_digits
`

// TestPooler: a pooler between client and gateway logs in by token, checks and resets its connections, and hands them on clean.
func TestPooler(t *testing.T) {
	p := start(t)
	dsn := startBouncer(t, p)
	var pids []uint32
	for range 3 { // one after the other on the same connection to the gateway
		conn, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		var n int
		var name, timeout string
		if err := errors.Join(conn.QueryRow(t.Context(), "SELECT $1::integer * 2", 21).Scan(&n), conn.QueryRow(t.Context(), "SHOW statement_timeout").Scan(&timeout),
			conn.QueryRow(t.Context(), "SELECT count(*)::text FROM pg_prepared_statements WHERE name = 'left'").Scan(&name)); err != nil {
			t.Fatal(err)
		}
		if n != 42 || timeout != "0" || name != "0" {
			t.Errorf("got %d, statement_timeout %s, %s prepared statements that were left behind", n, timeout, name)
		}
		var pid uint32
		for _, text := range []string{"SET statement_timeout = '1h'", "PREPARE \"left\" AS SELECT 1", "LISTEN matrix"} {
			if _, err := conn.Exec(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(conn.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid), conn.Close(t.Context())); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if pids[0] != pids[1] || pids[1] != pids[2] {
		t.Errorf("the pooler did not use its connection again: %v", pids)
	}
}

// startBouncer starts Debian's PgBouncer, and returns where it takes clients.
func startBouncer(t *testing.T, p *pair.Pair) string {
	t.Helper()
	who, err := pgtest.ServerCredential()
	if err != nil {
		t.Fatal(err)
	}
	_, gatewayPort, err := p.Address()
	if err != nil {
		t.Fatal(err)
	}
	token, err := p.Gateway.Token(t.Context(), pair.Everything)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(p.Gateway.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err = errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	ca, ini := filepath.Join(p.PG.Dir, "gateway-ca.pem"), filepath.Join(p.PG.Dir, "pgbouncer.ini")
	text := strings.NewReplacer("$gateway", gatewayPort, "$token", token, "$port", port, "$ca", ca).Replace(bouncer)
	for name, content := range map[string]string{ca: string(root), ini: text} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil { // PgBouncer runs as another user; the token is a test's
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/usr/sbin/pgbouncer", "-q", ini)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	var said strings.Builder
	cmd.Stderr = &said
	process, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { process.End(syscall.SIGTERM, syscall.SIGKILL) })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = c.Close() // it only shows that it answers
			return fmt.Sprintf("host=127.0.0.1 port=%s user=fn dbname=%s sslmode=disable", port, pair.Connection)
		}
		select {
		case <-process.Done():
			t.Fatalf("pgbouncer: %v: %s", process.Err(), said.String())
		case <-ctx.Done():
			t.Fatalf("pgbouncer does not answer: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
