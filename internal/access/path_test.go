package access_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gatehouse/internal/access"
)

func name(s string) access.Step { return access.Step{Kind: access.StepName, Name: s} }

func TestParsePath(t *testing.T) {
	each, anywhere := access.Step{Kind: access.StepEach}, access.Step{Kind: access.StepAny}
	for text, want := range map[string][]access.Step{
		"$":                          nil,
		"**":                         {anywhere},
		"$.**":                       {anywhere},
		"$.customers[*].email":       {name("customers"), each, name("email")},
		"**.ssn":                     {anywhere, name("ssn")},
		"$.**.**.ssn":                {anywhere, name("ssn")},
		"**.**":                      {anywhere},
		`$.a["odd name"][3].*`:       {name("a"), name("odd name"), {Kind: access.StepIndex, Index: 3}, each},
		`$["a\"b\\c"]["]"]["*"][""]`: {name(`a"b\c`), name("]"), name("*"), name("")},
		"$[0][*].x-y_z@1.é":          {{Kind: access.StepIndex}, each, name("x-y_z@1"), name("é")},
		`**["**"]`:                   {anywhere, name("**")},
	} {
		p, err := access.ParsePath(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if d := cmp.Diff(want, p.Steps); d != "" {
			t.Errorf("%s: %s", text, d)
		}
		again, err := access.ParsePath(p.String())
		if err != nil || !cmp.Equal(again, p) {
			t.Errorf("%s is written as %s, which reads %v, %v", text, p, again, err)
		}
	}
}

func TestParsePathRefuses(t *testing.T) {
	for text, say := range map[string]string{
		"":                               "at byte 1: write $",
		"email":                          "write $ for the document",
		"*":                              "write $ for the document",
		".a":                             "write $ for the document",
		"$a":                             "at byte 2: a step is",
		"$..a":                           "at byte 2: write .**",
		"$.":                             "at byte 3: a name is missing",
		"$.a b":                          "at byte 4: a step is",
		"$.a.":                           "at byte 5: a name is missing",
		"$.***":                          "at byte 5: a step is",
		"**ssn":                          "at byte 3: a step is",
		"$[":                             "at byte 3: in brackets",
		"$[-1]":                          "in brackets",
		"$[01]":                          "in brackets",
		"$[1":                            "in brackets",
		"$[1:2]":                         "in brackets",
		"$['a']":                         "in brackets",
		"$[99999999999]":                 "in brackets",
		`$["a`:                           "does not end",
		`$["a"`:                          "comes ]",
		`$["a\n"]`:                       `write \"`,
		`$["a\`:                          `write \"`,
		"$.\xff":                         "not UTF-8",
		"$" + strings.Repeat(".a", 33):   "at most 32 steps",
		"$." + strings.Repeat("a", 2000): "at most 512 bytes",
	} {
		if p, err := access.ParsePath(text); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%.60q: %v, %v; want %q", text, p, err, say)
		}
	}
}

// TestPathIsReadAsWritten: String and ParsePath are each other's inverse, whatever the names are.
func TestPathIsReadAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p access.Path
		for range rapid.IntRange(0, 8).Draw(t, "steps") {
			s := access.Step{Kind: access.StepKind(rapid.IntRange(0, 3).Draw(t, "kind"))}
			switch s.Kind {
			case access.StepName:
				s.Name = rapid.StringN(0, 10, 20).Draw(t, "name")
			case access.StepIndex:
				s.Index = rapid.IntRange(0, 1<<31-1).Draw(t, "index")
			case access.StepAny:
				if n := len(p.Steps); n > 0 && p.Steps[n-1].Kind == access.StepAny {
					continue
				}
			}
			p.Steps = append(p.Steps, s)
		}
		if again, err := access.ParsePath(p.String()); err != nil || !cmp.Equal(again, p) {
			t.Fatalf("%s reads %v, %v; want %v", p, again, err, p)
		}
	})
}
