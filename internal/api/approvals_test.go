package api_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/internal/access"
	"gatehouse/internal/api"
	"gatehouse/internal/api/apitest"
	"gatehouse/internal/api/message"
)

func TestReviewersSeeWhatTheyMayReview(t *testing.T) {
	g := newGateway(t)
	ids := func(token string) string {
		var l message.ApprovalList
		g.must(&l, "GET", "/v1/approvals", token, nil)
		var s []string
		for _, a := range l.Approvals {
			s = append(s, a.ID)
		}
		return strings.Join(s, " ")
	}
	if got := ids(apitest.AdminToken); got != "k7mq-2vxa op3r-ator" {
		t.Errorf("the operator sees %q", got)
	}
	if got := ids(apitest.ReviewerToken); got != "k7mq-2vxa" {
		t.Errorf("the reviewer sees %q", got)
	}
	if got := ids(apitest.OtherToken); got != "" {
		t.Errorf("another person sees %q", got)
	}
	hidden := g.refused(http.StatusNotFound, "", "GET", "/v1/approvals/k7mq-2vxa", apitest.OtherToken, nil)
	absent := g.refused(http.StatusNotFound, "", "GET", "/v1/approvals/k7mq-0000", apitest.OtherToken, nil)
	if strings.Replace(hidden.Detail, "2vxa", "0000", 1) != absent.Detail {
		t.Errorf("hidden %q and absent %q differ", hidden.Detail, absent.Detail)
	}
	g.refused(http.StatusNotFound, "", "POST", "/v1/approvals/k7mq-2vxa/approve", apitest.OtherToken, `{"reason":"please"}`)
	g.refused(http.StatusForbidden, "", "POST", "/v1/approvals/k7mq-2vxa/approve", apitest.WorkloadToken, `{"reason":"please"}`)
}

func TestEveryListOfReviewersMustAgree(t *testing.T) {
	g := newGateway(t)
	g.Hold(access.Approval{ID: "both", Reviewers: [][]string{{"dba"}, {"security", "ciso"}}})
	g.Hold(access.Approval{ID: "either", Reviewers: [][]string{{"sales", "dba"}}})
	g.Hold(access.Approval{ID: "nobody", Reviewers: [][]string{{}}})
	g.refused(http.StatusNotFound, "", "GET", "/v1/approvals/both", apitest.ReviewerToken, nil)
	g.refused(http.StatusNotFound, "", "GET", "/v1/approvals/nobody", apitest.ReviewerToken, nil)
	g.must(nil, "GET", "/v1/approvals/either", apitest.ReviewerToken, nil)
}

func TestAnswers(t *testing.T) {
	g := newGateway(t)
	g.Hold(access.Approval{ID: "0wn", Principal: apitest.Reviewer().ID(), Reviewers: [][]string{{"dba"}}})
	why := `{"reason":"ticket 42"}`
	g.refused(http.StatusForbidden, "their own", "POST", "/v1/approvals/0wn/approve", apitest.ReviewerToken, why)
	g.refused(http.StatusForbidden, "names its reviewers", "POST", "/v1/approvals/k7mq-2vxa/approve", apitest.AdminToken, why)
	g.refused(http.StatusForbidden, "names its reviewers", "POST", "/v1/approvals/k7mq-2vxa/deny", apitest.AdminToken, why)
	g.Hold(access.Approval{ID: "0perat0r", Principal: "https://issuer#fn", Reviewers: [][]string{{}}})
	g.must(nil, "POST", "/v1/approvals/0perat0r/approve", apitest.AdminToken, why)
	g.refused(http.StatusNotFound, "", "POST", "/v1/approvals/op3r-ator/approve", apitest.ReviewerToken, why)
	g.refused(http.StatusUnprocessableEntity, "", "POST", "/v1/approvals/k7mq-2vxa/approve", apitest.ReviewerToken, `{"reason":""}`)

	var a access.Approval
	g.must(&a, "POST", "/v1/approvals/k7mq-2vxa/approve", apitest.ReviewerToken, why)
	if a.State != access.ApprovalApproved || a.Reviewer != apitest.Reviewer().ID() || a.Reason != "ticket 42" {
		t.Errorf("%+v", a)
	}
	g.refused(http.StatusConflict, "already", "POST", "/v1/approvals/k7mq-2vxa/deny", apitest.ReviewerToken, why)
	g.must(&a, "POST", "/v1/approvals/op3r-ator/deny", apitest.AdminToken, why)
	if a.State != access.ApprovalDenied {
		t.Errorf("%+v", a)
	}
}

// serve starts the API with TLS on loopback, as cmd does, and returns a client for it.
func serve(t *testing.T, o api.Options) (*apitest.Running, *http.Client) {
	t.Helper()
	r, err := apitest.Serve(o)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(r.CA)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	t.Cleanup(func() {
		c.CloseIdleConnections()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r, c
}

func get(t *testing.T, c *http.Client, method, url, token string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func TestWatch(t *testing.T) {
	w := apitest.New(time.Now)
	r, c := serve(t, w.Options())
	resp := get(t, c, "GET", r.URL+"/v1/approvals/watch", apitest.ReviewerToken)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %s", resp.StatusCode, resp.Header)
	}
	lines := bufio.NewScanner(resp.Body)
	next := func() (a access.Approval) {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &a); err != nil {
					t.Fatal(err)
				}
				return a
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return a
	}
	if a := next(); a.ID != "k7mq-2vxa" || a.State != access.ApprovalPending {
		t.Errorf("first %+v", a)
	}
	w.Hold(access.Approval{ID: "not-for-dora", Reviewers: [][]string{{"security"}}})
	w.Hold(access.Approval{ID: "line\nbreak", Text: "a\ndata: {}\n\nb", Reviewers: [][]string{{"dba"}}})
	if a := next(); a.ID != "line\nbreak" || !strings.HasPrefix(a.Text, "a\n") {
		t.Errorf("then %+v", a)
	}
}

// TestServeEndsWithItsContext also ends the streams that are open.
func TestServeEndsWithItsContext(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	w := apitest.New(time.Now)
	r, err := apitest.Serve(w.Options())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(r.CA)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer tr.CloseIdleConnections()
	resp := get(t, &http.Client{Transport: tr}, "GET", r.URL+"/v1/approvals/watch", apitest.AdminToken)
	began := time.Now()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("closing took %s: the stream held it up", took)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
}

func TestBackup(t *testing.T) {
	w := apitest.New(time.Now)
	w.BackupBody = strings.Repeat("state ", 100000)
	r, c := serve(t, w.Options())
	b, err := io.ReadAll(get(t, c, "POST", r.URL+"/v1/backup", apitest.AdminToken).Body)
	if err != nil || string(b) != w.BackupBody {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	w.FailBackup = errors.New("disk full")
	if b, err := io.ReadAll(get(t, c, "POST", r.URL+"/v1/backup", apitest.AdminToken).Body); err == nil {
		t.Errorf("half a backup passes for a whole one: %d bytes", len(b))
	}
	w.BackupBody = ""
	if resp := get(t, c, "POST", r.URL+"/v1/backup", apitest.AdminToken); resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// TestWatchEndsWithTheToken holds even for a token that was good when the stream began.
func TestWatchEndsWithTheToken(t *testing.T) {
	w := apitest.New(time.Now)
	o := w.Options()
	o.Identity = shortLived{o.Identity}
	r, c := serve(t, o)
	if _, err := io.Copy(io.Discard, get(t, c, "GET", r.URL+"/v1/approvals/watch", apitest.ReviewerToken).Body); err != nil {
		t.Error(err)
	}
}

type shortLived struct{ api.Identity }

func (s shortLived) Verify(ctx context.Context, token access.Secret) (*access.Principal, error) {
	p, err := s.Identity.Verify(ctx, token)
	if err == nil {
		p.Expires = time.Now().Add(50 * time.Millisecond)
	}
	return p, err
}

func TestEveryPathParameterIsRead(t *testing.T) {
	g := newGateway(t)
	var d struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name, In string }
		}
	}
	g.must(&d, "GET", "/openapi.json", "", nil)
	for path, methods := range d.Paths {
		for method, o := range methods {
			read := 0
			for _, p := range o.Parameters {
				if p.In == "path" && strings.Contains(path, "{"+p.Name+"}") {
					read++
				}
			}
			if read != strings.Count(path, "{") {
				t.Errorf("%s %s reads %d of its parameters", method, path, read)
			}
		}
	}
}

func TestExplain(t *testing.T) {
	g := newGateway(t)
	var e message.Explanation
	g.must(&e, "POST", "/v1/policy/explain", apitest.AdminToken, `{"connection":"orders-db","statement":"delete from x","subject":"f","claims":{"n":7,"f":7.5,"l":[1]}}`)
	if e.Effect != "approve" || e.Principal != "https://issuer.test#f" {
		t.Errorf("%+v", e)
	}
	g.must(&e, "POST", "/v1/policy/explain", apitest.AdminToken, `{"connection":"orders-db","statement":"select 1","token":"`+apitest.WorkloadToken+`"}`)
	if e.Principal != apitest.Workload().ID() || len(e.Roles) != 2 {
		t.Errorf("%+v", e)
	}
	e = message.Explanation{}
	g.must(&e, "POST", "/v1/policy/explain", apitest.AdminToken, `{"connection":"other","statement":"select 1","subject":"f"}`)
	if e.Effect != "deny" || len(e.Judgements) != 1 || !strings.Contains(e.Judgements[0].Message, "no role") {
		t.Errorf("%+v", e)
	}
	for words, body := range map[string]string{
		"which issuer": `{"connection":"c","statement":"s"}`, "no Issuer": `{"connection":"c","statement":"s","issuer":"x"}`,
		"not both": `{"connection":"c","statement":"s","issuer":"dev","token":"t"}`, "aud": `{"connection":"c","statement":"s","token":"t"}`,
	} {
		if words == "which issuer" {
			g.must(nil, "POST", "/v1/documents", apitest.AdminToken, apply(`{"kind":"Issuer","name":"dev2","url":"https://two.test","audiences":["a"]}`))
		}
		if p := g.refused(http.StatusUnprocessableEntity, words, "POST", "/v1/policy/explain", apitest.AdminToken, body); p.Kind != "malformed" {
			t.Errorf("%+v", p)
		}
		if words == "which issuer" {
			g.must(nil, "DELETE", "/v1/documents/Issuer/dev2", apitest.AdminToken, nil)
		}
	}
}
