package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/api"
	"gatehouse/internal/api/apitest"
	"gatehouse/internal/api/message"
	"gatehouse/internal/fault"
)

func fixedClock() time.Time { return time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC) }

type noMetrics struct{}

func (noMetrics) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "up 1\n")
}

// gateway is an API over a world in memory.
type gateway struct {
	*apitest.World
	t *testing.T
	h http.Handler
}

func newGateway(t *testing.T, adjust ...func(*api.Options)) *gateway {
	t.Helper()
	w := apitest.New(fixedClock)
	o := w.Options()
	o.Metrics = noMetrics{}
	for _, f := range adjust {
		f(&o)
	}
	s, err := api.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &gateway{World: w, t: t, h: s.Handler()}
}

// call sends one request; headers are given in pairs.
func (g *gateway) call(method, path, token string, body any, headers ...string) *httptest.ResponseRecorder {
	g.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	case io.Reader:
		r = b
	default:
		j, err := json.Marshal(b)
		if err != nil {
			g.t.Fatal(err)
		}
		r = bytes.NewReader(j)
	}
	req := httptest.NewRequest(method, path, r)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	g.h.ServeHTTP(rec, req)
	return rec
}

// must calls and decodes a successful answer.
func (g *gateway) must(out any, method, path, token string, body any) {
	g.t.Helper()
	rec := g.call(method, path, token, body)
	if rec.Code >= 300 {
		g.t.Fatalf("%s %s: %d %s", method, path, rec.Code, rec.Body)
	}
	if out != nil {
		if err := json.Unmarshal(rec.Body.Bytes(), out); err != nil {
			g.t.Fatal(err)
		}
	}
}

// refused calls and expects a problem with a status and words in it.
func (g *gateway) refused(status int, words string, method, path, token string, body any) message.Problem {
	g.t.Helper()
	rec := g.call(method, path, token, body)
	return g.problem(rec, status, words)
}

func (g *gateway) problem(rec *httptest.ResponseRecorder, status int, words string) message.Problem {
	g.t.Helper()
	var p message.Problem
	if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || rec.Header().Get("Content-Type") != "application/problem+json" {
		g.t.Fatalf("no problem but %d %q: %s", rec.Code, rec.Header().Get("Content-Type"), rec.Body)
	}
	if rec.Code != status || p.Status != status || !strings.Contains(p.Detail, words) || p.Kind == "" {
		g.t.Fatalf("got %d %s %q, want %d with %q", rec.Code, p.Kind, p.Detail, status, words)
	}
	return p
}

func apply(docs ...string) string { return `{"documents":[` + strings.Join(docs, ",") + `]}` }

const (
	newPolicy = `{"kind":"Policy","name":"reads","statements":[{"effect":"allow","actions":["mem:Read"],"resources":["orders-db/*"]}]}`
	newRole   = `{"kind":"Role","name":"reader","bind":[{"issuer":"dev","claims":{"team":"bi"}}],"policies":["reads"]}`
	badRole   = `{"kind":"Role","name":"broken","bind":[{"issuer":"dev","claims":{"team":"bi"}}],"policies":["missing"]}`
)

// TestAuthMatrix calls every operation of the description as everyone. The table says who may; an operation that is not in
// it fails the test.
func TestAuthMatrix(t *testing.T) {
	type may struct{ none, operator, reviewer, other, workload bool }
	operatorsOnly := may{operator: true}
	people := may{operator: true, reviewer: true, other: true}
	everyone := may{operator: true, reviewer: true, other: true, workload: true}
	public := may{true, true, true, true, true}
	matrix := map[string]may{
		"list-documents": operatorsOnly, "get-document": operatorsOnly, "apply-documents": operatorsOnly, "delete-document": operatorsOnly,
		"get-schema": operatorsOnly, "explain-policy": operatorsOnly, "export-policy": operatorsOnly, "list-secrets": operatorsOnly, "put-secret": operatorsOnly,
		"delete-secret": operatorsOnly, "list-sessions": operatorsOnly, "list-session-records": operatorsOnly, "get-refusal": operatorsOnly,
		"lock": operatorsOnly, "unlock": operatorsOnly, "rotate-key": operatorsOnly, "test-connection": operatorsOnly,
		"sign-checkpoint": operatorsOnly, "backup": operatorsOnly, "version": operatorsOnly,
		"list-approvals": people, "get-approval": people, "approve": people, "deny": people, "watch-approvals": people,
		"whoami": everyone, "live": public, "ready": public, "metrics": operatorsOnly,
	}
	for id, op := range operations(t) {
		allowed, known := matrix[id]
		if !known {
			t.Errorf("operation %s (%s %s) is not in the matrix: say who may call it", id, op.method, op.path)
			continue
		}
		for who, c := range map[string]struct {
			token string
			may   bool
		}{
			"nobody": {"", allowed.none}, "garbage": {"garbage", allowed.none}, "operator": {apitest.AdminToken, allowed.operator},
			"reviewer": {apitest.ReviewerToken, allowed.reviewer}, "other": {apitest.OtherToken, allowed.other}, "workload": {apitest.WorkloadToken, allowed.workload},
		} {
			g := newGateway(t)
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // the stream of approvals ends at once
			req := httptest.NewRequestWithContext(ctx, op.method, op.path, strings.NewReader("{}"))
			req.RemoteAddr = "203.0.113.9:4000"
			if c.token != "" {
				req.Header.Set("Authorization", "Bearer "+c.token)
			}
			rec := httptest.NewRecorder()
			g.h.ServeHTTP(rec, req)
			through := rec.Code != http.StatusUnauthorized && rec.Code != http.StatusForbidden
			if through != c.may {
				t.Errorf("%s as %s: %d %s", id, who, rec.Code, rec.Body)
			}
		}
		delete(matrix, id)
	}
	for id := range matrix {
		t.Errorf("operation %s is in the matrix and not in the API", id)
	}
}

type operation struct{ method, path string }

// operations lists the operations of the description, with path parameters filled in.
func operations(t *testing.T) map[string]operation {
	t.Helper()
	g := newGateway(t)
	var d struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		}
	}
	g.must(&d, "GET", "/openapi.json", "", nil)
	fill := strings.NewReplacer("{kind}", "Role", "{name}", "nothing", "{id}", "nothing", "{ref}", "nothing", "{key}", "mask")
	ops := map[string]operation{}
	for path, methods := range d.Paths {
		for method, o := range methods {
			ops[o.OperationID] = operation{strings.ToUpper(method), fill.Replace(path)}
		}
	}
	if len(ops) < 25 {
		t.Fatalf("only %d operations found", len(ops))
	}
	return ops
}

func TestTokens(t *testing.T) {
	for name, header := range map[string][]string{
		"none": nil, "empty": {""}, "basic": {"Basic " + apitest.AdminToken}, "bare": {apitest.AdminToken}, "no token": {"Bearer "},
		"two headers": {"Bearer " + apitest.AdminToken, "Bearer " + apitest.AdminToken}, "trailing space": {"Bearer " + apitest.AdminToken + " "},
		"two spaces": {"Bearer  " + apitest.AdminToken}, "control": {"Bearer a\x01b"}, "too long": {"Bearer " + strings.Repeat("a", 16<<10+1)},
		"prefix": {"Bearer " + apitest.AdminToken[:len(apitest.AdminToken)-1]}, "suffix": {"Bearer " + apitest.AdminToken + "x"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t)
			req := httptest.NewRequest("GET", "/v1/documents", nil)
			req.Header["Authorization"] = header
			rec := httptest.NewRecorder()
			g.h.ServeHTTP(rec, req)
			g.problem(rec, http.StatusUnauthorized, "")
			if rec.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Error("no WWW-Authenticate")
			}
		})
	}
	newGateway(t).must(nil, "GET", "/v1/documents", apitest.AdminToken, nil)
	newGateway(t).refused(http.StatusServiceUnavailable, "the issuer's keys", "GET", "/v1/whoami", apitest.OldToken, nil)
}

func TestRefusedLoginHasAReference(t *testing.T) {
	g := newGateway(t)
	p := g.refused(http.StatusUnauthorized, "authentication failed (ref ", "GET", "/v1/whoami", "some-wrong-token", nil)
	if strings.Contains(p.Detail, "aud") {
		t.Errorf("the exact reason is told: %s", p.Detail)
	}
	events := g.Events()
	if len(events) != 1 || events[0].Event.Kind != access.EventLoginRefused || !strings.Contains(events[0].Event.Reason, "aud claim") {
		t.Fatalf("recorded: %+v", events)
	}
	ref := events[0].Event.Ref
	if !strings.Contains(p.Detail, "(ref "+ref+")") {
		t.Errorf("%q does not name %s", p.Detail, ref)
	}
	var r message.Record
	g.must(&r, "GET", "/v1/refusals/"+strings.ToUpper(strings.ReplaceAll(ref, "0", "o")), apitest.AdminToken, nil)
	if !strings.Contains(r.Reason, "aud claim") {
		t.Errorf("the administrator is told %q", r.Reason)
	}
	g.refused(http.StatusForbidden, "may not", "GET", "/v1/refusals/"+ref, apitest.ReviewerToken, nil)
}

// TestFloodOfBadTokens must not fill the audit log, nor keep out who has a good one.
func TestFloodOfBadTokens(t *testing.T) {
	g := newGateway(t)
	for range 500 {
		g.call("GET", "/v1/whoami", "wrong", nil)
	}
	if n := len(g.Events()); n > 60 {
		t.Errorf("%d records for one second's flood", n)
	}
	g.refused(http.StatusServiceUnavailable, "wait", "GET", "/v1/whoami", "wrong", nil)
	g.must(nil, "GET", "/v1/whoami", apitest.ReviewerToken, nil)
}

func TestApply(t *testing.T) {
	g := newGateway(t)
	var p message.Plan
	dry := strings.Replace(apply(newPolicy, newRole), "{", `{"dry_run":true,`, 1)
	g.must(&p, "POST", "/v1/documents", apitest.AdminToken, dry)
	if !p.DryRun || p.Changed() != 2 || p.Revision != 1 || p.Changes[0].Action != message.ActionCreate || p.Changes[0].Diff == "" {
		t.Errorf("dry run: %+v", p)
	}
	g.refused(http.StatusNotFound, "no Policy", "GET", "/v1/documents/Policy/reads", apitest.AdminToken, nil)
	if len(g.Events()) != 0 {
		t.Error("a dry run is recorded as a change")
	}

	p = message.Plan{}
	g.must(&p, "POST", "/v1/documents", apitest.AdminToken, apply(newPolicy, newRole))
	if p.DryRun || p.Changed() != 2 || p.Revision != 2 {
		t.Errorf("apply: %+v", p)
	}
	p = message.Plan{}
	g.must(&p, "POST", "/v1/documents", apitest.AdminToken, apply(newRole, newPolicy))
	if p.Changed() != 0 || p.Revision != 2 || len(g.Events()) != 2 {
		t.Errorf("again: %+v, %d events", p, len(g.Events()))
	}
	g.refused(http.StatusUnprocessableEntity, "would not compile", "DELETE", "/v1/documents/Policy/reads", apitest.AdminToken, nil)
	p = message.Plan{}
	g.must(&p, "DELETE", "/v1/documents/Role/reader", apitest.AdminToken, nil)
	if p.Changed() != 1 || p.Changes[0].Action != message.ActionDelete || p.Revision != 3 {
		t.Errorf("delete: %+v", p)
	}
}

func TestApplyIsAtomic(t *testing.T) {
	g := newGateway(t)
	p := g.refused(http.StatusUnprocessableEntity, "nothing was changed", "POST", "/v1/documents", apitest.AdminToken, apply(newPolicy, newRole, badRole))
	if len(p.Findings) != 1 || p.Findings[0].Name != "broken" || p.Findings[0].Path != "policies[0]" {
		t.Errorf("findings: %+v", p.Findings)
	}
	g.refused(http.StatusNotFound, "", "GET", "/v1/documents/Policy/reads", apitest.AdminToken, nil)
	for name, body := range map[string]string{
		"twice": apply(newPolicy, newPolicy), "unknown key": apply(strings.Replace(newPolicy, `"name"`, `"naem":"x","name"`, 1)),
		"unknown kind": apply(`{"kind":"Polcy","name":"x"}`), "no kind": apply(`{"name":"x"}`), "not an object": apply(`7`), "empty": apply(),
	} {
		t.Run(name, func(t *testing.T) {
			g.t = t
			g.refused(http.StatusUnprocessableEntity, "", "POST", "/v1/documents", apitest.AdminToken, body)
		})
	}
	if len(g.Events()) != 0 {
		t.Error("what was refused is recorded as a change")
	}
}

func TestChangeIsRecordedFirst(t *testing.T) {
	t.Run("no record, no change", func(t *testing.T) {
		g := newGateway(t)
		g.FailRecording = fault.New(fault.Unavailable, "test", "the disk under the audit log is full: free space")
		g.refused(http.StatusServiceUnavailable, "disk", "POST", "/v1/documents", apitest.AdminToken, apply(newPolicy))
		g.refused(http.StatusServiceUnavailable, "disk", "DELETE", "/v1/documents/Role/refund-fn", apitest.AdminToken, nil)
		g.refused(http.StatusServiceUnavailable, "disk", "PUT", "/v1/secrets/x", apitest.AdminToken, "value")
		g.must(nil, "GET", "/v1/documents/Role/refund-fn", apitest.AdminToken, nil)
		g.refused(http.StatusNotFound, "", "GET", "/v1/documents/Policy/reads", apitest.AdminToken, nil)
		if g.Secret("x") != "" {
			t.Error("a secret was stored without a record")
		}
	})
	t.Run("the record tells who and what", func(t *testing.T) {
		g := newGateway(t)
		g.must(nil, "POST", "/v1/documents", apitest.AdminToken, apply(newPolicy))
		e := g.Events()[0].Event
		if e.Kind != access.EventDocumentChanged || e.Principal != access.OperatorPrincipal().ID() || e.Detail["action"] != "create" ||
			e.Detail["name"] != "reads" || !strings.Contains(e.Detail["diff"], "mem:Read") || len(e.Detail["sha256"]) != 64 {
			t.Errorf("recorded: %+v", e)
		}
	})
	t.Run("a change that failed is recorded as failed", func(t *testing.T) {
		g := newGateway(t)
		g.FailApply = errors.New("disk gone at /secret/path")
		p := g.refused(http.StatusInternalServerError, "", "POST", "/v1/documents", apitest.AdminToken, apply(newPolicy))
		if strings.Contains(p.Detail, "/secret/path") {
			t.Error("an internal error is told")
		}
		events := g.Events()
		if len(events) != 2 || events[1].Event.Status != access.StatusError {
			t.Errorf("recorded: %+v", events)
		}
	})
	t.Run("a change that is written and not in force is no failure", func(t *testing.T) {
		g := newGateway(t)
		g.FailRefresh = errors.New("no lease")
		g.refused(http.StatusServiceUnavailable, "written (revision 2)", "POST", "/v1/documents", apitest.AdminToken, apply(newPolicy))
		if events := g.Events(); len(events) != 1 || events[0].Event.Status != "" {
			t.Errorf("recorded: %+v", events)
		}
	})
	t.Run("a lock needs no record", func(t *testing.T) {
		g := newGateway(t)
		g.FailRecording = fault.New(fault.Unavailable, "test", "full")
		g.refused(http.StatusServiceUnavailable, "is locked, but that could not be recorded: full", "PUT", "/v1/lock", apitest.AdminToken, `{"reason":"case 17"}`)
		if g.Locked() != "case 17" {
			t.Error("the gateway stayed open")
		}
		g.refused(http.StatusServiceUnavailable, "full", "DELETE", "/v1/lock", apitest.AdminToken, nil)
		if g.Locked() == "" {
			t.Error("it was unlocked without a record")
		}
	})
}

func TestConcurrentAppliesLoseNothing(t *testing.T) {
	g := newGateway(t)
	const n = 20
	done := make(chan int, n)
	for i := range n {
		go func() {
			doc := strings.ReplaceAll(newPolicy, `"reads"`, `"p`+string(rune('a'+i))+`"`)
			done <- g.call("POST", "/v1/documents", apitest.AdminToken, apply(doc)).Code
		}()
	}
	for range n {
		if code := <-done; code != http.StatusOK {
			t.Errorf("status %d", code)
		}
	}
	var l message.DocumentList
	g.must(&l, "GET", "/v1/documents?kind=Policy", apitest.AdminToken, nil)
	if len(l.Documents) != n+1 || l.Revision != n+1 {
		t.Errorf("%d policies at revision %d", len(l.Documents), l.Revision)
	}
}

// TestNoSecretIsReturned puts canaries into the vault and into requests that fail in every way, then looks for them in all
// answers and records.
func TestNoSecretIsReturned(t *testing.T) {
	const canary = "c4n4ry-value-7781"
	g := newGateway(t)
	var seen bytes.Buffer
	keep := func(rec *httptest.ResponseRecorder) {
		seen.Write(rec.Body.Bytes())
		for k, v := range rec.Header() {
			seen.WriteString(k + strings.Join(v, ","))
		}
	}
	keep(g.call("PUT", "/v1/secrets/orders-password", apitest.AdminToken, canary))
	if g.Secret("orders-password") != canary {
		t.Fatal("the secret was not stored")
	}
	for _, op := range operations(t) {
		for _, body := range []string{"", "{}", `{"value":"` + canary + `"}`, canary, `"` + canary + `"`, `{"reason":["` + canary + `"],"token":"` + canary + `"}`,
			`{"documents":"` + canary + `"}`, `{"connection":7,"statement":["` + canary + `"]}`} {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			req := httptest.NewRequestWithContext(ctx, op.method, op.path, strings.NewReader(body))
			req.Header.Set("Authorization", "Bearer "+apitest.AdminToken)
			rec := httptest.NewRecorder()
			g.h.ServeHTTP(rec, req)
			keep(rec)
		}
	}
	keep(g.call("GET", "/v1/whoami", canary, nil))
	keep(g.call("PUT", "/v1/secrets/"+strings.Repeat("x", 200), apitest.AdminToken, canary))
	keep(g.call("PUT", "/v1/secrets/big", apitest.AdminToken, canary+strings.Repeat("x", 64<<10)))
	keep(g.call("POST", "/v1/policy/explain", apitest.AdminToken, `{"connection":"orders-db","statement":"select 1","token":"`+canary+`"}`))
	g.FailApply = errors.New("x")
	for _, e := range g.Events() {
		b, err := json.Marshal(message.NewRecord(e.Seq, &e.Event))
		if err != nil {
			t.Fatal(err)
		}
		seen.Write(b)
	}
	for _, c := range []string{canary, apitest.AdminToken} {
		if i := strings.Index(seen.String(), c); i >= 0 {
			t.Errorf("%s comes back: …%s…", c, seen.String()[max(0, i-200):min(seen.Len(), i+60)])
		}
	}
}

func TestSecrets(t *testing.T) {
	g := newGateway(t)
	for _, v := range []string{"plain", "with\nlines\n", "\x00\xff binary", `{"json":true}`} {
		g.must(nil, "PUT", "/v1/secrets/orders-password", apitest.AdminToken, v)
		if g.Secret("orders-password") != v {
			t.Errorf("stored %q instead of %q", g.Secret("orders-password"), v)
		}
	}
	g.refused(http.StatusBadRequest, "", "PUT", "/v1/secrets/x", apitest.AdminToken, "")
	g.refused(http.StatusUnprocessableEntity, "", "PUT", "/v1/secrets/%2e%2e%2fetc", apitest.AdminToken, "v")
	g.refused(http.StatusConflict, "orders-db", "DELETE", "/v1/secrets/orders-password", apitest.AdminToken, nil)
	g.refused(http.StatusNotFound, "no secret", "DELETE", "/v1/secrets/other", apitest.AdminToken, nil)
	g.must(nil, "PUT", "/v1/secrets/spare", apitest.AdminToken, "v")
	g.must(nil, "DELETE", "/v1/secrets/spare", apitest.AdminToken, nil)
	var l message.SecretList
	g.must(&l, "GET", "/v1/secrets", apitest.AdminToken, nil)
	if len(l.Names) != 1 || l.Names[0] != "orders-password" {
		t.Errorf("names: %v", l.Names)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	g := newGateway(t)
	for _, c := range []struct {
		method, path string
		size         int
	}{
		{"PUT", "/v1/secrets/x", 64<<10 + 1}, {"PUT", "/v1/lock", 16<<10 + 1}, {"POST", "/v1/approvals/k7mq-2vxa/approve", 16<<10 + 1},
		{"POST", "/v1/policy/explain", 2<<20 + 1}, {"POST", "/v1/documents", 8<<20 + 1},
	} {
		// Without a length, as a chunked body comes.
		rec := g.call(c.method, c.path, apitest.AdminToken, io.MultiReader(strings.NewReader(strings.Repeat(" ", c.size))))
		g.problem(rec, http.StatusRequestEntityTooLarge, "")
	}
}

func TestOtherSitesPagesAreRefused(t *testing.T) {
	g := newGateway(t)
	for _, h := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.test"}, {"Origin", "null"}} {
		rec := g.call("PUT", "/v1/lock", apitest.AdminToken, `{"reason":"x"}`, h...)
		g.problem(rec, http.StatusForbidden, "other web pages")
	}
	if g.Locked() != "" {
		t.Error("another site locked the gateway")
	}
	rec := g.call("GET", "/v1/whoami", apitest.AdminToken, nil, "Origin", "https://evil.test")
	if rec.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Error("another site may read answers")
	}
	g.problem(g.call("GET", "/", "", nil), http.StatusNotFound, "no such path")
	g.problem(g.call("PATCH", "/v1/documents", apitest.AdminToken, nil), http.StatusNotFound, "does not take this method")
}

func TestUnknownInputIsRefused(t *testing.T) {
	g := newGateway(t)
	g.refused(http.StatusUnprocessableEntity, "", "GET", "/v1/documents?kin=Role", apitest.AdminToken, nil)
	g.refused(http.StatusUnprocessableEntity, "", "GET", "/v1/documents?kind=Rolle", apitest.AdminToken, nil)
	g.refused(http.StatusUnprocessableEntity, "", "PUT", "/v1/lock", apitest.AdminToken, `{"reason":"x","why":"y"}`)
	g.refused(http.StatusUnprocessableEntity, "", "PUT", "/v1/lock", apitest.AdminToken, `{}`)
	g.refused(http.StatusBadRequest, "", "PUT", "/v1/lock", apitest.AdminToken, `{"reason":`)
	g.refused(http.StatusUnprocessableEntity, "", "POST", "/v1/keys/other/rotate", apitest.AdminToken, nil)
	g.refused(http.StatusUnprocessableEntity, "", "GET", "/v1/sessions?limit=100000", apitest.AdminToken, nil)
	g.problem(g.call("PUT", "/v1/lock", apitest.AdminToken, "reason=x", "Content-Type", "application/x-www-form-urlencoded"), http.StatusUnsupportedMediaType, "")
}

func TestHealth(t *testing.T) {
	g := newGateway(t)
	var h message.Health
	g.must(&h, "GET", "/readyz", "", nil)
	if !h.Ready || h.Audit.Mode != "fast" || h.Audit.WindowMillis != 100 {
		t.Errorf("%+v", h)
	}
	g.must(nil, "PUT", "/v1/lock", apitest.AdminToken, `{"reason":"secret case 17"}`)
	rec := g.call("GET", "/readyz", "", nil)
	if rec.Code != http.StatusServiceUnavailable || !strings.Contains(rec.Body.String(), `"locked":true`) || strings.Contains(rec.Body.String(), "case 17") {
		t.Errorf("locked: %d %s", rec.Code, rec.Body)
	}
	g.must(nil, "GET", "/healthz", "", nil)
	// httptest's requests come from 192.0.2.1.
	g.refused(http.StatusUnauthorized, "token", "GET", "/metrics", "", nil)
	g.refused(http.StatusForbidden, "", "GET", "/metrics", apitest.ReviewerToken, nil)
	if rec := g.call("GET", "/metrics", apitest.AdminToken, nil); rec.Body.String() != "up 1\n" {
		t.Errorf("metrics: %d %s", rec.Code, rec.Body)
	}
	req := httptest.NewRequest("GET", "/metrics", nil)
	req.RemoteAddr = "[::1]:5000"
	local := httptest.NewRecorder()
	g.h.ServeHTTP(local, req)
	if local.Code != http.StatusOK {
		t.Errorf("metrics from loopback: %d", local.Code)
	}
}

type panics struct{ api.HealthReporter }

func (panics) Health(context.Context) message.Health { panic("secret detail") }

func TestPanicIsAProblem(t *testing.T) {
	g := newGateway(t, func(o *api.Options) { o.Health = panics{} })
	p := g.refused(http.StatusInternalServerError, "", "GET", "/readyz", "", nil)
	if strings.Contains(p.Detail, "secret") {
		t.Error(p.Detail)
	}
}

func TestOptionsMustBeComplete(t *testing.T) {
	for name, spoil := range map[string]func(*api.Options){
		"Recorder": func(o *api.Options) { o.Recorder = nil }, "Identity": func(o *api.Options) { o.Identity = nil },
		"administrator token": func(o *api.Options) { o.AdminToken = access.Secret{} },
		"at least":            func(o *api.Options) { o.AdminToken = access.NewSecret([]byte("short")) },
	} {
		o := apitest.New(fixedClock).Options()
		spoil(&o)
		if _, err := api.New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
