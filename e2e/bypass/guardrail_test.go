package bypass

import "testing"

// guardrails are attacks on what a role may not change. Steps run in the first database; everything on the server has to be
// as it was, and the client has to be told, in step.
var guardrails = []attack{
	{Technique: "drop a table", Channel: "simple", Role: "narrow", Steps: simple("DROP TABLE items")},
	{Technique: "drop a table", Channel: "text", Role: "narrow", Steps: extended("DROP TABLE items", false)},
}

// TestGuardrails: nothing that is denied happens.
func TestGuardrails(t *testing.T) {
	for _, a := range guardrails {
		scores.count(t, "guardrail", a, func(t *testing.T) {
			before := shared.snap(t, 0)
			s := a.run(t, a.Role, left)
			if changed := before.changes(shared.snap(t, 0)); changed != "" {
				t.Errorf("this has changed: %s", changed)
			}
			if !refused(s.heard.String()) {
				t.Error("nothing was refused")
			}
			if t.Failed() {
				t.Logf("heard:\n%s", s.heard.String())
			}
		})
	}
}
