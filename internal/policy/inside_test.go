package policy_test

import (
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/policy"
)

// TestMasksThatHideNothing: what looks like a mask and would hide nothing is an error where it is written, at its place.
func TestMasksThatHideNothing(t *testing.T) {
	types := append(vocab(), policy.Vocabulary{Type: "flat", Rootless: []string{"urn:"}, Actions: []policy.ActionName{{Name: "flat:Get"}}})
	fields := func(resources ...string) access.PolicyStatement {
		return inside("redact", "", []string{"**.ssn"}, nil, resources...)
	}
	for name, c := range map[string]struct {
		mask      access.PolicyStatement
		guardrail bool
		want      string // where; "" where it is right
	}{
		"fields":                           {mask: fields("rows/t"), want: "statements[0].resources[0]"},
		"fields, by a pattern":             {mask: fields("orders-db/*", "row*"), want: "statements[0].resources[1]"},
		"fields, without a connection":     {mask: fields("urn:x"), want: "statements[0].resources[0]"},
		"headers":                          {mask: inside("redact", "", nil, []string{"X-A"}, "rows/t"), want: "statements[0].resources[0]"},
		"what a backend is sent":           {mask: finding("redact", "request", "EMAIL_ADDRESS", "rows/t"), want: "statements[0].resources[0]"},
		"both ways":                        {mask: finding("redact", "both", "EMAIL_ADDRESS", "rows/t"), want: "statements[0].resources[0]"},
		"a guardrail":                      {mask: fields("*"), guardrail: true, want: "guardrails[0]"},
		"a guardrail of what is elsewhere": {mask: fields("orders-db/*"), guardrail: true},
		"everything":                       {mask: fields("*")},
		"another connection":               {mask: fields("orders-db/t")},
		"no connection yet":                {mask: fields("later/t")},
		"detectors":                        {mask: finding("redact", "", "EMAIL_ADDRESS", "rows/t")},
		"a whole":                          {mask: masked(nil, "rows/t.ssn")},
	} {
		t.Run(name, func(t *testing.T) {
			d := world([]*access.Policy{pol("app", c.mask)}, nil)
			d.Connections = append(d.Connections, &access.Connection{Name: "rows", Type: "flat"})
			if c.guardrail {
				d.Connections[2].Guardrails = []string{"app"}
			}
			_, err := policy.Compile(d, types, 1)
			var at []string
			for _, p := range policy.Problems(err) {
				if !strings.Contains(p.Say, "connection rows is of type flat, which has no documents") {
					t.Error(p)
				}
				at = append(at, p.Path)
			}
			if got := strings.Join(at, " "); got != c.want {
				t.Errorf("problems at %q, want %q", got, c.want)
			}
			if d.Stored = true; c.want != "" {
				if _, err := policy.Compile(d, types, 1); err != nil {
					t.Errorf("what is stored keeps the gateway from its work: %v", err)
				}
			}
		})
	}
}
