package e2e

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/e2e/gateway"
	"gatehouse/internal/keys"
)

// identity is a certificate with its own root, in files.
type identity struct{ cert, key, ca []byte }

func newIdentity(t *testing.T) identity {
	t.Helper()
	var i identity
	var err error
	if i.cert, i.key, i.ca, err = keys.ServerTLS(filepath.Join(t.TempDir(), "tls"), nil, time.Now, rand.Reader); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i identity) write(t *testing.T, cert, key string) {
	t.Helper()
	for file, b := range map[string][]byte{cert: i.cert, key: i.key} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// presents reports whether a listener shows the certificate of i to a client that trusts its root alone.
func (i identity) presents(t *testing.T, address string) bool {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(i.ca) {
		t.Fatal("no root")
	}
	d := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"postgresql"}}}
	conn, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// TestReloadOfCertificates: SIGHUP takes up a new certificate for new connections, and sessions go on under the old one. A
// file that cannot be used leaves the old one in place.
func TestReloadOfCertificates(t *testing.T) {
	dir := t.TempDir()
	cert, key, conf := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem"), filepath.Join(dir, "gatehouse.yaml")
	old, fresh := newIdentity(t), newIdentity(t)
	old.write(t, cert, key)
	text := fmt.Sprintf("listeners:\n  - protocol: postgres\n    address: 127.0.0.1:0\n    tls: {cert_file: %s, key_file: %s}\n", cert, key)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	gw, err := gateway.Start(t.Context(), gateway.Options{Binary: shared.binary, State: filepath.Join(shared.dir, "reload"), Config: conf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gw.Stop)
	host, port := address(gw)
	at := net.JoinHostPort(host, port)
	if !old.presents(t, at) || fresh.presents(t, at) {
		t.Fatal("the configured certificate is not the one that clients see")
	}
	reloads := 0
	reload := func() {
		t.Helper()
		reloads++
		gw.Signal(syscall.SIGHUP)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for until := time.Now().Add(patience); ; <-tick.C { // the log is the only sign that it has been done
			log, _ := gw.Log()
			if strings.Count(log, `"msg":"reloaded"`) >= reloads {
				return
			}
			if time.Now().After(until) {
				t.Fatal("SIGHUP is not heard: " + tail(gw))
			}
		}
	}
	fresh.write(t, cert, key)
	reload()
	if !fresh.presents(t, at) || old.presents(t, at) {
		t.Error("the new certificate is not taken up")
	}
	if err := os.WriteFile(key, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	reload()
	if !fresh.presents(t, at) {
		t.Error("a file that cannot be used took the certificate away")
	}
}
