package policy

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// texts are all texts over an alphabet up to a length.
func texts(alphabet string, length int) []string {
	all := []string{""}
	for from := 0; length > 0; length-- {
		to := len(all)
		for _, s := range all[from:to] {
			for _, c := range alphabet {
				all = append(all, s+string(c))
			}
		}
		from = to
	}
	return all
}

// members is the language of a set, as its definition says.
func members(set string) *regexp.Regexp {
	var b strings.Builder
	for _, part := range regexp.MustCompile(`\*\*+|\*|[^*]+`).FindAllString(set, -1) {
		switch {
		case part == "*":
			b.WriteString(`[^./]*`)
		case part[0] == '*':
			b.WriteString(`[^/]*`)
		default:
			b.WriteString(regexp.QuoteMeta(part))
		}
	}
	return regexp.MustCompile(`\A(?:` + b.String() + `)\z`)
}

// TestRapidSets compares both questions about a set with asking them of each of its resources: whether the pattern covers one of
// them, and whether it matches all. Both are so short that the texts hold one where there is one; x stands for what no pattern names.
func TestRapidSets(t *testing.T) {
	all := texts("a./x", 7)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("a./**")), 1, 4, -1).Draw(t, "pattern")
		set := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", ".", "/", "*", "**", "a.*", "*a", "a*"}), 0, 2).Draw(t, "set"), "")
		p, in := newPattern(text), members(set)
		meets, matches := false, true
		for _, s := range all {
			if in.MatchString(s) {
				meets = meets || p.covers(s)
				matches = matches && p.match(s)
			}
		}
		if got := p.meets(set); got != meets {
			t.Fatalf("%q meets %q: %t, want %t", text, set, got, meets)
		}
		if got := p.match(set); got != matches {
			t.Fatalf("%q matches all of %q: %t, want %t", text, set, got, matches)
		}
	})
}

// TestRapidSetsOfOne: of a resource that is no set, both questions are those about the resource.
func TestRapidSetsOfOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPattern(rapid.StringOfN(rapid.RuneFrom([]rune("ab*/.")), 1, 12, -1).Draw(t, "pattern"))
		p.rootless = rapid.Bool().Draw(t, "rootless")
		resource := rapid.StringOfN(rapid.RuneFrom([]rune("ab/.")), 0, 14, -1).Draw(t, "resource")
		if p.meets(resource) != p.covers(resource) {
			t.Fatalf("%q and %q: as a set %t", p.text, resource, p.meets(resource))
		}
	})
}

// TestSetsStayInTheirPlace: a pattern that begins with any connection is about what it names, and not about every set.
func TestSetsStayInTheirPlace(t *testing.T) {
	for set, want := range map[string]bool{
		"jobs/exchange/salaries/**": true, "jobs/exchange/**": true, "jobs/exchange/sal**": true, "jobs/exchange/salaries/a.**.b": true,
		"jobs/exchange/loot/**": false, "jobs/queue/**": false, "jobs/exchange/loot/**.salaries": false,
	} {
		if got := newPattern("*/exchange/salaries").meets(set); got != want {
			t.Errorf("*/exchange/salaries meets %s: %v", set, got)
		}
	}
}

// TestLongSetsMeetEverything: what is too long to be compared is bound by all that denies, holds or masks.
func TestLongSetsMeetEverything(t *testing.T) {
	long := "c/" + strings.Repeat("a", maxSet)
	if p := newPattern("c/b"); !p.meets(long) || p.meets(long[:maxSet]) {
		t.Error("a set that is too long, or one that is just short enough")
	}
	worst := newPattern(strings.Repeat("*a", maxPattern/2-1) + "b")
	if !worst.meets(strings.Repeat("a*", maxSet/2)) {
		t.Error("the longest of both do not meet")
	}
}

// FuzzSets: a pattern that matches all of a set meets it, but for the empty ways in which one of both can be written, and no
// text is too much.
func FuzzSets(f *testing.F) {
	f.Add("jobs/subject/orders.*", "jobs/subject/orders.**", false)
	f.Add("arn:*", "jobs/arn:*", true)
	f.Fuzz(func(t *testing.T, text, set string, rootless bool) {
		if len(text) > maxPattern {
			return
		}
		p := newPattern(text)
		p.rootless = rootless
		meets := p.meets(set)
		if p.match(set) && !meets {
			t.Fatalf("%q matches all of %q and does not meet it", text, set)
		}
		if len(set) <= 12 && !rootless { // one that it stands for: each run is empty
			if one := strings.ReplaceAll(set, "*", ""); p.covers(one) && !meets {
				t.Fatalf("%q covers %q of %q and does not meet it", text, one, set)
			}
		}
	})
}

func BenchmarkSets(b *testing.B) {
	for name, x := range map[string][2]string{
		"plain":   {"jobs/subject/orders.*", "jobs/subject/orders.eu.new"},
		"set":     {"jobs/subject/orders.*.new", "jobs/subject/orders.*.*"},
		"other":   {"jobs/subject/payments.*", "jobs/subject/orders.*.**"},
		"hostile": {strings.Repeat("*a", maxPattern/2-1) + "b", strings.Repeat("a*", maxSet/2-1) + "c"},
	} {
		b.Run(name, func(b *testing.B) {
			p := newPattern(x[0])
			ask := p.covers
			if strings.Contains(x[1], "*") {
				ask = p.meets
			}
			b.ReportAllocs()
			for b.Loop() {
				ask(x[1])
			}
		})
	}
}
