package policy_test

import (
	"testing"
	"time"

	"gatehouse/internal/access"
)

// TestLookupsOnlyIfAllAllow: a field may be looked up by only if every mask that binds it says so, and then within the
// smallest budget. A guardrail is one more mask.
func TestLookupsOnlyIfAllAllow(t *testing.T) {
	all := allow("db:*", "*")
	plain := masked(&access.MaskWith{Word: "hash"}, "*.email")
	day := func(n int) access.PolicyStatement { return looking(lookups(n, 24*time.Hour)) }
	for name, tc := range map[string]struct {
		app, guard []access.PolicyStatement
		want       access.Budget
	}{
		"not said":                  {app: []access.PolicyStatement{plain}},
		"said, without a budget":    {app: []access.PolicyStatement{looking(nil)}, want: access.Budget{Count: 100, Per: time.Hour}},
		"said, with a budget":       {app: []access.PolicyStatement{day(7)}, want: access.Budget{Count: 7, Per: 24 * time.Hour}},
		"two budgets":               {app: []access.PolicyStatement{looking(nil), day(7)}, want: access.Budget{Count: 7, Per: 24 * time.Hour}},
		"two budgets, crossed":      {app: []access.PolicyStatement{looking(lookups(3, time.Minute)), day(70)}, want: access.Budget{Count: 3, Per: 24 * time.Hour}},
		"another mask says nothing": {app: []access.PolicyStatement{looking(nil), plain}},
		"in the other order":        {app: []access.PolicyStatement{plain, looking(nil)}},
		"a guardrail says nothing":  {app: []access.PolicyStatement{looking(nil)}, guard: []access.PolicyStatement{plain}},
		"only a guardrail says so":  {app: []access.PolicyStatement{plain}, guard: []access.PolicyStatement{looking(nil)}},
		"a guardrail's budget":      {app: []access.PolicyStatement{looking(nil)}, guard: []access.PolicyStatement{day(5)}, want: access.Budget{Count: 5, Per: 24 * time.Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			var guard []*access.Policy
			if len(tc.guard) > 0 {
				guard = []*access.Policy{pol("guard", tc.guard...)}
			}
			r := mustRules(t, world([]*access.Policy{pol("app", append(tc.app, all)...)}, guard))
			m, ok := r.Masks().Field(customers + ".email")
			if !ok || m.Lookup != tc.want {
				t.Errorf("%+v, want %+v", m, tc.want)
			}
		})
	}
}
