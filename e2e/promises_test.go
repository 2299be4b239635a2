package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"gatehouse/e2e/gateway"
	"gatehouse/e2e/pgtest"
)

// TestNoTokenNoByte is promise 1: whoever presents no valid token, or one whose role does not allow the connection, reaches
// the database with nothing at all, and learns nothing but a reference.
func TestNoTokenNoByte(t *testing.T) {
	good := token(t, shared.gw, "fn:reader")
	parts := strings.Split(good, ".")
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	refusal := regexp.MustCompile(`authentication failed \(ref [0-9a-z]{4,}\): run gatehouse whoami`)
	words := map[string]bool{}
	for name, tok := range map[string]string{
		"guess":             "guess",
		"backend password":  pgtest.AppPassword,
		"unsigned":          unsigned,
		"changed signature": parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		"changed subject":   parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"fn:writer"}`)) + "." + parts[2],
		"two tokens":        good + "." + good,
		"huge":              strings.Repeat("A", 9000),
	} {
		t.Run(name, func(t *testing.T) {
			logins := connections(t)
			_, err := pgx.Connect(t.Context(), dsn(shared.gw, tok))
			var pe *pgconn.PgError
			if !errors.As(err, &pe) || pe.Code != "28P01" && pe.Code != "28000" || !refusal.MatchString(pe.Message) {
				t.Fatalf("want a refused login with a reference, got %v", err)
			}
			words[regexp.MustCompile(`ref [0-9a-z]+`).ReplaceAllString(pe.Message, "ref")] = true
			if n := connections(t); n != logins {
				t.Errorf("the database saw %d new connections", n-logins)
			}
		})
	}
	if len(words) != 1 {
		t.Errorf("a refusal tells what was wrong: %v", words)
	}
}

// TestRoleMustAllowTheConnection belongs to promise 1: a good token without a role reaches the database with nothing.
func TestRoleMustAllowTheConnection(t *testing.T) {
	person, err := shared.gw.PersonToken(t.Context(), "ann", "group=dba")
	if err != nil {
		t.Fatal(err)
	}
	for name, tok := range map[string]string{
		"no role": token(t, shared.gw, "fn:nobody"), "a role that may not connect": token(t, shared.gw, "fn:mute"),
		"a reviewer without policies": person,
	} {
		t.Run(name, func(t *testing.T) {
			logins := connections(t)
			if _, err := pgx.Connect(t.Context(), dsn(shared.gw, tok)); err == nil {
				t.Error("was let in")
			}
			if n := connections(t); n != logins {
				t.Errorf("the database saw %d new connections", n-logins)
			}
		})
	}
}

// connections counts who knocked at the database, but for the superuser of the test itself.
func connections(t *testing.T) int {
	t.Helper()
	log, err := shared.pg.Log()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(log, "connection authorized: user=app")
}

// TestNotUnderstoodNotAllowed is promise 3: what cannot be parsed or resolved never reaches the database.
func TestNotUnderstoodNotAllowed(t *testing.T) {
	conn := connect(t, shared.gw, "fn:writer")
	for i, text := range []string{
		"SELEKT 1 /*%s*/",
		"DO $$ BEGIN PERFORM 1 /*%s*/; END $$",
		"SELECT no_such_function(1) /*%s*/",
		"SELECT * FROM no_such_table /*%s*/",
		"SELECT 1 /*%s*/; SELEKT 2",
		"SELECT * FROM dblink('x', 'SELECT 1') AS t(a int) /*%s*/",
		"SELECT lo_import('/etc/passwd') /*%s*/",
		"COPY customers TO PROGRAM 'cat' /*%s*/",
		"SELECT query_to_xml('SELECT * FROM customers', true, true, '') /*%s*/",
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1' /*%s*/",
		"ALTER ROLE app SUPERUSER /*%s*/",
		"SET SESSION AUTHORIZATION postgres /*%s*/",
		"SELECT pg_read_file('/etc/passwd') /*%s*/",
	} {
		mark := fmt.Sprintf("mark-%d", i)
		if _, err := conn.PgConn().Exec(t.Context(), fmt.Sprintf(text, mark)).ReadAll(); err == nil {
			t.Errorf("%s was allowed", text)
		}
		if saw(t, mark) {
			t.Errorf("the database saw %s", text)
		}
	}
	var one int
	if err := conn.QueryRow(t.Context(), "SELECT 1").Scan(&one); err != nil {
		t.Errorf("the session did not survive: %v", err)
	}
}

// TestWhatWasJudgedIsSent is promise 4: a setting that would change what a text means cannot make it mean something else
// than what was judged.
func TestWhatWasJudgedIsSent(t *testing.T) {
	direct(t, "CREATE SCHEMA hidden")
	direct(t, "CREATE TABLE hidden.orders AS SELECT 'hidden-row'::text AS status")
	direct(t, "GRANT USAGE ON SCHEMA hidden TO app")
	direct(t, "GRANT SELECT ON hidden.orders TO app")
	defer direct(t, "DROP SCHEMA hidden CASCADE")
	for _, before := range []string{
		"SET search_path = hidden, public",
		"SET LOCAL search_path = hidden, public",
		"BEGIN; SET LOCAL search_path = hidden, public",
		"SELECT set_config('search_path', 'hidden,public', false)",
		"ALTER ROLE app SET search_path = hidden",
		"SET standard_conforming_strings = off",
		"SET client_encoding = 'SJIS'",
		"SET ROLE postgres",
	} {
		t.Run(before, func(t *testing.T) {
			conn := connect(t, shared.gw, "fn:reader")
			_, _ = conn.PgConn().Exec(t.Context(), before).ReadAll() // refused, or tracked: either is right
			out, err := conn.PgConn().Exec(t.Context(), `SELECT status, '\'' || $$ x $$ || ' FROM orders LIMIT 1`).ReadAll()
			_ = err // a text that means different things under different settings may only fail or stay harmless
			lacks(t, fmt.Sprint(out), "hidden-row")
			out, err = conn.PgConn().Exec(t.Context(), "SELECT status FROM orders LIMIT 1").ReadAll()
			if err == nil {
				lacks(t, string(out[0].Rows[0][0]), "hidden-row")
			}
		})
	}
	want := "SELECT  /* spacing, comments */ name\n\tFROM customers\tWHERE id = 1 -- the very bytes"
	conn := connect(t, shared.gw, "fn:reader")
	if _, err := conn.PgConn().Exec(t.Context(), want).ReadAll(); err != nil {
		t.Fatal(err)
	}
	if !saw(t, want) {
		t.Error("the database saw something else than what was judged")
	}
}

// TestSecretsStay is promise 6: credentials and tokens are in no file, log, answer or backup in clear.
func TestSecretsStay(t *testing.T) {
	gw := own(t)
	tok := token(t, gw, "fn:reader")
	if out, code := psql(t, gw, tok, "-c", read); code != 0 {
		t.Fatalf("%s\n%s", out, tail(gw))
	}
	psql(t, gw, tok+"x", "-c", "SELECT 1")
	backup := filepath.Join(t.TempDir(), "backup")
	var said strings.Builder
	for _, args := range [][]string{
		{"get", "Connection", "shop", "-o", "yaml"}, {"get", "Connection", "-o", "json"}, {"secrets", "list", "-o", "json"},
		{"connections", "test", "shop"}, {"sessions", "list", "-o", "json"}, {"backup", backup}, {"whoami", "-o", "json"},
	} {
		r := gw.CLI(t.Context(), "", args...)
		if r.Code != 0 {
			t.Errorf("gatehouse %v: status %d: %s", args, r.Code, r.Err)
		}
		said.WriteString(r.Out + r.Err)
	}
	signature := tok[strings.LastIndex(tok, ".")+1:]
	for name, secret := range map[string]string{"password": pgtest.AppPassword, "token": signature} {
		if strings.Contains(said.String(), secret) {
			t.Errorf("a command printed the %s", name)
		}
		log, err := gw.Log()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(log, secret) {
			t.Errorf("the gateway logged the %s", name)
		}
		inFiles(t, gw.State, name, secret)
		inFiles(t, backup, name, secret)
	}
	seen, err := shared.pg.Log()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(seen, signature) {
		t.Error("the database saw the token")
	}
}

// inFiles fails where a secret is in a file below a path.
func inFiles(t *testing.T, root, name, secret string) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(p)
		if err == nil && bytes.Contains(raw, []byte(secret)) {
			t.Errorf("%s holds the %s", p, name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestFailureCloses is promise 8, as far as an operator can see it: a locked gateway refuses, clearly, and comes back.
func TestFailureCloses(t *testing.T) {
	gw := own(t)
	conn := connect(t, gw, "fn:reader")
	if r := gw.CLI(t.Context(), "", "lock", "--reason", "a test"); r.Code != 0 {
		t.Fatalf("lock: %s%s", r.Out, r.Err)
	}
	if _, err := conn.Exec(t.Context(), "SELECT 'while-locked'"); err == nil {
		t.Error("a locked gateway let a statement through")
	}
	if _, err := pgx.Connect(t.Context(), dsn(gw, token(t, gw, "fn:reader"))); err == nil {
		t.Error("a locked gateway let somebody in")
	}
	if saw(t, "while-locked") {
		t.Error("the database saw a statement of a locked gateway")
	}
	if r := gw.CLI(t.Context(), "", "unlock"); r.Code != 0 {
		t.Fatalf("unlock: %s%s", r.Out, r.Err)
	}
	if _, err := connect(t, gw, "fn:reader").Exec(t.Context(), "SELECT 1"); err != nil {
		t.Errorf("after unlock: %v", err)
	}
}

// TestEverythingIsBounded is promise 9, from outside: whoever has no token cannot make the gateway wait or allocate.
func TestEverythingIsBounded(t *testing.T) {
	host, port := address(shared.gw)
	long := func(n uint32, rest ...byte) []byte { return append(binary.BigEndian.AppendUint32(nil, n), rest...) }
	for name, first := range map[string][]byte{
		"startup of 2 GiB":    long(0x7fffffff, 0, 3, 0, 0),
		"startup of no bytes": long(0),
		"startup cut short":   long(8),
		"HTTP":                []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"silence":             nil,
		"a slow client":       long(80, 0, 3, 0, 0, 'u'),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", net.JoinHostPort(host, port))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }() // the gateway has closed it
			if _, err := c.Write(first); err != nil {
				t.Fatal(err)
			}
			if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, io.LimitReader(c, 1<<20)); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the gateway waits for ever")
			}
		})
	}
	t.Run("a message of 1 GiB", func(t *testing.T) {
		conn := connect(t, shared.gw, "fn:reader")
		raw, err := conn.PgConn().Hijack()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = raw.Conn.Close() }() // the gateway has closed it
		if _, err := raw.Conn.Write(append([]byte{'Q'}, long(1<<30)...)); err != nil {
			t.Fatal(err)
		}
		if err := raw.Conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(io.LimitReader(raw.Conn, 1<<20))
		if errors.Is(err, os.ErrDeadlineExceeded) || len(answer) == 0 || answer[0] != 'E' {
			t.Errorf("want an error and the end, got %q, %v", answer, err)
		}
	})
}

// TestTokenNeedsTLS belongs to promise 1: a token in clear text is refused before it is asked for.
func TestTokenNeedsTLS(t *testing.T) {
	plain := strings.Replace(dsn(shared.gw, token(t, shared.gw, "fn:reader")), "verify-full", "disable", 1)
	if _, err := pgx.Connect(t.Context(), plain); err == nil {
		t.Error("a token went over a connection without TLS")
	}
	host, port := address(shared.gw)
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(shared.gw.CAFile())
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	d := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: host, NextProtos: []string{"postgresql"}}}
	c, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port)) // direct TLS, as PostgreSQL 17's clients do
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close() // it has shown what it should
}

// TestLogIsCheckedOffline is promise 10, as an auditor sees it: a copy of the log, the public key, and nothing else.
func TestLogIsCheckedOffline(t *testing.T) {
	gw := own(t)
	if out, code := psql(t, gw, token(t, gw, "fn:reader"), "-c", read); code != 0 {
		t.Fatal(out)
	}
	early := checkpoint(t, gw)
	rolledBack := t.TempDir()
	copyDir(t, gw.AuditDir(), rolledBack)
	psql(t, gw, token(t, gw, "fn:reader"), "-c", read, "-c", "DROP TABLE orders")
	newest := checkpoint(t, gw)
	gw.Stop()
	later := t.TempDir()
	copyDir(t, gw.AuditDir(), later)

	check := func(name, dir string, want int, more ...string) {
		t.Helper()
		r := offline(t, gw, append([]string{"audit", "verify", "--dir", dir, "--key", gw.AuditKey()}, more...)...)
		if r.Code != want {
			t.Errorf("%s: status %d, want %d: %s%s", name, r.Code, want, r.Out, r.Err)
		}
	}
	check("untouched", later, 0)
	check("against an older checkpoint", later, 0, "--since", early)
	check("rolled back", rolledBack, 1, "--since", newest)
	name, size := largestFile(t, later)
	for _, at := range []int64{size / 4, size / 2, size - size/4} {
		flip(t, name, at)
		check(fmt.Sprintf("byte %d of %s flipped", at, filepath.Base(name)), later, 1)
		flip(t, name, at)
	}
	check("flipped back", later, 0)
	if err := os.Truncate(name, size/2); err != nil {
		t.Fatal(err)
	}
	check("cut in half", later, 1)
}

// checkpoint keeps the newest checkpoint in a file, as a witness would.
func checkpoint(t *testing.T, gw *gateway.Gateway) string {
	t.Helper()
	r := gw.CLI(t.Context(), "", "audit", "checkpoint")
	if r.Code != 0 {
		t.Fatalf("audit checkpoint: %s", r.Err)
	}
	f := filepath.Join(t.TempDir(), "checkpoint")
	if err := os.WriteFile(f, []byte(r.Out), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// offline runs a command without any way to find the gateway.
func offline(t *testing.T, gw *gateway.Gateway, args ...string) gateway.Run {
	t.Helper()
	elsewhere := *gw
	elsewhere.State = t.TempDir()
	return elsewhere.CLI(t.Context(), "", args...)
}

func flip(t *testing.T, name string, at int64) {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	raw[at] ^= 1
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", from+"/.", to).CombinedOutput(); err != nil { // keeps modes
		t.Fatalf("cp: %v: %s", err, out)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func largestFile(t *testing.T, dir string) (name string, size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		i, err := d.Info()
		if err == nil && i.Size() > size {
			name, size = p, i.Size()
		}
		return err
	})
	if err != nil || size == 0 {
		t.Fatalf("no log in %s: %v", dir, err)
	}
	return name, size
}
