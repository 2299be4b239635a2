package http

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

const canary = `sk_live+4eC39/HqLy&jWD"arjtT1`

// TestEcho: whatever form a backend gives its credential, none of it is left.
func TestEcho(t *testing.T) {
	e := newEcho([]byte(canary))
	for name, said := range map[string]string{
		"raw": canary, "query": url.QueryEscape(canary), "path": url.PathEscape(canary), "hex": hex.EncodeToString([]byte(canary)), "HEX": fmt.Sprintf("%X", canary),
		"json": `{"k":"sk_live+4eC39/HqLy&jWD\"arjtT1"}`, "json with HTML escapes": `{"k":"sk_live+4eC39/HqLy\u0026jWD\"arjtT1"}`, "html": "sk_live+4eC39/HqLy&amp;jWD&#34;arjtT1",
		"base64": base64.StdEncoding.EncodeToString([]byte(canary)), "basic": base64.StdEncoding.EncodeToString([]byte("user:" + canary)),
		"within": base64.URLEncoding.EncodeToString([]byte("some" + canary + "thing")), "after one": base64.StdEncoding.EncodeToString([]byte("x" + canary)),
	} {
		got := e.text("before " + said + " after")
		if !strings.Contains(got, redactedEcho) || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") || strings.Contains(got, "jWD") || len(got) != len("before  after")+len(said) {
			t.Errorf("%s: %q", name, got)
		}
	}
	if s := "an answer of sk_live and nothing else"; e.text(s) != s {
		t.Errorf("%q is changed", s)
	}
	if newEcho([]byte("short")) != nil {
		t.Error("a short secret is looked for")
	}
	h := http.Header{"X-Echo": {"Bearer " + canary}, "X-Other": {"y"}}
	e.header(h)
	if h.Get("X-Echo") != "Bearer "+redactedEcho+strings.Repeat("*", len(canary)-len(redactedEcho)) || h.Get("X-Other") != "y" {
		t.Errorf("%v", h)
	}
}

// TestEchoInPieces: however an answer is cut into pieces, the same is left of it.
func TestEchoInPieces(t *testing.T) {
	e := newEcho([]byte(canary), []byte("sk_live+4eC39"))
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{canary, canary[:12], canary[12:], "s", "sk_", "sk_live+4eC39", "\n", "other words ", base64.StdEncoding.EncodeToString([]byte(canary)), hex.EncodeToString([]byte(canary))[:20]}), 0, 12).Draw(t, "text"), "")
		want := string(e.scrub(nil, []byte(text)))
		sizes := rapid.SliceOfN(rapid.IntRange(1, 40), 1, 6).Draw(t, "pieces")
		got, err := io.ReadAll(e.reader(&inPieces{text: text, sizes: sizes}))
		if err != nil || string(got) != want {
			t.Fatalf("%q is %q in pieces, %q whole (%v)", text, got, want, err)
		}
		if strings.Contains(want, canary) {
			t.Fatalf("%q is left", want)
		}
	})
	one, err := io.ReadAll(e.reader(iotest.OneByteReader(strings.NewReader("a" + canary + "b"))))
	if err != nil || string(one) != "a"+redactedEcho+strings.Repeat("*", len(canary)-len(redactedEcho))+"b" {
		t.Errorf("%q %v", one, err)
	}
	if _, err := io.ReadAll(e.reader(iotest.ErrReader(io.ErrUnexpectedEOF))); err == nil {
		t.Error("an answer that breaks off looks whole")
	}
}

type inPieces struct {
	text  string
	sizes []int
	turn  int
}

func (p *inPieces) Read(b []byte) (int, error) {
	if p.text == "" {
		return 0, io.EOF
	}
	n := copy(b, p.text[:min(len(p.text), p.sizes[p.turn%len(p.sizes)])])
	p.text, p.turn = p.text[n:], p.turn+1
	return n, nil
}

func BenchmarkEcho(b *testing.B) {
	e := newEcho([]byte(canary))
	body := bytes.Repeat([]byte(`{"id":"in_1","customer":"Ada Lovelace","email":"ada@example.com","amount":4200,"lines":[{"n":1}]},`), 330)
	buf := make([]byte, 32<<10)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		r := e.reader(bytes.NewReader(body))
		for {
			if _, err := r.Read(buf); err != nil {
				break
			}
		}
	}
}
