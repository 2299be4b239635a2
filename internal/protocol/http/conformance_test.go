package http

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
	"gatehouse/internal/session"
	"gatehouse/internal/wire"
	"gatehouse/internal/wire/exchange"
	"gatehouse/internal/wire/wiretest"
)

// TestConformance runs the suite that every protocol of requests passes, before a backend that repeats all that it was sent.
func TestConformance(t *testing.T) {
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all, err := httputil.DumpRequest(r, true)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		_, _ = w.Write(all)
	}))
	defer echo.Close()
	wiretest.RunRequests(t, wiretest.RequestSuite{
		Protocol: func() wire.Protocol {
			return New(wire.Deps{Mask: mask.NewKey([32]byte{1}), Clock: time.Now, Random: rand.Reader})
		},
		Serve: func(p wiretest.Parts, proto wire.Protocol, h wire.Hello) wiretest.Listener {
			return session.NewServer(session.Options{Gate: p.Gate, Identity: p.Identity, Refusal: p.Refusal, NewID: p.NewID, Log: p.Log,
				Sessions: 1000, Login: 5 * time.Second}).Requests(proto, h)
		},
		Clock: time.Now,
		Connection: access.Connection{Name: "api", Type: name, Address: echo.Listener.Addr().String(), TLS: access.BackendTLS{Mode: "disable"},
			Credential: access.Credential{Secret: "api"}},
		Password: "the-backends-own-credential",
		Forms: map[string]func(base, connection, token, mark string) *http.Request{
			"get":      form(http.MethodGet, nil),
			"post":     form(http.MethodPost, func() io.Reader { return strings.NewReader(`{"a":1}`) }),
			"streamed": form(http.MethodPut, func() io.Reader { return io.MultiReader(bytes.NewReader(make([]byte, 100_000))) }),
		},
		Refused: func(resp *http.Response, body []byte) (say, approval string) {
			var p exchange.Problem
			if resp.Header.Get("Content-Type") != "application/problem+json" || json.Unmarshal(body, &p) != nil {
				return "", ""
			}
			return p.Detail, p.Approval
		},
		Return: func(r *http.Request, approval string) { r.Header.Set(exchange.HeaderApproval, approval) },
	})
}

func form(method string, body func() io.Reader) func(base, connection, token, mark string) *http.Request {
	return func(base, connection, token, mark string) *http.Request {
		var b io.Reader
		if body != nil {
			b = body()
		}
		r, err := http.NewRequest(method, base+"/c/"+connection+"/v1/"+mark, b)
		if err != nil {
			panic(err) // the test's own
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		return r
	}
}
