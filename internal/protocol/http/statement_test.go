package http

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

func mustNormalise(tb testing.TB, raw string) target {
	tb.Helper()
	got, err := normalise(raw, false)
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

func request(tb testing.TB, method, raw, body string, headers ...string) asked {
	tb.Helper()
	a := asked{method: method, target: mustNormalise(tb, raw), header: http.Header{}, size: int64(len(body)), held: true, body: []byte(body)}
	for i := 0; i < len(headers); i += 2 {
		a.header.Add(headers[i], headers[i+1])
	}
	return a
}

func understood(tb testing.TB, e *endpoint, a asked) judged {
	tb.Helper()
	got, err := e.understand(a)
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

func billing(tb testing.TB, paths ...string) *endpoint {
	tb.Helper()
	set, err := newTemplates(paths, false)
	if err != nil {
		tb.Fatal(err)
	}
	return &endpoint{connection: "billing", paths: set}
}

func names(list []access.Action) string {
	var out []string
	for _, a := range list {
		out = append(out, a.Name+" "+a.Resource)
	}
	return strings.Join(out, ", ")
}

func TestActions(t *testing.T) {
	e := billing(t)
	for _, c := range []struct {
		a             asked
		acts, related string
	}{
		{request(t, "GET", "/v1/invoices/42", ""), "http:Get billing/v1/invoices/42", ""},
		{request(t, "GET", "/", ""), "http:Get billing/", ""},
		{request(t, "HEAD", "/v1/a", ""), "http:Head billing/v1/a", "http:Get billing/v1/a"},
		{request(t, "DELETE", "/v1/a/", ""), "http:Delete billing/v1/a", "http:Delete billing/v1/a/"},
		{request(t, "PURGE", "/v1/a", ""), "http:Opaque billing/v1/a", ""},
		{asked{method: "GET", target: mustNormalise(t, "/live"), upgrade: true}, "http:Upgrade billing/live", "http:Get billing/live"},
		{request(t, "POST", "/shop.Orders/Cancel", "x", "Content-Type", "application/grpc+proto"), "http:Call billing/shop.Orders/Cancel", "http:Post billing/shop.Orders/Cancel"},
		{request(t, "POST", "/v1/a%2A%25", ""), "http:Post billing/v1/a%2A%25", ""},
	} {
		got := understood(t, e, c.a).statement
		if names(got.Actions) != c.acts || names(got.Related) != c.related || !got.Bounded {
			t.Errorf("%s is %s and %s, not %s and %s", got.Text, names(got.Actions), names(got.Related), c.acts, c.related)
		}
	}
}

func TestStatementTexts(t *testing.T) {
	e := billing(t, "/v1/invoices/{id}", "/v1/reset/{token}")
	for _, c := range []struct {
		a                     asked
		text, normal, literal string
		secret                string
	}{
		{a: request(t, "GET", "/v1/invoices/42?limit=1&expand=lines+x", "", "Accept", "*/*"), text: "GET /v1/invoices/42?limit=1&expand=lines%20x",
			normal: "GET /v1/invoices/{id}?expand&limit", literal: "42|1|lines%20x"},
		{a: request(t, "GET", "/other/7d5fc0ab12/word", ""), text: "GET /other/7d5fc0ab12/word", normal: "GET /other/{id}/word", literal: "7d5fc0ab12"},
		{a: request(t, "POST", "/v1/reset/abc", ""), text: "POST /v1/reset/abc", normal: "POST /v1/reset/{token}", literal: "abc", secret: "abc"},
		{a: request(t, "POST", "/v1/refunds", `{"reason": "late", "lines":[{"n":1},{"n":-2.5}], "password":"p\"w"}`, "Content-Type", "application/json", "X-Tenant", "acme"),
			text:    "POST /v1/refunds\nContent-Type: application/json\nX-Tenant: acme\n\n" + `{"reason": "late", "lines":[{"n":1},{"n":-2.5}], "password":"p\"w"}`,
			normal:  "POST /v1/refunds X-Tenant {lines:[{n:?}],password:?,reason:?}",
			literal: `application/json|acme|late|1|-2.5|p\"w`, secret: `p\"w`},
		{a: request(t, "POST", "/v1/refunds", "amount=5&to=a%40b", "Content-Type", "application/x-www-form-urlencoded"),
			text:   "POST /v1/refunds\nContent-Type: application/x-www-form-urlencoded\n\namount=5&to=a%40b",
			normal: "POST /v1/refunds amount&to", literal: "application/x-www-form-urlencoded|5|a%40b"},
		{a: request(t, "PUT", "/v1/note", "words", "Content-Type", "text/plain"), text: "PUT /v1/note\nContent-Type: text/plain\n\nwords",
			normal: "PUT /v1/note Content-Type", literal: "text/plain|words"},
		{a: request(t, "GET", "/v1/me?api_key=k", "", "Cookie", "sid=1", "Authorization", "Bearer t"), text: "GET /v1/me?api_key=k\nCookie: sid=1",
			normal: "GET /v1/me?api_key Cookie", literal: "k|sid=1", secret: "k|sid=1"},
	} {
		got := understood(t, e, c.a).statement
		cut := func(spans []access.Span) string {
			var out []string
			for _, s := range spans {
				out = append(out, got.Text[s.Start:s.End])
			}
			return strings.Join(out, "|")
		}
		if got.Text != c.text || got.Normal != c.normal || cut(got.Literals) != c.literal || cut(got.Secrets) != c.secret {
			t.Errorf("got  %q\n     %q\n     %s secret %s\nwant %q\n     %q\n     %s secret %s", got.Text, got.Normal, cut(got.Literals), cut(got.Secrets), c.text, c.normal, c.literal, c.secret)
		}
	}
}

// TestTextBindsTheBody: two requests that differ in what an approval is for differ in their texts.
func TestTextBindsTheBody(t *testing.T) {
	e, seen := billing(t), map[string]int{}
	for i, a := range []asked{
		request(t, "POST", "/v1/a", ""), request(t, "PUT", "/v1/a", ""), request(t, "POST", "/v1/a/", ""), request(t, "POST", "/v1/a?b", ""), request(t, "POST", "/v1/a?b=", ""),
		request(t, "POST", "/v1/a", "\x00\x01"), request(t, "POST", "/v1/a", "\x00\x02"), request(t, "POST", "/v1/a", `{"a":1}`), request(t, "POST", "/v1/a", `{"a":1}`, "Content-Type", "application/json"),
		request(t, "POST", "/v1/a", "", "X-Tenant", "acme"), request(t, "POST", "/v1/a", "", "X-Tenant", "other"), {method: "POST", target: mustNormalise(t, "/v1/a"), header: http.Header{}, size: -1},
	} {
		text := understood(t, e, a).statement.Text
		if j, twice := seen[text]; twice {
			t.Errorf("requests %d and %d have the text %q", i, j, text)
		}
		seen[text] = i
	}
}

func TestFingerprints(t *testing.T) {
	e := billing(t, "/v1/invoices/{id}")
	print := func(method, raw, body string) string {
		return understood(t, e, request(t, method, raw, body, "Content-Type", "application/json")).statement.Fingerprint
	}
	base := print("POST", "/v1/invoices/1?a=1&b=2", `{"x":1,"y":[{"z":2}]}`)
	for _, same := range [][3]string{{"POST", "/v1/invoices/2?b=3&a=4", `{ "y" : [{"z":"q"},{"z":3}], "x":null}`}} {
		if print(same[0], same[1], same[2]) != base {
			t.Errorf("%q has another fingerprint", same)
		}
	}
	for _, other := range [][3]string{{"PUT", "/v1/invoices/1?a=1&b=2", `{"x":1,"y":[{"z":2}]}`}, {"POST", "/v1/invoices/1?a=1", `{"x":1,"y":[{"z":2}]}`},
		{"POST", "/v1/invoices?a=1&b=2", `{"x":1,"y":[{"z":2}]}`}, {"POST", "/v1/invoices/1?a=1&b=2", `{"x":1,"y":[{"z":2,"w":1}]}`}, {"POST", "/v1/invoices/1?a=1&b=2", ``}} {
		if print(other[0], other[1], other[2]) == base {
			t.Errorf("%q has the same fingerprint", other)
		}
	}
}

func TestWhatConditionsRead(t *testing.T) {
	got := understood(t, billing(t, "/v1/invoices/{id}"), request(t, "POST", "/v1/invoices/42/?a=1&a=2&b=3", `{"n":5,"f":1e2,"t":true,"z":null,"l":["x"],"big":9223372036854775808}`,
		"Content-Type", "Application/JSON; charset=UTF-8", "X-One", "1", "X-Two", "1", "X-Two", "2", "Authorization", "Bearer t")).sent
	if got.Method != "POST" || got.Path != "/v1/invoices/42" || got.ContentType != "application/json" || got.Params["id"] != "42" || *got.Size == 0 {
		t.Errorf("read %+v", got)
	}
	if list, _ := got.Query["a"].([]any); len(list) != 2 || list[1] != "2" || got.Query["b"] != "3" {
		t.Errorf("read the query %v", got.Query)
	}
	if list, _ := got.Headers["x-two"].([]any); len(list) != 2 || got.Headers["x-one"] != "1" || got.Headers["authorization"] != nil {
		t.Errorf("read the headers %v", got.Headers)
	}
	body, _ := got.Body().(map[string]any)
	if body["n"] != int64(5) || body["f"] != 100.0 || body["t"] != true || body["z"] != nil || body["big"] != 9223372036854775808.0 || body["l"].([]any)[0] != "x" {
		t.Errorf("read the body %v", body)
	}
	streamed := understood(t, billing(t), asked{method: "POST", target: mustNormalise(t, "/a"), header: http.Header{}, size: -1}).sent
	if streamed.Body != nil || streamed.Size != nil {
		t.Errorf("a body that was not held is known: %+v", streamed)
	}
}

// TestAttackByRequest: methods and bodies that readers read in two ways are refused.
func TestAttackByRequest(t *testing.T) {
	const form, text = "application/x-www-form-urlencoded", "application/json"
	for _, c := range []struct{ method, raw, kind, body string }{
		{"CONNECT", "/", "", ""}, {"TRACE", "/", "", ""}, {"get", "/", "", ""}, {"", "/", "", ""}, {"GET ", "/", "", ""}, {"G\nT", "/", "", ""}, {strings.Repeat("A", 33), "/", "", ""},
		{"POST", "/a?_method=DELETE", "", ""}, {"POST", "/a?_METHOD=delete", "", ""}, {"POST", "/a?.method=DELETE", "", ""}, {"POST", "/a?[method=DELETE", "", ""}, {"POST", "/a", form, "_method=DELETE"}, {"POST", "/a", text, `{"_method":"DELETE"}`},
		{"POST", "/a", form, "_method=POST&_method=DELETE"}, {"POST", "/a", form, `{"action":"delete","x":"&action=read&"}`}, {"POST", "/a", form, " \n[1,\"&action=read\"]"}, {"POST", "/a", form, `<a x="&action=read&"/>`},
		{"POST", "/a", form, "user_id=7&user.id=1"}, {"POST", "/a", form, "role=user&Role=admin"}, {"POST", "/a", form, "a=1;b=2"}, {"POST", "/a", form, "a=%zz"},
		{"POST", "/a", text, `{"a":1,"a":2}`}, {"POST", "/a", text, `{"amount":1,"Amount":2}`}, {"POST", "/a", text, `{"amount":1,"\u0061mount":2}`}, {"POST", "/a", text, `{"k":1,"K":2}`},
		{"POST", "/a", text, `{"x":{"b":1,"b":2}}`}, {"POST", "/a", text, `{"a":1}{"a":2}`}, {"POST", "/a", text, `{"a":1}x`}, {"POST", "/a", text, `{'a':1}`}, {"POST", "/a", text, `{"a":1,}`}, {"POST", "/a", text, `{"a":NaN}`},
		{"POST", "/a", text, `{"a":"\ud800"}`}, {"POST", "/a", text, "{\"a\":\"\xff\"}"}, {"POST", "/a", text, `{"a":1e999}`}, {"POST", "/a", text, "\xef\xbb\xbf{}"},
		{"POST", "/a", text, strings.Repeat("[", 65) + strings.Repeat("]", 65)}, {"POST", "/a", "application/json; charset=utf-16", "{}"}, {"POST", "/a", "application/json; charset=\"", "{}"},
	} {
		_, err := billing(t).understand(request(t, c.method, c.raw, c.body, "Content-Type", c.kind))
		if !errors.Is(err, &fault.Error{Kind: fault.Malformed}) {
			t.Errorf("%s %s with %s %q is understood (%v)", c.method, c.raw, c.kind, c.body, err)
		}
	}
}

func TestVerbs(t *testing.T) {
	for _, v := range verbs() {
		if v.About == "" || v.Implied {
			t.Errorf("%+v: every action touches what users have, and says what it is", v)
		}
	}
	if verbOf("BREW") != verbOpaque || verbOf("GET") != "Get" {
		t.Error("a method that is not in the list has a name of its own")
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,"x",{"b":null}]}`, `"\u00e9"`, `[[],{}]`, `{"a":"\\\""}`, ` true `, `-0.1e-3`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := readJSON(body)
		if err != nil {
			return
		}
		at := 0
		for _, s := range d.literals {
			if s.Start < at || s.End < s.Start || s.End > len(body) {
				t.Fatalf("literals %v of %q", d.literals, body)
			}
			at = s.End
		}
		if _, err := readJSON(slices.Concat([]byte(" "), body, []byte("\n"))); err != nil {
			t.Errorf("%q is read, but not within white space: %v", body, err)
		}
	})
}

// TestBodyThatIsNoForm: what a client sends with another type than it has is refused in words that say so.
func TestBodyThatIsNoForm(t *testing.T) {
	_, err := billing(t).understand(request(t, "POST", "/v1/refunds", `{"amount": 5}`, "Content-Type", "application/x-www-form-urlencoded"))
	if say, hint := fault.Say(err); fault.KindOf(err) != fault.Malformed || !strings.Contains(say, "no form") || !strings.Contains(hint, "application/json") {
		t.Errorf("%v, %q", err, hint)
	}
}
