package exchange

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"gatehouse/internal/fault"
)

const canary = `sk_live+4eC39/HqLy&jWD"arjtT1`

// TestEcho: whatever form a backend gives its credential, none of it is left.
func TestEcho(t *testing.T) {
	e := NewEcho([]byte(canary))
	for name, said := range map[string]string{
		"raw": canary, "query": url.QueryEscape(canary), "path": url.PathEscape(canary), "hex": hex.EncodeToString([]byte(canary)), "HEX": fmt.Sprintf("%X", canary),
		"json": `{"k":"sk_live+4eC39/HqLy&jWD\"arjtT1"}`, "json with HTML escapes": `{"k":"sk_live+4eC39/HqLy\u0026jWD\"arjtT1"}`, "html": "sk_live+4eC39/HqLy&amp;jWD&#34;arjtT1",
		"base64": base64.StdEncoding.EncodeToString([]byte(canary)), "basic": base64.StdEncoding.EncodeToString([]byte("user:" + canary)),
		"lower case": strings.ToLower(url.QueryEscape(canary)), "all escaped": percent(canary), "encodeURI": "sk_live+4eC39/HqLy&jWD%22arjtT1",
		"slashes escaped": `sk_live+4eC39\/HqLy&jWD\"arjtT1`, "as .NET has it": `sk_live\u002B4eC39/HqLy\u0026jWD\u0022arjtT1`, "quot": "sk_live+4eC39/HqLy&amp;jWD&quot;arjtT1",
		"as mustache has it": "sk_live+4eC39&#x2F;HqLy&amp;jWD&quot;arjtT1", "as templates have it": "sk_live&#43;4eC39/HqLy&amp;jWD&#34;arjtT1", "in capitals": strings.ToUpper(canary),
		"within": base64.URLEncoding.EncodeToString([]byte("some" + canary + "thing")), "after one": base64.StdEncoding.EncodeToString([]byte("x" + canary)),
	} {
		got := e.Text("before " + said + " after")
		if !strings.Contains(got, redactedEcho) || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") || strings.Contains(got, "jWD") || len(got) != len("before  after")+len(said) {
			t.Errorf("%s: %q", name, got)
		}
	}
	leak := fault.Wrap(fault.Backend, "x", errors.New("malformed line "+strings.ReplaceAll(canary, `"`, `\"`)), "said")
	if clean := e.Error(leak); strings.Contains(clean.Error(), "jWD") || fault.KindOf(clean) != fault.Backend || !strings.Contains(clean.Error(), "said: ") {
		t.Error(clean)
	}
	if said, _ := fault.Say(e.Error(fault.New(fault.Backend, "x", "%s", "not a number: "+canary))); said != "not a number: "+e.Text(canary) || strings.Contains(said, "jWD") {
		t.Error(said)
	}
	if clean := e.Error(io.EOF); !errors.Is(clean, io.EOF) {
		t.Error(clean)
	}
	if s := "an answer of sk_live and nothing else"; e.Text(s) != s {
		t.Errorf("%q is changed", s)
	}
	if NewEcho([]byte("short")) != nil {
		t.Error("a short secret is looked for")
	}
	h := http.Header{"X-Echo": {"Bearer " + canary}, "X-Other": {"y"}}
	e.Header(h)
	if h.Get("X-Echo") != "Bearer "+redactedEcho+strings.Repeat("*", len(canary)-len(redactedEcho)) || h.Get("X-Other") != "y" {
		t.Errorf("%v", h)
	}
}

// TestEchoInNames: a name of a header is found in whichever letters it arrives.
func TestEchoInNames(t *testing.T) {
	const secret = "sk-liveKey-4eC39HqLyj" // what the name of a header can hold
	e := NewEcho([]byte(secret))
	for _, said := range []string{secret, hex.EncodeToString([]byte(secret)), base64.RawStdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte("x" + secret))} {
		for _, name := range []string{said, "x-" + said, "X-" + said + "-More"} {
			for _, written := range []string{name, http.CanonicalHeaderKey(name), strings.ToLower(name), strings.ToUpper(name)} {
				h := http.Header{written: {"y"}, "X-Other": {"y"}, "Sk-Livekey": {"y"}}
				if e.Header(h); len(h) != 2 || h.Get("X-Other") != "y" {
					t.Errorf("%v", h)
				}
			}
		}
	}
}

// TestEchoFinds: what is found in strides is what is found at each byte: the first form, and the longest there.
func TestEchoFinds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		secret := make([]byte, MinEcho+random.IntN(40))
		for i := range secret {
			secret[i] = "ab/\"\xe4"[random.IntN(5)]
		}
		e := NewEcho(secret)
		var b []byte
		for len(b) < 300 {
			form := e.forms[random.IntN(len(e.forms))]
			b = append(b, form[random.IntN(2):len(form)-random.IntN(2)]...)
			b = append(b, form[:random.IntN(len(form))]...)
		}
		b = b[random.IntN(40):]
		at, length := find(e, b)
		wantAt, want := -1, 0
		for i := 0; i < len(b) && wantAt < 0; i++ {
			for _, f := range e.forms {
				if bytes.HasPrefix(b[i:], f) && len(f) > want {
					wantAt, want = i, len(f)
				}
			}
		}
		if at != wantAt || length != want {
			t.Fatalf("of %q in %q: at %d %d bytes, want at %d %d bytes", secret, b, at, length, wantAt, want)
		}
	}
}

// TestEchoInPieces: however an answer is cut into pieces, the same is left of it.
func TestEchoInPieces(t *testing.T) {
	e := NewEcho([]byte(canary), []byte("sk_live+4eC39"))
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{canary, canary[:12], canary[12:], "s", "sk_", "sk_live+4eC39", "\n", "other words ", base64.StdEncoding.EncodeToString([]byte(canary)), hex.EncodeToString([]byte(canary))[:20]}), 0, 12).Draw(t, "text"), "")
		want := string(e.Scrub(nil, []byte(text)))
		sizes := rapid.SliceOfN(rapid.IntRange(1, 40), 1, 6).Draw(t, "pieces")
		got, err := io.ReadAll(reader(e, &inPieces{text: text, sizes: sizes}))
		if err != nil || string(got) != want {
			t.Fatalf("%q is %q in pieces, %q whole (%v)", text, got, want, err)
		}
		if strings.Contains(want, canary) {
			t.Fatalf("%q is left", want)
		}
	})
	one, err := io.ReadAll(reader(e, iotest.OneByteReader(strings.NewReader("a"+canary+"b"))))
	if err != nil || string(one) != "a"+redactedEcho+strings.Repeat("*", len(canary)-len(redactedEcho))+"b" {
		t.Errorf("%q %v", one, err)
	}
	if _, err := io.ReadAll(reader(e, iotest.ErrReader(io.ErrUnexpectedEOF))); err == nil {
		t.Error("an answer that breaks off looks whole")
	}
}

func reader(e *Echo, r io.Reader) io.Reader { return &echoReader{e: e, r: r} }

func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02x", s[i])
	}
	return b.String()
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
	e := NewEcho([]byte(canary))
	body := bytes.Repeat([]byte(`{"id":"in_1","customer":"Ada Lovelace","email":"ada@example.com","amount":4200,"lines":[{"n":1}]},`), 330)
	buf := make([]byte, 32<<10)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		r := reader(e, bytes.NewReader(body))
		for {
			if _, err := r.Read(buf); err != nil {
				break
			}
		}
	}
}

// TestEchoesAreKept: what finds a credential is made once, and the last ones are kept.
func TestEchoesAreKept(t *testing.T) {
	var k Echoes
	first := k.Of([]byte(canary))
	for i := range 3 * maxEchoes {
		if e := k.Of([]byte(canary)); e != first {
			t.Fatal("made again")
		}
		if e := k.Of(fmt.Appendf(nil, "another-%d", i)); e == first || e == nil {
			t.Fatal("one is another's")
		}
	}
	if len(k.list) != maxEchoes || k.Of([]byte("short")) != nil {
		t.Errorf("%d are kept", len(k.list))
	}
}

// TestScrubbedAllocatesNothing: an answer without the credential costs no memory of its own.
func TestScrubbedAllocatesNothing(t *testing.T) {
	e, buffers, in := NewEcho([]byte(canary)), new(Buffers), bytes.Repeat([]byte("words "), 1000)
	var body bytes.Reader
	out, closer := make([]byte, 4096), io.NopCloser(&body)
	s := new(Scrubbed)
	if n := testing.AllocsPerRun(100, func() {
		body.Reset(in)
		r := s.Of(e, closer, buffers)
		for {
			if _, err := r.Read(out); err != nil {
				break
			}
		}
		_ = r.Close()
	}); n > 0.5 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNewEcho(b *testing.B) {
	for b.Loop() {
		NewEcho([]byte(canary))
	}
}
