package http

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire/exchange"
)

func outgoing(tb testing.TB) *http.Request {
	tb.Helper()
	r, err := http.NewRequest(http.MethodPost, "https://api.example/v1/a%20b?x=1&Key=mine&y=2", nil)
	if err != nil {
		tb.Fatal(err)
	}
	r.Header = headers("Authorization", "Bearer the client's", "X-Api-Key", "the client's", "X-Api-Key", "another")
	return r
}

func at(unix int64) func() time.Time { return func() time.Time { return time.Unix(unix, 0) } }

func TestInject(t *testing.T) {
	sum := sha256.Sum256([]byte(`{"a":1}`))
	mac := hmac.New(sha256.New, []byte("s3cr3t-w0rd"))
	fmt.Fprintf(mac, "POST\n/v1/a%%20b\nx=1&Key=mine&y=2\napi.example\n1000\n%s\nthe client's, another", hex.EncodeToString(sum[:]))
	for _, c := range []struct {
		how               *access.Injection
		header, want, uri string
	}{
		{nil, "Authorization", "Bearer s3cr3t-w0rd", ""},
		{&access.Injection{As: "bearer"}, "Authorization", "Bearer s3cr3t-w0rd", ""},
		{&access.Injection{As: "basic"}, "Authorization", "Basic c3ZjOnMzY3IzdC13MHJk", ""},
		{&access.Injection{As: "header", Name: "x-api-key", Prefix: "Key "}, "X-Api-Key", "Key s3cr3t-w0rd", ""},
		{&access.Injection{As: "query", Name: "key"}, "Authorization", "Bearer the client's", "/v1/a%20b?x=1&y=2&key=s3cr3t-w0rd"},
		{&access.Injection{As: "none"}, "Authorization", "Bearer the client's", ""},
		{&access.Injection{As: "hmac", Name: "X-Signature", Prefix: "v1=", TimeName: "X-Time", Template: "{method}\n{path}\n{query}\n{host}\n{time}\n{body_sha256}\n{header:X-Api-Key}"},
			"X-Signature", "v1=" + hex.EncodeToString(mac.Sum(nil)), ""},
	} {
		i, err := newInjector(access.Credential{User: "svc", Env: "X", Inject: c.how}, at(1000))
		if err != nil {
			t.Fatal(err)
		}
		r := outgoing(t)
		if _, err := i.inject(r, "svc", access.NewSecret([]byte("s3cr3t-w0rd\n")), "", []byte(`{"a":1}`)); err != nil {
			t.Fatal(err)
		}
		if got := r.Header.Values(c.header); len(got) != 1 || got[0] != c.want || c.uri != "" && r.URL.RequestURI() != c.uri {
			t.Errorf("%+v puts %q and %s", c.how, got, r.URL.RequestURI())
		}
	}
}

// TestInjectRefuses: a credential that a request cannot carry stops the request, and is not told.
func TestInjectRefuses(t *testing.T) {
	for _, secret := range []string{"", "\n", "abc\r\nX-Admin: 1", "abc\x00def", "abc def", "pässword"} {
		i, err := newInjector(access.Credential{Env: "X"}, at(0))
		if err != nil {
			t.Fatal(err)
		}
		r := outgoing(t)
		_, err = i.inject(r, "", access.NewSecret([]byte(secret)), "", nil)
		if fault.KindOf(err) != fault.Unavailable || len(secret) > 2 && strings.Contains(err.Error(), secret[:3]) {
			t.Errorf("%q: %v", secret, err)
		}
	}
	for _, how := range []access.Injection{{As: "digest"}, {As: "header"}, {As: "header", Name: "Host"}, {As: "header", Name: "Content-Length"}, {As: "header", Name: "a b"}, {As: "header", Name: "X_Key"},
		{As: "query"}, {As: "hmac"}, {As: "hmac", Name: "X-S"}, {As: "hmac", Name: "X-S", Template: "fixed"}, {As: "hmac", Name: "X-S", Template: "{methods}"}, {As: "hmac", Name: "X-S", Template: "{method"},
		{As: "hmac", Name: "X-S", Template: "{path}", Algorithm: "md5"}, {As: "hmac", Name: "X-S", Template: "{path}", Encoding: "x"}, {As: "oauth2"}, {As: "oauth2", TokenURL: "http://issuer.example/t"}, {As: "oauth2", TokenURL: "/t"}} {
		if _, err := newInjector(access.Credential{Env: "X", Inject: &how}, at(0)); err == nil {
			t.Errorf("%+v is accepted", how)
		}
	}
	if _, err := newInjector(access.Credential{Env: "X", User: "a:b", Inject: &access.Injection{As: "basic"}}, at(0)); err == nil {
		t.Error("a user with a colon is accepted")
	}
}

// tokens is a server of tokens.
type tokens struct {
	asked  atomic.Int64
	life   int
	fail   atomic.Bool
	seen   *http.Request
	body   string
	delay  time.Duration
	answer string
}

func (s *tokens) fetch(ctx context.Context, out gate.Outgoing, sign gate.Signer) (*gate.Fetched, error) {
	time.Sleep(s.delay) // within a bubble
	n := s.asked.Add(1)
	s.seen = &http.Request{Method: out.Method, URL: out.URL, Header: out.Header}
	if err := sign(ctx, s.seen, gate.Credential{User: "cl ient", Password: access.NewSecret([]byte("the-secret"))}); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(s.seen.Body)
	s.body = string(body)
	switch {
	case err != nil:
		return nil, err
	case s.fail.Load():
		return &gate.Fetched{Status: 500}, nil
	case s.answer != "":
		return &gate.Fetched{Status: 200, Body: []byte(s.answer)}, nil
	}
	return &gate.Fetched{Status: 200, Body: fmt.Appendf(nil, `{"access_token":"minted-%d","token_type":"Bearer","expires_in":%d}`, n, s.life)}, nil
}

func oauthOf(tb testing.TB, how access.Injection) *injector {
	tb.Helper()
	how.As, how.TokenURL = "oauth2", "https://issuer.example/token"
	i, err := newInjector(access.Credential{User: "cl ient", Env: "X", Inject: &how}, time.Now)
	if err != nil {
		tb.Fatal(err)
	}
	return i
}

func ask(ctx context.Context, i *injector, s *tokens) (string, error) {
	token, err := i.token(ctx, s.fetch)
	if err != nil {
		return token, err
	}
	r := &http.Request{Header: http.Header{}, URL: &url.URL{}}
	_, err = i.inject(r, "cl ient", access.NewSecret([]byte("the-secret")), token, nil)
	return r.Header.Get("Authorization"), err
}

// TestTokenIsKept: many requests at once cause one fetch; the token is renewed ahead, used while a renewal fails, and none is
// used past its end.
func TestTokenIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, i := &tokens{life: 600, delay: time.Second}, oauthOf(t, access.Injection{Scopes: []string{"a", "b"}, Audience: "aud"})
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if got, err := ask(t.Context(), i, s); got != "Bearer minted-1" || err != nil {
					t.Errorf("%s %v", got, err)
				}
			})
		}
		all.Wait()
		if user, pass, _ := s.seen.BasicAuth(); s.asked.Load() != 1 || user != "cl+ient" || pass != "the-secret" || s.body != "audience=aud&grant_type=client_credentials&scope=a+b" {
			t.Errorf("%d fetches; %s %s", s.asked.Load(), user, s.body)
		}
		s.fail.Store(true)
		time.Sleep(9*time.Minute + 30*time.Second) // within the slack
		if got, err := ask(t.Context(), i, s); got != "Bearer minted-1" || err != nil || s.asked.Load() != 2 {
			t.Errorf("while the renewal fails: %s %v after %d", got, err, s.asked.Load())
		}
		time.Sleep(30 * time.Second)
		if got, err := ask(t.Context(), i, s); fault.KindOf(err) != fault.Unavailable || got != "" {
			t.Errorf("past its end: %s %v", got, err)
		}
		before := s.asked.Load()
		if _, err := ask(t.Context(), i, s); err == nil || s.asked.Load() != before {
			t.Errorf("a failure is not remembered: %v after %d", err, s.asked.Load())
		}
		s.fail.Store(false)
		time.Sleep(2 * afterFailure)
		if got, err := ask(t.Context(), i, s); err != nil || got != fmt.Sprintf("Bearer minted-%d", before+1) {
			t.Errorf("once the server is back: %s %v", got, err)
		}
	})
}

// TestTokenIsRejected: a token that the backend does not take is asked for again, once.
func TestTokenIsRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, i := &tokens{life: 600}, oauthOf(t, access.Injection{InBody: true})
		first, err := ask(t.Context(), i, s)
		if err != nil || s.body != "client_id=cl+ient&client_secret=the-secret&grant_type=client_credentials" || s.seen.Header.Get("Authorization") != "" {
			t.Fatalf("%s %v %s", first, err, s.body)
		}
		i.oauth.rejected("minted-1") // it is new: another would not be better
		if got, _ := ask(t.Context(), i, s); got != "Bearer minted-1" {
			t.Errorf("right away: %s", got)
		}
		time.Sleep(rejectAfter)
		i.oauth.rejected("minted-1")
		i.oauth.rejected("minted-1")
		if got, _ := ask(t.Context(), i, s); got != "Bearer minted-2" || s.asked.Load() != 2 {
			t.Errorf("later: %s after %d", got, s.asked.Load())
		}
	})
}

// TestTokenOfAnImpatientClient: who leaves while a token is fetched does not fail the others.
func TestTokenOfAnImpatientClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, i := &tokens{life: 600, delay: time.Minute}, oauthOf(t, access.Injection{})
		go func() { _, _ = ask(t.Context(), i, s) }()
		synctest.Wait()
		ctx, leave := context.WithCancel(t.Context())
		leave()
		if _, err := ask(ctx, i, s); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if got, err := ask(t.Context(), i, s); got != "Bearer minted-1" || err != nil {
			t.Errorf("%s %v", got, err)
		}
	})
}

func TestMintedThatIsNone(t *testing.T) {
	for _, answer := range []string{`{}`, `x`, `{"access_token":"","token_type":"bearer"}`, `{"access_token":"a b","token_type":"bearer"}`, `{"access_token":"a\nb","token_type":"bearer"}`,
		`{"access_token":"a","token_type":"mac"}`, `{"access_token":"a"}`, `{"access_token":"` + strings.Repeat("a", maxMinted+1) + `","token_type":"bearer"}`} {
		if _, err := ask(t.Context(), oauthOf(t, access.Injection{}), &tokens{answer: answer}); fault.KindOf(err) != fault.Unavailable || strings.Contains(err.Error(), "the-secret") {
			t.Errorf("%.60s: %v", answer, err)
		}
	}
	if m, err := readMinted([]byte(`{"access_token":"accessed","token_type":"bearer","expires_in":"3600"}`), time.Unix(0, 0)); err != nil || m.until.Unix() != 3598 || m.renew.Unix() != 3540 {
		t.Errorf("%+v %v", m, err)
	}
}

// TestAttackByEcho: a credential that could not be told from other text is not sent, since it could not be kept out of answers; and a
// signature is a credential, for one request.
func TestAttackByEcho(t *testing.T) {
	short := access.NewSecret([]byte("hunter2"))
	for _, how := range []access.Injection{{As: "bearer"}, {As: "basic"}, {As: "header", Name: "X-Key"}, {As: "query", Name: "key"}} {
		i, err := newInjector(access.Credential{User: "administrator", Env: "X", Inject: &how}, at(0))
		if err != nil {
			t.Fatal(err)
		}
		r := outgoing(t)
		before := fmt.Sprint(r.Header, r.URL)
		if _, err := i.inject(r, "administrator", short, "", nil); fault.KindOf(err) != fault.Unavailable || fmt.Sprint(r.Header, r.URL) != before || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", how.As, err)
		}
	}
	i, err := newInjector(access.Credential{Env: "X", Inject: &access.Injection{As: "hmac", Name: "X-Signature", Template: "{method} {path}"}}, at(0))
	if err != nil {
		t.Fatal(err)
	}
	r := outgoing(t)
	secrets, err := i.inject(r, "", short, "", nil)
	if said := exchange.NewEcho(secrets...).Text("it was " + r.Header.Get("X-Signature")); err != nil || strings.Contains(said, r.Header.Get("X-Signature")) {
		t.Errorf("%s %v", said, err)
	}
}
