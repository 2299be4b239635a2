package mask

import "bytes"

// Bounds of a number written in groups.
const (
	maxGroups = 8
	maxDigits = 20
)

// grouped is a number as people write it: groups of digits with one separator between each two.
type grouped struct {
	digits [maxDigits]byte // values, not characters
	ends   [maxGroups]int  // after each group: digits so far
	stops  [maxGroups]int  // after each group: the place in the text
	sep    byte            // the separator, the same throughout; 0 where there is one group
	groups int
}

// among reports whether set, a few bytes, holds c.
func among(c byte, set string) bool {
	for i := 0; i < len(set); i++ {
		if set[i] == c {
			return true
		}
	}
	return false
}

// size returns the number of digits in group i.
func (g *grouped) size(i int) int {
	if i == 0 {
		return g.ends[0]
	}
	return g.ends[i] - g.ends[i-1]
}

// readGroups reads groups from the first digit of a run at i, as long as the same separator of seps stands between them.
// A group that would make too many digits ends it.
func readGroups(text []byte, i int, seps string) (g grouped) {
	n := 0
	for g.groups < maxGroups {
		for i < len(text) && isDigit(text[i]) {
			if n == maxDigits {
				return g
			}
			g.digits[n] = text[i] - '0'
			n, i = n+1, i+1
		}
		g.ends[g.groups], g.stops[g.groups] = n, i
		g.groups++
		if i+1 >= len(text) || !isDigit(text[i+1]) || !among(text[i], seps) || (g.sep != 0 && text[i] != g.sep) {
			return g
		}
		g.sep = text[i]
		i++
	}
	return g
}

// isWord reports whether a byte is a letter, a digit or part of a character beyond ASCII.
func isWord(c byte) bool { return isDigit(c) || (c|0x20)-'a' < 26 || c >= 0x80 }

func isLetter(c byte) bool { return (c|0x20)-'a' < 26 }

// freeBefore reports whether something may begin at i: not in the middle of a word, nor after the point or separator of
// a number.
func freeBefore(text []byte, i int, sep byte) bool {
	if i == 0 {
		return true
	}
	c := text[i-1]
	if isWord(c) {
		return false
	}
	if i >= 2 && (c == '.' && isDigit(text[i-2]) || c == sep && c != ' ' && isWord(text[i-2])) {
		return false
	}
	return true
}

// freeAfter is freeBefore for the end.
func freeAfter(text []byte, i int, sep byte) bool {
	if i == len(text) {
		return true
	}
	c := text[i]
	if isWord(c) {
		return false
	}
	if i+1 < len(text) && (c == '.' && isDigit(text[i+1]) || c == sep && c != ' ' && isWord(text[i+1])) {
		return false
	}
	return true
}

// findCard finds a payment card's number: 13 to 19 digits in one run, or in groups of which the first has four digits;
// of a known issuer, of that issuer's length, and with the right check digit. The longest reading counts.
func findCard(text []byte, i int) (start, end int) {
	g := readGroups(text, i, " -")
	if g.groups > 1 && g.size(0) != 4 {
		g.groups = 1
	}
	for k := g.groups - 1; k >= 0; k-- {
		sep := g.sep
		if k == 0 {
			sep = 0
		}
		if k > 0 && g.size(k) > 7 {
			continue
		}
		digits := g.digits[:g.ends[k]]
		if cardLength(digits) && luhn(digits) && freeBefore(text, i, sep) && freeAfter(text, g.stops[k], sep) {
			return i, g.stops[k]
		}
	}
	return 0, 0
}

// luhn checks a number's last digit (ISO/IEC 7812-1, annex B).
func luhn(digits []byte) bool {
	sum := 0
	for i, d := range digits {
		v := int(d)
		if (len(digits)-i)%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

// cardLength reports whether a number begins with a known issuer's range and has a length that this issuer uses.
func cardLength(digits []byte) bool {
	n := len(digits)
	if n < 13 || n > 19 {
		return false
	}
	six := 0
	for _, d := range digits[:6] {
		six = six*10 + int(d)
	}
	two, three, four := six/10000, six/1000, six/100
	switch {
	case two/10 == 4:
		return n == 13 || n == 16 || n == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720, four >= 2200 && four <= 2204:
		return n == 16
	case two == 34 || two == 37:
		return n == 15
	case three >= 300 && three <= 305, two == 36, two == 38, two == 39:
		return n == 14 || n == 16
	case four >= 3528 && four <= 3589, four == 6011, three >= 644 && three <= 649, two == 65, two == 62, two == 60:
		return n >= 16
	case four == 5018, four == 5020, four == 5038, four == 5893, four == 6304, four == 6759, four >= 6761 && four <= 6763:
		return true
	}
	return false
}

// issued reports whether a card's number can begin with two digits: no issuer has a range that begins otherwise.
func issued(first, second byte) bool {
	return first >= '3' && first <= '6' || first == '2' && second >= '2'
}

// findSSN finds a US social security number: 3-2-4 digits with the same separator, or nine digits after the word ssn; in
// the ranges that are given out (no group of zeros, no area 666 or above 899).
func findSSN(text []byte, i int) (start, end int) {
	g := readGroups(text, i, "- .")
	k := 2
	switch {
	case g.groups >= 3 && g.size(0) == 3 && g.size(1) == 2 && g.size(2) == 4:
	case g.size(0) == 9 && namedSSN(text[max(0, i-24):i]):
		k, g.sep = 0, 0
	default:
		return 0, 0
	}
	d := g.digits
	area, group := int(d[0])*100+int(d[1])*10+int(d[2]), d[3]*10+d[4]
	serial := int(d[5])*1000 + int(d[6])*100 + int(d[7])*10 + int(d[8])
	if area == 0 || area == 666 || area >= 900 || group == 0 || serial == 0 ||
		!freeBefore(text, i, g.sep) || !freeAfter(text, g.stops[k], g.sep) {
		return 0, 0
	}
	return i, g.stops[k]
}

// namedSSN reports whether the text before a number, on its line, calls it a social security number.
func namedSSN(before []byte) bool {
	before = bytes.ToLower(before[bytes.LastIndexByte(before, '\n')+1:])
	return bytes.Contains(before, []byte("ssn")) || bytes.Contains(before, []byte("social sec"))
}

// ibanLength returns the length of a country's IBANs, from the SWIFT registry; 0 where there are none.
func ibanLength(first, second byte) int {
	const lengths = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 " +
		"EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 " +
		"KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 " +
		"PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 " +
		"VG24 XK20 YE30"
	for i := 0; i+4 <= len(lengths); i += 5 {
		if lengths[i] == first && lengths[i+1] == second {
			return int(lengths[i+2]-'0')*10 + int(lengths[i+3]-'0')
		}
	}
	return 0
}

// minIBAN is the length of the shortest.
const minIBAN = 15

// findIBAN finds an IBAN whose check digits begin at i: a known country, its length, the right remainder (ISO 13616). It
// is written in one piece, or in groups of four with a space or a hyphen between each two.
func findIBAN(text []byte, i int) (start, end int) {
	start = i - 2
	if start < 0 || i+1 >= len(text) || !isDigit(text[i+1]) || !freeBefore(text, start, 0) {
		return 0, 0
	}
	if len(text)-start < minIBAN || !isWord(text[start+7]) || isWord(text[start+9]) != isWord(text[start+4]) {
		return 0, 0
	}
	length := ibanLength(text[start]&^0x20, text[start+1]&^0x20)
	if length == 0 {
		return 0, 0
	}
	apart := text[i+2] == ' ' || text[i+2] == '-'
	var compact [34]byte
	j := start
	for n := 0; n < length; n++ {
		if apart && n > 0 && n%4 == 0 {
			if j >= len(text) || text[j] != text[i+2] {
				return 0, 0
			}
			j++
		}
		if j >= len(text) || text[j] >= 0x80 || !isWord(text[j]) {
			return 0, 0
		}
		compact[n] = text[j]
		j++
	}
	if !freeAfter(text, j, 0) || mod97(compact[4:length], compact[:4]) != 1 {
		return 0, 0
	}
	return start, j
}

// mod97 returns the remainder of the number that letters (A is 10) and digits spell.
func mod97(parts ...[]byte) int {
	rest := 0
	for _, part := range parts {
		for _, c := range part {
			if isDigit(c) {
				rest = (rest*10 + int(c-'0')) % 97
				continue
			}
			rest = (rest*100 + int(c&^0x20-'A') + 10) % 97
		}
	}
	return rest
}
