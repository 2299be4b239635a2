package listen

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/fault"
)

// TestPlaintextOnLoopbackOnly: a configuration that would take tokens in clear over a network does not start.
func TestPlaintextOnLoopbackOnly(t *testing.T) {
	for address, ok := range map[string]bool{
		"127.0.0.1:0": true, "127.7.7.7:0": true, "localhost:0": true, "[::1]:0": true,
		":0": false, "0.0.0.0:0": false, "[::]:0": false, "192.0.2.1:0": false, "example.org:0": false,
		"localhost.example.org:0": false, "127.0.0.1.example.org:0": false, "127.1:0": false, "nonsense": false, "": false,
	} {
		if got := loopback(address); got != ok {
			t.Errorf("loopback(%q) = %t", address, got)
		}
		if ok {
			continue
		}
		l, err := Open(t.Context(), Options{Address: address, Plaintext: true})
		if fault.KindOf(err) != fault.Unavailable || l != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
	l, err := Open(t.Context(), Options{Address: "127.0.0.1:0", Plaintext: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if _, err := Open(t.Context(), Options{Address: l.Addr().String()}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("an address in use: %v", err)
	}
}

// serve runs a listener whose connections are told the client's address as the gateway sees it, and then what they said.
func serve(t *testing.T, o Options) string {
	t.Helper()
	o.Address, o.Log = "127.0.0.1:0", slog.New(slog.DiscardHandler)
	l, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		l.Run(ctx, func(_ context.Context, c net.Conn, done func()) {
			defer done()
			defer func() { _ = c.Close() }()
			b := make([]byte, 4)
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			_, _ = io.WriteString(c, c.RemoteAddr().(*net.TCPAddr).IP.String()+" "+string(b))
		})
	}()
	t.Cleanup(func() { cancel(); <-over })
	return l.Addr().String()
}

func say(t *testing.T, address, what string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(c, what)
	b, _ := io.ReadAll(c)
	return string(b)
}

// TestProxyProtocol: a trusted peer must say who its client is, an untrusted one cannot, and without trust the header is
// just bytes of a client.
func TestProxyProtocol(t *testing.T) {
	header := "PROXY TCP4 203.0.113.7 127.0.0.1 40000 5432\r\n"
	v2 := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x07\x7f\x00\x00\x01\x9c\x40\x15\x38"
	trusted := serve(t, Options{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	elsewhere := serve(t, Options{Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	nobody := serve(t, Options{})
	for _, c := range []struct{ name, address, say, hear string }{
		{"trusted", trusted, header + "data", "203.0.113.7 data"},
		{"trusted, version 2", trusted, v2 + "data", "203.0.113.7 data"},
		{"trusted, without a header", trusted, "datadatadatadatadata", ""},
		{"trusted, broken header", trusted, "PROXY TCP4 203.0.113.7\r\ndata", ""},
		{"untrusted peer", elsewhere, header + "data", ""},
		{"untrusted peer, without a header", elsewhere, "data", ""},
		{"no trust at all", nobody, header, "127.0.0.1 PROX"},
		{"no trust, no header", nobody, "data", "127.0.0.1 data"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := say(t, c.address, c.say); got != c.hear {
				t.Errorf("heard %q, want %q", got, c.hear)
			}
		})
	}
	if got := say(t, trusted, header+"last"); got != "203.0.113.7 last" {
		t.Errorf("after bad clients a good one heard %q", got)
	}
}

// pair makes a certificate for localhost.
func pair(t *testing.T, name string) (chain, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// TestCertificateSwap: a new pair serves handshakes from then on, one that does not fit changes nothing, and sessions that
// are open go on.
func TestCertificateSwap(t *testing.T) {
	oneChain, oneKey := pair(t, "one")
	twoChain, twoKey := pair(t, "two")
	c, err := NewCertificate(oneChain, oneKey)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", c.TLS())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn) }()
		}
	}()
	dial := func() *tls.Conn {
		t.Helper()
		conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	name := func(conn *tls.Conn) string { return conn.ConnectionState().PeerCertificates[0].Subject.CommonName }
	before := dial()
	defer func() { _ = before.Close() }()
	if err := c.Set(oneChain, twoKey); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a key that does not fit: %v", err)
	}
	if still := dial(); name(still) != "one" {
		t.Errorf("a failed swap left %s", name(still))
	}
	if err := c.Set(twoChain, twoKey); err != nil {
		t.Fatal(err)
	}
	if after := dial(); name(after) != "two" {
		t.Errorf("after the swap: %s", name(after))
	}
	if _, err := io.WriteString(before, "hi"); err != nil {
		t.Errorf("an open session did not survive: %v", err)
	}
	if _, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
	if _, err := NewCertificate(nil, nil); err == nil {
		t.Error("an empty certificate was accepted")
	}
}

// queue is a listener in memory.
type queue struct {
	net.Listener
	conns chan net.Conn
}

func (q queue) Accept() (net.Conn, error) {
	if c, ok := <-q.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (q queue) Close() error { close(q.conns); return nil }

// TestRunWaitsForItsConnections: what they write to may be closed when it returns.
func TestRunWaitsForItsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue{conns: make(chan net.Conn, 1)}
		_, far := net.Pipe()
		q.conns <- far
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ended := false // no lock: Run's return is the order
		l := &Listener{Listener: q, log: slog.New(slog.DiscardHandler)}
		l.Run(ctx, func(ctx context.Context, _ net.Conn, done func()) {
			defer done()
			<-ctx.Done()
			time.Sleep(time.Minute) // of the bubble's clock: Accept has returned long since
			ended = true
		})
		if !ended {
			t.Error("it returned before a connection was over")
		}
	})
}
