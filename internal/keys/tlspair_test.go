package keys

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type pair struct{ cert, key, ca []byte }

func serverTLS(t *testing.T, dir string, now time.Time, names ...string) pair {
	t.Helper()
	cert, key, ca, err := ServerTLS(dir, names, func() time.Time { return now }, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pair{cert, key, ca}
}

// handshake connects as a client that trusts only the authority and insists on the name.
func (p pair) handshake(name string, now time.Time) error {
	chain, err := tls.X509KeyPair(p.cert, p.key)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.ca)
	clock := func() time.Time { return now }
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{chain}, Time: clock})
	if err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if c, err := l.Accept(); err == nil {
			_ = c.(*tls.Conn).Handshake() //nolint:forcetypeassert // a tls.Listener gives no other
			_ = c.Close()
		}
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: roots, ServerName: name, Time: clock})
	if err == nil {
		err = c.Close()
	}
	_ = l.Close()
	<-done
	return err
}

func TestServerTLS(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := serverTLS(t, dir, now, "gate.example", "10.1.2.3")
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "gate.example", "10.1.2.3"} {
		if err := p.handshake(name, now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := p.handshake("other.example", now); err == nil {
		t.Error("a name that was not asked for is accepted")
	}
	for file, want := range map[string]os.FileMode{CAFile: 0o644, caKeyFile: 0o600, serverFile: 0o644, serverKeyFile: 0o600} {
		if m := mode(t, filepath.Join(dir, file)); m != want {
			t.Errorf("%s has mode %o", file, m)
		}
	}
	block, _ := pem.Decode(p.cert)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil || leaf.IsCA || len(leaf.ExtKeyUsage) != 1 || leaf.NotAfter.Sub(now) != leafLife {
		t.Errorf("the server's certificate: %v", err)
	}
}

func TestServerTLSRenewal(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		later   time.Duration
		names   []string
		change  func(dir string) error
		renewed bool
	}{
		"at the next start":        {later: time.Hour},
		"with 31 days left":        {later: leafLife - 31*24*time.Hour},
		"with 29 days left":        {later: leafLife - 29*24*time.Hour, renewed: true},
		"long expired":             {later: 3 * leafLife, renewed: true},
		"made in the future":       {later: -48 * time.Hour, renewed: true},
		"a new name":               {names: []string{"new.example"}, renewed: true},
		"certificate gone":         {change: func(dir string) error { return os.Remove(filepath.Join(dir, serverFile)) }, renewed: true},
		"key gone":                 {change: func(dir string) error { return os.Remove(filepath.Join(dir, serverKeyFile)) }, renewed: true},
		"certificate broken":       {change: func(dir string) error { return os.WriteFile(filepath.Join(dir, serverFile), []byte("x"), 0o600) }, renewed: true},
		"another's key":            {change: func(dir string) error { return swapKey(dir) }, renewed: true},
		"near the authority's end": {later: 9*leafLife + 350*24*time.Hour, renewed: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "tls")
			before := serverTLS(t, dir, now)
			if c.change != nil {
				if err := c.change(dir); err != nil {
					t.Fatal(err)
				}
			}
			at := now.Add(c.later)
			after := serverTLS(t, dir, at, c.names...)
			if !bytes.Equal(before.ca, after.ca) {
				t.Fatal("the authority changed: clients would no longer trust it")
			}
			if bytes.Equal(before.cert, after.cert) == c.renewed {
				t.Fatalf("renewed: %v", !c.renewed)
			}
			if at.After(now) {
				if err := after.handshake("localhost", at); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func swapKey(dir string) error {
	_, keyPEM, err := newKey(rand.Reader)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, serverKeyFile), keyPEM, 0o600)
}

// TestServerTLSRefuses: what would make clients distrust the gateway without anyone noticing is an error.
func TestServerTLSRefuses(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		change func(dir string) error
		later  time.Duration
		names  []string
		want   string
	}{
		"authority's key gone":     {change: func(dir string) error { return os.Remove(filepath.Join(dir, caKeyFile)) }, want: "its key"},
		"authority's key readable": {change: func(dir string) error { return os.Chmod(filepath.Join(dir, caKeyFile), 0o644) }, want: "chmod 600"},
		"server's key readable":    {change: func(dir string) error { return os.Chmod(filepath.Join(dir, serverKeyFile), 0o640) }, want: "chmod 600"},
		"authority broken":         {change: func(dir string) error { return os.WriteFile(filepath.Join(dir, CAFile), []byte("x"), 0o600) }, want: "do not belong together"},
		"authority expired":        {later: 11 * leafLife, want: "expired"},
		"a name that is none":      {names: []string{"a b"}, want: "neither a host name nor an IP address"},
		"an empty name":            {names: []string{""}, want: "neither"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "tls")
			serverTLS(t, dir, now)
			if c.change != nil {
				if err := c.change(dir); err != nil {
					t.Fatal(err)
				}
			}
			_, _, _, err := ServerTLS(dir, c.names, func() time.Time { return now.Add(c.later) }, rand.Reader)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// TestServerTLSResumes: a first start that was cut short after the authority's key was written goes on from there.
func TestServerTLSResumes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	_, keyPEM, err := newKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := createPrivate(filepath.Join(dir, caKeyFile), keyPEM); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := serverTLS(t, dir, now).handshake("localhost", now); err != nil {
		t.Fatal(err)
	}
}
