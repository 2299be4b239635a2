package identity_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/identity"
)

// wrong is a token that is wrong in one way.
type wrong struct {
	name  string
	token fmt.Stringer
	why   identity.Reason
}

// refusals is the table: iss is the issuer's URL, other another trusted issuer's, hostile a server that must not be asked.
func refusals(iss, other, hostile string) []wrong {
	var all []wrong
	all = append(all, wrongShape(iss)...)
	all = append(all, wrongJSON(iss)...)
	all = append(all, wrongHeader(iss, hostile)...)
	all = append(all, wrongAlgorithm(iss)...)
	all = append(all, wrongSignature(iss)...)
	all = append(all, wrongIssuer(iss, other)...)
	all = append(all, wrongAudience(iss)...)
	all = append(all, wrongTime(iss)...)
	return append(all, wrongSubject(iss)...)
}

func wrongShape(iss string) []wrong {
	signed, signature := good(iss).parts()
	whole := signed + "." + b64(signature)
	header, claims, _ := strings.Cut(signed, ".")
	return []wrong{
		{"nothing", text(""), identity.ReasonEmpty},
		{"just over the limit", good(iss).with("pad", strings.Repeat("x", identity.MaxToken)), identity.ReasonTooLarge},
		{"10 MB", text(strings.Repeat("A", 10<<20)), identity.ReasonTooLarge},
		{"a password", text("correct horse battery staple"), identity.ReasonNotCompact},
		{"two parts", text(signed), identity.ReasonNotCompact},
		{"four parts", text(whole + ".AAAA"), identity.ReasonNotCompact},
		{"encrypted, five parts", text(header + ".AAAA.AAAA.AAAA.AAAA"), identity.ReasonNotCompact},
		{"JSON serialisation, flattened", text(`{"protected":"` + header + `","payload":"` + claims + `","signature":"` + b64(signature) + `"}`), identity.ReasonNotCompact},
		{"JSON serialisation, general", text(`{"payload":"` + claims + `","signatures":[{"protected":"` + header + `","signature":"` + b64(signature) + `"}]}`), identity.ReasonNotCompact},
		{"white space before", text(" " + whole), identity.ReasonEncoding},
		{"line break after", text(whole + "\n"), identity.ReasonEncoding},
		{"line break inside", text(header[:8] + "\r\n" + header[8:] + "." + claims + "." + b64(signature)), identity.ReasonEncoding},
		{"NUL after", text(whole + "\x00"), identity.ReasonEncoding},
		{"padding", text(header + "=." + claims + "." + b64(signature)), identity.ReasonEncoding},
		{"plain base64 letters", text(signed + ".+/" + b64(signature)[2:]), identity.ReasonEncoding},
		{"unused bits set", text(signed + "." + nonCanonical(b64(signature))), identity.ReasonEncoding},
		{"no signature", text(signed + "."), identity.ReasonEncoding},
		{"no header", text("." + claims + "." + b64(signature)), identity.ReasonEncoding},
		{"Bearer in front", text("Bearer " + whole), identity.ReasonEncoding},
	}
}

// nonCanonical sets a bit that decoding drops: 64 bytes leave four unused bits in the last letter.
func nonCanonical(s string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(letters, s[len(s)-1])
	return s[:len(s)-1] + string(letters[last|1])
}

func wrongJSON(iss string) []wrong {
	raw := func(change func(string) string) *token {
		t := good(iss)
		b, _ := json.Marshal(t.claims)
		t.rawClaims = change(string(b))
		return t
	}
	rawHead := func(s string) *token {
		t := good(iss)
		t.rawHeader = s
		return t
	}
	add := func(member string) *token {
		return raw(func(s string) string { return s[:len(s)-1] + "," + member + "}" })
	}
	const head = `{"alg":"ES256","kid":"ec","typ":"JWT"}`
	return []wrong{
		{"claims are an array", raw(func(s string) string { return "[" + s + "]" }), identity.ReasonJSON},
		{"claims are a token", raw(func(string) string { return good(iss).String() }), identity.ReasonJSON},
		{"claims are null", raw(func(string) string { return "null" }), identity.ReasonJSON},
		{"two values", raw(func(s string) string { return s + s }), identity.ReasonJSON},
		{"cut short", raw(func(s string) string { return s[:len(s)-1] }), identity.ReasonJSON},
		{"byte order mark", raw(func(s string) string { return "\ufeff" + s }), identity.ReasonJSON},
		{"sub twice", add(`"sub":"admin"`), identity.ReasonJSON},
		{"sub twice, once escaped", add(`"s\u0075b":"admin"`), identity.ReasonJSON},
		{"a nested member twice", add(`"x":{"a":1,"a":2}`), identity.ReasonJSON},
		{"invalid UTF-8", add("\"x\":\"\xff\""), identity.ReasonJSON},
		{"overlong UTF-8", add("\"x\":\"\xc0\xaf\""), identity.ReasonJSON},
		{"a lone surrogate", add(`"x":"\ud800"`), identity.ReasonJSON},
		{"a lone surrogate in a name", add(`"\udfff":1`), identity.ReasonJSON},
		{"deep objects", add(`"x":` + strings.Repeat(`{"x":`, 200) + "1" + strings.Repeat("}", 200)), identity.ReasonJSON},
		{"deep arrays, unclosed", add(`"x":` + strings.Repeat("[", 8000)), identity.ReasonJSON},
		{"an integer beyond 64 bits", add(`"id":18446744073709551617`), identity.ReasonJSON},
		{"a number beyond range", add(`"id":1e999`), identity.ReasonJSON},
		{"header is an array", rawHead("[" + head + "]"), identity.ReasonJSON},
		{"alg twice", rawHead(`{"alg":"none","alg":"ES256","kid":"ec"}`), identity.ReasonJSON},
		{"header with more behind", rawHead(head + "{}"), identity.ReasonJSON},
	}
}

func wrongHeader(iss, hostile string) []wrong {
	k := keys()
	own := jwk("mine", k.other.Public(), nil)
	all := []wrong{
		{"brings its key", good(iss).signedBy("RS256", "mine", rs256(k.other)).head("jwk", own), identity.ReasonHeader},
		{"names a key set", good(iss).signedBy("RS256", "mine", rs256(k.other)).head("jku", hostile+"/keys"), identity.ReasonHeader},
		{"names a certificate", good(iss).head("x5u", hostile+"/cert"), identity.ReasonHeader},
		{"brings a certificate", good(iss).head("x5c", []string{"MIIB"}), identity.ReasonHeader},
		{"crit", good(iss).head("crit", []string{"exp"}).head("exp", 1), identity.ReasonHeader},
		{"crit, empty", good(iss).head("crit", []string{}), identity.ReasonHeader},
		{"b64 false", good(iss).head("b64", false), identity.ReasonHeader},
		{"b64 true", good(iss).head("b64", true), identity.ReasonHeader},
		{"compressed", good(iss).head("zip", "DEF"), identity.ReasonHeader},
		{"says encrypted", good(iss).head("enc", "A256GCM"), identity.ReasonHeader},
		{"says nested", good(iss).head("cty", "JWT"), identity.ReasonHeader},
		{"kid is a number", good(iss).head("kid", 7), identity.ReasonHeader},
		{"kid is empty", good(iss).head("kid", ""), identity.ReasonHeader},
		{"kid holds NUL", good(iss).head("kid", "ec\x00"), identity.ReasonHeader},
		{"kid is long", good(iss).head("kid", strings.Repeat("k", 257)), identity.ReasonHeader},
		{"typ is a list", good(iss).head("typ", []string{"JWT"}), identity.ReasonHeader},
	}
	for _, typ := range []string{"logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE", "jwt-svid", "", "JWT ", "application/", "id_token"} {
		all = append(all, wrong{"typ " + typ, good(iss).head("typ", typ), identity.ReasonType})
	}
	return all
}

func wrongAlgorithm(iss string) []wrong {
	k := keys()
	der, _ := x509.MarshalPKIXPublicKey(k.rsa.Public())
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	asJWK, _ := json.Marshal(jwk("rsa", k.rsa.Public(), nil))
	all := []wrong{
		{"HS256 with the public key, PEM", good(iss).signedBy("HS256", "rsa", hs256(asPEM)), identity.ReasonAlgorithm},
		{"HS256 with the public key, DER", good(iss).signedBy("HS256", "rsa", hs256(der)), identity.ReasonAlgorithm},
		{"HS256 with the public key, JWK", good(iss).signedBy("HS256", "rsa", hs256(asJWK)), identity.ReasonAlgorithm},
		{"HS256 with a published secret", good(iss).signedBy("HS256", "symmetric", hs256([]byte("secret-secret-secret-secret-1234"))), identity.ReasonAlgorithm},
		{"RS384, not in the list", good(iss).head("alg", "RS384").head("kid", "rsa"), identity.ReasonAlgorithm},
		{"no alg", good(iss).head("alg", nil), identity.ReasonAlgorithm},
		{"alg is a number", good(iss).head("alg", 256), identity.ReasonAlgorithm},
		{"alg is a list", good(iss).head("alg", []string{"ES256"}), identity.ReasonAlgorithm},
		{"RS256 by an EC key", good(iss).head("alg", "RS256"), identity.ReasonKeyMismatch},
		{"ES256 by an RSA key", good(iss).head("kid", "rsa"), identity.ReasonKeyMismatch},
		{"ES256 by a P-384 key", good(iss).signedBy("ES256", "ec384", es256(k.p384)), identity.ReasonKeyMismatch},
		{"EdDSA by an EC key", good(iss).head("alg", "EdDSA"), identity.ReasonKeyMismatch},
		{"RS256 by a key for PS256", good(iss).signedBy("RS256", "pss-only", rs256(k.rsa)), identity.ReasonKeyMismatch},
		{"RSA of 1024 bits", good(iss).signedBy("RS256", "small", rs256(k.small)), identity.ReasonKeyMismatch},
		{"a key for encryption", good(iss).signedBy("RS256", "for-encryption", rs256(k.rsa)), identity.ReasonUnknownKey},
		{"a key for wrapping", good(iss).signedBy("RS256", "for-wrapping", rs256(k.rsa)), identity.ReasonUnknownKey},
		{"unknown kid", good(iss).head("kid", "nobody"), identity.ReasonUnknownKey},
		{"kid in another case", good(iss).head("kid", "EC"), identity.ReasonUnknownKey},
		{"kid as a path", good(iss).head("kid", "../../../../dev/null"), identity.ReasonUnknownKey},
	}
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "", " none", "hs256", "HS384", "HS512", "es256", "ES256 ", "ES256K", "RSA-OAEP", "dir"} {
		for name, signature := range map[string][]byte{"": {0}, ", well signed": nil} {
			t := good(iss).head("alg", alg)
			if signature != nil {
				t.sign = fixedSignature(signature)
			}
			all = append(all, wrong{"alg " + alg + name, t, identity.ReasonAlgorithm})
		}
	}
	return all
}

func wrongSignature(iss string) []wrong {
	k := keys()
	order := k.p256.Params().N
	sign := func(f func(string) []byte) *token {
		t := good(iss)
		t.sign = f
		return t
	}
	swapped := func() text {
		_, signature := good(iss).parts()
		signed, _ := good(iss).with("sub", "admin").parts()
		return text(signed + "." + b64(signature))
	}
	return []wrong{
		{"another key's, right kid", good(iss).signedBy("RS256", "rsa", rs256(k.other)), identity.ReasonSignature},
		{"PS256 signature under RS256", good(iss).signedBy("RS256", "rsa", ps256(k.rsa)), identity.ReasonSignature},
		{"of other claims", swapped(), identity.ReasonSignature},
		{"r = s = 0", sign(fixedSignature(make([]byte, 64))), identity.ReasonSignature},
		{"r = s = order", sign(fixedSignature(rawSignature(order, order, 32))), identity.ReasonSignature},
		{"r = s = 1", sign(fixedSignature(rawSignature(big.NewInt(1), big.NewInt(1), 32))), identity.ReasonSignature},
		{"DER", sign(es256DER(k.p256)), identity.ReasonSignature},
		{"a byte short", sign(func(s string) []byte { return es256(k.p256)(s)[:63] }), identity.ReasonSignature},
		{"a byte long", sign(func(s string) []byte { return append(es256(k.p256)(s), 0) }), identity.ReasonSignature},
		{"EdDSA, zeros", good(iss).signedBy("EdDSA", "ed", fixedSignature(make([]byte, 64))), identity.ReasonSignature},
		{"RS256, zeros", good(iss).signedBy("RS256", "rsa", fixedSignature(make([]byte, 256))), identity.ReasonSignature},
		{"RS256, ones", good(iss).signedBy("RS256", "rsa", fixedSignature(append(make([]byte, 255), 1))), identity.ReasonSignature},
	}
}

func wrongIssuer(iss, other string) []wrong {
	return []wrong{
		{"no iss", good(iss).with("iss", nil), identity.ReasonIssuer},
		{"iss is a list", good(iss).with("iss", []string{iss}), identity.ReasonIssuer},
		{"iss with a slash", good(iss + "/"), identity.ReasonIssuer},
		{"iss in upper case", good(strings.ToUpper(iss)), identity.ReasonIssuer},
		{"iss with a space", good(iss + " "), identity.ReasonIssuer},
		{"iss of nobody", good("https://nobody.example"), identity.ReasonIssuer},
		{"iss with a path", good(iss + "/tenant"), identity.ReasonIssuer},
		{"iss with a user", good(strings.Replace(iss, "https://", "https://x@", 1)), identity.ReasonIssuer},
		{"iss of another issuer, this one's key", good(other).head("kid", "ed-other"), identity.ReasonKeyMismatch},
		{"iss of another issuer, this one's kid", good(other), identity.ReasonUnknownKey},
		{"this issuer, another's key and kid", good(iss).signedBy("EdDSA", "ed-other", eddsa(keys().ed)), identity.ReasonUnknownKey},
	}
}

func wrongAudience(iss string) []wrong {
	var all []wrong
	for name, aud := range map[string]any{
		"missing": nil, "other": "someone-else", "substring": audience[:len(audience)-1], "superstring": audience + "-evil",
		"other case": strings.ToUpper(audience), "empty": "", "empty list": []string{}, "list of others": []string{"a", "b"},
		"number": 7, "object": map[string]any{audience: true}, "nested list": []any{[]string{audience}},
		"list with a number": []any{audience, 7}, "joined": "a " + audience, "with space": audience + " ", "true": true,
	} {
		all = append(all, wrong{"aud " + name, good(iss).with("aud", aud), identity.ReasonAudience})
	}
	return all
}

func wrongTime(iss string) []wrong {
	now := start().Unix()
	var all []wrong
	for name, v := range map[string]any{
		"missing": nil, "string": "1900000000", "list": []int64{now + 60}, "true": true, "zero": 0, "negative": -1,
		"fraction": float64(now) + 60.5, "exponent": json.RawMessage("1.9e9"), "beyond the year 9999": int64(253402300800),
		"largest integer": int64(1<<63 - 1), "smallest integer": int64(-1 << 63),
	} {
		all = append(all, wrong{"exp " + name, good(iss).with("exp", v), identity.ReasonTimes},
			wrong{"iat " + name, good(iss).with("iat", v), identity.ReasonTimes})
		if v != nil {
			all = append(all, wrong{"nbf " + name, good(iss).with("nbf", v), identity.ReasonTimes})
		}
	}
	return append(all,
		wrong{"exp null", good(iss).with("exp", json.RawMessage("null")), identity.ReasonTimes},
		wrong{"just expired, skew and all", good(iss).with("exp", now-30), identity.ReasonExpired},
		wrong{"long expired", good(iss).with("iat", now-7200).with("nbf", now-7200).with("exp", now-7000), identity.ReasonExpired},
		wrong{"not yet", good(iss).with("nbf", now+31), identity.ReasonNotYetValid},
		wrong{"issued in the future", good(iss).with("iat", now+31), identity.ReasonNotYetValid},
		wrong{"lives too long", good(iss).with("exp", now-60+3601), identity.ReasonLifetime},
		wrong{"expires when issued", good(iss).with("iat", now).with("exp", now), identity.ReasonLifetime},
		wrong{"expires before issued", good(iss).with("iat", now+20).with("exp", now+10), identity.ReasonLifetime},
	)
}

func wrongSubject(iss string) []wrong {
	var all []wrong
	for name, sub := range map[string]any{
		"missing": nil, "empty": "", "number": 42, "list": []string{"fn"}, "long": strings.Repeat("s", 257),
		"NUL": "fn\x00", "line break": "fn\nadmin", "escape": "fn\x1b[2K", "delete": "fn\x7f", "C1 control": "fn\u009b2K",
	} {
		all = append(all, wrong{"sub " + name, good(iss).with("sub", sub), identity.ReasonSubject})
	}
	return append(all,
		wrong{"bound to a key", good(iss).with("cnf", map[string]any{"jkt": "x"}), identity.ReasonBound},
		wrong{"a logout token without typ", good(iss).head("typ", nil).with("events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}), identity.ReasonBound})
}

// TestRefusals holds tokens that are wrong in exactly one way against the verifier: each is refused for exactly that, all
// are told the same, and no error holds the token.
func TestRefusals(t *testing.T) {
	var knocks atomic.Int32
	hostile := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { knocks.Add(1) }))
	defer hostile.Close()
	p, other := newProvider(t), newProvider(t)
	other.publish([]map[string]any{jwk("ed-other", keys().ed.Public(), nil)})

	said := map[string]int{}
	for _, test := range refusals(p.URL, other.URL, hostile.URL) {
		t.Run(test.name, func(t *testing.T) {
			v := newVerifier(t, newClock(), p.document("main"), other.document("other"))
			if _, err := verify(t, v, good(p.URL)); err != nil {
				t.Fatalf("the control is refused: %v", err)
			}
			presented := test.token.String()
			principal, err := verify(t, v, text(presented))
			if principal != nil || err == nil {
				t.Fatalf("accepted as %+v", principal)
			}
			wantReason(t, err, test.why)
			if fault.KindOf(err) != fault.Unauthenticated {
				t.Errorf("kind %v", fault.KindOf(err))
			}
			say, _ := fault.Say(err)
			said[say]++
			for part := range strings.FieldsFuncSeq(presented, func(r rune) bool { return r == '.' }) {
				if len(part) > 16 && strings.Contains(err.Error(), part) {
					t.Errorf("the error holds a part of the token: %v", err)
				}
			}
			if len(err.Error()) > 600 || strings.ContainsAny(err.Error(), "\x00\x1b\n") {
				t.Errorf("the error is not fit for a log: %q", err)
			}
			if _, err := verify(t, v, good(p.URL)); err != nil {
				t.Errorf("afterwards the control is refused: %v", err)
			}
		})
	}
	if len(said) != 1 {
		t.Errorf("clients can tell refusals apart: %v", said)
	}
	if n := knocks.Load(); n != 0 {
		t.Errorf("a token made the gateway ask a stranger %d times", n)
	}
}

// TestAccepted holds what is right against the verifier, so that TestRefusals cannot pass by refusing everything.
func TestAccepted(t *testing.T) {
	p := newProvider(t)
	k, now := keys(), start().Unix()
	for name, tok := range map[string]*token{
		"ES256":                   good(p.URL),
		"RS256":                   good(p.URL).signedBy("RS256", "rsa", rs256(k.rsa)),
		"PS256":                   good(p.URL).signedBy("PS256", "rsa", ps256(k.rsa)),
		"PS256, key for it alone": good(p.URL).signedBy("PS256", "pss-only", ps256(k.rsa)),
		"EdDSA":                   good(p.URL).signedBy("EdDSA", "ed", eddsa(k.ed)),
		"no typ":                  good(p.URL).head("typ", nil),
		"access token":            good(p.URL).head("typ", "at+jwt"),
		"access token, long form": good(p.URL).head("typ", "application/AT+JWT"),
		"no kid, one key fits":    good(p.URL).head("kid", nil),
		"thumbprint, unread":      good(p.URL).head("x5t", "abc"),
		"audiences with others":   good(p.URL).with("aud", []string{"else", audience}),
		"no nbf":                  good(p.URL).with("nbf", nil),
		"expired within skew":     good(p.URL).with("exp", now-29),
		"nbf within skew":         good(p.URL).with("nbf", now+30),
		"iat within skew":         good(p.URL).with("iat", now+30),
		"longest lifetime":        good(p.URL).with("exp", now-60+3600),
		"8 KiB":                   good(p.URL).with("pad", strings.Repeat("x", 6<<10)),
		"longest subject":         good(p.URL).with("sub", strings.Repeat("s", 256)),
		"subject beyond ASCII":    good(p.URL).with("sub", "zoë/функция"),
	} {
		t.Run(name, func(t *testing.T) {
			v := newVerifier(t, newClock(), p.document("main"))
			principal, err := verify(t, v, tok)
			if err != nil {
				t.Fatal(err)
			}
			exp, _ := tok.claims["exp"].(int64)
			if principal.Issuer != p.URL || principal.Subject != tok.claims["sub"] || principal.Kind != access.Workload ||
				principal.Expires.Unix() != exp {
				t.Errorf("%+v", principal)
			}
			shop, _ := principal.Claims["shop"].(map[string]any)
			if shop["tier"] != int64(3) || shop["team"] != "payments" {
				t.Errorf("claims: %#v", principal.Claims)
			}
		})
	}
}

// TestEveryByteCounts changes each letter of a good token in turn.
func TestEveryByteCounts(t *testing.T) {
	p := newProvider(t)
	v := newVerifier(t, newClock(), p.document("main"))
	presented := good(p.URL).String()
	for i := range len(presented) {
		for _, b := range []byte{'A', 'b', '.', ' ', '='} {
			if presented[i] == b {
				continue
			}
			changed := presented[:i] + string(b) + presented[i+1:]
			if who, err := verify(t, v, text(changed)); err == nil {
				t.Fatalf("with %q at %d the token is still good, for %s", b, i, who.ID())
			}
		}
	}
}

func TestRefusalIsOneText(t *testing.T) {
	ref, err := identity.NewRef(strings.NewReader("\x00\x1f\x20\xff\x07\x0a"))
	if err != nil || ref != "0z0z7a" {
		t.Fatalf("NewRef = %q, %v", ref, err)
	}
	if _, err := identity.NewRef(strings.NewReader("short")); err == nil {
		t.Error("NewRef makes do with too little randomness")
	}
	for _, cause := range []error{nil, fault.New(fault.Denied, "x", "secret story"), http.ErrNotSupported} {
		err := identity.Refusal(ref, cause)
		say, hint := fault.Say(err)
		want := "authentication failed (ref 0z0z7a): run gatehouse whoami, or give this reference to your administrator"
		if say != want || hint != "" || fault.KindOf(err) != fault.Unauthenticated {
			t.Errorf("Refusal(%v) says %q, %q as %v", cause, say, hint, fault.KindOf(err))
		}
	}
}
