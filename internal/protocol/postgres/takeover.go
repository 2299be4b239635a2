package postgres

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// takenOver is a connection that pgconn logged in. Where a write of the login took long, pgconn reads in the background,
// and one such read may still be under way: what it gets is the answer to the first question that is asked afterwards. So
// the connection is read through pgconn's own reader, which hands that over.
type takenOver struct {
	net.Conn
	in io.Reader
}

// Read implements net.Conn.
func (t *takenOver) Read(b []byte) (int, error) { return t.in.Read(b) }

// takeOver logs in and takes the connection from pgconn.
func takeOver(ctx context.Context, conf *pgconn.Config) (*pgconn.HijackedConn, error) {
	var in io.Reader
	conf.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		in = r
		return pgproto3.NewFrontend(r, w)
	}
	pc, err := pgconn.ConnectConfig(ctx, conf)
	if err != nil {
		return nil, err
	}
	h, err := pc.Hijack()
	if err != nil {
		return nil, err
	}
	if h.Frontend.ReadBufferLen() > 0 {
		return nil, errors.New("the server went on speaking after the login") // it would be lost, and the rest out of step
	}
	h.Conn = &takenOver{h.Conn, in}
	return h, nil
}
