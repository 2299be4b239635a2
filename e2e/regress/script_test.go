package regress

import (
	"slices"
	"strings"
	"testing"
)

// TestScript reads the sample's trickiest script: as many statements, in such pieces, as psql would send.
func TestScript(t *testing.T) {
	suite, err := Open("testdata")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"queries", "temporary", "effects"}; !slices.Equal(suite.Files, want) {
		t.Errorf("scripts %v, want %v", suite.Files, want)
	}
	sc, err := suite.Script("queries", "/data")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for {
		step, ok := sc.Next()
		if !ok {
			break
		}
		all = append(all, step.SQL)
		if step.Set {
			sc.Setting(step.Prefix+"one", "1")
		}
	}
	text := strings.Join(all, "\n")
	for _, want := range []string{
		`SELECT 'a;b' AS semicolon, E'it''s \' ; ' AS escaped, $q$;$q$ AS dollars, "name" FROM towns ORDER BY id;`,
		"SELECT 1 + 1 AS two, '1'::text AS text;", "SELECT 'taken';", "SELECT 1 ; SELECT 2;", "AS g(n), LATERAL",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "never sent") || len(all) != 29 {
		t.Errorf("%d statements:\n%s", len(all), strings.Join(all, "\n---\n"))
	}
	sc, err = suite.Script("test_setup", "/data")
	if err != nil {
		t.Fatal(err)
	}
	var copied []Step
	for step, ok := sc.Next(); ok; step, ok = sc.Next() {
		if strings.HasPrefix(step.SQL, "COPY") {
			copied = append(copied, step)
		}
	}
	if len(copied) != 2 || copied[0].SQL != "COPY towns FROM '/data/data/towns.data';" || !copied[1].IsCopy || copied[1].Copy != "1\t2\t12.5\n2\t3\t7\n" {
		t.Errorf("%+v", copied)
	}
}
