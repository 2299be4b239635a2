package archtest

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// unfinished are the words of work that was put off. They are spelled in parts, so that this file passes its own test.
var unfinished = regexp.MustCompile(`\bTO` + `DO\b|\bFIX` + `ME\b|\bXX` + `X\b|(?i)\bnot ` + `implemented\b|\bfor ` + `now\b|\bin a real ` + `system\b|\bplace` + `holder`)

// machine are the paths and hosts of somebody's computer.
var machine = regexp.MustCompile(`/ro` + `ot/|/wo` + `rk/|proxy\.golang` + `\.org|registry\.npm` + `js\.org`)

func TestNothingIsPutOffOrTiedToAMachine(t *testing.T) {
	readable := []string{".go", ".md", ".yml", ".yaml", ".sh", ".sql", ".py", ".json", ".txt", ".txtar", ".ts", ".tsx", ""}
	walk(t, func(name string, text []byte) {
		if !slices.Contains(readable, path.Ext(name)) || path.Base(name) == "LICENSE" {
			return
		}
		number := 0
		for line := range strings.Lines(string(text)) {
			number++
			if w := unfinished.FindString(line); w != "" {
				t.Errorf("%s:%d: %q: finish it, or open an issue and say what is not there", name, number, w)
			}
			if w := machine.FindString(line); w != "" {
				t.Errorf("%s:%d: %q is a path or host of one machine", name, number, w)
			}
		}
	})
}
