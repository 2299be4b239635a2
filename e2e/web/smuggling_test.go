package web

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// raw is a request as bytes: T stands for the header with the token.
func raw(t *testing.T, tok, text string) []int {
	t.Helper()
	conn := dialled(t)
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	text = strings.ReplaceAll(text, "T\r\n", "Authorization: Bearer "+tok+"\r\n")
	go func() { _, _ = io.WriteString(conn, text) }() // the gateway may hang up inside of it
	var statuses []int
	for in := bufio.NewReader(conn); ; {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return statuses
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		statuses = append(statuses, resp.StatusCode)
		if resp.Close {
			return statuses
		}
	}
}

// TestSmuggling: of bytes that two readers would cut into requests in two ways, or read as two targets, the backend sees nothing that
// was not judged: each is refused, and what hides behind it is not read.
func TestSmuggling(t *testing.T) {
	got := backend(t, func(http.ResponseWriter, *http.Request) {})
	tok := token(t, "fn:reader")
	const post = "POST /c/billing/v1/a HTTP/1.1\r\nHost: gw\r\nT\r\n"
	const get = "GET /c/billing/v1/a HTTP/1.1\r\nHost: gw\r\nT\r\n"
	const hidden = "GET /c/billing/v1/smuggled HTTP/1.1\r\nHost: gw\r\nT\r\n\r\n"
	for name, text := range map[string]string{
		"two lengths":               post + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde" + hidden,
		"a list of lengths":         post + "Content-Length: 4, 5\r\n\r\nabcd" + hidden,
		"a length with a sign":      post + "Content-Length: +4\r\n\r\nabcd" + hidden,
		"a length below zero":       post + "Content-Length: -1\r\n\r\n" + hidden,
		"a length in hex":           post + "Content-Length: 0x4\r\n\r\nabcd" + hidden,
		"a length too long":         post + "Content-Length: 99999999999999999999\r\n\r\n" + hidden,
		"two encodings":             post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + hidden,
		"a list of encodings":       post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + hidden,
		"an unknown encoding":       post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden,
		"an encoding with a tab":    post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + hidden,
		"an encoding with a quote":  post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" + hidden,
		"space before a colon":      post + "Content-Length : 4\r\n\r\nabcd" + hidden,
		"space before a name":       post + " Content-Length: 4\r\n\r\nabcd" + hidden,
		"no colon":                  get + "Nothing\r\n\r\n",
		"an empty name":             get + ": 1\r\n\r\n",
		"CR in a value":             get + "X-A: 1\rX-B: 2\r\n\r\n",
		"NUL in a value":            get + "X-A: 1\x002\r\n\r\n",
		"NUL in a name":             get + "X\x00A: 12\r\n\r\n",
		"two hosts":                 get + "Host: other\r\n\r\n",
		"no host":                   "GET /c/billing/v1/a HTTP/1.1\r\nT\r\n\r\n",
		"a host with a path":        strings.Replace(get, "Host: gw", "Host: gw/x", 1) + "\r\n",
		"an absolute target":        strings.Replace(get, "/c/", "https://gw/c/", 1) + "\r\n",
		"another host's target":     strings.Replace(get, "/c/", "http://backend.internal/c/", 1) + "\r\n",
		"a target of authority":     strings.Replace(get, "GET /c/billing/v1/a", "CONNECT gw:443", 1) + "\r\n",
		"a target of nothing":       strings.Replace(get, "GET /c/billing/v1/a", "OPTIONS *", 1) + "\r\n",
		"a target with a fragment":  strings.Replace(get, "v1/a", "v1/a#b", 1) + "\r\n",
		"a target with a space":     strings.Replace(get, "v1/a", "v1/a b", 1) + "\r\n",
		"a target of other bytes":   strings.Replace(get, "v1/a", "v1/\xc3\xa4", 1) + "\r\n",
		"a version too many":        strings.Replace(get, "HTTP/1.1", "HTTP/1.1 HTTP/1.1", 1) + "\r\n",
		"an old version":            "GET /c/billing/v1/a\r\n\r\n",
		"another version":           strings.Replace(get, "HTTP/1.1", "HTTP/3.0", 1) + "\r\n",
		"a method in lower case":    strings.Replace(get, "GET", "get", 1) + "\r\n",
		"a method with a tab":       strings.Replace(get, "GET", "GE\tT", 1) + "\r\n",
		"TRACE":                     strings.Replace(get, "GET", "TRACE", 1) + "\r\n",
		"a chunk of no size":        post + "Transfer-Encoding: chunked\r\n\r\n\r\n" + hidden,
		"a chunk too large":         post + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n" + hidden,
		"a chunk below zero":        post + "Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n" + hidden,
		"a chunk in 0x":             post + "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n" + hidden,
		"a chunk longer than it is": post + "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n" + hidden,
		"a chunk's long extension":  post + "Transfer-Encoding: chunked\r\n\r\n1;a=" + strings.Repeat("b", 1<<20) + "\r\na\r\n0\r\n\r\n" + hidden,
		"a chunk's end without CR":  post + "Transfer-Encoding: chunked\r\n\r\n1\na\n0\n\n" + hidden,
		"ten thousand headers":      get + headers(10000, "X-H%d: 1\r\n") + "\r\n",
		"one header ten thousand":   get + strings.Repeat("X-H: 1\r\n", 10000) + "\r\n",
		"three hundred headers":     get + headers(300, "X-H%d: 1\r\n") + "\r\n",
		"a header too long":         get + "X-H: " + strings.Repeat("a", 1<<20) + "\r\n\r\n",
		"ten thousand trailers":     post + "Transfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n0\r\n" + headers(100000, "X-T%d: 1\r\n") + "\r\n" + hidden,
		"a header called for":       get + "X-Role: admin\r\nConnection: X-Role\r\n\r\n",
		"the length called for":     post + "Content-Length: 1\r\nConnection: Content-Length\r\n\r\na" + hidden,
		"a second token":            get + "T\r\n\r\n",
		"an expectation":            post + "Content-Length: 1\r\nExpect: 200-ok\r\n\r\na" + hidden,
		"a type twice":              post + "Content-Length: 2\r\nContent-Type: text/plain\r\nContent-Type: application/json\r\n\r\n{}" + hidden,
	} {
		t.Run(name, func(t *testing.T) {
			if statuses := raw(t, tok, text); slices.ContainsFunc(statuses, func(s int) bool { return s < 400 }) {
				t.Errorf("answered %v", statuses)
			}
		})
	}
	// Of two lengths net/http believes the one that HTTP says to: nothing may come behind it, since another reader may have believed the other.
	const both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden
	for _, first := range []string{post, strings.Replace(post, "HTTP/1.1\r\n", "HTTP/1.0\r\nConnection: keep-alive\r\n", 1)} {
		if statuses := raw(t, tok, first+both); len(statuses) != 1 {
			t.Errorf("both lengths: answered %v", statuses)
		}
	}
	raw(t, tok, get+"X-Folded: 1\r\n X-Http-Method-Override: DELETE\r\nConnection: close\r\n\r\n")
	folded := false
	for _, r := range got() {
		if strings.Contains(r.RequestURI, "smuggled") {
			t.Error("the backend saw what was hidden behind a request")
		}
		folded = folded || r.Header.Get("X-Folded") == "1 X-Http-Method-Override: DELETE"
		if r.Header.Get("X-Http-Method-Override") != "" {
			t.Error("the backend saw what was in a folded line as a header of its own")
		}
	}
	if !folded {
		t.Error("the backend did not see the folded line as one")
	}
}

// TestRestOfABody: a backend that answers before it has read a body leaves nothing of it to be read as the next request.
func TestRestOfABody(t *testing.T) {
	path := far(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusAccepted)
		_ = http.NewResponseController(w).Flush()
	})
	reached := make(chan struct{}, 1)
	other := far(t, func(http.ResponseWriter, *http.Request) { reached <- struct{}{} })
	hidden := "GET /c/plain" + other + " HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer " + streaming.token + "\r\n\r\n"
	conn := dialled(t)
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	in := bufio.NewReader(conn)
	_, err := fmt.Fprintf(conn, "POST /c/plain%s HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\na", path, streaming.token, 1+len(hidden))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatal(resp, err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_, _ = io.WriteString(conn, hidden)
	if resp, err = http.ReadResponse(in, nil); err == nil {
		t.Errorf("the rest of the body was answered as a request: %d", resp.StatusCode)
	}
	if len(reached) > 0 {
		t.Error("the backend saw the rest of the body as a request")
	}
}

func headers(n int, form string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, form, i)
	}
	return b.String()
}
