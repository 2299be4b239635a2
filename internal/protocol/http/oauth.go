package http

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire/exchange"
)

// How long tokens are used, and how long a refusal of one is remembered.
const (
	lifeUnsaid   = 5 * time.Minute // of a token whose server does not say
	lifeMost     = 24 * time.Hour
	slackMost    = time.Minute // a token is renewed when this much of its life is left, or a tenth
	slackLast    = 2 * time.Second
	afterFailure = time.Second
	rejectAfter  = 10 * time.Second // a younger token that a backend does not take is not asked for again
	maxMinted    = 16 << 10
)

// oauth keeps the access token of a client (RFC 6749, 4.4). One fetch is under way at a time; it is renewed before it expires,
// and while a renewal fails the old one is used until it does.
type oauth struct {
	how   access.Injection
	url   *url.URL
	host  string
	clock func() time.Time
	turn  chan struct{} // held by who fetches

	mu      sync.Mutex
	current minted
	failed  time.Time
	why     error
}

type minted struct {
	value string
	since time.Time
	until time.Time
	renew time.Time
}

func newOAuth(how access.Injection, clock func() time.Time) (*oauth, error) {
	u, err := url.Parse(how.TokenURL)
	e, bad := access.ParseEndpoint(how.TokenURL)
	if err != nil || bad != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != name || !loopback(u.Hostname())) {
		return nil, fmt.Errorf("credential.inject: oauth2 needs a token_url of https")
	}
	host := u.Host
	u.Host = e.URL().Host // with its port, as the gate compares it
	return &oauth{how: how, url: u, host: host, clock: clock, turn: make(chan struct{}, 1)}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// token returns a token that is valid for a while.
func (o *oauth) token(ctx context.Context, get fetch) (string, error) {
	if t, fresh, _ := o.have(); fresh {
		return t, nil
	} else if t != "" {
		select {
		case o.turn <- struct{}{}:
		default:
			return t, nil // somebody renews it
		}
	} else {
		select {
		case o.turn <- struct{}{}:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
	defer func() { <-o.turn }()
	old, fresh, why := o.have()
	switch {
	case fresh, why != nil && old != "":
		return old, nil
	case why != nil:
		return "", why
	}
	got, err := o.mint(ctx, get)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil { // a caller who left says nothing about the server
			o.failed, o.why = o.clock(), err
		}
		if old != "" {
			return old, nil
		}
		return "", err
	}
	o.current, o.why = got, nil
	return got.value, nil
}

// have returns the token that is there, if it is valid, whether it need not be renewed, and why there was none a moment ago.
func (o *oauth) have() (token string, fresh bool, why error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.clock()
	if o.why != nil && now.Sub(o.failed) < afterFailure {
		why = o.why
	}
	if !now.Before(o.current.until) {
		return "", false, why
	}
	return o.current.value, now.Before(o.current.renew), why
}

// rejected forgets a token that the backend did not take, so that the next request asks for another. It does so once for each
// token, and not for one that was minted just now: then it is not the token.
func (o *oauth) rejected(token string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.current.value == token && o.clock().Sub(o.current.since) >= rejectAfter {
		o.current = minted{}
	}
}

// mint asks the server for a token.
func (o *oauth) mint(ctx context.Context, get fetch) (minted, error) {
	out := gate.Outgoing{Method: http.MethodPost, URL: o.url, Host: o.host, Header: http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}, "User-Agent": {"gatehouse"}}}
	asked := o.clock()
	var echo *exchange.Echo
	got, err := get(ctx, out, func(ctx context.Context, r *http.Request, c gate.Credential) error {
		if word, err := wordOf(c.Password); err == nil {
			echo = exchange.NewEcho([]byte(word))
		}
		return o.identify(ctx, r, c)
	})
	switch {
	case err != nil:
		return minted{}, noToken(echo.Error(err))
	case got.Status != http.StatusOK:
		return minted{}, noToken(fmt.Errorf("its server answers %d", got.Status))
	}
	return readMinted(got.Body, asked)
}

// identify writes the request's form, and who the client is (RFC 6749, 2.3.1).
func (o *oauth) identify(_ context.Context, r *http.Request, c gate.Credential) error {
	word, err := wordOf(c.Password)
	if err != nil {
		return err
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	if len(o.how.Scopes) > 0 {
		form.Set("scope", strings.Join(o.how.Scopes, " "))
	}
	if o.how.Audience != "" {
		form.Set("audience", o.how.Audience)
	}
	if o.how.InBody {
		form.Set("client_id", c.User)
		form.Set("client_secret", word)
	} else {
		r.SetBasicAuth(url.QueryEscape(c.User), url.QueryEscape(word))
	}
	body := form.Encode()
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	return nil
}

func readMinted(answer []byte, asked time.Time) (minted, error) {
	var got struct {
		Token   string          `json:"access_token"`
		Type    string          `json:"token_type"`
		Expires json.RawMessage `json:"expires_in"`
	}
	if json.Unmarshal(answer, &got) != nil || len(got.Token) < exchange.MinEcho || len(got.Token) > maxMinted || !printableASCII(got.Token) || strings.Contains(got.Token, " ") {
		return minted{}, noToken(errors.New("the answer holds no token that can be used"))
	}
	if !strings.EqualFold(got.Type, "bearer") {
		return minted{}, noToken(errors.New("the token is not of the type bearer"))
	}
	life := lifeUnsaid
	if n, err := strconv.ParseFloat(strings.Trim(string(got.Expires), `"`), 64); err == nil && n > 0 {
		life = time.Duration(min(n, lifeMost.Seconds()) * float64(time.Second))
	}
	m := minted{value: got.Token, since: asked, until: asked.Add(life - min(slackLast, life/2))}
	m.renew = asked.Add(life - min(slackMost, max(life/10, 2*slackLast)))
	return m, nil
}

func noToken(err error) error {
	return &fault.Error{Op: "http.oauth", Kind: fault.Unavailable, Err: err, Say: "the gateway got no token for the backend: nothing was sent", Hint: "Try again; the gateway's log says why."}
}
