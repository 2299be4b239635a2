package http

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTemplates(t *testing.T) {
	set, err := newTemplates([]string{"/", "/v1/invoices", "/v1/invoices/{id}", "/v1/invoices/latest", "/v1/invoices/{id}/lines/{line}", "/v1/{kind}/latest/lines/1",
		"/v1/jobs/{id}:cancel", "/v1/jobs/{id}", "/v1/reports/r-{day}.csv", "/a%20b/{x}/"}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		raw, want string
		values    []string
	}{
		{"/", "/", nil},
		{"/v1/invoices/", "/v1/invoices", nil},
		{"/v1/invoices/42", "/v1/invoices/{id}", []string{"42"}},
		{"/v1/invoices/latest", "/v1/invoices/latest", nil},
		{"/v1/invoices/latest/lines/1", "/v1/invoices/{id}/lines/{line}", []string{"latest", "1"}},
		{"/v1/refunds/latest/lines/1", "/v1/{kind}/latest/lines/1", []string{"refunds"}},
		{"/v1/jobs/7:cancel", "/v1/jobs/{id}:cancel", []string{"7"}},
		{"/v1/jobs/:cancel", "/v1/jobs/{id}", []string{":cancel"}},
		{"/v1/reports/r-1.csv", "/v1/reports/r-{day}.csv", []string{"1"}},
		{"/v1/reports/r-.csv", "", nil},
		{"/a%20b/c%20d", "/a%20b/{x}/", []string{"c d"}},
		{"/v1", "", nil},
		{"/v1/invoices/42/lines", "", nil},
	} {
		target, err := normalise(c.raw, false)
		if err != nil {
			t.Fatal(err)
		}
		found, values := set.match(target.names)
		got := ""
		if found != nil {
			got = found.text
		}
		if got != c.want || !slices.Equal(values, c.values) {
			t.Errorf("%s matches %q with %q, not %q with %q", c.raw, got, values, c.want, c.values)
		}
	}
}

func TestTemplatesThatAreNone(t *testing.T) {
	for _, list := range [][]string{
		{""}, {"v1"}, {"//"}, {"/a//b"}, {"/{"}, {"/}"}, {"/{}"}, {"/{a"}, {"/a}"}, {"/{a}{b}"}, {"/{a}-{b}"}, {"/{a/b}"}, {"/../a"}, {"/a;b"}, {"/%2f"}, {"/{a*}"},
		{"/{a}/{a}"}, {"/v1/{a}", "/v1/{b}"}, {"/a", "/a/"}, {"/" + strings.Repeat("a/", maxSegments+1)},
	} {
		if _, err := newTemplates(list, false); err == nil {
			t.Errorf("%q compiles", list)
		}
	}
	if _, err := newTemplates([]string{"/A/{x}", "/a/{y}"}, true); err == nil {
		t.Error("templates that differ in case only compile, where case counts for nothing")
	}
}

// TestTemplatesAgainstAList compares the tree with the definition: of all templates that match, the most specific.
func TestTemplatesAgainstAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		segment := rapid.SampledFrom([]string{"a", "b", "{}", "a{}", "{}ab"})
		var texts []string
		set := &templates{root: &branch{}}
		for i := range rapid.IntRange(1, 12).Draw(t, "templates") {
			text := ""
			for j, s := range rapid.SliceOfN(segment, 1, 4).Draw(t, "segments") {
				text += "/" + strings.ReplaceAll(s, "{}", fmt.Sprintf("{p%d}", j))
			}
			if set.add(text, i, false) == nil {
				texts = append(texts, text)
			}
		}
		names := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab", "aab", "abab", "c"}), 1, 4).Draw(t, "names")
		best := ""
		for _, text := range texts {
			if fits(text, names) && (best == "" || before(text, best)) {
				best = text
			}
		}
		found, _ := set.match(names)
		if (found == nil) != (best == "") || found != nil && rank(found.text) != rank(best) {
			t.Fatalf("%q: the tree finds %v, the list %q", names, found, best)
		}
	})
}

// fits is the definition of a match.
func fits(text string, names []string) bool {
	segments := strings.Split(text[1:], "/")
	if len(segments) != len(names) {
		return false
	}
	for i, s := range segments {
		b, rest, braced := strings.Cut(s, "{")
		_, a, _ := strings.Cut(rest, "}")
		if !braced && s != names[i] || braced && (len(names[i]) <= len(a)+len(b) || !strings.HasPrefix(names[i], b) || !strings.HasSuffix(names[i], a)) {
			return false
		}
	}
	return true
}

// rank orders templates: at each segment a literal, then a parameter with the most text beside it, then a bare one.
func rank(text string) string {
	r := ""
	for _, s := range strings.Split(text[1:], "/") {
		switch b, rest, braced := strings.Cut(s, "{"); {
		case !braced:
			r += "0"
		case b != "" || !strings.HasSuffix(rest, "}"):
			r += "1" + string('9'-rune(len(b)+len(rest)-strings.Index(rest, "}")-1))
		default:
			r += "2"
		}
	}
	return r
}

func before(a, b string) bool { return rank(a) < rank(b) }
