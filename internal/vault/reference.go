package vault

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// ownPrefix begins the names of the gateway's own environment variables. They hold its keys and tokens, which a
// connection document must not be able to send to a backend of its author's choice.
const ownPrefix = "GATEHOUSE_"

func (src Sources) fromEnv(name string) (access.Secret, error) {
	const op = "vault.Lease"
	if strings.HasPrefix(name, ownPrefix) {
		return access.Secret{}, fault.New(fault.Unavailable, op, "the environment variable %s is the gateway's own: use one that does not begin with %s", name, ownPrefix)
	}
	v, ok := src.Env(name)
	switch {
	case !ok || v == "":
		return access.Secret{}, fault.New(fault.Unavailable, op, "the environment variable %s of the credential is not set: set it in the gateway's environment and start it again", name)
	case len(v) > MaxSecret:
		return access.Secret{}, fault.New(fault.Unavailable, op, "the environment variable %s is larger than %d bytes", name, MaxSecret)
	}
	return access.NewSecret([]byte(v)), nil
}

// fromFile reads a credential from a file that not everybody can read; one line feed at its end is not part of it.
// Links are followed: that is how orchestrators mount secrets.
func (src Sources) fromFile(path string) (access.Secret, error) {
	const op = "vault.Lease"
	if err := src.outside(path); err != nil {
		return access.Secret{}, err
	}
	// O_NONBLOCK: a FIFO must not hold up a login.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return access.Secret{}, unreadable(path, err)
	}
	defer f.Close() //nolint:errcheck // only read from
	info, err := f.Stat()
	if err != nil {
		return access.Secret{}, unreadable(path, err)
	}
	switch {
	case !info.Mode().IsRegular():
		return access.Secret{}, fault.New(fault.Unavailable, op, "the credential's file %s is not a regular file", path)
	case info.Mode().Perm()&0o007 != 0:
		return access.Secret{}, fault.New(fault.Unavailable, op, "everybody can read the credential's file %s (mode %#o): run chmod o-rwx %s, and change the password", path, info.Mode().Perm(), path)
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxSecret+2))
	if err != nil {
		return access.Secret{}, unreadable(path, err)
	}
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
	}
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	if len(b) == 0 || len(b) > MaxSecret {
		return access.Secret{}, fault.New(fault.Unavailable, op, "the credential's file %s must hold 1 to %d bytes", path, MaxSecret)
	}
	return access.NewSecret(b), nil
}

// outside refuses the gateway's own files, under whatever name they are reached.
func (src Sources) outside(path string) error {
	if src.Private == "" {
		return nil
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return unreadable(path, err)
	}
	own, err := filepath.EvalSymlinks(src.Private)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return unreadable(src.Private, err)
	}
	real, err1 := filepath.Abs(real)
	own, err2 := filepath.Abs(own)
	rel, err3 := filepath.Rel(own, real)
	if err1 != nil || err2 != nil || err3 != nil || filepath.IsLocal(rel) {
		return fault.New(fault.Unavailable, "vault.Lease", "the credential's file %s lies in the gateway's state directory: keep it elsewhere", path)
	}
	return nil
}

func unreadable(path string, err error) error {
	return fault.Wrap(fault.Unavailable, "vault.Lease", err, "the credential's file %s cannot be read: check the path and that the gateway's user may read it", path)
}
