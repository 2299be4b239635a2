package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// childMark is the environment variable that makes the test binary start a server, say where, and wait to be killed.
const childMark = "PGTEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childMark) != "" {
		becomeChild()
	}
	os.Exit(m.Run())
}

func becomeChild() {
	s, err := New(context.Background())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.Port, s.process.PID(), s.Dir)
	select {}
}

func TestEveryLogin(t *testing.T) {
	s := Start(t)
	cert, key := s.ClientCert()
	plain := strings.Replace(s.DSN(AppUser, AppPassword, Database), "verify-full", "disable", 1)
	for name, c := range map[string]struct {
		dsn string
		ok  bool
	}{
		"admin":               {s.AdminDSN, true},
		"scram":               {s.DSN(AppUser, AppPassword, Database), true},
		"scram without TLS":   {plain, true},
		"md5":                 {s.DSN(MD5User, AppPassword, Database), true},
		"password":            {s.DSN(PlainUser, AppPassword, Database), true},
		"certificate":         {s.DSN(CertUser, "none", Database) + " sslcert=" + cert + " sslkey=" + key, true},
		"wrong password":      {s.DSN(AppUser, "wrong", Database), false},
		"no certificate":      {s.DSN(CertUser, AppPassword, Database), false},
		"another's cert":      {s.DSN(MD5User, "wrong", Database) + " sslcert=" + cert + " sslkey=" + key, false},
		"md5 without TLS":     {strings.Replace(s.DSN(MD5User, AppPassword, Database), "verify-full", "disable", 1), false},
		"name not in the SAN": {strings.Replace(s.AdminDSN, "host=127.0.0.1", "host=127.0.0.2", 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := pgx.Connect(t.Context(), c.dsn)
			if (err == nil) != c.ok {
				t.Fatalf("login: %v, want success %v", err, c.ok)
			}
			if err != nil {
				return
			}
			var rows int
			if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM customers").Scan(&rows); err != nil || rows != 20 {
				t.Errorf("customers: %d rows, %v; want 20", rows, err)
			}
			if err := conn.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStatementsShowsWhatTheServerSaw(t *testing.T) {
	s := Start(t)
	conn, err := pgx.Connect(t.Context(), s.DSN(AppUser, AppPassword, Database))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"SELECT 1 /* simple */", "SELECT $1::int\n\n\t, 'two lines'"}
	if _, err := conn.PgConn().Exec(t.Context(), want[0]).ReadAll(); err != nil {
		t.Fatal(err)
	}
	if r := conn.PgConn().ExecParams(t.Context(), want[1], [][]byte{[]byte("7")}, nil, nil, nil).Read(); r.Err != nil {
		t.Fatal(r.Err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := s.Statements()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range want {
		if !slices.Contains(all, Logged{AppUser, Database, text}) {
			t.Errorf("the log does not show %q; its last statement is %+v", text, all[len(all)-1])
		}
	}
}

func TestStopLeavesNothing(t *testing.T) {
	s, err := New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", s.Dir, err)
	}
	if err := syscall.Kill(s.process.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the server still runs: %v", err)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("a second Stop: %v", err)
	}
}

func TestServerDiesWithItsParent(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), childMark+"=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	var port, pid int
	var dir string
	if n, _ := fmt.Sscan(line, &port, &pid, &dir); n != 3 {
		t.Fatalf("the child said %q, %v", line, err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // nobody else can, after the kill
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // it was killed
	deadline := time.Now().Add(15 * time.Second)
	for {
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return
		}
		_ = c.Close()
		if time.Now().After(deadline) {
			t.Fatalf("the server (process %d) outlived its parent", pid)
		}
	}
}
