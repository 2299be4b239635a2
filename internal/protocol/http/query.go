package http

import (
	"strings"
	"unicode/utf8"
)

// Bounds on a query.
const (
	maxQuery = 16 << 10 // bytes, as the client writes it
	maxPairs = 1000
)

// pair is one parameter of a query.
type pair struct {
	name    string // as it is judged
	value   string
	written string // the name as it is sent, not yet encoded
	bare    bool   // written without =
}

// query is a parsed query, in the order in which it was written; it is sent as String writes it.
type query []pair

// parseQuery reads a query strictly. A raw semicolon is refused, since some servers take it for &; a plus is a space, and is
// sent as %20, which nobody reads otherwise. With ignoreCase names are judged
// in lower case.
func parseQuery(raw string, ignoreCase bool) (query, error) {
	if len(raw) > maxQuery {
		return nil, ambiguous("the query is longer than %d bytes", maxQuery)
	}
	if strings.Count(raw, "&") >= maxPairs {
		return nil, ambiguous("the query has more than %d parameters", maxPairs)
	}
	if strings.IndexByte(raw, ';') >= 0 {
		return nil, ambiguous("the query holds a semicolon that is not percent-encoded: some servers take it for &")
	}
	var q query
	merged := merger{}
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue // says nothing to any reader, and is not sent
		}
		name, value, found := strings.Cut(part, "=")
		n, err := decodeQuery(name)
		if err != nil {
			return nil, err
		}
		v, err := decodeQuery(value)
		if err != nil {
			return nil, err
		}
		if n == "" {
			return nil, ambiguous("a parameter of the query has no name")
		}
		p := pair{name: n, value: v, written: n, bare: !found}
		if ignoreCase {
			p.name = fold(n)
		}
		if merged.merges(p.name) {
			return nil, ambiguous("the query has two parameters that some servers take for one: they differ in case, or in a dot, a space or an underscore")
		}
		q = append(q, p)
	}
	if len(q.String()) > maxQuery {
		return nil, ambiguous("the query is longer than %d bytes, encoded", maxQuery)
	}
	return q, nil
}

func decodeQuery(s string) (string, error) {
	v, err := unescape(strings.ReplaceAll(s, "+", "%20"))
	switch {
	case err != nil:
		return "", err
	case !utf8.ValidString(v):
		return "", ambiguous("the query is not UTF-8")
	case strings.IndexByte(v, 0) >= 0:
		return "", ambiguous("the query holds a NUL")
	}
	return v, nil
}

// keptInQuery are the bytes besides letters and digits that no reader of a query takes for anything else.
const keptInQuery = "-._~!$'()*,:@/"

// String writes the query as it is sent.
func (q query) String() string {
	var b strings.Builder
	for i, p := range q {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(encode(p.written, keptInQuery))
		if !p.bare {
			b.WriteString("=" + encode(p.value, keptInQuery))
		}
	}
	return b.String()
}

// values is the query as conditions read it: a string, or a list where a name stands more than once.
func (q query) values() map[string]any {
	m := make(map[string]any, len(q))
	for _, p := range q {
		add(m, p.name, p.value)
	}
	return m
}

// add puts a value beside those that a name already has.
func add(m map[string]any, name, value string) {
	switch had := m[name].(type) {
	case nil:
		m[name] = value
	case string:
		m[name] = []any{had, value}
	case []any:
		m[name] = append(had, value)
	}
}

// merger holds the names of a query or form, by what some servers make of them: names without regard to case, and variables of a
// program, which hold no dots and spaces.
type merger map[string]string

// merges reports whether a server may take a name for another one that is there, so that it reads what nobody judged.
func (m merger) merges(name string) bool {
	plain := variable(name)
	had, there := m[plain]
	m[plain] = name
	return there && had != name
}

// variable is what a server may make of a name: PHP strips spaces, and writes _ for what cannot stand in the name of a variable.
func variable(name string) string {
	base, rest, within := strings.Cut(strings.TrimLeft(fold(name), " "), "[")
	base = strings.NewReplacer(".", "_", " ", "_").Replace(base)
	switch {
	case within && base == "", within && !strings.Contains(rest, "]"):
		return base + "_" + rest
	case within:
		return base + "[" + rest
	}
	return base
}
