package devissuer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

const (
	defaultLifetime = 10 * time.Minute
	maxLifetime     = 24 * time.Hour
	keyType         = "PRIVATE KEY" // PKCS #8, RFC 7468 §10
)

// Options are what an Issuer needs. Clock and Rand are required.
type Options struct {
	Clock func() time.Time
	Rand  io.Reader
	// Key is what Issuer.Key returned in an earlier run; empty makes a new key.
	Key access.Secret
	// Secret is what a caller of the tokens endpoint must present; empty closes the endpoint.
	Secret access.Secret
}

// Issuer mints tokens. It is safe for concurrent use.
type Issuer struct {
	clock  func() time.Time
	random io.Reader
	secret access.Secret
	key    *ecdsa.PrivateKey
	keyID  string
	signer jose.Signer
	url    atomic.Pointer[string]
}

// New makes an issuer. Its URL is still unknown: set it with SetURL once the listener has a port.
func New(o Options) (*Issuer, error) {
	key, err := loadKey(o)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "devissuer.New", err, "the public key cannot be encoded")
	}
	sum := sha256.Sum256(public)
	i := &Issuer{clock: o.Clock, random: o.Rand, secret: o.Secret, key: key, keyID: hex.EncodeToString(sum[:8])}
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", i.keyID)
	i.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "devissuer.New", err, "the key cannot sign")
	}
	i.SetURL("")
	return i, nil
}

func loadKey(o Options) (*ecdsa.PrivateKey, error) {
	if o.Key.Empty() {
		key, err := ecdsa.GenerateKey(elliptic.P256(), o.Rand)
		return key, fault.Wrap(fault.Internal, "devissuer.New", err, "no key could be made")
	}
	block, _ := pem.Decode(o.Key.Reveal())
	if block == nil || block.Type != keyType {
		return nil, fault.New(fault.Malformed, "devissuer.New", "the issuer's key file holds no private key: delete it, and a new one is made")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil, fault.New(fault.Malformed, "devissuer.New", "the issuer's key file holds no P-256 key: delete it, and a new one is made")
	}
	return key, nil
}

// Key returns the private key in PEM form, for Options.Key of a later run. It belongs in a file of mode 0600.
func (i *Issuer) Key() (access.Secret, error) {
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		return access.Secret{}, fault.Wrap(fault.Internal, "devissuer.Key", err, "the key cannot be encoded")
	}
	return access.NewSecret(pem.EncodeToMemory(&pem.Block{Type: keyType, Bytes: der})), nil
}

// SetURL tells the issuer where it is reached, without a slash at the end: what tokens carry as iss.
func (i *Issuer) SetURL(url string) { i.url.Store(&url) }

// URL returns what SetURL was given.
func (i *Issuer) URL() string { return *i.url.Load() }

// Claims are what a token says. Extra wins over every other field, so that a test can make any token; a nil value in
// Extra leaves the claim out.
type Claims struct {
	Subject  string
	Audience []string
	Lifetime time.Duration // 0 means 10 minutes, at most 24 hours
	Extra    map[string]any
}

// Mint returns a token signed with ES256. It fails with fault.Malformed where the lifetime is out of range or Extra cannot
// be written as JSON, and with fault.Unavailable before SetURL.
func (i *Issuer) Mint(c Claims) (access.Secret, error) {
	if i.URL() == "" {
		return access.Secret{}, fault.New(fault.Unavailable, "devissuer.Mint", "the issuer has no address yet")
	}
	if c.Lifetime == 0 {
		c.Lifetime = defaultLifetime
	}
	if c.Lifetime < time.Second || c.Lifetime > maxLifetime {
		return access.Secret{}, fault.New(fault.Malformed, "devissuer.Mint", "the lifetime must be between 1s and %s", maxLifetime)
	}
	claims, err := i.claims(c)
	if err != nil {
		return access.Secret{}, err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return access.Secret{}, fault.Wrap(fault.Malformed, "devissuer.Mint", err, "the claims cannot be written as JSON")
	}
	signed, err := i.signer.Sign(payload)
	if err != nil {
		return access.Secret{}, fault.Wrap(fault.Internal, "devissuer.Mint", err, "signing failed")
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		return access.Secret{}, fault.Wrap(fault.Internal, "devissuer.Mint", err, "the token cannot be written")
	}
	return access.NewSecret([]byte(token)), nil
}

func (i *Issuer) claims(c Claims) (map[string]any, error) {
	id := make([]byte, 16)
	if _, err := io.ReadFull(i.random, id); err != nil {
		return nil, fault.Wrap(fault.Internal, "devissuer.Mint", err, "no randomness")
	}
	now := i.clock().Unix()
	claims := map[string]any{
		"iss": i.URL(), "sub": c.Subject, "aud": c.Audience,
		"iat": now, "nbf": now, "exp": now + int64(c.Lifetime/time.Second),
		"jti": base64.RawURLEncoding.EncodeToString(id),
	}
	maps.Copy(claims, c.Extra)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims, nil
}

// keySet is the JWKS document.
func (i *Issuer) keySet() jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{
		Key: &i.key.PublicKey, KeyID: i.keyID, Algorithm: string(jose.ES256), Use: "sig",
	}}}
}
