package mask

import (
	"time"
	"unicode/utf8"

	"gatehouse/internal/access"
)

// Value appends what stands for the text value v under m, and returns the extended dst. The domain separates tokens:
// equal values give equal tokens within one domain and different ones across domains. Pass the connection's name, so
// that masked columns of one connection can still be told to be equal, and nothing can be joined across connections.
//
// Null appends nothing: where the protocol has a NULL, the caller sends that instead. A strategy that is not known, a
// hash without a key and a truncation of what is not a date are redacted.
func Value(dst, v []byte, m access.Mask, k *Key, domain string) []byte {
	switch m.Strategy {
	case access.MaskNull:
		return dst
	case access.MaskHash:
		if k != nil {
			return k.append(dst, domain, v)
		}
	case access.MaskPartial:
		return partial(dst, v, m.KeepFirst, m.KeepLast)
	case access.MaskTruncate:
		if out, ok := TruncateText(dst, v, m.Unit); ok {
			return out
		}
	}
	return append(dst, word...)
}

// partial keeps characters at both ends. Of n characters at most n/8 are kept at the start and 3n/8 at the end: at most
// half together. The two ends are bounded each by itself, so that keeping less at one never shows more at the other. A
// byte that is not valid UTF-8 counts as a character and is never kept.
func partial(dst, v []byte, first, last int) []byte {
	if !beyondASCII(v) {
		from := min(max(first, 0), len(v)/8)
		to := len(v) - min(max(last, 0), len(v)*3/8)
		dst = append(dst, v...)
		hidden := dst[len(dst)-len(v):][from:to]
		for i := range hidden {
			hidden[i] = '*'
		}
		return dst
	}
	n := utf8.RuneCount(v)
	first, last = min(max(first, 0), n/8), n-min(max(last, 0), n*3/8)
	for i := 0; len(v) > 0; i++ {
		r, size := utf8.DecodeRune(v)
		if broken := r == utf8.RuneError && size == 1; broken || (i >= first && i < last) {
			dst = append(dst, '*')
		} else {
			dst = append(dst, v[:size]...)
		}
		v = v[size:]
	}
	return dst
}

// The units of truncation.
const (
	unitMonth = "month"
	unitYear  = "year"
)

// TruncateTime returns the start of t's month or year in t's location. A unit that is not known cuts to the year 1.
func TruncateTime(t time.Time, unit string) time.Time {
	switch unit {
	case unitMonth:
		return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, t.Location())
	case unitYear:
		return time.Date(t.Year(), time.January, 1, 0, 0, 0, 0, t.Location())
	}
	return time.Date(1, time.January, 1, 0, 0, 0, 0, time.UTC)
}

// TruncateText appends an ISO 8601 date or timestamp (2006-01-02, then perhaps "T" or a space, a time with any fraction,
// and "Z" or an offset) cut to the start of its month or year, in the same shape but without a fraction. An offset
// becomes +00: what it was can tell summer from winter. Anything else is false, and dst is returned as it was.
func TruncateText(dst, v []byte, unit string) ([]byte, bool) {
	if len(v) < 10 || (unit != unitMonth && unit != unitYear) {
		return dst, false
	}
	if _, err := time.Parse(time.DateOnly, string(v[:10])); err != nil {
		return dst, false
	}
	rest, month := v[10:], v[5:7]
	if unit == unitYear {
		month = []byte("01")
	}
	clock, zone, ok := clockAndZone(rest)
	if !ok {
		return dst, false
	}
	dst = append(append(append(append(dst, v[:5]...), month...), "-01"...), clock...)
	return append(dst, zone...), true
}

// clockAndZone returns what stands for the time and the zone that follow a date: midnight, and Z or +00.
func clockAndZone(s []byte) (clock, zone string, ok bool) {
	if len(s) == 0 {
		return "", "", true
	}
	if (s[0] != ' ' && s[0] != 'T') || len(s) < 9 {
		return "", "", false
	}
	if _, err := time.Parse(time.TimeOnly, string(s[1:9])); err != nil {
		return "", "", false
	}
	clock, s = string(s[0])+"00:00:00", s[9:]
	if len(s) > 1 && s[0] == '.' {
		s = s[1:]
		for len(s) > 0 && isDigit(s[0]) {
			s = s[1:]
		}
	}
	switch {
	case len(s) == 0:
		return clock, "", true
	case len(s) == 1 && s[0] == 'Z':
		return clock, "Z", true
	case isOffset(s):
		return clock, "+00", true
	}
	return "", "", false
}

// isOffset reports whether s is +hh, +hhmm, +hh:mm or +hh:mm:ss, with either sign.
func isOffset(s []byte) bool {
	if len(s) < 3 || len(s) > 9 || (s[0] != '+' && s[0] != '-') {
		return false
	}
	for _, c := range s[1:] {
		if !isDigit(c) && c != ':' {
			return false
		}
	}
	return isDigit(s[1]) && isDigit(s[2])
}

func isDigit(c byte) bool { return c-'0' <= 9 }
