package identity

import (
	"errors"
	"fmt"
	"io"

	"gatehouse/internal/fault"
)

// Reason says exactly why a token was refused. It is for the log and for metrics, never for the client: the names are
// stable.
type Reason string

// The reasons, in the order in which a token meets the checks.
const (
	ReasonEmpty           Reason = "empty"            // there is no token
	ReasonTooLarge        Reason = "too_large"        // more than MaxToken bytes
	ReasonNotCompact      Reason = "not_compact"      // not three parts: JSON serialisation, JWE, or no token at all
	ReasonEncoding        Reason = "encoding"         // not canonical base64url without padding
	ReasonJSON            Reason = "json"             // header or claims are not one strict JSON object
	ReasonHeader          Reason = "header"           // a header parameter that is refused, or of the wrong type
	ReasonType            Reason = "type"             // typ says that this is another kind of token
	ReasonIssuer          Reason = "issuer"           // iss is missing or not trusted
	ReasonAlgorithm       Reason = "algorithm"        // alg is missing or not in the issuer's list
	ReasonKeysUnavailable Reason = "keys_unavailable" // the issuer's keys cannot be had, or their lease has run out
	ReasonUnknownKey      Reason = "unknown_key"      // kid names no key of the issuer
	ReasonKeyMismatch     Reason = "key_mismatch"     // the key's type, curve, size or purpose does not fit alg
	ReasonSignature       Reason = "signature"        // the signature is not the key's
	ReasonAudience        Reason = "audience"         // aud is missing or holds no configured audience
	ReasonTimes           Reason = "times"            // exp or iat is missing, or a time is not an integer in range
	ReasonExpired         Reason = "expired"          // exp has passed
	ReasonNotYetValid     Reason = "not_yet_valid"    // nbf or iat lies in the future
	ReasonLifetime        Reason = "lifetime"         // exp - iat is more than the issuer may give
	ReasonSubject         Reason = "subject"          // sub is missing, empty, too long or holds control characters
	ReasonBound           Reason = "bound"            // the token is no bearer token: bound to a key, or a security event
)

// refused is the cause inside the one error that Verify returns.
type refused struct {
	reason Reason
	detail string
	err    error
}

func (r *refused) Error() string {
	s := string(r.reason) + ": " + r.detail
	if r.err != nil {
		s += ": " + r.err.Error()
	}
	return s
}

func (r *refused) Unwrap() error { return r.err }

// refuse makes the cause of a refusal. Values that come from the token are formatted with %.64q by the caller, so that a
// log line is bounded and holds no control character.
func refuse(reason Reason, format string, args ...any) *refused {
	return &refused{reason: reason, detail: fmt.Sprintf(format, args...)}
}

// because adds the error of a library or of the network to a refusal.
func (r *refused) because(err error) *refused {
	r.err = err
	return r
}

// ReasonOf returns why err refused a token; false where err is no refusal of this package.
func ReasonOf(err error) (Reason, bool) {
	var r *refused
	if !errors.As(err, &r) {
		return "", false
	}
	return r.reason, true
}

// Refusal returns what a client is told about err, whatever err is: the same words every time, and a reference under
// which the log holds the exact reason. Its kind is fault.Unauthenticated; err is its cause.
func Refusal(ref string, err error) error {
	return &fault.Error{
		Op:   "identity.Verify",
		Kind: fault.Unauthenticated,
		Say:  "authentication failed (ref " + ref + "): run gatehouse whoami, or give this reference to your administrator",
		Err:  err,
	}
}

// refAlphabet is Crockford's base 32 in lower case: no letter that reads like a digit.
const refAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// refLength gives references of 30 bits: short enough to be read out, long enough to find one line in a log.
const refLength = 6

// NewRef returns a reference for Refusal, of six letters and digits.
func NewRef(random io.Reader) (string, error) {
	b := make([]byte, refLength)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", fault.Wrap(fault.Internal, "identity.NewRef", err, "no randomness")
	}
	for i := range b {
		b[i] = refAlphabet[b[i]&31]
	}
	return string(b), nil
}
