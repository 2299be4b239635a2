package identity_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/identity"
)

func handler(f http.HandlerFunc) *http.HandlerFunc { return &f }

// TestDiscoveryRefused serves each document wrong in one way: no login, and no request to a stranger.
func TestDiscoveryRefused(t *testing.T) {
	var knocks atomic.Int32
	stranger := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		knocks.Add(1)
		(*serve(map[string]any{"keys": published()}))(w, r)
	}))
	defer stranger.Close()
	plain := httptest.NewServer(stranger.Config.Handler)
	defer plain.Close()
	discovery := func(change func(p *provider, d map[string]any)) func(*provider) {
		return func(p *provider) {
			d := map[string]any{"issuer": p.URL, "jwks_uri": p.URL + "/keys"}
			change(p, d)
			p.discover(d)
		}
	}
	raw := func(s string) *http.HandlerFunc {
		return handler(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, s) })
	}
	for name, breakIt := range map[string]func(*provider){
		"another issuer":      discovery(func(_ *provider, d map[string]any) { d["issuer"] = "https://evil.example" }),
		"issuer with a slash": discovery(func(p *provider, d map[string]any) { d["issuer"] = p.URL + "/" }),
		"no issuer":           discovery(func(_ *provider, d map[string]any) { delete(d, "issuer") }),
		"no keys address":     discovery(func(_ *provider, d map[string]any) { delete(d, "jwks_uri") }),
		"keys in plain text":  discovery(func(_ *provider, d map[string]any) { d["jwks_uri"] = plain.URL + "/keys" }),
		"keys in a file":      discovery(func(_ *provider, d map[string]any) { d["jwks_uri"] = "file:///etc/passwd" }),
		"keys with a user": discovery(func(p *provider, d map[string]any) {
			d["jwks_uri"] = strings.Replace(p.URL, "https://", "https://u:p@", 1) + "/keys"
		}),
		"keys at the cloud's metadata": discovery(func(_ *provider, d map[string]any) { d["jwks_uri"] = "https://169.254.169.254/keys" }),
		"keys by unknown authority": discovery(func(_ *provider, d map[string]any) {
			d["jwks_uri"] = "https://localhost" + plain.URL[len("http://127.0.0.1"):]
		}),
		"discovery redirected": func(p *provider) {
			p.discovery.Store(handler(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, stranger.URL, http.StatusFound) }))
		},
		"keys redirected": func(p *provider) {
			p.keySet.Store(handler(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, stranger.URL, http.StatusFound) }))
		},
		"keys redirected to plain text": func(p *provider) {
			p.keySet.Store(handler(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, plain.URL, http.StatusFound) }))
		},
		"redirected for ever": func(p *provider) {
			p.keySet.Store(handler(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/keys", http.StatusFound) }))
		},
		"an error page": func(p *provider) {
			p.keySet.Store(handler(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
		},
		"a web page":   func(p *provider) { p.discovery.Store(raw("<html>")) },
		"issuer twice": func(p *provider) { p.discovery.Store(raw(`{"issuer":"x","issuer":"y"}`)) },
		"too much": func(p *provider) {
			answer := p.keySet.Load()
			p.keySet.Store(handler(func(w http.ResponseWriter, r *http.Request) {
				(*answer)(w, r)
				_, _ = fmt.Fprint(w, strings.Repeat(" ", 1<<20))
			}))
		},
		"no list of keys": func(p *provider) { p.keySet.Store(raw(`{"keys":{}}`)) },
		"no keys":         func(p *provider) { p.publish(nil) },
		"too many keys": func(p *provider) {
			many := published()
			for n := range 128 {
				many = append(many, jwk(fmt.Sprint(n), keys().ed.Public(), nil))
			}
			p.publish(many)
		},
		"a published private key": func(p *provider) { p.publish([]map[string]any{jwk("ec", keys().p256, nil)}) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t)
			breakIt(p)
			v := newVerifier(t, newClock(), p.document("main"))
			who, err := verify(t, v, good(p.URL))
			if err == nil {
				t.Fatalf("accepted as %+v", who)
			}
			wantReason(t, err, identity.ReasonKeysUnavailable)
			if n := p.keyFetches.Load(); n > 4 {
				t.Errorf("%d requests for keys", n)
			}
			if name == "keys at the cloud's metadata" && !strings.Contains(err.Error(), "further inside") {
				t.Errorf("it was tried: %v", err)
			}
		})
	}
	if n := knocks.Load(); n != 0 {
		t.Errorf("strangers were asked %d times", n)
	}
}

// TestRedirectWithinTheHost shows what a redirect may do.
func TestRedirectWithinTheHost(t *testing.T) {
	p := newProvider(t)
	p.keySet.Store(handler(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "" {
			http.Redirect(w, r, "/keys?again", http.StatusFound)
			return
		}
		(*serve(map[string]any{"keys": published()}))(w, r)
	}))
	v := newVerifier(t, newClock(), p.document("main"))
	if _, err := verify(t, v, good(p.URL)); err != nil {
		t.Error(err)
	}
}

// TestUnknownKeysCauseFewFetches throws 1,000 unknown kids at a verifier, at once and in turn.
func TestUnknownKeysCauseFewFetches(t *testing.T) {
	p, c := newProvider(t), newClock()
	v := newVerifier(t, c, p.document("main"))
	var all sync.WaitGroup
	for n := range 1000 {
		all.Go(func() {
			_, err := verify(t, v, good(p.URL).head("kid", fmt.Sprint("unknown-", n)))
			wantReason(t, err, identity.ReasonUnknownKey)
		})
	}
	all.Wait()
	for n := range 200 {
		_, err := verify(t, v, good(p.URL).head("kid", fmt.Sprint("unknown-in-turn-", n)))
		wantReason(t, err, identity.ReasonUnknownKey)
	}
	if n := p.keyFetches.Load(); n > 2 {
		t.Errorf("1,200 unknown kids caused %d fetches", n)
	}
	if _, err := verify(t, v, good(p.URL)); err != nil {
		t.Errorf("and meanwhile the right token is refused: %v", err)
	}

	// One kid that is not there is not asked for again within a minute, though the rate would allow it.
	before := p.keyFetches.Load()
	for range 5 {
		c.advance(11 * time.Second)
		_, err := verify(t, v, good(p.URL).head("kid", "the-same"))
		wantReason(t, err, identity.ReasonUnknownKey)
	}
	if n := p.keyFetches.Load() - before; n != 1 {
		t.Errorf("the same unknown kid caused %d fetches in 55 s", n)
	}
}

// TestRotation follows a key that is added, and one that is taken away.
func TestRotation(t *testing.T) {
	p, c := newProvider(t), newClock()
	v := newVerifier(t, c, p.document("main"))
	old := good(p.URL).String()
	if _, err := verify(t, v, text(old)); err != nil {
		t.Fatal(err)
	}
	c.advance(11 * time.Second)
	p.publish([]map[string]any{jwk("next", keys().ed.Public(), nil)})
	if _, err := verify(t, v, text(old)); err != nil {
		t.Errorf("nothing was fetched, but the old key is refused: %v", err)
	}
	next := good(p.URL).signedBy("EdDSA", "next", eddsa(keys().ed))
	if _, err := verify(t, v, next); err != nil {
		t.Errorf("the new key is refused: %v", err)
	}
	_, err := verify(t, v, text(old))
	wantReason(t, err, identity.ReasonUnknownKey)
}

// TestLease lets the issuer go away: logins go on within the lease, cached or not, and not beyond it.
func TestLease(t *testing.T) {
	p, c := newProvider(t), newClock()
	document := p.document("main")
	document.MaxLifetime = access.Duration(24 * time.Hour)
	v := newVerifier(t, c, document)
	token := good(p.URL).with("exp", start().Unix()+36000).String()
	if _, err := verify(t, v, text(token)); err != nil {
		t.Fatal(err)
	}
	serving := p.discovery.Load()
	p.discovery.Store(handler(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	c.advance(time.Hour - time.Second)
	if _, err := verify(t, v, text(token)); err != nil {
		t.Errorf("within the lease: %v", err)
	}
	c.advance(time.Second)
	_, err := verify(t, v, text(token))
	wantReason(t, err, identity.ReasonKeysUnavailable)
	_, err = verify(t, v, text(token))
	wantReason(t, err, identity.ReasonKeysUnavailable)
	if !strings.Contains(err.Error(), "503") {
		t.Errorf("a refusal without a fetch does not say why the keys are gone: %v", err)
	}
	p.discovery.Store(serving)
	c.advance(time.Second)
	if _, err := verify(t, v, text(token)); err != nil {
		t.Errorf("the issuer is back: %v", err)
	}
	c.advance(-2 * time.Hour)
	p.discovery.Store(handler(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	_, err = verify(t, v, text(token))
	wantReason(t, err, identity.ReasonKeysUnavailable)
}

// TestVerifiedTokensAreCheckedAgain holds everything that can change against a token that was good a moment ago.
func TestVerifiedTokensAreCheckedAgain(t *testing.T) {
	p, c := newProvider(t), newClock()
	v := newVerifier(t, c, p.document("main"))
	token := text(good(p.URL).String())
	first, err := verify(t, v, token)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.SetIssuers([]*access.Issuer{p.document("main")}); err != nil {
		t.Fatal(err)
	}
	if second, err := verify(t, v, token); err != nil || second != first {
		t.Errorf("under the same documents, the second time it is %p, %v instead of %p", second, err, first)
	}
	for name, change := range map[string]func(*access.Issuer){
		"other audience":   func(d *access.Issuer) { d.Audiences = []string{"else"} },
		"other algorithms": func(d *access.Issuer) { d.Algorithms = []string{"RS256"} },
		"shorter lifetime": func(d *access.Issuer) { d.MaxLifetime = access.Duration(time.Minute) },
		"gone":             func(d *access.Issuer) { d.URL = "https://else.example" },
	} {
		changed := p.document("main")
		change(changed)
		if err := v.SetIssuers([]*access.Issuer{changed}); err != nil {
			t.Fatal(err)
		}
		if _, err := verify(t, v, token); err == nil {
			t.Errorf("%s: a cached token outlives the change", name)
		}
		if err := v.SetIssuers([]*access.Issuer{p.document("main")}); err != nil {
			t.Fatal(err)
		}
		if _, err := verify(t, v, token); err != nil {
			t.Errorf("%s: and does not come back: %v", name, err)
		}
	}
	people := p.document("main")
	people.Kind = "person"
	if err := v.SetIssuers([]*access.Issuer{people}); err != nil {
		t.Fatal(err)
	}
	if who, err := verify(t, v, token); err != nil || who.Kind != access.Person {
		t.Errorf("%+v, %v", who, err)
	}
	c.advance(630 * time.Second)
	for range 2 {
		_, err = verify(t, v, token)
		wantReason(t, err, identity.ReasonExpired)
	}
	now := start().Unix() + 630
	token = text(good(p.URL).with("iat", now).with("exp", now+60).String())
	if _, err := verify(t, v, token); err != nil {
		t.Fatal(err)
	}
	c.advance(-time.Minute)
	_, err = verify(t, v, token)
	wantReason(t, err, identity.ReasonNotYetValid)
}

func TestWrongIssuerDocuments(t *testing.T) {
	right := func() *access.Issuer {
		return &access.Issuer{Name: "main", URL: "https://issuer.example", Audiences: []string{audience}}
	}
	for say, change := range map[string]func(*access.Issuer){
		"url: give": func(d *access.Issuer) { d.URL = "issuer.example" },
		"url: must": func(d *access.Issuer) { d.URL = "http://issuer.example" },
		"url: give the issuer's address, such as https://issuer.example, without user": func(d *access.Issuer) { d.URL = "https://u@issuer.example" },
		"without user, query": func(d *access.Issuer) { d.URL = "https://issuer.example?" },
		"query or fragment":   func(d *access.Issuer) { d.URL = "https://issuer.example#" },
		"audiences: name":     func(d *access.Issuer) { d.Audiences = nil },
		"at least one":        func(d *access.Issuer) { d.Audiences = []string{"a", ""} },
		`"HS256"`:             func(d *access.Issuer) { d.Algorithms = []string{"RS256", "HS256"} },
		`"none"`:              func(d *access.Issuer) { d.Algorithms = []string{"none"} },
		`"rs256"`:             func(d *access.Issuer) { d.Algorithms = []string{"rs256"} },
		"max_lifetime":        func(d *access.Issuer) { d.MaxLifetime = access.Duration(8 * 24 * time.Hour) },
		"more than 0":         func(d *access.Issuer) { d.MaxLifetime = -1 },
		"skew: must":          func(d *access.Issuer) { d.Skew = access.Duration(61 * time.Second) },
		"between 0 and":       func(d *access.Issuer) { d.Skew = -1 },
		"principals":          func(d *access.Issuer) { d.Kind = "operator" },
		"ca: holds":           func(d *access.Issuer) { d.CA = "none" },
		"no name":             func(d *access.Issuer) { d.Name = "" },
	} {
		v := newVerifier(t, newClock(), right())
		d := right()
		change(d)
		err := v.SetIssuers([]*access.Issuer{d})
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%q is not in: %v", say, err)
		}
	}
	v := newVerifier(t, newClock())
	sameName, sameURL := right(), right()
	sameName.URL, sameURL.Name = "https://else.example", "else"
	for _, twin := range []*access.Issuer{right(), sameName, sameURL} {
		if err := v.SetIssuers([]*access.Issuer{right(), twin}); fault.KindOf(err) != fault.Malformed {
			t.Errorf("twice the same: %+v: %v", twin, err)
		}
	}
	loop := right()
	loop.URL = "http://127.0.0.1:9/dev"
	if err := v.SetIssuers([]*access.Issuer{loop}); err != nil {
		t.Errorf("plain text on loopback: %v", err)
	}
}

// inMemory serves requests without a network, so that synctest's clock can move.
type inMemory struct {
	fetches atomic.Int32
	down    atomic.Bool
}

func (m *inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.down.Load() {
		return nil, errors.New("no route to the issuer")
	}
	w := httptest.NewRecorder()
	if strings.HasSuffix(r.URL.Path, "/keys") {
		m.fetches.Add(1)
		(*serve(map[string]any{"keys": published()}))(w, r)
	} else {
		(*serve(map[string]any{"issuer": memoryIssuer, "jwks_uri": memoryIssuer + "/keys"}))(w, r)
	}
	return w.Result(), nil
}

const memoryIssuer = "https://issuer.example"

// TestRunKeepsKeysFresh watches a day go by: an idle gateway has fresh keys, and an outage shorter than the lease is not
// noticed.
func TestRunKeepsKeysFresh(t *testing.T) {
	keys() // outside of the bubble
	synctest.Test(t, func(t *testing.T) {
		m := new(inMemory)
		v := identity.New(identity.Options{Clock: time.Now, Transport: overMemory(m)})
		document := &access.Issuer{Name: "main", URL: memoryIssuer, Audiences: []string{audience}}
		if err := v.SetIssuers([]*access.Issuer{document}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancelCause(t.Context())
		ended := make(chan error)
		go func() { ended <- v.Run(ctx) }()
		login := func() error {
			now := time.Now().Unix()
			_, err := verify(t, v, good(memoryIssuer).with("iat", now).with("nbf", now).with("exp", now+60))
			return err
		}
		synctest.Wait()
		if n := m.fetches.Load(); n != 1 {
			t.Errorf("%d fetches at the start", n)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := m.fetches.Load(); n < 90 || n > 100 {
			t.Errorf("%d fetches in a day", n)
		}
		before := m.fetches.Load()
		m.down.Store(true)
		time.Sleep(40 * time.Minute)
		if err := login(); err != nil || m.fetches.Load() != before {
			t.Errorf("during a short outage: %v", err)
		}
		time.Sleep(25 * time.Minute)
		wantReason(t, login(), identity.ReasonKeysUnavailable)
		m.down.Store(false)
		time.Sleep(time.Minute)
		if err := login(); err != nil {
			t.Errorf("after the outage: %v", err)
		}
		stop(http.ErrServerClosed)
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Run returned %v", err)
		}
	})
}

// TestACallerWhoLeavesDoesNotSpoilTheFetch cancels one of two callers while the issuer is slow.
func TestACallerWhoLeavesDoesNotSpoilTheFetch(t *testing.T) {
	p := newProvider(t)
	reached, release := make(chan struct{}), make(chan struct{})
	answer := p.keySet.Load()
	p.keySet.Store(handler(func(w http.ResponseWriter, r *http.Request) {
		close(reached)
		<-release
		(*answer)(w, r)
	}))
	v := newVerifier(t, newClock(), p.document("main"))
	token := access.NewSecret([]byte(good(p.URL).String()))
	ctx, leave := context.WithCancel(t.Context())
	results := make(chan error)
	go func() { _, err := v.Verify(ctx, token); results <- err }()
	<-reached
	leave()
	if err := <-results; !errors.Is(err, context.Canceled) {
		t.Errorf("who left was told %v", err)
	}
	go func() { _, err := v.Verify(t.Context(), token); results <- err }()
	close(release)
	if err := <-results; err != nil {
		t.Errorf("who stayed was told %v", err)
	}
	if n := p.keyFetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}
