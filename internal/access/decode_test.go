package access_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
)

// TestDecodeDocument: what json.Marshal gives for a document is read back as it was, numbers of claims included.
func TestDecodeDocument(t *testing.T) {
	for _, doc := range []access.Document{
		&access.Issuer{Name: "i", URL: "https://i", Audiences: []string{"a"}, Skew: access.Duration(time.Minute),
			Require: map[string]any{"owner": int64(1)<<62 + 1}},
		&access.Revocation{Name: "r-1", Principal: "https://i#fn", Reason: "left the team"},
		&access.Connection{Name: "c", Type: "t", Address: "a:1", TLS: access.BackendTLS{Mode: "require"}, Credential: access.Credential{Env: "E"}},
		&access.Policy{Name: "p", Statements: []access.PolicyStatement{
			{Effect: "mask", With: &access.MaskWith{Word: "null"}}, {Effect: "mask", With: &access.MaskWith{Truncate: &access.TruncateWith{To: "year"}}},
		}},
		&access.Role{Name: "r", Bind: []access.Binding{{Issuer: "i", Claims: map[string]any{
			"large": int64(1)<<62 + 1, "negative": int64(-1), "fraction": 1.5, "word": "1", "flag": true, "list": []any{int64(1), "a"}, "deep": map[string]any{"n": int64(2)},
		}}}},
	} {
		b, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		got, err := access.DecodeDocument(doc.DocKind(), b)
		if d := cmp.Diff(doc, got); err != nil || d != "" {
			t.Errorf("%v\n%s", err, d)
		}
	}
	if len(access.Kinds()) != 5 {
		t.Error("a kind is not tried here")
	}
}

func TestDecodeDocumentRefuses(t *testing.T) {
	for _, c := range []struct{ kind, body, want string }{
		{"Wish", `{}`, `no document kind "Wish"`},
		{"", `{}`, "no document kind"},
		{access.KindPolicy, `{"name":"p","statements":[],"severity":1}`, "severity"},
		{access.KindPolicy, `{"name":"p","statements":[{"efect":"deny"}]}`, "efect"},
		{access.KindPolicy, `{"name":1}`, "name"},
		{access.KindPolicy, `{"name":"p"}{}`, "more than one"},
		{access.KindPolicy, `{"name":"p"} x`, "more than one"},
		{access.KindPolicy, ``, "EOF"},
		{access.KindRole, `{"name":"r","bind":[{"issuer":"i","claims":{"n":1e999}}]}`, `claim "n"`},
		{access.KindRole, `{"name":"r","bind":[{"issuer":"i","claims":{"l":[{"n":-1e999}]}}]}`, `claim "n"`},
		{access.KindIssuer, `{"name":"i","skew":"soon"}`, "not a duration"},
	} {
		doc, err := access.DecodeDocument(c.kind, []byte(c.body))
		if doc != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, %v", c.kind, c.body, doc, err)
		}
	}
}
