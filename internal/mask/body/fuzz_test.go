package body_test

import (
	"bytes"
	"encoding/json"
	"math/rand"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
	"gatehouse/internal/mask/body"
)

// decode reads a document as encoding/json does.
func decode(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// hide is what masking must come to, said in another way: by walking a tree with each path, name by name.
func hide(v any, paths [][]access.Step) any {
	var below [][]access.Step
	for _, p := range paths {
		for ; len(p) > 0 && p[0].Kind == access.StepAny; p = p[1:] {
			below = append(below, p)
		}
		if len(p) == 0 {
			return "[redacted]"
		}
		below = append(below, p)
	}
	into := func(fits func(access.Step) bool) (next [][]access.Step) {
		for _, p := range below {
			switch {
			case p[0].Kind == access.StepAny:
				next = append(next, p)
			case p[0].Kind == access.StepEach || fits(p[0]):
				next = append(next, p[1:])
			}
		}
		return next
	}
	switch v := v.(type) {
	case map[string]any:
		for name, child := range v {
			v[name] = hide(child, into(func(s access.Step) bool { return s.Kind == access.StepName && strings.EqualFold(s.Name, name) }))
		}
	case []any:
		for i, child := range v {
			v[i] = hide(child, into(func(s access.Step) bool { return s.Kind == access.StepIndex && s.Index == i }))
		}
	}
	return v
}

// FuzzJSON: what is accepted is JSON, and what another reader finds in it afterwards is what it found before, with the values
// at the paths, and no other, hidden; however the input was split.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"email":"canary","a":[1,{"b":2}],"x":{"Email":[{"email":1}]}}`, `[[0,1],{"a":[1,2,{"c":{"d":1}}]}]`, `"\u0065\ud83d\ude00"`,
		`{"a":{"a":{"a":[1,2]}},"a":5}`, `-0.5e+10`, `{"\u0065mail":null}`, "{\"a\":[\"\\ud800\",\"\xff\"]}", `[1,2,{"email":{"email":[]}}] `, "{\"ſſn\":1}"} {
		f.Add([]byte(s), uint8(0))
	}
	sets := [][]string{{"**.email", "$.a[1]"}, {"$.a.**.c", "$[1]", "**.a.b"}, {"$.*.*", "$.x[0].email"}, {"**[1].**.d", "$.ssn"}}
	var compiled []*body.Rules
	steps := make([][][]access.Step, len(sets))
	for i, set := range sets {
		compiled = append(compiled, rules(f, at(redact, set...)))
		for _, text := range set {
			p, err := access.ParsePath(text)
			if err != nil {
				f.Fatal(err)
			}
			steps[i] = append(steps[i], p.Steps)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, which uint8) {
		i := int(which) % len(sets)
		out, _, err := run(compiled[i], body.JSON, body.Options{}, in, atOnce)
		seed := rand.New(rand.NewSource(int64(which)))
		parts, _, errParts := run(compiled[i], body.JSON, body.Options{}, in, func() int { return 1 + seed.Intn(5) })
		if (err == nil) != (errParts == nil) || err == nil && !bytes.Equal(out, parts) {
			t.Fatalf("at once %q (%v), in parts %q (%v)", out, err, parts, errParts)
		}
		if err != nil || len(bytes.TrimSpace(in)) == 0 {
			return
		}
		if !json.Valid(in) || !utf8.Valid(in) {
			t.Fatalf("%q was accepted", in)
		}
		before, err := decode(in)
		if err != nil {
			t.Fatal(err)
		}
		after, err := decode(out)
		if err != nil {
			t.Fatalf("%q became %q: %v", in, out, err)
		}
		if d := cmp.Diff(hide(before, steps[i]), after); d != "" {
			t.Fatalf("%q became %q: %s", in, out, d)
		}
	})
}

// FuzzText: a text is masked line by line, however it is split.
func FuzzText(f *testing.F) {
	for _, s := range []string{"ada@example.com\n4111 1111 1111 1111\n", "\n\n", "4111\n1111", "ssn\n123456789 ssn 123456789\r\n", "\xff\u200b\n192.168.0.1", strings.Repeat("a@b.co\n", 300)} {
		f.Add([]byte(s), int64(1))
	}
	r := rules(f, detect(redact))
	s, err := mask.NewScanner(detect(redact).Detect, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte, n int64) {
		if bytes.IndexByte(in, 0) >= 0 || bytes.Contains(in, []byte(`\u00`)) || len(in) > 32<<10 {
			return
		}
		seed := rand.New(rand.NewSource(n))
		out, _, err := run(r, body.Text, body.Options{}, in, func() int { return seed.Intn(99) })
		if err != nil {
			t.Fatal(err)
		}
		var want []byte
		for i, line := range bytes.Split(in, []byte("\n")) {
			if i > 0 {
				want = append(want, '\n')
			}
			masked, _ := s.Mask(nil, line)
			want = append(want, masked...)
		}
		if !bytes.Equal(out, want) {
			t.Fatalf("%q became %q, want %q", in, out, want)
		}
	})
}

// FuzzKinds: whatever the kind, nothing is too much, and nothing depends on how the input was split.
func FuzzKinds(f *testing.F) {
	for kind, s := range []string{"", `{"email":"a@b.co"}`, "{}\n1\n", "data: {\"email\":1}\n\nid: 192.168.0.1\r\n\r\n", "a@b.co\n", "a,\"email\"\n1,\"x\"\"y\"\r\n", "email=1&a[b]=%40", "<a b='c&#64;d.co'>x &amp; <!-- y --></a>"} {
		f.Add([]byte(s), uint8(kind))
	}
	paths, detectors := rules(f, both(at(partial, "**.email", "$[1]"), detect(redact))), rules(f, detect(partial))
	f.Fuzz(func(t *testing.T, in []byte, which uint8) {
		kind, r := body.Kind(which%8), paths
		if which >= 128 || kind == body.Text || kind == body.XML {
			r = detectors
		}
		seed := rand.New(rand.NewSource(int64(which) + int64(len(in))))
		o := body.Options{Held: 64 + int(which)}
		one, hits, err := run(r, kind, o, in, atOnce)
		two, hitsToo, errToo := run(r, kind, o, in, func() int { return 1 + seed.Intn(9) })
		if (err == nil) != (errToo == nil) || err == nil && (hits != hitsToo || !bytes.Equal(one, two)) {
			t.Fatalf("%q: at once %q (%d, %v), in parts %q (%d, %v)", in, one, hits, err, two, hitsToo, errToo)
		}
		if err == nil && hits == 0 && !bytes.Equal(one, in) {
			t.Fatalf("nothing was hidden, yet %q became %q", in, one)
		}
	})
}
