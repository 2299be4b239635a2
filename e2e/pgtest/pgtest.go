// Package pgtest starts a private PostgreSQL for tests, the demo and the benchmarks: Debian's own server binaries, a free
// port, a temporary directory, TLS with a certificate authority of its own, every way of logging in that the gateway
// speaks, and a statement log that a test can read. It never uses a server that happens to run on the machine.
//
// The server dies with the process that started it, also when that process is killed. TestServerDiesWithItsParent
// proves it; TestEveryLogin proves the logins.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"gatehouse/e2e/child"
)

// Server is a running PostgreSQL that belongs to this process.
type Server struct {
	Host     string // always 127.0.0.1; the certificate names it, and localhost
	Port     int
	CAFile   string // PEM root of the server's certificate, and of the client certificates
	AdminDSN string // the superuser on database orders, verify-full
	LogFile  string // the server's log, with every statement; see Statements
	Dir      string // everything lives below it; Stop removes it
	BinDir   string // where initdb, psql and pgbench of the same version are

	admin      string // the superuser's password
	process    *child.Process
	statements statements
	stop       sync.Once
	stopErr    error
}

// The database of the story and who may log in to it, each by the method that the name says. AppUser owns the tables.
const (
	Database     = "orders"
	AppUser      = "app" // scram-sha-256, with or without TLS
	AppPassword  = "app-obviously-fake-password"
	MD5User      = "app_md5"      // md5, over TLS
	PlainUser    = "app_password" // clear-text password, over TLS
	CertUser     = "app_cert"     // client certificate, over TLS: see ClientCert
	adminUser    = "postgres"
	startAttempt = 5
)

// TB is the part of testing.TB that Start needs.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Start starts a seeded server that lives as long as the test (or benchmark) tb.
func Start(tb TB) *Server {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s, err := New(ctx)
	if err != nil {
		tb.Fatalf("start PostgreSQL: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Fatalf("stop PostgreSQL: %v", err)
		}
	})
	return s
}

// New starts a seeded server. ctx bounds the start only; the caller stops the server with Stop.
func New(ctx context.Context) (*Server, error) {
	bin, err := findBinaries()
	if err != nil {
		return nil, err
	}
	who, err := serverUser()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "gatehouse-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{Host: "127.0.0.1", Dir: dir, BinDir: bin, admin: "admin-" + filepath.Base(dir),
		CAFile: filepath.Join(dir, "ca.pem"), LogFile: filepath.Join(dir, "server.log")}
	if err := s.start(ctx, who); err != nil {
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, s.logTail()), s.Stop())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, who owner) error {
	if err := s.prepare(ctx, who); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err := s.launch(ctx, who)
		if err == nil {
			break
		}
		// Another process may take the free port before the server does: then, and only then, try another.
		if attempt == startAttempt || !strings.Contains(s.logTail(), "Address already in use") {
			return err
		}
	}
	s.AdminDSN = s.DSN(adminUser, s.admin, Database)
	return s.seed(ctx)
}

// prepare makes everything that the server needs before its first start.
func (s *Server) prepare(ctx context.Context, who owner) error {
	if err := os.Chmod(s.Dir, 0o755); err != nil {
		return err
	}
	for _, d := range []string{s.serverDir(), s.socketDir()} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return err
		}
		if err := who.own(d); err != nil {
			return err
		}
	}
	if err := s.writeCertificates(who); err != nil {
		return err
	}
	pw := filepath.Join(s.serverDir(), "password")
	if err := who.write(pw, []byte(s.admin+"\n")); err != nil {
		return err
	}
	initdb := exec.CommandContext(ctx, filepath.Join(s.BinDir, "initdb"), "--pgdata="+s.dataDir(), "--username="+adminUser,
		"--pwfile="+pw, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
	initdb.Dir = s.serverDir()
	initdb.SysProcAttr = who.attr()
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return s.writeConfig(who)
}

// launch starts the server on a port that was free a moment ago, and waits until it answers.
func (s *Server) launch(ctx context.Context, who owner) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	s.Port = port
	log, err := os.OpenFile(s.LogFile, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the server holds its own descriptor
	cmd := exec.Command(filepath.Join(s.BinDir, "postgres"), "-D", s.dataDir(), "-p", strconv.Itoa(port))
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.serverDir(), log, log
	cmd.SysProcAttr = who.attr()
	p, err := child.Start(cmd, syscall.SIGQUIT)
	if err != nil {
		return err
	}
	s.process = p
	return s.awaitReady(ctx)
}

// awaitReady returns when the server answers a login, or when it has exited.
func (s *Server) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.DSN(adminUser, s.admin, "postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.process.Done():
			return fmt.Errorf("the server exited at start: %w", s.process.Err())
		case <-ctx.Done():
			return fmt.Errorf("the server did not answer in time: %w", errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

// Stop ends the server, politely first, and removes its directory. Calling it again does nothing.
func (s *Server) Stop() error {
	s.stop.Do(func() {
		if s.process != nil {
			s.process.End(syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL)
		}
		s.stopErr = os.RemoveAll(s.Dir)
	})
	return s.stopErr
}

// DSN is a connection string, in the keyword form that libpq, pgx and lib/pq all read, with TLS verified in full.
func (s *Server) DSN(user, password, database string) string {
	return fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=verify-full sslrootcert=%s",
		s.Host, s.Port, user, password, database, s.CAFile)
}

// Address is host:port, as a Connection document names it.
func (s *Server) Address() string { return s.Host + ":" + strconv.Itoa(s.Port) }

// ClientCert returns the PEM certificate and key files with which CertUser logs in.
func (s *Server) ClientCert() (certFile, keyFile string) {
	return filepath.Join(s.Dir, "client.pem"), filepath.Join(s.Dir, "client.key")
}

func (s *Server) serverDir() string { return filepath.Join(s.Dir, "server") }
func (s *Server) dataDir() string   { return filepath.Join(s.Dir, "server", "data") }
func (s *Server) socketDir() string { return filepath.Join(s.Dir, "socket") }
