package mask

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash"
	"log/slog"
	"sync"
)

// Sizes of a token: 120 bits in 24 letters and digits.
const (
	tokenBytes  = 15
	tokenPrefix = "tok_"
	word        = "[redacted]"
)

// recorded is the domain of tokens in the audit log: it differs from every domain of values, so that what the log holds
// cannot be joined with what a client was shown.
const recorded = "\x00recorded"

// Key makes keyed tokens: equal values give equal tokens, and without the key a token says nothing about its value. It
// is safe for concurrent use and never prints itself. A nil Key makes no tokens: what asks for one is redacted.
type Key struct {
	macs    sync.Pool
	letters *base32.Encoding
}

// NewKey makes a Key of 32 random bytes.
func NewKey(secret [32]byte) *Key {
	k := &Key{letters: base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567")}
	k.macs.New = func() any { return &mac{hash: hmac.New(sha256.New, secret[:])} }
	return k
}

// mac is one computation's state, used again.
type mac struct {
	hash hash.Hash
	head []byte
	sum  [sha256.Size]byte
}

// append writes a token for v to dst. The domain is bound by its length, so that no two pairs of domain and value meet.
func (k *Key) append(dst []byte, domain string, v []byte) []byte {
	m, _ := k.macs.Get().(*mac)
	defer k.macs.Put(m)
	m.hash.Reset()
	m.head = append(binary.BigEndian.AppendUint64(m.head[:0], uint64(len(domain))), domain...)
	m.hash.Write(m.head)
	m.hash.Write(v)
	sum := m.hash.Sum(m.sum[:0])
	dst = append(dst, tokenPrefix...)
	return k.letters.AppendEncode(dst, sum[:tokenBytes])
}

// Token appends the token that stands for a recorded value, such as <tok_7f3kq2…>. Its domain is the log's own: it equals
// no token that a client is shown. A nil key gives the redaction word.
func Token(dst, v []byte, k *Key) []byte {
	if k == nil {
		return append(dst, word...)
	}
	dst = append(dst, '<')
	return append(k.append(dst, recorded, v), '>')
}

// String implements fmt.Stringer.
func (*Key) String() string { return word }

// GoString implements fmt.GoStringer.
func (*Key) GoString() string { return word }

// Format implements fmt.Formatter, so that no verb reaches the key.
func (*Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(word)) }

// MarshalText implements encoding.TextMarshaler.
func (*Key) MarshalText() ([]byte, error) { return []byte(word), nil }

// LogValue implements slog.LogValuer.
func (*Key) LogValue() slog.Value { return slog.StringValue(word) }
