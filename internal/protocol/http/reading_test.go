package http

import (
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/internal/access"
)

// TestAttackOnOperations: what a server may read as another operation than the document's, or as a parameter that nobody looked at, is
// refused.
func TestAttackOnOperations(t *testing.T) {
	e := withDocument(t, `
openapi: 3.0.3
paths:
  /users/{id}/keys: {get: {operationId: keysOf}}
  /users/me/{what}: {get: {operationId: mine}}
  /users/me/keys: {post: {operationId: addKey}}
  /files/a{x}: {get: {operationId: left}}
  /files/{x}b: {get: {operationId: right}}
  /files/ab{x}: {get: {operationId: narrow}}
  /files/{x}: {get: {operationId: any}}
  /list/: {get: {operationId: list}}
  /tags:
    get:
      operationId: tags
      parameters: [{name: ids, in: query, schema: {type: array, items: {type: integer}, maxItems: 2}}]
  /any:
    post:
      operationId: anything
      requestBody: {content: {"*/*": {schema: {type: object, properties: {amount: {type: number, maximum: 10}}}}}}
  /file:
    post:
      operationId: upload
      requestBody: {content: {"*/*": {schema: {type: string, format: binary}}}}
`)
	for _, c := range []struct {
		method, raw, body, media string
		fits                     bool
	}{
		{"GET", "/users/7/keys", "", "", true},
		{"GET", "/users/me/x", "", "", true},
		{"GET", "/users/me/keys", "", "", false}, // two operations, and neither is narrower
		{"POST", "/users/me/keys", "", "", true}, // narrower than both
		{"GET", "/files/axb", "", "", false},
		{"GET", "/files/ax", "", "", true},
		{"GET", "/files/abx", "", "", true},
		{"GET", "/files/x", "", "", true},
		{"GET", "/users/7/keys/", "", "", false},
		{"GET", "/list/", "", "", true},
		{"GET", "/list", "", "", false},
		{"GET", "/LIST/", "", "", false},
		{"HEAD", "/list/", "", "", false},
		{"OPTIONS", "/list/", "", "", false},
		{"GET", "/tags?ids=1&ids=2", "", "", true},
		{"GET", "/tags?ids[]=1&ids[]=2", "", "", true},
		{"GET", "/tags?ids[]=x", "", "", false},
		{"GET", "/tags?ids=1&ids[]=2&ids=3", "", "", false},
		{"POST", "/any", `{"amount":5}`, "application/json", true},
		{"POST", "/any", `{"amount":50}`, "application/json", false},
		{"POST", "/any", `{"amount":50}`, "text/plain", false},
		{"POST", "/any", `{"amount":50}`, "", false},
		{"POST", "/file", "bytes", "application/octet-stream", true},
	} {
		a := request(t, c.method, c.raw, c.body)
		if c.media != "" {
			a.header.Set("Content-Type", c.media)
		}
		if _, err := e.understand(a); (err == nil) != c.fits {
			t.Errorf("%s %s %s: %v", c.method, c.raw, c.body, err)
		}
	}
	for name, param := range map[string]string{
		"a bound without a type":  `{maximum: 10}`,
		"members without a type":  `{items: {enum: [a]}}`,
		"a bound one level below": `{anyOf: [{minimum: 1}]}`,
	} {
		text := "openapi: 3.0.0\npaths: {/a: {get: {operationId: a, parameters: [{name: n, in: query, schema: " + param + "}]}}}"
		if _, err := newOpenAPI("b", []byte(text), false); err == nil || !strings.Contains(err.Error(), "names no type") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAttackBySpaces: HTTP/2 carries spaces around a value, which HTTP/1.1 leaves away: a condition would read another one than the
// backend.
func TestAttackBySpaces(t *testing.T) {
	for _, v := range []string{" admin", "admin ", "\tadmin", "admin\t"} {
		if _, err := cleanRequest(headers("X-Mode", v)); err == nil {
			t.Errorf("%q is let through", v)
		}
	}
}

// TestTokenLeavesNoTrace: a token among the subprotocols is taken out of requests that ask for no WebSocket, too: an intermediary may have
// taken the question away, and the log would have it.
func TestTokenLeavesNoTrace(t *testing.T) {
	for _, upgrade := range []bool{false, true} {
		r := httptest.NewRequest("GET", "/c/billing/x", nil)
		r.Header.Set("Sec-Websocket-Protocol", "chat, gatehouse.bearer.token-canary")
		r.Header.Set("Authorization", "Bearer token-canary")
		if upgrade {
			r.Header.Set("Upgrade", "websocket")
		}
		token, ok := tokenOf(r)
		if got := r.Header.Get("Sec-Websocket-Protocol"); got != "chat" || ok != upgrade || ok && string(token.Reveal()) != "token-canary" {
			t.Errorf("%v: %q is left, and %v", upgrade, got, ok)
		}
		if upgrade == (r.Header.Get("Authorization") != "") {
			t.Errorf("%v: Authorization is %q", upgrade, r.Header.Get("Authorization"))
		}
	}
}

// TestHere: where the client finds the connection holds nothing of its query.
func TestHere(t *testing.T) {
	for _, c := range []struct{ target, raw, want string }{
		{"/c/billing?token=canary", "/?token=canary", "/c/billing"},
		{"/c/billing", "/", "/c/billing"},
		{"/c/billing/", "/", "/c/billing"},
		{"/c/billing/v1?a=/v1", "/v1?a=/v1", "/c/billing"},
		{"/v1/x?y", "/v1/x?y", ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RequestURI = c.target
		v := &visit{r: r, raw: c.raw, conn: &access.Connection{HTTP: &access.HTTPOptions{KeepPrefix: true}}}
		if got := v.here(); got != c.want || v.forwarding().prefix != c.want {
			t.Errorf("%s: %q", c.target, got)
		}
	}
}
