package store

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"gatehouse/internal/fault"
)

// Backup writes a consistent copy of the whole store to a new file (mode 0600) while the store stays in use. Secrets in
// it are sealed as they are in the store: without the vault's key they cannot be read.
func (s *Store) Backup(ctx context.Context, dst string) (err error) {
	const op = "store.Backup"
	// VACUUM INTO fills an empty file; made by SQLite it would be open to the group and others.
	f, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fault.Wrap(fault.Unavailable, op, err, "cannot create %s: choose a path that does not exist in a directory that can be written", dst)
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			_ = os.Remove(dst)
		}
	}()
	if _, err := s.read.ExecContext(ctx, "VACUUM INTO $1", dst); err != nil {
		return fault.Wrap(fault.Unavailable, op, err, "cannot write %s: check the disk's free space", dst)
	}
	if err := f.Sync(); err != nil {
		return fault.Wrap(fault.Unavailable, op, err, "cannot write %s: check the disk", dst)
	}
	return nil
}

// Restore puts the backup src in the place dst, which must not exist, after checking it and bringing its schema up to
// date. The gateway must not be running on dst.
func Restore(ctx context.Context, src, dst string, clock func() time.Time) error {
	const op = "store.Restore"
	for _, leftover := range []string{dst, dst + "-wal", dst + "-shm"} {
		if _, err := os.Lstat(leftover); !errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.Conflict, op, "%s exists: stop the gateway and move it away first", leftover)
		}
	}
	dir, err := os.MkdirTemp(filepath.Dir(dst), ".restore-")
	if err != nil {
		return fault.Wrap(fault.Unavailable, op, err, "cannot write in the directory of %s", dst)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what is left over is a copy
	tmp := filepath.Join(dir, filepath.Base(dst))
	if err := copyFile(src, tmp); err != nil {
		return fault.Wrap(fault.Unavailable, op, err, "cannot copy %s: check that it can be read, and the disk's free space", src)
	}
	s, err := Open(ctx, tmp, clock)
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil { // the last connection to close folds the journal into the file
		return err
	}
	// A link refuses where a gateway has started on dst meanwhile; a rename would not.
	if err := os.Link(tmp, dst); err != nil {
		return fault.Wrap(fault.Unavailable, op, err, "cannot put the store at %s", dst)
	}
	return nil
}

func copyFile(src, dst string) (err error) {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read from
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
