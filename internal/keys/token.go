package keys

import (
	"encoding/base64"
	"io"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

const (
	tokenPrefix = "gh_" // so that scanners for leaked secrets can know it
	tokenBytes  = 32
)

// LoadOrCreateToken returns the token in the file path, and makes one where the file does not exist: "gh_" and 256
// random bits in base64url. It is what the holder of the state directory shows to be the operator.
func LoadOrCreateToken(path string, random io.Reader) (access.Secret, error) {
	b, err := loadOrCreate(path, func() ([]byte, error) { return newToken(random) })
	if err != nil {
		return access.Secret{}, err
	}
	token := strings.TrimRight(string(b), "\r\n")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimPrefix(token, tokenPrefix))
	if err != nil || len(raw) != tokenBytes || !strings.HasPrefix(token, tokenPrefix) {
		return access.Secret{}, fault.New(fault.Unavailable, "keys.LoadOrCreateToken",
			"%s does not hold a token: remove it, and the next start makes a new one", path)
	}
	return access.NewSecret([]byte(token)), nil
}

func newToken(random io.Reader) ([]byte, error) {
	raw := make([]byte, tokenBytes)
	if _, err := io.ReadFull(random, raw); err != nil {
		return nil, fault.Wrap(fault.Unavailable, "keys.newToken", err, "cannot read random bytes for a token")
	}
	return []byte(tokenPrefix + base64.RawURLEncoding.EncodeToString(raw) + "\n"), nil
}
