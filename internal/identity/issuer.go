package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

const (
	defaultLifetime = time.Hour
	maxLifetime     = 7 * 24 * time.Hour
	defaultSkew     = 30 * time.Second
	maxSkew         = 60 * time.Second
)

// issuer is an Issuer document, checked, with its defaults filled in and the source of its keys. It is immutable, and a
// new one is made whenever its document changes: the cache of verified tokens compares its address.
type issuer struct {
	document   access.Issuer
	name       string
	url        string
	audiences  []string
	algorithms []jose.SignatureAlgorithm
	lifetime   time.Duration
	skew       time.Duration
	kind       access.PrincipalKind
	keys       *source
}

// defaultAlgorithms is what an issuer may sign with unless its document says otherwise.
func defaultAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}
}

// knownAlgorithm tells the algorithms that a document may name: signatures by asymmetric keys only, so that a public key
// is never a shared secret.
func knownAlgorithm(a jose.SignatureAlgorithm) bool {
	switch a {
	case jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA:
		return true
	}
	return false
}

// compile checks d and fills in defaults. The error says which key of the document is wrong, and what would be right.
func compile(d *access.Issuer) (*issuer, error) {
	if d == nil || d.Name == "" {
		return nil, errors.New("an issuer has no name")
	}
	i := &issuer{document: *d, name: d.Name, url: d.URL, audiences: slices.Clone(d.Audiences)}
	i.document.Audiences, i.document.Algorithms = i.audiences, slices.Clone(d.Algorithms)
	for _, check := range []func(*access.Issuer) error{i.setURL, i.setAudiences, i.setAlgorithms, i.setTimes, i.setKind} {
		if err := check(d); err != nil {
			return nil, fault.Wrap(fault.Malformed, "identity.SetIssuers", err, "issuer %q: %s", d.Name, err)
		}
	}
	return i, nil
}

func (i *issuer) setURL(d *access.Issuer) error {
	u, err := url.Parse(d.URL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(d.URL, "#") {
		return errors.New("url: give the issuer's address, such as https://issuer.example, without user, query or fragment")
	}
	if !secure(u) {
		return errors.New("url: must begin with https:// (plain text is for issuers on this machine's loopback only)")
	}
	return nil
}

func (i *issuer) setAudiences(d *access.Issuer) error {
	if len(d.Audiences) == 0 || slices.Contains(d.Audiences, "") {
		return errors.New("audiences: name at least one; a token must have been made for this gateway")
	}
	return nil
}

func (i *issuer) setAlgorithms(d *access.Issuer) error {
	for _, name := range d.Algorithms {
		a := jose.SignatureAlgorithm(name)
		if !knownAlgorithm(a) {
			return fmt.Errorf("algorithms: %q is not one of RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA", name)
		}
		i.algorithms = append(i.algorithms, a)
	}
	if len(i.algorithms) == 0 {
		i.algorithms = defaultAlgorithms()
	}
	return nil
}

func (i *issuer) setTimes(d *access.Issuer) error {
	i.lifetime, i.skew = time.Duration(d.MaxLifetime), time.Duration(d.Skew)
	if i.lifetime == 0 {
		i.lifetime = defaultLifetime
	}
	if i.skew == 0 {
		i.skew = defaultSkew
	}
	if i.lifetime < 0 || i.lifetime > maxLifetime {
		return fmt.Errorf("max_lifetime: must be more than 0 and at most %s", maxLifetime)
	}
	if i.skew < 0 || i.skew > maxSkew {
		return fmt.Errorf("skew: must be between 0 and %s", maxSkew)
	}
	return nil
}

func (i *issuer) setKind(d *access.Issuer) error {
	switch d.Kind {
	case "", string(access.Workload):
		i.kind = access.Workload
	case string(access.Person):
		i.kind = access.Person
	default:
		return fmt.Errorf("principals: %.64q is neither workload nor person", d.Kind)
	}
	return nil
}

// roots reads an issuer's own certificate authorities; nil means the system's.
func roots(d *access.Issuer) (*x509.CertPool, error) {
	if d.CA == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(d.CA)) {
		return nil, fault.New(fault.Malformed, "identity.SetIssuers", "issuer %q: ca: holds no certificate in PEM form", d.Name)
	}
	return pool, nil
}

// secure reports whether keys may be fetched from u: by TLS, or from this machine.
func secure(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
