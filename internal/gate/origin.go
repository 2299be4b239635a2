package gate

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/url"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Origins keeps what requests are sent through: one transport for each connection, as its document is now. There is one for a
// gateway. Only gates send through it.
type Origins struct {
	clock func() time.Time
	mu    sync.Mutex
	all   map[string]*origin // by connection
}

// NewOrigins returns an empty registry.
func NewOrigins(clock func() time.Time) *Origins {
	return &Origins{clock: clock, all: map[string]*origin{}}
}

// origin is where the requests of one connection go, under one version of its document.
type origin struct {
	doc  *access.Connection
	key  [sha256.Size]byte
	made time.Time
	used time.Time // guarded by Origins.mu
	way

	mu     sync.Mutex
	secret access.Secret
	asked  time.Time // when the vault was last asked; zero where it never was
}

const (
	originLife  = time.Hour // after which certificates and roots are read again, and what nobody used is dropped
	secretFresh = 5 * time.Second
)

// of returns the origin of a connection, as its document is now. The one before is let go: what is under way ends as it would.
func (o *Origins) of(s *Services, c *access.Connection) (*origin, error) {
	now := o.clock()
	o.mu.Lock()
	defer o.mu.Unlock()
	old := o.all[c.Name]
	if old != nil {
		old.used = now
	}
	if old != nil && old.doc == c && now.Sub(old.made) < originLife {
		return old, nil
	}
	key := addressed(c)
	if old != nil && old.key == key && now.Sub(old.made) < originLife {
		old.doc = c
		return old, nil
	}
	o.sweep(now)
	w, err := newWay(s, c)
	if err != nil {
		return nil, err
	}
	if old != nil {
		old.closeIdle()
	}
	fresh := &origin{doc: c, key: key, way: w, made: now, used: now}
	o.all[c.Name] = fresh
	return fresh, nil
}

// sweep lets go of what nobody used for long, with its secret: its connection may be gone. o.mu is held.
func (o *Origins) sweep(now time.Time) {
	for name, x := range o.all {
		if now.Sub(x.used) > originLife {
			x.closeIdle()
			delete(o.all, name)
		}
	}
}

// Close closes what is idle.
func (o *Origins) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, x := range o.all {
		x.closeIdle()
	}
}

// addressed is a digest of all that decides where requests lead, and as whom.
func addressed(c *access.Connection) [sha256.Size]byte {
	doc, _ := json.Marshal(struct { // these types always marshal
		Address, Type string
		TLS           access.BackendTLS
		Credential    access.Credential
		HTTP          *access.HTTPOptions
		AWS           *access.AWSOptions
	}{c.Address, c.Type, c.TLS, c.Credential, c.HTTP, c.AWS})
	return sha256.Sum256(doc)
}

// credential returns the connection's secret; the vault is asked again after some seconds.
func (o *origin) credential(ctx context.Context, s *Services, c *access.Connection) (access.Secret, error) {
	if !c.Credential.Named() {
		return access.Secret{}, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := s.Clock()
	if !o.asked.IsZero() && now.Sub(o.asked) < secretFresh {
		return o.secret, nil
	}
	secret, err := s.Vault.Lease(ctx, c.Credential)
	if err != nil {
		return access.Secret{}, err
	}
	o.secret, o.asked = secret, now
	return secret, nil
}

// origins are the URLs that a connection's document names.
type origins struct {
	doc *access.Connection // that they were read from
	all []*url.URL
}

// target refuses a URL whose origin the document of c does not name. A gateway that could be talked into calling elsewhere would carry
// its credential there.
func (o *origins) target(c *access.Connection, u *url.URL) error {
	if o.doc != c {
		o.doc, o.all = c, named(c)
	}
	for _, o := range o.all {
		if u.Scheme == o.Scheme && (u.Host == o.Host || beneath(o.Host, u.Host)) {
			return nil
		}
	}
	return fault.New(fault.Denied, "gate.target", "connection %s does not name the host that the request is for", c.Name)
}

// beneath reports whether host lies under a pattern such as *.example.com:443.
func beneath(pattern, host string) bool {
	suffix, ok := strings.CutPrefix(pattern, "*")
	return ok && strings.HasPrefix(suffix, ".") && len(host) > len(suffix) && strings.HasSuffix(host, suffix)
}

func named(c *access.Connection) []*url.URL {
	var out []*url.URL
	add := func(text string) {
		if e, err := access.ParseEndpoint(text); err == nil && text != "" {
			out = append(out, e.URL())
		}
	}
	add(c.Address)
	if i := c.Credential.Inject; i != nil {
		add(i.TokenURL)
	}
	if c.AWS != nil {
		for _, e := range c.AWS.Endpoints {
			add(e)
		}
		if r := c.AWS.AssumeRole; r != nil {
			add(r.STS)
		}
	}
	return out
}
