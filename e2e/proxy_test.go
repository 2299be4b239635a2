package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"gatehouse/e2e/gateway"
	"gatehouse/e2e/pgtest"
)

// TestClientsBehindALoadBalancer: on a listener that trusts a balancer, sessions are recorded under the address that it
// tells, and nobody comes in without telling one.
func TestClientsBehindALoadBalancer(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "gatehouse.yaml")
	text := "listeners:\n  - protocol: postgres\n    address: 127.0.0.1:0\n    proxy_protocol: {trusted: [127.0.0.0/8]}\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	gw, err := gateway.Start(t.Context(), gateway.Options{Binary: shared.binary, State: filepath.Join(shared.dir, "balanced"), Config: conf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gw.Stop)
	for in, args := range map[string][]string{pgtest.AppPassword: {"secrets", "set", "shop"}, shared.documents(): {"apply", "-f", "-"}} {
		if r := gw.CLI(t.Context(), in, args...); r.Code != 0 {
			t.Fatalf("%v: %s%s", args, r.Out, r.Err)
		}
	}
	host, port := address(gw)
	c, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%s user=fn password=%s dbname=shop sslmode=verify-full sslrootcert=%s",
		host, port, token(t, gw, "fn:reader"), gw.CAFile()))
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := pgx.ConnectConfig(t.Context(), c); err == nil {
		_ = conn.Close(t.Context())
		t.Error("a client came in that told no address")
	}
	c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		_, err = conn.Write([]byte("PROXY TCP4 203.0.113.7 127.0.0.1 4711 5432\r\n"))
		return conn, err
	}
	conn, err := pgx.ConnectConfig(t.Context(), c)
	if err != nil {
		t.Fatalf("%v\n%s", err, tail(gw))
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := gw.CLI(t.Context(), "", "sessions", "list", "-o", "json")
	contains(t, r.Out, "203.0.113.7:4711")
}
