package access

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Endpoint is where a backend listens.
type Endpoint struct {
	Scheme string // "" where the address has none
	Host   string // host:port
	Base   string // the path before every request's own; "" or /v2, without a slash at its end
}

// ParseEndpoint reads a connection's address: host:port, or a URL of https or http with neither a user, a query nor a fragment.
func ParseEndpoint(address string) (Endpoint, error) {
	if !strings.Contains(address, "://") {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return Endpoint{}, fmt.Errorf("%q is neither host:port nor a URL such as https://api.example.com", address)
		}
		return Endpoint{Host: address}, nil
	}
	ports := map[string]string{"https://": "443", "http://": "80"}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return Endpoint{}, fmt.Errorf("%q is no URL", address)
	case ports[u.Scheme+"://"] == "":
		return Endpoint{}, fmt.Errorf("%q: a URL begins with https:// or http://", address)
	case u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.RawPath != "":
		return Endpoint{}, fmt.Errorf("%q: a URL here has a host, a port and a plain path, nothing else", address)
	}
	port := u.Port()
	if port == "" {
		port = ports[u.Scheme+"://"]
	}
	return Endpoint{Scheme: u.Scheme, Host: net.JoinHostPort(strings.ToLower(u.Hostname()), port), Base: strings.TrimRight(u.Path, "/")}, nil
}

// URL returns the endpoint's scheme and host as a URL; one without a scheme has TLS.
func (e Endpoint) URL() *url.URL {
	scheme := e.Scheme
	if scheme == "" {
		scheme = "https"
	}
	return &url.URL{Scheme: scheme, Host: e.Host}
}
