package cloud

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// raw is one call by hand: signed as a client would, with a signature that means nothing.
func raw(t *testing.T, subject, connection, method, target string, headers ...string) (int, string) {
	t.Helper()
	client, err := account.trusting()
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "https://"+account.Gateway.Listener["aws"]+"/c/"+connection+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", algorithm+" Credential=gatehouse/20260101/"+Region+"/s3/aws4_request, SignedHeaders=host, Signature=00")
	r.Header.Set("X-Amz-Security-Token", tokenOf(as(t, subject, connection)))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestListings: a server's listing has neither the digest nor the length of an object that is masked, and both of the others.
func TestListings(t *testing.T) {
	for _, target := range []string{"/reports?list-type=2", "/reports", "/reports?list-type=2&prefix=public%2Fa", "/reports?encoding-type=url&list-type=2"} {
		status, whole := raw(t, Everything, "acct", http.MethodGet, target)
		if status != http.StatusOK || !strings.Contains(whole, "<Key>public/a.json</Key>") && !strings.Contains(whole, "<Key>public%2Fa.json</Key>") {
			t.Fatalf("%d %s", status, whole)
		}
		status, said := raw(t, Masked, "acct", http.MethodGet, target)
		for n, object := range strings.Split(said, "<Contents>") {
			hidden := strings.Contains(object, "<Key>public/") || strings.Contains(object, "<Key>public%2F")
			if n > 0 && (strings.Contains(object, "<ETag>") == hidden || strings.Contains(object, "<Size>0</Size>") != hidden) {
				t.Errorf("%s: %s", target, object)
			}
		}
		if status != http.StatusOK || strings.Count(said, "<Contents>") != strings.Count(whole, "<Contents>") {
			t.Errorf("%s: %d %s", target, status, said)
		}
	}
	if status, said := raw(t, Masked, "acct", http.MethodHead, "/reports/public/a.json"); status != http.StatusOK || said != "" {
		t.Errorf("%d %s", status, said)
	}
}

// TestCopySources: what is copied is what was judged, also to a server for which a plus sign is a space.
func TestCopySources(t *testing.T) {
	c, env := short()[0], as(t, Everything, "acct")
	if said := say(t, c, env, "put", "reports", "with+plus", "plain"); said != "done" {
		t.Fatal(said)
	}
	account.Forget()
	if status, said := raw(t, Everything, "acct", http.MethodPut, "/reports/copied", "X-Amz-Copy-Source", "/reports/with+plus"); status != http.StatusOK {
		t.Errorf("%d %s", status, said)
	}
	if a := account.Arrived(); len(a) != 1 || a[0].Header.Get("X-Amz-Copy-Source") != "reports/with%2Bplus" {
		t.Errorf("%+v", a)
	}
	if said := say(t, c, env, "get", "reports", "copied"); said != "plain" {
		t.Error(said)
	}
}

// TestBudgets: each object of a listing and each item of a table counts; beyond the budget nothing comes.
func TestBudgets(t *testing.T) {
	if err := account.Apply(t.Context(), `
kind: Policy
name: metered
statements:
  - {effect: allow, actions: ["s3:*"], resources: ["acct/*"]}
  - {effect: deny, actions: ["s3:*"], resources: ["acct/*"], beyond: {rows: 7, per: 1h}}
---
kind: Role
name: metered
bind: [{issuer: dev, claims: {sub: "fn:metered"}}]
policies: [metered]
`); err != nil {
		t.Fatal(err)
	}
	c := short()[0]
	for _, call := range [][]string{{"make", "budget"}, {"put", "budget", "a", "x"}, {"put", "budget", "b", "x"}, {"put", "budget", "c", "x"}} {
		if said := say(t, c, account.Environment(), call...); said != "done" {
			t.Fatalf("%v: %s", call, said)
		}
	}
	for n, want := range []int{http.StatusOK, http.StatusOK, http.StatusTooManyRequests, http.StatusTooManyRequests} {
		status, said := raw(t, "fn:metered", "acct", http.MethodGet, "/budget?list-type=2")
		if status != want || want != http.StatusOK && (strings.Contains(said, "<Contents>") || !strings.Contains(said, "7 rows")) {
			t.Errorf("call %d: %d %s", n+1, status, said)
		}
	}
}

// TestBrokenUploads: who breaks off the body of a call is told so, and not that the backend has failed.
func TestBrokenUploads(t *testing.T) {
	pem, err := os.ReadFile(account.Gateway.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	conn, err := tls.Dial("tcp", account.Gateway.Listener["aws"], &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "PUT /c/acct/reports/broken HTTP/1.1\r\nHost: "+account.Gateway.Listener["aws"]+"\r\nTransfer-Encoding: chunked\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\n"+
		"Authorization: "+algorithm+" Credential=gatehouse/20260101/"+Region+"/s3/aws4_request, SignedHeaders=host, Signature=00\r\n"+
		"X-Amz-Security-Token: "+tokenOf(as(t, Everything, "acct"))+"\r\n\r\n5\r\nhello\r\nZZ\r\n")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body) // what it says is shown only
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}
