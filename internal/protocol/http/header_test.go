package http

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h[http.CanonicalHeaderKey(pairs[i])] = append(h[http.CanonicalHeaderKey(pairs[i])], pairs[i+1])
	}
	return h
}

// TestAttackByHeaders: what would change how a backend reads a judged request is refused.
func TestAttackByHeaders(t *testing.T) {
	many := http.Header{}
	for i := range maxHeaders + 1 {
		many.Set(fmt.Sprintf("X-%d", i), "1")
	}
	for name, h := range map[string]http.Header{
		"a method override":           headers("X-HTTP-Method-Override", "DELETE"),
		"with underscores":            headers("X_HTTP_Method_Override", "DELETE"),
		"with dots":                   headers("X.HTTP.Method.Override", "DELETE"),
		"another method override":     headers("X-Method-Override", "DELETE"),
		"a path override":             headers("X-Original-URL", "/admin"),
		"another path override":       headers("X-Rewrite-Url", "/admin"),
		"stripping where it is from":  headers("Connection", "close, X-Forwarded-For"),
		"stripping the authorization": headers("Connection", "Authorization"),
		"stripping the length":        headers("Connection", "content-length"),
		"stripping a cookie":          headers("Connection", "keep-alive", "Connection", "Cookie"),
		"two content types":           headers("Content-Type", "application/json", "Content-Type", "text/plain"),
		"two encodings":               headers("Content-Encoding", "gzip", "Content-Encoding", "br"),
		"two authorizations":          headers("Authorization", "Bearer a", "Authorization", "Bearer b"),
		"two ranges":                  headers("Range", "bytes=0-1", "Range", "bytes=2-3"),
		"a line break":                headers("X-A", "b\r\nX-Forwarded-For: 10.0.0.1"),
		"a line feed":                 headers("X-A", "b\nc"),
		"a NUL":                       headers("X-A", "b\x00"),
		"an expectation":              headers("Expect", "200-ok"),
		"too many":                    many,
		"too large":                   headers("X-A", strings.Repeat("a", maxHeaderBytes)),
	} {
		if _, err := cleanRequest(h); err == nil {
			t.Errorf("%s is let through: %v", name, h)
		}
	}
}

// TestCleanRequest: nothing that only a gateway may say, or that is between two neighbours, is passed on.
func TestCleanRequest(t *testing.T) {
	h := headers("Connection", "Upgrade, keep-alive", "Upgrade", "WebSocket", "Keep-Alive", "1", "Proxy-Connection", "x", "TE", "trailers, deflate", "Te", "trailers", "Trailer", "X-Sum",
		"Transfer-Encoding", "chunked", "Content-Length", "5", "Expect", "100-continue", "Proxy-Authorization", "Bearer t", "Http2-Settings", "x",
		"X-Gatehouse-Token", "t", "Gatehouse-Approval", "a", "Forwarded", "for=x", "X-Forwarded-For", "10.0.0.1", "X-Forwarded-Prefix", "/x", "X-Forwarded-Host", "h", "X-Real-IP", "10.0.0.1",
		"Via", "x", "Proxy", "x", "Remote-User", "root", "X-Envoy-Internal", "true", "X_Forwarded_For", "10.0.0.1", "Content_Length", "9", "X.Real.IP", "x",
		"Cookie", "a=1", "Cookie", "b=2", "X-Kept", "1", "X-Kept", "2", "Accept", "*/*", "Content-Type", "text/plain")
	upgrade, err := cleanRequest(h)
	if err != nil || upgrade != "websocket" {
		t.Fatalf("%q %v", upgrade, err)
	}
	want := headers("Te", "trailers", "Cookie", "a=1; b=2", "X-Kept", "1", "X-Kept", "2", "Accept", "*/*", "Content-Type", "text/plain")
	if fmt.Sprint(h) != fmt.Sprint(want) {
		t.Errorf("passed on: %v\nwant       %v", h, want)
	}
	introduce(h, forwarding{peer: "192.0.2.1", host: "gw.example", scheme: "https", prefix: "/c/billing"}, map[string]string{"X-Kept": "3"})
	if h.Get("X-Forwarded-For") != "192.0.2.1" || h.Get("X-Forwarded-Prefix") != "/c/billing" || h.Get("X-Kept") != "3" || h["User-Agent"][0] != "" {
		t.Errorf("%v", h)
	}
}

func placed(here string) origins {
	return origins{backend: &url.URL{Scheme: "https", Host: "api.internal:443"}, base: "/base", here: here}
}

// TestRewrittenReferences: what points to the backend points to the gateway, what points elsewhere is left, and what would tell
// of a place of the backend that the connection does not serve is gone.
func TestRewrittenReferences(t *testing.T) {
	for _, c := range []struct{ ref, want, atHost string }{
		{"https://api.internal/base/v1/a?x=1#y", "/c/billing/v1/a?x=1#y", "/v1/a?x=1#y"},
		{"https://API.internal:443/base/v1", "/c/billing/v1", "/v1"},
		{"http://api.internal/base/v1", "/c/billing/v1", "/v1"},
		{"//api.internal/base", "/c/billing/", "/"},
		{"/base/v1/%2F", "/c/billing/v1/%2F", "/v1/%2F"},
		{"/base", "/c/billing/", "/"},
		{"next?page=2", "next?page=2", "next?page=2"},
		{"?page=2", "?page=2", "?page=2"},
		{"https://elsewhere.example/base", "https://elsewhere.example/base", "https://elsewhere.example/base"},
		{"//elsewhere.example/x", "//elsewhere.example/x", "//elsewhere.example/x"},
		{"https://api.internal:8443/base", "https://api.internal:8443/base", "https://api.internal:8443/base"},
		{"mailto:a@b", "mailto:a@b", "mailto:a@b"},
		{"/other", "", ""},
		{"/basement", "", ""},
		{"https://api.internal/admin", "", ""},
		{"https://api.internal/%zz", "", ""},
		{"/base//evil.example", "/c/billing//evil.example", ""},
	} {
		for _, o := range []origins{placed("/c/billing"), placed("")} {
			want := c.want
			if o.here == "" {
				want = c.atHost
			}
			h := headers("Location", c.ref)
			cleanResponse(h, o)
			if got := h.Get("Location"); got != want {
				t.Errorf("%s below %q becomes %q, not %q", c.ref, o.here, got, want)
			}
		}
	}
}

func TestCleanResponse(t *testing.T) {
	h := headers("Connection", "close, X-Hop", "X-Hop", "1", "Keep-Alive", "1", "Transfer-Encoding", "chunked", "Content-Length", "5", "Strict-Transport-Security", "max-age=1", "Alt-Svc", "h3=x",
		"Clear-Site-Data", "*", "X-Accel-Redirect", "/etc/passwd", "X-Sendfile", "/x", "Gatehouse-Approval", "forged", "X-Bad", "a\nb", "X-Kept", "1",
		"Link", `</base/v1?page=2>; rel="next", <https://elsewhere.example/>; rel="x"`, "Refresh", "5; url=/base/next", "Content-Location", "/base/v1/a",
		"Set-Cookie", "sid=1; Domain=api.internal; Path=/base/v1; HttpOnly", "Set-Cookie", "b=2; Secure", "Set-Cookie", "c=3; path=/")
	cleanResponse(h, placed("/c/billing"))
	want := headers("X-Kept", "1", "Link", `</c/billing/v1?page=2>; rel="next", <https://elsewhere.example/>; rel="x"`, "Refresh", "5; url=/c/billing/next",
		"Content-Location", "/c/billing/v1/a", "Set-Cookie", "sid=1; Path=/c/billing/v1; HttpOnly", "Set-Cookie", "b=2; Secure; Path=/c/billing", "Set-Cookie", "c=3; Path=/c/billing")
	if fmt.Sprint(h) != fmt.Sprint(want) {
		t.Errorf("passed on: %v\nwant       %v", h, want)
	}
}
