package devissuer_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/devissuer"
	"gatehouse/internal/fault"
	"gatehouse/internal/identity"
)

const secret = "a-secret-for-the-test"

// running is an issuer that listens on loopback, and a verifier that trusts it.
func running(t *testing.T, key access.Secret) (*devissuer.Issuer, *httptest.Server, *identity.Verifier) {
	t.Helper()
	i, err := devissuer.New(devissuer.Options{
		Clock: time.Now, Rand: rand.Reader, Key: key, Secret: access.NewSecret([]byte(secret)),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.StripPrefix("/fn", i.Handler()))
	t.Cleanup(server.Close)
	i.SetURL(server.URL + "/fn")
	return i, server, trusting(t, i.URL())
}

func trusting(t *testing.T, url string) *identity.Verifier {
	t.Helper()
	v := identity.New(identity.Options{Clock: time.Now})
	document := &access.Issuer{Name: "dev", URL: url, Audiences: []string{"gatehouse"}}
	if err := v.SetIssuers([]*access.Issuer{document}); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestMintedTokensVerify(t *testing.T) {
	i, _, v := running(t, access.Secret{})
	token, err := i.Mint(devissuer.Claims{
		Subject: "fn:refund", Audience: []string{"gatehouse"}, Extra: map[string]any{"team": "payments", "nbf": nil},
	})
	if err != nil {
		t.Fatal(err)
	}
	who, err := v.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if _, nbf := who.Claims["nbf"]; who.Subject != "fn:refund" || who.Claims["team"] != "payments" || nbf {
		t.Errorf("%+v", who)
	}
	if life := time.Until(who.Expires); life > 10*time.Minute || life < 9*time.Minute {
		t.Errorf("lives %s", life)
	}
	hostile, err := i.Mint(devissuer.Claims{Subject: "fn", Audience: []string{"gatehouse"}, Extra: map[string]any{"iss": "https://else"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), hostile); err == nil {
		t.Error("Extra does not reach iss")
	}
	if s := fmt.Sprintf("%v %+v %#v", token, token, token); strings.Contains(s, "eyJ") {
		t.Errorf("the token prints as %s", s)
	}
}

// TestKeySurvivesRestart starts an issuer again with the key it had.
func TestKeySurvivesRestart(t *testing.T) {
	before, server, _ := running(t, access.Secret{})
	token, err := before.Mint(devissuer.Claims{Subject: "fn", Audience: []string{"gatehouse"}})
	if err != nil {
		t.Fatal(err)
	}
	key, err := before.Key()
	if err != nil {
		t.Fatal(err)
	}
	after, err := devissuer.New(devissuer.Options{Clock: time.Now, Rand: rand.Reader, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	after.SetURL(before.URL())
	server.Config.Handler = http.StripPrefix("/fn", after.Handler())
	if _, err := trusting(t, after.URL()).Verify(t.Context(), token); err != nil {
		t.Errorf("a token from before is refused: %v", err)
	}
	for _, bad := range []string{"nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		_, err := devissuer.New(devissuer.Options{Clock: time.Now, Rand: rand.Reader, Key: access.NewSecret([]byte(bad))})
		if fault.KindOf(err) != fault.Malformed {
			t.Errorf("key %q: %v", bad, err)
		}
	}
}

func TestMintRefuses(t *testing.T) {
	i, _, _ := running(t, access.Secret{})
	for name, c := range map[string]devissuer.Claims{
		"too long":   {Lifetime: 25 * time.Hour},
		"negative":   {Lifetime: -time.Second},
		"unwritable": {Extra: map[string]any{"f": func() {}}},
	} {
		if _, err := i.Mint(c); fault.KindOf(err) != fault.Malformed {
			t.Errorf("%s: %v", name, err)
		}
	}
	i.SetURL("")
	if _, err := i.Mint(devissuer.Claims{}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("without an address: %v", err)
	}
}

// ask posts to the tokens endpoint, after change has made something wrong.
func ask(t *testing.T, h http.Handler, body string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:1234/token", strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:5678"
	r.Header.Set("Authorization", "Bearer "+secret)
	r.Header.Set("Content-Type", "application/json")
	change(r)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestTokenEndpoint asks for a token in the right way, and in ways that are wrong in one thing each.
func TestTokenEndpoint(t *testing.T) {
	i, _, v := running(t, access.Secret{})
	const right = `{"subject":"ann","audience":["gatehouse"],"lifetime":"5m","claims":{"id":9007199254740993}}`
	w := ask(t, i.Handler(), right, func(*http.Request) {})
	var answer devissuer.TokenResponse
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	who, err := v.Verify(t.Context(), access.NewSecret([]byte(answer.Token)))
	if err != nil || who.Subject != "ann" || who.Claims["id"] != int64(9007199254740993) {
		t.Fatalf("%+v, %v", who, err)
	}

	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, test := range map[string]struct {
		code   int
		change func(*http.Request)
	}{
		"no secret":          {http.StatusUnauthorized, func(r *http.Request) { r.Header.Del("Authorization") }},
		"another secret":     {http.StatusUnauthorized, header("Authorization", "Bearer "+secret+"x")},
		"another machine":    {http.StatusForbidden, func(r *http.Request) { r.RemoteAddr = "192.0.2.1:5678" }},
		"another name":       {http.StatusForbidden, func(r *http.Request) { r.Host = "rebound.example:1234" }},
		"a web page":         {http.StatusForbidden, header("Origin", "http://127.0.0.1:1234")},
		"a browser":          {http.StatusForbidden, header("Sec-Fetch-Site", "none")},
		"a form":             {http.StatusBadRequest, header("Content-Type", "application/x-www-form-urlencoded")},
		"read, not posted":   {http.StatusMethodNotAllowed, func(r *http.Request) { r.Method = http.MethodGet }},
		"posted to the keys": {http.StatusMethodNotAllowed, func(r *http.Request) { r.URL.Path = "/keys" }},
	} {
		w := ask(t, i.Handler(), right, test.change)
		if w.Code != test.code || strings.Contains(w.Body.String(), "eyJ") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	for _, body := range []string{"", "{", `{"unknown":1}`, `{"lifetime":"long"}`, `{"lifetime":"48h"}`, `{"claims":{"x":"` + strings.Repeat("x", 70000) + `"}}`} {
		if w := ask(t, i.Handler(), body, func(*http.Request) {}); w.Code != http.StatusBadRequest {
			t.Errorf("%.40q: %d %s", body, w.Code, w.Body)
		}
	}
	closed, err := devissuer.New(devissuer.Options{Clock: time.Now, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	closed.SetURL("http://127.0.0.1:1234")
	if w := ask(t, closed.Handler(), right, header("Authorization", "Bearer ")); w.Code != http.StatusUnauthorized {
		t.Errorf("without a secret of its own it answers %d", w.Code)
	}
}
