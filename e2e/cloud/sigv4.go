package cloud

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm = "AWS4-HMAC-SHA256"
	unsigned  = "UNSIGNED-PAYLOAD"
	stamp     = "20060102T150405Z"
	skew      = 5 * time.Minute
)

// signature is what a request says of how it was signed.
type signature struct {
	accessKey, date, region, service string
	headers                          []string
	value                            string
	time                             string
	presigned                        bool
	expires                          time.Duration
}

// key is a credential that the account knows.
type key struct {
	secret string
	token  string // of a session
	who    string
}

// signatureOf reads what a request says, from its header or its query.
func signatureOf(r *http.Request) (*signature, error) {
	s := &signature{}
	var credential, headers string
	if q := r.URL.Query(); q.Has("X-Amz-Algorithm") {
		if q.Get("X-Amz-Algorithm") != algorithm || r.Header.Get("Authorization") != "" {
			return nil, errors.New("signed in two ways, or in another")
		}
		seconds, err := strconv.Atoi(q.Get("X-Amz-Expires"))
		if err != nil {
			return nil, err
		}
		s.presigned, s.expires = true, time.Duration(seconds)*time.Second
		credential, headers, s.value, s.time = q.Get("X-Amz-Credential"), q.Get("X-Amz-SignedHeaders"), q.Get("X-Amz-Signature"), q.Get("X-Amz-Date")
	} else {
		rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), algorithm+" ")
		if !ok {
			return nil, errors.New("not signed")
		}
		for part := range strings.SplitSeq(rest, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			switch name {
			case "Credential":
				credential = value
			case "SignedHeaders":
				headers = value
			case "Signature":
				s.value = value
			}
		}
		s.time = r.Header.Get("X-Amz-Date")
	}
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || scope[4] != "aws4_request" {
		return nil, fmt.Errorf("the scope %q is none", credential)
	}
	s.accessKey, s.date, s.region, s.service = scope[0], scope[1], scope[2], scope[3]
	s.headers = strings.Split(headers, ";")
	return s, nil
}

// check says why the signature is not that of the account's key. digest is the body's, for requests that do not declare one.
func (s *signature) check(r *http.Request, k key, digest string, now time.Time) error {
	at, err := time.Parse(stamp, s.time)
	if err != nil || at.Format("20060102") != s.date {
		return fmt.Errorf("the time %q is not that of its scope", s.time)
	}
	if late := now.Sub(at); late < -skew || late > max(skew, s.expires) {
		return fmt.Errorf("signed %s ago", late)
	}
	if !slices.Contains(s.headers, "host") {
		return errors.New("the host is not signed")
	}
	for name := range r.Header {
		if l := strings.ToLower(name); strings.HasPrefix(l, "x-amz-") && !slices.Contains(s.headers, l) {
			return fmt.Errorf("%s is not signed", l)
		}
	}
	token := r.Header.Get("X-Amz-Security-Token")
	if s.presigned {
		token = r.URL.Query().Get("X-Amz-Security-Token")
	}
	if token != k.token {
		return errors.New("the session token is not the key's")
	}
	scope := strings.Join([]string{s.date, s.region, s.service, "aws4_request"}, "/")
	sum := sha256.Sum256([]byte(s.canonical(r, digest)))
	toSign := strings.Join([]string{algorithm, s.time, scope, hex.EncodeToString(sum[:])}, "\n")
	signing := []byte("AWS4" + k.secret)
	for _, part := range []string{s.date, s.region, s.service, "aws4_request", toSign} {
		mac := hmac.New(sha256.New, signing)
		mac.Write([]byte(part))
		signing = mac.Sum(nil)
	}
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(signing)), []byte(s.value)) != 1 {
		return errors.New("the signature is not that of the key")
	}
	return nil
}

// canonical is the request as both sides sign it.
func (s *signature) canonical(r *http.Request, digest string) string {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	if s.service == "s3" {
		decoded, err := url.PathUnescape(path)
		if err != nil {
			decoded = path
		}
		path = decoded
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n%s\n%s\n", r.Method, encode(path, true), s.canonicalQuery(query))
	for _, name := range s.headers {
		values := r.Header.Values(name)
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{strconv.FormatInt(r.ContentLength, 10)}
		case "transfer-encoding":
			values = r.TransferEncoding
		}
		trimmed := make([]string, len(values))
		for i, v := range values {
			trimmed[i] = strings.Join(strings.FieldsFunc(v, func(r rune) bool { return r == ' ' }), " ")
		}
		fmt.Fprintf(&out, "%s:%s\n", name, strings.Join(trimmed, ","))
	}
	declared := r.Header.Get("X-Amz-Content-Sha256")
	switch {
	case declared != "":
		digest = declared
	case s.presigned:
		digest = unsigned
	}
	fmt.Fprintf(&out, "\n%s\n%s", strings.Join(s.headers, ";"), digest)
	return out.String()
}

func (s *signature) canonicalQuery(query string) string {
	var pairs []string
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if pair == "" || s.presigned && name == "X-Amz-Signature" {
			continue
		}
		pairs = append(pairs, reencode(name)+"="+reencode(value))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// reencode writes what a client encoded somehow in the one way that is signed.
func reencode(s string) string {
	decoded, err := url.PathUnescape(s) // a plus is a plus
	if err != nil {
		return s
	}
	return encode(decoded, false)
}

func encode(s string, slashes bool) string {
	var out strings.Builder
	for _, b := range []byte(s) {
		switch {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', strings.IndexByte("-._~", b) >= 0, slashes && b == '/':
			out.WriteByte(b)
		default:
			fmt.Fprintf(&out, "%%%02X", b)
		}
	}
	return out.String()
}
