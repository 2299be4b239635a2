package body_test

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/internal/mask/body"
)

// TestDocumentAgain: whatever was read before, good or not, a document becomes what it becomes as it streams.
func TestDocumentAgain(t *testing.T) {
	kinds := []body.Kind{body.JSON, body.JSON, body.JSON, body.NDJSON, body.Text, body.CSV, body.Form, body.XML, body.SSE}
	docs := []string{"", "1", `{"a":[{"email":"x@y.example","n":4111111111111111}]}`, `{"email":"x`, `{"email":["`, "[1,2", `{"ssn":219099999}`, "219099999", `"4111111111111111"`,
		"4111111111111111 and more\nand more", "n,email\n1,x\n", "\xff", `{"email":{"a":1},"b":"\u0034111111111111111"}`, "<a>4111111111111111</a>", string(list(1 << 10)), string(list(300 << 10))}
	for name, r := range map[string]*body.Rules{"paths": rules(t, at(redact, "**.email")), "a token": rules(t, at(hash, "**.email")), "detectors": rules(t, detect(redact)),
		"both": rules(t, both(at(hash, "**.email"), detect(redact)))} {
		rapid.Check(t, func(rt *rapid.T) {
			kind, doc := rapid.SampledFrom(kinds).Draw(rt, "kind"), rapid.SampledFrom(docs).Draw(rt, "document")
			out, hits, err := r.Document([]byte("before"), []byte(doc), kind)
			want, m := []byte("before"), (*body.Masker)(nil)
			m, wrong := r.New(kind, body.Options{Held: len(doc) + 1})
			if wrong == nil {
				if want, wrong = m.Write(want, []byte(doc)); wrong == nil {
					want, wrong = m.Close(want)
				}
			}
			switch {
			case wrong != nil:
				if !errors.Is(err, body.ErrUnreadable) || hits != 0 || string(out) != "before" {
					rt.Fatalf("%s: %.40q: %.40q %d %v, not %v", name, doc, out, hits, err, wrong)
				}
			case err != nil || !bytes.Equal(out, want) || hits != m.Hits():
				rt.Fatalf("%s: %.40q became %.80q (%d, %v), not %.80q (%d)", name, doc, out, hits, err, want, m.Hits())
			}
		})
	}
}
