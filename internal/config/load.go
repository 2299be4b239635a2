package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// LoadServer returns the gateway's configuration: the defaults for uid (os.Geteuid), changed by the file path where that
// is not empty. $GATEHOUSE_STATE wins over the file's state. Listeners are the default ones. The error is
// fault.Malformed and shows every problem at its place, or fault.Unavailable where the file cannot be read.
func LoadServer(path string, env func(string) string, uid int, listeners []Listener) (Server, error) {
	s := Default(env, uid, listeners)
	if path == "" {
		return s, nil
	}
	b, err := readFile(path)
	if err != nil {
		return Server{}, err
	}
	src, nodes, err := read(path, b)
	if err != nil {
		return Server{}, err
	}
	if len(nodes) > 1 {
		return Server{}, src.malformed([]problem{{nodes[1].pos, "a configuration file holds one document: remove this one"}})
	}
	if len(nodes) == 0 {
		return s, nil
	}
	if err := s.merge(src, nodes[0]); err != nil {
		return Server{}, err
	}
	if dir := env(stateEnv); dir != "" {
		s.State = dir
	}
	return s, nil
}

func readFile(path string) ([]byte, error) {
	const op = "config.readFile"
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, op, err, "cannot open the configuration %s: check the path and that this user may read it", path)
	}
	defer f.Close() //nolint:errcheck // only read from
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	return b, fault.Wrap(fault.Unavailable, op, err, "cannot read the configuration %s", path)
}

// merge lays what the file says over s.
func (s *Server) merge(src *source, n *node) error {
	root, err := loadSchema()
	if err != nil {
		return err
	}
	c := checker{root: root}
	c.check(n, root.Defs[serverDef], "")
	if err := src.malformed(c.problems); err != nil {
		return err
	}
	if n.get("listeners") != nil {
		s.Listeners = nil // decoding into the old list would mix the two
	}
	if err := json.Unmarshal(n.appendJSON(nil), s); err != nil {
		return src.malformed([]problem{{n.pos, "this configuration cannot be read: " + err.Error()}})
	}
	var problems []problem
	for _, w := range s.wrong() {
		problems = append(problems, problem{n.at(w.path), w.path + " " + w.say})
	}
	return src.malformed(problems)
}

// Check reports what no single key shows: values out of their bounds, addresses that are none, keys that contradict each
// other. LoadServer has called it; it is for configurations that flags have changed since.
func (s *Server) Check() error {
	var errs []error
	for _, w := range s.wrong() {
		errs = append(errs, fault.New(fault.Malformed, "config.Check", "%s %s", w.path, w.say))
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

type wrong struct{ path, say string }

func (s *Server) wrong() []wrong {
	all := s.outOfBounds()
	for i, l := range s.Listeners {
		for _, w := range l.wrong() {
			all = append(all, wrong{joinPath(indexPath("listeners", i), w.path), w.say})
		}
		for j, other := range s.Listeners[:i] {
			if l.Address == other.Address && !anyPort(l.Address) {
				all = append(all, wrong{indexPath("listeners", i) + ".address", fmt.Sprintf("is that of listeners[%d] too: give each its own", j)})
			}
		}
	}
	if say := badAddress(s.API.Address); say != "" {
		all = append(all, wrong{"api.address", say})
	}
	if (s.API.TLS.CertFile == "") != (s.API.TLS.KeyFile == "") {
		all = append(all, wrong{"api.tls", "needs both cert_file and key_file"})
	}
	given := 0
	for _, v := range []string{s.Vault.Key.File, s.Vault.Key.Env, s.Vault.Key.PassphraseEnv} {
		if v != "" {
			given++
		}
	}
	if given > 1 {
		all = append(all, wrong{"vault.key", "takes only one of file, env and passphrase_env"})
	}
	return all
}

// outOfBounds checks the durations and sizes; whole numbers have their bounds in the schema.
func (s *Server) outOfBounds() []wrong {
	var all []wrong
	for _, d := range []struct {
		path     string
		v        access.Duration
		min, max time.Duration
	}{
		{"limits.login_timeout", s.Limits.LoginTimeout, time.Second, 5 * time.Minute},
		{"limits.idle_timeout", s.Limits.IdleTimeout, 0, 24 * time.Hour},
		{"audit.window", s.Audit.Window, time.Millisecond, 10 * time.Second},
		{"approvals.expires", s.Approvals.Expires, time.Second, 24 * time.Hour},
		{"leases.policy", s.Leases.Policy, time.Second, time.Hour},
		{"leases.keys", s.Leases.Keys, time.Minute, 24 * time.Hour},
		{"expiry_grace", s.ExpiryGrace, 0, 5 * time.Minute},
		{"drain_timeout", s.DrainTimeout, 0, time.Hour},
	} {
		if v := time.Duration(d.v); v < d.min || v > d.max {
			all = append(all, wrong{d.path, fmt.Sprintf("must be from %s to %s", d.min, d.max)})
		}
	}
	for _, b := range []struct {
		path        string
		v, min, max Size
	}{
		{"limits.max_message", s.Limits.MaxMessage, 64 * KiB, GiB},
		{"limits.max_masked_row", s.Limits.MaxMaskedRow, 64 * KiB, GiB},
		{"limits.session_memory", s.Limits.SessionMemory, MiB, 4 * GiB},
	} {
		if b.v < b.min || b.v > b.max {
			all = append(all, wrong{b.path, fmt.Sprintf("must be from %s to %s", b.min, b.max)})
		}
	}
	return all
}

func (l Listener) wrong() []wrong {
	var all []wrong
	if say := badAddress(l.Address); say != "" {
		all = append(all, wrong{"address", say})
	} else if l.Plaintext && !loopback(l.Address) {
		all = append(all, wrong{"plaintext", "is only allowed on a loopback address such as 127.0.0.1, since tokens would cross the network in clear"})
	}
	if (l.TLS.CertFile == "") != (l.TLS.KeyFile == "") {
		all = append(all, wrong{"tls", "needs both cert_file and key_file"})
	}
	if l.Proxy != nil {
		for i, n := range l.Proxy.Trusted {
			if _, err := netip.ParsePrefix(n); err != nil {
				all = append(all, wrong{indexPath("proxy_protocol.trusted", i), "is not a network such as 10.0.0.0/8"})
			}
		}
	}
	return all
}

// badAddress says what is wrong with an address to listen on, or "".
func badAddress(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "is not an address such as 127.0.0.1:6000 or [::1]:6000"
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "does not end in a port from 0 to 65535"
	}
	return ""
}

// loopback reports whether only this machine can reach the address. A name other than localhost could resolve to
// anything, so it is not trusted.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

func anyPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	return err == nil && port == "0"
}

// String renders a size for messages.
func (s Size) String() string {
	b, err := s.MarshalText()
	if err != nil {
		return strconv.FormatInt(int64(s), 10)
	}
	return string(b)
}
