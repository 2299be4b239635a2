package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/identity"
)

const audience = "gatehouse-prod"

// start is the time at which every test's clock stands at first.
func start() time.Time { return time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC) }

// clock is a clock that tests move.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.at.Store(start().UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// keyring is one key of each type, made once: RSA keys are slow to make.
type keyring struct {
	rsa, other, small *rsa.PrivateKey
	p256, p384        *ecdsa.PrivateKey
	ed                ed25519.PrivateKey
}

var keys = sync.OnceValue(func() *keyring {
	must := func(k *rsa.PrivateKey, err error) *rsa.PrivateKey {
		if err != nil {
			panic(err)
		}
		return k
	}
	k := &keyring{
		rsa:   must(rsa.GenerateKey(rand.Reader, 2048)),
		other: must(rsa.GenerateKey(rand.Reader, 2048)),
		small: must(rsa.GenerateKey(rand.Reader, 1024)),
	}
	var err error
	if k.p256, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		panic(err)
	}
	if k.p384, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader); err != nil {
		panic(err)
	}
	// Always the same, so that fuzzing, which runs in several processes, has tokens that all of them accept.
	seed := sha256.Sum256([]byte("a key for tests"))
	k.ed = ed25519.NewKeyFromSeed(seed[:])
	return k
})

// jwk spells a public key, with further members.
func jwk(kid string, public any, more map[string]any) map[string]any {
	b, err := json.Marshal(jose.JSONWebKey{Key: public, KeyID: kid})
	if err != nil {
		panic(err)
	}
	m := map[string]any{}
	if err := json.Unmarshal(b, &m); err != nil {
		panic(err)
	}
	maps.Copy(m, more)
	return m
}

// published is the key set of the issuer in most tests.
func published() []map[string]any {
	k := keys()
	return []map[string]any{
		jwk("rsa", k.rsa.Public(), map[string]any{"use": "sig"}),
		jwk("pss-only", k.rsa.Public(), map[string]any{"alg": "PS256"}),
		jwk("small", k.small.Public(), nil),
		jwk("ec", k.p256.Public(), map[string]any{"alg": "ES256", "key_ops": []string{"verify"}}),
		jwk("ec384", k.p384.Public(), nil),
		jwk("ed", k.ed.Public(), nil),
		jwk("for-encryption", k.rsa.Public(), map[string]any{"use": "enc"}),
		jwk("for-wrapping", k.rsa.Public(), map[string]any{"key_ops": []string{"wrapKey"}}),
		{"kty": "oct", "kid": "symmetric", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ"},
		{"kty": "from-the-future", "kid": "future"},
	}
}

// provider is an issuer over real HTTPS whose answers a test may replace.
type provider struct {
	*httptest.Server
	discoveries, keyFetches atomic.Int32
	discovery, keySet       atomic.Pointer[http.HandlerFunc]
}

func newProvider(t testing.TB) *provider {
	p := new(provider)
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		p.discoveries.Add(1)
		(*p.discovery.Load())(w, r)
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, r *http.Request) {
		p.keyFetches.Add(1)
		(*p.keySet.Load())(w, r)
	})
	p.Server = httptest.NewTLSServer(mux)
	t.Cleanup(p.Close)
	p.discover(map[string]any{"issuer": p.URL, "jwks_uri": p.URL + "/keys"})
	p.publish(published())
	return p
}

func serve(v any) *http.HandlerFunc {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) })
	return &h
}

func (p *provider) discover(v any) { p.discovery.Store(serve(v)) }
func (p *provider) publish(keys []map[string]any) {
	p.keySet.Store(serve(map[string]any{"keys": keys}))
}

func (p *provider) document(name string) *access.Issuer {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})
	return &access.Issuer{Name: name, URL: p.URL, Audiences: []string{"unused", audience}, CA: string(ca)}
}

// token is a token in the making: right, until a test makes one thing wrong.
type token struct {
	header, claims map[string]any
	rawHeader      string // instead of header
	rawClaims      string // instead of claims
	sign           func(signed string) []byte
}

// good returns a token that is right in every way.
func good(iss string) *token {
	now := start().Unix()
	return &token{
		header: map[string]any{"alg": "ES256", "kid": "ec", "typ": "JWT"},
		claims: map[string]any{
			"iss": iss, "sub": "system:serviceaccount:shop:refund-fn", "aud": audience,
			"iat": now - 60, "nbf": now - 60, "exp": now + 600,
			"shop": map[string]any{"team": "payments", "tier": 3},
		},
		sign: es256(keys().p256),
	}
}

// with changes one claim; nil removes it.
func (t *token) with(claim string, v any) *token {
	t.claims[claim] = v
	if v == nil {
		delete(t.claims, claim)
	}
	return t
}

// head changes one header parameter; nil removes it.
func (t *token) head(name string, v any) *token {
	t.header[name] = v
	if v == nil {
		delete(t.header, name)
	}
	return t
}

func (t *token) signedBy(alg, kid string, sign func(string) []byte) *token {
	t.sign = sign
	return t.head("alg", alg).head("kid", kid)
}

func (t *token) parts() (signed string, signature []byte) {
	part := func(raw string, m map[string]any) string {
		if raw == "" {
			b, err := json.Marshal(m)
			if err != nil {
				panic(err)
			}
			raw = string(b)
		}
		return b64([]byte(raw))
	}
	signed = part(t.rawHeader, t.header) + "." + part(t.rawClaims, t.claims)
	return signed, t.sign(signed)
}

func (t *token) String() string {
	signed, signature := t.parts()
	return signed + "." + b64(signature)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func es256(k *ecdsa.PrivateKey) func(string) []byte {
	return func(signed string) []byte {
		sum := sha256.Sum256([]byte(signed))
		r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
		if err != nil {
			panic(err)
		}
		return rawSignature(r, s, (k.Curve.Params().BitSize+7)/8)
	}
}

func rawSignature(r, s *big.Int, size int) []byte {
	b := make([]byte, 2*size)
	r.FillBytes(b[:size])
	s.FillBytes(b[size:])
	return b
}

func es256DER(k *ecdsa.PrivateKey) func(string) []byte {
	return func(signed string) []byte {
		sum := sha256.Sum256([]byte(signed))
		b, err := ecdsa.SignASN1(rand.Reader, k, sum[:])
		if err != nil {
			panic(err)
		}
		return b
	}
}

func rs256(k *rsa.PrivateKey) func(string) []byte {
	return func(signed string) []byte {
		sum := sha256.Sum256([]byte(signed))
		b, err := rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
		if err != nil {
			panic(err)
		}
		return b
	}
}

func ps256(k *rsa.PrivateKey) func(string) []byte {
	return func(signed string) []byte {
		sum := sha256.Sum256([]byte(signed))
		b, err := rsa.SignPSS(rand.Reader, k, crypto.SHA256, sum[:], nil)
		if err != nil {
			panic(err)
		}
		return b
	}
}

func eddsa(k ed25519.PrivateKey) func(string) []byte {
	return func(signed string) []byte { return ed25519.Sign(k, []byte(signed)) }
}

func hs256(secret []byte) func(string) []byte {
	return func(signed string) []byte {
		h := hmac.New(sha256.New, secret)
		h.Write([]byte(signed))
		return h.Sum(nil)
	}
}

func fixedSignature(b []byte) func(string) []byte { return func(string) []byte { return b } }

func newVerifier(t testing.TB, c *clock, documents ...*access.Issuer) *identity.Verifier {
	t.Helper()
	v := identity.New(identity.Options{Clock: c.now})
	if err := v.SetIssuers(documents); err != nil {
		t.Fatal(err)
	}
	return v
}

func verify(t testing.TB, v *identity.Verifier, token fmt.Stringer) (*access.Principal, error) {
	return v.Verify(t.Context(), access.NewSecret([]byte(token.String())))
}

// text is a token that was made by hand.
type text string

func (s text) String() string { return string(s) }

func wantReason(t testing.TB, err error, want identity.Reason) {
	t.Helper()
	if got, _ := identity.ReasonOf(err); got != want {
		t.Errorf("refused for %q, want %q: %v", got, want, err)
	}
}
