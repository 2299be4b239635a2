package exchange

import (
	"net/http"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/wire"
)

// The headers of the gateway's own. None is ever sent to a backend.
const (
	HeaderToken    = "X-Gatehouse-Token" // #nosec G101 -- the name of a header
	HeaderApproval = "Gatehouse-Approval"
)

// prefix is what a request's path begins with where the path names the connection.
const prefix = "/c/"

// Route tells which connection a request is for, and the rest of its target as the client wrote it: from the path
// /c/<connection>/…, or from a host below domain, whose first label is the connection's name. A host form and a path form
// never mix: below domain a path /c/… is the backend's own.
func Route(r *http.Request, domain string) (connection, target string, err error) {
	if name, ok := below(r.Host, domain); ok {
		return name, r.RequestURI, nil
	}
	rest, ok := strings.CutPrefix(r.RequestURI, prefix)
	if !ok {
		return "", "", fault.New(fault.NotFound, "exchange.Route", "the request names no connection: call %s<connection>/ and what follows", prefix)
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	connection, target = rest[:end], rest[end:]
	if !strings.HasPrefix(target, "/") {
		target = "/" + target
	}
	return connection, target, nil
}

// below returns the label before domain in host.
func below(host, domain string) (string, bool) {
	if domain == "" {
		return "", false
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	name, ok := strings.CutSuffix(strings.ToLower(host), "."+strings.ToLower(domain))
	return name, ok && name != ""
}

// bearer takes the token out of a request, whatever headers it stands in: X-Gatehouse-Token before Proxy-Authorization before
// Authorization. An Authorization beside one of the others is the backend's, unless the gateway puts its own there. Two tokens
// in one place, or one of another scheme, are refused.
func bearer(r *http.Request) (access.Secret, error) {
	for _, name := range []string{HeaderToken, "Proxy-Authorization", "Authorization"} {
		values := r.Header.Values(name)
		if len(values) == 0 {
			continue
		}
		r.Header.Del(name)
		if len(values) > 1 {
			return access.Secret{}, errToken("the header %s stands twice", name)
		}
		token := values[0]
		if name != HeaderToken {
			scheme, rest, _ := strings.Cut(token, " ")
			if !strings.EqualFold(scheme, "Bearer") {
				return access.Secret{}, errToken("the header %s is not of the scheme Bearer", name)
			}
			token = rest
		}
		r.Header.Del(HeaderToken)
		r.Header.Del("Proxy-Authorization")
		token = strings.TrimSpace(token)
		Forget(r, token)
		return access.NewSecret([]byte(token)), nil
	}
	return access.Secret{}, errToken("the request has no token")
}

// Forget takes a token that came elsewhere out of Authorization, where it stands a second time: there it would reach the backend.
func Forget(r *http.Request, token string) {
	for _, v := range r.Header["Authorization"] {
		if scheme, rest, _ := strings.Cut(v, " "); strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(rest) == token {
			r.Header.Del("Authorization")
			return
		}
	}
}

func errToken(format string, args ...any) error {
	e := fault.New(fault.Unauthenticated, "exchange.Bearer", format, args...)
	e.Hint = "Send the platform's token as Authorization: Bearer, or in " + HeaderToken + " where the backend reads Authorization."
	return e
}

// Claim is Route and the token: what most protocols' requests claim.
func Claim(r *http.Request, h wire.Hello) (wire.Login, error) {
	connection, _, err := Route(r, h.Domain)
	if err != nil {
		return wire.Login{}, err
	}
	token, err := bearer(r)
	return wire.Login{Connection: connection, Token: token}, err
}
