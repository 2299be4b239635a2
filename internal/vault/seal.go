package vault

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// A sealed secret, format version 1, is
//
//	"GHV1"                      4 bytes: magic and version
//	key id                      8 bytes: which master key
//	nonce, wrapped key, tag    60 bytes: AES-256-GCM of the secret's own random key, under a key derived from the master key
//	nonce, secret, tag    28 + n bytes: AES-256-GCM of the secret, under its own key
//
// Both have the format version, their role and the secret's name as additional data, so that neither half can be moved
// to another name, another place or another version. The derived key and the key id are HKDF-SHA-256 (RFC 5869) of the
// master key with different infos. Nonces are random (NIST SP 800-38D §8.2.2): a key of a secret seals one message, a
// derived key far fewer than 2^32.
const (
	magic       = "GHV1"
	keySize     = 32
	idSize      = 8
	overhead    = 12 + 16 // nonce and tag of cipher.NewGCMWithRandomNonce
	wrappedSize = keySize + overhead
	headSize    = len(magic) + idSize + wrappedSize
	maxSealed   = headSize + overhead + MaxSecret

	infoWrap = "gatehouse vault v1 wrapping key"
	infoID   = "gatehouse vault v1 key id"
	roleKey  = "key"
	roleData = "data"
)

// Keyring holds the master keys that open secrets; the first one seals. It is immutable, and prints only key ids.
type Keyring struct{ keys []masterKey }

type masterKey struct {
	id   [idSize]byte
	wrap cipher.AEAD
}

// NewKeyring returns a keyring of 32-byte master keys: current seals and opens, the old ones only open.
func NewKeyring(current access.Secret, old ...access.Secret) (*Keyring, error) {
	r := &Keyring{}
	for _, s := range append([]access.Secret{current}, old...) {
		k, err := newMasterKey(s)
		if err != nil {
			return nil, err
		}
		if r.find(k.id[:]) == nil {
			r.keys = append(r.keys, k)
		}
	}
	return r, nil
}

// ID names the key that seals: 16 hexadecimal digits that tell nothing of the key.
func (r *Keyring) ID() string { return fmt.Sprintf("%x", r.keys[0].id) }

// String names the keys by their ids.
func (r *Keyring) String() string {
	var b bytes.Buffer
	for i, k := range r.keys {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%x", k.id)
	}
	return b.String()
}

// Format implements fmt.Formatter, so that no verb walks into the keys.
func (r *Keyring) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue implements slog.LogValuer.
func (r *Keyring) LogValue() slog.Value { return slog.StringValue(r.String()) }

// with returns a ring that seals under fresh and still opens what this one opens.
func (r *Keyring) with(fresh access.Secret) (*Keyring, error) {
	k, err := newMasterKey(fresh)
	if err != nil {
		return nil, err
	}
	next := &Keyring{keys: []masterKey{k}}
	for _, old := range r.keys {
		if old.id != k.id {
			next.keys = append(next.keys, old)
		}
	}
	return next, nil
}

func (r *Keyring) find(id []byte) *masterKey {
	for i := range r.keys {
		if bytes.Equal(r.keys[i].id[:], id) {
			return &r.keys[i]
		}
	}
	return nil
}

func newMasterKey(s access.Secret) (masterKey, error) {
	const op = "vault.newMasterKey"
	var k masterKey
	if len(s.Reveal()) != keySize {
		return k, fault.New(fault.Unavailable, op, "the vault's key is not %d bytes long: restore the right key", keySize)
	}
	wrap, err := hkdf.Expand(sha256.New, s.Reveal(), infoWrap, keySize)
	if err != nil {
		return k, fault.Wrap(fault.Internal, op, err, "the vault's key cannot be derived")
	}
	defer clear(wrap)
	id, err := hkdf.Expand(sha256.New, s.Reveal(), infoID, idSize)
	if err != nil {
		return k, fault.Wrap(fault.Internal, op, err, "the vault's key cannot be derived")
	}
	copy(k.id[:], id)
	k.wrap, err = newAEAD(wrap)
	return k, err
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "vault.newAEAD", err, "the vault's cipher cannot be made")
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return aead, fault.Wrap(fault.Internal, "vault.newAEAD", err, "the vault's cipher cannot be made")
}

// additional binds a ciphertext to its format version, its role and its name; the lengths keep the parts apart.
func additional(role, name string) []byte {
	b := append([]byte(magic), byte(len(role)))
	b = append(b, role...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(name))) // names are at most 128 bytes
	return append(b, name...)
}

func (r *Keyring) seal(name string, s access.Secret, random io.Reader) ([]byte, error) {
	key := make([]byte, keySize)
	defer clear(key)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, fault.Wrap(fault.Unavailable, "vault.seal", err, "cannot read random bytes for secret %q", name)
	}
	data, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	b := r.head(name, key, overhead+len(s.Reveal()))
	return data.Seal(b, nil, s.Reveal(), additional(roleData, name)), nil //nolint:gosec // no nonce is given: the AEAD draws its own
}

// head returns what comes before the sealed secret, with room for n bytes more.
func (r *Keyring) head(name string, key []byte, n int) []byte {
	b := append(make([]byte, 0, headSize+n), magic...)
	b = append(b, r.keys[0].id[:]...)
	return r.keys[0].wrap.Seal(b, nil, key, additional(roleKey, name)) //nolint:gosec // no nonce is given: the AEAD draws its own
}

func (r *Keyring) open(name string, sealed []byte) (access.Secret, error) {
	key, err := r.unwrap(name, sealed)
	if err != nil {
		return access.Secret{}, err
	}
	defer clear(key)
	data, err := newAEAD(key)
	if err != nil {
		return access.Secret{}, err
	}
	plain, err := data.Open(nil, nil, sealed[headSize:], additional(roleData, name))
	if err != nil {
		return access.Secret{}, damaged(name)
	}
	return access.NewSecret(plain), nil
}

// rewrap seals the secret's own key under the ring's first key; the secret itself stays as it is, but is opened once, so
// that a rotation never carries damage along unnoticed.
func (r *Keyring) rewrap(name string, sealed []byte) ([]byte, error) {
	s, err := r.open(name, sealed)
	if err != nil {
		return nil, err
	}
	s.Wipe()
	key, err := r.unwrap(name, sealed)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return append(r.head(name, key, len(sealed)-headSize), sealed[headSize:]...), nil
}

// unwrap returns the secret's own key, for the caller to wipe.
func (r *Keyring) unwrap(name string, sealed []byte) ([]byte, error) {
	if len(sealed) < headSize+overhead || len(sealed) > maxSealed || string(sealed[:len(magic)]) != magic {
		return nil, damaged(name)
	}
	id := sealed[len(magic) : len(magic)+idSize]
	k := r.find(id)
	if k == nil {
		return nil, fault.New(fault.Unavailable, "vault.unwrap",
			"secret %q is sealed under the key %x, which this gateway does not have (it has %s): give the right key, or set the secret again", name, id, r)
	}
	key, err := k.wrap.Open(nil, nil, sealed[len(magic)+idSize:headSize], additional(roleKey, name))
	if err != nil || len(key) != keySize {
		return nil, damaged(name)
	}
	return key, nil
}

func damaged(name string) error {
	return fault.New(fault.Unavailable, "vault.open", "secret %q was changed outside the gateway or is damaged: set it again with gatehouse secrets set %s", name, name)
}
