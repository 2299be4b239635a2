package aws

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write what is understood of the captured requests: read it before it is committed")

var table = sync.OnceValues(opened)

func tableOf(t testing.TB) *models {
	t.Helper()
	m, err := table()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var here = place{connection: "acct", account: "123456789012", region: "eu-west-1", partition: "aws"}

// captured is a request as a stock client sent it.
type captured struct {
	Call, Method, Target string
	Headers              [][2]string
	Body                 string
}

func (c captured) head(t testing.TB) (head, []byte) {
	t.Helper()
	body, err := base64.StdEncoding.DecodeString(c.Body)
	if err != nil {
		t.Fatal(err)
	}
	h := head{Method: c.Method, Header: http.Header{}}
	h.Path, h.Query, _ = strings.Cut(c.Target, "?")
	for _, pair := range c.Headers {
		h.Header.Add(pair[0], pair[1])
	}
	return h, body
}

func readCaptured(t testing.TB, name string) []captured {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var all []captured
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var c captured
		if err := json.Unmarshal(s.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// TestCapturedRequests reads requests of stock clients: what is understood of each stands beside them.
func TestCapturedRequests(t *testing.T) {
	files, err := filepath.Glob("testdata/captured/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatal("no captured requests", err)
	}
	for _, file := range files {
		var b strings.Builder
		for _, c := range readCaptured(t, file) {
			h, body := c.head(t)
			b.WriteString(c.Call + "\n")
			r, err := tableOf(t).route(h)
			if err != nil {
				b.WriteString("  error: " + err.Error() + "\n")
				continue
			}
			if string(r.scope.Token.Reveal()) != "THE-TOKEN" {
				t.Errorf("%s: the token is %q", c.Call, r.scope.Token.Reveal())
			}
			call, err := understand(r, body, here)
			if err != nil {
				b.WriteString("  error: " + err.Error() + "\n")
				continue
			}
			for _, a := range call.touches {
				b.WriteString("  " + a.action + " " + a.arn + "\n")
			}
			for _, a := range call.related {
				b.WriteString("  (" + a.action + " " + a.arn + ")\n")
			}
			keys, _ := json.Marshal(call.keys)
			b.WriteString("  " + string(keys) + "\n")
		}
		golden := strings.TrimSuffix(file, ".jsonl") + ".txt"
		if *update {
			if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("%s differs: run with -update and read the difference\n%s", golden, b.String())
		}
	}
}
