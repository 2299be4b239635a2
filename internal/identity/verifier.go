package identity

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Options are what a Verifier needs. Only Clock is required.
type Options struct {
	Clock  func() time.Time
	Logger *slog.Logger // nil discards
	// Transport makes the transport for one issuer, given that issuer's own roots (nil: the system's). It must not follow
	// where Gatehouse would not; the default dials directly, and never further inside the network than the issuer is.
	Transport    func(roots *x509.CertPool) http.RoundTripper
	KeyLease     time.Duration // how long fetched keys may be used; 0 means 1 h
	CacheEntries int           // verified tokens remembered; 0 means 8192
	CacheBytes   int           // bytes they may take, estimated from above; 0 means 32 MiB
}

// Verifier turns tokens into principals. It is safe for concurrent use.
type Verifier struct {
	o       Options
	cache   *cache
	setting sync.Mutex // one SetIssuers at a time
	issuers atomic.Pointer[snapshot]
}

// snapshot is the trusted issuers at one moment. It is immutable.
type snapshot struct {
	byURL   map[string]*issuer
	sources map[origin]*source
}

// origin is what keys depend on: documents that differ in nothing else share their keys.
type origin struct{ url, ca string }

// New returns a Verifier that trusts no issuer yet.
func New(o Options) *Verifier {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.KeyLease <= 0 {
		o.KeyLease = time.Hour
	}
	if o.CacheEntries <= 0 {
		o.CacheEntries = 8192
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = 32 << 20
	}
	v := &Verifier{o: o, cache: newCache(o.CacheEntries, o.CacheBytes)}
	v.issuers.Store(&snapshot{})
	return v
}

// SetIssuers replaces the trusted issuers, all at once. It fetches nothing: keys are fetched when they are first needed,
// or by Run. Keys already held for the same URL and CA are kept. On an error (fault.Malformed, every document that is
// wrong) the issuers stay as they were.
func (v *Verifier) SetIssuers(documents []*access.Issuer) error {
	v.setting.Lock()
	defer v.setting.Unlock()
	old := v.issuers.Load()
	next := &snapshot{byURL: make(map[string]*issuer), sources: make(map[origin]*source)}
	var problems []error
	names := make(map[string]bool)
	for _, d := range documents {
		i, err := v.issuer(old, d)
		if err == nil && (names[i.name] || next.byURL[i.url] != nil) {
			err = fault.New(fault.Malformed, "identity.SetIssuers", "issuer %q: another issuer has the same name or url", i.name)
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		names[i.name] = true
		next.byURL[i.url] = i
		next.sources[origin{d.URL, d.CA}] = i.keys
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	v.issuers.Store(next) // tokens verified under issuers that changed are no longer found good, see again
	return nil
}

// issuer compiles a document, or finds it compiled already: tokens verified under it then stay cached.
func (v *Verifier) issuer(old *snapshot, d *access.Issuer) (*issuer, error) {
	i, err := compile(d)
	if err != nil {
		return nil, err
	}
	if before := old.byURL[i.url]; before != nil && reflect.DeepEqual(before.document, i.document) {
		return before, nil
	}
	i.keys, err = v.source(old, d)
	return i, err
}

func (v *Verifier) source(old *snapshot, d *access.Issuer) (*source, error) {
	if s := old.sources[origin{d.URL, d.CA}]; s != nil {
		return s, nil
	}
	pool, err := roots(d)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(d.URL)
	if err != nil {
		return nil, err
	}
	var transport http.RoundTripper
	if v.o.Transport != nil {
		transport = v.o.Transport(pool)
	} else {
		transport = defaultTransport(u.Hostname(), pool)
	}
	return newSource(d.Name, newFetcher(d.URL, transport).keys, v.o), nil
}

// Verify returns who the token says is calling. The principal is shared between calls and must not be changed. The error
// is always of kind fault.Unauthenticated and says the same; ReasonOf tells the cause, which is for the log. Nothing of
// the token but single claims, cut short and quoted, is in the error.
func (v *Verifier) Verify(ctx context.Context, token access.Secret) (*access.Principal, error) {
	p, err := v.verify(ctx, token.Reveal())
	if err != nil {
		return nil, fault.Wrap(fault.Unauthenticated, "identity.Verify", err,
			"authentication failed: present a token that is made for this gateway and has not expired")
	}
	return p, nil
}

func (v *Verifier) verify(ctx context.Context, token []byte) (*access.Principal, error) {
	if len(token) > MaxToken {
		return nil, refuse(ReasonTooLarge, "%d bytes, the limit is %d", len(token), MaxToken)
	}
	now, digest, issuers := v.o.Clock(), cacheKey(sha256.Sum256(token)), v.issuers.Load()
	if p, hit, err := v.again(digest, issuers, now); hit {
		return p, err
	}
	u, refusal := parse(token)
	if refusal != nil {
		return nil, refusal
	}
	iss, _ := u.claims["iss"].(string)
	i := issuers.byURL[iss]
	if i == nil {
		return nil, refuse(ReasonIssuer, "iss %.128q is no trusted issuer", iss)
	}
	if !slices.Contains(i.algorithms, u.alg) {
		return nil, refuse(ReasonAlgorithm, "alg %.64q is not in the list of issuer %q", string(u.alg), i.name)
	}
	keys, set, refusal := i.keys.find(ctx, u)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := u.checkSignature(i, keys); refusal != nil {
		return nil, refusal
	}
	p, t, refusal := i.principal(u.claims, now)
	if refusal != nil {
		return nil, refusal
	}
	v.cache.put(&verified{principal: p, issuer: i, keys: set, times: t, key: digest, cost: costOf(len(token))})
	return p, nil
}

// again answers for a token that was verified before; hit is false where it has to be looked at anew. Whatever can have
// changed since is checked: the issuer's document, its keys and their lease, and the time.
func (v *Verifier) again(k cacheKey, issuers *snapshot, now time.Time) (p *access.Principal, hit bool, err error) {
	e := v.cache.get(k)
	if e == nil {
		return nil, false, nil
	}
	if issuers.byURL[e.issuer.url] != e.issuer || e.issuer.keys.fresh() != e.keys {
		v.cache.drop(e)
		return nil, false, nil
	}
	if refusal := e.issuer.checkTimes(e.times, now); refusal != nil {
		v.cache.drop(e)
		return nil, true, refusal
	}
	return e.principal, true, nil
}

// checkSignature checks that one of the keys made the signature.
func (u *unverified) checkSignature(i *issuer, keys []key) *refused {
	signed, err := jose.ParseSignedCompact(u.compact, i.algorithms)
	if err != nil {
		return refuse(ReasonSignature, "the token cannot be read as a JWS")
	}
	for _, k := range keys {
		if _, err := signed.Verify(k.public); err == nil {
			return nil
		}
	}
	return refuse(ReasonSignature, "key %.64q of issuer %q did not make this signature", u.kid, i.name)
}

// Run keeps the keys of all issuers fresh until ctx ends, and returns its cause. Without it keys are fetched when they
// are needed, and a rotation is seen when the lease ends.
func (v *Verifier) Run(ctx context.Context) error {
	tick := time.NewTicker(max(v.o.KeyLease/60, time.Second))
	defer tick.Stop()
	for {
		var all sync.WaitGroup
		for _, s := range v.issuers.Load().sources {
			all.Go(func() { s.renew(ctx) })
		}
		all.Wait()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
