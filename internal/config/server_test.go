package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func listeners() []Listener { return []Listener{{Protocol: "p", Address: "127.0.0.1:6000"}} }

func load(t *testing.T, text string, e func(string) string) (Server, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gate.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadServer(path, e, 1000, listeners())
}

func TestDefaults(t *testing.T) {
	s, err := LoadServer("", env("HOME", "/users/u"), 1000, listeners())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(); err != nil {
		t.Errorf("the defaults do not hold their own bounds: %v", err)
	}
	if s.API.Address != "127.0.0.1:8443" || cmp.Diff(listeners(), s.Listeners) != "" || time.Duration(s.Limits.LoginTimeout) != 15*time.Second || s.Limits.MaxMessage != 16*MiB {
		t.Errorf("got %+v", s)
	}
	empty, err := load(t, "# nothing\n", env("HOME", "/users/u"))
	if err != nil || cmp.Diff(s, empty) != "" {
		t.Errorf("%v\n%s", err, cmp.Diff(s, empty))
	}
	for _, c := range []struct {
		env  func(string) string
		uid  int
		want string
	}{
		{env("HOME", "/users/u"), 1000, "/users/u/.local/state/gatehouse"},
		{env("HOME", "/users/u", "XDG_STATE_HOME", "/x"), 1000, "/x/gatehouse"},
		{env("HOME", "/root", "XDG_STATE_HOME", "/x"), 0, "/var/lib/gatehouse"},
		{env(), 1000, "/var/lib/gatehouse"},
		{env("HOME", "/root", "GATEHOUSE_STATE", "/s"), 0, "/s"},
	} {
		if got := Default(c.env, c.uid, nil).State; got != c.want {
			t.Errorf("state is %s, want %s", got, c.want)
		}
	}
}

// TestLoadServer: what the file says changes, what it does not say stays.
func TestLoadServer(t *testing.T) {
	text := `state: /data
listeners:
  - protocol: q
    address: "[::1]:0"
    plaintext: true
  - protocol: p
    address: 0.0.0.0:6000
    tls: {cert_file: c.pem, key_file: k.pem}
    proxy_protocol: {trusted: [10.0.0.0/8]}
server_names: [gate.example]
limits: {max_sessions: 5, max_message: 1MiB, idle_timeout: 10m}
audit: {mode: strict}
vault: {key: {env: VAULT_KEY}}
`
	want := Default(env(), 1000, nil)
	want.State, want.ServerNames = "/data", []string{"gate.example"}
	want.Listeners = []Listener{
		{Protocol: "q", Address: "[::1]:0", Plaintext: true},
		{
			Protocol: "p", Address: "0.0.0.0:6000", TLS: ListenerTLS{CertFile: "c.pem", KeyFile: "k.pem"},
			Proxy: &Proxy{Trusted: []string{"10.0.0.0/8"}},
		},
	}
	want.Limits.MaxSessions, want.Limits.MaxMessage, want.Limits.IdleTimeout = 5, MiB, access.Duration(10*time.Minute)
	want.Audit.Mode, want.Vault.Key.Env = AuditStrict, "VAULT_KEY"
	got, err := load(t, text, env())
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Fatalf("%v\n%s", err, d)
	}
	if s, err := load(t, text, env("GATEHOUSE_STATE", "/elsewhere")); err != nil || s.State != "/elsewhere" {
		t.Errorf("%s, %v", s.State, err)
	}
	if s, err := load(t, `{"audit": {"mode": "strict"}}`, env()); err != nil || s.Audit.Mode != AuditStrict {
		t.Errorf("%+v, %v", s.Audit, err)
	}
}

// TestServerProblems: each file is wrong in one place, which is shown.
func TestServerProblems(t *testing.T) {
	const listener = "listeners:\n  - protocol: p\n    address: "
	for text, want := range map[string]string{
		"listners: []\n":                                             `:1:1: unknown key "listners" in the document: did you mean "listeners"?`,
		"limits: {max_sesions: 5}\n":                                 `:1:10: unknown key "max_sesions" in limits: did you mean "max_sessions"?`,
		"limits: {max_sessions: 0}\n":                                ":1:24: limits.max_sessions must be at least 1",
		"limits: {max_message: 16777216}\n":                          ":1:23: limits.max_message must be text, and is a whole number",
		"limits: {max_message: 16MB}\n":                              `:1:23: "16MB" does not fit limits.max_message: largest message of a client`,
		"limits: {max_message: 1B}\n":                                ":1:23: limits.max_message must be from 64KiB to 1GiB",
		"limits: {max_message: 999999999GiB}\n":                      "limits.max_message must be from 64KiB to 1GiB",
		"limits:\n  login_timeout: 0s\n":                             ":2:18: limits.login_timeout must be from 1s to 5m0s",
		"limits:\n  idle_timeout: -1s\n":                             `"-1s" does not fit limits.idle_timeout`,
		"drain_timeout: 2h\n":                                        ":1:16: drain_timeout must be from 0s to 1h0m0s",
		"audit: {mode: slow}\n":                                      `:1:15: "slow" is not a value of audit.mode`,
		"audit: {window: 1m}\n":                                      ":1:17: audit.window must be from 1ms to 10s",
		"log_level: verbose\n":                                       `"verbose" is not a value of log_level`,
		"approvals: {expires: 25h}\n":                                "approvals.expires must be from 1s to 24h0m0s",
		"leases: {policy: 2h}\n":                                     "leases.policy must be from 1s to 1h0m0s",
		"vault: {key: {env: A, file: b}}\n":                          ":1:14: vault.key takes only one of file, env and passphrase_env",
		"vault: {key: {env: A B}}\n":                                 `"A B" does not fit vault.key.env`,
		"api: {address: nowhere}\n":                                  ":1:16: api.address is not an address",
		"api: {address: \"127.0.0.1:99999\"}\n":                      "api.address does not end in a port",
		"api: {tls: {cert_file: a}}\n":                               ":1:12: api.tls needs both cert_file and key_file",
		"server_names: [a b]\n":                                      `"a b" does not fit server_names[0]`,
		listener + "127.0.0.1\n":                                     ":3:14: listeners[0].address is not an address",
		listener + "10.0.0.1:1\n    plaintext: true\n":               ":4:16: listeners[0].plaintext is only allowed on a loopback address",
		listener + "\":1\"\n    plaintext: true\n":                   ":4:16: listeners[0].plaintext is only allowed on a loopback address",
		listener + "localhost.evil.example:1\n    plaintext: true\n": "plaintext is only allowed",
		listener + "a:1\n    tls: {key_file: k}\n":                   ":4:10: listeners[0].tls needs both",
		listener + "a:1\n    proxy_protocol: {trusted: [all]}\n":     ":4:32: listeners[0].proxy_protocol.trusted[0] is not a network",
		listener + "a:1\n    proxy_protocol: {trusted: []}\n":        "trusted must not be empty",
		listener + "a:1\n    proxy_protocol: {}\n":                   `the key "trusted" is missing`,
		listener + "a:1\n  - protocol: q\n    address: a:1\n":        ":5:14: listeners[1].address is that of listeners[0] too",
		"listeners: [{address: \"a:1\"}]\n":                          `the key "protocol" is missing in listeners[0]: a protocol's name`,
		"state: a\n---\nstate: b\n":                                  ":3:1: a configuration file holds one document",
		"- state\n":                                                  ":1:1: the document must be an object, and is a list",
		"state: &a b\n":                                              "anchors, aliases and merge keys are not allowed",
		"state: ''\n":                                                "state must not be empty",
	} {
		_, err := load(t, text, env())
		if say, _ := fault.Say(err); fault.KindOf(err) != fault.Malformed || !strings.Contains(say, want) {
			t.Errorf("%q gives\n%v\nwant %s", text, err, want)
		}
	}
	if _, err := LoadServer(filepath.Join(t.TempDir(), "none"), env(), 1000, nil); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestCheck(t *testing.T) {
	s := Default(env(), 1000, []Listener{{Protocol: "p", Address: "0.0.0.0:1", Plaintext: true}})
	if err := s.Check(); fault.KindOf(err) != fault.Malformed || !strings.Contains(err.Error(), "listeners[0].plaintext") {
		t.Errorf("got %v", err)
	}
	s.API.Address = "x"
	if err := s.Check(); err == nil || !strings.Contains(err.Error(), "api.address") || !strings.Contains(err.Error(), "listeners[0]") {
		t.Errorf("got %v", err)
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"0B": 0, "1B": 1, "64KiB": 65536, "16MiB": 16 << 20, "3GiB": 3 << 30, "1025B": 1025} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want || s.String() != text {
			t.Errorf("%s is %d, written %s: %v", text, s, s, err)
		}
	}
	for _, text := range []string{"", "1", "KiB", "-1KiB", "1.5MiB", "1kb", "1MB", "1 MiB", "1MiBi", "99999999999GiB", "1BB", "1KiBMiB"} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %d", text, s)
		}
	}
}
