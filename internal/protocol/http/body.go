package http

import (
	"encoding/json"
	"fmt"
	"math"
	"mime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Bounds on what is read of a body.
const (
	maxDepth    = 64    // of JSON
	maxLiterals = 10000 // more of them are one literal: the whole body
)

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
	d := &document{}
	m := map[string]any{}
	var names []string
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
			return nil, err
		}
		v, err := decodeQuery(value)
		if err != nil {
			return nil, err
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

func (d *document) literal(s access.Span, name string) {
	d.literals = append(d.literals, s)
	if secretName(name) {
		d.secrets = append(d.secrets, s)
	}
}

// readJSON reads one JSON text.
func readJSON(body []byte) (*document, error) {
	if !utf8.Valid(body) || !json.Valid(body) {
		return nil, refused("the body is not JSON")
	}
	w := jsonWalk{b: body, d: &document{}}
	v, err := w.value(0, "")
	if err != nil {
		return nil, err
	}
	w.d.value = v
	w.d.shape = shape(v)
	if len(w.d.literals) > maxLiterals {
		all := []access.Span{{Start: 0, End: len(body)}}
		w.d.literals = all
		if len(w.d.secrets) > 0 {
			w.d.secrets = all
		}
	}
	return w.d, nil
}

// jsonWalk walks bytes that are known to be valid JSON.
type jsonWalk struct {
	b  []byte
	at int
	d  *document
}

// next skips white space and returns the byte after it.
func (w *jsonWalk) next() byte {
	for w.at < len(w.b) {
		switch c := w.b[w.at]; c {
		case ' ', '\t', '\r', '\n':
			w.at++
		default:
			return c
		}
	}
	return 0
}

// value reads one value; name is that of the member that it is, or is below.
func (w *jsonWalk) value(depth int, name string) (any, error) {
	if depth > maxDepth {
		return nil, refused("the body is nested deeper than %d levels", maxDepth)
	}
	start := w.next()
	from := w.at
	switch start {
	case '{':
		return w.object(depth)
	case '[':
		return w.array(depth, name)
	case '"':
		s, err := w.text()
		if err == nil {
			w.d.literal(access.Span{Start: from + 1, End: w.at - 1}, name)
		}
		return s, err
	case 't':
		w.at += 4
		return true, nil
	case 'n':
		w.at += 4
		return nil, nil
	case 'f':
		w.at += 5
		return false, nil
	}
	for w.at < len(w.b) && strings.IndexByte("+-.eE0123456789", w.b[w.at]) >= 0 {
		w.at++
	}
	w.d.literal(access.Span{Start: from, End: w.at}, name)
	return number(string(w.b[from:w.at]))
}

// number reads a number: an integer where it is written as one and fits.
func number(s string) (any, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, refused("the body holds a number that is too large")
	}
	return f, nil
}

// text reads a string. An escape of half a character is refused: readers differ in what they make of it.
func (w *jsonWalk) text() (string, error) {
	from := w.at
	w.at++
	escaped := false
	for w.b[w.at] != '"' {
		if w.b[w.at] == '\\' {
			escaped = true
			w.at++
		}
		w.at++
	}
	w.at++
	if !escaped {
		return string(w.b[from+1 : w.at-1]), nil
	}
	var s string
	if err := json.Unmarshal(w.b[from:w.at], &s); err != nil {
		return "", refused("the body is not JSON")
	}
	if strings.ContainsRune(s, utf8.RuneError) && strings.Contains(strings.ToLower(string(w.b[from:w.at])), `\ud`) {
		return "", refused("the body holds half of a character's escape")
	}
	return s, nil
}

func (w *jsonWalk) object(depth int) (any, error) {
	m, seen := map[string]any{}, map[string]bool{}
	w.at++
	for w.next() != '}' {
		if w.b[w.at] == ',' {
			w.at++
			w.next()
		}
		name, err := w.text()
		if err != nil {
			return nil, err
		}
		if seen[fold(name)] {
			return nil, refused("an object of the body has a name twice, or names that differ in case only: readers differ in which one counts")
		}
		if strings.IndexByte(name, 0) >= 0 {
			return nil, refused("a name in the body holds a NUL")
		}
		seen[fold(name)] = true
		w.next()
		w.at++ // the colon
		if m[name], err = w.value(depth+1, name); err != nil {
			return nil, err
		}
	}
	w.at++
	return m, nil
}

func (w *jsonWalk) array(depth int, name string) (any, error) {
	list := []any{}
	w.at++
	for w.next() != ']' {
		if w.b[w.at] == ',' {
			w.at++
		}
		v, err := w.value(depth+1, name)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	w.at++
	return list, nil
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
