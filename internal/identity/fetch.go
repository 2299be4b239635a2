package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	fetchTimeout = 10 * time.Second
	maxDocument  = 1 << 20 // bytes of a discovery document or key set
	maxRedirects = 3
)

// fetcher gets the keys of one issuer: the discovery document (OpenID Connect Discovery 1.0 §4) and the key set that it
// names.
type fetcher struct {
	issuer string
	client *http.Client
}

func newFetcher(issuerURL string, transport http.RoundTripper) *fetcher {
	return &fetcher{issuer: issuerURL, client: &http.Client{
		Transport: transport,
		Timeout:   fetchTimeout,
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			first := via[0].URL
			if len(via) > maxRedirects || next.URL.Scheme != first.Scheme || next.URL.Host != first.Host {
				return errors.New("redirected to another host, or too often")
			}
			return nil
		},
	}}
}

// keys fetches the issuer's present keys.
func (f *fetcher) keys(ctx context.Context) (*keySet, error) {
	b, err := f.get(ctx, strings.TrimSuffix(f.issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	document, err := decodeObject(b)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	if document["issuer"] != f.issuer {
		return nil, fmt.Errorf("discovery: the document is for issuer %.128q, not %q", document["issuer"], f.issuer)
	}
	where, err := f.keysURL(document["jwks_uri"])
	if err != nil {
		return nil, err
	}
	if b, err = f.get(ctx, where); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return parseKeys(b)
}

// keysURL checks where the discovery document points to. Another host is in order (large issuers do so); plain text is
// not, unless the issuer itself is reached so on this machine.
func (f *fetcher) keysURL(v any) (string, error) {
	s, _ := v.(string)
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || !secure(u) {
		return "", errors.New("discovery: jwks_uri is missing or not an https address")
	}
	if u.Scheme != "https" && strings.HasPrefix(f.issuer, "https:") {
		return "", errors.New("discovery: jwks_uri of an https issuer is plain text")
	}
	return s, nil
}

func (f *fetcher) get(ctx context.Context, where string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := f.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", request.URL.Host, response.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxDocument {
		return nil, fmt.Errorf("%s sent more than %d bytes", request.URL.Host, maxDocument)
	}
	return b, nil
}

// reach is how far inside a network an address lies.
type reach int32

const (
	reachPublic reach = iota
	reachPrivate
	reachLoopback
	reachNever // link-local, where clouds keep their metadata, multicast and unspecified
)

func reachOf(a netip.Addr) reach {
	a = a.Unmap()
	switch {
	case a.IsLoopback():
		return reachLoopback
	case !a.IsGlobalUnicast():
		return reachNever
	case a.IsPrivate(), netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10).Contains(a):
		return reachPrivate
	}
	return reachPublic
}

// mayFollow reports whether an issuer may send the gateway to an address: no further inside than the issuer itself is,
// so that a public issuer's document cannot be used to knock at private doors.
func mayFollow(issuer, other reach) bool { return other != reachNever && other <= issuer }

// defaultTransport dials an issuer without proxy and without keeping connections, which are needed too seldom.
func defaultTransport(issuerHost string, roots *x509.CertPool) http.RoundTripper {
	g := &guard{host: issuerHost}
	return &http.Transport{
		DialContext:            g.dial,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    fetchTimeout / 2,
		ResponseHeaderTimeout:  fetchTimeout / 2,
		MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives:      true,
		ForceAttemptHTTP2:      true,
	}
}

// guard remembers where the issuer itself was found, and holds every other host to it.
type guard struct {
	host   string
	inside atomic.Int32 // a reach
}

func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: fetchTimeout / 2, Control: g.follow}
	if host, _, err := net.SplitHostPort(address); err == nil && strings.EqualFold(host, g.host) {
		d.Control = g.note
	}
	return d.DialContext(ctx, network, address)
}

// note sees the resolved address of the issuer itself.
func (g *guard) note(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	g.inside.Store(int32(reachOf(a.Addr())))
	return nil
}

// follow sees the resolved address of another host, before anything is sent to it.
func (g *guard) follow(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !mayFollow(reach(g.inside.Load()), reachOf(a.Addr())) {
		return errors.New("the issuer's document points to an address further inside the network than the issuer")
	}
	return nil
}
