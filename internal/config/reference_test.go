package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/access"
)

// TestReferenceIsCurrent keeps docs/reference/documents.md what the structs say; with -update it writes the page.
func TestReferenceIsCurrent(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "reference", "documents.md")
	root := new(schema)
	if err := json.Unmarshal(generate(t), root); err != nil { // not schema.json, which may be about to be written
		t.Fatal(err)
	}
	want := reference(root)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/reference/documents.md does not fit the structs: run go generate ./internal/config")
	}
}

// reference renders the page.
func reference(root *schema) string {
	var b strings.Builder
	b.WriteString("# Documents and settings\n\n" +
		"Every key, its values and its default. Generated from the schema (`gatehouse schema print`), which refuses any other key; a test\n" +
		"keeps it current. **Bold** keys are required. Durations are written `90s`, `15m` or `8h`, sizes `64KiB` or `16MiB`.\n")
	for _, kind := range access.Kinds() {
		referenceTable(&b, kind, root.Defs[kind])
	}
	referenceTable(&b, "The gateway's own configuration", root.Defs[serverDef])
	return b.String()
}

func referenceTable(b *strings.Builder, title string, s *schema) {
	fmt.Fprintf(b, "\n## %s\n| key | values | |\n|---|---|---|\n", title)
	referenceRows(b, "", s)
}

// referenceRows renders the keys of an object: those that are required first, each followed by what is inside of it.
func referenceRows(b *strings.Builder, prefix string, s *schema) {
	required := func(key string) bool { return slices.Contains(s.Required, key) }
	keys := slices.SortedFunc(maps.Keys(s.Properties), func(x, y string) int {
		if required(x) != required(y) {
			if required(x) {
				return -1
			}
			return 1
		}
		return strings.Compare(x, y)
	})
	for _, key := range keys {
		p := s.Properties[key]
		shown := "`" + prefix + key + "`"
		if required(key) {
			shown = "**" + shown + "**"
		}
		about := p.Description
		if about == strings.ReplaceAll(key, "_", " ") {
			about = ""
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", shown, referenceValues(p), strings.ReplaceAll(about, "|", "\\|"))
		inside, mark := p, "."
		if p.Items != nil {
			inside, mark = p.Items, "[]."
		}
		referenceRows(b, prefix+key+mark, inside)
		for _, one := range inside.OneOf {
			referenceRows(b, prefix+key+mark, one)
		}
	}
}

// referenceValues says in words what may stand for a schema.
func referenceValues(s *schema) string {
	switch {
	case len(s.OneOf) > 0:
		var all []string
		for _, one := range s.OneOf {
			all = append(all, referenceValues(one))
		}
		return strings.Join(all, "; or ")
	case s.Const != "":
		return "`" + s.Const + "`"
	case len(s.Enum) > 0:
		return "`" + strings.Join(s.Enum, "`, `") + "`"
	case s.Pattern == durationPattern:
		return "duration"
	case s.Pattern == sizePattern:
		return "size"
	case s.Items != nil && s.Items.Properties != nil:
		return "list"
	case s.Items != nil:
		return "list of " + referenceValues(s.Items)
	case s.Properties != nil && s.MaxProps == 1:
		return "one of the keys below"
	case s.Type == "object" && s.Properties == nil:
		return "keys of your own"
	case s.Maximum != nil:
		return fmt.Sprintf("%d to %d", *s.Minimum, *s.Maximum)
	}
	return map[string]string{"string": "text", "boolean": "`true`, `false`", "integer": "number", "object": "keys below"}[s.Type]
}
