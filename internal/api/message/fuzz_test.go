package message_test

import (
	"bytes"
	"testing"

	"gatehouse/internal/api/message"
	"gatehouse/internal/fault"
)

// FuzzDecodeDocument: what decodes must encode to the same again, and nothing else may be dropped on the way.
func FuzzDecodeDocument(f *testing.F) {
	for _, s := range []string{
		`{"kind":"Role","name":"r","bind":[{"issuer":"i","claims":{"n":7,"f":7.5,"b":true,"l":["x"]}}],"policies":["p"]}`,
		`{"kind":"Policy","name":"p","statements":[{"effect":"mask","resources":["*.ssn"],"with":{"partial":{"keep_last":4}}}]}`,
		`{"kind":"Issuer","name":"i","url":"u","audiences":["a"],"max_lifetime":"1h"}`, `{"kind":"Connection"}`, `{"kind":7}`, `{`, `null`, `{"kind":"Role","Name":"x"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := message.DecodeDocument(b)
		if err != nil {
			if fault.KindOf(err) != fault.Malformed {
				t.Errorf("%q: %v", b, err)
			}
			return
		}
		once, err := message.EncodeDocument(d)
		if err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		again, err := message.DecodeDocument(once)
		if err != nil {
			t.Fatalf("%q: %v", once, err)
		}
		twice, err := message.EncodeDocument(again)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s became %s (%v)", once, twice, err)
		}
	})
}
