package mqtest

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	amqp "github.com/rabbitmq/amqp091-go"
)

// childMark is the environment variable that makes the test binary start brokers, say where, and wait to be killed.
const childMark = "MQTEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childMark) != "" {
		becomeChild()
	}
	os.Exit(m.Run())
}

func becomeChild() {
	n, err := NewNATS(context.Background(), NATSOptions{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	r, err := NewRabbit(context.Background())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(n.Address(), r.Address(), r.address(r.mapperPort), n.Dir, r.Dir)
	select {}
}

func roots(t *testing.T, file string) *tls.Config {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		t.Fatal("no certificate")
	}
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

func dial(t *testing.T, url string, c *tls.Config) *amqp.Connection {
	t.Helper()
	conn, err := amqp.DialConfig(url, amqp.Config{TLSClientConfig: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // a test may have ended it
	return conn
}

func TestRabbitKeepsItsDataAndPorts(t *testing.T) {
	s := StartRabbit(t)
	dial(t, AMQPURL("amqps", s.TLSAddress(), OtherUser, OtherPassword, OtherVHost), roots(t, s.CAFile))
	if c, err := amqp.Dial(s.URL(OtherUser, OtherPassword, VHost)); err == nil {
		_ = c.Close()
		t.Error("a user is let into a virtual host of others")
	}
	ch, err := dial(t, s.URL(AppUser, AppPassword, VHost), nil).Channel()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDeclare("kept", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	put := func(body string) {
		t.Helper()
		d, err := ch.PublishWithDeferredConfirmWithContext(t.Context(), "", "kept", false, false,
			amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := d.WaitContext(t.Context()); err != nil || !ok {
			t.Fatalf("confirmed %v, %v", ok, err)
		}
	}
	put("one")
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ch, err = dial(t, s.URL(AppUser, AppPassword, VHost), nil).Channel(); err != nil {
		t.Fatal(err)
	}
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	put("two")
	s.Kill()
	if err := s.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	queues, err := s.Queues(t.Context(), VHost)
	if q := queues["kept"]; err != nil || q.Ready != 2 {
		t.Errorf("%+v, %v; want 2 messages", q, err)
	}
	gone(t, s.Stop, s.Dir, s.PID())
}

func TestNATSKeepsItsDataAndPorts(t *testing.T) {
	s := StartNATS(t, NATSOptions{})
	c, err := nats.Connect(s.URL("tls", AppUser, AppPassword), nats.RootCAs(s.CAFile), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	other, err := nats.Connect(s.URL("nats", OtherUser, OtherPassword))
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	js, err := c.JetStream(nats.MaxWait(startPatience))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.AddStream(&nats.StreamConfig{Name: "kept", Subjects: []string{"kept.>"}}); err != nil {
		t.Fatal(err)
	}
	for i, end := range []func(){s.Down, s.Kill} {
		if _, err := js.Publish("kept.a", []byte("one")); err != nil {
			t.Fatal(err)
		}
		end()
		if err := s.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
		var counts struct {
			Messages int `json:"messages"`
		}
		if err := s.Monitor(t.Context(), "jsz", &counts); err != nil || counts.Messages != i+1 {
			t.Errorf("%d messages, %v; want %d", counts.Messages, err, i+1)
		}
		for !c.IsConnected() {
			if err := c.FlushTimeout(startPatience); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
				t.Fatal(err)
			}
		}
	}
	gone(t, s.Stop, s.Dir, s.PID())
}

// gone holds a stop to leaving nothing behind.
func gone(t *testing.T, stop func() error, dir string, pid int) {
	t.Helper()
	for range 2 {
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the server still runs: %v", err)
	}
}

func TestBrokersDieWithTheirParent(t *testing.T) {
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
	said := strings.Fields(line)
	if len(said) != 5 {
		t.Fatalf("the child said %q, %v", line, err)
	}
	defer func() { _, _ = os.RemoveAll(said[3]), os.RemoveAll(said[4]) }() // nobody else can, after the kill
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // it was killed
	deadline := time.Now().Add(15 * time.Second)
	for _, address := range said[:3] {
		for {
			c, err := net.Dial("tcp", address)
			if err != nil {
				break
			}
			_ = c.Close()
			if time.Now().After(deadline) {
				t.Fatalf("the server at %s outlived its parent", address)
			}
		}
	}
}
