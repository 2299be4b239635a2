package http

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire/exchange"
)

// prepare gets the token that the backend wants, where it has to be minted: it is the gateway's own request, on record as such.
func (v *visit) prepare(ctx context.Context) (err error) {
	v.token, err = v.e.inject.token(ctx, func(ctx context.Context, out gate.Outgoing, sign gate.Signer) (*gate.Fetched, error) {
		return v.x.Fetch(ctx, gate.Own{Name: prefix + "Token", Text: out.Method + " " + out.URL.String()}, out, sign)
	})
	return err
}

// sign puts the backend's credential in, and learns what must not come back.
func (v *visit) sign(_ context.Context, r *http.Request, c gate.Credential) error {
	secrets, err := v.e.inject.inject(r, c.User, c.Password, v.token, v.signed)
	v.echo = v.e.echoes.Of(secrets...)
	return err
}

// forwarding is what the backend is told about where the request comes from.
func (v *visit) forwarding() forwarding {
	f := forwarding{peer: v.r.RemoteAddr, host: v.r.Host, scheme: name}
	if host, _, err := net.SplitHostPort(f.peer); err == nil {
		f.peer = host
	}
	if v.r.TLS != nil {
		f.scheme = "https"
	}
	if o := v.conn.HTTP; o != nil && o.KeepPrefix {
		f.prefix = v.here()
	}
	return f
}

// here is the path of the connection as this client reaches it; "" where a host names it.
func (v *visit) here() string {
	path, _, _ := strings.Cut(v.r.RequestURI, "?") // /c/name?query has no slash that both would end in
	rest, _, _ := strings.Cut(v.raw, "?")
	return strings.TrimSuffix(path, rest)
}

// origins is what references in the answer are rewritten by.
func (v *visit) origins() origins { return origins{v.e.base.URL(), v.e.base.Base, v.here()} }

// hostOf is the Host that the backend is sent: what the document says, else the address, without a port that goes without saying.
func hostOf(c *access.Connection, u *url.URL) string {
	if c.HTTP != nil && c.HTTP.Host != "" {
		return c.HTTP.Host
	}
	if u.Scheme == "https" && u.Port() == "443" || u.Scheme == name && u.Port() == "80" {
		host := u.Hostname()
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		return host
	}
	return u.Host
}

// readable sees to it that the backend's credential can be found in an answer: encoded, it could not.
func (v *visit) readable(resp *http.Response) error {
	cleanResponse(resp.Header, v.origins())
	if resp.StatusCode == http.StatusUnauthorized && v.token != "" {
		v.e.inject.oauth.rejected(v.token)
	}
	v.echo.Header(resp.Header)
	v.echo.Header(resp.Trailer) // whose names are announced
	encoding := strings.Join(resp.Header.Values("Content-Encoding"), ",")
	if v.echo == nil || encoding == "" || strings.EqualFold(encoding, "identity") ||
		v.r.Method == http.MethodHead || resp.StatusCode == http.StatusNotModified {
		return nil
	}
	if exchange.Unpack(resp, v.p.coder, encoding) != nil {
		return errEncoded
	}
	return nil
}

var errEncoded = &fault.Error{Op: "http.readable", Kind: fault.Backend, Say: "the backend's answer has an encoding that the gateway cannot read"}
