package web

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// The card again, as backends write it in other ways.
const cardDigits = "4111111111111111"

// png is how a picture begins.
const png = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01"

// TestClientsDoNotChooseTheForm: where values are hidden by path, a client cannot ask for the same values at another place.
func TestClientsDoNotChooseTheForm(t *testing.T) {
	got := backend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.Header.Get("Accept") {
		case "application/json;as=Table":
			_, _ = io.WriteString(w, `{"columns":["id","email"],"rows":[[1,"`+canaryEmail+`"]]}`)
		case "application/vnd.shop.text-match+json":
			_, _ = io.WriteString(w, `{"matches":["...`+canaryEmail+`..."]}`)
		case "application/x-ndjson":
			w.Header().Set("Content-Type", "application/x-ndjson")
			_, _ = io.WriteString(w, `{"email":"`+canaryEmail+`"}`)
		default:
			_, _ = io.WriteString(w, customers)
		}
	})
	c, tok := client(t), token(t, "fn:masked")
	for _, accept := range []string{"application/json;as=Table", "application/vnd.shop.text-match+json", "application/x-ndjson"} {
		a := call(t, c, tok, http.MethodGet, "/v1/customers", "", "Accept", accept)
		if hides(t, a); a.StatusCode != http.StatusOK || !strings.Contains(a.body, `"total":1`) {
			t.Errorf("%s: %d %s", accept, a.StatusCode, a.body)
		}
	}
	if a := call(t, c, tok, http.MethodGet, "/v1/invoices", "", "Accept", "application/json;as=Table"); !strings.Contains(a.body, "columns") {
		t.Errorf("where nothing is masked: %s", a.body)
	}
	for i, r := range got() {
		if v := r.Header["Accept"]; len(v) != 1 || i < 3 && v[0] != "application/json" {
			t.Errorf("the backend was asked for %v", v)
		}
	}
}

// TestOddAnswers: what detectors look for is found in the ways in which honest backends write it, or the answer is refused.
func TestOddAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		contentType, body string
		status            int
		headers           []string
		kept              string // what the client gets; "" where it is refused
	}{
		"HTML with references":            {contentType: "text/html", body: "<p class=a>4111&nbsp;1111&#32;1111&#x20;1111</p>", kept: "<p class=a>[redacted]</p>"},
		"events of JSON with escapes":     {contentType: "text/event-stream", body: "data: {\"n\":\"4111\\u00201111 1111\\u00201111\"}\n\n", kept: "data: {\"n\":\"[redacted]\"}\n\n"},
		"JSON under the name of text":     {contentType: "text/plain", body: `{"n":"4111\u00201111 1111\u00201111"}`, kept: `{"n":"[redacted]"}`},
		"a number with an exponent":       {contentType: "application/json", body: `{"n":4.111111111111111e+15,"m":[4.111111111111111E15]}`, kept: `{"n":"[redacted]","m":["[redacted]"]}`},
		"JSON within JSON":                {contentType: "application/json", body: `{"n":"{\"c\":\"4111\\u00201111 1111\\u00201111\"}"}`, kept: `{"n":"{\"c\":\"[redacted]\"}"}`},
		"text under the name of a PNG":    {contentType: "image/png", body: "card " + cardDigits},
		"text that begins as a bitmap":    {contentType: "image/bmp", body: "BMW, card " + cardDigits + ", paid"},
		"text that begins as a font":      {contentType: "font/otf", body: "OTTO\xfc, card " + cardDigits},
		"text under the name of a sound":  {contentType: "audio/mpeg", body: "ID3, card " + cardDigits},
		"text under the name of a film":   {contentType: "video/mp4", body: "    ftyp card " + cardDigits},
		"UTF-16 under the name of a PNG":  {contentType: "image/png", body: "\xff\xfe4\x001\x001\x001\x00 \x00"},
		"a picture":                       {contentType: "image/png", body: png + strings.Repeat("\xff\x00", 40_000), kept: png + strings.Repeat("\xff\x00", 40_000)},
		"nothing, by the name of a sound": {contentType: "audio/mpeg", body: "", kept: ""},
		"a short picture":                 {contentType: "image/gif", body: "GIF89a\x01\x00\x01\x00\x80\x00\x00\xff", kept: "GIF89a\x01\x00\x01\x00\x80\x00\x00\xff"},
		"a drawing":                       {contentType: "image/svg+xml", body: "<svg>" + cardDigits + "</svg>", kept: "<svg>[redacted]</svg>"},
		"XML":                             {contentType: "application/xml", body: "<?xml version=\"1.0\"?><a n='4111&#x20;1111 1111 1111'>4111 1111 1111&#32;1111<b/></a>", kept: "<?xml version=\"1.0\"?><a n='[redacted]'>[redacted]<b/></a>"},
		"XML of a kind":                   {contentType: "application/problem+xml; charset=utf-8", body: "<a><![CDATA[" + cardDigits + "]]></a>", kept: "<a><![CDATA[[redacted]]]></a>"},
		"XML with words of its own":       {contentType: "text/xml", body: "<!DOCTYPE a [<!ENTITY c '4111 1111'>]><a>&c; 1111 1111</a>"},
		"XML of another character set":    {contentType: "text/xml", body: "<?xml version='1.0' encoding='utf-7'?><a>+ADQ-111 1111 1111 1111</a>"},
		"a form":                          {contentType: "application/x-www-form-urlencoded", body: "a=1&card=4111+1111%201111+1111", kept: "a=1&card=%5Bredacted%5D"},
		"a table":                         {contentType: "text/csv", body: "name,card\n\"Ada\",\"4111 1111 1111 1111\"\n", kept: "name,card\n\"Ada\",\"[redacted]\"\n"},
		"lines of JSON":                   {contentType: "application/x-ndjson", body: "{\"n\":\"" + cardDigits + "\"}\n", kept: "{\"n\":\"[redacted]\"}\n"},
		"two types":                       {contentType: "text/plain", headers: []string{"Content-Type", "application/json"}, body: `"4111\u00201111"`},
		"what has changed":                {contentType: "text/plain", status: http.StatusIMUsed, body: "card 4111 1111"},
		"references in headers":           {contentType: "text/plain", headers: []string{"X-Next", "/pay?card=4111%201111%201111%201111", "Set-Cookie", "card=4111%2D1111%2D1111%2D1111"}, body: "ok", kept: "ok"},
		"digests":                         {contentType: "text/plain", headers: []string{"X-Goog-Hash", "md5=canary-digest", "X-Ms-Content-Crc64", "canary-digest", "X-Content-Length", "20", "X-Kept", "yes"}, body: "card " + cardDigits, kept: "card [redacted]"},
	} {
		t.Run(name, func(t *testing.T) {
			backend(t, func(w http.ResponseWriter, _ *http.Request) {
				h := w.Header()
				h.Set("Content-Type", c.contentType)
				for i := 0; i+1 < len(c.headers); i += 2 {
					h.Add(c.headers[i], c.headers[i+1])
				}
				w.WriteHeader(max(c.status, http.StatusOK))
				_, _ = io.WriteString(w, c.body)
			})
			a := call(t, client(t), token(t, "fn:masked"), http.MethodGet, "/v1/notes", "")
			hides(t, a)
			var all bytes.Buffer
			_ = a.Header.Write(&all)
			for _, leak := range []string{"4111", "canary-digest", "X-Content-Length"} {
				if strings.Contains(all.String()+a.body, leak) {
					t.Errorf("the client saw %s:\n%s\n%.200q", leak, all.String(), a.body)
				}
			}
			refused := c.kept == "" && c.body != ""
			switch {
			case refused && a.StatusCode != http.StatusForbidden, !refused && (a.StatusCode != http.StatusOK || a.body != c.kept):
				t.Errorf("%d %.200q", a.StatusCode, a.body)
			case !refused && a.Header.Get("Content-Type") != c.contentType:
				t.Errorf("it became %s", a.Header.Get("Content-Type"))
			}
		})
	}
}

// TestTrailersOfMaskedAnswers: a digest that comes behind a body tells as much as one before it.
func TestTrailersOfMaskedAnswers(t *testing.T) {
	backend(t, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Trailer", "Digest, X-Customer, X-Note, X-Checksum-Sha1, X-Kept")
		_, _ = io.WriteString(w, customers)
		for _, name := range []string{"Digest", "X-Checksum-Sha1", http.TrailerPrefix + "Etag", http.TrailerPrefix + "X-Amz-Checksum-Crc32c"} {
			h.Set(name, "canary-digest")
		}
		h.Set("X-Customer", canaryEmail)
		h.Set("X-Note", canaryCard)
		h.Set("X-Kept", "yes")
	})
	a := call(t, client(t), token(t, "fn:masked"), http.MethodGet, "/v1/customers", "")
	hides(t, a)
	var all bytes.Buffer
	_ = a.Trailer.Write(&all)
	if strings.Contains(all.String(), "canary-digest") || a.Trailer.Get("X-Kept") != "yes" {
		t.Errorf("%d %s", a.StatusCode, all.String())
	}
}

// TestRefusalsComeAlone: a refusal in place of an answer has nothing of the answer's header.
func TestRefusalsComeAlone(t *testing.T) {
	backend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-thing")
		w.Header().Set("Content-Language", "en")
		w.Header().Set("X-Odd", "yes")
		_, _ = io.WriteString(w, customers)
	})
	a := call(t, client(t), token(t, "fn:masked"), http.MethodGet, "/v1/customers", "")
	if a.StatusCode != http.StatusForbidden || a.Header.Get("Content-Language") != "" || a.Header.Get("X-Odd") != "" || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
}

// TestOddRequests: what is masked on its way to the backend does not get there under another name, or at another place.
func TestOddRequests(t *testing.T) {
	got := backend(t, func(http.ResponseWriter, *http.Request) {})
	c, tok := client(t), token(t, "fn:masked")
	for name, r := range map[string]struct{ path, kind, body string }{
		"text under the name of a PNG": {"/v1/prompts", "image/png", `{"to":"` + canaryEmail + `"}`},
		"in the query":                 {"/v1/prompts?to=canary%40secret.example", "application/json", "{}"},
		"in a name of the query":       {"/v1/prompts?canary%40secret.example", "application/json", "{}"},
	} {
		if a := call(t, c, tok, http.MethodPost, r.path, r.body, "Content-Type", r.kind); a.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	for _, r := range got() { // one that was streamed has no body
		if strings.Contains(string(r.body)+r.RequestURI, "canary") {
			t.Errorf("the backend saw %s %s", r.RequestURI, r.body)
		}
	}
	last := func() *seen { return got()[len(got())-1] }
	if a := call(t, c, tok, http.MethodPost, "/v1/prompts", `{"to":"canary\u0040secret.example"}`, "Content-Type", "text/plain"); a.StatusCode != http.StatusOK || strings.Contains(string(last().body), "secret.example") {
		t.Errorf("escapes under the name of text: %d %s", a.StatusCode, last().body)
	}
	picture := png + strings.Repeat("\xff\x00", 40_000)
	if a := call(t, c, tok, http.MethodPost, "/v1/prompts", picture, "Content-Type", "image/png", "X-Checksum-Crc32", "1"); a.StatusCode != http.StatusOK || string(last().body) != picture || last().ContentLength != int64(len(picture)) || last().Header.Get("X-Checksum-Crc32") != "1" {
		t.Errorf("a picture: %d %v", a.StatusCode, last().Header)
	}
}

// TestMalformedWhileStreamed: a body that breaks off on its way is the client's fault, and the client is told.
func TestMalformedWhileStreamed(t *testing.T) {
	backend(t, func(http.ResponseWriter, *http.Request) {})
	for _, body := range []string{"5\r\nhello\r\nzz\r\n", "5\r\nhelloXX"} {
		conn := dialled(t)
		_, _ = io.WriteString(conn, "POST /c/billing/v1/a HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer "+token(t, "fn:reader")+"\r\nTransfer-Encoding: chunked\r\n\r\n"+body)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %v %v", body, resp, err)
		}
	}
}

// TestMethodInStreamedBodies: a framework that takes a field for the method gets none but the one that was judged.
func TestMethodInStreamedBodies(t *testing.T) {
	got := backend(t, func(http.ResponseWriter, *http.Request) {})
	c, tok := client(t), token(t, "fn:reader")
	part := "--x\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nDELETE\r\n--x--\r\n"
	for kind, body := range map[string]string{"application/x-www-form-urlencoded": "a=1&_method=DELETE", "multipart/form-data; boundary=x": part, "application/json": `{"a":1,"_method":"DELETE"}`} {
		if a := call(t, c, tok, http.MethodPost, "/v1/a", body, "Content-Type", kind); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d %s", kind, a.StatusCode, a.body)
		}
	}
	for _, r := range got() {
		if strings.Contains(string(r.body), "_method") {
			t.Errorf("the backend saw %s", r.body)
		}
	}
}

const formed = `kind: Connection
name: formed
type: http
address: ${BACKEND}
credential: {inject: {as: none}}
http: {headers: {accept: application/vnd.shop.v2+json}}
---
kind: Policy
name: formed
statements:
  - {effect: allow, actions: ["http:Get"], resources: ["formed/*"]}
  - {effect: mask, resources: ["formed/*"], fields: ["**.email"]}
---
kind: Role
name: formed
bind: [{issuer: dev, claims: {sub: "fn:formed"}}]
policies: [formed]
`

// TestFormThatADocumentSays: where JSON has a name of its own, the connection's document says it, and a client has no say in it.
func TestFormThatADocumentSays(t *testing.T) {
	got := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/nothing" { // in pieces, and by no name
			w.Header()["Content-Type"] = nil
			_ = http.NewResponseController(w).Flush()
			return
		}
		w.Header().Set("Content-Type", r.Header.Get("Accept")+"; charset=utf8")
		_, _ = io.WriteString(w, customers)
	})
	if r := shared.gw.CLI(t.Context(), strings.ReplaceAll(formed, "${BACKEND}", shared.backend.URL), "apply", "-f", "-"); r.Code != 0 {
		t.Fatalf("apply: %s%s", r.Out, r.Err)
	}
	get := func(path string) answer {
		resp, err := client(t).Do(request(t, path))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer{resp, string(b)}
	}
	a := get("/x")
	asked := got()
	if len(asked) != 1 {
		t.Fatalf("%d %s; the backend was asked %d times", a.StatusCode, a.body, len(asked))
	}
	if a.StatusCode != http.StatusOK || strings.Contains(a.body, canaryEmail) || asked[0].Header.Get("Accept") != "application/vnd.shop.v2+json" {
		t.Errorf("%d %s, asked for %v at %s", a.StatusCode, a.body, asked[0].Header["Accept"], asked[0].URL)
	}
	if a := get("/nothing"); a.StatusCode != http.StatusOK || a.body != "" {
		t.Errorf("nothing: %d %s", a.StatusCode, a.body)
	}
}

// request is one of the client of the connection formed.
func request(t *testing.T, path string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+shared.gw.Listener["http"]+"/c/formed"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token(t, "fn:formed"))
	r.Header.Set("Accept", "text/csv")
	return r
}
