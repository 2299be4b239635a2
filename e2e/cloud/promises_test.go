package cloud

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// seed is what the tests of promises find in the account. Secrets in it are words that nothing else holds.
func seed(ctx context.Context, p *Pair) error {
	clients := map[string]Client{}
	for _, c := range Clients() {
		clients[c.Name] = c
	}
	for _, call := range [][]string{
		{"go", "make", "reports"}, {"go", "make", "customers"}, {"go", "make", "jobs"}, {"boto3", "queue", "jobs"},
		{"go", "put", "reports", "public/a.json", document}, {"go", "put", "reports", "public/b.txt", "plain"}, {"go", "put", "reports", "secret/s.txt", "secret-text"},
		{"go", "put", "reports", "private.txt", "secret-text"},
		{"go", "add", "customers", "1", "name", "Ann", "email", "ann@example.com", "card", "4111111111111111"},
		{"go", "send", "jobs", document}, {"boto3", "send", "jobs", document},
	} {
		c := clients[call[0]]
		said, err := c.Call(ctx, p.Environment(), call[1:]...)
		if err != nil || said != "done" {
			return errors.Join(fmt.Errorf("%v: %s", call, said), err)
		}
	}
	return nil
}

const document = `{"name":"Ann","card":"4111111111111111","n":1}`

// as is the environment of a subject on a connection.
func as(t *testing.T, subject, connection string) []string {
	t.Helper()
	env, err := account.As(t.Context(), subject, connection)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// say is what a client prints for one call.
func say(t *testing.T, c Client, env []string, call ...string) string {
	t.Helper()
	said, err := c.Call(t.Context(), env, call...)
	if err != nil {
		t.Fatal(err)
	}
	return said
}

// TestReader: who may read s3:GetObject of one prefix is refused everything else, in words that each SDK takes for the service's
// own, and nothing of it arrives.
func TestReader(t *testing.T) {
	env := as(t, Reader, "acct")
	for _, c := range short() {
		t.Run(c.Name, func(t *testing.T) {
			account.Forget()
			if said := say(t, c, env, "get", "reports", "public/b.txt"); said != "plain" {
				t.Errorf("what is allowed: %s", said)
			}
			if n := len(account.Arrived()); n != 1 {
				t.Errorf("%d calls arrived", n)
			}
			account.Forget()
			for _, call := range [][]string{
				{"get", "reports", "private.txt"}, {"get", "reports", "secret/s.txt"}, {"get", "reports", "public"}, {"get", "reports", "public-evil/a"},
				{"put", "reports", "public/b.txt", "x"}, {"delete", "reports", "public/b.txt"}, {"list", "reports"}, {"get", "customers", "public/b.txt"},
				{"copy", "reports", "public/c.txt", "reports/public/b.txt"}, {"item", "customers", "1"}, {"receive", "jobs"},
				{"assume", "arn:aws:iam::" + Account + ":role/for-functions"},
			} {
				said := say(t, c, env, call...)
				if !strings.HasPrefix(said, "AccessDenied") || !strings.Contains(said, "permission denied") {
					t.Errorf("%v: %s", call, said)
				}
			}
			for _, a := range account.Arrived() {
				t.Errorf("%s %s %s arrived", a.Method, a.URI, a.Target)
			}
		})
	}
}

// TestWordsOfAPolicy: a refusal says what the policy says.
func TestWordsOfAPolicy(t *testing.T) {
	env := as(t, Reviewed, "acct")
	for _, c := range short() {
		if said := say(t, c, env, "get", "reports", "secret/s.txt"); !strings.HasPrefix(said, "AccessDenied: ") || !strings.Contains(said, "Nobody reads these.") {
			t.Errorf("%s: %s", c.Name, said)
		}
	}
}

// TestStrangers: without a token, with a forged one, with the account's own key, or as nobody's role, nothing arrives.
func TestStrangers(t *testing.T) {
	good := as(t, Everything, "acct")
	endpoint, ca := "https://"+account.Gateway.Listener["aws"]+"/c/acct", account.Gateway.CAFile()
	token := tokenOf(good)
	account.Forget()
	for name, env := range map[string][]string{
		"no token":       environment(endpoint, ca, "gatehouse", "meaningless", ""),
		"the key itself": environment(endpoint, ca, AccessKey, SecretKey, ""),
		"forged":         environment(endpoint, ca, "gatehouse", "meaningless", token[:len(token)-4]+"AAAA"),
		"a stranger":     as(t, "fn:stranger", "acct"),
	} {
		for _, c := range short() {
			said := say(t, c, env, "get", "reports", "public/b.txt")
			if strings.Contains(said, "plain") || strings.HasPrefix(said, "not an error of the service") {
				t.Errorf("%s, %s: %s", name, c.Name, said)
			}
			if strings.Contains(said, SecretKey) || strings.Contains(said, token) {
				t.Errorf("%s, %s: the answer tells a secret: %s", name, c.Name, said)
			}
		}
	}
	for _, a := range account.Arrived() {
		t.Errorf("%s %s arrived", a.Method, a.URI)
	}
}

// TestOpaque: a call that the table of services does not have is refused to who may not call what is not understood.
func TestOpaque(t *testing.T) {
	env := as(t, Reviewed, "acct")
	client, err := account.trusting()
	if err != nil {
		t.Fatal(err)
	}
	account.Forget()
	for _, target := range []string{"nosuchservice /", "s3 /reports/public/b.txt?nosuchresource"} {
		service, path, _ := strings.Cut(target, " ")
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+account.Gateway.Listener["aws"]+"/c/acct"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", algorithm+" Credential=gatehouse/20260101/"+Region+"/"+service+"/aws4_request, SignedHeaders=host, Signature=00")
		r.Header.Set("X-Amz-Date", "20260101T000000Z")
		r.Header.Set("X-Amz-Security-Token", tokenOf(env))
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", target, resp.StatusCode)
		}
	}
	if n := len(account.Arrived()); n != 0 {
		t.Errorf("%d calls arrived", n)
	}
}

// TestPresigned: URLs that a client signs itself are refused where the connection does not let them through.
func TestPresigned(t *testing.T) {
	client, err := account.trusting()
	if err != nil {
		t.Fatal(err)
	}
	account.Forget()
	for connection, want := range map[string]int{"acct": http.StatusForbidden, "urls": http.StatusOK} {
		for _, c := range short() {
			url := say(t, c, as(t, Everything, connection), "presign", "reports", "public/b.txt")
			resp, err := client.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s, %s: %d", connection, c.Name, resp.StatusCode)
			}
		}
	}
	if n := len(account.Arrived()); n != len(short()) {
		t.Errorf("%d calls arrived", n)
	}
	for _, fault := range account.Foreign("meaningless") {
		t.Error(fault)
	}
}

// TestAssumedRole: calls of a connection that assumes a role are signed by a session of it that carries the principal.
func TestAssumedRole(t *testing.T) {
	account.Forget()
	c := short()[0]
	if said := say(t, c, as(t, Everything, "assumed"), "item", "customers", "1"); !strings.Contains(said, "Ann") {
		t.Errorf("%s", said)
	}
	sessions := account.Sessions()
	if len(sessions) != 1 || sessions[0].Role != "arn:aws:iam::"+Account+":role/for-functions" {
		t.Fatalf("%+v", sessions)
	}
	tagged := false
	for _, v := range sessions[0].Tags {
		tagged = tagged || strings.Contains(v, Everything)
	}
	if !tagged {
		t.Errorf("no tag carries the principal: %+v", sessions[0])
	}
	arrived := account.Arrived()
	if last := arrived[len(arrived)-1]; last.Service != "dynamodb" || last.Who != sessions[0].Name || last.Fault != "" {
		t.Errorf("%s was signed by %s: %s", last.Service, last.Who, last.Fault)
	}
}

// TestWebIdentity: a connection that has nothing but a file with a token assumes its role with it, unsigned; the file is read each time, and
// what is in it is in no record.
func TestWebIdentity(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	document := fmt.Sprintf(`
kind: Connection
name: federated
type: aws
address: %s
tls: {ca_file: %s}
aws:
  account: "%s"
  region: %s
  path_style: true
  assume_role: {arn: "arn:aws:iam::%[3]s:role/for-functions", sts: "%[1]s", session_tags: true, token_file: %[5]s}
credential: {}
---
kind: Policy
name: federated
statements:
  - {effect: allow, actions: ["dynamodb:GetItem"], resources: ["federated/*"]}
---
kind: Role
name: federated
bind: [{issuer: dev, claims: {sub: "fn:federated"}}]
policies: [federated]
`, account.URL, account.CAFile, Account, Region, file)
	if out := account.Gateway.CLI(t.Context(), document, "apply", "-f", "-"); out.Code != 0 {
		t.Fatal(out.Err)
	}
	c := short()[0]
	account.Forget()
	if said := say(t, c, as(t, "fn:federated", "federated"), "item", "customers", "1"); strings.Contains(said, "Ann") || len(account.Arrived()) > 0 {
		t.Errorf("without a token: %s", said)
	}
	const token = "canary-web-identity.token"
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := say(t, c, as(t, "fn:federated", "federated"), "item", "customers", "1"); !strings.Contains(said, "Ann") {
		t.Errorf("%s", said)
	}
	sessions, arrived := account.Sessions(), account.Arrived()
	if len(sessions) != 1 || sessions[0].WebToken != token || len(sessions[0].Tags) > 0 || !strings.Contains(sessions[0].Name, "federated") {
		t.Fatalf("%+v", sessions)
	}
	for _, a := range arrived {
		if a.Service == "sts" && (a.Header.Get("Authorization") != "" || a.Header.Get("X-Amz-Security-Token") != "") {
			t.Errorf("the role was asked for with %v", a.Header)
		}
	}
	if last := arrived[len(arrived)-1]; last.Service != "dynamodb" || last.Who != sessions[0].Name || last.Fault != "" {
		t.Errorf("%s was signed by %s: %s", last.Service, last.Who, last.Fault)
	}
	for where, text := range written(t) {
		if strings.Contains(text, token) {
			t.Errorf("the token is in %s", where)
		}
	}
}

// TestMasked: each client sees masked attributes, messages and objects, and takes them for whole: no digest of the service's
// stands against them. Nothing that is masked can be looked for.
func TestMasked(t *testing.T) {
	env := as(t, Masked, "acct")
	for _, c := range short() {
		t.Run(c.Name, func(t *testing.T) {
			for _, call := range [][]string{{"item", "customers", "1"}, {"receive", "jobs"}, {"get", "reports", "public/a.json"}} {
				said := say(t, c, env, call...)
				if call[0] == "receive" && c.Name == "boto3" { // whose messages come in XML: they cannot be masked by path
					if !strings.HasPrefix(said, "AccessDenied: ") {
						t.Errorf("%v: %s", call, said)
					}
					continue
				}
				if !strings.Contains(said, "Ann") || strings.Contains(said, "4111") || strings.Contains(said, "example.com") {
					t.Errorf("%v: %s", call, said)
				}
			}
		})
	}
	if said := say(t, short()[0], env, "find", "customers", "email", "ann@example.com"); !strings.HasPrefix(said, "AccessDenied: ") {
		t.Errorf("a masked attribute was looked for: %s", said)
	}
	if said := say(t, short()[0], env, "find", "customers", "name", "Ann"); said != "1" {
		t.Errorf("another attribute: %s", said)
	}
	if said := say(t, short()[0], env, "copy", "reports", "elsewhere", "reports/public/a.json"); !strings.HasPrefix(said, "AccessDenied: ") {
		t.Errorf("a masked object was copied: %s", said)
	}
}

// TestNothingIsTold: neither the account's secret nor a client's token is in the gateway's log or its records.
func TestNothingIsTold(t *testing.T) {
	env := as(t, Everything, "acct")
	for _, c := range short() {
		say(t, c, env, "get", "reports", "public/b.txt")
		say(t, c, env, "get", "reports", "nothing")
	}
	for where, text := range written(t) {
		for what, secret := range map[string]string{"the account's secret": SecretKey, "a token": tokenOf(env)} {
			if strings.Contains(text, secret) {
				t.Errorf("%s is in %s", what, where)
			}
		}
	}
}

// written is everything that the gateway has written so far, by where.
func written(t *testing.T) map[string]string {
	t.Helper()
	files := []string{account.Gateway.LogFile, account.Gateway.OutFile}
	err := filepath.WalkDir(account.Gateway.AuditDir(), func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	told := account.Gateway.CLI(t.Context(), "", "sessions", "list", "-o", "json")
	if told.Code != 0 {
		t.Fatal(told.Err)
	}
	texts, recorded := map[string]string{"sessions": told.Out}, false
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // what is not full yet gives way to what has more
			t.Fatal(err)
		}
		texts[f] = string(raw)
		recorded = recorded || strings.Contains(texts[f], "s3:GetObject")
	}
	if !recorded {
		t.Error("the records cannot be read, or hold nothing")
	}
	return texts
}

// TestApproval: what waits for a reviewer is refused with the approval's name; the same call, sent again, runs once.
func TestApproval(t *testing.T) {
	env := as(t, Reviewed, "acct")
	for _, c := range short() {
		t.Run(c.Name, func(t *testing.T) {
			account.Forget()
			key := "old-" + c.Name
			said := say(t, c, env, "delete", "reports", key)
			_, rest, _ := strings.Cut(said, "this needs approval ")
			id, _, ok := strings.Cut(rest, ", which is pending")
			if !ok || !strings.HasPrefix(said, "AccessDenied: ") {
				t.Fatal(said)
			}
			if again := say(t, c, env, "delete", "reports", key); !strings.Contains(again, id) {
				t.Errorf("before the answer: %s", again)
			}
			approve(t, id)
			if other := say(t, c, env, "delete", "reports", key+"x"); !strings.HasPrefix(other, "AccessDenied: ") || strings.Contains(other, id) {
				t.Errorf("another call: %s", other)
			}
			if n := len(account.Arrived()); n != 0 {
				t.Fatalf("%d calls arrived before the approval was used", n)
			}
			if done := say(t, c, env, "delete", "reports", key); done != "done" {
				t.Errorf("after the answer: %s", done)
			}
			if twice := say(t, c, env, "delete", "reports", key); !strings.HasPrefix(twice, "AccessDenied: ") || strings.Contains(twice, id) {
				t.Errorf("twice: %s", twice)
			}
			if n := len(account.Arrived()); n != 1 {
				t.Errorf("%d calls arrived", n)
			}
		})
	}
}

// approve answers as a reviewer.
func approve(t *testing.T, id string) {
	t.Helper()
	tok, err := account.Gateway.PersonToken(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(tok), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := account.Gateway.CLI(t.Context(), "", "--token-file", file, "approvals", "approve", id, "--reason", "looked at it"); r.Code != 0 {
		t.Fatalf("%s%s", r.Out, r.Err)
	}
}

// TestLarge: a gibibyte goes up and comes down, whole, and the gateway's memory does not grow with it.
func TestLarge(t *testing.T) {
	size, most := int64(1<<30), int64(96<<20)
	if testing.Short() {
		size = 256 << 20 // the race detector is slow
	}
	account.Forget()
	c, env := short()[0], as(t, Everything, "acct")
	if said := say(t, c, env, "large", "reports", "1048576"); said != "same" {
		t.Fatal(said)
	}
	before := resident(t)
	stop, peak := make(chan struct{}), make(chan int64)
	go func() {
		top := int64(0)
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				peak <- top
				return
			case <-tick.C:
				top = max(top, resident(t))
			}
		}
	}()
	said := say(t, c, env, "large", "reports", fmt.Sprint(size))
	close(stop)
	top := <-peak
	if said != "same" {
		t.Error(said)
	}
	t.Logf("resident before %d MiB, at most %d MiB", before>>20, top>>20)
	if top-before > most {
		t.Errorf("the gateway grew from %d to %d MiB", before>>20, top>>20)
	}
}

// resident is how much memory the gateway has.
func resident(t *testing.T) int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", account.Gateway.PID()))
	if err != nil {
		t.Error(err)
		return 0
	}
	var total, pages int64
	if _, err := fmt.Sscan(string(raw), &total, &pages); err != nil {
		t.Error(err)
	}
	return pages * int64(os.Getpagesize())
}

// TestKeysThatAreNoFiles: keys that a file system could not hold, on a server that keeps them in memory, arrive as they are.
func TestKeysThatAreNoFiles(t *testing.T) {
	if said := say(t, short()[0], account.Environment(), "make", "memory-keys"); said != "done" {
		t.Fatal(said)
	}
	for _, c := range short() {
		account.Forget()
		keys := []string{"a//b", "a+b c%2Fd", "a//b//", "/a", "a/b/"}
		if c.Name != "go" {
			keys = keys[:2] // each call of theirs starts an interpreter
		}
		for _, key := range keys {
			direct := say(t, c, account.Environment(), "put", "memory-keys", key, "direct") + say(t, c, account.Environment(), "get", "memory-keys", key)
			n := len(account.Arrived())
			through := say(t, c, as(t, Everything, "acct"), "put", "memory-keys", key, "direct") + say(t, c, as(t, Everything, "acct"), "get", "memory-keys", key)
			unread := strings.Contains(direct, "UnsupportedMediaType") // refused before its body was read: the answer may go down with the connection
			if through != direct && !unread {
				t.Errorf("%s, %q: %s, and without the gateway %s", c.Name, key, through, direct)
			}
			arrived := account.Arrived()
			for i := range min(n, len(arrived)-n) {
				was, _, _ := strings.Cut(arrived[i].URI, "?")
				is, _, _ := strings.Cut(arrived[n+i].URI, "?")
				if is != was {
					t.Errorf("%s, %q: arrived as %s, and without the gateway as %s", c.Name, key, is, was)
				}
			}
			account.Forget()
		}
	}
}
