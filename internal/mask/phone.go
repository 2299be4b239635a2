package mask

import (
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Lengths of an international number (ITU-T E.164) and of the text that may hold one.
const (
	minE164   = 8
	maxE164   = 15
	maxNumber = 28
)

// findPhone finds a phone number that begins at i: international after "+" (or "00" and separators), or in a way in
// which people of North America, France or the United Kingdom write their national numbers. The number plans decide
// whether there can be such a number; digits without separators or a "+" are never one.
func (f *finder) findPhone(i int) (start, end int) {
	if f.text[i] == '+' {
		return f.international(i, i+1, 0)
	}
	if i+3 < len(f.text) && f.text[i] == '0' && f.text[i+1] == '0' && (f.text[i+2] == ' ' || isDigit(f.text[i+2])) {
		if start, end = f.international(i, i+2, '-'); end > 0 && strings.ContainsAny(string(f.text[start:end]), " -") {
			return start, end
		}
		return 0, 0
	}
	if start, end = f.parenthesised(i); end > 0 {
		return start, end
	}
	return f.national(i)
}

// international reads the digits after the prefix and asks the number plans, for the whole and then for ever fewer
// groups. A sep that ties words together keeps it from beginning or ending inside one.
func (f *finder) international(start, i int, sep byte) (int, int) {
	if !freeBefore(f.text, start, sep) {
		return 0, 0
	}
	number := [maxE164 + 1]byte{'+'}
	var ends, sizes [maxGroups]int
	n, groups := 0, 0
	limit := min(len(f.text), i+maxNumber)
	for j, gap := i, 0; j < limit && n < maxE164; j++ {
		if !isDigit(f.text[j]) {
			if gap++; gap > 2 || strings.IndexByte(" -./()", f.text[j]) < 0 {
				break
			}
			continue
		}
		gap = 0
		number[1+n] = f.text[j]
		n++
		if (j+1 == len(f.text) || !isDigit(f.text[j+1])) && groups < maxGroups {
			ends[groups], sizes[groups] = j+1, n
			groups++
		}
	}
	for k := groups - 1; k >= 0 && sizes[k] >= minE164; k-- {
		if freeAfter(f.text, ends[k], sep) && f.valid(string(number[:1+sizes[k]])) {
			return start, ends[k]
		}
	}
	return 0, 0
}

// parenthesised reads (ddd) ddd-dddd whose first digit is at i.
func (f *finder) parenthesised(i int) (start, end int) {
	t := f.text
	if i == 0 || t[i-1] != '(' || i+12 > len(t) || t[i+3] != ')' {
		return 0, 0
	}
	j := i + 4
	if t[j] == ' ' || t[j] == '-' {
		j++
	}
	g := readGroups(t, j, "-. ")
	if g.groups < 2 || g.size(0) != 3 || g.size(1) != 4 || !allDigits(t[i:i+3]) || !freeAfter(t, g.stops[1], g.sep) {
		return 0, 0
	}
	if !f.valid("+1" + string(t[i:i+3]) + spell(g.digits[:7])) {
		return 0, 0
	}
	return i - 1, g.stops[1]
}

// layout is how a country's national numbers are written.
type layout struct {
	country string // the calling code
	trunk   int    // leading digits that are not part of the international number
	sizes   string // of the groups
}

// national reads groups with one kind of separator in one of the known layouts.
func (f *finder) national(i int) (start, end int) {
	g := readGroups(f.text, i, "-. ")
	if g.groups < 2 {
		return 0, 0
	}
	var sizes [maxGroups]byte
	for k := range g.groups {
		sizes[k] = byte('0' + min(g.size(k), 9))
	}
	for _, l := range [...]layout{
		{"1", 0, "334"}, {"1", 1, "1334"}, {"33", 1, "22222"}, {"44", 1, "344"}, {"44", 1, "434"}, {"44", 1, "433"},
		{"44", 1, "56"}, {"44", 1, "533"},
	} {
		k := len(l.sizes) - 1
		if k >= g.groups || string(sizes[:k+1]) != l.sizes || (l.country != "1" && g.digits[0] != 0) ||
			(l.country == "1" && l.trunk == 1 && g.digits[0] != 1) {
			continue
		}
		if freeBefore(f.text, i, g.sep) && freeAfter(f.text, g.stops[k], g.sep) &&
			f.valid("+"+l.country+spell(g.digits[l.trunk:g.ends[k]])) {
			return i, g.stops[k]
		}
	}
	return 0, 0
}

// valid asks the number plans. Once too many were asked for one value, everything that looks right counts.
func (f *finder) valid(number string) bool {
	if f.tries == 0 {
		return true
	}
	f.tries--
	return validPhone(number)
}

// validPhone reports whether the number plans have room for "+" and digits.
func validPhone(number string) bool {
	if strings.HasPrefix(number, "+1") {
		return validNorthAmerican(number[2:])
	}
	n, err := phonenumbers.Parse(number, "ZZ")
	return err == nil && phonenumbers.IsValidNumber(n)
}

// validNorthAmerican is validPhone for calling code 1. It asks for the two largest of its 25 countries first, which is
// several times faster, and for none of them where an area or exchange could not begin so.
func validNorthAmerican(number string) bool {
	if len(number) != 10 || number[0] < '2' || number[3] < '2' {
		return false
	}
	national, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return false
	}
	n := &phonenumbers.PhoneNumber{CountryCode: new(int32(1)), NationalNumber: &national}
	return phonenumbers.IsValidNumberForRegion(n, "US") || phonenumbers.IsValidNumberForRegion(n, "CA") || phonenumbers.IsValidNumber(n)
}

// spell writes digits as characters.
func spell(digits []byte) string {
	s := make([]byte, len(digits))
	for i, d := range digits {
		s[i] = '0' + d
	}
	return string(s)
}

func allDigits(s []byte) bool {
	for _, c := range s {
		if !isDigit(c) {
			return false
		}
	}
	return true
}
