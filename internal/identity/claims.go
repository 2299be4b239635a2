package identity

import (
	"slices"
	"time"

	"gatehouse/internal/access"
)

// maxSubject bounds sub, in bytes. OpenID Connect Core §2 allows 255.
const maxSubject = 256

// maxTime is the last second of the year 9999: beyond it times have no agreed spelling, and sums may overflow.
const maxTime = 253402300799

// times are the moments that bound a token, in seconds since 1970.
type times struct {
	issued, expires int64
	notBefore       int64 // 0 where absent
}

// principal checks the claims of a token whose signature is good.
func (i *issuer) principal(claims map[string]any, now time.Time) (*access.Principal, times, *refused) {
	if !i.meant(claims["aud"]) {
		return nil, times{}, refuse(ReasonAudience, "aud holds none of the audiences of issuer %q", i.name)
	}
	t, err := readTimes(claims)
	if err != nil {
		return nil, t, err
	}
	if err := i.checkTimes(t, now); err != nil {
		return nil, t, err
	}
	sub, ok := claims["sub"].(string)
	if !ok || sub == "" || len(sub) > maxSubject || hasControl(sub) {
		return nil, t, refuse(ReasonSubject, "sub is not a string of 1 to %d bytes without control characters", maxSubject)
	}
	if err := checkBearer(claims); err != nil {
		return nil, t, err
	}
	p := &access.Principal{
		Issuer: i.url, Subject: sub, Kind: i.kind, Claims: claims, Expires: time.Unix(t.expires, 0).UTC(),
	}
	return p, t, nil
}

// meant reports whether aud, a string or an array of strings (RFC 7519 §4.1.3), names a configured audience exactly.
func (i *issuer) meant(aud any) bool {
	switch aud := aud.(type) {
	case string:
		return slices.Contains(i.audiences, aud)
	case []any:
		found := false
		for _, a := range aud {
			s, ok := a.(string)
			if !ok {
				return false
			}
			found = found || slices.Contains(i.audiences, s)
		}
		return found
	}
	return false
}

func readTimes(claims map[string]any) (times, *refused) {
	var t times
	for _, c := range []struct {
		name     string
		into     *int64
		required bool
	}{{"exp", &t.expires, true}, {"iat", &t.issued, true}, {"nbf", &t.notBefore, false}} {
		v, there := claims[c.name]
		if !there && !c.required {
			continue
		}
		n, ok := v.(int64)
		if !ok || n <= 0 || n > maxTime {
			return t, refuse(ReasonTimes, "%s is missing or not a whole number of seconds in range", c.name)
		}
		*c.into = n
	}
	return t, nil
}

// checkTimes is asked again whenever a verified token is used again.
func (i *issuer) checkTimes(t times, now time.Time) *refused {
	at, skew := now.Unix(), int64(i.skew/time.Second)
	switch {
	case t.expires <= t.issued || t.expires-t.issued > int64(i.lifetime/time.Second):
		return refuse(ReasonLifetime, "exp - iat is %d s, issuer %q may give 1 s to %s", t.expires-t.issued, i.name, i.lifetime)
	case at >= t.expires+skew:
		return refuse(ReasonExpired, "exp was %d s ago", at-t.expires)
	case t.issued > at+skew:
		return refuse(ReasonNotYetValid, "iat is %d s ahead", t.issued-at)
	case t.notBefore > at+skew:
		return refuse(ReasonNotYetValid, "nbf is %d s ahead", t.notBefore-at)
	}
	return nil
}

// checkBearer refuses tokens that are worth nothing without a proof that is not presented here (cnf, RFC 7800), and
// security events such as OpenID Connect logout tokens, which may come without a typ (RFC 8417).
func checkBearer(claims map[string]any) *refused {
	if _, there := claims["cnf"]; there {
		return refuse(ReasonBound, "cnf: the token is bound to a key that is not proven here")
	}
	if _, there := claims["events"]; there {
		return refuse(ReasonBound, "events: this is a security event, not a token to log in with")
	}
	return nil
}
