package access

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret holds bytes that must never be printed: whatever formats, marshals or logs it gets "[redacted]". The zero value
// is an empty secret.
//
// It holds a pointer, because fmt prints the fields of a struct for %p without asking Format.
type Secret struct{ p *[]byte }

// NewSecret takes ownership of b.
func NewSecret(b []byte) Secret { return Secret{&b} }

// Reveal returns the bytes themselves, for the one place that must send or compare them. The caller does not keep them.
func (s Secret) Reveal() []byte {
	if s.p == nil {
		return nil
	}
	return *s.p
}

// Empty reports whether there is nothing in it.
func (s Secret) Empty() bool { return len(s.Reveal()) == 0 }

// Equal compares in constant time.
func (s Secret) Equal(o Secret) bool { return subtle.ConstantTimeCompare(s.Reveal(), o.Reveal()) == 1 }

// Wipe overwrites the bytes. Copies of the Secret see the zeros too.
func (s Secret) Wipe() { clear(s.Reveal()) }

// String implements fmt.Stringer.
func (Secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return redacted }

// Format implements fmt.Formatter, so that no verb reaches the bytes.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON implements json.Marshaler.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
