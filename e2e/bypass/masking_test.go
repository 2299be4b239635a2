package bypass

import (
	"slices"
	"testing"
)

// TestMasking: no attack tells masked values apart, or brings one out, whatever else its role may do. Each attack is shown to
// work around the gateway first. With -short each technique goes over the first of its channels, and only through the gateway.
func TestMasking(t *testing.T) {
	if a := (attack{Technique: "control", Steps: simple("SELECT email FROM customers")}); a.run(t, "open", left).leaked() == "" {
		t.Fatal("a role without masks sees no masked value: the suite cannot fail")
	}
	for i := range shared.first {
		shared.first[i] = shared.rows(t, i)
	}
	all := slices.Concat(maskingReads(), maskingTables(), maskingChannels(), maskingSideways(), maskingOracles(), maskingDefinitions(), maskingEndings())
	if testing.Short() {
		all = slices.CompactFunc(all, func(a, b attack) bool { return a.Technique == b.Technique })
	}
	for _, a := range all {
		scores.count(t, "masking", a, func(t *testing.T) { interfere(t, a) })
	}
}

// interfere runs an attack in both databases, around the gateway and through it.
func interfere(t *testing.T, a attack) {
	if a.Unproven == "" && !testing.Short() && tells(t, a, direct) == "" {
		t.Errorf("this is no attack: around the gateway it does not tell the databases apart; heard:\n%s", a.run(t, direct, left).heard.String())
	}
	roles := []string{"wide"} // which may do whatever the other may
	if a.Channel == "simple" && a.Undo == nil {
		roles = append(roles, "narrow")
	}
	for _, role := range roles {
		if told := tells(t, a, role); told != "" {
			t.Errorf("%s is told: %s", role, told)
		}
	}
}

// tells runs an attack in both databases, and returns what it was told of the masked values there.
func tells(t *testing.T, a attack, role string) string {
	t.Helper()
	var heard [2]string
	for i, v := range []values{left, right} {
		before := shared.snap(t, i)
		s := a.run(t, role, v)
		heard[i] = s.heard.String()
		if a.Undo != nil {
			shared.undo(t, s, i, a.Undo)
		} else if changed := before.changes(shared.snap(t, i)); changed != "" {
			t.Errorf("%s: the database is not what it was: %s", role, changed)
		}
		if word := s.leaked(); word != "" {
			return "the value " + word + " in:\n" + heard[i]
		}
	}
	if heard[0] != heard[1] {
		return "the databases apart, by:\n" + heard[0] + "--- and:\n" + heard[1]
	}
	return ""
}
