package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"strconv"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/identity"
)

// BenchmarkVerify compares a verification, with keys at hand, with the bare check of the signature, and with a token that
// was verified before.
func BenchmarkVerify(b *testing.B) {
	k := keys()
	for name, tok := range map[string]*token{
		"ES256": good(memoryIssuer),
		"RS256": good(memoryIssuer).signedBy("RS256", "rsa", rs256(k.rsa)),
	} {
		secret := access.NewSecret([]byte(tok.String()))
		b.Run(name+"/new", func(b *testing.B) {
			v := memoryVerifier(b)
			document := &access.Issuer{Name: "main", URL: memoryIssuer, Audiences: []string{audience}}
			for n := 0; b.Loop(); n++ {
				document.Description = strconv.Itoa(n) // makes the cache stale, and keeps the keys
				if err := v.SetIssuers([]*access.Issuer{document}); err != nil {
					b.Fatal(err)
				}
				if _, err := v.Verify(b.Context(), secret); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/cached", func(b *testing.B) {
			v := memoryVerifier(b)
			for b.Loop() {
				if _, err := v.Verify(b.Context(), secret); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	signed, signature := good(memoryIssuer).parts()
	b.Run("ES256/bare", func(b *testing.B) {
		for b.Loop() {
			sum := sha256.Sum256([]byte(signed))
			if !ecdsa.Verify(&k.p256.PublicKey, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
				b.Fatal("not verified")
			}
		}
	})
	signed, signature = good(memoryIssuer).signedBy("RS256", "rsa", rs256(k.rsa)).parts()
	b.Run("RS256/bare", func(b *testing.B) {
		for b.Loop() {
			sum := sha256.Sum256([]byte(signed))
			if err := rsa.VerifyPKCS1v15(&k.rsa.PublicKey, crypto.SHA256, sum[:], signature); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("refused unread", func(b *testing.B) {
		v := memoryVerifier(b)
		junk := access.NewSecret(make([]byte, identity.MaxToken))
		for b.Loop() {
			if _, err := v.Verify(b.Context(), junk); err == nil {
				b.Fatal("accepted")
			}
		}
	})
}
