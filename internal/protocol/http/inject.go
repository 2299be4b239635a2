package http

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire/exchange"
)

// injector puts a backend's credential into requests, as a connection's document says. It is safe for concurrent use.
type injector struct {
	how    access.Injection
	clock  func() time.Time
	signed []piece // hmac: the template
	oauth  *oauth
}

// fetch sends a request of the gateway's own: the signer puts the client's secret in.
type fetch func(ctx context.Context, out gate.Outgoing, sign gate.Signer) (*gate.Fetched, error)

// newInjector checks what a document says of its credential's use.
func newInjector(c access.Credential, clock func() time.Time) (*injector, error) {
	i := &injector{clock: clock, how: access.Injection{As: "bearer"}}
	if c.Inject != nil {
		i.how = *c.Inject
	} else if !c.Named() {
		i.how.As = "none"
	}
	switch h := &i.how; h.As {
	case "none", "bearer":
		return i, nil
	case "basic":
		if strings.Contains(c.User, ":") || !printableASCII(c.User) {
			return nil, errors.New("credential: a user of basic authentication has no colon and no control characters")
		}
	case "query":
		if h.Name == "" {
			return nil, errors.New("credential.inject: query needs the name of a parameter")
		}
	case "header":
		return i, headerName(h.Name)
	case "hmac":
		return i, i.compileHMAC()
	case "oauth2":
		o, err := newOAuth(*h, clock)
		i.oauth = o
		return i, err
	default:
		return nil, fmt.Errorf("credential.inject: %q is none of bearer, basic, header, query, oauth2, hmac, none", h.As)
	}
	return i, nil
}

// headerName refuses names of headers that a credential cannot stand in.
func headerName(name string) error {
	name = textproto.CanonicalMIMEHeaderKey(name)
	if !plainName(name) || hopByHop(name) || gatewaysOwn(name) || overrides(name) || name == "Host" || strings.HasPrefix(name, "Content-") {
		return fmt.Errorf("%q is no header for a credential", name)
	}
	return nil
}

// printableASCII reports whether s holds printable ASCII only.
func printableASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// readsBody reports whether a signature covers the body: it has to be held.
func (i *injector) readsBody() bool {
	for _, p := range i.signed {
		if p.name == "body" || p.name == "body_sha256" {
			return true
		}
	}
	return false
}

// inject puts the credential into r, in place of whatever the client put there, and returns what must not come back. Its errors
// hold nothing of a secret.
func (i *injector) inject(r *http.Request, user string, secret access.Secret, token string, body []byte) ([][]byte, error) {
	if i.how.As == "none" {
		return nil, nil
	}
	word, err := wordOf(secret)
	if err != nil {
		return nil, err
	}
	if len(word) < exchange.MinEcho && i.signed == nil && i.oauth == nil {
		return nil, unusable("it has fewer bytes than can be told from other text: it could not be kept out of answers")
	}
	secrets := [][]byte{[]byte(word)}
	switch i.how.As {
	case "bearer":
		return secrets, bearer(r, word)
	case "basic":
		r.SetBasicAuth(user, word)
		return append(secrets, []byte(user+":"+word)), nil
	case "header":
		r.Header.Set(i.how.Name, i.how.Prefix+word)
		return secrets, nil
	case "query":
		i.intoQuery(r.URL, word)
		return secrets, nil
	case "hmac":
		signature, err := i.sign(r, []byte(word), body)
		return append(secrets, signature), err
	}
	if token == "" {
		return nil, unusable("no token was minted")
	}
	return append(secrets, []byte(token)), bearer(r, token)
}

// passesAuthorization reports whether the backend is sent the client's own Authorization, where the token came in another header: then
// it says as whom the request is made.
func (e *endpoint) passesAuthorization() bool {
	if e.inject == nil {
		return false
	}
	switch how := e.inject.how; how.As {
	case "bearer", "basic", "oauth2":
		return false
	case "header", "hmac":
		return !strings.EqualFold(how.Name, "Authorization")
	}
	return true
}

// token returns what inject needs besides the secret; "" where that is nothing.
func (i *injector) token(ctx context.Context, get fetch) (string, error) {
	if i.oauth == nil {
		return "", nil
	}
	return i.oauth.token(ctx, get)
}

// wordOf returns a secret as a request carries it.
func wordOf(secret access.Secret) (string, error) {
	word := strings.TrimRight(string(secret.Reveal()), "\r\n") // as files end
	if word == "" || !printableASCII(word) {
		return "", unusable("it is empty, or holds what a request cannot carry")
	}
	return word, nil
}

func bearer(r *http.Request, token string) error {
	if strings.ContainsAny(token, " \t") {
		return unusable("a bearer token has no spaces")
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return nil
}

func unusable(why string) error {
	return &fault.Error{Op: "http.inject", Kind: fault.Unavailable, Err: errors.New(why), Say: "the backend's credential cannot be used: nothing was sent"}
}

// intoQuery puts the secret where the client's parameter of that name was, in whatever case.
func (i *injector) intoQuery(u *url.URL, word string) {
	var kept []string
	for part := range strings.SplitSeq(u.RawQuery, "&") {
		name, _, _ := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(name)
		if part != "" && err == nil && !strings.EqualFold(plain, i.how.Name) {
			kept = append(kept, part)
		}
	}
	kept = append(kept, encode(i.how.Name, keptInQuery)+"="+encode(word, "-._~"))
	u.RawQuery = strings.Join(kept, "&")
}

// piece is a part of a template: literal text, or what a name stands for.
type piece struct {
	text string
	name string // method, path, query, host, time, body, body_sha256, header
	of   string // header: which
}

func (i *injector) compileHMAC() error {
	h := &i.how
	if err := headerName(h.Name); err != nil {
		return err
	}
	if h.TimeName != "" {
		if err := headerName(h.TimeName); err != nil {
			return err
		}
	}
	if _, err := digest(h.Algorithm); err != nil {
		return err
	}
	if h.Encoding != "" && h.Encoding != "hex" && h.Encoding != "base64" {
		return fmt.Errorf("credential.inject: %q is neither hex nor base64", h.Encoding)
	}
	for rest := h.Template; rest != ""; {
		before, after, found := strings.Cut(rest, "{")
		if i.signed = append(i.signed, piece{text: before}); !found {
			break
		}
		name, next, closed := strings.Cut(after, "}")
		kind, of, _ := strings.Cut(name, ":")
		switch kind {
		case "method", "path", "query", "host", "time", "body", "body_sha256":
			closed = closed && of == ""
		case "header":
			closed = closed && plainName(of)
		default:
			closed = false
		}
		if !closed {
			return fmt.Errorf("credential.inject: {%s} is none of {method} {path} {query} {host} {time} {body} {body_sha256} {header:Name}", name)
		}
		i.signed = append(i.signed, piece{name: kind, of: of})
		rest = next
	}
	if len(i.signed) < 2 {
		return errors.New("credential.inject: a template that names nothing of the request signs every request alike")
	}
	return nil
}

func digest(algorithm string) (func() hash.Hash, error) {
	switch algorithm {
	case "", "sha256":
		return sha256.New, nil
	case "sha384":
		return sha512.New384, nil
	case "sha512":
		return sha512.New, nil
	}
	return nil, fmt.Errorf("credential.inject: %q is none of sha256, sha384, sha512", algorithm)
}

// sign puts a signature over the template into its header, and returns it: whoever has it can send the request again.
func (i *injector) sign(r *http.Request, key, body []byte) ([]byte, error) {
	alg, err := digest(i.how.Algorithm)
	if err != nil {
		return nil, err
	}
	now := strconv.FormatInt(i.clock().Unix(), 10)
	if i.how.TimeName != "" {
		r.Header.Set(i.how.TimeName, now)
	}
	mac := hmac.New(alg, key)
	for _, p := range i.signed {
		_, _ = mac.Write(p.value(r, now, body))
	}
	value := hex.EncodeToString(mac.Sum(nil))
	if i.how.Encoding == "base64" {
		value = base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	r.Header.Set(i.how.Name, i.how.Prefix+value)
	return []byte(value), nil
}

// value is what a piece stands for in one request.
func (p piece) value(r *http.Request, now string, body []byte) []byte {
	switch p.name {
	case "method":
		return []byte(r.Method)
	case "path":
		return []byte(r.URL.EscapedPath())
	case "query":
		return []byte(r.URL.RawQuery)
	case "host":
		if r.Host != "" {
			return []byte(r.Host)
		}
		return []byte(r.URL.Host)
	case "time":
		return []byte(now)
	case "body":
		return body
	case "body_sha256":
		sum := sha256.Sum256(body)
		return []byte(hex.EncodeToString(sum[:]))
	case "header":
		return []byte(strings.Join(r.Header.Values(p.of), ", "))
	}
	return []byte(p.text)
}
