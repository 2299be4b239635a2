package mask

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/access"
)

// marked returns the places that a marker finds.
func marked(text []byte) []int {
	var at []int
	for m := newMarker(text, true); m.next(); {
		for k := range blockSize {
			if m.marks>>k&1 == 1 {
				at = append(at, m.base+k)
			}
		}
	}
	return at
}

// needed returns the places that must be marked, by looking at one byte after the other.
func needed(text []byte) []int {
	at := func(i int) byte {
		if i < 0 || i >= len(text) {
			return 0
		}
		return text[i]
	}
	var all []int
	for i, c := range text {
		if among(c, "@+:") {
			all = append(all, i)
		}
		if !isDigit(c) || isDigit(at(i-1)) {
			continue
		}
		end := i
		for isDigit(at(end)) {
			end++
		}
		joined := among(at(end), " -.") && isDigit(at(end+1))
		zeros := c == '0' && at(i+1) == '0' && (at(i+2) == ' ' || isDigit(at(i+2)))
		if !isWord(at(i-1)) && (joined || zeros || end-i >= 9 || at(i-1) == '(') {
			all = append(all, i)
		} else if isLetter(at(i-1)) && isLetter(at(i-2)) && !isWord(at(i-3)) {
			all = append(all, i)
		}
	}
	return all
}

// FuzzMarks: every place that a detector must see is marked, and only at the first digit of a run, at "@", "+" and ":".
func FuzzMarks(f *testing.F) {
	for _, s := range []string{"", "+", "4111 1111 1111 1111", "ada@example.org", "DE89 3704 0044 0532 0130 00", "(415) 555-2671", "0049 30 901820",
		"2026-03-05 07:08:09", "c4ca4238-a0b9-2382-0dcc-509a6f75849b", "é4111é 12.5 x1-2", strings.Repeat("x", 62) + "12-34", strings.Repeat("7", 70)} {
		f.Add([]byte(s))
		for _, before := range []int{1, 7, 57, 60, 61, 62, 63, 64, 65} { // over the edge of a block
			f.Add([]byte(strings.Repeat(" ", before) + s))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := marked(text)
		for _, i := range needed(text) {
			if !slices.Contains(got, i) {
				t.Fatalf("%q: %d is not marked, only %v", text, i, got)
			}
		}
		for _, i := range got {
			if !among(text[i], "@+:") && (!isDigit(text[i]) || i > 0 && isDigit(text[i-1])) {
				t.Fatalf("%q: %d is marked", text, i)
			}
		}
	})
}

// TestHarmless: every byte that a detector looks for, or that folding changes, is seen wherever it stands.
func TestHarmless(t *testing.T) {
	for size := 1; size < 40; size++ {
		for i := range size {
			for c := range 256 {
				v := []byte(strings.Repeat("a", size))
				v[i] = byte(c)
				if got, want := harmless(v), (!isDigit(byte(c)) || i == 0) && strings.IndexByte(":@+", byte(c)) < 0 && c < 0x80; got != want {
					t.Fatalf("%q: %v", v, got)
				}
			}
		}
	}
	for v, want := range map[string]bool{"1.1.1.1": false, "2.50": true, "at number 12, not 7": true, "one 1 two 2 three 3 four 4": false, "GB82": false, "x 82": true} {
		if got := harmless([]byte(v)); got != want {
			t.Errorf("%s: %v", v, got)
		}
	}
}

// FuzzHarmless: nothing is found in what is harmless.
func FuzzHarmless(f *testing.F) {
	var every []access.Detection
	for _, e := range Entities() {
		every = append(every, access.Detection{Entity: e, Mask: access.Mask{Strategy: access.MaskRedact}})
	}
	s, err := NewScanner(every, nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range []string{"1.1.1.1", "1.1.1", "(41) 5", "00 1", "NO93ABCDEFGHIJK", "no93 abcd efgh ijk", "12-34", "a 1-2-3", "::1"} {
		f.Add([]byte(v))
		f.Add([]byte("1234567" + v))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		if !harmless(v) {
			return
		}
		if m := newMarker(v, true); m.next() {
			if out, hits := s.render(nil, v, nil, &m); hits > 0 {
				t.Fatalf("%q became %q", v, out)
			}
		}
	})
}
