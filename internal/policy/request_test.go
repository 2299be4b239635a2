package policy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/policy"
)

// post is an input with a request: POST /v1/refunds?expand=lines&tag=a&tag=b with a body.
func post(body string) *access.Input {
	in, size := input(), int64(len(body))
	in.Request = &access.Sent{
		Method: "POST", Path: "/v1/refunds", ContentType: "application/json", Size: &size, Params: map[string]any{"id": "42"},
		Query: map[string]any{"expand": "lines", "tag": []any{"a", "b"}}, Headers: map[string]any{"x-team": "billing"},
		Body: func() any {
			v, err := access.ReadJSON([]byte(body))
			if err != nil {
				return nil
			}
			return v
		},
	}
	return in
}

// without returns the input with something of its request taken away.
func without(in *access.Input, f func(*access.Sent)) *access.Input {
	f(in.Request)
	return in
}

const refund = `{"amount": 250, "rate": 1.5, "whole": 2.0, "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 7}], "note": null}`

// TestRequestConditions: what conditions read of a request, and that what is not known tightens: 1 is true, 0 is false, -1 is
// unknown, which denies, holds, masks and does not allow.
func TestRequestConditions(t *testing.T) {
	noSize := without(post(refund), func(s *access.Sent) { s.Size = nil })
	noMaps := without(post(refund), func(s *access.Sent) { s.Params, s.Query, s.Headers, s.Body = nil, nil, nil, nil })
	noHead := without(post(refund), func(s *access.Sent) { s.Method, s.Path, s.ContentType = "", "", "" })
	numbers := without(post(refund), func(s *access.Sent) {
		s.Body = func() any { return map[string]any{"n": json.Number("5"), "f": json.Number("1.5")} }
	})
	for _, tc := range []struct {
		condition string
		in        *access.Input
		want      int
	}{
		{`request.method == "POST"`, post(refund), 1},
		{`request.method == "GET"`, post(refund), 0},
		{`request.path.startsWith("/v1/")`, post(refund), 1},
		{`request.content_type == "application/json"`, post(refund), 1},
		{`request.content_type == ""`, noHead, 1},
		{`request.method != "GET"`, noHead, -1},
		{`request.path != "/v1/admin"`, noHead, -1},
		{`request.size < 1000`, post(refund), 1},
		{`request.size < 1000`, noSize, -1},
		{`request.params.id == "42"`, post(refund), 1},
		{`request.params.nope == "42"`, post(refund), -1},
		{`"id" in request.params`, noMaps, -1},
		{`has(request.query.expand)`, post(refund), 1},
		{`has(request.query.nope)`, post(refund), 0},
		{`request.query["tag"][1] == "b"`, post(refund), 1},
		{`request.query.exists(k, k == "expand")`, post(refund), 1},
		{`has(request.query.expand)`, noMaps, -1},
		{`"x-team" in request.headers && request.headers["x-team"] == "billing"`, post(refund), 1},
		{`"x-nope" in request.headers`, post(refund), 0},
		{`"x-nope" in request.headers`, noMaps, -1},
		{`request.body.amount == 250 && request.body.amount % 2 == 0`, post(refund), 1},
		{`request.body.amount > 100.5`, post(refund), 1},
		{`request.body.rate > 1`, post(refund), 1},
		{`request.body.whole == 2`, post(refund), 1},
		{`request.body.items.all(i, i.n < 5)`, post(refund), 0},
		{`request.body.items.exists(i, i.sku == "b" && i.n > 5)`, post(refund), 1},
		{`size(request.body.items) == 2`, post(refund), 1},
		{`has(request.body.note) && request.body.note == null`, post(refund), 1},
		{`has(request.body.nope)`, post(refund), 0},
		{`request.body.nope == 1`, post(refund), -1},
		{`request.body.amount.nope == 1`, post(refund), -1},
		{`request.body.amount != 250`, noMaps, -1},
		{`request.body[0] == 1`, post(`[1]`), 1},
		{`request.body == "x"`, post(`"x"`), 1},
		{`request.body.amount > 1000`, post(`{"amount": 1, "Amount": 9999}`), -1},
		{`request.body.amount > 1000`, post(`{"amount": 1, "amount": 9999}`), -1},
		{`request.body.amount > 1000`, post(`amount=1`), -1},
		{`request.body.n != 5`, numbers, 0},
		{`request.body.f < 1.6 && request.body.n + 1 == 6`, numbers, 1},
		{`request.body.items.all(i, i > 0)`, post(`{"items": [` + strings.Repeat("1,", 100_000) + `1]}`), -1}, // beyond its cost
		{`request.method == "GET" && request.body.amount > 1`, noMaps, 0},
		{`request.method == "POST" || request.body.amount > 1`, noMaps, 1},
		{`request.method == "POST"`, input(), -1},
		{`request.body.amount > 1`, input(), -1},
		{`request.size > 1`, nil, -1},
	} {
		t.Run(tc.condition, func(t *testing.T) {
			all, st := allow("db:*", "*"), stmt(act("db:Select", customers))
			for _, x := range []struct {
				effect string
				app    []access.PolicyStatement
				want   [3]access.Effect // where the condition is unknown, false, true
			}{
				{"allow", []access.PolicyStatement{allow("db:Insert", "*"), when(allow("db:Select", "*"), tc.condition)}, [3]access.Effect{access.Deny, access.Deny, access.Allow}},
				{"deny", []access.PolicyStatement{all, when(deny("db:Select", "*"), tc.condition)}, [3]access.Effect{access.Deny, access.Allow, access.Deny}},
				{"approve", []access.PolicyStatement{all, when(approve("db:Select", "*"), tc.condition)}, [3]access.Effect{access.Approve, access.Allow, access.Approve}},
			} {
				r := mustRules(t, world([]*access.Policy{pol("app", x.app...)}, nil))
				if v := r.Decide(st, tc.in); v.Effect != x.want[tc.want+1] {
					t.Errorf("%s: %s, want %s\n%s", x.effect, v.Effect, x.want[tc.want+1], r.Explain(st, tc.in))
				}
				if _, static := r.Static(st); static {
					t.Errorf("%s: decided before there is a request", x.effect)
				}
			}
			m := mustRules(t, world([]*access.Policy{pol("app", all, when(masked(nil, customers+".email"), tc.condition))}, nil)).Masks()
			if got := fieldMask(m, customers+".email"); got != "redact" {
				t.Errorf("a mask that depends on the request is left out: %s", got)
			}
		})
	}
}

// TestBodyIsReadOnceAndOnlyWhereAsked: reading a body is work, done once in a decision, and not at all where what comes
// before it decides.
func TestBodyIsReadOnceAndOnlyWhereAsked(t *testing.T) {
	all := allow("db:*", "*")
	reads := when(deny("db:*", "*"), `request.body.amount > 1000`)
	for name, tc := range map[string]struct {
		app  []access.PolicyStatement
		want int
	}{
		"no condition":            {[]access.PolicyStatement{all}, 0},
		"another action's":        {[]access.PolicyStatement{all, when(deny("db:Delete", "*"), `request.body.amount > 1000`)}, 0},
		"a deny comes before":     {[]access.PolicyStatement{all, deny("db:Select", "*"), reads}, 0},
		"the method decides":      {[]access.PolicyStatement{all, when(deny("db:*", "*"), `request.method == "GET" && request.body.amount > 1000`)}, 0},
		"one condition":           {[]access.PolicyStatement{all, reads}, 1},
		"three, over two actions": {[]access.PolicyStatement{all, reads, when(deny("db:*", "*"), `request.body.rate > 5.0`), when(approve("db:*", "*"), `request.body.nope == 1`)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r, asked, in := mustRules(t, world([]*access.Policy{pol("app", tc.app...)}, nil)), 0, post(refund)
			body := in.Request.Body
			in.Request.Body = func() any { asked++; return body() }
			r.Decide(stmt(act("db:Select", customers), act("db:Insert", customers)), in)
			if asked != tc.want {
				t.Errorf("read %d times, want %d", asked, tc.want)
			}
			asked = 0
			in.Request.Body = func() any { asked++; return nil }
			r.Decide(stmt(act("db:Select", customers), act("db:Insert", customers)), in)
			if asked > 1 {
				t.Errorf("a body that is not known is asked for %d times", asked)
			}
		})
	}
}

// TestNeedsOfRequests: what must be known of a request before the decision, and whether it may be held: then its body is part
// of what a reviewer approves.
func TestNeedsOfRequests(t *testing.T) {
	all, st := allow("db:*", "*"), stmt(act("db:Select", customers))
	body := `request.body.amount > 1000`
	for name, tc := range map[string]struct {
		app   []access.PolicyStatement
		needs policy.Needs
		hold  bool
	}{
		"nothing":                          {[]access.PolicyStatement{all}, 0, false},
		"the head":                         {[]access.PolicyStatement{all, when(deny("db:*", "*"), `request.method == "GET"`)}, policy.NeedsRequest, false},
		"the body":                         {[]access.PolicyStatement{all, when(deny("db:*", "*"), body)}, policy.NeedsBody, false},
		"both":                             {[]access.PolicyStatement{all, when(deny("db:*", "*"), `request.method == "GET" && `+body)}, policy.NeedsRequest | policy.NeedsBody, false},
		"the body, of the only allow":      {[]access.PolicyStatement{allow("db:Insert", "*"), when(all, body)}, policy.NeedsBody, false},
		"another action's":                 {[]access.PolicyStatement{all, when(deny("db:Delete", "*"), body)}, 0, false},
		"denied without it":                {[]access.PolicyStatement{all, when(deny("db:*", "*"), body), deny("db:Select", "*")}, 0, false},
		"held":                             {[]access.PolicyStatement{all, approve("db:*", "*")}, 0, true},
		"held, perhaps":                    {[]access.PolicyStatement{all, when(approve("db:*", "*"), `now.getHours() > 3`)}, policy.NeedsTime, true},
		"held, if it is not denied before": {[]access.PolicyStatement{all, when(deny("db:*", "*"), body), approve("db:*", "*")}, policy.NeedsBody, true},
		"held, were it not denied":         {[]access.PolicyStatement{all, deny("db:Select", "*"), approve("db:*", "*")}, 0, false},
		"held, were it allowed":            {[]access.PolicyStatement{allow("db:Insert", "*"), approve("db:*", "*")}, 0, false},
		"held, for another caller":         {[]access.PolicyStatement{all, when(approve("db:*", "*"), `claims.env == "dev"`)}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := mustRules(t, world([]*access.Policy{pol("app", tc.app...)}, nil))
			if n := r.Needs(st); n != tc.needs {
				t.Errorf("needs %b, want %b", n, tc.needs)
			}
			if hold := r.MayHold(st); hold != tc.hold {
				t.Errorf("may be held: %t", hold)
			}
		})
	}
}

// TestExplainUnknownRequests: an explanation says what of a request is not known, and no value of it.
func TestExplainUnknownRequests(t *testing.T) {
	r := mustRules(t, world([]*access.Policy{pol("app", allow("db:*", "*"), when(deny("db:*", "*"), `request.body.amount > 1000`))}, nil))
	for want, in := range map[string]*access.Input{
		"there is no request or message here": input(),
		"the body is not known":               without(post(refund), func(s *access.Sent) { s.Body = nil }),
		"it fails":                            post(`{"amount": "canary"}`),
	} {
		if e := r.Explain(stmt(act("db:Select", customers)), in).String(); !strings.Contains(e, want) || strings.Contains(e, "canary") {
			t.Errorf("no %q in\n%s", want, e)
		}
	}
}
