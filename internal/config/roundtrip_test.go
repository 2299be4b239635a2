package config

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// anyText draws from what has a meaning in YAML as often as from what has none.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{
			"yes", "null", "~", "1", "1.0", "0x1", "1e3", "1_000", "12:30:45", "2020-01-01", ".inf", "-", "- a", "a: b", "a #b", "#", "", " ", " a", "a ",
			"&a", "*a", "!a", "|", ">", "%", "@", "`", "'", "\"", "\\", "{", "}", "[", "]", ",", "?", "? a", ":", ": ", "a:", "=", "<<", "---", "...",
			"a\nb", "a\nb\n", "\n", "a\n\nb\n", " a\nb\n", "a\tb\nc\n", "a\r\nb\n", "a\u2028b", "\u0085", "\ufeff", "\x7f", "\x1b[0m", "é😀", "- x\n- y\n", "# c\nd\n", "true", "False", "ON", "n",
			"\ufffd\n", "---\nkind: Role\n", "a: |\n  b\n", "15m0s", "1s", "0h", "1m1", "1h30m",
		}),
		rapid.StringMatching(`[a-z:/#.*, '"{}\[\]&!|>%@-]{1,12}`),
		rapid.String(),
	)
}

func name() *rapid.Generator[string] { return rapid.StringMatching(namePattern) }

func claim(depth int) *rapid.Generator[any] {
	plain := []*rapid.Generator[any]{
		anyText().AsAny(), rapid.Int64().AsAny(), rapid.Bool().AsAny(),
		rapid.Custom(func(t *rapid.T) float64 { return float64(rapid.Int32().Draw(t, "n")) + 0.25 }).AsAny(),
	}
	if depth > 0 {
		plain = append(plain, rapid.SliceOfN(claim(depth-1), 0, 3).AsAny(), rapid.MapOfN(anyText(), claim(depth-1), 0, 3).AsAny())
	}
	return rapid.OneOf(plain...)
}

func anyStatement(t *rapid.T) access.PolicyStatement {
	filled := rapid.SliceOfN(anyText().Filter(func(s string) bool { return s != "" }), 0, 4)
	s := access.PolicyStatement{
		Effect:    rapid.SampledFrom([]string{"allow", "deny", "approve", "mask"}).Draw(t, "effect"),
		Actions:   filled.Draw(t, "actions"),
		Resources: filled.Draw(t, "resources"),
		Condition: anyText().Draw(t, "condition"),
		Message:   anyText().Draw(t, "message"),
		Expires:   access.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "expires")),
		Reuse:     rapid.Bool().Draw(t, "reuse"),
		Detect:    filled.Draw(t, "detect"),
	}
	s.With = rapid.SampledFrom([]*access.MaskWith{
		nil,
		{Word: "null"}, {Word: "redact"}, {Word: "hash"},
		{Partial: &access.PartialWith{KeepFirst: 2}},
		{Partial: &access.PartialWith{}},
		{Truncate: &access.TruncateWith{To: "year"}},
	}).Draw(t, "with")
	none, many := 0, 5000
	s.Record = rapid.SampledFrom([]*access.RecordWith{
		nil, {Word: "each"}, {Above: &none}, {Above: &many, Messages: 7, Within: access.Duration(2 * time.Second)}, {Messages: 1},
	}).Draw(t, "record")
	return s
}

func anyDocument() *rapid.Generator[access.Document] {
	return rapid.Custom(func(t *rapid.T) access.Document {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return &access.Policy{
				Name: name().Draw(t, "name"), Description: anyText().Draw(t, "description"),
				Statements: rapid.SliceOfN(rapid.Custom(anyStatement), 1, 3).Draw(t, "statements"),
			}
		case 1:
			return &access.Role{
				Name: name().Draw(t, "name"), Policies: rapid.SliceOfN(name(), 0, 20).Draw(t, "policies"),
				Bind: []access.Binding{{Issuer: name().Draw(t, "issuer"), Claims: rapid.MapOfN(anyText(), claim(2), 1, 4).Draw(t, "claims")}},
			}
		case 2:
			return &access.Issuer{
				Name: name().Draw(t, "name"), URL: "https://issuer.example/x?y#z", CA: anyText().Draw(t, "ca"),
				Audiences: []string{"a: b"}, Skew: access.Duration(time.Second),
			}
		}
		c := &access.Connection{
			Name: name().Draw(t, "name"), Type: "t", Address: "[::1]:1", Database: anyText().Draw(t, "database"),
			TLS: access.BackendTLS{CA: anyText().Draw(t, "ca")}, Credential: access.Credential{User: anyText().Draw(t, "user")},
		}
		switch rapid.IntRange(0, 2).Draw(t, "options") {
		case 1:
			c.AMQP = &access.AMQPOptions{VirtualHost: "/" + anyText().Draw(t, "host"), MaxBody: 1, Heartbeat: access.Duration(time.Minute), Exchanges: map[string]string{"orders": "topic"}}
		case 2:
			c.NATS = &access.NATSOptions{MaxBody: 1 << 20, TLSFirst: true}
		}
		return c
	})
}

// TestRoundTrip: what Marshal writes is read back as it was, whatever its line ends.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := anyDocument().Draw(t, "document")
		text, err := Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		// Equal documents give equal text; what came from a file gives it again.
		for _, in := range [][]byte{text, append([]byte("---\n"), text...), bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))} {
			got, err := ParseDocuments("f", in)
			if err != nil || len(got) != 1 {
				t.Fatalf("%d documents, %v\n%s", len(got), err, in)
			}
			if d := cmp.Diff(doc, got[0].Doc, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("%s\n%s", d, in)
			}
			if again, err := Marshal(got[0].Doc); err != nil || !bytes.Equal(again, text) {
				t.Fatalf("%v\n%s\n%s", err, text, again)
			}
		}
	})
}

// FuzzParseDocuments: whatever comes in, it is refused as malformed or it is documents that survive a round trip; every
// position is inside the file.
func FuzzParseDocuments(f *testing.F) {
	f.Add([]byte(policyYAML))
	f.Add([]byte(`[{"kind":"Role","name":"r","bind":[{"issuer":"i","claims":{"a":[1,2.5,true]}}]}]`))
	f.Add([]byte("kind: Policy\nname: p\nstatements:\n- effect: mask\n  with: {truncate: {to: month}}\n"))
	f.Add([]byte("a: &a [*a]\n--- |\n x\n...\n? y\n"))
	f.Add([]byte("{a: 'b', \"c\": >-\n  d\n}"))
	f.Add([]byte("kind: Policy\nname: \"\\x41\"\nstatements: [effect: deny]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		docs, err := ParseDocuments("f", b)
		if err != nil {
			if fault.KindOf(err) != fault.Malformed {
				t.Fatalf("%v", err)
			}
			return
		}
		lines := bytes.Count(b, []byte("\n")) + 1
		for _, d := range docs {
			if line, col := d.Position("statements[0].effect"); line < 1 || line > lines || col < 1 {
				t.Fatalf("%d:%d in %d lines", line, col, lines)
			}
			text, err := Marshal(d.Doc)
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseDocuments("f", text)
			if err != nil || len(again) != 1 {
				t.Fatalf("%v\n%s", err, text)
			}
			if diff := cmp.Diff(d.Doc, again[0].Doc, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s\n%s", diff, text)
			}
		}
	})
}
