package mask

import (
	"bytes"
	"net/netip"
	"strings"
)

// Lengths of the parts of an address (RFC 5321, 4.5.3.1; RFC 4291).
const (
	maxLocal  = 64
	maxDomain = 253
	maxIPv6   = 45
)

// findEmail finds the address around the "@" at i: a local part as RFC 5322's dot-atom or in quotes, and a domain with
// at least two labels of which the last is letters. Characters beyond ASCII count as letters (RFC 6531).
func findEmail(text []byte, i int) (start, end int) {
	start, end = localPart(text, i), domain(text, i+1)
	if start == i || end == i+1 {
		return 0, 0
	}
	return start, end
}

// localPart returns where the local part that ends at i begins; i where there is none.
func localPart(text []byte, i int) int {
	least := max(0, i-maxLocal)
	if i > 0 && text[i-1] == '"' {
		q := bytes.LastIndexAny(text[least:i-1], "\"\r\n")
		if q < 0 || text[least+q] != '"' {
			return i
		}
		return least + q
	}
	start := i
	for start > least && isLocal(text[start-1]) {
		start--
	}
	for start < i && (text[start] == '.' || text[start] == '\'') { // a quote before an address is not part of it
		start++
	}
	if start < i && text[i-1] == '.' {
		return i
	}
	return start
}

// isLocal leaves out what RFC 5322 permits but nobody has in an address, and what stands before addresses in URLs,
// paths and key=value pairs.
func isLocal(c byte) bool { return isWord(c) || strings.IndexByte("!#$%'*+-^_~.", c) >= 0 }

// domain returns where the domain that begins at i ends; i where there is none.
func domain(text []byte, i int) int {
	end, good := i, i
	for end < len(text) && end-i <= maxDomain {
		label := end
		for end < len(text) && (isWord(text[end]) || text[end] == '-') && end-i <= maxDomain {
			end++
		}
		if end == label || text[label] == '-' || text[end-1] == '-' {
			break
		}
		if label > i && isTop(text[label:end]) {
			good = end
		}
		if end == len(text) || text[end] != '.' {
			break
		}
		end++
	}
	return good
}

// isTop reports whether a label can be a top-level domain: two letters or more, or punycode; and not one of the file
// name endings that follow an "@" in names such as logo@2x.png.
func isTop(label []byte) bool {
	if len(label) < 2 {
		return false
	}
	switch string(label) {
	case "png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js":
		return false
	}
	if bytes.HasPrefix(label, []byte("xn--")) {
		return true
	}
	for _, c := range label {
		if isDigit(c) || c == '-' {
			return false
		}
	}
	return true
}

// findIP finds an IPv4 address that begins at the digit at i, or the IPv6 address around the colon at i.
func (f *finder) findIP(i int) (start, end int) {
	if f.text[i] == ':' {
		return f.findIPv6(i)
	}
	if end = ipv4(f.text, i); end == 0 || !freeBefore(f.text, i, '.') || !freeAfter(f.text, end, '.') {
		return 0, 0
	}
	return i, end
}

// ipv4 returns where the dotted quad at i ends; 0 where there is none. A leading zero is not an address.
func ipv4(text []byte, i int) int {
	for part := range 4 {
		if part > 0 {
			if i >= len(text) || text[i] != '.' {
				return 0
			}
			i++
		}
		from, n := i, 0
		for i < len(text) && isDigit(text[i]) && i-from < 4 {
			n = n*10 + int(text[i]-'0')
			i++
		}
		if i == from || n > 255 || (i-from > 1 && text[from] == '0') {
			return 0
		}
	}
	return i
}

// findIPv6 looks at the run of hexadecimal digits, colons and dots around the colon at i, once for the whole run.
func (f *finder) findIPv6(i int) (start, end int) {
	if i < f.run {
		return 0, 0
	}
	start, end = i, i
	marks := 0 // colons: most runs are times of day, which have two
	for start > f.done[ip] && i-start < maxIPv6 && isHexColon(f.text[start-1]) {
		start--
		marks += one(f.text[start] == ':')
	}
	for end < len(f.text) && end-i <= maxIPv6 && isHexColon(f.text[end]) {
		marks += one(f.text[end] == ':')
		end++
	}
	f.run = end
	if marks < 6 && !bytes.Contains(f.text[start:end], []byte("::")) {
		return 0, 0
	}
	start, end = trimRun(f.text, start, end)
	run := f.text[start:end]
	colons := bytes.Count(run, []byte(":"))
	short := bytes.Contains(run, []byte("::"))
	if len(run) > maxIPv6 || colons > 8 || (!short && colons != 7 && colons != 6) || len(run) <= 2 ||
		!freeBefore(f.text, start, 0) || !freeAfter(f.text, end, 0) {
		return 0, 0
	}
	if a, err := netip.ParseAddr(string(run)); err != nil || !a.Is6() {
		return 0, 0
	}
	return start, end
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

// trimRun takes punctuation off a run: a point or colon that ends a phrase, a colon that follows a word.
func trimRun(text []byte, start, end int) (int, int) {
	for end > start && (text[end-1] == '.' || (text[end-1] == ':' && (end-start < 2 || text[end-2] != ':'))) {
		end--
	}
	if end-start > 1 && text[start] == ':' && text[start+1] != ':' {
		start++
	}
	return start, end
}

func isHexColon(c byte) bool { return isDigit(c) || (c|0x20)-'a' < 6 || c == ':' || c == '.' }
