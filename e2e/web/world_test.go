package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/e2e/gateway"
)

// credential is the backend's own: no byte of it may ever reach a client, a log or a record.
const credential = "backend-credential-canary-7f3a9c"

// world is what the tests share: one gateway, and a backend whose handler each test sets.
type world struct {
	dir     string
	binary  string
	backend *httptest.Server
	gw      *gateway.Gateway

	mu   sync.Mutex
	turn *turn
}

// turn is what the backend does for one test. A request that was cut while its body came is over when another test has its turn.
type turn struct {
	handler http.HandlerFunc
	seen    []*seen
}

// seen is a request as the backend got it.
type seen struct {
	*http.Request
	body []byte
}

var shared world

func TestMain(m *testing.M) {
	code := 1
	if err := shared.open(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	if code != 0 && shared.gw != nil {
		log, _ := shared.gw.Log()
		fmt.Fprintln(os.Stderr, "the gateway's log ends with:\n"+log[max(0, len(log)-6000):])
	}
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func (w *world) open() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // the first build may be cold
	defer cancel()
	if w.dir, err = os.MkdirTemp("", "gatehouse-web-"); err != nil {
		return err
	}
	if w.binary, err = gateway.Build(ctx, w.dir); err != nil {
		return err
	}
	w.backend = httptest.NewServer(w)
	if w.gw, err = gateway.Start(ctx, gateway.Options{Binary: w.binary, State: filepath.Join(w.dir, "state")}); err != nil {
		return err
	}
	return w.fill(ctx, w.gw)
}

// fill gives a gateway the documents and the credential.
func (w *world) fill(ctx context.Context, gw *gateway.Gateway) error {
	if r := gw.CLI(ctx, credential, "secrets", "set", "billing"); r.Code != 0 {
		return fmt.Errorf("secrets set: %s%s", r.Out, r.Err)
	}
	raw, err := os.ReadFile("testdata/documents.yaml")
	if err != nil {
		return err
	}
	documents := strings.NewReplacer("${BACKEND}", w.backend.URL).Replace(string(raw))
	if r := gw.CLI(ctx, documents, "apply", "-f", "-"); r.Code != 0 {
		return fmt.Errorf("apply: %s%s", r.Out, r.Err)
	}
	return nil
}

func (w *world) close() error {
	if w.gw != nil {
		w.gw.Stop()
	}
	for _, b := range []*httptest.Server{w.backend, streaming.plain, streaming.tls} {
		if b != nil {
			b.CloseClientConnections()
			b.Close()
		}
	}
	if shop.server != nil {
		shop.server.Stop()
	}
	return errors.Join(os.RemoveAll(w.dir))
}

// ServeHTTP implements http.Handler: it keeps what came, and answers as the test at hand says.
func (w *world) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	now := w.turn
	w.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	now.seen = append(now.seen, &seen{r, body})
	w.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	now.handler(out, r)
}

// backend has the backend answer with h for the time of one test, and returns what it has seen since.
func backend(t *testing.T, h http.HandlerFunc) func() []*seen {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	mine := &turn{handler: h}
	shared.turn = mine
	return func() []*seen {
		shared.mu.Lock()
		defer shared.mu.Unlock()
		return mine.seen
	}
}

func token(t *testing.T, subject string) string {
	t.Helper()
	tok, err := shared.gw.Token(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// client is a stock client that trusts the shared gateway.
func client(t *testing.T) *http.Client {
	t.Helper()
	return clientOf(t, shared.gw)
}

func clientOf(t *testing.T, gw *gateway.Gateway) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(gw.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no root")
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// at is the URL of a path of the connection.
func at(path string) string { return "https://" + shared.gw.Listener["http"] + "/c/billing" + path }

// answer is what a client got.
type answer struct {
	*http.Response
	body string
}

// call sends one request with a token.
func call(t *testing.T, c *http.Client, tok, method, path, body string, headers ...string) answer {
	t.Helper()
	a, err := try(t, c, tok, method, path, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// try is call for what may be cut.
func try(t *testing.T, c *http.Client, tok, method, path, body string, headers ...string) (answer, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, at(path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+tok)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	return answer{resp, string(got)}, err
}
