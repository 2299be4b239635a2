package gate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// authority signs one server certificate, for names.
func issue(t *testing.T, names ...string) (rootPEM string, server tls.Certificate) {
	t.Helper()
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: names, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), rootKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER})), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestBackendTLS shakes hands with a real listener in every mode: verify-full is the default and wants chain and name,
// verify-ca the chain, require nothing, and disable speaks in clear.
func TestBackendTLS(t *testing.T) {
	good, cert := issue(t, "db.internal")
	other, _ := issue(t, "db.internal")
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = c.(*tls.Conn).Handshake() }()
		}
	}()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		tls  access.BackendTLS
		ok   bool
	}{
		{"default, right name", access.BackendTLS{CA: good, ServerName: "db.internal"}, true},
		{"default, from a file", access.BackendTLS{CAFile: file, ServerName: "db.internal"}, true},
		{"default, name of the address", access.BackendTLS{CA: good}, false},
		{"verify-full, wrong name", access.BackendTLS{Mode: "verify-full", CA: good, ServerName: "evil.internal"}, false},
		{"verify-full, wrong root", access.BackendTLS{Mode: "verify-full", CA: other, ServerName: "db.internal"}, false},
		{"verify-full, the system's roots", access.BackendTLS{Mode: "verify-full", ServerName: "db.internal"}, false},
		{"verify-ca, wrong name", access.BackendTLS{Mode: "verify-ca", CA: good, ServerName: "evil.internal"}, true},
		{"verify-ca, wrong root", access.BackendTLS{Mode: "verify-ca", CA: other, ServerName: "db.internal"}, false},
		{"verify-ca, the system's roots", access.BackendTLS{Mode: "verify-ca"}, false},
		{"require, wrong root and name", access.BackendTLS{Mode: "require", CA: other}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			conf, err := backendTLS(&access.Connection{Name: "db", Address: l.Addr().String(), TLS: c.tls})
			if err != nil {
				t.Fatal(err)
			}
			raw, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = raw.Close() }()
			err = tls.Client(raw, conf).Handshake()
			if (err == nil) != c.ok {
				t.Errorf("handshake: %v", err)
			}
		})
	}
	for name, c := range map[string]access.Connection{
		"unknown mode":   {Address: "a:1", TLS: access.BackendTLS{Mode: "prefer"}},
		"no port":        {Address: "a"},
		"empty roots":    {Address: "a:1", TLS: access.BackendTLS{CA: "none"}},
		"missing file":   {Address: "a:1", TLS: access.BackendTLS{CAFile: file + ".no"}},
		"missing client": {Address: "a:1", TLS: access.BackendTLS{CertFile: file, KeyFile: file}},
	} {
		if conf, err := backendTLS(&c); err == nil || fault.KindOf(err) != fault.Unavailable || conf != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if conf, err := backendTLS(&access.Connection{Address: "a:1", TLS: access.BackendTLS{Mode: "disable"}}); conf != nil || err != nil {
		t.Errorf("disable: %v %v", conf, err)
	}
}

// TestLoginEndsWithItsContext: a backend that says nothing holds a login up for as long as its context lasts.
func TestLoginEndsWithItsContext(t *testing.T) {
	d := newDesk()
	g := d.open(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := fault.New(fault.Unavailable, "test", "too late")
	_, err := g.Lease().Open(ctx, func(_ context.Context, raw net.Conn, c Credential) (net.Conn, error) {
		if string(c.Password.Reveal()) != "backend-password" || c.TLS != nil {
			t.Errorf("credential %+v", c)
		}
		cancel(why)
		_, err := raw.Read(make([]byte, 1))
		return raw, err
	})
	if err == nil {
		t.Error("a login without an answer succeeded")
	}
}
