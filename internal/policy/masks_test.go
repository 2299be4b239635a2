package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/internal/access"
	"gatehouse/internal/policy"
)

// inside is a mask inside of the documents of resources.
func inside(word, in string, fields, headers []string, resources ...string) access.PolicyStatement {
	s := masked(&access.MaskWith{Word: word}, resources...)
	s.Fields, s.Headers, s.In = fields, headers, in
	return s
}

func finding(word, in string, entity string, resources ...string) access.PolicyStatement {
	s := masked(&access.MaskWith{Word: word}, resources...)
	s.Detect, s.In = []string{entity}, in
	return s
}

// sayDocument writes what is hidden of a document, each with the number of the statement that asked for it.
func sayDocument(d access.DocumentMasks) string {
	var all []string
	add := func(what string, m access.Mask) {
		all = append(all, fmt.Sprintf("%s %s %d", what, m.Strategy, m.Because.Statement))
	}
	if d.Whole != nil {
		add("whole", *d.Whole)
	}
	for _, p := range d.Paths {
		add(p.Path, p.Mask)
	}
	for _, h := range d.Headers {
		add("header "+h.Name, h.Mask)
	}
	for _, x := range d.Detect {
		add(x.Entity, x.Mask)
	}
	return strings.Join(all, ", ")
}

func masksOf(t testing.TB, statements ...access.PolicyStatement) access.Masks {
	t.Helper()
	return mustRules(t, world([]*access.Policy{pol("app", append([]access.PolicyStatement{allow("db:*", "*")}, statements...)...)}, nil)).Masks()
}

// TestDocumentMasks: what each statement hides of the documents of a resource, on each way. Statements count from 2.
func TestDocumentMasks(t *testing.T) {
	const path = "orders-db/v1/customers"
	email, ssn := []string{"$.customers[*].email"}, []string{"**.ssn"}
	for _, tc := range []struct {
		name      string
		masks     []access.PolicyStatement
		resource  string
		shown     string
		sent      string
		otherwise string // what Fields, Field and Detect say
	}{
		{"by path", []access.PolicyStatement{inside("hash", "", email, nil, path)}, path, "$.customers[*].email hash 2", "", "false  []"},
		{"below the resource", []access.PolicyStatement{inside("hash", "", email, nil, path)}, path + "/42/orders", "$.customers[*].email hash 2", "", "false  []"},
		{"beside the resource", []access.PolicyStatement{inside("hash", "", email, nil, path)}, path + "2", "", "", "false  []"},
		{"by header", []access.PolicyStatement{inside("redact", "response", nil, []string{"X-Card"}, path)}, path, "header x-card redact 2", "", "false  []"},
		{"both, of requests", []access.PolicyStatement{inside("null", "request", ssn, []string{"X-Card"}, path)}, path, "", "$.**.ssn null 2, header x-card null 2", "false  []"},
		{"both ways", []access.PolicyStatement{inside("null", "both", ssn, nil, path)}, path, "$.**.ssn null 2", "$.**.ssn null 2", "false  []"},
		{"as a whole", []access.PolicyStatement{masked(nil, path)}, path, "whole redact 2", "", "true redact []"},
		{"as a whole, by what is above", []access.PolicyStatement{masked(nil, "orders-db/v1")}, path, "whole redact 2", "", "true redact []"},
		{"a whole beside a path", []access.PolicyStatement{masked(nil, path), inside("hash", "", email, nil, path)}, path, "whole redact 2, $.customers[*].email hash 3", "", "true redact []"},
		{"equal paths add up", []access.PolicyStatement{inside("hash", "", ssn, nil, "*"), inside("redact", "", ssn, nil, path)}, path, "$.**.ssn redact 3", "", "false  []"},
		{"equal paths, written otherwise", []access.PolicyStatement{inside("redact", "", []string{`$["a"].b`}, nil, "*"), inside("hash", "", []string{"$.a.b"}, nil, path)}, path, "$.a.b redact 2", "", "false  []"},
		{"equal paths of one statement", []access.PolicyStatement{inside("hash", "", []string{`$["a"]`, "$.a"}, nil, path)}, path, "$.a hash 2", "", "false  []"},
		{"equal headers add up", []access.PolicyStatement{inside("hash", "", nil, []string{"X-Card", "x-card"}, "*"), inside("null", "", nil, []string{"X-CARD"}, path)}, path, "header x-card null 3", "", "false  []"},
		{"the other way adds nothing", []access.PolicyStatement{inside("hash", "", ssn, nil, "*"), inside("redact", "request", ssn, nil, path)}, path, "$.**.ssn hash 2", "$.**.ssn redact 3", "false  []"},
		{"a detector", []access.PolicyStatement{finding("hash", "", "US_SSN")}, path, "US_SSN hash 2", "", "false  [US_SSN hash]"},
		{"a detector of a connection", []access.PolicyStatement{finding("hash", "", "US_SSN", "orders-db/*")}, path, "US_SSN hash 2", "", "false  [US_SSN hash]"},
		{"a detector of the resource", []access.PolicyStatement{finding("hash", "", "US_SSN", path)}, path + "/1", "US_SSN hash 2", "", "false  [US_SSN hash]"},
		{"a detector of another resource", []access.PolicyStatement{finding("hash", "", "US_SSN", "orders-db/v2")}, path, "", "", "false  [US_SSN hash]"},
		{"a detector of requests", []access.PolicyStatement{finding("hash", "request", "US_SSN")}, path, "", "US_SSN hash 2", "false  []"},
		{"detectors add up", []access.PolicyStatement{finding("hash", "", "US_SSN"), finding("redact", "both", "US_SSN", path), finding("hash", "", "EMAIL_ADDRESS")}, path, "EMAIL_ADDRESS hash 4, US_SSN redact 3", "US_SSN redact 3", "false  [EMAIL_ADDRESS hash US_SSN redact]"},
		{"for others only", []access.PolicyStatement{when(inside("hash", "", ssn, nil, path), `claims.env == "dev"`), inside("hash", "", email, nil, path)}, path, "$.customers[*].email hash 3", "", "false  []"},
		{"a condition on the request hides", []access.PolicyStatement{when(inside("hash", "both", ssn, nil, path), `request.method == "GET"`)}, path, "$.**.ssn hash 2", "$.**.ssn hash 2", "false  []"},
		{"of another connection", []access.PolicyStatement{inside("hash", "both", ssn, nil, "jobs/*"), masked(nil, path+".x")}, path, "", "", "true  []"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := masksOf(t, tc.masks...)
			for range 2 { // the second answer is remembered
				if got := sayDocument(m.Document(tc.resource, access.ToClient)); got != tc.shown {
					t.Errorf("shown: %q, want %q", got, tc.shown)
				}
				if got := sayDocument(m.Document(tc.resource, access.ToBackend)); got != tc.sent {
					t.Errorf("sent: %q, want %q", got, tc.sent)
				}
			}
			field := fieldMask(m, tc.resource)
			var detect []string
			for _, d := range m.Detect() {
				detect = append(detect, d.Entity+" "+string(d.Mask.Strategy))
			}
			if got := fmt.Sprintf("%t %s %s", m.Fields(), strings.Trim(field, "-"), detect); got != tc.otherwise {
				t.Errorf("otherwise %q, want %q", got, tc.otherwise)
			}
		})
	}
}

// TestDocumentAnswersAreShared: an answer costs nothing to give again, and its parts are found again by their address, from
// several goroutines at once.
func TestDocumentAnswersAreShared(t *testing.T) {
	m := masksOf(t, inside("hash", "", []string{"**.ssn"}, nil, "orders-db/a"), inside("redact", "", []string{"**.ssn"}, nil, "orders-db/a/b"))
	for resource, allocations := range map[string]float64{"orders-db/a": 0, "orders-db/a/b": 0, "orders-db/c": 0} {
		first := m.Document(resource, access.ToClient)
		done := make(chan access.DocumentMasks)
		for range 4 {
			go func() { done <- m.Document(resource, access.ToClient) }()
		}
		for range 4 {
			if again := <-done; len(first.Paths) > 0 && &again.Paths[0] != &first.Paths[0] {
				t.Errorf("%s: another answer", resource)
			}
		}
		if n := testing.AllocsPerRun(100, func() { m.Document(resource, access.ToClient) }); n > allocations {
			t.Errorf("%s: %v allocations", resource, n)
		}
	}
}

// TestDocumentAnswersAreBounded: a client that asks for all combinations of statements gets right answers, and fills no memory.
func TestDocumentAnswersAreBounded(t *testing.T) {
	var statements []access.PolicyStatement
	for i := range 12 {
		statements = append(statements, inside("hash", "", []string{fmt.Sprintf("$.f%d", i)}, nil, fmt.Sprintf("orders-db/*%c*", 'a'+i)))
	}
	m := masksOf(t, statements...)
	for set := range 1 << len(statements) {
		name, want := "orders-db/", 0
		for i := range statements {
			if set&(1<<i) != 0 {
				name, want = name+string(rune('a'+i)), want+1
			}
		}
		if got := m.Document(name+"0", access.ToClient); len(got.Paths) != want {
			t.Fatalf("%s: %s", name, sayDocument(got))
		}
	}
}

// TestExplainDocuments: an explanation of a request says what is hidden of its documents, and where.
func TestExplainDocuments(t *testing.T) {
	const path = "orders-db/v1/customers"
	r := mustRules(t, world([]*access.Policy{pol("app", allow("db:*", "*"), inside("hash", "both", []string{"**.ssn"}, nil, path),
		inside("redact", "", nil, []string{"X-Card"}, path), finding("redact", "", "US_SSN", path), masked(nil, path+"/secret"))}, nil))
	e := r.Explain(stmt(act("db:Select", path)), post(refund))
	for _, want := range []string{
		"$.**.ssn in each response of " + path + ": hash, statement 2 of policy app", "$.**.ssn in each request of " + path + ": hash",
		"header x-card in each response of " + path + ": redact, statement 3", "US_SSN in each response of " + path + ": redact",
	} {
		if !strings.Contains(e.String(), want) {
			t.Errorf("no %q in\n%s", want, e)
		}
	}
	if e = r.Explain(stmt(act("db:Select", path+"/secret")), post(refund)); !strings.Contains(e.String(), "all in each response of "+path+"/secret: redact") {
		t.Error(e)
	}
	if e = r.Explain(stmt(act("db:Select", path)), input()); len(e.Documents) > 0 || !strings.Contains(e.String(), "US_SSN in any value") {
		t.Error(e)
	}
}

func drawInside(t *rapid.T) access.PolicyStatement {
	resources := rapid.SliceOfN(rapid.SampledFrom([]string{"*", "orders-db", "orders-db/a", "orders-db/*b", "orders-db/a/b", "jobs/a"}), 1, 2).Draw(t, "resources")
	s := masked(rapid.SampledFrom([]*access.MaskWith{nil, {Word: "hash"}, {Word: "null"}, {Partial: &access.PartialWith{KeepFirst: 1, KeepLast: 4}},
		{Partial: &access.PartialWith{KeepFirst: 3, KeepLast: 2}}}).Draw(t, "with"), resources...)
	switch rapid.IntRange(0, 2).Draw(t, "what") {
	case 0:
		return s
	case 1:
		s.Detect = rapid.SliceOfN(rapid.SampledFrom([]string{"US_SSN", "EMAIL_ADDRESS"}), 1, 2).Draw(t, "detect")
		if rapid.Bool().Draw(t, "everywhere") {
			s.Resources = nil
		}
	default:
		s.Fields = rapid.SliceOfN(rapid.SampledFrom([]string{"$.a", `$["a"]`, "**.a", "$.b[*]"}), 1, 3).Draw(t, "fields")
		s.Headers = rapid.SliceOfN(rapid.SampledFrom([]string{"X-A", "x-a", "x-b"}), 0, 2).Draw(t, "headers")
	}
	s.In = rapid.SampledFrom([]string{"", "response", "request", "both"}).Draw(t, "in")
	return s
}

// hidden is what a document's masks hide, by what they hide.
func hidden(d access.DocumentMasks) map[string]access.Mask {
	all := map[string]access.Mask{}
	if d.Whole != nil {
		all["whole"] = *d.Whole
	}
	for _, p := range d.Paths {
		all["path "+p.Path] = p.Mask
	}
	for _, h := range d.Headers {
		all["header "+h.Name] = h.Mask
	}
	for _, x := range d.Detect {
		all["detect "+x.Entity] = x.Mask
	}
	return all
}

// TestRapidDocumentNeverShows: one more mask never shows more of any document; none is hidden twice; the order of statements
// decides nothing.
func TestRapidDocumentNeverShows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.Custom(drawInside)
		list := rapid.SliceOfN(draw, 1, 5).Draw(t, "masks")
		compile := func(statements []access.PolicyStatement, guard []access.PolicyStatement) access.Masks {
			app := append([]access.PolicyStatement{allow("db:*", "*")}, statements...)
			var guards []*access.Policy
			if len(guard) > 0 {
				guards = append(guards, pol("guard", guard...))
			}
			s, err := policy.Compile(world([]*access.Policy{pol("app", app...)}, guards), vocab(), 1)
			if err != nil {
				t.Fatal(err)
			}
			r, err := s.Rules(caller(), "orders-db")
			if err != nil {
				t.Fatal(err)
			}
			return r.Masks()
		}
		before := compile(list, nil)
		var after access.Masks
		if extra := draw.Draw(t, "one more"); rapid.Bool().Draw(t, "as a guardrail") {
			after = compile(list, []access.PolicyStatement{extra})
		} else {
			at := rapid.IntRange(0, len(list)).Draw(t, "at")
			after = compile(slices.Insert(slices.Clone(list), at, extra), nil)
		}
		mixed := compile(rapid.Permutation(list).Draw(t, "mixed"), nil)
		if before == nil {
			return
		}
		for _, resource := range []string{"orders-db/a", "orders-db/a/b", "orders-db/b", "orders-db/a/b/c", "orders-db"} {
			for _, way := range []access.Way{access.ToClient, access.ToBackend} {
				was, now, other := before.Document(resource, way), hidden(after.Document(resource, way)), hidden(mixed.Document(resource, way))
				if n := len(was.Paths) + len(was.Headers) + len(was.Detect); len(hidden(was)) < n {
					t.Fatalf("%s: something is hidden twice in %s", resource, sayDocument(was))
				}
				if len(other) != len(hidden(was)) {
					t.Fatalf("%s: the order decides: %v", resource, other)
				}
				for what, mask := range hidden(was) {
					if m, still := now[what]; !still || !hides(m, mask) {
						t.Fatalf("%s: %s was %+v and is %+v", resource, what, mask, m)
					}
					if m := other[what]; !hides(m, mask) || !hides(mask, m) {
						t.Fatalf("%s: the order decides: %s %+v, %+v", resource, what, mask, m)
					}
				}
			}
		}
	})
}

func BenchmarkDocument(b *testing.B) {
	var statements []access.PolicyStatement
	for i := range 20 {
		statements = append(statements, inside("hash", "", []string{"**.ssn"}, nil, fmt.Sprintf("orders-db/v1/kind%d/*", i)))
	}
	m := masksOf(b, append(statements, inside("hash", "", []string{"**.email"}, nil, "*"))...)
	b.ReportAllocs()
	for b.Loop() {
		if d := m.Document("orders-db/v1/kind7/42", access.ToClient); len(d.Paths) != 2 {
			b.Fatal(sayDocument(d))
		}
	}
}
