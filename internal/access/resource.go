package access

import "strings"

// reserved are the bytes with a meaning in a resource or a pattern; inside a name they are percent-encoded.
const reserved = "%/.*"

// Name percent-encodes one name (a table, a column, a queue) for use inside a resource, so that a table called "a.b" is
// never mistaken for column b of table a.
func Name(s string) string { return escape(s, reserved) }

// Resource builds connection/a.b.c from a connection's name and plain (not yet encoded) names.
func Resource(connection string, names ...string) string {
	var b strings.Builder
	b.WriteString(Name(connection))
	for i, n := range names {
		if i == 0 {
			b.WriteByte('/')
		} else {
			b.WriteByte('.')
		}
		b.WriteString(Name(n))
	}
	return b.String()
}

// PathResource builds connection/path from a connection's name and a path whose slashes part its segments, such as
// v1/invoices/42. Dots stay as they are: what is above a/b.c is a/b, then a.
func PathResource(connection, path string) string {
	return Name(connection) + "/" + escape(strings.TrimPrefix(path, "/"), "%*")
}

// SegmentResource builds connection/a/b from a connection's name and plain segments, such as exchange, orders, eu.card. Dots stay
// as they are: what is above a/b.c is a/b, then a.
func SegmentResource(connection string, segments ...string) string {
	var b strings.Builder
	b.WriteString(Name(connection))
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(escape(s, "%/*"))
	}
	return b.String()
}

// WildSegment writes the last segment of an action that is Wild. Of the words of text, which dots part, those that equal one
// become * (a word) and those that equal rest become ** (any words). Where rest can stand for no word at all, none says so: then the
// dots beside it may be missing too. The set may be larger than what the text stands for, never smaller.
//
//	SegmentResource("jobs", "subject") + "/" + WildSegment("orders.*.>", "*", ">", false) // jobs/subject/orders.*.**
//	SegmentResource("jobs", "exchange", "x") + "/" + WildSegment("eu.#", "*", "#", true)  // jobs/exchange/x/eu**
func WildSegment(text, one, rest string, none bool) string {
	var b strings.Builder
	swallowed := true // the dot before this word: there is none before the first
	for word := range strings.SplitSeq(text, ".") {
		if word == rest && none {
			b.WriteString("**")
			swallowed = true
			continue
		}
		if !swallowed {
			b.WriteByte('.')
		}
		swallowed = false
		switch word {
		case one:
			b.WriteByte('*')
		case rest:
			b.WriteString("**")
		default:
			b.WriteString(escape(word, "%/*"))
		}
	}
	return b.String()
}

// escape percent-encodes the bytes of s that are in set, and control bytes, with upper-case hex.
func escape(s, set string) string {
	const hex = "0123456789ABCDEF"
	clean := true
	for i := 0; i < len(s) && clean; i++ {
		clean = s[i] >= 0x20 && s[i] != 0x7f && strings.IndexByte(set, s[i]) < 0
	}
	if clean {
		return s
	}
	b := make([]byte, 0, len(s)+8)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < 0x20 || c == 0x7f || strings.IndexByte(set, c) >= 0 {
			b = append(b, '%', hex[c>>4], hex[c&15])
			continue
		}
		b = append(b, c)
	}
	return string(b)
}
