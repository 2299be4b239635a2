package web

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/e2e/gateway"
)

// TestHostNamesTheConnection: below a listener's domain the host names the connection, and the path is all the backend's.
func TestHostNamesTheConnection(t *testing.T) {
	got := backend(t, func(http.ResponseWriter, *http.Request) {})
	conf := filepath.Join(t.TempDir(), "gateway.yaml")
	text := "api: {address: \"127.0.0.1:0\"}\nlisteners:\n  - {protocol: http, address: \"127.0.0.1:0\", domain: gw.example}\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	gw := second(t, gateway.Options{Binary: shared.binary, State: filepath.Join(t.TempDir(), "state"), Config: conf})
	tok, err := gw.Token(t.Context(), "fn:reader")
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{"billing.gw.example": http.StatusOK, "BILLING.GW.EXAMPLE:8444": http.StatusOK, "other.gw.example": http.StatusForbidden, "gw.example": http.StatusNotFound} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+gw.Listener["http"]+"/c/v1/x?y=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		if want == http.StatusNotFound {
			r.URL.Path = "/v1/x"
		}
		r.Header.Set("Authorization", "Bearer "+tok)
		resp, err := clientOf(t, gw).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %s", host, resp.Status)
		}
	}
	for _, r := range got() {
		if r.RequestURI != "/base/c/v1/x?y=1" || strings.Contains(strings.ToLower(r.Host), "gw.example") {
			t.Errorf("the backend saw %s at %s", r.RequestURI, r.Host)
		}
	}
	if len(got()) != 2 {
		t.Errorf("the backend saw %d requests", len(got()))
	}
}

// second starts another gateway with the documents of the shared one.
func second(t *testing.T, o gateway.Options) *gateway.Gateway {
	t.Helper()
	gw, err := gateway.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gw.Stop)
	if err := shared.fill(t.Context(), gw); err != nil {
		t.Fatal(err)
	}
	return gw
}

// TestTokenBesideAnother: where the token comes in a header of its own, the Authorization beside it is the backend's, unless the
// connection has a credential for it.
func TestTokenBesideAnother(t *testing.T) {
	got := backend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	tok := token(t, "fn:reader")
	for _, c := range []struct{ path, name, value, want string }{
		{"/c/billing/v1/x", "X-Gatehouse-Token", tok, "Bearer " + credential},
		{"/c/billing/v1/x", "Proxy-Authorization", "Bearer " + tok, "Bearer " + credential},
		{"/c/open/v1/x", "X-Gatehouse-Token", tok, "Basic Y2xpZW50OnM="},
		{"/c/open/v1/x", "Proxy-Authorization", "Bearer " + tok, "Basic Y2xpZW50OnM="},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+shared.gw.Listener["http"]+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Basic Y2xpZW50OnM=")
		r.Header.Set(c.name, c.value)
		resp, err := client(t).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		last := got()[len(got())-1]
		if resp.StatusCode != http.StatusOK || last.Header.Get("Authorization") != c.want || last.Header.Get(c.name) != "" {
			t.Errorf("%s %s: %s, the backend got %v", c.path, c.name, resp.Status, last.Header)
		}
	}
}

// TestCredentialInParts: a backend that repeats its credential cannot be asked for it piece by piece.
func TestCredentialInParts(t *testing.T) {
	got := backend(t, func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "debug.txt", time.Time{}, strings.NewReader("key: "+r.Header.Get("Authorization")))
	})
	for _, part := range []string{"bytes=0-15", "bytes=12-18,19-25", "bytes=-9"} {
		a := call(t, client(t), token(t, "fn:reader"), http.MethodGet, "/v1/debug", "", "Range", part, "If-Range", `"x"`)
		if a.StatusCode != http.StatusOK || strings.Contains(a.body, credential[:12]) {
			t.Errorf("%s: %d %s", part, a.StatusCode, a.body)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+shared.gw.Listener["http"]+"/c/open/debug", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token(t, "fn:reader"))
	r.Header.Set("Range", "bytes=0-2")
	resp, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusPartialContent {
		t.Errorf("without a credential: %s", resp.Status)
	}
	for _, r := range got()[:3] {
		if r.Header.Get("Range") != "" || r.Header.Get("If-Range") != "" {
			t.Errorf("the backend was asked for %v", r.Header)
		}
	}
}
