package cloud

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

var account *Pair

func TestMain(m *testing.M) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // the first build may be cold
	w, err := NewPair(ctx)
	if err == nil {
		err = seed(ctx, w)
	}
	cancel()
	code := 1
	if err == nil {
		account = w
		code = m.Run()
		err = w.Stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// TestDirect: the clients' programs do what they say against the servers themselves, and every request is signed with the key.
func TestDirect(t *testing.T) {
	account.Forget()
	for _, c := range short() {
		for _, cell := range c.Run(t.Context(), account.Environment(), "direct-"+c.Name) {
			if !cell.OK && !cell.None {
				t.Errorf("%s, %s: %s", cell.Client, cell.Feature, cell.Detail)
			}
		}
	}
	for _, a := range account.Arrived() {
		if a.Fault != "" || a.Who != "backend" {
			t.Errorf("%s %s: %s %s", a.Method, a.URI, a.Who, a.Fault)
		}
	}
}

// short is the clients that every build has.
func short() []Client {
	return slices.DeleteFunc(Clients(), func(c Client) bool { return !c.Short })
}

// TestClients: through the gateway, as a role that may do everything, the clients see what they see without it.
func TestClients(t *testing.T) {
	env, err := account.As(t.Context(), Everything, "urls")
	if err != nil {
		t.Fatal(err)
	}
	account.Forget()
	for _, c := range short() {
		direct := c.Run(t.Context(), account.Environment(), "compared-"+c.Name)
		account.Forget()
		through := c.Run(t.Context(), env, "through-"+c.Name)
		Compare(direct, through)
		for _, cell := range through {
			if !cell.OK && !cell.None {
				t.Errorf("%s, %s: %s", cell.Client, cell.Feature, cell.Detail)
			}
		}
		for _, fault := range account.Foreign("meaningless", tokenOf(env)) {
			t.Errorf("%s: %s", c.Name, fault)
		}
	}
}

// tokenOf is the token in an environment.
func tokenOf(env []string) string {
	for _, v := range env {
		if token, ok := strings.CutPrefix(v, "AWS_SESSION_TOKEN="); ok {
			return token
		}
	}
	return ""
}

// TestForged: what is not signed with a key of the account, or was changed after it was signed, reaches no server.
func TestForged(t *testing.T) {
	go1 := short()[0]
	call := func(env []string) string {
		t.Helper()
		account.Forget()
		said, err := go1.Call(t.Context(), env, "list", "direct-go")
		if err != nil {
			t.Fatal(err)
		}
		return said
	}
	for name, env := range map[string][]string{
		"another secret": environment(account.URL, account.CAFile, AccessKey, "meaningless", ""),
		"nobody's key":   environment(account.URL, account.CAFile, "gatehouse", "meaningless", ""),
		"a token":        environment(account.URL, account.CAFile, AccessKey, SecretKey, "eyJ0b2tlbg"),
	} {
		if said := call(env); !strings.HasPrefix(said, "SignatureDoesNotMatch: ") {
			t.Errorf("%s: %s", name, said)
		}
		if a := account.Arrived(); len(a) == 0 || a[0].Fault == "" {
			t.Errorf("%s: no fault is on record: %+v", name, a)
		}
	}
	signed := signedRequest(t)
	for name, change := range map[string]func(r *http.Request){
		"nothing":          func(*http.Request) {},
		"the path":         func(r *http.Request) { r.URL.Path += "x" },
		"the query":        func(r *http.Request) { r.URL.RawQuery += "&prefix=x" },
		"a signed header":  func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", unsigned) },
		"an unsigned one":  func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") },
		"the host":         func(r *http.Request) { r.Host = "elsewhere" },
		"the method":       func(r *http.Request) { r.Method = http.MethodDelete },
		"the time":         func(r *http.Request) { r.Header.Set("X-Amz-Date", "20200101T000000Z") },
		"a second way":     func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Algorithm=" + algorithm },
		"who it is signed": func(r *http.Request) { r.Header.Del("Authorization") },
	} {
		r := signed.Clone(t.Context())
		change(r)
		resp, err := account.front.server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if good := resp.StatusCode < 300; good != (name == "nothing") {
			t.Errorf("%s was changed: %d", name, resp.StatusCode)
		}
	}
}

// signedRequest is a request that a client signed, as it arrived.
func signedRequest(t *testing.T) *http.Request {
	t.Helper()
	account.Forget()
	if said, err := short()[0].Call(t.Context(), account.Environment(), "list", "direct-go"); err != nil || strings.Contains(said, ":") {
		t.Fatal(said, err)
	}
	a := account.Arrived()[0]
	r, err := http.NewRequestWithContext(t.Context(), a.Method, account.URL+a.URI, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = a.Header.Clone()
	r.Header.Del("Host")
	return r
}
