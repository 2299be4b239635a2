package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

const (
	// maxKeys bounds the keys of one issuer; the largest public issuers have about a dozen.
	maxKeys    = 128
	minRSABits = 2048
)

// key is one public key of an issuer.
type key struct {
	id     string
	alg    string // empty: any that the key's type allows
	public any
}

// keySet is what an issuer published at one moment. It is immutable.
type keySet struct {
	keys   []key
	digest [sha256.Size]byte
}

// parseKeys reads a JWKS (RFC 7517 §5). Keys that are of no use for verifying signatures are left out, so that one new
// kind of key does not lock everyone out; a set without any usable key is an error.
func parseKeys(b []byte) (*keySet, error) {
	document, err := decodeObject(b)
	if err != nil {
		return nil, fmt.Errorf("the key set: %w", err)
	}
	list, ok := document["keys"].([]any)
	if !ok || len(list) > maxKeys {
		return nil, fmt.Errorf("the key set has no list of at most %d keys", maxKeys)
	}
	set := &keySet{digest: sha256.Sum256(b)}
	for _, item := range list {
		if k, ok := parseKey(item); ok {
			set.keys = append(set.keys, k)
		}
	}
	if len(set.keys) == 0 {
		return nil, errors.New("the key set holds no key that can verify a signature")
	}
	return set, nil
}

// parseKey reads one key. A key whose private part is published is no longer anyone's, and is left out too.
func parseKey(item any) (key, bool) {
	members, ok := item.(map[string]any)
	if !ok || !forVerifying(members) {
		return key{}, false
	}
	for _, private := range []string{"d", "k", "p", "q", "dp", "dq", "qi", "oth", "priv"} {
		if _, there := members[private]; there {
			return key{}, false
		}
	}
	b, err := json.Marshal(members)
	if err != nil {
		return key{}, false
	}
	var k jose.JSONWebKey
	if err := json.Unmarshal(b, &k); err != nil || len(k.KeyID) > maxKeyID {
		return key{}, false
	}
	return key{id: k.KeyID, alg: k.Algorithm, public: k.Key}, true
}

// forVerifying reads use and key_ops (RFC 7517 §4.2, §4.3): absent means any purpose.
func forVerifying(members map[string]any) bool {
	if use, there := members["use"]; there && use != "sig" {
		return false
	}
	if ops, there := members["key_ops"]; there {
		list, ok := ops.([]any)
		return ok && slices.Contains(list, any("verify"))
	}
	return true
}

// fits reports whether k may verify signatures made with alg: the type, the curve and the size all have to be right.
func (k key) fits(alg jose.SignatureAlgorithm) bool {
	if k.alg != "" && k.alg != string(alg) {
		return false
	}
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		switch alg {
		case jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512:
			return public.N.BitLen() >= minRSABits && public.E >= 3 && public.E&1 == 1
		}
	case *ecdsa.PublicKey:
		switch alg {
		case jose.ES256:
			return public.Curve == elliptic.P256()
		case jose.ES384:
			return public.Curve == elliptic.P384()
		case jose.ES512:
			return public.Curve == elliptic.P521()
		}
	case ed25519.PublicKey:
		return alg == jose.EdDSA
	}
	return false
}

// find returns the keys that u may have been signed with: those with its kid or, where it names none, the only one that
// fits. known is false where there is no such key at all, and asking the issuer again might help.
func (s *keySet) find(u *unverified) (fitting []key, known bool) {
	for _, k := range s.keys {
		if u.named && k.id != u.kid {
			continue
		}
		known = true
		if k.fits(u.alg) {
			fitting = append(fitting, k)
		}
	}
	if !u.named && len(fitting) > 1 {
		return nil, true
	}
	return fitting, known
}
