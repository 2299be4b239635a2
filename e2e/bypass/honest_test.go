package bypass

import "testing"

// honest are statements that have to work, and to give what they give around the gateway.
var honest = []attack{
	{Technique: "join and aggregate", Channel: "simple", Role: "narrow", Steps: simple(
		"SELECT c.region, count(*), sum(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY 1 ORDER BY 1")},
}

// TestHonest: who asks for nothing masked notices nothing.
func TestHonest(t *testing.T) {
	for _, a := range honest {
		scores.count(t, "honest", a, func(t *testing.T) {
			want, got := a.run(t, direct, left), a.run(t, a.Role, left)
			if want.heard.String() != got.heard.String()[:min(len(want.heard.String()), got.heard.Len())] {
				t.Errorf("around the gateway:\n%sthrough it:\n%s", want.heard.String(), got.heard.String())
			}
		})
	}
}
