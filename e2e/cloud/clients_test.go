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
	_ = os.Setenv("GOGC", "100")                                             // how much the gateway holds is looked at: not how much garbage it lets lie
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

// TestClients: what the clients see through the gateway, as a role that may do everything, is what they see without it; whatever
// arrives is signed anew, and holds nothing of the client's token. `make clients-aws` runs all clients.
func TestClients(t *testing.T) {
	account.Forget()
	cells, err := account.Matrix(t.Context(), short())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cells {
		if !c.OK && !c.None {
			t.Errorf("%s, %s: %s", c.Client, c.Feature, c.Detail)
		}
	}
}

// TestCells: a cell is only good if the client said so, or lacks the feature and did not say otherwise.
func TestCells(t *testing.T) {
	c := Client{Name: "c", Lacks: map[string]string{"lists": "why", "copies": "why"},
		args: []string{"printf", `{"feature":"buckets","ok":true}\n{"feature":"copies","ok":true}\n{"feature":"objects","ok":false,"detail":"no"}\n`}}
	cells := c.Run(t.Context(), nil, "x")
	good := 0
	for _, cell := range cells {
		if cell.OK != (cell.Feature == "buckets") || cell.None != (cell.Feature == "lists") {
			t.Errorf("%+v", cell)
		}
		if cell.OK || cell.None {
			good++
		}
	}
	if n := Failed(cells); n != len(Features())-good || good != 2 {
		t.Errorf("%d failed, %d good", n, good)
	}
}

// short is the clients that every build has.
func short() []Client {
	return slices.DeleteFunc(Clients(), func(c Client) bool { return !c.Short })
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
