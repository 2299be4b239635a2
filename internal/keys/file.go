package keys

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"gatehouse/internal/fault"
)

// maxFile bounds what is read from a key file, in bytes; the largest is a certificate chain.
const maxFile = 64 << 10

// readPrivate reads a file that only this user may read. The error wraps fs.ErrNotExist where there is no file.
func readPrivate(path string) ([]byte, error) {
	const op = "keys.readPrivate"
	// O_NOFOLLOW: a link could point anywhere by the next start. O_NONBLOCK: a FIFO must not hold up the start.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fault.New(fault.Unavailable, op, "%s is a symbolic link: put the key file itself there", path)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, op, err, "cannot open %s: check that it exists and that this user may read it", path)
	}
	defer f.Close() //nolint:errcheck // only read from
	info, err := f.Stat()
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, op, err, "cannot examine %s", path)
	}
	if err := private(path, info); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, op, err, "cannot read %s", path)
	}
	if len(b) > maxFile {
		return nil, fault.New(fault.Unavailable, op, "%s is larger than any key file: restore the right file", path)
	}
	return b, nil
}

// private refuses what is not a regular file of this user (or of root) that nobody else may read or change.
func private(path string, info fs.FileInfo) error {
	const op = "keys.private"
	if !info.Mode().IsRegular() {
		return fault.New(fault.Unavailable, op, "%s is not a regular file: put the key file itself there", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fault.New(fault.Unavailable, op, "%s can be read by other users (mode %#o): run chmod 600 %s; if others may have read it, replace the key",
			path, info.Mode().Perm(), path)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fault.New(fault.Unavailable, op, "%s belongs to another user (id %d): run chown for the gateway's user", path, st.Uid)
	}
	return nil
}

// privateDir makes the directory with mode 0700 where it is missing, and refuses one in which others may put files.
func privateDir(dir string) error {
	const op = "keys.privateDir"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Wrap(fault.Unavailable, op, err, "cannot make the directory %s: check the path and its owner", dir)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fault.Wrap(fault.Unavailable, op, err, "cannot examine the directory %s", dir)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fault.New(fault.Unavailable, op, "other users may replace files in %s (mode %#o): run chmod 700 %s", dir, info.Mode().Perm(), dir)
	}
	return nil
}

// createPrivate writes a new file with mode 0600, whole or not at all. The error wraps fs.ErrExist where path exists.
func createPrivate(path string, b []byte) error {
	if err := privateDir(filepath.Dir(path)); err != nil {
		return err
	}
	tmp, err := writeTemp(path, b)
	if err != nil {
		return err
	}
	defer os.Remove(tmp) //nolint:errcheck // the link keeps the file; what is left over otherwise holds nothing in use
	if err := os.Link(tmp, path); err != nil {
		return fault.Wrap(fault.Unavailable, "keys.createPrivate", err, "cannot create %s", path)
	}
	return syncDir(filepath.Dir(path))
}

// replacePrivate puts a file in the place of another, whole or not at all.
func replacePrivate(path string, b []byte) error {
	if err := privateDir(filepath.Dir(path)); err != nil {
		return err
	}
	tmp, err := writeTemp(path, b)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		_ = os.Remove(tmp)
		return fault.Wrap(fault.Unavailable, "keys.replacePrivate", err, "cannot replace %s", path)
	}
	return syncDir(filepath.Dir(path))
}

// writeTemp writes and syncs a file of mode 0600 beside path, and returns its name.
func writeTemp(path string, b []byte) (name string, err error) {
	const op = "keys.writeTemp"
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // O_EXCL, mode 0600
	if err != nil {
		return "", fault.Wrap(fault.Unavailable, op, err, "cannot write in %s: check its owner and free space", filepath.Dir(path))
	}
	_, werr := f.Write(b)
	if err := errors.Join(werr, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", fault.Wrap(fault.Unavailable, op, err, "cannot write %s: check free space", path)
	}
	return f.Name(), nil
}

func syncDir(dir string) error {
	const op = "keys.syncDir"
	d, err := os.Open(dir)
	if err != nil {
		return fault.Wrap(fault.Unavailable, op, err, "cannot open the directory %s", dir)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fault.Wrap(fault.Unavailable, op, err, "cannot sync the directory %s", dir)
	}
	return nil
}

// loadOrCreate reads path, or fills it with what make returns where it does not exist. Of two processes that create it
// at once, both read what the first one linked.
func loadOrCreate(path string, make func() ([]byte, error)) ([]byte, error) {
	b, err := readPrivate(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	fresh, err := make()
	if err != nil {
		return nil, err
	}
	if err := createPrivate(path, fresh); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readPrivate(path)
}
