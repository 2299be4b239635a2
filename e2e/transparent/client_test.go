package transparent

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// where is one of the two ways to the database.
type where struct {
	address  string
	caFile   string
	user     string
	password string
	database string
}

// client speaks the protocol's bytes and knows nothing of their meaning but where an answer ends.
type client struct {
	conn net.Conn
	step string // that is being played
}

// message is one message of the backend, as it came.
type message struct {
	kind byte
	body string
}

// tooLong is when an answer that has not come counts as a hang.
const tooLong = 10 * time.Second

// dial logs in with a password in clear, inside TLS, and returns what came after it, up to ReadyForQuery.
func dial(t *testing.T, w where, params ...string) (*client, []message) {
	t.Helper()
	raw, err := net.Dial("tcp", w.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() }) // the server may have closed it
	if err := raw.SetDeadline(time.Now().Add(tooLong)); err != nil {
		t.Fatal(err)
	}
	var yes [1]byte
	if _, err := raw.Write(binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, 80877103)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(raw, yes[:]); err != nil || yes[0] != 'S' {
		t.Fatalf("TLS: %q, %v", yes, err)
	}
	pem, err := os.ReadFile(w.caFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	c := &client{conn: tls.Client(raw, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"})}
	start := &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": w.user, "database": w.database}}
	for i := 0; i+1 < len(params); i += 2 {
		start.Parameters[params[i]] = params[i+1]
	}
	c.send(t, start)
	if m := c.read(t); m.kind != 'R' || m.body != "\x00\x00\x00\x03" {
		t.Fatalf("asked for %q %q, not for a password", m.kind, m.body)
	}
	c.send(t, &pgproto3.PasswordMessage{Password: w.password})
	return c, c.until(t, func(m message) bool { return m.kind == 'Z' })
}

func (c *client) send(t *testing.T, messages ...pgproto3.FrontendMessage) {
	t.Helper()
	var b []byte
	for _, m := range messages {
		var err error
		if b, err = m.Encode(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.conn.SetDeadline(time.Now().Add(tooLong)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.conn.Write(b); err != nil {
		t.Fatal(err)
	}
}

// end stands for the end of the connection.
const end = 0

func (c *client) read(t *testing.T) message {
	t.Helper()
	var h [5]byte
	if _, err := io.ReadFull(c.conn, h[:]); errors.Is(err, io.EOF) {
		return message{kind: end}
	} else if err != nil {
		t.Fatalf("at step %q: %v", c.step, err)
	}
	body := make([]byte, binary.BigEndian.Uint32(h[1:])-4)
	if _, err := io.ReadFull(c.conn, body); err != nil {
		t.Fatal(err)
	}
	return message{h[0], string(body)}
}

// until reads messages up to the one that is the last, or to the end.
func (c *client) until(t *testing.T, last func(message) bool) []message {
	t.Helper()
	var all []message
	for {
		m := c.read(t)
		all = append(all, m)
		if m.kind == end || last(m) {
			return all
		}
	}
}

// String shows a message in short, for people.
func (m message) String() string {
	if m.kind == end {
		return "(end of the connection)"
	}
	body := m.body
	if len(body) > 400 {
		body = body[:400] + "…"
	}
	return fmt.Sprintf("%c %q", m.kind, body)
}

// step is what a client sends in one go, and how many of which answer it then waits for.
type step struct {
	name string
	send []pgproto3.FrontendMessage
	last byte
	n    int
}

// play sends steps, and returns the answers to each.
func (c *client) play(t *testing.T, steps []step) [][]message {
	t.Helper()
	var all [][]message
	for _, s := range steps {
		c.step = s.name
		c.send(t, s.send...)
		n := s.n
		all = append(all, c.until(t, func(m message) bool {
			if m.kind == s.last {
				n--
			}
			return n <= 0
		}))
	}
	return all
}

// in is a step that ends with as many ReadyForQuery as it holds Query and Sync.
func in(name string, send ...pgproto3.FrontendMessage) step {
	n := 0
	for _, m := range send {
		switch m.(type) {
		case *pgproto3.Query, *pgproto3.Sync:
			n++
		}
	}
	return step{name, send, 'Z', n}
}

// upTo is a step that ends with the n-th answer of a kind.
func upTo(name string, last byte, n int, send ...pgproto3.FrontendMessage) step {
	return step{name, send, last, n}
}

func query(text string) *pgproto3.Query { return &pgproto3.Query{String: text} }

// queries is one step for each text.
func queries(texts ...string) []step {
	var all []step
	for _, text := range texts {
		all = append(all, in(text, query(text)))
	}
	return all
}

func parse(name, text string, types ...uint32) *pgproto3.Parse {
	return &pgproto3.Parse{Name: name, Query: text, ParameterOIDs: types}
}

// bind binds parameters as text; "NULL" is NULL.
func bind(portal, name string, params ...string) *pgproto3.Bind {
	b := &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: name}
	for _, p := range params {
		if p == "NULL" {
			b.Parameters = append(b.Parameters, nil)
			continue
		}
		b.Parameters = append(b.Parameters, []byte(p))
	}
	return b
}

func describe(what byte, name string) *pgproto3.Describe {
	return &pgproto3.Describe{ObjectType: what, Name: name}
}

func execute(portal string, rows uint32) *pgproto3.Execute {
	return &pgproto3.Execute{Portal: portal, MaxRows: rows}
}

func closing(what byte, name string) *pgproto3.Close {
	return &pgproto3.Close{ObjectType: what, Name: name}
}

func rows(data string) *pgproto3.CopyData { return &pgproto3.CopyData{Data: []byte(data)} }

// whole is one statement, unnamed, from Parse to Execute.
func whole(text string, params ...string) []pgproto3.FrontendMessage {
	return []pgproto3.FrontendMessage{parse("", text), bind("", "", params...), describe('P', ""), execute("", 0)}
}

func join(parts ...[]pgproto3.FrontendMessage) []pgproto3.FrontendMessage {
	var all []pgproto3.FrontendMessage
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func one(m ...pgproto3.FrontendMessage) []pgproto3.FrontendMessage { return m }

// unknown is a message of a type that there is not.
type unknown struct{ pgproto3.Flush }

// Encode implements pgproto3.Message.
func (*unknown) Encode(dst []byte) ([]byte, error) { return append(dst, '!', 0, 0, 0, 4), nil }
