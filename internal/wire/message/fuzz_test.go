package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// FuzzBody: whatever a message says that it is, what lies at a path is hidden to who reads it as JSON, or nothing of it leaves.
func FuzzBody(f *testing.F) {
	for _, c := range [][3]string{{"application/json", "", `{"ssn":"x"}`}, {"", "", `{"a":{"ssn":[1]}}`}, {"text/plain", "", `{"ssn":1}`}, {"application/x-ndjson", "", "{\"ssn\":1}\n"},
		{"application/json", "gzip", encode(f, "gzip", `{"ssn":"x"}`)}, {"", "deflate,br", encode(f, "deflate,br", `{"ssn":"x"}`)}, {"image/png", "utf-8", "\x89PNG\r\n\x1a\n"}} {
		f.Add(c[0], c[1], []byte(c[2]))
	}
	h := hide(f, paths)
	f.Fuzz(func(t *testing.T, mime, encoding string, in []byte) {
		out, hits, err := h.Body(nil, mime, encoding, in)
		if err != nil {
			if !errors.Is(err, ErrUnreadable) || len(out) > 0 {
				t.Fatalf("%q, %v", out, err)
			}
			return
		}
		if hits == 0 && !bytes.Equal(in, out) {
			t.Fatalf("%q became %q", in, out)
		}
		plain := out
		if codings := codingsOf(encoding); codings != "" && len(out) > 0 {
			plain = []byte(decode(t, codings, out))
		}
		var got any
		if json.Unmarshal(plain, &got) == nil && shown(got) {
			t.Fatalf("%q became %q", in, plain)
		}
	})
}

// shown reports whether something is at **.ssn that is not hidden.
func shown(v any) bool {
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			if shown(one) {
				return true
			}
		}
	case map[string]any:
		for name, one := range v {
			if strings.EqualFold(name, "ssn") && one != Redacted || shown(one) {
				return true
			}
		}
	}
	return false
}
