package pgtest

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"gatehouse/e2e/authority"
)

// hba lets each user in by exactly one method, so that a test knows which one it exercised.
const hba = `
local   all  all           scram-sha-256
hostssl all  app_md5       127.0.0.1/32  md5
hostssl all  app_password  127.0.0.1/32  password
hostssl all  app_cert      127.0.0.1/32  cert
hostssl all  all           127.0.0.1/32  scram-sha-256
host    all  app           127.0.0.1/32  scram-sha-256
`

// settings trade durability for speed, and log every statement with who sent it, in the form that Statements reads.
const settings = `
listen_addresses = '127.0.0.1'
unix_socket_directories = '%s'
ssl = on
ssl_ca_file = '%s'
ssl_cert_file = '%s'
ssl_key_file = '%s'
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 200
shared_buffers = 64MB
max_wal_size = 256MB
timezone = 'UTC'
log_timezone = 'UTC'
log_statement = all
log_connections = on
log_line_prefix = '%%m [%%p] %%q%%u@%%d '
lc_messages = 'C'
`

//go:embed seed.sql
var seedSQL string

func (s *Server) writeConfig(who owner) error {
	conf := fmt.Sprintf(settings, s.socketDir(), s.CAFile,
		filepath.Join(s.serverDir(), "server.pem"), filepath.Join(s.serverDir(), "server.key"))
	f := filepath.Join(s.dataDir(), "postgresql.auto.conf") // read last: it wins over what initdb wrote
	if err := who.write(f, []byte(conf)); err != nil {
		return err
	}
	return who.write(filepath.Join(s.dataDir(), "pg_hba.conf"), []byte(hba))
}

// seed creates the roles, the database and the rows of the story.
func (s *Server) seed(ctx context.Context) error {
	admin := []string{
		"CREATE ROLE app LOGIN PASSWORD '" + AppPassword + "'",
		"CREATE ROLE app_password LOGIN PASSWORD '" + AppPassword + "' IN ROLE app",
		"CREATE ROLE app_cert LOGIN IN ROLE app",
		"SET password_encryption = 'md5'",
		"CREATE ROLE app_md5 LOGIN PASSWORD '" + AppPassword + "' IN ROLE app",
		"CREATE DATABASE " + Database + " OWNER app",
	}
	if err := run(ctx, s.DSN(adminUser, s.admin, "postgres"), admin...); err != nil {
		return err
	}
	return run(ctx, s.DSN(AppUser, AppPassword, Database), seedSQL)
}

func run(ctx context.Context, dsn string, texts ...string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	for _, text := range texts {
		if _, err := conn.PgConn().Exec(ctx, text).ReadAll(); err != nil {
			_ = conn.Close(ctx) // the first error is the one to tell
			return fmt.Errorf("%.60s: %w", text, err)
		}
	}
	return conn.Close(ctx)
}

func (s *Server) writeCertificates(who owner) error {
	ca, root, err := authority.New()
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.CAFile, root, 0o644); err != nil {
		return err
	}
	cert, key, err := ca.Issue(authority.Server())
	if err != nil {
		return err
	}
	if err := who.write(filepath.Join(s.serverDir(), "server.pem"), cert); err != nil {
		return err
	}
	if err := who.write(filepath.Join(s.serverDir(), "server.key"), key); err != nil {
		return err
	}
	cert, key, err = ca.Issue(&x509.Certificate{Subject: pkix.Name{CommonName: CertUser},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return err
	}
	me := owner{} // the client is whoever runs the test
	certFile, keyFile := s.ClientCert()
	if err := me.write(certFile, cert); err != nil {
		return err
	}
	return me.write(keyFile, key)
}
