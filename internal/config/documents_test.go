package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

const policyYAML = `# who may touch the orders
kind: Policy
name: refunds
statements:
  - effect: allow
    actions: [db:Select, "db:Insert"]
    resources: ["orders/public.*"]
  - effect: approve
    actions: [db:Delete]
    resources: ["orders/*"]
    condition: |
      !action.bounded
    reviewers: [dba]
    expires: 15m
  - effect: mask
    resources: ["orders/public.customers.email"]
    with: {partial: {keep_last: 4}}
  - effect: mask
    detect: [CREDIT_CARD]
    with: null
---
---
kind: Role
name: refunds
bind:
  - issuer: platform
    claims: {sub: fn, level: 3, share: 1.5, groups: [a, 1], deep: {x: true}}
policies: [refunds]
`

func wantDocs() []access.Document {
	return []access.Document{
		&access.Policy{Name: "refunds", Statements: []access.PolicyStatement{
			{Effect: "allow", Actions: []string{"db:Select", "db:Insert"}, Resources: []string{"orders/public.*"}},
			{
				Effect: "approve", Actions: []string{"db:Delete"}, Resources: []string{"orders/*"},
				Condition: "!action.bounded\n", Reviewers: []string{"dba"}, Expires: access.Duration(15 * time.Minute),
			},
			{Effect: "mask", Resources: []string{"orders/public.customers.email"}, With: &access.MaskWith{Partial: &access.PartialWith{KeepLast: 4}}},
			{Effect: "mask", Detect: []string{"CREDIT_CARD"}, With: &access.MaskWith{Word: "null"}},
		}},
		&access.Role{Name: "refunds", Policies: []string{"refunds"}, Bind: []access.Binding{{
			Issuer: "platform",
			Claims: map[string]any{"sub": "fn", "level": int64(3), "share": 1.5, "groups": []any{"a", int64(1)}, "deep": map[string]any{"x": true}},
		}}},
	}
}

func TestParse(t *testing.T) {
	jsonText := "[\n\t{\"kind\": \"Role\", \"name\": \"r\", \"bind\": [{\"issuer\": \"i\", \"condition\": \"\\u00fc\\ud83d\\ude00\\/\"}]},\n\t{\"kind\":\"Policy\",\"name\":\"p\",\"statements\":[{\"effect\":\"deny\"}]}]"
	fromJSON := []access.Document{
		&access.Role{Name: "r", Bind: []access.Binding{{Issuer: "i", Condition: "ü😀/"}}},
		&access.Policy{Name: "p", Statements: []access.PolicyStatement{{Effect: "deny"}}},
	}
	for name, c := range map[string]struct {
		text string
		want []access.Document
	}{
		"yaml":           {policyYAML, wantDocs()},
		"windows":        {"\ufeff" + strings.ReplaceAll(policyYAML, "\n", "\r\n"), wantDocs()},
		"json list":      {jsonText, fromJSON},
		"json in a row":  {strings.NewReplacer("[\n\t{", "{", "},\n", "}\n", "}]}]", "}]}").Replace(jsonText), fromJSON},
		"flow style":     {"{kind: Policy, name: p, statements: [{effect: deny}]}", fromJSON[1:]},
		"nothing":        {"# only a comment\n---\n", nil},
		"nothing at all": {"", nil},
		"secret by name": {"kind: Connection\nname: c\ntype: t\naddress: a:1\ncredential: {user: u, secret: a/b}", []access.Document{
			&access.Connection{Name: "c", Type: "t", Address: "a:1", Credential: access.Credential{User: "u", Secret: "a/b"}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			located, err := ParseDocuments("f", []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []access.Document
			for _, l := range located {
				got = append(got, l.Doc)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Fatal(d)
			}
		})
	}
}

// TestProblems shows one error of each sort, as people read it.
func TestProblems(t *testing.T) {
	const head = "kind: Policy\nname: p\nstatements:\n"
	for name, c := range map[string]struct{ text, want string }{
		"unknown kind": {"kind: Polcy\nname: p\n", `f.yaml:1:7: there is no document kind "Polcy": did you mean "Policy"?
    1 | kind: Polcy
      |       ^`},
		"no kind":     {"name: p\n", "f.yaml:1:1: the document does not say its kind"},
		"not objects": {"- a\n- b\n", "f.yaml:1:1: a document must be an object that begins with its kind, and this is a list"},
		"unknown key": {head + "  - efect: deny\n    effect: deny\n", `f.yaml:4:5: unknown key "efect" in statements[0]: did you mean "effect"?
    4 |   - efect: deny
      |     ^`},
		"nothing near":     {head + "  - effect: deny\n    zzzzzzzz: 1\n", `unknown key "zzzzzzzz" in statements[0]; there are actions, allow_lookup, beyond`},
		"unknown effect":   {head + "  - effect: alow\n", `f.yaml:4:13: "alow" is not a value of statements[0].effect: did you mean "allow"?`},
		"missing key":      {head + "  - message: no\n", `f.yaml:4:5: the key "effect" is missing in statements[0]: allow, deny, approve, mask`},
		"missing deeper":   {"kind: Connection\nname: c\ntype: t\naddress: a\n", `the key "credential" is missing in the document`},
		"duplicate key":    {"kind: Policy\nname: p\nname: q\n", `f.yaml:3:1: the key "name" is there twice`},
		"duplicate flow":   {"{kind: Policy, name: p, name: q}", `f.yaml:1:25: the key "name" is there twice`},
		"duplicate json":   {`{"kind": "Policy", "name": "p", "name": "q"}`, `the key "name" is there twice`},
		"same twice":       {head + "  - effect: deny\n---\n" + head + "  - effect: deny\n", `f.yaml:6:1: Policy "p" is in this file twice, first in line 1: keep one`},
		"number as text":   {"kind: Connection\nname: c\ntype: t\naddress: a\ncredential: {}\ndatabase: 0\n", "f.yaml:6:11: database must be text, and is a whole number: put it in quotes"},
		"object as text":   {"{kind: Policy, name: p, statements: [{effect: deny, actions: [db:drop]}]}", "statements[0].actions[0] must be text, and is an object: put text with a colon in it in quotes"},
		"text as list":     {head + "  - effect: deny\n    actions: db:Drop\n", "f.yaml:5:14: statements[0].actions must be a list, and is text: put it in brackets, as in [db:Drop]"},
		"text as flag":     {head + "  - effect: approve\n    reuse: yes\n", "statements[0].reuse must be true or false, and is text"},
		"text as number":   {"kind: Connection\nname: c\ntype: t\naddress: a\ncredential: {}\nmax_sessions: \"5\"\n", "max_sessions must be a whole number, and is text"},
		"fraction":         {"kind: Connection\nname: c\ntype: t\naddress: a\ncredential: {}\nmax_sessions: 1.5\n", "max_sessions must be a whole number, and is a number"},
		"negative":         {"kind: Connection\nname: c\ntype: t\naddress: a\ncredential: {}\nmax_sessions: -1\n", "max_sessions must be at least 0"},
		"huge":             {"kind: Connection\nname: c\ntype: t\naddress: a\ncredential: {}\nmax_sessions: 99999999999999999999\n", "max_sessions "},
		"hexadecimal":      {"kind: Connection\nname: c\ntype: t\naddress: a\ncredential: {}\nmax_sessions: 0x10\n", `"0x10" is not written as a decimal number`},
		"old octal":        {"kind: Connection\nname: c\ntype: t\naddress: a\ncredential: {}\nmax_sessions: 010\n", `max_sessions`},
		"no value":         {"kind: Connection\nname: c\ntype: t\naddress: a\ncredential:\n", "f.yaml:5:13: credential has no value: give it one or remove the key"},
		"null in list":     {head + "  - effect: deny\n    actions: [~]\n", "statements[0].actions[0] has no value"},
		"empty list":       {"kind: Policy\nname: p\nstatements: []\n", "statements must not be empty"},
		"bad name":         {"kind: Policy\nname: a b\nstatements: [{effect: deny}]\n", `f.yaml:2:7: "a b" does not fit name`},
		"bad duration":     {head + "  - effect: approve\n    expires: 15 minutes\n", `f.yaml:5:14: "15 minutes" does not fit statements[0].expires`},
		"far duration":     {head + "  - effect: approve\n    expires: 9999999999999h\n", `this Policy cannot be read`},
		"two masks":        {head + "  - effect: mask\n    with: {partial: {}, truncate: {to: year}}\n", "statements[0].with takes only one of partial, truncate"},
		"no mask":          {head + "  - effect: mask\n    with: {}\n", "statements[0].with is empty; it needs one of partial, truncate"},
		"unknown mask":     {head + "  - effect: mask\n    with: redcat\n", `"redcat" is not a value of statements[0].with: did you mean "redact"?`},
		"mask as list":     {head + "  - effect: mask\n    with: [redact]\n", "statements[0].with must be text or an object, and is a list"},
		"unknown record":   {head + "  - effect: allow\n    record: eahc\n", `f.yaml:5:13: "eahc" is not a value of statements[0].record: did you mean "each"?`},
		"no record":        {head + "  - effect: allow\n    record: {}\n", "statements[0].record is empty; it needs one of above, messages, within"},
		"record of more":   {head + "  - effect: allow\n    record: {messages: 10, whithin: 1s}\n", `f.yaml:5:28: unknown key "whithin" in statements[0].record: did you mean "within"?`},
		"record too many":  {head + "  - effect: allow\n    record: {messages: 100001}\n", "statements[0].record.messages must be at most 100000"},
		"long heartbeat":   {"kind: Connection\nname: c\ntype: t\naddress: a\ncredential: {}\namqp: {heartbeat: 11m}\n", "amqp.heartbeat must be from 1s to 10m0s"},
		"odd exchange":     {"kind: Connection\nname: c\ntype: t\naddress: a\ncredential: {}\namqp: {exchanges: {orders: topics}}\n", "amqp.exchanges.orders must be direct, topic, fanout or headers"},
		"weak algorithm":   {"kind: Issuer\nname: i\nurl: https://i\naudiences: [a]\nalgorithms: [HS256]\n", `"HS256" is not a value of algorithms[0]: did you mean "RS256"?`},
		"anchor":           {"kind: Policy\nname: &n p\n", "f.yaml:2:7: anchors, aliases and merge keys are not allowed here"},
		"alias":            {"kind: Policy\nname: *n\n", "anchors, aliases and merge keys are not allowed here"},
		"merge":            {"kind: Policy\n<<: {a: b}\n", "anchors, aliases and merge keys are not allowed here"},
		"tag":              {"kind: !!str Policy\n", "f.yaml:1:7: tags are not allowed here"},
		"directive":        {"%YAML 1.1\n---\nkind: Policy\n", "directives are not allowed here"},
		"complex key":      {"? kind\n: Policy\n", "keys that begin with ? are not allowed here"},
		"number as key":    {"kind: Policy\n1: 2\n", "f.yaml:2:1: a key must be text: put it in quotes"},
		"tab":              {"kind: Policy\n\tname: p\n", "f.yaml:2:"},
		"broken":           {"kind: Policy\nname: \"p\n", "f.yaml:"},
		"broken json":      {"{\"kind\": \"Policy\",\n \"name\": p}", "f.yaml:2:10: this is not JSON"},
		"cut json":         {`{"kind": "Policy", "name": `, "f.yaml:1:28: this is not JSON: unexpected EOF"},
		"wide characters":  {"kind: Policy\nname: p\ndescription: \"größe 😀\"\nstatements: [{effect: deny, message: \"ü\", x: 1}]\n", "f.yaml:4:43: unknown key \"x\""},
		"control":          {"kind: Policy\nname: \x1b[31mp\n", "f.yaml:2:7: there is a control character"},
		"nul":              {"kind: Pol\x00icy\n", "f.yaml:1:10: there is a control character"},
		"not UTF-8":        {"kind: Pol\xffcy\n", "f.yaml:1:10: there is a control character"},
		"too deep":         {head + "  - effect: deny\n    actions: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), "nested more than 32 deep"},
		"too deep json":    {strings.Repeat("[", 40) + strings.Repeat("]", 40), "nested more than 32 deep"},
		"deep dashes":      {strings.Repeat("- ", 40) + "x", "nested more than 32 deep"},
		"deep block":       {deepBlock(60), "nested more than 32 deep"},
		"deeper block":     {deepBlock(200), "indented by more than 128 characters"},
		"too large":        {strings.Repeat(" ", maxFile+1), "f.yaml: the file is larger than 1048576 bytes: split it"},
		"too many parts":   {"kind: [" + strings.Repeat("a,", maxTokens/2+10) + "]", "f.yaml:1:1: the document has more than 20000 parts"},
		"too many at once": {"kind: Policy\nname: p\nstatements: [" + strings.Repeat("{effect: x},", 30) + "]", "f.yaml: and 10 more"},
	} {
		t.Run(name, func(t *testing.T) {
			docs, err := ParseDocuments("f.yaml", []byte(c.text))
			if err == nil {
				t.Fatalf("accepted as %v", docs)
			}
			if fault.KindOf(err) != fault.Malformed || docs != nil {
				t.Fatalf("kind %v, documents %v", fault.KindOf(err), docs)
			}
			say, _ := fault.Say(err)
			if !strings.Contains(say, c.want) {
				t.Fatalf("got\n%s\nwant\n%s", say, c.want)
			}
			if strings.ContainsAny(say, "\x1b\x00") {
				t.Fatalf("the terminal would obey %q", say)
			}
		})
	}
}

func deepBlock(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%sa:\n", strings.Repeat(" ", i))
	}
	return b.String()
}

// TestAllProblemsAtOnce: who repairs a file should not have to ask for the next mistake.
func TestAllProblemsAtOnce(t *testing.T) {
	_, err := ParseDocuments("f", []byte("kind: Policy\nname: a b\nstatements: [{effect: x, y: 1}]\n---\nkind: Role\nname: r\nbind: []\n"))
	say, _ := fault.Say(err)
	for _, want := range []string{"f:2:7", "f:3:23", "f:3:26", "f:7:7"} {
		if !strings.Contains(say, want) {
			t.Errorf("%s is missing in\n%s", want, say)
		}
	}
}

func TestShow(t *testing.T) {
	docs, err := ParseDocuments("f", []byte(policyYAML))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][2]int{
		"":                              {2, 1},
		"name":                          {3, 7},
		"statements[1]":                 {8, 5},
		"statements[1].condition":       {11, 16},
		"statements[1].message":         {8, 5},
		"statements[2].with.partial":    {17, 21},
		"statements[0].actions[1]":      {6, 26},
		"statements[9].actions[1]":      {5, 3},
		"statements[-1]":                {5, 3},
		"nowhere.at[0].all":             {2, 1},
		"statements[0].actions[1].more": {6, 26},
	} {
		if line, col := docs[0].Position(path); [2]int{line, col} != want {
			t.Errorf("%q is at %d:%d, want %v", path, line, col, want)
		}
	}
	want := "f:14:14: is too long\n   14 |     expires: 15m\n      |              ^"
	if got := docs[0].Show("statements[1].expires", "is too long"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := (Located{Doc: docs[0].Doc}).Show("name", "is bad"); got != "Policy refunds: name: is bad" {
		t.Errorf("got %s", got)
	}
}

func TestLongLine(t *testing.T) {
	_, err := ParseDocuments("f", []byte(`{kind: Policy, name: p, description: "`+strings.Repeat("x", 5000)+`", statements: [{effect: alow}]}`))
	say, _ := fault.Say(err)
	lines := strings.Split(say, "\n")
	if len(lines) != 3 || len(lines[1]) > showWidth+20 || strings.Index(lines[1], "alow") != strings.Index(lines[2], "^") {
		t.Fatalf("got\n%s", say)
	}
}

func TestDiff(t *testing.T) {
	docs := wantDocs()
	changed := *docs[0].(*access.Policy)
	changed.Statements = append([]access.PolicyStatement{}, changed.Statements...)
	changed.Statements[0].Actions = []string{"db:Select"}
	got, err := Diff(docs[0], &changed)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"--- Policy/refunds\n+++ Policy/refunds\n@@", "-    actions: [db:Select, db:Insert]\n", "+    actions: [db:Select]\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if same, err := Diff(docs[0], docs[0]); same != "" || err != nil {
		t.Errorf("equal documents differ: %q %v", same, err)
	}
	created, err1 := Diff(nil, docs[1])
	deleted, err2 := Diff(docs[1], nil)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(created, "--- (none)\n+++ Role/refunds\n") || !strings.Contains(created, "\n+kind: Role\n") ||
		!strings.Contains(deleted, "+++ (none)\n") || !strings.Contains(deleted, "\n-kind: Role\n") {
		t.Errorf("got\n%s\n%s", created, deleted)
	}
}
