package keys

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"io"

	"golang.org/x/crypto/argon2"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

const (
	minPassphrase = 12      // characters: shorter ones are found by trying
	saltSize      = 16      // RFC 9106 §3.1
	maxMemoryKiB  = 1 << 20 // 1 GiB: a changed file must not exhaust the machine
	maxTime       = 64      //
	checkInfo     = "gatehouse passphrase check v1"
	keyInfo       = "gatehouse passphrase key v1"
)

// stretch is what the file beside a passphrase holds: how to get from it to the key, and how to notice a wrong one.
type stretch struct {
	KDF     string `json:"kdf"`
	Salt    []byte `json:"salt"`
	Time    uint32 `json:"time"`
	Memory  uint32 `json:"memory_kib"`
	Threads uint8  `json:"threads"`
	Check   []byte `json:"check"` // derived from the passphrase apart from the key
}

// FromPassphrase derives a key of size bytes from a passphrase by Argon2id (RFC 9106 §4, second recommended option: 64
// MiB, 3 passes, 4 lanes). The salt, the costs and a check value are kept in the file path, which is made where it does
// not exist. A wrong passphrase is fault.Unavailable.
func FromPassphrase(passphrase access.Secret, path string, size int, random io.Reader) (access.Secret, error) {
	const op = "keys.FromPassphrase"
	if len([]rune(string(passphrase.Reveal()))) < minPassphrase {
		return access.Secret{}, fault.New(fault.Unavailable, op, "the passphrase is shorter than %d characters: use a longer one", minPassphrase)
	}
	b, err := loadOrCreate(path, func() ([]byte, error) { return newStretch(passphrase, random) })
	if err != nil {
		return access.Secret{}, err
	}
	s, err := parseStretch(path, b)
	if err != nil {
		return access.Secret{}, err
	}
	master := s.derive(passphrase)
	defer clear(master)
	check, key, err := split(master, size)
	if err != nil {
		return access.Secret{}, fault.Wrap(fault.Internal, op, err, "cannot derive the key")
	}
	if subtle.ConstantTimeCompare(check, s.Check) != 1 {
		return access.Secret{}, fault.New(fault.Unavailable, op, "the passphrase does not fit %s: give the one that was used when that file was made", path)
	}
	return access.NewSecret(key), nil
}

func newStretch(passphrase access.Secret, random io.Reader) ([]byte, error) {
	s := stretch{KDF: "argon2id", Salt: make([]byte, saltSize), Time: 3, Memory: 64 << 10, Threads: 4}
	if _, err := io.ReadFull(random, s.Salt); err != nil {
		return nil, fault.Wrap(fault.Unavailable, "keys.newStretch", err, "cannot read random bytes for a salt")
	}
	master := s.derive(passphrase)
	defer clear(master)
	check, _, err := split(master, 32)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "keys.newStretch", err, "cannot derive the check value")
	}
	s.Check = check
	return json.Marshal(s)
}

func parseStretch(path string, b []byte) (stretch, error) {
	var s stretch
	bad := json.Unmarshal(b, &s) != nil || s.KDF != "argon2id" || len(s.Salt) < saltSize || len(s.Check) != sha256.Size ||
		s.Time < 1 || s.Time > maxTime || s.Memory < 8<<10 || s.Memory > maxMemoryKiB || s.Threads < 1
	if bad {
		return stretch{}, fault.New(fault.Unavailable, "keys.parseStretch", "%s is not a passphrase file of this gateway: restore it from a backup", path)
	}
	return s, nil
}

func (s stretch) derive(passphrase access.Secret) []byte {
	return argon2.IDKey(passphrase.Reveal(), s.Salt, s.Time, s.Memory, s.Threads, 32)
}

// split derives the check value and the key, neither of which tells anything of the other.
func split(master []byte, size int) (check, key []byte, err error) {
	if check, err = hkdf.Expand(sha256.New, master, checkInfo, sha256.Size); err != nil {
		return nil, nil, err
	}
	key, err = hkdf.Expand(sha256.New, master, keyInfo, size)
	return check, key, err
}
