package web

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestNoEcho: a backend that repeats its credential, in whatever form and wherever, does not tell it to the client.
func TestNoEcho(t *testing.T) {
	said := map[string]string{
		"plain": credential, "json": `{"key":"` + credential + `"}`, "base64": base64.StdEncoding.EncodeToString([]byte("x:" + credential)),
		"hex": hex.EncodeToString([]byte(credential)), "url": "https://elsewhere.example/?k=" + url.QueryEscape(credential),
	}
	tok := token(t, "fn:reader")
	for name, s := range said {
		backend(t, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("X-Echo", s)
			h.Set("Trailer", "X-Late")
			h.Set("Location", s)
			out := io.Writer(w)
			if r.URL.Query().Has("gzip") {
				h.Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(w)
				defer func() { _ = z.Close() }()
				out = z
			}
			if r.URL.Query().Has("fail") {
				w.WriteHeader(http.StatusInternalServerError)
			}
			for _, piece := range []string{"before ", s[:len(s)/2], s[len(s)/2:], " after"} {
				_, _ = io.WriteString(out, piece)
				if !r.URL.Query().Has("gzip") {
					_ = http.NewResponseController(w).Flush()
				}
			}
			h.Set("X-Late", s)
		})
		for _, path := range []string{"/v1/echo", "/v1/echo?fail=1", "/v1/echo?gzip=1"} {
			a := call(t, client(t), tok, http.MethodGet, path, "")
			all := fmt.Sprint(a.Header, a.Trailer, a.body)
			if !strings.HasPrefix(a.body, "before ") || !strings.HasSuffix(a.body, " after") || !strings.Contains(a.body, "[redacted]") {
				t.Errorf("%s %s: %d %q", name, path, a.StatusCode, a.body)
			}
			for form, f := range said {
				if strings.Contains(all, f) || strings.Contains(all, credential[4:20]) || strings.Contains(all, hex.EncodeToString([]byte(credential))[8:40]) {
					t.Errorf("%s %s: the client reads it as %s: %s", name, path, form, all)
				}
			}
		}
	}
}

// TestNoEchoInNames: nor in the names of headers and trailers, whose capitals are not the backend's.
func TestNoEchoInNames(t *testing.T) {
	backend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["x-"+credential] = []string{"y"}
		w.Header().Set("Trailer", "x-late-"+credential)
		_, _ = io.WriteString(w, "ok")
		w.Header()[http.TrailerPrefix+"x-late-"+credential] = []string{"y"}
		w.Header()[http.TrailerPrefix+"x-later-"+credential] = []string{"y"}
	})
	tok := token(t, "fn:reader")
	a := call(t, client(t), tok, http.MethodGet, "/v1/echo", "")
	if all := strings.ToLower(fmt.Sprint(a.Header, a.Trailer)); a.body != "ok" || strings.Contains(all, credential) {
		t.Errorf("%s %q", all, a.body)
	}
}

// TestHeadersBothWays: the backend learns from the gateway, not from the client, where a request comes from; the client's view of the
// backend's own place is the gateway's.
func TestHeadersBothWays(t *testing.T) {
	got := backend(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Location", shared.backend.URL+"/base/v1/next?a=1")
		h.Set("Set-Cookie", "sid=1; Path=/base; Domain=backend.internal")
		h.Set("Strict-Transport-Security", "max-age=1")
		h.Set("Gatehouse-Approval", "forged")
		w.WriteHeader(http.StatusFound)
	})
	tok := token(t, "fn:reader")
	a := call(t, client(t), tok, http.MethodGet, "/v1/a%41/?q=x+y&q=%5A", "", "X-Forwarded-For", "10.0.0.1", "X-Real-Ip", "10.0.0.1", "X_Tenant", "root", "Remote-User", "root",
		"X-Gatehouse-Anything", "1", "X-Kept", "yes", "Te", "trailers")
	if a.StatusCode != http.StatusFound || a.Header.Get("Location") != "/c/billing/v1/next?a=1" || a.Header.Get("Set-Cookie") != "sid=1; Path=/c/billing" ||
		a.Header.Get("Strict-Transport-Security") != "" || a.Header.Get("Gatehouse-Approval") != "" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	seen := got()
	if len(seen) != 1 || seen[0].RequestURI != "/base/v1/aA/?q=x%20y&q=Z" {
		t.Fatalf("the backend saw %+v", seen)
	}
	h := seen[0].Header
	if h.Get("X-Forwarded-For") != "127.0.0.1" || h.Get("X-Real-Ip") != "" || h.Get("Remote-User") != "" || h["X_tenant"] != nil || h.Get("X-Gatehouse-Anything") != "" ||
		h.Get("X-Kept") != "yes" || h.Get("X-Forwarded-Proto") != "https" || "http://"+seen[0].Host != shared.backend.URL {
		t.Errorf("the backend saw %v for %s", h, seen[0].Host)
	}
}

// TestAmbiguousRequests: none reaches the backend.
func TestAmbiguousRequests(t *testing.T) {
	got := backend(t, func(http.ResponseWriter, *http.Request) {})
	tok := token(t, "fn:reader")
	for _, path := range []string{"/v1/../v1/admin", "/v1/%2e%2e/v1/admin", "/v1//admin", "/v1%2fadmin", "/v1/a;x=/admin", "/v1/%61dmin%00", "/v1/a%252e", "/v1/a?b;c", "/v1/a?_method=DELETE", "/v1/admin%ef%bc%8f"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at("/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Opaque = "/c/billing" + path // as it is
		r.Header.Set("Authorization", "Bearer "+tok)
		resp, err := client(t).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	for _, h := range [][2]string{{"X-HTTP-Method-Override", "DELETE"}, {"X-Original-URL", "/v1/admin"}, {"Connection", "X-Forwarded-For"}} {
		if a := call(t, client(t), tok, http.MethodGet, "/v1/a", "", h[0], h[1]); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", h[0], a.StatusCode)
		}
	}
	if n := len(got()); n != 0 {
		t.Errorf("the backend saw %d requests", n)
	}
}

// document is attached to the connection metered, whose credential is an access token.
const document = `
openapi: 3.0.0
paths:
  /v1/refunds:
    post:
      operationId: createRefund
      requestBody: {required: true, content: {application/json: {schema: {type: object, required: [amount], properties: {amount: {type: number, maximum: 100}}, additionalProperties: false}}}}
      responses: {}
  /v1/refunds/{id}:
    get: {operationId: getRefund, parameters: [{name: id, in: path, required: true, schema: {type: integer}}], responses: {}}
`

// TestOperationsAndTokens: operations are actions, bodies have to fit, and the backend is shown a token that was minted for it.
func TestOperationsAndTokens(t *testing.T) {
	var minted atomic.Int64
	got := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			minted.Add(1)
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":"minted-token-canary","token_type":"Bearer","expires_in":3600}`)
			return
		}
		_, _ = io.WriteString(w, "for "+r.Header.Get("Authorization"))
	})
	file := filepath.Join(t.TempDir(), "metered.yaml")
	if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	documents := "kind: Connection\nname: metered\ntype: http\naddress: " + shared.backend.URL + "\ncredential:\n  user: gateway\n  secret: billing\n  inject: {as: oauth2, token_url: " + shared.backend.URL + "/token, scopes: [refunds]}\n" +
		"http: {openapi_file: " + file + "}\n---\nkind: Policy\nname: metered-clerk\nstatements:\n  - {effect: allow, actions: [\"metered:CreateRefund\"], resources: [\"metered/*\"]}\n" +
		"---\nkind: Role\nname: metered-clerk\nbind: [{issuer: dev, claims: {sub: \"fn:metered\"}}]\npolicies: [metered-clerk]\n"
	if r := shared.gw.CLI(t.Context(), documents, "apply", "-f", "-"); r.Code != 0 {
		t.Fatalf("%s%s", r.Out, r.Err)
	}
	tok := token(t, "fn:metered")
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodPost, "/v1/refunds", `{"amount":5}`, http.StatusOK}, {http.MethodPost, "/v1/refunds", `{"amount":50}`, http.StatusOK},
		{http.MethodPost, "/v1/refunds", `{"amount":500}`, http.StatusBadRequest}, {http.MethodPost, "/v1/refunds", `{"amount":5,"admin":true}`, http.StatusBadRequest}, {http.MethodPost, "/v1/refunds", ``, http.StatusBadRequest},
		{http.MethodPost, "/v1/refunds?force=1", `{"amount":5}`, http.StatusBadRequest}, {http.MethodGet, "/v1/refunds/7", "", http.StatusForbidden}, {http.MethodGet, "/v1/refunds/x", "", http.StatusBadRequest}, {http.MethodDelete, "/v1/refunds/7", "", http.StatusBadRequest},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, strings.Replace(at(c.path), "/c/billing", "/c/metered", 1), bytes.NewReader([]byte(c.body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+tok)
		r.Header.Set("Content-Type", "application/json")
		resp, err := client(t).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != c.status || c.status == http.StatusOK && string(body) != "for Bearer [redacted]*********" {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, resp.StatusCode, body)
		}
	}
	seen := got()
	if minted.Load() != 1 || len(seen) != 3 || string(seen[0].body) != "grant_type=client_credentials&scope=refunds" || seen[1].Header.Get("Authorization") != "Bearer minted-token-canary" {
		t.Fatalf("%d tokens; the backend saw %d requests", minted.Load(), len(seen))
	}
	if user, secret, _ := seen[0].BasicAuth(); user != "gateway" || secret != credential {
		t.Errorf("the client of the token's server is %s", user)
	}
}
