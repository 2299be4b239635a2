package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/cli"
	"gatehouse/internal/cli/client"
	"gatehouse/internal/config"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/mask"
	"gatehouse/internal/store"
	"gatehouse/internal/vault"
)

// Where things are in the state directory.
const (
	dbFile         = "state.db"
	auditDir       = "audit"
	keysDir        = "keys"
	tlsDir         = "tls"
	vaultKey       = "vault.key"
	maskKey        = "mask.key"
	signingKey     = "audit.key"
	devSecret      = "dev.secret"
	restoredMarker = "restored-from" // the last checkpoint of the log that a restore continues
)

const keyBytes = 32

// state is everything that the gateway keeps on disk, opened.
type state struct {
	dir    string
	store  *store.Store
	vault  *vault.Vault
	log    *audit.Log
	mask   *mask.Key
	admin  access.Secret
	node   string
	signer keys.Signing
}

func (s *state) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// loadConfig lays the command line over the configuration file.
func loadConfig(o cli.ServeOptions, defaults []config.Listener) (config.Server, error) {
	env := os.Getenv
	if o.State != "" {
		env = func(name string) string {
			if name == "GATEHOUSE_STATE" {
				return o.State
			}
			return os.Getenv(name)
		}
	}
	c, err := config.LoadServer(o.Config, env, os.Geteuid(), defaults)
	if err != nil {
		return c, err
	}
	if o.API != "" {
		c.API.Address = o.API
	}
	if len(o.Listen) > 0 {
		c.Listeners = nil
		for _, l := range o.Listen {
			c.Listeners = append(c.Listeners, config.Listener{Protocol: l.Protocol, Address: l.Address})
		}
	}
	return c, c.Check()
}

// openState opens or makes the state directory's contents. What fails leaves nothing open.
func openState(ctx context.Context, c config.Server, logger *slog.Logger) (*state, error) {
	s := &state{dir: c.State}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Unavailable, "main.openState", err, "the state directory %s cannot be made: choose another with --state", s.dir)
	}
	var err error
	if s.store, err = store.Open(ctx, s.path(dbFile), time.Now); err != nil {
		return nil, err
	}
	err = s.openKeys(ctx, c, logger)
	if err == nil {
		err = s.openLog(c, logger)
	}
	if err != nil {
		_ = s.store.Close()
		return nil, err
	}
	return s, nil
}

func (s *state) openKeys(ctx context.Context, c config.Server, logger *slog.Logger) error {
	ring, err := s.keyring(c.Vault.Key)
	if err != nil {
		return err
	}
	s.vault = vault.New(s.store.Secrets(), ring, vault.Sources{Env: os.LookupEnv, Private: s.dir}, rand.Reader)
	if err := s.vault.Check(ctx); err != nil { // it stops leases of what cannot be opened, and nothing else
		logger.Error("secrets of the vault cannot be opened: their connections refuse logins", "reason", err.Error())
	}
	m, err := keys.LoadOrCreate(s.path(keysDir, maskKey), keyBytes, rand.Reader)
	if err != nil {
		return err
	}
	s.mask = mask.NewKey([keyBytes]byte(m.Reveal()))
	if s.node, err = s.store.GatewayID(ctx, rand.Reader); err != nil {
		return err
	}
	if s.signer, err = keys.LoadOrCreateSigning(s.path(keysDir, signingKey), "gatehouse-"+s.node, rand.Reader); err != nil {
		return err
	}
	s.admin, err = keys.LoadOrCreateToken(s.path(client.AdminTokenFile), rand.Reader)
	return err
}

// keyring returns the vault's keys: the one in force, and those it replaced.
func (s *state) keyring(k config.VaultKey) (*vault.Keyring, error) {
	path := k.File
	switch {
	case k.Env != "":
		key, err := keys.FromEnv(os.LookupEnv, k.Env, keyBytes)
		if err != nil {
			return nil, err
		}
		return vault.NewKeyring(key)
	case k.PassphraseEnv != "":
		phrase, ok := os.LookupEnv(k.PassphraseEnv)
		if !ok || phrase == "" {
			return nil, fault.New(fault.Unavailable, "main.keyring", "the environment variable %s with the vault's passphrase is not set", k.PassphraseEnv)
		}
		key, err := keys.FromPassphrase(access.NewSecret([]byte(phrase)), s.path(keysDir, "vault.salt"), keyBytes, rand.Reader)
		if err != nil {
			return nil, err
		}
		return vault.NewKeyring(key)
	case path == "":
		path = s.path(keysDir, vaultKey)
	}
	if _, err := keys.LoadOrCreate(path, keyBytes, rand.Reader); err != nil {
		return nil, err
	}
	all, err := keys.Versions(path, keyBytes)
	if err != nil {
		return nil, err
	}
	return vault.NewKeyring(all[0], all[1:]...)
}

func (s *state) openLog(c config.Server, logger *slog.Logger) error {
	var err error
	s.log, err = audit.Open(audit.Options{Dir: s.path(auditDir), Mode: audit.Mode(c.Audit.Mode), Window: time.Duration(c.Audit.Window),
		Signer: s.signer.Signer, Node: s.node, Clock: time.Now, Rand: rand.Reader, Logger: logger})
	return err
}

// continues returns the last checkpoint of the log that this one goes on from, where a restore on another machine left it.
func (s *state) continues() (string, error) {
	checkpoint, err := os.ReadFile(s.path(restoredMarker))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(checkpoint), err
}

func (s *state) close(ctx context.Context) error {
	return errors.Join(s.log.Close(ctx), s.store.Close())
}

// enoughFiles raises the limit of open files to what the sessions need, and refuses to start where it cannot: each session
// holds two sockets, and as many clients as there may be sessions hold one while they log in.
func enoughFiles(sessions int) error {
	const own = 256
	need := uint64(3*sessions + own)
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return fault.Wrap(fault.Unavailable, "main.enoughFiles", err, "the limit of open files cannot be read")
	}
	if r.Cur >= need {
		return nil
	}
	if r.Max < need {
		return fault.New(fault.Unavailable, "main.enoughFiles",
			"the limit of open files is %d, and limits.max_sessions of %d needs %d: raise it (ulimit -n, LimitNOFILE=) or lower limits.max_sessions", r.Max, sessions, need)
	}
	r.Cur = need
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r)
}
