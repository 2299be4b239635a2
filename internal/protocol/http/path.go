package http

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Bounds on what a request names. Servers refuse longer ones themselves.
const (
	maxPath     = 8 << 10 // bytes, as the client writes it
	maxSegments = 256
)

// target is what a request asks for. sent is the one way in which path is written: whoever decodes sent, once or twice,
// with or without resolving dot segments, reads path (and the slash at its end, where there was one).
type target struct {
	path  string   // decoded once, without a slash at its end; in lower case where the backend ignores case
	names []string // the segments of path
	sent  string   // the path as the backend is sent it
	parts []string // the segments of sent
	slash bool     // sent ends in a slash that path lacks
	query query
}

// normalise reads a request target behind what names the connection: /v1/invoices/42?expand=lines. What two servers could
// read in two ways is refused, never repaired: dot segments, empty segments, encoded slashes, encodings of encodings, path
// parameters, characters that some servers fold into others.
func normalise(raw string, ignoreCase bool) (target, error) {
	path, rawQuery, asked := strings.Cut(raw, "?")
	var t target
	switch {
	case len(path) > maxPath:
		return t, ambiguous("the path is longer than %d bytes", maxPath)
	case path == "" || path[0] != '/':
		return t, ambiguous("the target is not a path: it has to begin with a slash")
	}
	if err := t.readPath(path[1:], ignoreCase); err != nil {
		return target{}, err
	}
	if asked {
		q, err := parseQuery(rawQuery, ignoreCase)
		if err != nil {
			return target{}, err
		}
		t.query = q
	}
	return t, nil
}

// readPath reads what follows the first slash.
func (t *target) readPath(path string, ignoreCase bool) error {
	t.path, t.sent = "/", "/"
	if path == "" {
		return nil
	}
	path, t.slash = strings.CutSuffix(path, "/")
	if strings.Count(path, "/") >= maxSegments {
		return ambiguous("the path has more than %d segments", maxSegments)
	}
	var judged, sent strings.Builder
	for segment := range strings.SplitSeq(path, "/") {
		name, err := decodeSegment(segment)
		if err != nil {
			return err
		}
		written := encodeSegment(name)
		if ignoreCase {
			name = fold(name)
		}
		t.names, t.parts = append(t.names, name), append(t.parts, written)
		judged.WriteString("/" + name)
		sent.WriteString("/" + written)
	}
	t.path, t.sent = judged.String(), sent.String()
	if t.slash {
		t.sent += "/"
	}
	if len(t.sent) > maxPath {
		return ambiguous("the path is longer than %d bytes, encoded", maxPath)
	}
	return nil
}

// decodeSegment decodes one segment once and refuses what another reader could take for something else.
func decodeSegment(s string) (string, error) {
	name, err := unescape(s)
	if err != nil {
		return "", err
	}
	switch {
	case name == "":
		return "", ambiguous("the path has an empty segment (//)")
	case strings.HasSuffix(name, "."), strings.HasSuffix(name, " "), strings.HasPrefix(name, " "):
		return "", ambiguous("a segment of the path ends in a dot, or begins or ends with a space: some servers leave that away")
	case !utf8.ValidString(name):
		return "", ambiguous("the path is not UTF-8")
	}
	for i, r := range name {
		if say := foldable(r); say != "" {
			return "", ambiguous("the path holds %s", say)
		}
		if r == '%' && escapeBegins(name[i+1:]) {
			return "", ambiguous("the path is percent-encoded twice")
		}
	}
	return name, nil
}

// unescape decodes percent-encoding, once. Raw bytes beyond printable ASCII are refused: a client has to encode them.
func unescape(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && printable(s) {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return "", ambiguous("a percent sign does not begin an escape of two hexadecimal digits")
			}
			b = append(b, fromHex(s[i+1])<<4|fromHex(s[i+2]))
			i += 2
		case c <= ' ' || c >= 0x7f || c == '#':
			return "", ambiguous("the target holds a byte that has to be percent-encoded")
		default:
			b = append(b, c)
		}
	}
	return string(b), nil
}

func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '#' {
			return false
		}
	}
	return true
}

// foldable names what is wrong with a character of a decoded segment, or "". Servers, and the file systems below them, turn
// these into a separator, into another character, or into nothing.
func foldable(r rune) string {
	switch {
	case r == '/':
		return "an encoded slash"
	case r == '\\':
		return "a backslash"
	case r == ';':
		return "a semicolon: path parameters are read by some servers only"
	case r == '?' || r == '#':
		return "an encoded ? or #"
	case r != ' ' && !unicode.IsPrint(r):
		return "a character that cannot be printed"
	case r > 0x7f && likeASCII(r):
		return "a character that some servers take for a slash, a dot or a letter of ASCII"
	}
	return ""
}

// likeASCII reports whether compatibility normalisation, or a best-fit code page, makes ASCII of r.
func likeASCII(r rune) bool {
	switch {
	case r >= 0xff01 && r <= 0xff5e, // fullwidth forms
		r >= 0xfe50 && r <= 0xfe6b,   // small forms
		r >= 0x2024 && r <= 0x2026,   // dot leaders, ellipsis
		r >= 0x2047 && r <= 0x2049,   // ?? ?! !?
		r >= 0x2100 && r <= 0x2106,   // a/c, a/s, c/o, c/u
		r >= 0x2460 && r <= 0x24ff,   // enclosed and dotted digits and letters
		r >= 0x1f100 && r <= 0x1f10a, // digits with a dot or comma
		r >= 0x1d400 && r <= 0x1d7ff: // mathematical letters
		return true
	}
	switch r {
	case 0x2044, 0x2215, 0x29f8, 0x2571, 0x1735, 0x3033, // slashes
		0x2216, 0x29f5, 0x29f9, 0x20e5, 0xa5, 0x20a9, 0xfe68, // backslashes, and what is one in a code page of the East
		0x3002, 0xff61, 0xfe19, 0xfe30, 0xfe12, 0xfe13, 0xfe14, 0xfe16, // full stops, dots, colons, semicolons, question marks
		0x37e, 0x1fef, 0x212a, 0x212b, 0x17f: // ; ` K Å s
		return true
	}
	return false
}

// escapeBegins reports whether s, behind a percent sign, would be an escape to who decodes again: %2f, and IIS's %u002f.
func escapeBegins(s string) bool {
	if len(s) >= 2 && isHex(s[0]) && isHex(s[1]) {
		return true
	}
	return len(s) >= 5 && (s[0] == 'u' || s[0] == 'U') && isHex(s[1]) && isHex(s[2]) && isHex(s[3]) && isHex(s[4])
}

// encodeSegment writes a name as RFC 3986 has a segment. A plus is encoded, since some servers read it as a space.
func encodeSegment(s string) string { return encode(s, "-._~!$&'()*,=:@") }

// encode percent-encodes all but letters, digits and the bytes in keep.
func encode(s, keep string) string {
	const hex = "0123456789ABCDEF"
	plain := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(keep, c) >= 0
	}
	i := 0
	for i < len(s) && plain(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	b := append(make([]byte, 0, len(s)+16), s[:i]...)
	for ; i < len(s); i++ {
		if c := s[i]; plain(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

// fold maps letters that some comparison without case takes for the same to one of them.
func fold(s string) string {
	return strings.Map(func(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }, s)
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

func fromHex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// resource names the path below a connection. The slash at the end is no part of it: whoever may read a/ may read a.
func (t target) resource(connection string) string { return access.PathResource(connection, t.path) }

// otherResource is the path with the slash at its end, where it has one: what is denied or held below a/ binds a/ too.
func (t target) otherResource(connection string) (string, bool) {
	if !t.slash {
		return "", false
	}
	return access.PathResource(connection, t.path+"/"), true
}

// uri is what the backend is sent.
func (t target) uri() string {
	if len(t.query) == 0 {
		return t.sent
	}
	return t.sent + "?" + t.query.String()
}

// on writes the target into u, below the path of the backend's own address.
func (t target) on(base string, u *url.URL) {
	plain := make([]string, len(t.parts))
	for i, part := range t.parts {
		plain[i], _ = unescape(part) // names may be in lower case
	}
	u.Path = base + "/" + strings.Join(plain, "/")
	if t.slash {
		u.Path += "/"
	}
	u.RawPath = (&url.URL{Path: base}).EscapedPath() + t.sent
	u.RawQuery = t.query.String()
}

func ambiguous(format string, args ...any) error {
	e := fault.New(fault.Malformed, "http.normalise", "%s", "refused: "+fmt.Sprintf(format, args...))
	e.Hint = "Only what every server reads alike is sent on."
	return e
}
