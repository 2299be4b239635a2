package client_test

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/api/message"
	"gatehouse/internal/cli/client"
	"gatehouse/internal/fault"
)

const token = "t0ken-for-this-gateway-only"

// against returns a client of a server that is not quite a gateway.
func against(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	c, err := client.New(client.Settings{Address: srv.URL, AddressFrom: "the test", CA: ca, Token: access.NewSecret([]byte(token)), TokenFrom: "the test"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTokenStaysWithItsGateway(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was asked with %q", r.URL, r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	c := against(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	_, err := c.Whoami(t.Context())
	if err == nil || strings.Contains(err.Error(), token) {
		t.Errorf("%v", err)
	}
}

func TestAnswersThatAreNotAGateways(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"html":        func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"html error":  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) },
		"empty error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) },
		"no problem": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{}`))
		},
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"principal":`))
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			line := []byte(strings.Repeat(" ", 1<<20))
			for range 70 {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := against(t, h).Whoami(t.Context())
			if text, _ := fault.Say(err); err == nil || strings.Contains(text, "<html>") || strings.Contains(text, "its log says why") {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestKindsSurvive sends each kind through a problem and back.
func TestKindsSurvive(t *testing.T) {
	for k := fault.Internal; k <= fault.Conflict; k++ {
		c := against(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			_ = json.NewEncoder(w).Encode(message.Problem{Kind: k.String(), Detail: "what happened", Hint: "what to do"})
		})
		_, err := c.Whoami(t.Context())
		if text, hint := fault.Say(err); fault.KindOf(err) != k || text != "what happened" || hint != "what to do" {
			t.Errorf("%s: %v", k, err)
		}
	}
}

// TestUnknownKeysAreNotDropped: an older client that read a newer document and applied it again would lose a rule.
func TestUnknownKeysAreNotDropped(t *testing.T) {
	for _, doc := range []string{`{"kind":"Role","name":"x","bind":[],"new_rule":1}`, `{"kind":"Moon","name":"x"}`, `{"name":"x"}`, `[]`} {
		c := against(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"revision":1,"documents":[` + doc + `]}`))
		})
		if _, err := c.Documents(t.Context(), ""); fault.KindOf(err) != fault.Malformed {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

func TestWatchEndsWhenTheStreamDoes(t *testing.T) {
	c := against(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(": watching\n\nevent: approval\ndata: {\"id\":\"a\"}\n\n"))
	})
	var ids []string
	err := c.Watch(t.Context(), func(a access.Approval) error { ids = append(ids, a.ID); return nil })
	if text, _ := fault.Say(err); !strings.Contains(text, "watch again") || len(ids) != 1 {
		t.Errorf("%v %v", err, ids)
	}
}
