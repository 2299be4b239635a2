// Package pair starts a PostgreSQL and a gateway in front of it, so that a client can reach the same database both ways and
// find no difference: the gateway's role "everything" allows all and masks nothing. TestSameBytes in e2e/transparent
// compares the two ways; e2e/clients runs stock drivers through the gateway.
package pair

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"gatehouse/e2e/gateway"
	"gatehouse/e2e/pgtest"
)

// Connection is the connection's name: what a client gives as its database.
const Connection = "orders-db"

// Subjects of tokens.
const (
	Everything = "fn:everything" // may do all
	Limited    = "fn:limited"    // may do all but touch the schema "hidden"
)

//go:embed documents.yaml
var documents string

// Pair is a running database and its gateway.
type Pair struct {
	PG      *pgtest.Server
	Gateway *gateway.Gateway
	Dir     string // removed by Stop
}

// New starts both. seed is run by the database's superuser first. ctx bounds the start only; the caller calls Stop.
func New(ctx context.Context, seed ...string) (*Pair, error) {
	dir, err := os.MkdirTemp("", "gatehouse-pair-")
	if err != nil {
		return nil, err
	}
	p := &Pair{Dir: dir}
	if err := p.start(ctx, seed); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

func (p *Pair) start(ctx context.Context, seed []string) error {
	binary, err := gateway.Build(ctx, p.Dir)
	if err != nil {
		return err
	}
	if p.PG, err = pgtest.New(ctx); err != nil {
		return err
	}
	if err := p.seed(ctx, seed); err != nil {
		return err
	}
	config := filepath.Join(p.Dir, "gatehouse.yaml")
	if err := os.WriteFile(config, []byte(settings), 0o600); err != nil {
		return err
	}
	if p.Gateway, err = gateway.Start(ctx, gateway.Options{Binary: binary, State: filepath.Join(p.Dir, "state"), Config: config}); err != nil {
		return err
	}
	if r := p.Gateway.CLI(ctx, pgtest.AppPassword, "secrets", "set", Connection); r.Code != 0 {
		return fmt.Errorf("secrets set: %s%s", r.Out, r.Err)
	}
	docs := strings.NewReplacer("${ADDRESS}", p.PG.Address(), "${CA_FILE}", p.PG.CAFile).Replace(documents)
	if r := p.Gateway.CLI(ctx, docs, "apply", "-f", "-"); r.Code != 0 {
		return fmt.Errorf("apply: %s%s", r.Out, r.Err)
	}
	return nil
}

// settings let a text of 64 MiB through.
const settings = `listeners:
  - protocol: postgres
    address: 127.0.0.1:0
limits:
  max_message: 128MiB
  session_memory: 512MiB
`

func (p *Pair) seed(ctx context.Context, texts []string) error {
	conn, err := pgconn.Connect(ctx, p.PG.AdminDSN)
	if err != nil {
		return err
	}
	for _, text := range texts {
		if _, err := conn.Exec(ctx, text).ReadAll(); err != nil {
			return errors.Join(fmt.Errorf("%.60s: %w", text, err), conn.Close(ctx))
		}
	}
	return conn.Close(ctx)
}

// Stop ends both.
func (p *Pair) Stop() error {
	if p.Gateway != nil {
		p.Gateway.Stop()
	}
	var err error
	if p.PG != nil {
		err = p.PG.Stop()
	}
	return errors.Join(err, os.RemoveAll(p.Dir))
}

// Address is where the gateway takes clients.
func (p *Pair) Address() (host, port string, err error) {
	return net.SplitHostPort(p.Gateway.Listener["postgres"])
}
