package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// billingKey is what the API of the story wants of its callers.
const billingKey = "bk_live_8f2d61c0a94e"

// billing is the HTTP API of the story: a company's billing, which knows one key and believes whoever has it.
type billing struct {
	server *http.Server
	url    string

	mu      sync.Mutex
	asked   []string // method and path of each request
	headers []http.Header
}

func newBilling(ctx context.Context) (*billing, error) {
	var conf net.ListenConfig
	l, err := conf.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &billing{url: "http://" + l.Addr().String()}
	b.server = &http.Server{Handler: b, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = b.server.Serve(l) }() // until it is closed
	return b, nil
}

func (b *billing) close() error { return b.server.Close() }

// ServeHTTP answers with JSON.
func (b *billing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.asked, b.headers = append(b.asked, r.Method+" "+r.URL.Path), append(b.headers, r.Header.Clone())
	b.mu.Unlock()
	key := r.Header.Get("Authorization")
	switch {
	case key != "Bearer "+billingKey:
		answer(w, http.StatusUnauthorized, map[string]any{"error": "who are you?"})
	case r.Method == http.MethodGet && r.URL.Path == "/v1/customers/1":
		answer(w, http.StatusOK, map[string]any{"id": 1, "name": "Ada Brook", "email": "ada.brook@mail.example.test", "ssn": "078-05-1137",
			"note": "pays with 4242 4242 4242 4242"})
	case r.URL.Path == "/v1/whoami":
		answer(w, http.StatusOK, map[string]any{"you_sent": key})
	case r.Method == http.MethodPost && r.URL.Path == "/v1/refunds":
		var order map[string]any
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&order); err != nil {
			answer(w, http.StatusBadRequest, map[string]any{"error": "that is no refund"})
			return
		}
		answer(w, http.StatusCreated, map[string]any{"refund": 1001, "amount": order["amount"], "state": "paid"})
	default:
		answer(w, http.StatusNotFound, map[string]any{"error": "there is nothing here"})
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that has gone has its reasons
}

// count is how many requests of a kind it has seen.
func (b *billing) count(request string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, a := range b.asked {
		if a == request {
			n++
		}
	}
	return n
}

// saw reports whether a text stood in any header of any request.
func (b *billing) saw(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.headers, func(h http.Header) bool {
		for _, values := range h {
			if strings.Contains(strings.Join(values, "\n"), text) {
				return true
			}
		}
		return false
	})
}
