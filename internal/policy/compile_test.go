package policy_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/policy"
)

func edit(s access.PolicyStatement, f func(*access.PolicyStatement)) access.PolicyStatement {
	f(&s)
	return s
}

func lookups(count int, per time.Duration) *access.LookupBudget {
	return &access.LookupBudget{Count: count, Per: access.Duration(per)}
}

// looking is a mask of one field by which rows may be looked up; a nil budget is the default.
func looking(b *access.LookupBudget) access.PolicyStatement {
	s := masked(&access.MaskWith{Word: "redact"}, customers+".email")
	s.AllowLookup, s.Lookups = true, b
	return s
}

// TestCompileRefusesStatements: whatever would be a rule that silently does nothing, or not what it says, is an error
// that names its place.
func TestCompileRefusesStatements(t *testing.T) {
	ok := allow("db:Select", "orders-db/*")
	redact := &access.MaskWith{Word: "redact"}
	for _, tc := range []struct {
		name string
		st   access.PolicyStatement
		path string // below statements[1]
		say  string
	}{
		{"unknown effect", edit(ok, func(s *access.PolicyStatement) { s.Effect = "alow" }), ".effect", "did you mean allow?"},
		{"no effect", edit(ok, func(s *access.PolicyStatement) { s.Effect = "" }), ".effect", "unknown effect"},
		{"unknown action", allow("db:Selct", "*"), ".actions[0]", "did you mean db:Select?"},
		{"wrong case", allow("db:select", "*"), ".actions[0]", "did you mean db:Select?"},
		{"glob that matches nothing", allow("db:Dorp*", "*"), ".actions[0]", "matches no action"},
		{"empty action", allow("", "*"), ".actions[0]", "unknown action"},
		{"endless action", allow(strings.Repeat("*", 600), "*"), ".actions[0]", "longer than"},
		{"no actions", edit(ok, func(s *access.PolicyStatement) { s.Actions = nil }), ".actions", "needs actions"},
		{"no resources", edit(ok, func(s *access.PolicyStatement) { s.Resources = nil }), ".resources", "needs resources"},
		{"empty resource", allow("db:*", ""), ".resources[0]", "empty"},
		{"endless resource", allow("db:*", strings.Repeat("a", 513)), ".resources[0]", "longer than"},
		{"resource without connection", allow("db:*", "public.customers"), ".resources[0]", "begins with the connection's name"},
		{"lower-case escape", allow("db:*", "orders-db/a%2eb"), ".resources[0]", "%2E"},
		{"escape of a plain letter", allow("db:*", "orders-db/%41"), ".resources[0]", "%"},
		{"half an escape", allow("db:*", "orders-db/a%2"), ".resources[0]", "%"},
		{"control character", allow("db:*", "orders-db/a\nb"), ".resources[0]", "control"},
		{"message in allow", edit(ok, func(s *access.PolicyStatement) { s.Message = "x" }), ".message", "does not go with"},
		{"reviewers in allow", edit(ok, func(s *access.PolicyStatement) { s.Reviewers = []string{"dba"} }), ".reviewers", "does not go with"},
		{"reviewers in deny", edit(deny("db:*", "*"), func(s *access.PolicyStatement) { s.Reviewers = []string{"dba"} }), ".reviewers", "does not go with"},
		{"expires in deny", edit(deny("db:*", "*"), func(s *access.PolicyStatement) { s.Expires = 1 }), ".expires", "does not go with"},
		{"reuse in deny", edit(deny("db:*", "*"), func(s *access.PolicyStatement) { s.Reuse = true }), ".reuse", "does not go with"},
		{"with in approve", edit(approve("db:*", "*"), func(s *access.PolicyStatement) { s.With = redact }), ".with", "does not go with"},
		{"detect in deny", edit(deny("db:*", "*"), func(s *access.PolicyStatement) { s.Detect = []string{"US_SSN"} }), ".detect", "does not go with"},
		{"mask with actions", edit(masked(redact, "*"), func(s *access.PolicyStatement) { s.Actions = []string{"db:Select"} }), ".actions", "does not go with"},
		{"mask of nothing", masked(redact), ".resources", "needs resources"},
		{"unknown detector", access.PolicyStatement{Effect: "mask", Detect: []string{"US_SNN"}}, ".detect[0]", "did you mean US_SSN?"},
		{"fields in deny", edit(deny("db:*", "*"), func(s *access.PolicyStatement) { s.Fields = []string{"$.a"} }), ".fields", "does not go with"},
		{"headers in allow", edit(ok, func(s *access.PolicyStatement) { s.Headers = []string{"x"} }), ".headers", "does not go with"},
		{"a direction in approve", edit(approve("db:*", "*"), func(s *access.PolicyStatement) { s.In = "both" }), ".in", "does not go with"},
		{"fields of nothing", edit(masked(redact), func(s *access.PolicyStatement) { s.Fields = []string{"$.a"} }), ".resources", "needs resources"},
		{"fields that a detector looks at", edit(masked(redact, customers+"/*"), func(s *access.PolicyStatement) { s.Fields, s.Detect = []string{"$.a"}, []string{"US_SSN"} }), ".detect", "of its own"},
		{"headers that a detector looks at", edit(masked(redact, customers+"/*"), func(s *access.PolicyStatement) { s.Headers, s.Detect = []string{"a"}, []string{"US_SSN"} }), ".detect", "of its own"},
		{"no path", edit(masked(redact, customers+"/*"), func(s *access.PolicyStatement) { s.Fields = []string{"$.a", "email"} }), ".fields[1]", "write $"},
		{"an empty path", edit(masked(redact, customers+"/*"), func(s *access.PolicyStatement) { s.Fields = []string{""} }), ".fields[0]", "write $"},
		{"no header", edit(masked(redact, customers+"/*"), func(s *access.PolicyStatement) { s.Headers = []string{"x y"} }), ".headers[0]", "no name of a header"},
		{"an empty header", edit(masked(redact, customers+"/*"), func(s *access.PolicyStatement) { s.Headers = []string{""} }), ".headers[0]", "no name of a header"},
		{"a header with a line end", edit(masked(redact, customers+"/*"), func(s *access.PolicyStatement) { s.Headers = []string{"x\r\ny"} }), ".headers[0]", "no name of a header"},
		{"an endless header", edit(masked(redact, customers+"/*"), func(s *access.PolicyStatement) { s.Headers = []string{strings.Repeat("a", 200)} }), ".headers[0]", "no name of a header"},
		{"lookups inside of documents", edit(masked(redact, customers+"/*"), func(s *access.PolicyStatement) { s.Fields, s.AllowLookup = []string{"$.a"}, true }), ".allow_lookup", "inside of documents"},
		{"lookups by a header", edit(masked(redact, customers+"/*"), func(s *access.PolicyStatement) { s.Headers, s.AllowLookup = []string{"a"}, true }), ".allow_lookup", "inside of documents"},
		{"an unknown direction", edit(masked(redact, customers+"/*"), func(s *access.PolicyStatement) { s.Fields, s.In = []string{"$.a"}, "reply" }), ".in", "one of response"},
		{"a resource as a whole, in requests", edit(masked(redact, customers+"/*"), func(s *access.PolicyStatement) { s.In = "request" }), ".in", "goes with fields"},
		{"a resource as a whole, both ways", edit(masked(redact, customers+"/*"), func(s *access.PolicyStatement) { s.In = "both" }), ".in", "goes with fields"},
		{"unknown mask", masked(&access.MaskWith{Word: "hsh"}, "*"), ".with", "did you mean hash?"},
		{"empty mask", masked(&access.MaskWith{}, "*"), ".with", "unknown mask"},
		{"two masks", masked(&access.MaskWith{Word: "hash", Partial: &access.PartialWith{KeepLast: 1}}, "*"), ".with", ""},
		{"both objects", masked(&access.MaskWith{Partial: &access.PartialWith{KeepLast: 1}, Truncate: &access.TruncateWith{To: "year"}}, "*"), ".with", ""},
		{"partial of nothing", masked(&access.MaskWith{Partial: &access.PartialWith{}}, "*"), ".with.partial", "keeps nothing"},
		{"negative partial", masked(&access.MaskWith{Partial: &access.PartialWith{KeepFirst: -1, KeepLast: 2}}, "*"), ".with.partial", "from 0"},
		{"truncate to the day", masked(&access.MaskWith{Truncate: &access.TruncateWith{To: "day"}}, "*"), ".with.truncate.to", "month or year"},
		{"truncate what detectors find", access.PolicyStatement{Effect: "mask", Detect: []string{"US_SSN"}, With: &access.MaskWith{Truncate: &access.TruncateWith{To: "year"}}}, ".with", "dates"},
		{"beyond in allow", edit(ok, func(s *access.PolicyStatement) { s.Beyond = &access.ResultBudget{Rows: 1} }), ".beyond", "does not go with"},
		{"beyond nothing", upTo(0, 0, time.Hour), ".beyond", "leave beyond out"},
		{"beyond less than nothing", upTo(-1, 5, time.Hour), ".beyond", "from 1 on"},
		{"beyond in no time", upTo(1, 0, 0), ".beyond.per", "from 1s"},
		{"lookups by a detector", access.PolicyStatement{Effect: "mask", Detect: []string{"US_SSN"}, AllowLookup: true}, ".allow_lookup", "name the fields"},
		{"lookups in deny", edit(deny("db:*", "*"), func(s *access.PolicyStatement) { s.AllowLookup = true }), ".allow_lookup", "does not go with"},
		{"a budget of lookups in allow", edit(ok, func(s *access.PolicyStatement) { s.Lookups = &access.LookupBudget{} }), ".lookups", "does not go with"},
		{"a budget of lookups that are not allowed", edit(masked(redact, "*"), func(s *access.PolicyStatement) { s.Lookups = lookups(1, time.Hour) }), ".lookups", "set allow_lookup"},
		{"no lookups", looking(lookups(0, time.Hour)), ".lookups.count", "from 1"},
		{"lookups without end", looking(lookups(1<<40, time.Hour)), ".lookups.count", "from 1"},
		{"lookups in no time", looking(lookups(1, 0)), ".lookups.per", "from 1s"},
		{"lookups in a year", looking(lookups(1, 8760*time.Hour)), ".lookups.per", "from 1s"},
		{"unknown reviewer", edit(approve("db:*", "*"), func(s *access.PolicyStatement) { s.Reviewers = []string{"dab"} }), ".reviewers[0]", "did you mean dba?"},
		{"wait too long", edit(approve("db:*", "*"), func(s *access.PolicyStatement) { s.Expires = access.Duration(25 * time.Hour) }), ".expires", "24h"},
		{"negative wait", edit(approve("db:*", "*"), func(s *access.PolicyStatement) { s.Expires = -1 }), ".expires", "from"},
		{"condition: unknown variable", when(ok, `action.rows > 1`), ".condition", "undeclared"},
		{"condition: unknown namespace", when(ok, `action`), ".condition", "undeclared"},
		{"condition: not a bool", when(ok, `claims.x`), ".condition", "true or false"},
		{"condition: an int", when(ok, `action.estimated_rows`), ".condition", "true or false"},
		{"condition: wrong types", when(ok, `action.bounded > 1`), ".condition", "no matching overload"},
		{"condition: syntax", when(ok, `action.bounded &&`), ".condition", "Syntax error"},
		{"condition: bad regex", when(deny("db:*", "*"), `action.text.matches("(")`), ".condition", "matches"},
		{"condition: text in allow", when(ok, `action.text.matches("select")`), ".condition", "only tighten"},
		{"condition: text hidden in allow", when(ok, `[action.text].exists(t, t == "select")`), ".condition", "only tighten"},
		{"condition: too long", when(ok, `"`+strings.Repeat("a", 5000)+`" == ""`), ".condition", "longer than"},
		{"condition: too deep", when(ok, strings.Repeat("(", 200)+"true"+strings.Repeat(")", 200)), ".condition", ""},
		{"condition: too many nodes", when(ok, strings.Repeat("true && ", 450)+"[1,2,3,4].all(x, x > 1) && true"), ".condition", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := policy.Compile(world([]*access.Policy{pol("app", ok, tc.st)}, nil), vocab(), 1)
			problems := policy.Problems(err)
			if len(problems) == 0 {
				t.Fatalf("compiled; err %v", err)
			}
			p := problems[0]
			if p.Kind != access.KindPolicy || p.Name != "app" || p.Path != "statements[1]"+tc.path || !strings.Contains(p.Error(), tc.say) {
				t.Errorf("got %s %s %s: %s\n%s", p.Kind, p.Name, p.Path, p.Say, p.Caret)
			}
			if fault.KindOf(err) != fault.Malformed {
				t.Errorf("kind %s", fault.KindOf(err))
			}
		})
	}
}

func TestCaret(t *testing.T) {
	d := world([]*access.Policy{pol("app", when(allow("db:Select", "*"), "action.bounded &&\n  action.rowz > 1"))}, nil)
	_, err := policy.Compile(d, vocab(), 1)
	problems := policy.Problems(err)
	if len(problems) != 1 || problems[0].Caret != "  action.rowz > 1\n  ^" ||
		!strings.Contains(problems[0].Say, "undeclared name action.rowz; did you mean action.name?") {
		t.Fatalf("%+v", problems)
	}
}

func TestCompileRefusesReferences(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(*policy.Documents)
		path  string
		say   string
	}{
		{"unknown policy in a role", func(d *policy.Documents) { d.Roles[0].Policies = []string{"ap"} }, "policies[0]", "did you mean app?"},
		{"policy twice in a role", func(d *policy.Documents) { d.Roles[0].Policies = []string{"app", "app"} }, "policies[1]", "twice"},
		{"unknown guardrail", func(d *policy.Documents) { d.Connections[0].Guardrails = []string{"nope"} }, "guardrails[0]", "there is no policy"},
		{"allow in a guardrail", func(d *policy.Documents) { d.Connections[0].Guardrails = []string{"app"} }, "guardrails[0]", "may only deny"},
		{"unknown type", func(d *policy.Documents) { d.Connections[0].Type = "bd" }, "type", "unknown connection type"},
		{"unknown issuer", func(d *policy.Documents) { d.Roles[0].Bind[0].Issuer = "cii" }, "bind[0].issuer", "did you mean ci?"},
		{"nobody bound", func(d *policy.Documents) { d.Roles[0].Bind = nil }, "bind", "binds nobody"},
		{"everybody bound", func(d *policy.Documents) { d.Roles[0].Bind[0].Claims = nil }, "bind[0]", "every token"},
		{"glob in a claim", func(d *policy.Documents) { d.Roles[0].Bind[0].Claims["sub"] = "repo:*" }, "bind[0].claims.sub", "startsWith"},
		{"object in a claim", func(d *policy.Documents) { d.Roles[0].Bind[0].Claims["sub"] = map[string]any{} }, "bind[0].claims.sub", "use a condition"},
		{"null in a claim", func(d *policy.Documents) { d.Roles[0].Bind[0].Claims["sub"] = nil }, "bind[0].claims.sub", "use a condition"},
		{"list in a list", func(d *policy.Documents) { d.Roles[0].Bind[0].Claims["sub"] = []any{[]any{}} }, "bind[0].claims.sub", "use a condition"},
		{"binding that reads the action", func(d *policy.Documents) { d.Roles[0].Bind[0].Condition = `action.name == "x"` }, "bind[0].condition", "undeclared"},
		{"binding that reads the time", func(d *policy.Documents) { d.Roles[0].Bind[0].Condition = `now > timestamp("2020-01-01T00:00:00Z")` }, "bind[0].condition", "undeclared"},
		{"policy without statements", func(d *policy.Documents) { d.Policies[0].Statements = nil }, "statements", "does nothing"},
		{"two policies of one name", func(d *policy.Documents) { d.Policies = append(d.Policies, d.Policies[0]) }, "name", "unique"},
		{"two connections of one name", func(d *policy.Documents) { d.Connections[1].Name = "orders-db" }, "name", "unique"},
		{"two roles of one name", func(d *policy.Documents) { d.Roles[1].Name = "app" }, "name", "unique"},
		{"two issuers of one name", func(d *policy.Documents) { d.Issuers = append(d.Issuers, d.Issuers[0]) }, "name", "unique"},
		{"two issuers of one url", func(d *policy.Documents) {
			d.Issuers = append(d.Issuers, &access.Issuer{Name: "ci2", URL: issuerURL})
		}, "url", "same url"},
		{"no name", func(d *policy.Documents) { d.Connections[1].Name = "" }, "name", "no name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := world([]*access.Policy{pol("app", allow("db:Select", "*"))}, nil)
			tc.spoil(&d)
			_, err := policy.Compile(d, vocab(), 1)
			for _, p := range policy.Problems(err) {
				if p.Path == tc.path && strings.Contains(p.Say, tc.say) {
					return
				}
			}
			t.Errorf("got %v", err)
		})
	}
}

// TestAllProblemsAtOnce: an author sees everything that is wrong, not one thing after the other.
func TestAllProblemsAtOnce(t *testing.T) {
	d := world([]*access.Policy{pol("app", allow("db:Nope", "*"), when(allow("db:Select", "*"), "1"), masked(nil))}, nil)
	d.Connections[0].Type = "nope"
	_, err := policy.Compile(d, vocab(), 1)
	if n := len(policy.Problems(err)); n != 4 {
		t.Fatalf("%d problems: %v", n, err)
	}
	if n := len(policy.Problems(fault.Wrap(fault.Unavailable, "x", err, "y"))); n != 4 {
		t.Fatalf("%d problems when wrapped", n)
	}
	if policy.Problems(errors.New("x")) != nil || policy.Problems(nil) != nil {
		t.Fatal("problems out of nothing")
	}
}

func TestVocabulary(t *testing.T) {
	for _, bad := range [][]policy.Vocabulary{
		{{Type: ""}}, {{Type: "db"}, {Type: "db"}}, {{Type: "db", Rootless: []string{""}}}, {{Type: "db", Actions: []policy.ActionName{{Name: ""}}}},
		{{Type: "db", Actions: []policy.ActionName{{Name: "Publish"}}}}, {{Type: "db", Actions: []policy.ActionName{{Name: "mq:"}}}},
		{{Type: "db", Actions: []policy.ActionName{{Name: ":Publish"}}}}, {{Type: "db", Actions: []policy.ActionName{{Name: "mq:Pub*"}}}},
		{{Type: "db", Actions: []policy.ActionName{{Name: "mq:Pub lish"}}}},
	} {
		if _, err := policy.Compile(policy.Documents{}, bad, 1); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}

func TestBindings(t *testing.T) {
	for _, tc := range []struct {
		name   string
		bind   access.Binding
		claims map[string]any
		ok     bool
	}{
		{"string", access.Binding{Claims: map[string]any{"a": "x"}}, map[string]any{"a": "x"}, true},
		{"other string", access.Binding{Claims: map[string]any{"a": "x"}}, map[string]any{"a": "x "}, false},
		{"missing", access.Binding{Claims: map[string]any{"a": ""}}, map[string]any{}, false},
		{"null claim", access.Binding{Claims: map[string]any{"a": ""}}, map[string]any{"a": nil}, false},
		{"bool", access.Binding{Claims: map[string]any{"a": true}}, map[string]any{"a": true}, true},
		{"bool is not a string", access.Binding{Claims: map[string]any{"a": true}}, map[string]any{"a": "true"}, false},
		{"int", access.Binding{Claims: map[string]any{"a": 7}}, map[string]any{"a": int64(7)}, true},
		{"a whole float is an int", access.Binding{Claims: map[string]any{"a": 7.0}}, map[string]any{"a": int64(7)}, true},
		{"uint", access.Binding{Claims: map[string]any{"a": uint64(7)}}, map[string]any{"a": int64(7)}, true},
		{"int is not a string", access.Binding{Claims: map[string]any{"a": 7}}, map[string]any{"a": "7"}, false},
		{"fraction", access.Binding{Claims: map[string]any{"a": 7.5}}, map[string]any{"a": 7.5}, true},
		{"large ints stay exact", access.Binding{Claims: map[string]any{"a": int64(1<<53 + 1)}}, map[string]any{"a": int64(1 << 53)}, false},
		{"list", access.Binding{Claims: map[string]any{"a": []any{"x", 1}}}, map[string]any{"a": []any{"x", int64(1)}}, true},
		{"a list is not contained", access.Binding{Claims: map[string]any{"a": []any{"x"}}}, map[string]any{"a": []any{"x", "y"}}, false},
		{"a string is not in a list", access.Binding{Claims: map[string]any{"a": "x"}}, map[string]any{"a": []any{"x"}}, false},
		{"two claims, one wrong", access.Binding{Claims: map[string]any{"a": "x", "b": "y"}}, map[string]any{"a": "x", "b": "z"}, false},
		{"condition", access.Binding{Condition: `claims.repo.startsWith("acme/")`}, map[string]any{"repo": "acme/x"}, true},
		{"condition false", access.Binding{Condition: `claims.repo.startsWith("acme/")`}, map[string]any{"repo": "acme-evil/x"}, false},
		{"condition fails", access.Binding{Condition: `claims.repo.startsWith("acme/")`}, map[string]any{}, false},
		{"condition of another type", access.Binding{Condition: `claims.repo.startsWith("acme/")`}, map[string]any{"repo": int64(1)}, false},
		{"list in a condition", access.Binding{Condition: `"dba" in claims.groups`}, map[string]any{"groups": []any{"dev", "dba"}}, true},
		{"principal in a condition", access.Binding{Condition: `principal.kind == "workload" && principal.subject == "app" && principal.issuer.endsWith("example")`}, nil, true},
		{"claims and condition", access.Binding{Claims: map[string]any{"a": "x"}, Condition: "false"}, map[string]any{"a": "x"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := world(nil, nil)
			tc.bind.Issuer = "ci"
			d.Roles = []*access.Role{{Name: "z", Bind: []access.Binding{tc.bind}}, {Name: "a", Bind: []access.Binding{{Issuer: "ci", Condition: "false"}, tc.bind}}}
			s := mustCompile(t, d)
			p := &access.Principal{Issuer: issuerURL, Subject: "app", Kind: access.Workload, Claims: tc.claims}
			if got := strings.Join(s.Roles(p), ","); (got == "a,z") != tc.ok || (!tc.ok && got != "") {
				t.Fatalf("got %q", got)
			}
		})
	}
}
