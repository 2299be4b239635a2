package identity_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/identity"
)

func overMemory(m *inMemory) func(*x509.CertPool) http.RoundTripper {
	return func(*x509.CertPool) http.RoundTripper { return m }
}

func memoryVerifier(t testing.TB) *identity.Verifier {
	t.Helper()
	v := identity.New(identity.Options{Clock: newClock().now, Transport: overMemory(new(inMemory))})
	document := &access.Issuer{Name: "main", URL: memoryIssuer, Audiences: []string{audience}}
	if err := v.SetIssuers([]*access.Issuer{document}); err != nil {
		t.Fatal(err)
	}
	return v
}

// FuzzVerify presents anything: only what was minted here may be accepted, letter for letter, since nobody else has keys.
func FuzzVerify(f *testing.F) {
	minted := map[string]bool{}
	for _, tok := range []*token{
		good(memoryIssuer), good(memoryIssuer).signedBy("EdDSA", "ed", eddsa(keys().ed)),
		good(memoryIssuer).signedBy("RS256", "rsa", rs256(keys().rsa)), good(memoryIssuer).head("kid", nil),
	} {
		minted[tok.String()] = true
	}
	for s := range minted {
		f.Add([]byte(s))
	}
	for _, test := range refusals(memoryIssuer, "https://other.example", "https://hostile.example") {
		if s := test.token.String(); len(s) < 4096 {
			f.Add([]byte(s))
		}
	}
	v := memoryVerifier(f)
	f.Fuzz(func(t *testing.T, presented []byte) {
		who, err := v.Verify(t.Context(), access.NewSecret(presented))
		if err != nil {
			if _, ok := identity.ReasonOf(err); !ok || who != nil {
				t.Errorf("refused without a reason: %v", err)
			}
			return
		}
		// ECDSA seeds of other runs are signed by other keys, and are refused; whatever is accepted was minted above, save
		// that (r, -s) is as good an ECDSA signature of the same bytes as (r, s).
		signed := presented[:bytes.LastIndexByte(presented, '.')]
		for s := range minted {
			if strings.HasPrefix(s, string(signed)+".") {
				return
			}
		}
		t.Errorf("accepted %s: %q", who.ID(), presented)
	})
}

// FuzzClaims signs anything as claims: what is accepted must read the same to another JSON reader.
func FuzzClaims(f *testing.F) {
	for _, test := range refusals(memoryIssuer, "https://other.example", "https://hostile.example") {
		if tok, ok := test.token.(*token); ok && len(tok.rawClaims) < 4096 {
			raw := tok.rawClaims
			if raw == "" {
				b, _ := json.Marshal(tok.claims)
				raw = string(b)
			}
			f.Add(raw)
		}
	}
	b, _ := json.Marshal(good(memoryIssuer).claims)
	f.Add(string(b))
	v := memoryVerifier(f)
	f.Fuzz(func(t *testing.T, raw string) {
		if raw == "" {
			return // means the claims of a good token, to the forge
		}
		tok := good(memoryIssuer).signedBy("EdDSA", "ed", eddsa(keys().ed))
		tok.rawClaims = raw
		who, err := verify(t, v, tok)
		if err != nil {
			return
		}
		plain := map[string]any{}
		if err := json.Unmarshal([]byte(raw), &plain); err != nil {
			t.Fatalf("accepted what is no JSON: %q", raw)
		}
		if plain["sub"] != who.Subject || plain["iss"] != who.Issuer || len(plain) != len(who.Claims) {
			t.Errorf("accepted as %s what reads as %v", who.ID(), plain)
		}
		if now := start().Unix(); who.Expires.Unix() <= now-30 || who.Expires.Unix() > now+3630 {
			t.Errorf("accepted until %v", who.Expires)
		}
	})
}
