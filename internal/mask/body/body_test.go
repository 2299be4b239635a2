package body_test

import (
	"bytes"
	"errors"
	"math/rand"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
	"gatehouse/internal/mask/body"
)

var (
	redact  = access.Mask{Strategy: access.MaskRedact}
	null    = access.Mask{Strategy: access.MaskNull}
	hash    = access.Mask{Strategy: access.MaskHash}
	partial = access.Mask{Strategy: access.MaskPartial, KeepLast: 4}
	month   = access.Mask{Strategy: access.MaskTruncate, Unit: "month"}
)

// at makes masks by path, all alike.
func at(m access.Mask, paths ...string) (d access.DocumentMasks) {
	for _, p := range paths {
		d.Paths = append(d.Paths, access.PathMask{Path: p, Mask: m})
	}
	return d
}

// detect makes masks by every detector.
func detect(m access.Mask) (d access.DocumentMasks) {
	for _, e := range mask.Entities() {
		d.Detect = append(d.Detect, access.Detection{Entity: e, Mask: m})
	}
	return d
}

func both(paths, detectors access.DocumentMasks) access.DocumentMasks {
	paths.Detect = detectors.Detect
	return paths
}

func rules(t testing.TB, d access.DocumentMasks) *body.Rules {
	t.Helper()
	r, err := body.Compile(d, mask.NewKey([32]byte{1}), "shop")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run masks a document that comes in parts of the sizes that next gives; 0 is the rest.
func run(r *body.Rules, kind body.Kind, o body.Options, in []byte, next func() int) (out []byte, hits int64, err error) {
	m, err := r.New(kind, o)
	if err != nil {
		return nil, 0, err
	}
	for len(in) > 0 {
		n := next()
		if n <= 0 || n > len(in) {
			n = len(in)
		}
		part := bytes.Clone(in[:n])
		if out, err = m.Write(out, part); err != nil {
			return out, m.Hits(), err
		}
		clear(part) // nothing of it may be kept
		in = in[n:]
	}
	out, err = m.Close(out)
	return out, m.Hits(), err
}

func atOnce() int   { return 0 }
func oneByOne() int { return 1 }

// whole masks a document that comes at once, and sees that the same comes out of it byte by byte.
func whole(t testing.TB, r *body.Rules, kind body.Kind, in string) (string, int64, error) {
	t.Helper()
	out, hits, err := run(r, kind, body.Options{}, []byte(in), atOnce)
	slow, slowHits, slowErr := run(r, kind, body.Options{}, []byte(in), oneByOne)
	if (err == nil) != (slowErr == nil) || err == nil && (!bytes.Equal(out, slow) || hits != slowHits) {
		t.Errorf("%.200q: at once %.200q (%d, %v), byte by byte %.200q (%d, %v)", in, out, hits, err, slow, slowHits, slowErr)
	}
	return string(out), hits, err
}

func TestUnknownKindAndPath(t *testing.T) {
	if _, err := rules(t, detect(redact)).New(0, body.Options{}); err == nil {
		t.Error("a document of no kind was taken")
	}
	if _, err := body.Compile(at(redact, "email"), nil, ""); err == nil {
		t.Error("a path without a beginning was taken")
	}
	if _, err := body.Compile(access.DocumentMasks{Detect: []access.Detection{{Entity: "NAME"}}}, nil, ""); err == nil {
		t.Error("an unknown detector was taken")
	}
}

// TestWhole hides documents as a whole, and says what they were by no more than a token.
func TestWhole(t *testing.T) {
	for _, c := range []struct {
		kind body.Kind
		m    access.Mask
		want string
	}{
		{body.JSON, redact, `"[redacted]"`}, {body.JSON, null, "null"}, {body.Text, redact, "[redacted]"}, {body.Text, null, ""},
		{body.NDJSON, redact, "\"[redacted]\"\n"}, {body.Text, partial, "*******here"},
	} {
		r := rules(t, access.DocumentMasks{Whole: &c.m})
		out, hits, err := whole(t, r, c.kind, "secret here")
		if err != nil || out != c.want || hits != 1 {
			t.Errorf("%s: %q, %d, %v; want %q", c.m.Strategy, out, hits, err, c.want)
		}
		if got := body.Replacement(nil, c.kind, c.m); c.m != partial && string(got) != c.want {
			t.Errorf("%s: %q stands for the document; want %q", c.m.Strategy, got, c.want)
		}
		large, _, err := run(r, c.kind, body.Options{Held: 4}, []byte("secret here"), oneByOne)
		if err != nil || bytes.Contains(large, []byte("here")) {
			t.Errorf("%s: of a document that is too large to hold, %q, %v", c.m.Strategy, large, err)
		}
	}
}

func TestAfterTheEnd(t *testing.T) {
	m, err := rules(t, detect(redact)).New(body.Text, body.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = m.Close(nil); err != nil {
		t.Fatal(err)
	}
	if _, err = m.Write(nil, []byte("x")); err == nil {
		t.Error("a document went on after its end")
	}
	m, _ = rules(t, detect(redact)).New(body.JSON, body.Options{})
	if _, err = m.Write(nil, []byte("}")); !errors.Is(err, body.ErrUnreadable) {
		t.Fatal(err)
	}
	if out, err := m.Write(nil, []byte(`{"a":1}`)); !errors.Is(err, body.ErrUnreadable) || len(out) > 0 {
		t.Errorf("after an error came %q, %v", out, err)
	}
	if out, err := m.Close(nil); !errors.Is(err, body.ErrUnreadable) || len(out) > 0 {
		t.Errorf("after an error, the end gave %q, %v", out, err)
	}
}

// pieces are what documents are drawn from: what readers care about, what detectors care about, and rubbish.
func drawDocument(t *rapid.T, from []string) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(from), 0, 40).Draw(t, "pieces"), "")
}

var jsonPieces = []string{"{", "}", "[", "]", ":", ",", `"email"`, `"a"`, `"\u0065mail"`, `"ada@example.com"`, `"`, `\`, "\\n", `\ud83d\ude00`, `\ud83d`, "é", "\xff",
	" ", "\n", "1", "4111111111111111", "-", ".5", "e9", "true", "null", "nul", `"4111 1111 `, `1111 1111"`, "{\"email\":", "\x00", "\ufeff", "//",
	"data: ", "\r", "\n\n", "email,a\n", `"x,""y"`, ",", "&", "=", "email=", "%40", "ada@example.com", "<a b='", "'>", "<!--", "-->", "<![CDATA[", "]]>", "&#64;"}

// TestSplitAnywhere: what comes out does not depend on how the input is split, whatever the input is.
func TestSplitAnywhere(t *testing.T) {
	masks := []access.DocumentMasks{
		both(at(redact, "**.email"), detect(redact)), both(at(hash, "**.email", "$[1]"), detect(partial)), at(partial, "$.a.**", "**.email"), detect(redact),
	}
	var compiled []*body.Rules
	for _, d := range masks {
		compiled = append(compiled, rules(t, d))
	}
	rapid.Check(t, func(t *rapid.T) {
		kind := body.Kind(rapid.IntRange(int(body.JSON), int(body.XML)).Draw(t, "kind"))
		r := rapid.SampledFrom(compiled).Draw(t, "rules")
		if kind == body.Text || kind == body.XML {
			r = compiled[3]
		}
		o := body.Options{Held: rapid.SampledFrom([]int{0, 8}).Draw(t, "held")}
		in := []byte(drawDocument(t, jsonPieces))
		seed := rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed")))
		one, hits, err := run(r, kind, o, in, atOnce)
		two, hitsToo, errToo := run(r, kind, o, in, func() int { return 1 + seed.Intn(7) })
		if (err == nil) != (errToo == nil) || err == nil && (hits != hitsToo || !bytes.Equal(one, two)) {
			t.Fatalf("%q: at once %q (%d, %v), in parts %q (%d, %v)", in, one, hits, err, two, hitsToo, errToo)
		}
	})
}
