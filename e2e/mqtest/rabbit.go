package mqtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"gatehouse/e2e/child"
)

// The virtual hosts. AppUser and AdminUser may do everything in each; OtherUser everything in OtherVHost only.
const (
	VHost      = "jobs"
	OtherVHost = "other"
	RootVHost  = "/"
)

// scripts is where Debian's package has the programs themselves: those on the PATH insist on a user of their own.
const scripts = "/usr/lib/rabbitmq/bin"

// Rabbit is a running RabbitMQ that belongs to this process.
type Rabbit struct {
	*broker
	Port    int // AMQP in clear
	TLSPort int // AMQP in TLS
	Node    string

	mapper     *child.Process // Erlang's port mapper, for this server alone
	mapperPort int
	distPort   int
	stop       sync.Once
	stopErr    error
}

// StartRabbit starts a RabbitMQ that lives as long as the test (or benchmark) tb.
func StartRabbit(tb TB) *Rabbit {
	tb.Helper()
	return started(tb, "RabbitMQ", NewRabbit)
}

// NewRabbit starts a RabbitMQ. ctx bounds the start only; the caller stops the server with Stop.
func NewRabbit(ctx context.Context) (*Rabbit, error) {
	if _, err := os.Stat(filepath.Join(scripts, "rabbitmq-server")); err != nil {
		return nil, fmt.Errorf("run scripts/setup.sh, or apt-get install rabbitmq-server: %w", err)
	}
	b, err := makeBroker("rabbit")
	if err != nil {
		return nil, err
	}
	s := &Rabbit{broker: b, Node: filepath.Base(b.Dir) + "@localhost"}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if err := s.retry(ctx, "eaddrinuse", s.first); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// first starts the server on ports that were free a moment ago.
func (s *Rabbit) first(ctx context.Context) error {
	ports, err := freePorts(4)
	if err != nil {
		return err
	}
	s.Port, s.TLSPort, s.mapperPort, s.distPort = ports[0], ports[1], ports[2], ports[3]
	s.endMapper()
	mapper := exec.Command("epmd", "-port", strconv.Itoa(s.mapperPort), "-address", s.Host)
	mapper.Dir = s.Dir
	if s.mapper, err = child.Start(mapper, syscall.SIGKILL); err != nil {
		return err
	}
	if err := os.WriteFile(s.file("rabbitmq.conf"), []byte(s.config()), 0o600); err != nil {
		return err
	}
	return s.Up(ctx)
}

// Up starts the server again after Down or Kill, with its data, on the same ports.
func (s *Rabbit) Up(ctx context.Context) error {
	cmd := exec.Command(filepath.Join(scripts, "rabbitmq-server"))
	cmd.Env = s.environment()
	return s.launch(ctx, cmd, func(ctx context.Context) error {
		return greeted(ctx, s.Address(), "AMQP\x00\x00\x09\x01", "\x01\x00\x00") // a method of channel 0
	})
}

// Restart is Down and Up.
func (s *Rabbit) Restart(ctx context.Context) error {
	s.Down()
	return s.Up(ctx)
}

// Stop ends the server and removes its directory. Calling it again does nothing.
func (s *Rabbit) Stop() error {
	s.stop.Do(func() {
		s.Down()
		s.endMapper()
		s.stopErr = os.RemoveAll(s.Dir)
	})
	return s.stopErr
}

func (s *Rabbit) endMapper() {
	if s.mapper != nil {
		s.mapper.End(syscall.SIGTERM, syscall.SIGKILL)
	}
}

// Address is host:port of AMQP in clear, as a Connection document names it.
func (s *Rabbit) Address() string { return s.address(s.Port) }

// TLSAddress is host:port of AMQP in TLS.
func (s *Rabbit) TLSAddress() string { return s.address(s.TLSPort) }

// URL is how AMQP clients name a login in clear.
func (s *Rabbit) URL(user, password, vhost string) string {
	return AMQPURL("amqp", s.Address(), user, password, vhost)
}

// AMQPURL is how AMQP clients name a login; scheme is amqp or amqps.
func AMQPURL(scheme, address, user, password, vhost string) string {
	return scheme + "://" + url.UserPassword(user, password).String() + "@" + address + "/" + url.PathEscape(vhost)
}

// Ctl runs rabbitmqctl at this server, and returns what it printed. It takes half a second.
func (s *Rabbit) Ctl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(scripts, "rabbitmqctl"), append([]string{"--quiet"}, args...)...)
	cmd.Env, cmd.Dir = s.environment(), s.Dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("rabbitmqctl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// Queue is what the broker itself counts of a queue.
type Queue struct {
	Name      string `json:"name"`
	Ready     int    `json:"messages_ready"`
	Unacked   int    `json:"messages_unacknowledged"`
	Consumers int    `json:"consumers"`
}

// Queues returns the broker's own counts of the queues of a virtual host, by their names.
func (s *Rabbit) Queues(ctx context.Context, vhost string) (map[string]Queue, error) {
	out, err := s.Ctl(ctx, "list_queues", "--vhost", vhost, "--formatter", "json", "name", "messages_ready", "messages_unacknowledged", "consumers")
	if err != nil {
		return nil, err
	}
	var all []Queue
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		return nil, fmt.Errorf("list_queues: %w\n%s", err, out)
	}
	by := map[string]Queue{}
	for _, q := range all {
		by[q.Name] = q
	}
	return by, nil
}

func (s *Rabbit) file(name string) string { return filepath.Join(s.Dir, name) }

func (s *Rabbit) prepare() error {
	definitions, err := json.Marshal(definitions())
	if err != nil {
		return err
	}
	return errors.Join(
		os.Mkdir(s.file("home"), 0o700),
		os.WriteFile(s.file("home/.erlang.cookie"), []byte("of-"+filepath.Base(s.Dir)), 0o400),
		os.WriteFile(s.file("definitions.json"), definitions, 0o600),
		os.WriteFile(s.file("plugins"), []byte("[]."), 0o600),
	)
}

// config turns what counts messages on: a test asks at once. Files of messages are not synced: processes die here, machines do not.
func (s *Rabbit) config() string {
	return strings.NewReplacer("${PLAIN}", s.Address(), "${TLS}", s.TLSAddress(), "${DEFINITIONS}", s.file("definitions.json"),
		"${CA}", s.CAFile, "${CERT}", s.certFile(), "${KEY}", s.keyFile()).Replace(`
listeners.tcp.1 = ${PLAIN}
listeners.ssl.1 = ${TLS}
ssl_options.cacertfile = ${CA}
ssl_options.certfile = ${CERT}
ssl_options.keyfile = ${KEY}
ssl_options.verify = verify_none
loopback_users = none
load_definitions = ${DEFINITIONS}
log.console = true
log.console.level = info
`)
}

// environment says everything that Debian's and RabbitMQ's own defaults would otherwise.
func (s *Rabbit) environment() []string {
	kept := slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, "RABBITMQ_") || strings.HasPrefix(e, "ERL_") || strings.HasPrefix(e, "HOME=")
	})
	return append(kept,
		"HOME="+s.file("home"),
		"ERL_EPMD_PORT="+strconv.Itoa(s.mapperPort),
		"ERL_EPMD_ADDRESS="+s.Host,
		"RABBITMQ_NODENAME="+s.Node,
		"RABBITMQ_DIST_PORT="+strconv.Itoa(s.distPort),
		"RABBITMQ_CTL_DIST_PORT_MIN=0", // any: several may run at once
		"RABBITMQ_CTL_DIST_PORT_MAX=0",
		"RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_CONFIG_FILE="+s.file("rabbitmq.conf"),
		"RABBITMQ_ADVANCED_CONFIG_FILE="+s.file("none"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+s.file("plugins"),
		"RABBITMQ_MNESIA_BASE="+s.file("data"),
		"RABBITMQ_LOG_BASE="+s.file("log"),
		"RABBITMQ_LOGS=-",
		"RABBITMQ_PID_FILE="+s.file("pid"),
		"RUNNING_UNDER_SYSTEMD=true", // the script becomes the server, and does not stand above it
	)
}

func definitions() map[string]any {
	type user struct {
		Name     string `json:"name"`
		Password string `json:"password"`
		Tags     string `json:"tags"`
	}
	type vhost struct {
		Name string `json:"name"`
	}
	type permission struct {
		User      string `json:"user"`
		VHost     string `json:"vhost"`
		Configure string `json:"configure"`
		Write     string `json:"write"`
		Read      string `json:"read"`
	}
	may := func(user, vhost string) permission { return permission{user, vhost, ".*", ".*", ".*"} }
	d := struct {
		Users       []user
		VHosts      []vhost
		Permissions []permission
	}{
		Users:       []user{{AppUser, AppPassword, ""}, {OtherUser, OtherPassword, ""}, {AdminUser, AdminPassword, "administrator"}},
		VHosts:      []vhost{{RootVHost}, {VHost}, {OtherVHost}},
		Permissions: []permission{may(OtherUser, OtherVHost)},
	}
	for _, v := range d.VHosts {
		d.Permissions = append(d.Permissions, may(AppUser, v.Name), may(AdminUser, v.Name))
	}
	return map[string]any{"users": d.Users, "vhosts": d.VHosts, "permissions": d.Permissions}
}
