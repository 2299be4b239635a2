package main

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/audit/verify"
	"gatehouse/internal/cli"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/store"
)

// verifyLog checks a log offline, with the public key alone.
func verifyLog(_ context.Context, o cli.VerifyOptions) (cli.VerifyReport, error) {
	key, err := os.ReadFile(o.Key)
	if err != nil {
		return cli.VerifyReport{}, fault.Wrap(fault.NotFound, "main.verifyLog", err, "the public key %s cannot be read: the gateway writes it to keys/audit.pub", o.Key)
	}
	opts := verify.Options{Now: time.Now()}
	if o.Since != "" {
		if opts.Since, err = os.ReadFile(o.Since); err != nil {
			return cli.VerifyReport{}, fault.Wrap(fault.NotFound, "main.verifyLog", err, "the checkpoint %s cannot be read", o.Since)
		}
	}
	r, err := verify.Dir(o.Dir, strings.Fields(string(key)), opts)
	if err != nil {
		return cli.VerifyReport{}, err
	}
	return cli.VerifyReport{OK: r.OK, Text: r.String(), Data: r}, nil
}

// What a backup holds.
const (
	backupCheckpoint = "checkpoint"
	maxCheckpoint    = 64 << 10
	maxBackup        = 16 << 30 // of the store
)

// backupParts is the most bytes that each part may have.
var backupParts = map[string]int64{backupCheckpoint: maxCheckpoint, dbFile: maxBackup}

// backup writes a consistent copy of the store and the newest checkpoint. Credentials are sealed in it; the keys that open
// them are not part of it.
func (g *gateway) backup(ctx context.Context, dir string, w io.Writer) error {
	copied := filepath.Join(dir, dbFile)
	if err := g.state.store.Backup(ctx, copied); err != nil {
		return err
	}
	c, err := g.state.log.Checkpoint(ctx)
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	if err := addFile(t, backupCheckpoint, []byte(c.Note)); err != nil {
		return err
	}
	f, err := os.Open(copied)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() > maxBackup {
		return fault.New(fault.Conflict, "main.backup", "the store has %d bytes, more than the %d that restore takes: copy the state directory of a stopped gateway instead", info.Size(), int64(maxBackup))
	}
	if err := t.WriteHeader(&tar.Header{Name: dbFile, Mode: 0o600, Size: info.Size(), ModTime: info.ModTime()}); err != nil {
		return err
	}
	if _, err := io.Copy(t, f); err != nil {
		return err
	}
	return t.Close()
}

func addFile(t *tar.Writer, name string, b []byte) error {
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(b))}); err != nil {
		return err
	}
	_, err := t.Write(b)
	return err
}

// restore puts a backup in place of the store of a stopped gateway. The old store is moved aside, and the audit log goes on
// in a new epoch that names the last checkpoint. Nothing changes before the backup is proven to be a good store.
func restore(ctx context.Context, o cli.RestoreOptions) error {
	if err := os.MkdirAll(o.State, 0o700); err != nil {
		return fault.Wrap(fault.Unavailable, "main.restore", err, "the state directory %s cannot be made", o.State)
	}
	tmp, err := os.MkdirTemp(o.State, ".restore-")
	if err != nil {
		return fault.Wrap(fault.Unavailable, "main.restore", err, "the state directory %s cannot be written", o.State)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	checkpoint, err := unpack(o.File, tmp)
	if err != nil {
		return err
	}
	proven := filepath.Join(tmp, "proven.db")
	if err := store.Restore(ctx, filepath.Join(tmp, dbFile), proven, time.Now); err != nil {
		return err
	}
	// Before anything else changes: it takes the log's lock, which a running gateway holds.
	err = beginEpoch(filepath.Join(o.State, auditDir))
	if fault.KindOf(err) == fault.NotFound { // another machine: its log begins by naming the one that it continues
		err = os.WriteFile(filepath.Join(o.State, restoredMarker), checkpoint, 0o600)
	}
	if err != nil {
		return err
	}
	at := filepath.Join(o.State, dbFile)
	if err := moveAside(at); err != nil {
		return err
	}
	// A link refuses where a gateway has started here meanwhile; a rename would not.
	return fault.Wrap(fault.Unavailable, "main.restore", os.Link(proven, at), "the store cannot be put at %s", at)
}

func beginEpoch(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.NotFound, "main.beginEpoch", "there is no audit log in %s", dir)
	}
	return audit.BeginEpoch(dir, nil)
}

func moveAside(path string) error {
	to := path + ".before-" + strconv.FormatInt(time.Now().UnixNano(), 10)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(path+suffix, to+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// unpack reads the two files of a backup, and nothing else that may be in it.
func unpack(file, dir string) (checkpoint []byte, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, "main.unpack", err, "the backup %s cannot be read", file)
	}
	defer func() { _ = f.Close() }()
	found := false
	for t := tar.NewReader(f); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fault.Wrap(fault.Malformed, "main.unpack", err, "%s is not a backup of Gatehouse", file)
		}
		most, known := backupParts[h.Name]
		switch {
		case !known:
			continue
		case h.Size > most:
			return nil, fault.New(fault.Malformed, "main.unpack", "%s in %s is larger than %d bytes: no gateway wrote it", h.Name, file, most)
		case h.Name == backupCheckpoint:
			checkpoint, err = io.ReadAll(t)
		default:
			found = h.Size > 0 // an empty file would pass for a store without documents
			err = unpackDB(t, filepath.Join(dir, dbFile))
		}
		if err != nil {
			return nil, fault.Wrap(fault.Malformed, "main.unpack", err, "the backup %s cannot be unpacked: it is cut off, or the disk is full", file)
		}
	}
	if !found {
		return nil, fault.New(fault.Malformed, "main.unpack", "%s is not a backup of Gatehouse: it holds no store", file)
	}
	return checkpoint, nil
}

func unpackDB(r io.Reader, to string) error {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, r)
	return errors.Join(err, out.Sync(), out.Close())
}

// Rotate implements api.Operations.
func (o apiOperations) Rotate(ctx context.Context, key string, by *access.Principal) (string, error) {
	s := o.g.state
	switch key {
	case "vault":
		return o.rotateVault(ctx, by)
	case "mask":
		if _, err := keys.Rotate(s.path(keysDir, maskKey), keyBytes, rand.Reader); err != nil {
			return "", err
		}
		return "Hashed values change when the gateway is restarted.", o.recordRotation(key, by)
	case "signing":
		_, fresh, err := keys.RotateSigning(s.path(keysDir, signingKey), rand.Reader)
		if err != nil {
			return "", err
		}
		if err := s.log.Rotate(ctx, fresh.Signer, fresh.Verifier); err != nil {
			return "", err
		}
		return "The new public key is in " + keys.PublicPath(s.path(keysDir, signingKey)) + "; verifiers that hold the first one follow by themselves.", nil
	}
	return "", fault.New(fault.Malformed, "main.Rotate", "%q is no key: choose vault, mask or signing", key)
}

func (o apiOperations) rotateVault(ctx context.Context, by *access.Principal) (string, error) {
	k := o.g.config.Vault.Key
	if k.Env != "" || k.PassphraseEnv != "" {
		return "", fault.New(fault.Conflict, "main.rotateVault", "the vault's key comes from the environment: only a key file can be rotated here")
	}
	path := k.File
	if path == "" {
		path = o.g.state.path(keysDir, vaultKey)
	}
	fresh, err := keys.Rotate(path, keyBytes, rand.Reader)
	if err != nil {
		return "", err
	}
	if err := o.g.state.vault.Rotate(ctx, fresh); err != nil {
		return "", err
	}
	return "Every secret is sealed under the new key; the old one is kept beside it for older backups.", o.recordRotation("vault", by)
}

func (o apiOperations) recordRotation(key string, by *access.Principal) error {
	seq, err := o.g.state.log.Append(&access.Event{Kind: access.EventKeyRotated, Principal: by.ID(), Detail: map[string]string{"key": key}})
	if err != nil {
		return err
	}
	return o.g.state.log.Barrier(seq)
}
