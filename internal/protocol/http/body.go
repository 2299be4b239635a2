package http

import (
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// maxLiterals bounds the scalars of a body that are literals of their own: more of them are one, the whole body.
const maxLiterals = 10000

// document is a body that was read to be judged.
type document struct {
	value    any           // as JSON has it; integers as int64
	literals []access.Span // scalars, in the body's bytes
	secrets  []access.Span // those of literals whose names say that they are secret
	shape    string        // the names in it, without values
}

// mediaType returns a content type without its parameters, in lower case, and its charset.
func mediaType(contentType string) (string, string, error) {
	if contentType == "" {
		return "", "", nil
	}
	t, params, err := mime.ParseMediaType(contentType)
	if err != nil || t == "" {
		return "", "", refused("the Content-Type cannot be read")
	}
	return t, strings.ToLower(params["charset"]), nil
}

func isJSON(media string) bool {
	return media == "application/json" || media == "text/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
}

// readBody reads a whole body of a kind that it knows; nil where it does not know it. A body that two readers could read in
// two ways (duplicate names, names that differ in case only, text that is not UTF-8) is refused.
func readBody(contentType string, body []byte) (*document, error) {
	media, charset, err := mediaType(contentType)
	form := media == "application/x-www-form-urlencoded"
	switch {
	case err != nil || len(body) == 0 || !isJSON(media) && !form:
		return nil, err
	case charset != "" && charset != "utf-8" && charset != "us-ascii":
		return nil, refused("the body's charset is not UTF-8")
	case form:
		return readForm(body)
	}
	return readJSON(body)
}

// readForm reads a form as a query is read. It is sent as it came, so it has to be what its own rendering reads as.
func readForm(body []byte) (*document, error) {
	s := string(body)
	if strings.Count(s, "&") >= maxPairs || strings.IndexByte(s, ';') >= 0 {
		return nil, refused("the form has too many fields, or a semicolon that is not percent-encoded")
	}
	if begins := strings.TrimLeft(s, " \t\r\n"); begins != "" && strings.IndexByte("{[\"<", begins[0]) >= 0 {
		return nil, noForm(errors.New("it begins as JSON or XML does, and some servers read a body as what it looks like"))
	}
	d := &document{}
	m := map[string]any{}
	var names []string
	merged := merger{}
	at := 0
	for part := range strings.SplitSeq(s, "&") {
		start := at
		at += len(part) + 1
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		n, err := decodeQuery(name)
		if err != nil {
			return nil, noForm(err)
		}
		v, err := decodeQuery(value)
		if err != nil {
			return nil, noForm(err)
		}
		if merged.merges(n) {
			return nil, refused("the form has two fields that some servers take for one: they differ in case, or in a dot, a space or an underscore")
		}
		add(m, n, v)
		names = append(names, nameOnly(n))
		if value != "" {
			d.literal(access.Span{Start: start + len(name) + 1, End: start + len(part)}, n)
		}
	}
	slices.Sort(names)
	d.value, d.shape = m, strings.Join(slices.Compact(names), "&")
	return d, nil
}

// noForm is for a body that is called a form and is none. Some clients call whatever they send a form, JSON most of all.
func noForm(why error) error {
	return &fault.Error{Op: "http.readForm", Kind: fault.Malformed, Err: why,
		Say:  "refused: the body is no form that every reader reads alike, though its Content-Type says that it is one",
		Hint: "If it is JSON, send it with Content-Type: application/json."}
}

func (d *document) literal(s access.Span, name string) {
	d.literals = append(d.literals, s)
	if secretName(name) {
		d.secrets = append(d.secrets, s)
	}
}

// readJSON reads one JSON text, as conditions read it.
func readJSON(body []byte) (*document, error) {
	v, err := access.ReadJSON(body)
	if err != nil {
		return nil, fault.Wrap(fault.Malformed, "http.readJSON", err, "refused: the body is not JSON that every reader reads alike (a name twice, also in another case, half a character, more than one value)")
	}
	d := &document{value: v, shape: shape(v)}
	d.scan(body)
	if len(d.literals) > maxLiterals {
		all := []access.Span{{Start: 0, End: len(body)}}
		d.literals = all
		if len(d.secrets) > 0 {
			d.secrets = all
		}
	}
	return d, nil
}

// scan finds the scalars in bytes that are known to be JSON. What is in a list has the name of the list.
func (d *document) scan(b []byte) {
	var within []string // the names of the members that the scan is inside of
	name := ""
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '{' || c == '[':
			within = append(within, name)
			i++
		case c == '}' || c == ']':
			name, within = within[len(within)-1], within[:len(within)-1]
			i++
		case c == '"':
			end := stringEnd(b, i)
			if nameFollowed(b, end) {
				name = string(b[i+1 : end-1])
			} else {
				d.literal(access.Span{Start: i + 1, End: end - 1}, name)
			}
			i = end
		case c == '-' || c >= '0' && c <= '9':
			end := i
			for end < len(b) && strings.IndexByte("+-.eE0123456789", b[end]) >= 0 {
				end++
			}
			d.literal(access.Span{Start: i, End: end}, name)
			i = end
		default:
			i++
		}
	}
}

// stringEnd returns the index behind the string that begins at i.
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// nameFollowed reports whether what ends before i is the name of a member.
func nameFollowed(b []byte, i int) bool {
	for i < len(b) && strings.IndexByte(" \t\r\n", b[i]) >= 0 {
		i++
	}
	return i < len(b) && b[i] == ':'
}

// shape renders the names in a value, sorted, without any of its values.
func shape(v any) string {
	switch v := v.(type) {
	case map[string]any:
		members := make([]string, 0, len(v))
		for name, below := range v {
			members = append(members, nameOnly(name)+":"+shape(below))
		}
		slices.Sort(members)
		return "{" + strings.Join(slices.Compact(members), ",") + "}"
	case []any:
		var kinds []string
		for _, e := range v {
			kinds = append(kinds, shape(e))
		}
		slices.Sort(kinds)
		return "[" + strings.Join(slices.Compact(kinds), ",") + "]"
	}
	return "?"
}

// nameOnly returns a name that looks like one; objects are also used as tables, and then their names are values.
func nameOnly(s string) string {
	if len(s) > 64 || s == "" || looksLikeID(s) {
		return "*"
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && strings.IndexByte("_-.$[]", c) < 0 {
			return "*"
		}
	}
	return s
}

// secretName reports whether a parameter, member or header of this name is likely to be a secret: its value is never recorded.
func secretName(s string) bool {
	s = strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' {
			return -1
		}
		return r
	}, strings.ToLower(s))
	for _, word := range []string{"password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "privatekey", "credential", "authorization", "cookie", "signature", "sessionid"} {
		if strings.Contains(s, word) && s != "maxtokens" {
			return true
		}
	}
	return s == "pwd" || s == "pin" || s == "cvv" || s == "cvc" || s == "sid" || s == "sig" || s == "otp" || s == "auth" || s == "assertion"
}

func refused(format string, args ...any) error {
	return fault.New(fault.Malformed, "http.read", "%s", "refused: "+fmt.Sprintf(format, args...))
}
