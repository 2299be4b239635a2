// Package vault keeps the credentials of backends and leases them to sessions. Secrets of its own are sealed by envelope
// encryption before they reach the store (see seal.go for the format); others it reads from the environment or a file
// when they are asked for.
//
// Nothing here prints a secret: values travel as access.Secret, and errors name the secret and what to do, never what is
// in it. TestNothingLeaks looks for canaries in every way of printing, in every error and in the database's bytes;
// TestTampering swaps, cuts and flips sealed bytes.
package vault

import (
	"context"
	"io"
	"regexp"
	"sync/atomic"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// MaxSecret bounds one secret, in bytes.
const MaxSecret = 64 << 10

// Secrets keeps sealed secrets; the store implements it.
type Secrets interface {
	// Get returns a sealed secret; fault.NotFound where there is none.
	Get(ctx context.Context, name string) ([]byte, error)
	// Put creates or replaces one.
	Put(ctx context.Context, name string, sealed []byte) error
	// Delete removes one; fault.NotFound where there is none.
	Delete(ctx context.Context, name string) error
	// Names returns the names of all, sorted.
	Names(ctx context.Context) ([]string, error)
}

// Rewriter replaces all sealed secrets at once; the store implements it.
type Rewriter interface {
	// Rewrite replaces each sealed secret with what f makes of it, all or none; no secret changes meanwhile.
	Rewrite(ctx context.Context, f func(name string, sealed []byte) ([]byte, error)) error
}

// Store is what a Vault needs of the store.
type Store interface {
	Secrets
	Rewriter
}

// Sources says where credentials by reference come from.
type Sources struct {
	Env     func(name string) (string, bool) // the gateway's environment, as os.LookupEnv
	Private string                           // the gateway's state directory: no credential is read from inside it
}

// Vault seals, keeps and leases secrets. It is safe for concurrent use.
type Vault struct {
	store   Store
	sources Sources
	random  io.Reader
	ring    atomic.Pointer[Keyring]
}

// New returns a vault over a store, under the keys of ring. Random gives the keys of new secrets.
func New(store Store, ring *Keyring, sources Sources, random io.Reader) *Vault {
	v := &Vault{store: store, sources: sources, random: random}
	v.ring.Store(ring)
	return v
}

// Put seals a secret and stores it under name, in the place of any earlier one. Names are 1 to 128 letters, digits and
// "._/-". Errors: fault.Malformed, fault.Unavailable.
func (v *Vault) Put(ctx context.Context, name string, s access.Secret) error {
	const op = "vault.Put"
	if err := checkName(op, name); err != nil {
		return err
	}
	switch n := len(s.Reveal()); {
	case n == 0:
		return fault.New(fault.Malformed, op, "the value of secret %q is empty: give it on standard input", name)
	case n > MaxSecret:
		return fault.New(fault.Malformed, op, "the value of secret %q is larger than %d bytes", name, MaxSecret)
	}
	sealed, err := v.ring.Load().seal(name, s, v.random)
	if err != nil {
		return err
	}
	return v.store.Put(ctx, name, sealed)
}

// List returns the names of the secrets, sorted. There is no way to list values.
func (v *Vault) List(ctx context.Context) ([]string, error) { return v.store.Names(ctx) }

// Delete removes a secret; fault.NotFound where there is none. Connections that name it can lease nothing from then on.
func (v *Vault) Delete(ctx context.Context, name string) error {
	if err := checkName("vault.Delete", name); err != nil {
		return err
	}
	return v.store.Delete(ctx, name)
}

// Lease returns the credential that c refers to: a secret of the vault, an environment variable or a file, read anew at
// each call so that a change takes effect at the next login. A credential that refers to nothing gives an empty secret.
// The caller wipes it when done. Errors are fault.Unavailable: the connection cannot be used until somebody acts.
func (v *Vault) Lease(ctx context.Context, c access.Credential) (access.Secret, error) {
	given := 0
	for _, ref := range []string{c.Secret, c.Env, c.File} {
		if ref != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return access.Secret{}, fault.New(fault.Unavailable, "vault.Lease", "the credential names more than one of secret, env and file: leave one in the connection")
	case c.Secret != "":
		return v.open(ctx, c.Secret)
	case c.Env != "":
		return v.sources.fromEnv(c.Env)
	case c.File != "":
		return v.sources.fromFile(c.File)
	}
	return access.Secret{}, nil
}

func (v *Vault) open(ctx context.Context, name string) (access.Secret, error) {
	if err := checkName("vault.Lease", name); err != nil {
		return access.Secret{}, err
	}
	sealed, err := v.store.Get(ctx, name)
	if fault.KindOf(err) == fault.NotFound {
		return access.Secret{}, fault.Wrap(fault.Unavailable, "vault.Lease", err, "the vault has no secret %q: set it with gatehouse secrets set %s", name, name)
	}
	if err != nil {
		return access.Secret{}, err
	}
	return v.ring.Load().open(name, sealed)
}

// Rotate seals every secret's key under a new master key, all or none, and uses it from then on. The key must be on
// disk already, and the replaced one must stay readable until Rotate has returned nil; then only backups need it.
func (v *Vault) Rotate(ctx context.Context, fresh access.Secret) error {
	old := v.ring.Load()
	ring, err := old.with(fresh)
	if err != nil {
		return err
	}
	// Secrets that are put from now on are sealed under the new key. Those that a slower Put seals under the old one after
	// the rewriting stay readable: the ring keeps the old key.
	v.ring.Store(ring)
	err = v.store.Rewrite(ctx, func(name string, sealed []byte) ([]byte, error) {
		return ring.rewrap(name, sealed)
	})
	if err != nil {
		return fault.Wrap(fault.KindOf(err), "vault.Rotate", err, "the secrets were not sealed under the new key; both keys stay in use: try again")
	}
	return nil
}

// Check opens every secret and returns an error (fault.Unavailable) that names the first that cannot be opened, so that
// a wrong key is noticed at the start and not at a login.
func (v *Vault) Check(ctx context.Context) error {
	names, err := v.store.Names(ctx)
	if err != nil {
		return err
	}
	for _, n := range names {
		s, err := v.open(ctx, n)
		if err != nil {
			return err
		}
		s.Wipe()
	}
	return nil
}

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$`)

func checkName(op, name string) error {
	if !validName.MatchString(name) {
		return fault.New(fault.Malformed, op, "%.130q is not a name for a secret: use 1 to 128 letters, digits and ._/- and begin with a letter or digit", name)
	}
	return nil
}
