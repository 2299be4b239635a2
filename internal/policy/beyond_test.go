package policy_test

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/policy"
)

// upTo is a deny of what goes beyond some rows.
func upTo(rows, bytes int, per time.Duration) access.PolicyStatement {
	s := deny("db:Select", "orders-db/*")
	s.Message, s.Beyond = "enough", &access.ResultBudget{Rows: rows, Bytes: bytes, Per: access.Duration(per)}
	return s
}

// TestBeyondDeniesNothingOutright: a deny with a budget puts limits into the verdict, where it applies, and denies nothing by
// itself; plain denies stay what they are.
func TestBeyondDeniesNothingOutright(t *testing.T) {
	all := allow("db:*", "*")
	read, write := stmt(act("db:Select", customers)), stmt(act("db:Delete", customers))
	for _, tc := range []struct {
		name  string
		app   []access.PolicyStatement
		guard []access.PolicyStatement
		st    *access.Statement
		want  access.Effect
		rows  []int64
	}{
		{"it applies", []access.PolicyStatement{all, upTo(5, 0, time.Hour)}, nil, read, access.Allow, []int64{5}},
		{"of two actions, one", []access.PolicyStatement{all, upTo(5, 0, time.Hour)}, nil, stmt(write.Actions[0], read.Actions[0]), access.Allow, []int64{5}},
		{"another action", []access.PolicyStatement{all, upTo(5, 0, time.Hour)}, nil, write, access.Allow, nil},
		{"a guardrail's comes first", []access.PolicyStatement{all, upTo(5, 0, time.Hour)}, []access.PolicyStatement{upTo(7, 9, time.Hour)}, read, access.Allow, []int64{7, 5}},
		{"beside a deny", []access.PolicyStatement{all, upTo(5, 0, time.Hour), deny("db:Select", "*")}, nil, read, access.Deny, nil},
		{"beside an approve", []access.PolicyStatement{all, upTo(5, 0, time.Hour), approve("db:Select", "*")}, nil, read, access.Approve, []int64{5}},
		{"it allows nothing", []access.PolicyStatement{allow("db:Delete", "*"), upTo(5, 0, time.Hour)}, nil, read, access.Deny, nil},
		{"its condition is false", []access.PolicyStatement{all, when(upTo(5, 0, time.Hour), `claims.env == "dev"`)}, nil, read, access.Allow, nil},
		{"its condition has no value", []access.PolicyStatement{all, when(upTo(5, 0, time.Hour), `claims.nope == "x"`)}, nil, read, access.Allow, []int64{5}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var guard []*access.Policy
			if tc.guard != nil {
				guard = append(guard, pol("guard", tc.guard...))
			}
			r := mustRules(t, world([]*access.Policy{pol("app", tc.app...)}, guard))
			v, static := r.Static(tc.st)
			if !static || v.Effect != tc.want || len(v.Results) != len(tc.rows) {
				t.Fatalf("static %t, %s, %+v", static, v.Effect, v.Results)
			}
			for i, l := range v.Results {
				if l.Rows != (access.Budget{Count: tc.rows[i], Per: time.Hour}) || l.Message != "enough" || l.Because.Policy == "" {
					t.Errorf("%+v", l)
				}
			}
		})
	}
	r := mustRules(t, world([]*access.Policy{pol("app", all, upTo(5, 6, time.Hour))}, nil))
	if e := r.Explain(read, input()).String(); !strings.Contains(e, "denies only results beyond 5 rows 6 bytes in 1h0m0s") {
		t.Errorf("the explanation does not say so:\n%s", e)
	}
	r = mustRules(t, world([]*access.Policy{pol("app", all, when(upTo(5, 0, time.Hour), `action.estimated_rows > 3`))}, nil))
	if n := r.Needs(read); n != policy.NeedsEstimated {
		t.Errorf("what its condition reads is not asked for: %b", n)
	}
}
