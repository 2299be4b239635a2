package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/e2e/gateway"
	"gatehouse/e2e/pgtest"
)

// backendCase is a connection document, and how its login to the backend must end.
type backendCase struct {
	name    string
	user    string
	tls     string // YAML of the tls key, on one line
	address string // default the server's own
	from    string // YAML of the credential besides the user
	fails   string // empty: it works; else a word of what people are told
}

// TestBackendLogin: every way of logging in to the backend that is promised works, and none that would give the credential
// or the session to an impostor.
func TestBackendLogin(t *testing.T) {
	t.Setenv("SHOP_PASSWORD", pgtest.AppPassword)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(pgtest.AppPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	readable := filepath.Join(t.TempDir(), "readable")
	if err := os.WriteFile(readable, []byte(pgtest.AppPassword), 0o644); err != nil {
		t.Fatal(err)
	}
	cert, key := shared.pg.ClientCert()
	_, port, err := net.SplitHostPort(shared.pg.Address())
	if err != nil {
		t.Fatal(err)
	}
	ca := "ca_file: " + shared.pg.CAFile
	gw := own(t)
	for _, c := range []backendCase{
		{name: "scram", user: "app", tls: ca, from: "secret: shop"},
		{name: "scram-plain", user: "app", tls: "mode: disable", from: "secret: shop"},
		{name: "md5", user: "app_md5", tls: ca, from: "secret: shop"},
		{name: "clear-in-tls", user: "app_password", tls: ca, from: "secret: shop"},
		{name: "certificate", user: "app_cert", tls: fmt.Sprintf("%s, cert_file: %s, key_file: %s", ca, cert, key)},
		{name: "by-name", user: "app", tls: ca, address: "localhost:" + port, from: "secret: shop"},
		{name: "env", user: "app", tls: ca, from: "env: SHOP_PASSWORD"},
		{name: "file", user: "app", tls: ca, from: "file: " + file},
		{name: "require", user: "app", tls: "mode: require", from: "secret: shop"},
		{name: "verify-ca", user: "app", tls: ca + ", mode: verify-ca, server_name: elsewhere.example", from: "secret: shop"},
		{name: "wrong-name", user: "app", tls: ca + ", server_name: elsewhere.example", from: "secret: shop", fails: "certificate"},
		{name: "strange-root", user: "app", tls: "{}", from: "secret: shop", fails: "certificate"},
		{name: "verify-ca-strange", user: "app", tls: "mode: verify-ca", from: "secret: shop", fails: "cannot be logged in"},
		{name: "wrong-password", user: "app", tls: ca, from: "env: HOME", fails: "28P01"},
		{name: "readable-file", user: "app", tls: ca, from: "file: " + readable, fails: "chmod"},
		{name: "no-such-secret", user: "app", tls: ca, from: "secret: none", fails: "none"},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, gw) })
	}
}

func (c backendCase) run(t *testing.T, gw *gateway.Gateway) {
	address := c.address
	if address == "" {
		address = shared.pg.Address()
	}
	tls := c.tls
	if tls != "{}" {
		tls = "{" + tls + "}"
	}
	from := ""
	if c.from != "" {
		from = ", " + c.from
	}
	doc := fmt.Sprintf("kind: Connection\nname: b-%s\ntype: postgres\naddress: %s\ndatabase: orders\ntls: %s\ncredential: {user: %s%s}\n",
		c.name, address, tls, c.user, from)
	if r := gw.CLI(t.Context(), doc, "apply", "-f", "-"); r.Code != 0 {
		t.Fatalf("apply: %s%s", r.Out, r.Err)
	}
	r := gw.CLI(t.Context(), "", "connections", "test", "b-"+c.name)
	lacks(t, r.Out+r.Err, pgtest.AppPassword)
	if c.fails == "" {
		if r.Code != 0 {
			t.Errorf("it does not work: %s%s", r.Out, r.Err)
		}
		return
	}
	if r.Code == 0 {
		t.Errorf("it works, and must not: %s", r.Out)
	}
	if !strings.Contains(r.Out+r.Err, c.fails) {
		t.Errorf("nobody is told about %q: %s%s", c.fails, r.Out, r.Err)
	}
}
