package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// client is a connection that says what it is told and looks at nothing of the answer but where its messages begin, so
// that the client is not what is measured.
type client struct {
	conn net.Conn
	buf  []byte
	r, w int
}

// dial logs in with pgx, and takes the connection from it.
func dial(ctx context.Context, y way) (*client, error) {
	conf, err := pgconn.ParseConfig(y.dsn())
	if err != nil {
		return nil, err
	}
	conf.RuntimeParams = nil
	pc, err := pgconn.ConnectConfig(ctx, conf)
	if err != nil {
		return nil, err
	}
	if err := pc.SyncConn(ctx); err != nil { // nothing may read in the background any more
		return nil, err
	}
	h, err := pc.Hijack()
	if err != nil {
		return nil, err
	}
	return &client{conn: h.Conn}, h.Conn.SetDeadline(time.Now().Add(5 * time.Minute))
}

func (c *client) close() { _ = c.conn.Close() } // what it did is counted already

// ask sends msg and reads the answer up to ReadyForQuery. It returns the number of rows.
func (c *client) ask(msg []byte) (int, error) {
	if c.buf == nil {
		c.buf = make([]byte, 64<<10)
	}
	if _, err := c.conn.Write(msg); err != nil {
		return 0, err
	}
	rows := 0
	var failed error
	for {
		typ, size, err := c.head()
		if err != nil {
			return 0, err
		}
		switch typ {
		case 'D':
			rows++
		case 'E':
			failed = fmt.Errorf("the server says: %q", c.buf[c.r:min(c.w, c.r+size)])
		}
		if err := c.skip(size); err != nil {
			return 0, err
		}
		if typ == 'Z' {
			return rows, failed
		}
	}
}

// head reads the head of a message and returns its type and how many bytes follow.
func (c *client) head() (byte, int, error) {
	for c.w-c.r < 5 {
		if err := c.fill(); err != nil {
			return 0, 0, err
		}
	}
	typ, size := c.buf[c.r], int(binary.BigEndian.Uint32(c.buf[c.r+1:]))
	if size < 4 {
		return 0, 0, errors.New("a message of an impossible length")
	}
	c.r += 5
	return typ, size - 4, nil
}

func (c *client) skip(n int) error {
	for n > c.w-c.r {
		n -= c.w - c.r
		c.r = c.w
		if err := c.fill(); err != nil {
			return err
		}
	}
	c.r += n
	return nil
}

func (c *client) fill() error {
	c.w = copy(c.buf, c.buf[c.r:c.w])
	c.r = 0
	n, err := c.conn.Read(c.buf[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	return err
}

// message appends one message to b.
func message(b []byte, typ byte, body ...string) []byte {
	size := 4
	for _, s := range body {
		size += len(s)
	}
	b = binary.BigEndian.AppendUint32(append(b, typ), uint32(size))
	for _, s := range body {
		b = append(b, s...)
	}
	return b
}

// simple is a Query.
func simple(b []byte, sql string) []byte { return message(b, 'Q', sql, "\x00") }

// extended is Parse, Bind, Describe, Execute and Sync of an unnamed statement with one parameter.
func extended(b []byte, sql, parameter string) []byte {
	b = message(b, 'P', "\x00", sql, "\x00\x00\x00")
	size := string(binary.BigEndian.AppendUint32(nil, uint32(len(parameter))))
	b = message(b, 'B', "\x00\x00\x00\x00\x00\x01", size, parameter, "\x00\x00")
	b = message(b, 'D', "P\x00")
	b = message(b, 'E', "\x00\x00\x00\x00\x00")
	return message(b, 'S')
}
