package http

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// billingAPI is a document in OpenAPI 3.0.
const billingAPI = `
openapi: 3.0.3
info: {title: Billing, version: "1"}
paths:
  /v1/invoices:
    get:
      operationId: listInvoices
      parameters:
        - {name: limit, in: query, schema: {type: integer, minimum: 1, maximum: 100}}
        - {name: state, in: query, schema: {type: array, items: {type: string, enum: [open, paid]}}}
        - {name: ids, in: query, style: form, explode: false, schema: {type: array, items: {type: integer}, maxItems: 3}}
        - {name: X-Tenant, in: header, required: true, schema: {type: string, pattern: "^[a-z]+$"}}
      responses: {"200": {description: ok, content: {application/json: {schema: {unknownKeyword: 1}}}}}
  /v1/invoices/{id}:
    parameters:
      - {$ref: "#/components/parameters/id"}
    get: {operationId: get-invoice, responses: {}}
    delete: {responses: {}}
  /v1/refunds:
    post:
      operationId: createRefund
      requestBody: {$ref: "#/components/requestBodies/refund"}
      responses: {}
  /v1/notes:
    put:
      operationId: putNote
      requestBody:
        content:
          text/*: {}
          application/json: {schema: {$ref: "#/components/schemas/Tree"}}
      responses: {}
components:
  parameters:
    id: {name: id, in: path, required: true, schema: {type: integer}}
  requestBodies:
    refund:
      required: true
      content:
        application/json: {schema: {$ref: "#/components/schemas/Refund"}}
  schemas:
    Refund:
      type: object
      required: [id, invoice, amount]
      additionalProperties: false
      x-anything: {at: all}
      properties:
        id: {type: string, readOnly: true}
        invoice: {type: integer, format: int32}
        amount: {type: number, minimum: 0, exclusiveMinimum: true, maximum: 100, multipleOf: 0.5}
        reason: {type: string, nullable: true, maxLength: 10, enum: [late, broken]}
        at: {type: string, format: date}
        to:
          oneOf:
            - {type: object, required: [iban], properties: {iban: {type: string, minLength: 4}}}
            - {type: object, required: [card], properties: {card: {type: string}}}
        tags: {type: array, items: {type: string}, uniqueItems: true, maxItems: 2}
    Tree:
      type: object
      properties: {child: {$ref: "#/components/schemas/Tree"}, n: {type: integer}}
      additionalProperties: false
`

func withDocument(tb testing.TB, text string) *endpoint {
	tb.Helper()
	e, err := compile(&access.Connection{Name: "billing", Address: "https://api.example.com", HTTP: &access.HTTPOptions{OpenAPI: text}}, at(0))
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func TestOperations(t *testing.T) {
	got, err := actions(&access.Connection{Name: "billing", HTTP: &access.HTTPOptions{OpenAPI: billingAPI}})
	if s := fmt.Sprint(got); err != nil || s != "[{billing:CreateRefund false POST /v1/refunds} {billing:DeleteV1InvoicesById false DELETE /v1/invoices/{id}} "+
		"{billing:GetInvoice false GET /v1/invoices/{id}} {billing:ListInvoices false GET /v1/invoices} {billing:PutNote false PUT /v1/notes}]" {
		t.Errorf("%s %v", s, err)
	}
	file := filepath.Join(t.TempDir(), "api.yaml")
	if err := os.WriteFile(file, []byte(billingAPI), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := actions(&access.Connection{Name: "b", HTTP: &access.HTTPOptions{OpenAPIFile: file}}); err != nil || len(got) != 5 {
		t.Errorf("from a file: %v %v", got, err)
	}
	st := understood(t, withDocument(t, billingAPI), request(t, "GET", "/v1/invoices/42", ""))
	if names(st.statement.Actions) != "billing:GetInvoice billing/v1/invoices/42" || names(st.statement.Related) != "http:Get billing/v1/invoices/42" ||
		st.statement.Normal != "GET /v1/invoices/{id}" || st.sent.Params["id"] != "42" {
		t.Errorf("%+v %+v", st.statement, st.sent)
	}
}

// TestRequestsAgainstADocument: what a document does not name, or names otherwise, is refused; what it names passes.
func TestRequestsAgainstADocument(t *testing.T) {
	e := withDocument(t, billingAPI)
	refund := func(s string) asked { return request(t, "POST", "/v1/refunds", s, "Content-Type", "application/json") }
	list := func(query string) asked { return request(t, "GET", "/v1/invoices"+query, "", "X-Tenant", "acme") }
	for _, c := range []struct {
		a    asked
		fits bool
	}{
		{list(""), true}, {list("?limit=10"), true}, {list("?limit=0"), false}, {list("?limit=x"), false}, {list("?limit=010"), false}, {list("?limit=1&limit=2"), false}, {list("?limit=1.5"), false},
		{list("?state=open&state=paid"), true}, {list("?state=open"), true}, {list("?state=gone"), false}, {list("?ids=1,2"), true}, {list("?ids=1,x"), false}, {list("?ids=1,2,3,4"), false},
		{list("?ids=1&ids=2"), false}, {list("?debug=true"), false}, {list("?limit"), false},
		{request(t, "GET", "/v1/invoices", ""), false}, {request(t, "GET", "/v1/invoices", "", "X-Tenant", "ACME"), false},
		{request(t, "GET", "/v1/invoices/x", ""), false}, {request(t, "GET", "/v1/invoices/42", "{}", "Content-Type", "application/json"), false},
		{request(t, "HEAD", "/v1/invoices/42", ""), false}, {request(t, "PATCH", "/v1/invoices/42", ""), false}, {request(t, "GET", "/v1/other", ""), false}, {request(t, "GET", "/", ""), false},
		{refund(`{"invoice":1,"amount":5}`), true}, {refund(`{"invoice":1,"amount":2.5,"reason":null,"at":"2026-01-31","to":{"iban":"DE00"},"tags":["a","b"]}`), true},
		{refund(`{"invoice":1}`), false}, {refund(`{"invoice":"1","amount":5}`), false}, {refund(`{"invoice":3000000000,"amount":5}`), false}, {refund(`{"invoice":1,"amount":0}`), false},
		{refund(`{"invoice":1,"amount":101}`), false}, {refund(`{"invoice":1,"amount":0.3}`), false}, {refund(`{"invoice":1,"amount":5,"admin":true}`), false}, {refund(`{"invoice":1,"amount":5,"reason":"because"}`), false},
		{refund(`{"invoice":1,"amount":5,"at":"yesterday"}`), false}, {refund(`{"invoice":1,"amount":5,"to":{"iban":"DE00","card":"1"}}`), false}, {refund(`{"invoice":1,"amount":5,"tags":["a","a"]}`), false},
		{refund(`[]`), false}, {refund(``), false}, {refund(`{"invoice":1,"amount":5,"amount":500}`), false},
		{request(t, "POST", "/v1/refunds", `{"invoice":1,"amount":5}`, "Content-Type", "text/plain"), false}, {request(t, "POST", "/v1/refunds", `{"invoice":1,"amount":5}`), false},
		{request(t, "POST", "/v1/refunds", "\x1f\x8b", "Content-Type", "application/json", "Content-Encoding", "gzip"), false},
		{request(t, "PUT", "/v1/notes", `{"child":{"child":{"n":1}}}`, "Content-Type", "application/json"), true}, {request(t, "PUT", "/v1/notes", `{"child":{"child":{"n":"x"}}}`, "Content-Type", "application/json"), false},
		{request(t, "PUT", "/v1/notes", `words`, "Content-Type", "text/plain"), true}, {request(t, "PUT", "/v1/notes", ``), true},
	} {
		_, err := e.understand(c.a)
		if (err == nil) != c.fits || err != nil && !errors.Is(err, &fault.Error{Kind: fault.Malformed}) {
			t.Errorf("%s %s %s: %v", c.a.method, c.a.target.uri(), c.a.body, err)
		}
	}
	_, err := e.understand(refund(`{"invoice":1,"amount":5,"reason":"value-canary"}`))
	if say, _ := fault.Say(err); strings.Contains(err.Error(), "value-canary") || !strings.Contains(say, "/reason") {
		t.Errorf("it says %q", err)
	}
}

// TestDocument31: what OpenAPI 3.1 has of JSON Schema counts.
func TestDocument31(t *testing.T) {
	e := withDocument(t, `{"openapi":"3.1.0","paths":{"/a":{"post":{"operationId":"a","requestBody":{"content":{"application/json":{"schema":
		{"type":["object","null"],"properties":{"k":{"const":"x"},"n":{"type":"integer","exclusiveMinimum":0}},"patternProperties":{"^p":{"type":"boolean"}},"unevaluatedProperties":false,
		"if":{"required":["n"]},"then":{"required":["k"]}}}}}}}}}`)
	for body, fits := range map[string]bool{`{"k":"x","n":1,"p1":true}`: true, `null`: true, `{"n":1}`: false, `{"k":"y"}`: false, `{"k":"x","n":0}`: false, `{"p1":1}`: false, `{"other":1}`: false} {
		if _, err := e.understand(request(t, "POST", "/a", body, "Content-Type", "application/json")); (err == nil) != fits {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// TestDocumentsThatAreNone: what would be left out is an error when the document is attached.
func TestDocumentsThatAreNone(t *testing.T) {
	schema := func(s string) string {
		return `{"openapi":"3.0.0","paths":{"/a":{"post":{"requestBody":{"content":{"application/json":{"schema":` + s + `}}}}}}}`
	}
	param := func(s string) string { return `{"openapi":"3.0.0","paths":{"/a":{"get":{"parameters":[` + s + `]}}}}` }
	for name, text := range map[string]string{
		"nothing": "", "a list": "[]", "another version": `{"openapi":"2.0","paths":{}}`, "no paths": `{"openapi":"3.0.0"}`, "no operations": `{"openapi":"3.0.0","paths":{"/a":{}}}`, "not YAML": "a: [", "too large": strings.Repeat(" ", maxDocument+1),
		"one action twice":         `{"openapi":"3.0.0","paths":{"/a":{"get":{"operationId":"get-a"},"put":{"operationId":"getA"}}}}`,
		"one path twice":           `{"openapi":"3.0.0","paths":{"/a/{x}":{"get":{}},"/a/{y}":{"put":{}}}}`,
		"a name with a meaning":    `{"openapi":"3.0.0","paths":{"/a":{"get":{"operationId":"opaque"}}}}`,
		"a name without letters":   `{"openapi":"3.0.0","paths":{"/a":{"get":{"operationId":"42"}}}}`,
		"a remote schema":          schema(`{"$ref":"https://evil.example/s.json"}`),
		"a schema in a file":       schema(`{"$ref":"other.yaml#/a"}`),
		"a schema that is missing": schema(`{"$ref":"#/components/schemas/Gone"}`),
		"an unchecked schema":      schema(`{"$ref":"#/components/x-schemas/A"}`),
		"an unknown keyword":       schema(`{"properties":{"a":{"maximumLength":3}}}`),
		"a keyword of 3.1":         schema(`{"const":1}`),
		"a pattern that RE2 lacks": schema(`{"pattern":"(?=a)b"}`),
		"a wrong keyword":          schema(`{"type":"strin"}`),
		"a wrong bound":            schema(`{"maxLength":"3"}`),
		"another identity":         schema(`{"$id":"https://evil.example/"}`),
		"a schema that is none":    schema(`3`),
		"an object in the query":   param(`{"name":"f","in":"query","schema":{"type":"object"}}`),
		"an unknown style":         param(`{"name":"f","in":"query","style":"deepObject","schema":{"type":"array"}}`),
		"a parameter of nowhere":   param(`{"name":"f","in":"body"}`),
		"a parameter without name": param(`{"in":"query"}`),
		"references in a circle":   `{"openapi":"3.0.0","paths":{"/a":{"get":{"parameters":[{"$ref":"#/components/parameters/a"}]}}},"components":{"parameters":{"a":{"$ref":"#/components/parameters/a"}}}}`,
		"a bomb":                   "openapi: 3.0.0\npaths: {/a: {get: {}}}\na: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
	} {
		if _, err := newOpenAPI("billing", []byte(text), false); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	k := newEndpoints(at(0))
	if _, err := k.of(&access.Connection{Name: "billing", HTTP: &access.HTTPOptions{OpenAPI: "x"}}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a connection with a document that is none: %v", err)
	}
}

func FuzzDocument(f *testing.F) {
	f.Add(billingAPI)
	f.Add(`{"openapi":"3.1.0","paths":{"/a":{"get":{"parameters":[{"name":"a","in":"query","schema":true}]}}}}`)
	f.Fuzz(func(_ *testing.T, text string) {
		api, err := newOpenAPI("b", []byte(text), false)
		if err != nil {
			return
		}
		e := &endpoint{connection: "b", api: api}
		for _, raw := range []string{"/", "/a?a=1", "/v1/invoices?limit=1"} {
			if t, err := normalise(raw, false); err == nil {
				_, _ = e.understand(asked{method: "GET", target: t})
			}
		}
	})
}
