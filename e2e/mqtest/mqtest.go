// Package mqtest starts private brokers for tests and benchmarks: Debian's own rabbitmq-server and nats-server, free ports, a
// temporary directory, TLS with a certificate authority of its own, users and virtual hosts (or accounts) that each test finds
// alike. It never uses a broker that happens to run on the machine, nor its Erlang port mapper. Start one per package, in
// TestMain: RabbitMQ takes seven seconds and 150 MB.
//
// Brokers run as whoever runs the test, and die with the process that started them. Down, Kill and Up end one and bring it
// back with its data and its ports. TestRabbitKeepsItsDataAndPorts, TestNATSKeepsItsDataAndPorts and
// TestBrokersDieWithTheirParent prove it.
package mqtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gatehouse/e2e/authority"
	"gatehouse/e2e/child"
)

// Who may log in to either broker. What each may do says the broker's own type.
const (
	AppUser       = "app" // the gateway's, in tests of it
	AppPassword   = "app-obviously-fake-password"
	OtherUser     = "other"
	OtherPassword = "other-obviously-fake-password"
	AdminUser     = "admin"
	AdminPassword = "admin-obviously-fake-password"
)

// TB is the part of testing.TB that starting needs.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

const (
	startPatience = 3 * time.Minute // RabbitMQ alone on a busy machine
	startAttempts = 5
)

// broker is what a server of either kind is while it runs.
type broker struct {
	Host    string // always 127.0.0.1; the certificate names it, and localhost
	Dir     string // everything lives below it; Stop removes it
	CAFile  string // PEM root of the server's certificate
	LogFile string // everything that the server ever said, over all its starts

	process *child.Process
}

// make makes the directory and the certificates.
func makeBroker(kind string) (*broker, error) {
	dir, err := os.MkdirTemp("", "gatehouse-"+kind+"-")
	if err != nil {
		return nil, err
	}
	b := &broker{Host: "127.0.0.1", Dir: dir, CAFile: filepath.Join(dir, "ca.pem"), LogFile: filepath.Join(dir, "server.log")}
	ca, root, err := authority.New()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	cert, key, err := ca.Issue(authority.Server())
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return b, errors.Join(os.WriteFile(b.CAFile, root, 0o644), os.WriteFile(b.certFile(), cert, 0o600), os.WriteFile(b.keyFile(), key, 0o600))
}

func (b *broker) certFile() string { return filepath.Join(b.Dir, "server.pem") }
func (b *broker) keyFile() string  { return filepath.Join(b.Dir, "server.key") }

// launch starts the server, and waits until answers says that it is there.
func (b *broker) launch(ctx context.Context, cmd *exec.Cmd, answers func(context.Context) error) error {
	log, err := os.OpenFile(b.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the server holds its own descriptor
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, b.Dir
	if b.process, err = child.Start(cmd, syscall.SIGKILL); err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := answers(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-b.process.Done():
			return fmt.Errorf("the server exited at start: %w\n%s", b.process.Err(), b.logTail())
		case <-ctx.Done():
			b.Kill()
			return fmt.Errorf("the server did not answer in time: %w\n%s", errors.Join(ctx.Err(), err), b.logTail())
		case <-tick.C:
		}
	}
}

// Down ends the server as its operator would, and leaves its data for Up.
func (b *broker) Down() {
	if b.process != nil {
		b.process.End(syscall.SIGTERM, syscall.SIGKILL)
	}
}

// Kill ends it at once, as a crash would, and leaves its data for Up.
func (b *broker) Kill() {
	if b.process != nil {
		b.process.End(syscall.SIGKILL)
	}
}

// PID is its process id.
func (b *broker) PID() int { return b.process.PID() }

// Log returns everything that the server logged.
func (b *broker) Log() (string, error) {
	raw, err := os.ReadFile(b.LogFile)
	return string(raw), err
}

func (b *broker) logTail() string {
	const most = 3000
	raw, _ := os.ReadFile(b.LogFile) // no log, no tail
	return string(raw[max(0, len(raw)-most):])
}

// Resident is the memory that the server holds now, in bytes.
func (b *broker) Resident() (int, error) { return Resident(b.PID()) }

// Resident is the memory that a process holds now, in bytes.
func Resident(pid int) (int, error) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0, fmt.Errorf("statm says %q", raw)
	}
	pages, err := strconv.Atoi(fields[1])
	return pages * os.Getpagesize(), err
}

// greeted reports, as an error, whether a server at address does not answer hello with something that begins with want.
func greeted(ctx context.Context, address, hello, want string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // it was only asked
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := io.WriteString(c, hello); err != nil {
		return err
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != want {
		return fmt.Errorf("%s answers %q", address, got)
	}
	return nil
}

// FreePort returns a port of 127.0.0.1 that nobody listens on now, for a server that is to come back to it: see freePorts.
func FreePort() (int, error) {
	p, err := freePorts(1)
	if err != nil {
		return 0, err
	}
	return p[0], nil
}

// freePorts returns ports that nobody listens on now. They are below those that the kernel gives to clients: a server that is
// down for a while finds its own free again, and whoever dials it meanwhile never reaches itself.
func freePorts(n int) ([]int, error) {
	const low, high, tries = 20000, 32000, 1000
	var ports []int
	for range tries {
		port := low + rand.IntN(high-low)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		defer func() { _ = l.Close() }() // nothing was accepted; held meanwhile, so that no port comes twice
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, errors.New("no free port")
}

// retry starts with new ports where another process took one of them first.
func (b *broker) retry(ctx context.Context, taken string, start func(context.Context) error) error {
	for attempt := 1; ; attempt++ {
		err := start(ctx)
		if err == nil || attempt == startAttempts || !strings.Contains(b.logTail(), taken) {
			return err
		}
		if err := os.Truncate(b.LogFile, 0); err != nil {
			return err
		}
	}
}

func (b *broker) address(port int) string { return net.JoinHostPort(b.Host, strconv.Itoa(port)) }

// started is the end of Start and its kin: the server lives as long as the test.
func started[S interface{ Stop() error }](tb TB, name string, start func(context.Context) (S, error)) S {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	s, err := start(ctx)
	if err != nil {
		tb.Fatalf("start %s: %v", name, err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Fatalf("stop %s: %v", name, err)
		}
	})
	return s
}
