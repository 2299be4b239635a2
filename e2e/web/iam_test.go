package web

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// account is a connection to an account behind the same backend, and a role on it.
const account = `
kind: Connection
name: acct
type: aws
address: ${BACKEND}
credential: {secret: acct}
aws: {account: "123456789012", region: eu-west-1, path_style: true}
---
kind: Policy
name: account-wide
statements:
  - effect: allow
    actions: ["dynamodb:*", "s3:*"]
    resources: ["acct/*"]
---
kind: Role
name: accountant
bind: [{issuer: dev, claims: {sub: "fn:accountant"}}]
policies: [account-wide]
---
kind: Role
name: reimported
bind: [{issuer: dev, claims: {sub: "fn:reimported"}}]
policies: [back]
`

// TestPolicyOfIAM: what a role did on an account is exported as a policy of IAM, and what is read back from it lets the same
// through, and nothing else.
func TestPolicyOfIAM(t *testing.T) {
	backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") != "" {
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			_, _ = fmt.Fprint(w, "{}")
		}
	})
	if r := shared.gw.CLI(t.Context(), `{"access_key_id":"AKIDBACKEND","secret_access_key":"`+credential+`"}`, "secrets", "set", "acct"); r.Code != 0 {
		t.Fatalf("secrets set: %s%s", r.Out, r.Err)
	}
	first, reimported, _ := cutLast(strings.ReplaceAll(account, "${BACKEND}", shared.backend.URL), "---")
	if r := shared.gw.CLI(t.Context(), first, "apply", "-f", "-"); r.Code != 0 {
		t.Fatalf("apply: %s%s", r.Out, r.Err)
	}
	get := func(table string) awsCall {
		return awsCall{"dynamodb", "POST", "/", `{"TableName":"` + table + `","Key":{"id":{"S":"1"}}}`, "DynamoDB_20120810.GetItem"}
	}
	object := func(method, key string) awsCall { return awsCall{"s3", method, "/reports/" + key, "", ""} }
	tok := token(t, "fn:accountant")
	seen := []awsCall{get("orders"), object("GET", "2026/*")}
	for i := range 25 {
		seen = append(seen, object("GET", fmt.Sprintf("daily/%d", i)))
	}
	for _, c := range seen {
		if status, body := c.send(t, tok); status != http.StatusOK {
			t.Fatalf("%+v: %d %s", c, status, body)
		}
	}
	file := filepath.Join(t.TempDir(), "policy.json")
	if r := shared.gw.CLI(t.Context(), "", "policy", "export", "--role", "accountant", "--format", "aws-iam", "--out", file); r.Code != 0 {
		t.Fatalf("export: %s%s", r.Out, r.Err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Version   string
		Statement []struct {
			Effect           string
			Action, Resource []string
		}
	}
	if err := json.Unmarshal(raw, &doc); err != nil || doc.Version != "2012-10-17" || len(doc.Statement) != 2 ||
		strings.Join(doc.Statement[0].Resource, " ") != "arn:aws:dynamodb:eu-west-1:123456789012:table/orders" ||
		strings.Join(doc.Statement[1].Resource, " ") != "arn:aws:s3:::reports/2026/${*} arn:aws:s3:::reports/daily/*" {
		t.Fatalf("%v\n%s", err, raw)
	}
	in := shared.gw.CLI(t.Context(), "", "policy", "import", "--format", "aws-iam", file, "--name", "back", "--connection", "acct")
	if in.Code != 0 {
		t.Fatalf("import: %s%s", in.Out, in.Err)
	}
	if r := shared.gw.CLI(t.Context(), in.Out+"---"+reimported, "apply", "-f", "-"); r.Code != 0 {
		t.Fatalf("apply: %s%s\n%s", r.Out, r.Err, in.Out)
	}
	again := token(t, "fn:reimported")
	for _, c := range seen {
		if status, body := c.send(t, again); status != http.StatusOK {
			t.Errorf("%+v: %d %s", c, status, body)
		}
	}
	for _, c := range []awsCall{get("customers"), object("PUT", "daily/1"), object("GET", "2026/x"), object("GET", "other"), object("DELETE", "daily/1")} {
		if status, body := c.send(t, again); status != http.StatusForbidden && status != http.StatusBadRequest || !strings.Contains(body, "AccessDenied") {
			t.Errorf("%+v: %d %s", c, status, body)
		}
	}
	if r := shared.gw.CLI(t.Context(), "", "policy", "export", "--role", "watched-by-nobody", "--format", "aws-iam"); r.Code == 0 {
		t.Errorf("a role that did nothing: %s", r.Out)
	}
}

// awsCall is a call as an SDK sends it, with a signature that means nothing.
type awsCall struct{ service, method, path, body, target string }

func (c awsCall) send(t *testing.T, tok string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), c.method, "https://"+shared.gw.Listener["aws"]+"/c/acct"+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=any/20260102/eu-west-1/"+c.service+"/aws4_request, SignedHeaders=host, Signature=0")
	r.Header.Set("X-Amz-Security-Token", tok)
	if c.target != "" {
		r.Header.Set("X-Amz-Target", c.target)
		r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	}
	resp, err := client(t).Do(r)
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

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
