package keys

import (
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// maxVersions bounds how many replaced keys are kept readable.
const maxVersions = 1000

// LoadOrCreate returns the key of size bytes that is kept in the file path, base64 on one line, and makes it from
// random where the file does not exist. Errors are fault.Unavailable and say what to do.
func LoadOrCreate(path string, size int, random io.Reader) (access.Secret, error) {
	b, err := loadOrCreate(path, func() ([]byte, error) { return newKeyText(size, random) })
	if err != nil {
		return access.Secret{}, err
	}
	return parseKey(path, b, size)
}

// Load returns the key in the file path, like LoadOrCreate, but never makes one.
func Load(path string, size int) (access.Secret, error) {
	b, err := readPrivate(path)
	if err != nil {
		return access.Secret{}, err
	}
	return parseKey(path, b, size)
}

// FromEnv returns the key of size bytes that the environment variable name holds in base64.
func FromEnv(env func(string) (string, bool), name string, size int) (access.Secret, error) {
	v, ok := env(name)
	if !ok || v == "" {
		return access.Secret{}, fault.New(fault.Unavailable, "keys.FromEnv",
			"the environment variable %s is not set: set it to %d random bytes in base64 (head -c %d /dev/urandom | base64 -w0)", name, size, size)
	}
	return parseKey("the environment variable "+name, []byte(v), size)
}

// Rotate replaces the key in path with a new one and keeps the old one beside it, as path.N with the next free N.
// A crash at any point leaves the old or the new key in path, and the old one readable.
func Rotate(path string, size int, random io.Reader) (access.Secret, error) {
	if _, err := Load(path, size); err != nil {
		return access.Secret{}, err
	}
	text, err := newKeyText(size, random)
	if err != nil {
		return access.Secret{}, err
	}
	if err := rotate(path, text); err != nil {
		return access.Secret{}, err
	}
	return Load(path, size)
}

// Versions returns the key in path followed by those it replaced, newest first.
func Versions(path string, size int) ([]access.Secret, error) {
	current, err := Load(path, size)
	if err != nil {
		return nil, err
	}
	all := []access.Secret{current}
	numbers, err := oldNumbers(path)
	if err != nil {
		return nil, err
	}
	for _, n := range numbers {
		old, err := Load(path+"."+strconv.Itoa(n), size)
		if err != nil {
			return nil, err
		}
		if !old.Equal(current) { // a rotation that was cut short leaves the current key under both names
			all = append(all, old)
		}
	}
	return all, nil
}

// rotate keeps path under the next number, then puts text in its place.
func rotate(path string, text []byte) error {
	numbers, err := oldNumbers(path)
	if err != nil {
		return err
	}
	next := 1
	if len(numbers) > 0 {
		next = numbers[0] + 1
	}
	if next > maxVersions {
		return fault.New(fault.Unavailable, "keys.rotate", "%s has been rotated %d times: move the oldest of %s.* away once nothing uses them",
			path, maxVersions, filepath.Base(path))
	}
	if err := os.Link(path, path+"."+strconv.Itoa(next)); err != nil {
		return fault.Wrap(fault.Unavailable, "keys.rotate", err, "cannot keep the old key beside %s", path)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	return replacePrivate(path, text)
}

// oldNumbers returns the numbers N of the files path.N, largest first.
func oldNumbers(path string) ([]int, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Wrap(fault.Unavailable, "keys.oldNumbers", err, "cannot list the directory of %s", path)
	}
	var numbers []int
	for _, e := range entries {
		suffix, ok := strings.CutPrefix(e.Name(), filepath.Base(path)+".")
		n, err := strconv.Atoi(suffix)
		if ok && err == nil && n > 0 && strconv.Itoa(n) == suffix {
			numbers = append(numbers, n)
		}
	}
	sort.Sort(sort.Reverse(sort.IntSlice(numbers)))
	return numbers, nil
}

func newKeyText(size int, random io.Reader) ([]byte, error) {
	raw := make([]byte, size)
	if _, err := io.ReadFull(random, raw); err != nil {
		return nil, fault.Wrap(fault.Unavailable, "keys.newKeyText", err, "cannot read random bytes for a new key")
	}
	defer clear(raw)
	return append(base64.StdEncoding.AppendEncode(nil, raw), '\n'), nil
}

// parseKey reads one line of base64; where names the place in errors. It wipes b.
func parseKey(where string, b []byte, size int) (access.Secret, error) {
	defer clear(b)
	text := strings.TrimRight(string(b), "\r\n")
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != size {
		// The cause is left out: it could quote what it could not read.
		return access.Secret{}, fault.New(fault.Unavailable, "keys.parseKey",
			"%s does not hold a key of %d bytes in base64: restore it from where the key was kept", where, size)
	}
	return access.NewSecret(raw), nil
}
