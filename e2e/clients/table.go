package clients

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Failed counts the cells that are neither a success nor a documented impossibility.
func Failed(cells []Cell) int {
	n := 0
	for _, c := range cells {
		if !c.OK && !c.None {
			n++
		}
	}
	return n
}

// Table prints the cells for people: a row for each driver, and below the reasons.
func Table(w io.Writer, cells []Cell, colour bool) {
	width := 0
	for _, c := range cells {
		width = max(width, len(c.Driver))
	}
	head := fmt.Sprintf("%-*s", width, "")
	for _, f := range Features() {
		head += "  " + f
	}
	fmt.Fprintln(w, head)
	var notes, failures []string
	for row := range slices.Chunk(cells, len(Features())) {
		fmt.Fprintf(w, "%-*s", width, row[0].Driver)
		for _, c := range row {
			mark, code := "✓", "32"
			switch {
			case c.None:
				mark, code = "–", "2"
				if note := c.Feature + ": " + c.Detail; !slices.Contains(notes, note) {
					notes = append(notes, note)
				}
			case !c.OK:
				mark, code = "✗", "31"
				failures = append(failures, c.Driver+", "+c.Feature+": "+c.Detail)
			}
			left := (len(c.Feature) - 1) / 2
			if colour {
				mark = "\x1b[" + code + "m" + mark + "\x1b[0m"
			}
			fmt.Fprintf(w, "  %s%s%s", strings.Repeat(" ", left), mark, strings.Repeat(" ", len(c.Feature)-1-left))
		}
		fmt.Fprintln(w)
	}
	list(w, "– the driver has no such feature:", notes)
	list(w, "✗ failed:", failures)
}

func list(w io.Writer, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintln(w, "\n"+title)
	for _, l := range lines {
		fmt.Fprintln(w, "  "+l)
	}
}
