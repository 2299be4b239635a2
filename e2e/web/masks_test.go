package web

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// The values that are masked: no client may ever see one.
const (
	canaryEmail = "canary@secret.example"
	canarySSN   = "078-05-1120"
	canaryCard  = "4111 1111 1111 1111"
)

const customers = `{"customers":[{"id":1,"email":"` + canaryEmail + `","deep":{"SSN":"` + canarySSN + `"},"note":"paid with ` + canaryCard + ` by phone"}],"total":1}`

// hides fails where an answer shows what is masked.
func hides(t *testing.T, a answer) {
	t.Helper()
	var all bytes.Buffer
	_ = a.Header.Write(&all)
	_ = a.Trailer.Write(&all)
	all.WriteString(a.body)
	for _, canary := range []string{canaryEmail, canarySSN, canaryCard, strings.ReplaceAll(canaryCard, " ", "")} {
		if strings.Contains(all.String(), canary) {
			t.Errorf("the client saw %s:\n%s", canary, all.String())
		}
	}
}

// TestMasksOfAnswers: whatever the form in which a backend sends a document, what is masked is hidden and the rest is there.
func TestMasksOfAnswers(t *testing.T) {
	encode := func(name string, text []byte) []byte {
		var b bytes.Buffer
		var w io.WriteCloser
		switch name {
		case "gzip":
			w = gzip.NewWriter(&b)
		case "br":
			w = brotli.NewWriter(&b)
		case "zstd":
			w, _ = zstd.NewWriter(&b)
		}
		_, _ = w.Write(text)
		_ = w.Close()
		return b.Bytes()
	}
	for name, answers := range map[string]http.HandlerFunc{
		"at once": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, customers) },
		"byte by byte": func(w http.ResponseWriter, _ *http.Request) {
			for i := range len(customers) {
				_, _ = io.WriteString(w, customers[i:i+1])
				w.(http.Flusher).Flush()
			}
		},
		"an error": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, customers)
		},
		"gzip": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(encode("gzip", []byte(customers)))
		},
		"br": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			_, _ = w.Write(encode("br", []byte(customers)))
		},
		"zstd": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "zstd")
			_, _ = w.Write(encode("zstd", []byte(customers)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := backend(t, func(w http.ResponseWriter, r *http.Request) {
				h := w.Header()
				h.Set("Content-Type", "application/json; charset=utf-8")
				h.Set("ETag", `"e5b1"`)
				h.Set("Digest", "sha-256=abc")
				h.Set("X-Customer", canaryEmail)
				h.Set("X-Note", "card "+canaryCard)
				answers(w, r)
			})
			a := call(t, client(t), token(t, "fn:masked"), http.MethodGet, "/v1/customers", "", "Accept-Encoding", "gzip, br", "If-None-Match", `"e5b1"`, "Range", "bytes=0-9")
			hides(t, a)
			if !strings.Contains(a.body, `"id":1`) || !strings.Contains(a.body, `"total":1}`) || !strings.Contains(a.body, "paid with [redacted] by phone") {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
			for _, name := range []string{"ETag", "Digest", "Content-Encoding"} {
				if v := a.Header.Get(name); v != "" {
					t.Errorf("%s: %s is not true any more", name, v)
				}
			}
			for _, name := range []string{"If-None-Match", "Range"} {
				if v := got()[0].Header.Get(name); v != "" {
					t.Errorf("the backend was asked with %s: %s", name, v)
				}
			}
		})
	}
}

// TestMasksRefuse: what cannot be read cannot be masked, and is not shown.
func TestMasksRefuse(t *testing.T) {
	for name, c := range map[string]struct {
		contentType, encoding, body string
		status                      int
	}{
		"an unknown type":        {"application/x-thing", "", customers, http.StatusOK},
		"no type":                {"", "", customers, http.StatusOK},
		"another character set":  {"application/json; charset=utf-16", "", customers, http.StatusOK},
		"an unknown encoding":    {"application/json", "compress", customers, http.StatusOK},
		"a wrong encoding":       {"application/json", "gzip", customers, http.StatusOK},
		"text where fields are":  {"text/plain", "", customers, http.StatusOK},
		"no JSON":                {"application/json", "", `<a>` + customers, http.StatusOK},
		"two documents":          {"application/json", "", customers + customers, http.StatusOK},
		"JSON that is cut":       {"application/json", "", customers[:len(customers)-3], http.StatusOK},
		"a part":                 {"application/json", "", customers, http.StatusPartialContent},
		"parts":                  {"multipart/byteranges; boundary=x", "", "--x\r\n\r\n" + customers + "\r\n--x--", http.StatusPartialContent},
		"a name with a NUL":      {"application/json", "", "{\"a\x00\":1," + customers[1:], http.StatusOK},
		"an image":               {"image/png", "", customers, http.StatusOK},
		"a comment":              {"application/json", "", "/* */" + customers, http.StatusOK},
		"an encoding within one": {"application/json", "gzip, gzip, gzip", customers, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			backend(t, func(w http.ResponseWriter, _ *http.Request) {
				h := w.Header()
				h["Content-Type"] = nil
				if c.contentType != "" {
					h.Set("Content-Type", c.contentType)
				}
				if c.encoding != "" {
					h.Set("Content-Encoding", c.encoding)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			a, err := try(t, client(t), token(t, "fn:masked"), http.MethodGet, "/v1/customers", "")
			if err == nil && a.StatusCode < http.StatusBadRequest {
				t.Errorf("it looks whole: %d %s", a.StatusCode, a.body)
			}
			if a.Response != nil {
				hides(t, a)
			}
		})
	}
}

// TestMasksOfHeads: an answer without a body tells nothing of one.
func TestMasksOfHeads(t *testing.T) {
	backend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", fmt.Sprint(len(customers)))
		w.Header().Set("ETag", `"e5b1"`)
	})
	a := call(t, client(t), token(t, "fn:masked"), http.MethodHead, "/v1/customers", "")
	if a.StatusCode != http.StatusOK || a.Header.Get("Content-Length") != "" || a.Header.Get("ETag") != "" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
}

// TestMasksAtSlashes: what is hidden below a path is hidden at the path with a slash, as what is denied is denied.
func TestMasksAtSlashes(t *testing.T) {
	backend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, customers)
	})
	for _, path := range []string{"/v1/people/", "/v1/people/7", "/v1/customers/"} {
		a := call(t, client(t), token(t, "fn:masked"), http.MethodGet, path, "")
		if hides(t, a); !strings.Contains(a.body, `"id":1`) {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
}

// TestMasksKeepConditions: a change that depends on a condition is made under it, or not at all.
func TestMasksKeepConditions(t *testing.T) {
	got := backend(t, func(http.ResponseWriter, *http.Request) {})
	c, tok := client(t), token(t, "fn:masked")
	if a := call(t, c, tok, http.MethodPost, "/v1/customers", "{}", "If-None-Match", "*"); a.StatusCode != http.StatusOK || len(got()) != 1 || got()[0].Header.Get("If-None-Match") != "*" {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if a := call(t, c, tok, http.MethodPost, "/v1/customers", "{}", name, `"e5b1"`); a.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	if n := len(got()); n != 1 {
		t.Errorf("the backend saw %d requests", n)
	}
}

// TestMasksElsewhere: what no mask is about passes byte for byte, for the same caller.
func TestMasksElsewhere(t *testing.T) {
	got := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"e5b1"`)
		_, _ = io.WriteString(w, customers)
	})
	a := call(t, client(t), token(t, "fn:masked"), http.MethodGet, "/v1/invoices", "", "If-None-Match", `"x"`)
	if a.body != customers || a.Header.Get("ETag") == "" || got()[0].Header.Get("If-None-Match") == "" {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
}

// TestMasksOfRequests: what a backend may not be told it is not told, streamed or whole.
func TestMasksOfRequests(t *testing.T) {
	got := backend(t, func(http.ResponseWriter, *http.Request) {})
	long := `{"prompt":"write to ` + canaryEmail + ` now","filler":"` + strings.Repeat("lorem ipsum ", 200_000) + `"}`
	a := call(t, client(t), token(t, "fn:masked"), http.MethodPost, "/v1/prompts", long, "Content-Type", "application/json")
	if a.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	body := string(got()[0].body)
	if strings.Contains(body, canaryEmail) || !strings.Contains(body, "write to ") || len(body) < 2_000_000 {
		t.Errorf("the backend was told %.200s (%d bytes)", body, len(body))
	}
	if a, err := try(t, client(t), token(t, "fn:masked"), http.MethodPost, "/v1/prompts", "write to "+canaryEmail, "Content-Type", "application/octet-stream"); err != nil || a.StatusCode != http.StatusForbidden {
		t.Errorf("what cannot be read: %v %d", err, a.StatusCode)
	}
}
