package pgtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
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

// authority signs certificates for one server's life.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (s *Server) writeCertificates(who owner) error {
	ca, root, err := newAuthority()
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.CAFile, root, 0o644); err != nil {
		return err
	}
	cert, key, err := ca.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err != nil {
		return err
	}
	if err := who.write(filepath.Join(s.serverDir(), "server.pem"), cert); err != nil {
		return err
	}
	if err := who.write(filepath.Join(s.serverDir(), "server.key"), key); err != nil {
		return err
	}
	cert, key, err = ca.issue(&x509.Certificate{Subject: pkix.Name{CommonName: CertUser},
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

func newAuthority() (*authority, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gatehouse test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	return &authority{t, key}, encode("CERTIFICATE", der), nil
}

// issue signs t for a new key and returns both as PEM.
func (a *authority) issue(t *x509.Certificate) (cert, key []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if t.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		return nil, nil, err
	}
	t.NotBefore, t.NotAfter, t.KeyUsage = a.cert.NotBefore, a.cert.NotAfter, x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, k.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, nil, err
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", pkcs8), nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
