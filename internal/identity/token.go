package identity

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// MaxToken is the size in bytes beyond which a token is refused unread.
const MaxToken = 16 << 10

// maxKeyID bounds kid, in bytes.
const maxKeyID = 256

// unverified is a token of which everything but the signature has been read. Nothing in it is to be believed.
type unverified struct {
	compact string
	alg     jose.SignatureAlgorithm
	kid     string
	named   bool // kid is present
	typ     string
	claims  map[string]any
}

// parse takes a compact JWS of at most MaxToken bytes apart. It accepts one spelling of each token only, so that what is cached, logged and
// verified are the same bytes.
func parse(token []byte) (*unverified, *refused) {
	if len(token) == 0 {
		return nil, refuse(ReasonEmpty, "no token was presented")
	}
	if n := bytes.Count(token, []byte{'.'}); n != 2 {
		return nil, refuse(ReasonNotCompact, "%d parts instead of 3", n+1)
	}
	parts := bytes.Split(token, []byte{'.'})
	names := [...]string{"header", "claims", "signature"}
	var decoded [3][]byte
	for i, part := range parts {
		b, ok := decodeBase64(part)
		if !ok {
			return nil, refuse(ReasonEncoding, "the %s is not canonical base64url without padding", names[i])
		}
		decoded[i] = b
	}
	u := &unverified{compact: string(token)}
	if err := u.readHeader(decoded[0]); err != nil {
		return nil, err
	}
	claims, err := decodeObject(decoded[1])
	if err != nil {
		return nil, refuse(ReasonJSON, "claims").because(err)
	}
	u.claims = claims
	return u, nil
}

// decodeBase64 is strict: the standard decoder passes over line breaks, and tolerates unused bits unless told not to.
func decodeBase64(part []byte) ([]byte, bool) {
	if len(part) == 0 || bytes.ContainsAny(part, "\r\n") {
		return nil, false
	}
	b, err := base64.RawURLEncoding.Strict().AppendDecode(nil, part)
	return b, err == nil
}

// refusedHeader tells why a header parameter is refused; empty where it is not. Parameters that only a reader who
// understands them may accept (RFC 7515 §4.1.11) come with crit, which is refused.
func refusedHeader(name string) string {
	switch name {
	case "jwk", "jku", "x5u", "x5c":
		return "a token does not bring its own key"
	case "crit", "b64":
		return "no extension is understood"
	case "zip", "enc", "epk", "apu", "apv", "iv", "tag", "p2s", "p2c":
		return "encrypted or compressed tokens are not accepted"
	case "cty":
		return "nested tokens are not accepted"
	}
	return ""
}

func (u *unverified) readHeader(raw []byte) *refused {
	header, err := decodeObject(raw)
	if err != nil {
		return refuse(ReasonJSON, "header").because(err)
	}
	for name := range header {
		if why := refusedHeader(name); why != "" {
			return refuse(ReasonHeader, "%s: %s", name, why)
		}
	}
	alg, ok := header["alg"].(string)
	if !ok {
		return refuse(ReasonAlgorithm, "alg is missing or not a string")
	}
	u.alg = jose.SignatureAlgorithm(alg)
	if kid, there := header["kid"]; there {
		u.kid, ok = kid.(string)
		if !ok || u.kid == "" || len(u.kid) > maxKeyID || hasControl(u.kid) {
			return refuse(ReasonHeader, "kid is not a string of 1 to %d bytes without control characters", maxKeyID)
		}
		u.named = true
	}
	if typ, there := header["typ"]; there {
		if u.typ, ok = typ.(string); !ok {
			return refuse(ReasonHeader, "typ is not a string")
		}
		return u.checkType()
	}
	return nil
}

// checkType refuses logout tokens, DPoP proofs, security events and whatever else says that it is not a token to log in
// with. typ is a media type, and compares without regard to case (RFC 7515 §4.1.9).
func (u *unverified) checkType() *refused {
	t := strings.ToLower(u.typ)
	if t = strings.TrimPrefix(t, "application/"); t == "jwt" || t == "at+jwt" {
		return nil
	}
	return refuse(ReasonType, "typ is %.64q, not JWT or at+jwt", u.typ)
}

func hasControl(s string) bool {
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r <= 0x9f {
			return true
		}
	}
	return false
}
