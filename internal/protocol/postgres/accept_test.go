package postgres

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/wire"
)

func serverTLS(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// greeted is how an accept ended.
type greeted struct {
	session wire.Session
	err     error
}

// greet runs accept against a client that is played by the test.
func greet(t *testing.T, plaintext bool, conf *tls.Config, play func(conn net.Conn)) greeted {
	t.Helper()
	near, far := net.Pipe()
	_ = near.SetDeadline(time.Now().Add(20 * time.Second))
	_ = far.SetDeadline(time.Now().Add(20 * time.Second))
	done := make(chan greeted)
	go func() {
		s, err := New(testDeps()).Accept(t.Context(), far, wire.Hello{TLS: conf, Plaintext: plaintext, Limits: gate.Limits{Message: 1 << 16}})
		if err != nil {
			_ = far.Close()
		}
		done <- greeted{s, err}
	}()
	play(near)
	_ = near.Close()
	g := <-done
	_ = far.Close()
	return g
}

func password(token string) []byte { return appendFrame(nil, msgPassword, append([]byte(token), 0)) }

func request(code uint32) []byte { return binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, code) }

var hello = startupBytes(0x30000, "user", "fn", "database", "shop", "application_name", "test")

// in says a StartupMessage and the token, and reads the question in between.
func in(t *testing.T, conn net.Conn, token string) {
	t.Helper()
	if _, err := conn.Write(hello); err != nil {
		t.Error(err)
		return
	}
	ask := make([]byte, 9)
	if _, err := io.ReadFull(conn, ask); err != nil || ask[0] != ansAuthentication || ask[8] != 3 {
		t.Errorf("asked %q, %v", ask, err)
		return
	}
	if _, err := conn.Write(password(token)); err != nil {
		t.Error(err)
	}
}

func hear(t *testing.T, conn net.Conn) byte {
	t.Helper()
	b := make([]byte, 1)
	if _, err := io.ReadFull(conn, b); err != nil {
		t.Error(err)
	}
	return b[0]
}

// TestAccept: every way of coming in gives a session with the claim that was made.
func TestAccept(t *testing.T) {
	conf := serverTLS(t)
	client := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{alpnName}}
	for name, play := range map[string]func(net.Conn){
		"plain text, where the listener allows it": func(c net.Conn) { in(t, c, "tok") },
		"TLS on request": func(c net.Conn) {
			_, _ = c.Write(request(codeTLS))
			if b := hear(t, c); b != 'S' {
				t.Errorf("%q", b)
			}
			in(t, tls.Client(c, client), "tok")
		},
		"GSSAPI, then TLS": func(c net.Conn) {
			_, _ = c.Write(request(codeGSS))
			if b := hear(t, c); b != 'N' {
				t.Errorf("%q", b)
			}
			_, _ = c.Write(request(codeTLS))
			hear(t, c)
			in(t, tls.Client(c, client), "tok")
		},
		"TLS at once": func(c net.Conn) { in(t, tls.Client(c, client), "tok") },
	} {
		t.Run(name, func(t *testing.T) {
			g := greet(t, strings.HasPrefix(name, "plain"), conf, play)
			if g.err != nil {
				t.Fatal(g.err)
			}
			if l := g.session.Login(); l.Connection != "shop" || string(l.Token.Reveal()) != "tok" {
				t.Errorf("claim %+v %q", l, l.Token.Reveal())
			}
			if _, encrypted := g.session.Conn().(*tls.Conn); encrypted == strings.HasPrefix(name, "plain") {
				t.Errorf("the session's connection is %T", g.session.Conn())
			}
		})
	}
}

// TestAcceptRefuses: what is not a good login is told why where there is a way to, and gives no session.
func TestAcceptRefuses(t *testing.T) {
	conf := serverTLS(t)
	bare := &tls.Config{InsecureSkipVerify: true}
	wrong := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}
	plain := func(b ...[]byte) func(net.Conn) string {
		return func(c net.Conn) string {
			go func() {
				for _, b := range b {
					_, _ = c.Write(b)
				}
			}()
			return code(c)
		}
	}
	length := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	start := func(params ...string) []byte {
		return startupBytes(0x30000, append([]string{"user", "fn"}, params...)...)
	}
	for _, c := range []struct {
		name string
		play func(net.Conn) string
		code string
	}{
		{"garbage", plain([]byte("GET / HTTP/1.1\r\n\r\n")), "42601"},
		{"a length over the limit", plain(length(maxStartup+1), make([]byte, 4)), "42601"},
		{"a huge length", plain(length(1<<32-1), make([]byte, 4)), "42601"},
		{"a length of nothing", plain(length(0), make([]byte, 4)), "42601"},
		{"a length without a code", plain(length(7), make([]byte, 4)), "42601"},
		{"version 2", plain(startupBytes(0x20000, "user", "fn")), "0A000"},
		{"version 4", plain(startupBytes(0x40000, "user", "fn")), "0A000"},
		{"no terminator", plain(append(length(12), 0, 3, 0, 0, 'u', 's', 'e', 'r')), "42601"},
		{"a name without a value", plain(append(length(14), 0, 3, 0, 0, 'u', 's', 'e', 'r', 0, 0)), "42601"},
		{"bytes after the terminator", plain(append(append(length(17), 0, 3, 0, 0), "user\x00f\x00\x00x"...)), "42601"},
		{"replication", plain(start("replication", "true")), "0A000"},
		{"replication of a database", plain(start("replication", "database")), "0A000"},
		{"REPLICATION", plain(start("REPLICATION", "1")), "0A000"},
		{"options", plain(start("options", "-c search_path=evil")), "0A000"},
		{"an unknown parameter", plain(start("session_authorization", "postgres")), "0A000"},
		{"role", plain(start("role", "postgres")), "0A000"},
		{"standard_conforming_strings", plain(start("standard_conforming_strings", "off")), "0A000"},
		{"an encoding that reads otherwise", plain(start("client_encoding", "SJIS")), "0A000"},
		{"another message than the password", plain(start(), appendQuery(nil, "SELECT 1")), "08P01"},
		{"an empty token", plain(start(), password("")), "28P01"},
		{"a token with a NUL", plain(start(), password("a\x00b")), "28P01"},
		{"a token without an end", plain(start(), appendFrame(nil, msgPassword, []byte("abc"))), "28P01"},
		{"a huge token", plain(start(), append([]byte{msgPassword}, length(1<<30)...)), "08P01"},
		{"a negative token", plain(start(), append([]byte{msgPassword}, length(1<<31)...)), "42601"},
		{"four requests for encryption", func(c net.Conn) string {
			for range maxAsks {
				_, _ = c.Write(request(codeGSS))
				hear(t, c)
			}
			return code(c)
		}, "42601"},
		{"TLS within TLS", func(c net.Conn) string {
			s := tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{alpnName}})
			_, _ = s.Write(request(codeTLS))
			return code(s)
		}, "42601"},
		{"TLS at once without ALPN", func(c net.Conn) string { return shake(c, bare) }, ""},
		{"TLS at once with another ALPN", func(c net.Conn) string { return shake(c, wrong) }, ""},
		{"bytes before the handshake", func(c net.Conn) string {
			_, _ = c.Write(request(codeTLS))
			hear(t, c)
			go func() { _, _ = c.Write(hello) }()
			b, _ := io.ReadAll(c)
			if strings.Contains(string(b), "R\x00\x00\x00\x08") {
				t.Error("an injected StartupMessage was answered")
			}
			return ""
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			g := greet(t, true, conf, func(conn net.Conn) { got = c.play(conn) })
			if g.err == nil || g.session != nil {
				t.Errorf("a session was opened")
			}
			if got != c.code {
				t.Errorf("SQLSTATE %q, want %q (%v)", got, c.code, g.err)
			}
		})
	}
	t.Run("plain text, where the listener does not allow it", func(t *testing.T) {
		got := ""
		g := greet(t, false, conf, func(c net.Conn) { got = plain(hello, password("tok"))(c) })
		if g.err == nil || got != "28000" {
			t.Errorf("SQLSTATE %q, %v", got, g.err)
		}
	})
}

func shake(c net.Conn, conf *tls.Config) string {
	s := tls.Client(c, conf)
	if _, err := s.Write(hello); err != nil {
		return ""
	}
	if f, err := readFrame(bufio.NewReader(s)); err == nil {
		return "answered with " + string(f[:1])
	}
	return ""
}

// code reads up to an ErrorResponse and returns its SQLSTATE; empty where the connection just ends.
func code(c net.Conn) string {
	r := bufio.NewReader(c)
	for {
		f, err := readFrame(r)
		if err != nil {
			return ""
		}
		if f[0] == ansError {
			return errorField(f[head:], 'C')
		}
	}
}

// TestNegotiate: a newer client, or one with extensions, is told what the gateway speaks, and comes in.
func TestNegotiate(t *testing.T) {
	for _, c := range []struct {
		version uint32
		params  []string
		unknown []string
		told    bool
	}{
		{0x30000, nil, nil, false},
		{0x30002, nil, nil, true},
		{0x3ffff, []string{"_pq_.one", "1", "_pq_.two", ""}, []string{"_pq_.one", "_pq_.two"}, true},
		{0x30000, []string{"_pq_.one", "1"}, []string{"_pq_.one"}, true},
	} {
		g := greet(t, true, nil, func(conn net.Conn) {
			_, _ = conn.Write(startupBytes(c.version, append([]string{"user", "fn", "database", "shop"}, c.params...)...))
			r := bufio.NewReader(conn)
			f, err := readFrame(r)
			if c.told {
				want := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 0x30000), uint32(len(c.unknown)))
				for _, u := range c.unknown {
					want = append(append(want, u...), 0)
				}
				if err != nil || f[0] != ansNegotiateVersion || string(f[head:]) != string(want) {
					t.Errorf("%x: told %q, want %q, %v", c.version, f, want, err)
				}
				f, err = readFrame(r)
			}
			if err != nil || f[0] != ansAuthentication {
				t.Errorf("%x: asked %q, %v", c.version, f, err)
			}
			_, _ = conn.Write(password("tok"))
		})
		if g.err != nil || g.session.Login().Connection != "shop" {
			t.Errorf("%x: %v", c.version, g.err)
		}
	}
}

// TestCancelWithAWrongKey: who does not know the key learns nothing, whatever they send.
func TestCancelWithAWrongKey(t *testing.T) {
	p := &protocol{deps: testDeps()}
	p.cancels = cancels{random: rand.Reader, live: map[[4]byte]*cancellable{}}
	s := &session{}
	key, err := p.cancels.add(s)
	if err != nil {
		t.Fatal(err)
	}
	if l := p.cancels.find(key[:]); l == nil || l.s != s {
		t.Fatal("the right key finds nothing")
	}
	for i := range key {
		bad := key
		bad[i] ^= 1
		if p.cancels.find(bad[:]) != nil {
			t.Errorf("a key with byte %d changed was taken", i)
		}
	}
	for _, bad := range [][]byte{nil, key[:4], key[:7], append(key[:], 0), make([]byte, 8)} {
		if p.cancels.find(bad) != nil {
			t.Errorf("%x was taken", bad)
		}
		g := greet(t, true, nil, func(c net.Conn) {
			_, _ = c.Write(append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(8+len(bad))), codeCancel), bad...))
			if b, _ := io.ReadAll(c); len(b) != 0 {
				t.Errorf("the asker was told %q", b)
			}
		})
		if !errors.Is(g.err, wire.ErrServed) {
			t.Errorf("%x: %v", bad, g.err)
		}
	}
	p.cancels.remove(key)
	if p.cancels.find(key[:]) != nil {
		t.Error("a key outlives its session")
	}
}
