package postgres

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/gate"
)

// noticed tells of each read when it begins.
type noticed struct {
	net.Conn
	reads chan struct{}
}

func (n *noticed) Read(b []byte) (int, error) {
	n.reads <- struct{}{}
	return n.Conn.Read(b)
}

// TestSlowLoginLosesNoAnswer: pgconn begins to read in the background where a write of the login takes long, and does not
// stop for whoever takes the connection over. Here the server speaks before it takes the StartupMessage, which it can only
// do once such a read is under way, and then waits for the next.
func TestSlowLoginLosesNoAnswer(t *testing.T) {
	pipe, server := net.Pipe()
	raw := &noticed{pipe, make(chan struct{}, 100)}
	defer func() { _, _ = raw.Close(), server.Close() }()
	by := time.Now().Add(5 * time.Second)
	_, _ = raw.SetDeadline(by), server.SetDeadline(by)
	const answer = "an answer to the first question"
	said := make(chan error, 1)
	go func() {
		_, err := server.Write(welcome(map[string]string{"server_version": "15.0"}, cancelKey{1}))
		<-raw.reads
		<-raw.reads // the next one is under way, and pgconn has all that the login needs
		if err == nil {
			_, err = server.Read(make([]byte, 1024)) // the StartupMessage
		}
		said <- err
	}()
	h, err := login(context.Background(), raw, gate.Credential{User: "app", Password: access.NewSecret([]byte("x")), Database: "orders"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-said; err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := io.WriteString(server, answer)
		said <- err
	}()
	got := make([]byte, len(answer))
	if _, err := io.ReadFull(h.Conn, got); err != nil || string(got) != answer {
		t.Fatalf("read %q, %v", got, err)
	}
	if err := <-said; err != nil {
		t.Fatal(err)
	}
}
