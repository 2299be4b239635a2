package mqtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// NATS is a running nats-server that belongs to this process. AppUser is in an account with JetStream, OtherUser in another
// one with JetStream, AdminUser in the system account.
type NATS struct {
	*broker
	Port        int // clear, or upgraded to TLS where the client asks for it; see NATSOptions
	MonitorPort int // HTTP, in clear

	options NATSOptions
	stop    sync.Once
	stopErr error
}

// NATSOptions say how a nats-server differs from Debian's that lets clients choose whether they upgrade to TLS.
type NATSOptions struct {
	Binary   string // another server than the one on the PATH
	TLSFirst bool   // TLS before the server's first word: needs a server of 2.10 or newer
	Plain    bool   // no TLS at all
	More     string // more lines of its configuration
}

// StartNATS starts a nats-server that lives as long as the test (or benchmark) tb.
func StartNATS(tb TB, o NATSOptions) *NATS {
	tb.Helper()
	return started(tb, "nats-server", func(ctx context.Context) (*NATS, error) { return NewNATS(ctx, o) })
}

// NewNATS starts a nats-server. ctx bounds the start only; the caller stops the server with Stop.
func NewNATS(ctx context.Context, o NATSOptions) (*NATS, error) {
	if o.Binary == "" {
		found, err := exec.LookPath("nats-server")
		if errors.Is(err, exec.ErrNotFound) {
			found, err = exec.LookPath("/usr/sbin/nats-server") // not on everybody's PATH
		}
		if err != nil {
			return nil, fmt.Errorf("run scripts/setup.sh, or apt-get install nats-server: %w", err)
		}
		o.Binary = found
	}
	b, err := makeBroker("nats")
	if err != nil {
		return nil, err
	}
	s := &NATS{broker: b, options: o}
	if err := s.retry(ctx, "address already in use", s.first); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// first starts the server on ports that were free a moment ago.
func (s *NATS) first(ctx context.Context) error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	s.Port, s.MonitorPort = ports[0], ports[1]
	if err := os.WriteFile(s.configFile(), []byte(s.config()), 0o600); err != nil {
		return err
	}
	return s.Up(ctx)
}

// Up starts the server again after Down or Kill, with its data, on the same ports.
func (s *NATS) Up(ctx context.Context) error {
	return s.launch(ctx, exec.Command(s.options.Binary, "-c", s.configFile()), func(ctx context.Context) error {
		if s.options.TLSFirst {
			return s.Monitor(ctx, "healthz", nil)
		}
		return greeted(ctx, s.Address(), "", "INFO ")
	})
}

// Restart is Down and Up.
func (s *NATS) Restart(ctx context.Context) error {
	s.Down()
	return s.Up(ctx)
}

// Stop ends the server and removes its directory. Calling it again does nothing.
func (s *NATS) Stop() error {
	s.stop.Do(func() {
		s.Down()
		s.stopErr = os.RemoveAll(s.Dir)
	})
	return s.stopErr
}

// Address is host:port, as a Connection document names it.
func (s *NATS) Address() string { return s.address(s.Port) }

// URL is how NATS clients name a login; scheme is nats, or tls where the client insists on it.
func (s *NATS) URL(scheme, user, password string) string {
	return scheme + "://" + url.UserPassword(user, password).String() + "@" + s.Address()
}

// Monitor asks the server's monitoring, such as "varz" or "jsz?streams=true&accounts=true", and reads its JSON into into.
func (s *NATS) Monitor(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address(s.MonitorPort)+"/"+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

func (s *NATS) configFile() string { return filepath.Join(s.Dir, "nats.conf") }

func (s *NATS) config() string {
	c := `
listen: "${ADDRESS}"
http: "${MONITOR}"
server_name: "${NAME}"
jetstream { store_dir: "${DIR}/data", max_memory_store: 256MB, max_file_store: 4GB }
accounts {
  APP { jetstream: enabled, users: [ { user: "${APP}", password: "${APP_PASSWORD}" } ] }
  OTHER { jetstream: enabled, users: [ { user: "${OTHER}", password: "${OTHER_PASSWORD}" } ] }
  SYS { users: [ { user: "${ADMIN}", password: "${ADMIN_PASSWORD}" } ] }
}
system_account: SYS
`
	switch {
	case s.options.Plain:
	case s.options.TLSFirst:
		c += `tls { cert_file: "${CERT}", key_file: "${KEY}", timeout: 10, handshake_first: true }` + "\n"
	default:
		c += `tls { cert_file: "${CERT}", key_file: "${KEY}", timeout: 10 }` + "\nallow_non_tls: true\n"
	}
	return strings.NewReplacer("${ADDRESS}", s.Address(), "${MONITOR}", s.address(s.MonitorPort), "${DIR}", s.Dir,
		"${NAME}", filepath.Base(s.Dir), "${CERT}", s.certFile(), "${KEY}", s.keyFile(),
		"${APP}", AppUser, "${APP_PASSWORD}", AppPassword, "${OTHER}", OtherUser, "${OTHER_PASSWORD}", OtherPassword,
		"${ADMIN}", AdminUser, "${ADMIN_PASSWORD}", AdminPassword).Replace(c) + s.options.More
}
