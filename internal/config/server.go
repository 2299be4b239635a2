package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
)

// Server is the gateway's own configuration. Every key has a default, so that no file is needed.
type Server struct {
	State        string          `json:"state,omitempty"`         // the directory for the store, keys and audit log; default $GATEHOUSE_STATE, else /var/lib/gatehouse for root and ~/.local/state/gatehouse for others
	Listeners    []Listener      `json:"listeners,omitempty"`     // where clients connect
	API          API             `json:"api,omitzero"`            // the control API
	ServerNames  []string        `json:"server_names,omitempty"`  // host names and IP addresses by which clients reach the gateway, for the certificate that it makes itself
	Limits       Limits          `json:"limits,omitzero"`         // bounds on what clients can use up
	Audit        Audit           `json:"audit,omitzero"`          // how the audit log is written
	Approvals    Approvals       `json:"approvals,omitzero"`      // bounds on what can wait for a reviewer
	Vault        Vault           `json:"vault,omitzero"`          // where backend credentials are sealed
	Leases       Leases          `json:"leases,omitzero"`         // how long snapshots are trusted
	ExpiryGrace  access.Duration `json:"expiry_grace,omitempty"`  // how long a session outlives its token, at most 5m; default 30s
	DrainTimeout access.Duration `json:"drain_timeout,omitempty"` // how long a stop waits for transactions to finish, at most 1h; default 30s
	LogLevel     string          `json:"log_level,omitempty"`     // what is logged: debug, info (default), warn or error
}

// Listener is one address where clients speak one protocol.
type Listener struct {
	Protocol  string      `json:"protocol"`                 // a protocol's name
	Address   string      `json:"address"`                  // host:port; port 0 picks a free one
	TLS       ListenerTLS `json:"tls,omitzero"`             // a certificate of one's own; by default the gateway makes one
	Plaintext bool        `json:"plaintext,omitempty"`      // serve without TLS as well; only on a loopback address
	Domain    string      `json:"domain,omitempty"`         // protocols of requests: a connection is reached as <connection>.<domain>, too
	Proxy     *Proxy      `json:"proxy_protocol,omitempty"` // expect the PROXY protocol from these networks
}

// ListenerTLS names a certificate chain and its key, both PEM. They are read again on SIGHUP.
type ListenerTLS struct {
	CertFile string `json:"cert_file,omitempty"` // certificate chain, PEM
	KeyFile  string `json:"key_file,omitempty"`  // its key, PEM
}

// Proxy says who may tell the gateway another client address.
type Proxy struct {
	Trusted []string `json:"trusted"` // networks of the load balancers, such as 10.0.0.0/8; others are refused
}

// API is where the control API listens, always with TLS.
type API struct {
	Address string      `json:"address,omitempty"` // host:port; default 127.0.0.1:8443
	TLS     ListenerTLS `json:"tls,omitzero"`      // a certificate of one's own
}

// Limits bounds what clients can use up.
type Limits struct {
	MaxSessions   int             `json:"max_sessions,omitempty"`   // client connections at once; default 1000
	LoginTimeout  access.Duration `json:"login_timeout,omitempty"`  // from accept to the end of login, at most 5m; default 15s
	IdleTimeout   access.Duration `json:"idle_timeout,omitempty"`   // how long a session may be silent; 0 (default) means until its token expires
	MaxMessage    Size            `json:"max_message,omitempty"`    // largest message of a client, 64KiB to 1GiB; default 16MiB
	MaxMaskedRow  Size            `json:"max_masked_row,omitempty"` // largest row in which something is masked, 64KiB to 1GiB; default 16MiB. Others are passed on as they come
	SessionMemory Size            `json:"session_memory,omitempty"` // memory that one session may hold, 1MiB to 4GiB; default 64MiB
	MaxHeld       int             `json:"max_held,omitempty"`       // statements waiting for a reviewer on one connection; default 100
}

// Audit says how the audit log is written.
type Audit struct {
	Mode   string          `json:"mode,omitempty"`   // fast (default): a power failure may lose the window; strict: nothing runs before its record is on disk
	Window access.Duration `json:"window,omitempty"` // fast: at most this much is not yet on disk, 1ms to 10s; default 100ms
}

// Approvals bounds what can wait for a reviewer.
type Approvals struct {
	Expires         access.Duration `json:"expires,omitempty"`           // how long a request waits where the policy does not say, at most 24h; default 15m
	MaxPending      int             `json:"max_pending,omitempty"`       // requests waiting at once; default 1000
	MaxPerPrincipal int             `json:"max_per_principal,omitempty"` // requests of one principal waiting at once; default 20
}

// Vault says where the key comes from that seals backend credentials.
type Vault struct {
	Key VaultKey `json:"key,omitzero"` // default: the file keys/vault.key in the state directory, made at the first start
}

// VaultKey is where the vault's key comes from: exactly one of its keys, or none.
type VaultKey struct {
	File          string `json:"file,omitempty"`           // a file with 32 bytes in base64, mode 0600
	Env           string `json:"env,omitempty"`            // an environment variable that holds 32 bytes in base64
	PassphraseEnv string `json:"passphrase_env,omitempty"` // an environment variable that holds a passphrase
}

// Leases is how long the gateway goes on with what it last read: past that it refuses.
type Leases struct {
	Policy access.Duration `json:"policy,omitempty"` // policies, 1s to 1h; default 10s
	Keys   access.Duration `json:"keys,omitempty"`   // issuers' keys, 1m to 24h; default 1h
}

// Size is a number of bytes, written as "64KiB", "16MiB" or "1GiB".
type Size int64

// The units of Size.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) {
	for _, u := range []struct {
		size Size
		name string
	}{{GiB, "GiB"}, {MiB, "MiB"}, {KiB, "KiB"}} {
		if s >= u.size && s%u.size == 0 {
			return []byte(strconv.FormatInt(int64(s/u.size), 10) + u.name), nil
		}
	}
	return []byte(strconv.FormatInt(int64(s), 10) + "B"), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(b []byte) error {
	text := string(b)
	digits := strings.TrimRight(text, "KMGiB")
	unit, known := map[string]Size{"B": 1, "KiB": KiB, "MiB": MiB, "GiB": GiB}[text[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 32)
	if !known || err != nil || n < 0 {
		return fmt.Errorf("%q is not a size such as 64KiB, 16MiB or 1GiB", b)
	}
	*s = Size(n) * unit
	return nil
}

// Default returns the configuration that is used where no file says otherwise. The caller passes the listeners, because
// only the list of protocols knows their names.
func Default(env func(string) string, uid int, listeners []Listener) Server {
	return Server{
		State:     defaultState(env, uid),
		Listeners: listeners,
		API:       API{Address: "127.0.0.1:8443"},
		Limits: Limits{
			MaxSessions: 1000, LoginTimeout: access.Duration(15 * time.Second),
			MaxMessage: 16 * MiB, MaxMaskedRow: 16 * MiB, SessionMemory: 64 * MiB, MaxHeld: 100,
		},
		Audit:        Audit{Mode: AuditFast, Window: access.Duration(100 * time.Millisecond)},
		Approvals:    Approvals{Expires: access.Duration(15 * time.Minute), MaxPending: 1000, MaxPerPrincipal: 20},
		Leases:       Leases{Policy: access.Duration(10 * time.Second), Keys: access.Duration(time.Hour)},
		ExpiryGrace:  access.Duration(30 * time.Second),
		DrainTimeout: access.Duration(30 * time.Second),
		LogLevel:     "info",
	}
}

// The modes of Audit.
const (
	AuditFast   = "fast"
	AuditStrict = "strict"
)

// stateEnv names the state directory.
const stateEnv = "GATEHOUSE_STATE"

func defaultState(env func(string) string, uid int) string {
	home := env("HOME")
	switch {
	case env(stateEnv) != "":
		return env(stateEnv)
	case env("XDG_STATE_HOME") != "" && uid != 0:
		return env("XDG_STATE_HOME") + "/gatehouse"
	case uid == 0 || home == "":
		return "/var/lib/gatehouse"
	}
	return home + "/.local/state/gatehouse"
}
