package policy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestConditionsAreDocumented: the page on conditions has a row for each variable, and for nothing else.
func TestConditionsAreDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", "conditions.md"))
	if err != nil {
		t.Fatal(err)
	}
	var rows, want []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\|").FindAllSubmatch(page, -1) {
		rows = append(rows, string(m[1]))
	}
	for _, v := range variables() {
		want = append(want, v.name)
	}
	if !slices.Equal(rows, want) {
		t.Errorf("%v\nwant %v", rows, want)
	}
}
