package web

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// streams are the backends of the tests of streams: each test has a path of its own, on all of them.
type streams struct {
	once  sync.Once
	err   error
	token string   // of fn:stream
	mux   sync.Map // of handlers, by path
	next  atomic.Int64
	plain *httptest.Server // HTTP/1.1 and HTTP/2, both in clear
	tls   *httptest.Server // HTTP/1.1 and HTTP/2
}

var streaming streams

// ServeHTTP implements http.Handler.
func (s *streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h, ok := s.mux.Load(r.URL.Path); ok {
		h.(http.HandlerFunc)(w, r)
		return
	}
	http.NotFound(w, r)
}

func (s *streams) open(t *testing.T) {
	t.Helper()
	s.once.Do(func() {
		s.token = token(t, "fn:stream")
		s.plain = httptest.NewUnstartedServer(s)
		s.plain.Config.Protocols = new(http.Protocols)
		s.plain.Config.Protocols.SetHTTP1(true)
		s.plain.Config.Protocols.SetUnencryptedHTTP2(true)
		s.plain.Start()
		s.tls = httptest.NewUnstartedServer(s)
		s.tls.EnableHTTP2 = true
		s.tls.StartTLS()
		ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.tls.Certificate().Raw}))
		s.err = apply(t, "testdata/streams.yaml", "${PLAIN}", s.plain.URL, "${RPC}", "http://"+shop.open(t), "${DESCRIPTORS}", shop.descriptors, "${TLS}", s.tls.URL,
			"${CA}", "    "+strings.ReplaceAll(strings.TrimSpace(ca), "\n", "\n    "))
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
}

// apply applies a file of documents, in which words stand for what is known only now.
func apply(t *testing.T, file string, words ...string) error {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if r := shared.gw.CLI(t.Context(), strings.NewReplacer(words...).Replace(string(raw)), "apply", "-f", "-"); r.Code != 0 {
		return fmt.Errorf("apply: %s%s", r.Out, r.Err)
	}
	return nil
}

// far has every backend answer a path of the test's own with h, and returns the path.
func far(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	streaming.open(t)
	path := fmt.Sprintf("/t%d", streaming.next.Add(1))
	streaming.mux.Store(path, h)
	return path
}

// on is the URL of a path of a connection.
func on(connection, path string) string {
	return "https://" + shared.gw.Listener["http"] + "/c/" + connection + path
}

// via is a stock client that speaks one version of HTTP only.
func via(t *testing.T, h2 bool) *http.Client {
	t.Helper()
	c := client(t)
	tr := c.Transport.(*http.Transport)
	tr.Protocols = new(http.Protocols)
	tr.Protocols.SetHTTP1(!h2)
	tr.Protocols.SetHTTP2(h2)
	return c
}

// versions runs a test with each version of HTTP to each kind of backend.
func versions(t *testing.T, test func(t *testing.T, c *http.Client, connection string)) {
	t.Helper()
	for _, h2 := range []bool{false, true} {
		for _, connection := range []string{"plain", "two", "clear"} {
			t.Run(fmt.Sprintf("%s to %s", map[bool]string{false: "1.1", true: "2"}[h2], connection), func(t *testing.T) {
				test(t, via(t, h2), connection)
			})
		}
	}
}

// start sends a request and returns the answer as soon as its header is there.
func start(t *testing.T, c *http.Client, method, url string, body io.Reader, headers ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+streaming.token)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// ended waits until the log has the outcome of the action on a connection whose text has this line, and returns it.
func ended(t *testing.T, connection, line string) map[string]any {
	t.Helper()
	for t.Context().Err() == nil {
		list := shared.gw.CLI(t.Context(), "", "sessions", "list", "-o", "json")
		for _, s := range objects(t, list.Out, "principal") {
			if p, _ := s["principal"].(string); strings.HasSuffix(p, "#fn:stream") && s["connection"] == connection {
				if o := outcome(t, s["id"].(string), line); o != nil {
					return o
				}
			}
		}
	}
	t.Fatal("there is no outcome of " + line)
	return nil
}

// outcome is what a session's log holds of the end of such an action; nil where it holds nothing.
func outcome(t *testing.T, session, line string) map[string]any {
	t.Helper()
	asked := map[any]bool{}
	for _, e := range objects(t, shared.gw.CLI(t.Context(), "", "sessions", "replay", session, "-o", "json").Out, "kind") {
		text, _ := e["text"].(string)
		switch {
		case e["kind"] == "action.intended" && strings.Contains(text+"\n", line+"\n"):
			asked[e["action"]] = true
		case e["kind"] == "action.ended" && asked[e["action"]]:
			return e
		}
	}
	return nil
}

// objects collects the objects that have a key, anywhere in some JSON.
func objects(t *testing.T, text, key string) (found []map[string]any) {
	t.Helper()
	var collect func(v any)
	collect = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				collect(x)
			}
		case map[string]any:
			if _, ok := v[key]; ok {
				found = append(found, v)
				return
			}
			for _, x := range v {
				collect(x)
			}
		}
	}
	for d := json.NewDecoder(strings.NewReader(text)); d.More(); {
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		collect(v)
	}
	return found
}

// dialled is a raw connection to the gateway, with TLS, that speaks HTTP/1.1.
func dialled(t *testing.T) *tls.Conn {
	t.Helper()
	conf := client(t).Transport.(*http.Transport).TLSClientConfig.Clone()
	conf.NextProtos = []string{"http/1.1"}
	conn, err := tls.Dial("tcp", shared.gw.Listener["http"], conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
