package aws

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// The algorithms of signatures that are understood.
const (
	sigV4  = "AWS4-HMAC-SHA256"
	sigV4A = "AWS4-ECDSA-P256-SHA256"
)

// scope is what a client's signature says that it is for. Nothing of it is proven: the client has no secret that Gatehouse or
// AWS knows. Who calls is what the token says.
type scope struct {
	Service   string
	Region    string // "" in SigV4A, which names sets of regions
	Regions   string // the set, in SigV4A
	Presigned bool
	Until     time.Time     // until when a presigned URL means to hold
	Token     access.Secret // what stands where a session token goes
}

var (
	scopePart  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	regionPart = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	regionSet  = regexp.MustCompile(`^[a-z0-9*,-]{1,128}$`)
)

// scopeOf reads the scope of a request, from its header or, presigned, from its query.
func scopeOf(h http.Header, query url.Values) (scope, error) {
	presigned := false
	for name := range query {
		presigned = presigned || strings.EqualFold(name, "X-Amz-Signature") || strings.EqualFold(name, "X-Amz-Credential")
	}
	authorization := h.Values("Authorization")
	switch {
	case len(authorization) > 1, len(authorization) > 0 && presigned:
		return scope{}, malformed("the request is signed twice: sign it once, in the header or in the query")
	case presigned:
		return scopeOfQuery(query)
	case len(authorization) == 0:
		return scope{}, fault.New(fault.Unauthenticated, "aws.scope", "the request is not signed: give the SDK credentials whose session token is your token; the access key and the secret may be any words")
	}
	return scopeOfHeader(h, authorization[0])
}

func scopeOfHeader(h http.Header, authorization string) (scope, error) {
	algorithm, rest, _ := strings.Cut(authorization, " ")
	var credential string
	for _, part := range strings.Split(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if name == "Credential" {
			if credential != "" {
				return scope{}, malformed("the Authorization header has two credentials")
			}
			credential = value
		}
	}
	tokens := h.Values("X-Amz-Security-Token")
	if len(tokens) > 1 {
		return scope{}, malformed("the request has two session tokens")
	}
	s, err := parseScope(algorithm, credential, h.Values("X-Amz-Region-Set"))
	if err == nil && len(tokens) == 1 {
		s.Token = access.NewSecret([]byte(tokens[0]))
	}
	return s, err
}

func scopeOfQuery(query url.Values) (scope, error) {
	one := func(name string) (string, error) {
		found, value := 0, ""
		for n, v := range query {
			if strings.EqualFold(n, name) {
				found += len(v)
				value = v[0]
			}
		}
		if found > 1 {
			return "", malformed("the query has %s twice", name)
		}
		return value, nil
	}
	var v [6]string
	for i, name := range [...]string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Security-Token", "X-Amz-Region-Set", "X-Amz-Date", "X-Amz-Expires"} {
		var err error
		if v[i], err = one(name); err != nil {
			return scope{}, err
		}
	}
	var regions []string
	if v[3] != "" {
		regions = []string{v[3]}
	}
	s, err := parseScope(v[0], v[1], regions)
	if err != nil {
		return s, err
	}
	from, err1 := time.Parse("20060102T150405Z", v[4])
	seconds, err2 := strconv.Atoi(v[5])
	if err1 != nil || err2 != nil || seconds < 0 || seconds > maxPresigned {
		return s, malformed("a presigned URL needs X-Amz-Date, and X-Amz-Expires of at most %d seconds", maxPresigned)
	}
	s.Presigned, s.Token, s.Until = true, access.NewSecret([]byte(v[2])), from.Add(time.Duration(seconds)*time.Second)
	return s, nil
}

const maxPresigned = 7 * 24 * 3600 // seconds, as AWS has it

// parseScope reads AKID/20260102/eu-west-1/s3/aws4_request, or AKID/20260102/s3/aws4_request in SigV4A.
func parseScope(algorithm, credential string, regions []string) (scope, error) {
	parts := strings.Split(credential, "/")
	want := map[string]int{sigV4: 5, sigV4A: 4}[algorithm]
	if want == 0 {
		return scope{}, malformed("the signature is of a kind that is not understood: sign with %s or %s", sigV4, sigV4A)
	}
	n := len(parts)
	if n < want || parts[n-1] != "aws4_request" {
		return scope{}, malformed("the credential of the signature has no scope such as ID/20260102/eu-west-1/service/aws4_request")
	}
	s := scope{Service: parts[n-2]}
	switch {
	case !scopePart.MatchString(s.Service):
		return scope{}, malformed("the scope of the signature names no service")
	case algorithm == sigV4:
		s.Region = parts[n-3]
		if !regionPart.MatchString(s.Region) {
			return scope{}, malformed("the scope of the signature names no region")
		}
	case len(regions) != 1 || !regionSet.MatchString(regions[0]):
		return scope{}, malformed("a signature of %s needs one X-Amz-Region-Set", sigV4A)
	default:
		s.Regions = regions[0]
	}
	return s, nil
}

func malformed(format string, args ...any) error {
	return fault.New(fault.Malformed, "aws.understand", format, args...)
}
