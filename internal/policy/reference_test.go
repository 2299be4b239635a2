package policy_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/internal/access"
	"gatehouse/internal/policy"
)

// The naive implementation: regular expressions instead of patterns, Go functions instead of CEL, no preparation.

// world of one random case.
type randomCase struct {
	app, guard [][]access.PolicyStatement
	st         *access.Statement
	in         *access.Input
}

// truth values of the conditions that the generator uses: 1 true, 0 false, -1 no value.
func naiveCondition(text string, st *access.Statement, a access.Action, in *access.Input) int {
	of := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	switch text {
	case "", "true":
		return 1
	case "false":
		return 0
	case `claims.env == "prod"`:
		return 1
	case `claims.nope == "x"`:
		return -1
	case `action.bounded`:
		return of(st.Bounded)
	case `action.name == "db:Delete"`:
		return of(a.Name == "db:Delete")
	case `!action.bounded || action.estimated_rows > 100`:
		if !st.Bounded {
			return 1
		}
		if in.Estimated == nil {
			return -1
		}
		return of(*in.Estimated > 100)
	case `size(params) > 1 && params[1] == "y"`:
		return of(len(in.Params) > 1 && in.Params[1] == "y")
	case `request.method == "POST" && request.body.n > 1`:
		switch {
		case in.Request == nil:
			return -1
		case in.Request.Method != "POST":
			return 0
		case in.Request.Body() == nil:
			return -1
		}
		return of(in.Request.Body().(map[string]any)["n"].(int64) > 1)
	}
	panic(text)
}

func conditions() []string {
	return []string{"", "", "true", "false", `claims.env == "prod"`, `claims.nope == "x"`, `action.bounded`, `action.name == "db:Delete"`,
		`!action.bounded || action.estimated_rows > 100`, `size(params) > 1 && params[1] == "y"`, `request.method == "POST" && request.body.n > 1`}
}

func naiveMatch(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`(?s)\A` + strings.Join(parts, ".*") + `\z`).MatchString(s)
}

func naiveCovers(pattern, s string) bool {
	for i := 0; i <= len(s); i++ {
		if (i == len(s) || s[i] == '.' || s[i] == '/') && naiveMatch(pattern, s[:i]) {
			return true
		}
	}
	return false
}

// naiveMeets says the same of some resource of a set, trying whatever either may go on with.
func naiveMeets(pattern, set string) bool {
	type place struct{ p, s int }
	seen := map[place]bool{}
	var try func(p, s string) bool
	try = func(p, s string) bool {
		at := place{len(p), len(s)}
		if seen[at] {
			return false
		}
		seen[at] = true
		rest := strings.HasPrefix(s, "**")
		word := !rest && strings.HasPrefix(s, "*")
		after := strings.TrimLeft(s, "*")
		switch {
		case p == "" && s == "" || p == "" && rest:
			return true
		case p == "" && !word:
			return strings.ContainsAny(s[:1], "./")
		case p == "":
			return try(p, after)
		case p[0] == '*':
			return try(p[1:], s) || (rest || word) && try(p, after) || s != "" && !rest && !word && try(p, s[1:])
		case rest, word:
			return try(p, after) || (rest || !strings.ContainsAny(p[:1], "./")) && try(p[1:], s)
		}
		return s != "" && p[0] == s[0] && try(p[1:], s[1:])
	}
	return try(pattern, set)
}

func naiveActions(st access.PolicyStatement, a access.Action) bool {
	return slices.ContainsFunc(st.Actions, func(p string) bool {
		if st.Effect == "allow" && a.Name == "db:Opaque" {
			return p == a.Name
		}
		return naiveMatch(p, a.Name)
	})
}

func naiveApplies(ps access.PolicyStatement, st *access.Statement, a access.Action, in *access.Input) bool {
	if !naiveActions(ps, a) {
		return false
	}
	value := naiveCondition(ps.Condition, st, a, in)
	if ps.Effect == "allow" {
		matches := func(s string) bool {
			return slices.ContainsFunc(ps.Resources, func(p string) bool { return naiveMatch(p, s) })
		}
		fields := len(a.Fields) > 0
		for _, f := range a.Fields {
			fields = fields && matches(f)
		}
		return value == 1 && (matches(a.Resource) || fields)
	}
	covers := func(s string) bool {
		return slices.ContainsFunc(ps.Resources, func(p string) bool { return naiveCovers(p, s) })
	}
	if a.Wild {
		return value != 0 && slices.ContainsFunc(ps.Resources, func(p string) bool { return naiveMeets(p, a.Resource) })
	}
	return value != 0 && (covers(a.Resource) || slices.ContainsFunc(a.Fields, covers))
}

func naiveDecide(c randomCase) access.Effect {
	all := slices.Concat(slices.Concat(c.app...), slices.Concat(c.guard...))
	effect := access.Allow
	for i, a := range slices.Concat(c.st.Actions, c.st.Related) {
		some := func(want string) bool {
			return slices.ContainsFunc(all, func(ps access.PolicyStatement) bool {
				return ps.Effect == want && naiveApplies(ps, c.st, a, c.in)
			})
		}
		implied := a.Name == "db:Transaction" || a.Name == "db:Connect" || i >= len(c.st.Actions)
		if some("deny") || (!implied && !some("allow")) {
			return access.Deny
		}
		if some("approve") {
			effect = access.Approve
		}
	}
	return effect
}

func actionPatterns() []string {
	return []string{"db:Select", "db:Delete", "db:*", "*", "*e*", "db:Drop*", "db:Opaque", "db:Transaction", "db:*a*t*"}
}

func resourcePatterns() []string {
	return []string{"*", "orders-db", "orders-db/*", "orders-db/public", customers, customers + ".*", "*.email", "*customers*", customers + ".id",
		"orders-db/public.*.id", "orders-*/public.orders", "*.*.*", "other/*", "jobs/*", "orders-db/*.ssn"}
}

func drawStatement(t *rapid.T, effects ...string) access.PolicyStatement {
	ps := access.PolicyStatement{Effect: rapid.SampledFrom(effects).Draw(t, "effect")}
	ps.Resources = rapid.SliceOfN(rapid.SampledFrom(resourcePatterns()), 1, 2).Draw(t, "resources")
	ps.Condition = rapid.SampledFrom(conditions()).Draw(t, "condition")
	if ps.Effect == "mask" {
		ps.With = rapid.SampledFrom([]*access.MaskWith{nil, {Word: "hash"}, {Word: "null"}, {Partial: &access.PartialWith{KeepFirst: 1, KeepLast: 4}},
			{Partial: &access.PartialWith{KeepFirst: 3, KeepLast: 2}}, {Truncate: &access.TruncateWith{To: "year"}}, {Truncate: &access.TruncateWith{To: "month"}}}).Draw(t, "with")
		return ps
	}
	ps.Actions = rapid.SliceOfN(rapid.SampledFrom(actionPatterns()), 1, 2).Draw(t, "actions")
	if ps.Effect == "approve" {
		ps.Reviewers = rapid.SampledFrom([][]string{nil, {"dba"}, {"lead", "dba"}}).Draw(t, "reviewers")
		ps.Expires = rapid.SampledFrom([]access.Duration{0, 1e9, 60e9}).Draw(t, "expires")
		ps.Reuse = rapid.Bool().Draw(t, "reuse")
	}
	return ps
}

func drawCase(t *rapid.T) randomCase {
	policies := func(n int, label string, effects ...string) (all [][]access.PolicyStatement) {
		for range rapid.IntRange(0, n).Draw(t, label) {
			var p []access.PolicyStatement
			for range rapid.IntRange(1, 4).Draw(t, "statements") {
				p = append(p, drawStatement(t, effects...))
			}
			all = append(all, p)
		}
		return all
	}
	c := randomCase{
		app:   policies(4, "policies", "allow", "allow", "allow", "deny", "approve", "mask"),
		guard: policies(2, "guardrails", "deny", "approve", "mask"),
		st:    &access.Statement{Bounded: rapid.Bool().Draw(t, "bounded")},
		in:    input(),
	}
	// One allow that is always there and asks for nothing else, so that the connection can be reached.
	c.app = append(c.app, []access.PolicyStatement{allow("db:Insert", "orders-db/zzz")})
	for range rapid.IntRange(1, 3).Draw(t, "actions") {
		a := access.Action{
			Name: rapid.SampledFrom([]string{"db:Select", "db:Delete", "db:DropTable", "db:Opaque", "db:Transaction"}).Draw(t, "action"),
			Resource: rapid.SampledFrom([]string{customers, "orders-db/public.orders", "orders-db/public", "orders-db",
				access.Resource("orders-db", "public.customers"), "orders-db/public.customers2"}).Draw(t, "resource"),
		}
		if rapid.IntRange(0, 3).Draw(t, "a set") == 0 {
			a.Wild = true
			a.Resource = rapid.SampledFrom([]string{"orders-db/*", "orders-db/**", "orders-db/public.*", "orders-db/public.*.id", "orders-db/*.customers",
				"orders-db/public.cust**", "orders-db/**.ssn", "orders-db/public.orders.*"}).Draw(t, "set")
			c.st.Actions = append(c.st.Actions, a)
			continue
		}
		for _, field := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"id", "email", "ssn"}), 0, 2, rapid.ID).Draw(t, "fields") {
			if a.Resource != "orders-db" { // a field is of something inside the connection
				a.Fields = append(a.Fields, a.Resource+"."+field)
			}
		}
		if len(c.st.Actions) > 0 && rapid.Bool().Draw(t, "related") {
			c.st.Related = append(c.st.Related, a)
			continue
		}
		c.st.Actions = append(c.st.Actions, a)
	}
	if rapid.Bool().Draw(t, "estimate known") {
		n := rapid.SampledFrom([]int64{1, 100, 101}).Draw(t, "estimate")
		c.in.Estimated = &n
	}
	c.in.Request = rapid.SampledFrom([]*access.Sent{
		nil, {Method: "GET", Body: number(5)}, {Method: "POST", Body: number(1)}, {Method: "POST", Body: number(2)},
		{Method: "POST", Body: func() any { return nil }},
	}).Draw(t, "request")
	c.in.Params = rapid.SampledFrom([][]any{nil, {"x"}, {"x", "y"}}).Draw(t, "params")
	return c
}

// number is a body that holds one.
func number(n int64) func() any { return func() any { return map[string]any{"n": n} } }

// rules compiles the case; nil where the connection is denied outright.
func (c randomCase) rules(t *rapid.T) *policy.Rules {
	policies := func(label string, all [][]access.PolicyStatement) (out []*access.Policy) {
		for i, statements := range all {
			out = append(out, pol(fmt.Sprintf("%s%d", label, i), statements...))
		}
		return out
	}
	s, err := policy.Compile(world(policies("app", c.app), policies("guard", c.guard)), vocab(), 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Rules(caller(), "orders-db")
	if err != nil {
		return nil
	}
	return r
}

// TestRapidReference: the compiled rules agree with the naive ones; Static, where it is sure, agrees with Decide; and
// the inputs that Needs does not name change nothing.
func TestRapidReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCase(t)
		r := c.rules(t)
		if r == nil {
			connect := c
			connect.st = stmt(act("db:Connect", "orders-db"))
			if naiveDecide(connect) != access.Deny {
				t.Fatal("unreachable, though nothing denies connecting")
			}
			return
		}
		v, want := r.Decide(c.st, c.in), naiveDecide(c)
		if v.Effect != want {
			t.Fatalf("%s, want %s", v.Effect, want)
		}
		if e := r.Explain(c.st, c.in); e.Effect != want.String() {
			t.Fatalf("Explain says %s, want %s", e.Effect, want)
		}
		static, sure := r.Static(c.st)
		if sure && (static.Effect != v.Effect || fmt.Sprint(static.Approval) != fmt.Sprint(v.Approval)) {
			t.Fatalf("Static %+v, Decide %+v", static, v)
		}
		n := r.Needs(c.st)
		if sure != (n == 0) {
			t.Fatalf("static %t, needs %b", sure, n)
		}
		other := *c.in
		if n&policy.NeedsEstimated == 0 {
			other.Estimated = nil
		}
		if n&policy.NeedsParams == 0 {
			other.Params = nil
		}
		if n&(policy.NeedsRequest|policy.NeedsBody) == 0 {
			other.Request = nil
		}
		if v.Effect == access.Approve && !r.MayHold(c.st) {
			t.Fatal("held, and it was said that it would not be")
		}
		if w := r.Decide(c.st, &other); w.Effect != v.Effect {
			t.Fatalf("needs %b, yet %s becomes %s", n, v.Effect, w.Effect)
		}
	})
}

// add returns the case with one more statement in some policy, or in a policy of its own.
func (c randomCase) add(t *rapid.T, ps access.PolicyStatement) randomCase {
	more := c
	more.app, more.guard = slices.Clone(c.app), slices.Clone(c.guard)
	if ps.Effect != "allow" && rapid.Bool().Draw(t, "as a guardrail") {
		more.guard = append(more.guard, []access.PolicyStatement{ps})
		return more
	}
	i := rapid.IntRange(0, len(more.app)-1).Draw(t, "where")
	at := rapid.IntRange(0, len(more.app[i])).Draw(t, "at")
	more.app[i] = slices.Insert(slices.Clone(more.app[i]), at, ps)
	return more
}

// TestRapidDenyNeverAllows: one more deny or approve never lets more through.
func TestRapidDenyNeverAllows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCase(t)
		r, more := c.rules(t), c.add(t, drawStatement(t, "deny", "approve")).rules(t)
		if more == nil {
			return
		}
		if r == nil {
			t.Fatal("a deny opened the connection")
		}
		v, w := r.Decide(c.st, c.in), more.Decide(c.st, c.in)
		if w.Effect > v.Effect { // deny < approve < allow
			t.Fatalf("%s became %s", v.Effect, w.Effect)
		}
		if v.Effect == access.Approve && w.Effect == access.Approve {
			if w.Approval.Lifetime > v.Approval.Lifetime || (w.Approval.Reuse && !v.Approval.Reuse) || len(w.Approval.Reviewers) < len(v.Approval.Reviewers) {
				t.Fatalf("%+v became %+v", v.Approval, w.Approval)
			}
		}
	})
}

// hides says that a hides at least as much as b: both orders of the lattice of masks.
func hides(a, b access.Mask) bool {
	rank := func(m access.Mask) int {
		return slices.Index([]access.MaskStrategy{access.MaskTruncate, access.MaskPartial, access.MaskHash, access.MaskRedact, access.MaskNull}, m.Strategy)
	}
	switch {
	case a.Strategy != b.Strategy && rank(a) <= 1 && rank(b) <= 1:
		return false // a partial and a truncation each show what the other hides
	case a.Strategy != b.Strategy:
		return rank(a) > rank(b)
	case a.Strategy == access.MaskPartial:
		return a.KeepFirst <= b.KeepFirst && a.KeepLast <= b.KeepLast
	case a.Strategy == access.MaskTruncate:
		return a.Unit == "year" || b.Unit != "year"
	}
	return true
}

// TestRapidMaskNeverShows: one more mask never shows more of any field.
func TestRapidMaskNeverShows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCase(t)
		r, more := c.rules(t), c.add(t, drawStatement(t, "mask")).rules(t)
		if (r == nil) != (more == nil) {
			t.Fatal("a mask changed who may connect")
		}
		if r == nil || r.Masks() == nil {
			return
		}
		for _, field := range []string{customers + ".id", customers + ".email", customers + ".ssn", "orders-db/public.orders.id", customers} {
			was, masked := r.Masks().Field(field)
			if !masked {
				continue
			}
			now, still := more.Masks().Field(field)
			if !still || !hides(now, was) {
				t.Fatalf("%s: %+v became %+v", field, was, now)
			}
		}
	})
}

// TestRapidOrder: the order of policies and of statements decides nothing.
func TestRapidOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCase(t)
		mixed := c
		mixed.app, mixed.guard = nil, nil
		for _, p := range rapid.Permutation(c.app).Draw(t, "policies") {
			mixed.app = append(mixed.app, rapid.Permutation(p).Draw(t, "statements"))
		}
		for _, p := range rapid.Permutation(c.guard).Draw(t, "guardrails") {
			mixed.guard = append(mixed.guard, rapid.Permutation(p).Draw(t, "statements"))
		}
		r, o := c.rules(t), mixed.rules(t)
		if (r == nil) != (o == nil) {
			t.Fatal("order changed who may connect")
		}
		if r == nil {
			return
		}
		v, w := r.Decide(c.st, c.in), o.Decide(c.st, c.in)
		if v.Effect != w.Effect || fmt.Sprint(v.Approval) != fmt.Sprint(w.Approval) {
			t.Fatalf("%+v\n%+v", v, w)
		}
		for _, field := range []string{customers + ".id", customers + ".email", "orders-db/public.orders.id"} {
			if a, b := fieldMask(r.Masks(), field), fieldMask(o.Masks(), field); a != b {
				t.Fatalf("%s: %s, %s", field, a, b)
			}
		}
	})
}

// FuzzCompile: no text of a document makes the compiler panic, and what compiles decides.
func FuzzCompile(f *testing.F) {
	f.Add("allow", "db:*", "orders-db/*", "claims.env == 'prod'", "sub", "x")
	f.Add("deny", "db:Drop*", "*", "action.text.matches('(?i)drop')", "", "*")
	f.Add("mask", "", "*.ssn", "now.getHours() > params[0]", "a.b", "")
	f.Fuzz(func(t *testing.T, effect, action, resource, condition, claim, value string) {
		d := world([]*access.Policy{pol("p", access.PolicyStatement{Effect: effect, Actions: []string{action}, Resources: []string{resource}, Condition: condition})}, nil)
		d.Roles[0].Bind[0] = access.Binding{Issuer: "ci", Claims: map[string]any{claim: value}, Condition: condition}
		s, err := policy.Compile(d, vocab(), 1)
		if err != nil {
			if len(policy.Problems(err)) == 0 || err.Error() == "" {
				t.Fatalf("an error without a problem: %v", err)
			}
			return
		}
		if r, err := s.Rules(caller(), "orders-db"); err == nil {
			r.Decide(stmt(act("db:Select", customers)), input())
		}
	})
}
