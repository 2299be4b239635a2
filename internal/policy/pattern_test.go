package policy

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/internal/access"
)

// TestRapidPattern compares match with a regular expression, and shows that inside never misses a connection in which
// something matches: it decides who may log in at all.
func TestRapidPattern(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("ab*/.")), 1, 10, -1).Draw(t, "pattern")
		s := rapid.StringOfN(rapid.RuneFrom([]rune("ab/.")), 0, 12, -1).Draw(t, "resource")
		p := newPattern(text)
		want := regexp.MustCompile(`\A` + strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, `.*`) + `\z`).MatchString(s)
		if p.match(s) != want {
			t.Fatalf("%q against %q: %t", text, s, !want)
		}
		if want && !p.covers(s) {
			t.Fatalf("%q matches %q and does not cover it", text, s)
		}
		if conn, _, _ := strings.Cut(s, "/"); want && !p.inside(conn) {
			t.Fatalf("%q matches %q, yet nothing inside %q", text, s, conn)
		}
	})
}

// TestRapidNamesAreWritable: every name that access.Resource writes can be written as a pattern, and matches itself only.
func TestRapidNamesAreWritable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		resource := access.Resource("c", "public", name)
		if say := checkResource(newPattern(resource)); say != "" && len(resource) <= maxPattern {
			t.Fatal(say)
		}
		if p := newPattern(resource); !p.literal() || !p.match(resource) {
			t.Fatalf("%q does not match itself", resource)
		}
	})
}

func TestNearest(t *testing.T) {
	names := []string{"db:Select", "db:Delete"}
	for want, near := range map[string]string{"db:Selct": "db:Select", "DB:DELETE": "db:Delete", "zzzzzzzzz": "", "": ""} {
		if got := nearest(want, names); got != near {
			t.Errorf("%q: %q", want, got)
		}
	}
}
