package policy_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/policy"
)

func TestStaticAndNeeds(t *testing.T) {
	all := allow("db:*", "*")
	del := stmt(act("db:Delete", customers))
	loose := &access.Statement{Actions: del.Actions}
	large := `!action.bounded || action.estimated_rows > 100`
	for _, tc := range []struct {
		name   string
		app    []access.PolicyStatement
		st     *access.Statement
		static bool
		needs  policy.Needs
	}{
		{"plain", []access.PolicyStatement{all}, del, true, 0},
		{"the statement decides", []access.PolicyStatement{all, when(approve("db:*", "*"), `!action.bounded`)}, del, true, 0},
		{"the caller decides", []access.PolicyStatement{all, when(deny("db:*", "*"), `claims.env == "dev"`)}, del, true, 0},
		{"a condition about another action", []access.PolicyStatement{all, when(approve("db:Update", "*"), large)}, del, true, 0},
		{"an estimate is needed", []access.PolicyStatement{all, when(approve("db:*", "*"), large)}, del, false, policy.NeedsEstimated},
		{"no estimate is needed where the rest decides", []access.PolicyStatement{all, when(approve("db:*", "*"), large)}, loose, true, 0},
		{"no estimate after a static deny", []access.PolicyStatement{all, when(approve("db:*", "*"), large), deny("db:Delete", "*")}, del, true, 0},
		{"no estimate after a deny of a later action", []access.PolicyStatement{all, when(approve("db:*", "*"), large), deny("db:Insert", "*")}, stmt(act("db:Delete", customers), act("db:Insert", customers)), true, 0},
		{"no estimate where nothing allows", []access.PolicyStatement{allow("db:Select", "*"), when(approve("db:*", "*"), large)}, del, true, 0},
		{"params", []access.PolicyStatement{all, when(deny("db:*", "*"), `params.exists(p, p == "x")`)}, del, false, policy.NeedsParams},
		{"time", []access.PolicyStatement{all, when(deny("db:*", "*"), `now.getHours() > 20`)}, del, false, policy.NeedsTime},
		{"an open allow beside a certain one", []access.PolicyStatement{all, when(allow("db:*", "*"), `now.getHours() > 20`)}, del, true, 0},
		{"only an open allow", []access.PolicyStatement{when(all, `now.getHours() > 20`)}, del, false, policy.NeedsTime},
		{"both", []access.PolicyStatement{all, when(deny("db:*", "*"), `size(params) > 3`), when(approve("db:*", "*"), large)}, del, false, policy.NeedsEstimated | policy.NeedsParams},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := mustRules(t, world([]*access.Policy{pol("app", tc.app...)}, nil))
			if _, static := r.Static(tc.st); static != tc.static {
				t.Errorf("static %t", static)
			}
			if n := r.Needs(tc.st); n != tc.needs {
				t.Errorf("needs %b, want %b", n, tc.needs)
			}
		})
	}
}

func TestTermsMergeToTheStrictest(t *testing.T) {
	hold := func(wait time.Duration, reuse bool, reviewers ...string) access.PolicyStatement {
		s := approve("db:*", "*")
		s.Expires, s.Reuse, s.Reviewers, s.Message = access.Duration(wait), reuse, reviewers, strings.Join(reviewers, "+")
		return s
	}
	all := allow("db:*", "*")
	for _, tc := range []struct {
		name  string
		holds []access.PolicyStatement
		want  access.Terms
	}{
		{"default", []access.PolicyStatement{hold(0, false, "dba")}, access.Terms{Reviewers: [][]string{{"dba"}}, Lifetime: access.Duration(15 * time.Minute)}},
		{"shortest", []access.PolicyStatement{hold(time.Hour, true, "dba"), hold(time.Minute, true, "dba")}, access.Terms{Reviewers: [][]string{{"dba"}}, Lifetime: access.Duration(time.Minute), Reuse: true}},
		{"every list", []access.PolicyStatement{hold(time.Hour, true, "lead", "dba"), hold(time.Hour, false, "lead")}, access.Terms{Reviewers: [][]string{{"dba", "lead"}, {"lead"}}, Lifetime: access.Duration(time.Hour)}},
		{"the operator is a list that no role satisfies", []access.PolicyStatement{hold(time.Hour, true, "dba"), hold(time.Hour, true)}, access.Terms{Reviewers: [][]string{{}, {"dba"}}, Lifetime: access.Duration(time.Hour), Reuse: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := mustRules(t, world([]*access.Policy{pol("app", append(slices.Clone(tc.holds), all)...)}, nil))
			v := r.Decide(stmt(act("db:Select", customers), act("db:Delete", customers)), input())
			if v.Effect != access.Approve || fmt.Sprint(v.Approval) != fmt.Sprint(tc.want) {
				t.Fatalf("%s %+v", v.Effect, v.Approval)
			}
			if v.Because != (access.Because{Policy: "app", Statement: 1}) || v.Action.Name != "db:Select" || v.Message != tc.holds[0].Message {
				t.Fatalf("%+v %+v %q", v.Because, v.Action, v.Message)
			}
		})
	}
}

func TestVerdictNamesTheStatement(t *testing.T) {
	no := deny("db:Drop*", "*")
	no.Message = "Schema changes go through migrations."
	r := mustRules(t, world([]*access.Policy{pol("app", allow("db:*", "*"), no)}, []*access.Policy{pol("guard", deny("db:Truncate", "*"))}))
	v := r.Decide(stmt(act("db:Select", customers), act("db:DropTable", customers)), input())
	if v.Effect != access.Deny || v.Because != (access.Because{Policy: "app", Statement: 2}) || v.Action.Name != "db:DropTable" || v.Message != no.Message {
		t.Errorf("%+v", v)
	}
	if v = r.Decide(stmt(act("db:Truncate", customers)), input()); v.Because != (access.Because{Policy: "guard", Statement: 1, Guardrail: true}) {
		t.Errorf("%+v", v.Because)
	}
	if v = r.Decide(stmt(act("db:Select", customers)), input()); v.Because != (access.Because{Policy: "app", Statement: 1}) {
		t.Errorf("%+v", v.Because)
	}
}

func TestMasks(t *testing.T) {
	partial := func(first, last int) *access.MaskWith {
		return &access.MaskWith{Partial: &access.PartialWith{KeepFirst: first, KeepLast: last}}
	}
	cut := func(to string) *access.MaskWith { return &access.MaskWith{Truncate: &access.TruncateWith{To: to}} }
	say := func(w string) *access.MaskWith { return &access.MaskWith{Word: w} }
	email := customers + ".email"
	for _, tc := range []struct {
		name  string
		app   []access.PolicyStatement
		guard []access.PolicyStatement
		field string
		want  string
	}{
		{"none", nil, nil, email, "-"},
		{"by field", []access.PolicyStatement{masked(nil, email)}, nil, email, "redact"},
		{"another field", []access.PolicyStatement{masked(nil, email)}, nil, email + "s", "-"},
		{"by suffix", []access.PolicyStatement{masked(nil, "*.ssn")}, nil, customers + ".ssn", "redact"},
		{"suffix needs its dot", []access.PolicyStatement{masked(nil, "*.ssn")}, nil, customers + ".xssn", "-"},
		{"by table", []access.PolicyStatement{masked(say("hash"), customers)}, nil, email, "hash"},
		{"by schema", []access.PolicyStatement{masked(say("null"), "orders-db/public")}, nil, email, "null"},
		{"by connection", []access.PolicyStatement{masked(nil, "orders-db")}, nil, email, "redact"},
		{"by guardrail", nil, []access.PolicyStatement{masked(nil, "*.email")}, email, "redact"},
		{"role and guardrail add up", []access.PolicyStatement{masked(partial(0, 4), email)}, []access.PolicyStatement{masked(say("hash"), "*.email")}, email, "hash"},
		{"fewest characters", []access.PolicyStatement{masked(partial(1, 4), email), masked(partial(2, 2), email)}, nil, email, "partial 1 2"},
		{"year over month", []access.PolicyStatement{masked(cut("month"), email), masked(cut("year"), email)}, nil, email, "truncate year"},
		{"partial and truncate show different things", []access.PolicyStatement{masked(cut("year"), email), masked(partial(0, 4), email)}, nil, email, "hash"},
		{"null over all", []access.PolicyStatement{masked(nil, email), masked(say("null"), email), masked(say("hash"), email)}, nil, email, "null"},
		{"for others only", []access.PolicyStatement{when(masked(nil, email), `claims.env == "dev"`)}, nil, email, "-"},
		{"a condition that fails hides", []access.PolicyStatement{when(masked(nil, email), `claims.nope == "dev"`)}, nil, email, "redact"},
		{"a condition on the request hides", []access.PolicyStatement{when(masked(nil, email), `now.getHours() > 30`)}, nil, email, "redact"},
		{"a condition on the action hides", []access.PolicyStatement{when(masked(nil, email), `action.bounded && false`)}, nil, email, "redact"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			app := append([]access.PolicyStatement{allow("db:Select", "*")}, tc.app...)
			var guard []*access.Policy
			if tc.guard != nil {
				guard = append(guard, pol("guard", tc.guard...))
			}
			m := mustRules(t, world([]*access.Policy{pol("app", app...)}, guard)).Masks()
			if got := fieldMask(m, tc.field); got != tc.want {
				t.Fatalf("%q, want %q", got, tc.want)
			}
		})
	}
}

func fieldMask(m access.Masks, field string) string {
	if m == nil {
		return "-"
	}
	got, ok := m.Field(field)
	switch {
	case !ok:
		return "-"
	case got.Strategy == access.MaskPartial:
		return fmt.Sprintf("partial %d %d", got.KeepFirst, got.KeepLast)
	case got.Strategy == access.MaskTruncate:
		return "truncate " + got.Unit
	}
	return string(got.Strategy)
}

func TestDetections(t *testing.T) {
	find := func(word string, resources []string, entities ...string) access.PolicyStatement {
		return access.PolicyStatement{Effect: "mask", Detect: entities, Resources: resources, With: &access.MaskWith{Word: word}}
	}
	r := mustRules(t, world([]*access.Policy{pol("app", allow("db:*", "*"), find("hash", nil, "US_SSN", "EMAIL_ADDRESS"),
		find("redact", []string{"orders-db/*"}, "US_SSN"), find("null", []string{"jobs"}, "PHONE_NUMBER"))}, nil))
	m := r.Masks()
	if m.Fields() {
		t.Error("there are no masks by field")
	}
	var got []string
	for _, d := range m.Detect() {
		got = append(got, d.Entity+" "+string(d.Mask.Strategy)+" "+fmt.Sprint(d.Mask.Because.Statement))
	}
	if want := "[EMAIL_ADDRESS hash 2 US_SSN redact 3]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestExplain(t *testing.T) {
	hold := when(approve("db:Delete", "*"), `action.estimated_rows > 100`)
	hold.Reviewers = []string{"dba"}
	r := mustRules(t, world([]*access.Policy{pol("app", allow("db:*", "orders-db/*"), hold, masked(nil, "*.email"), allow("db:Select", "jobs/x"))},
		[]*access.Policy{pol("guard", when(deny("db:*", "*"), `claims.env == "dev"`))}))
	e := r.Explain(stmt(act("db:Delete", customers, customers+".email")), input())
	text := e.String()
	for _, want := range []string{
		"verdict     approve", "statement 2 of policy app", "by dba, within 15m0s", "action.estimated_rows is not known; for approve that counts as true",
		"- deny    statement 1 of policy guard (guardrail): the condition is false", "+ allow   statement 1 of policy app: action and resource match",
		"- allow   statement 4 of policy app: other actions", customers + ".email: redact", "held by statement 2",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if e = r.Explain(stmt(act("db:Delete", customers)), nil); e.Effect != "depends on the request" {
		t.Error(e.Effect)
	}
	if e = r.Explain(stmt(act("db:Opaque", "orders-db/x"), act("nope:X", "y")), nil); !strings.Contains(e.String(), "outright") || !strings.Contains(e.String(), "not an action of this connection") {
		t.Error(e)
	}
	b, err := json.Marshal(e)
	if err != nil || !strings.Contains(string(b), `"effect":"deny"`) || !strings.Contains(string(b), `"considered":[{"policy":`) {
		t.Errorf("%s %v", b, err)
	}
}

// TestRulesAreBound: what in says of the caller is not read, so that a verdict is always about who logged in.
func TestRulesAreBound(t *testing.T) {
	r := mustRules(t, world([]*access.Policy{pol("app", allow("db:Select", "*"), when(allow("db:Delete", "*"), `claims.env == "admin" && now > timestamp("2000-01-01T00:00:00Z")`))}, nil))
	in := input()
	in.Principal = &access.Principal{Claims: map[string]any{"env": "admin"}}
	if v := r.Decide(stmt(act("db:Delete", customers)), in); v.Effect != access.Deny {
		t.Fatal(v.Effect)
	}
}

func BenchmarkStatic(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("policies=%d", n), func(b *testing.B) {
			r := mustRules(b, world(many(n), nil))
			st := stmt(act("db:Select", customers, customers+".id", customers+".email"))
			b.ReportAllocs()
			for b.Loop() {
				if v, ok := r.Static(st); !ok || v.Effect != access.Allow {
					b.Fatal(v, ok)
				}
			}
		})
	}
}

func BenchmarkDecideCEL(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("policies=%d", n), func(b *testing.B) {
			d := world(append(many(n), pol("hold", when(approve("db:Delete", "*"), `!action.bounded || action.estimated_rows > 100`))), nil)
			r, st, in := mustRules(b, d), stmt(act("db:Delete", customers)), rows(5)
			b.ReportAllocs()
			for b.Loop() {
				r.Decide(st, in)
			}
		})
	}
}

func BenchmarkRules(b *testing.B) {
	s := mustCompile(b, world(many(100), nil))
	p := caller()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Rules(p, "orders-db"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	d := world(many(100), nil)
	for b.Loop() {
		mustCompile(b, d)
	}
}

// many makes policies of the usual shape; the last one allows what the benchmarks ask.
func many(n int) []*access.Policy {
	var all []*access.Policy
	for i := range n {
		table := fmt.Sprintf("orders-db/public.table_%d", n-i)
		if i == n-1 {
			table = customers
		}
		all = append(all, pol(fmt.Sprintf("p%03d", i), allow("db:*", table), deny("db:Drop*", "*"), masked(nil, table+".email", "*.ssn"),
			when(deny("db:Update", "*"), `claims.env == "dev"`)))
	}
	return all
}

// TestDefaultWait: how long an approval waits is the policy's word, else the caller of Compile's, else 15 minutes; the
// caller's is checked like a policy's.
func TestDefaultWait(t *testing.T) {
	own := approve("db:Delete", "*")
	own.Expires = access.Duration(time.Minute)
	for _, tc := range []struct {
		name string
		d    policy.Defaults
		st   access.PolicyStatement
		want time.Duration
	}{
		{"nobody says", policy.Defaults{}, approve("db:Delete", "*"), 15 * time.Minute},
		{"the configuration says", policy.Defaults{Wait: time.Hour}, approve("db:Delete", "*"), time.Hour},
		{"the policy says", policy.Defaults{Wait: time.Hour}, own, time.Minute},
	} {
		s, err := tc.d.Compile(world([]*access.Policy{pol("app", allow("db:*", "*"), tc.st)}, nil), vocab(), 1)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Rules(caller(), "orders-db")
		if err != nil {
			t.Fatal(err)
		}
		v := r.Decide(stmt(act("db:Delete", customers)), input())
		if v.Effect != access.Approve || v.Approval.Lifetime != access.Duration(tc.want) {
			t.Errorf("%s: %v for %v, want to wait for %v", tc.name, v.Effect, time.Duration(v.Approval.Lifetime), tc.want)
		}
	}
	for _, wait := range []time.Duration{-1, time.Millisecond, 25 * time.Hour} {
		d := world([]*access.Policy{pol("app", approve("db:Delete", "*"))}, nil)
		if _, err := (policy.Defaults{Wait: wait}).Compile(d, vocab(), 1); err == nil {
			t.Errorf("a default wait of %v compiles", wait)
		}
	}
}
