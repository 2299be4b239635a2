package policy

import (
	"fmt"
	"strings"

	"gatehouse/internal/access"
)

// maxPattern bounds a pattern's length in bytes.
const maxPattern = 512

// pattern is a compiled pattern: literal parts with a "*" between each two. One part means no "*" at all. A pattern without a
// root is about what lies inside of connections, whatever their names.
type pattern struct {
	text     string
	parts    []string
	rootless bool
}

func newPattern(text string) pattern { return pattern{text: text, parts: strings.Split(text, "*")} }

// literal reports whether the pattern holds no "*".
func (p pattern) literal() bool { return len(p.parts) == 1 }

// match reports whether the whole of s matches. Taking each middle part at its leftmost place is enough, because
// whatever follows a "*" may begin anywhere after it.
func (p pattern) match(s string) bool {
	if p.rootless {
		var inside bool
		if _, s, inside = strings.Cut(s, "/"); !inside {
			return false
		}
	}
	first, last := p.parts[0], p.parts[len(p.parts)-1]
	if len(p.parts) == 1 {
		return s == first
	}
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range p.parts[1 : len(p.parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}

// covers reports whether the pattern matches the resource or something above it (a table is above its fields).
func (p pattern) covers(resource string) bool {
	for {
		if p.match(resource) {
			return true
		}
		i := strings.LastIndexAny(resource, "./")
		if i < 0 {
			return false
		}
		resource = resource[:i]
	}
}

// inside reports whether some resource of a connection could match: the connection itself or anything below it. name is
// the connection's name as access.Resource writes it. Which types a pattern without a root is about is for kind.reaches to say.
func (p pattern) inside(name string) bool {
	if p.rootless || p.match(name) {
		return true
	}
	below, first := name+"/", p.parts[0]
	if p.literal() || len(first) >= len(below) {
		return strings.HasPrefix(first, below)
	}
	return strings.HasPrefix(below, first)
}

// checkResource says what is wrong with a resource pattern that could never match, or "".
func checkResource(p pattern) string {
	text := p.text
	switch {
	case text == "":
		return "a resource is empty: write connection/name, or * for everything"
	case len(text) > maxPattern:
		return fmt.Sprintf("a resource is longer than %d bytes", maxPattern)
	}
	if say := checkEscapes(text); say != "" {
		return say
	}
	if p.rootless {
		return checkRootless(text)
	}
	connection, _, _ := strings.Cut(text, "/")
	if strings.Contains(connection, ".") && !strings.Contains(connection, "*") {
		return fmt.Sprintf("%q can match nothing: a resource begins with the connection's name and a slash, as in "+
			"orders-db/public.customers; a dot inside a connection's name is written %%2E", text)
	}
	return ""
}

// checkRootless refuses what has a meaning elsewhere and none here: a pattern that is taken from there would match nothing.
func checkRootless(text string) string {
	if strings.Contains(text, "?") || strings.Contains(text, "${") {
		return fmt.Sprintf("%q holds ? or ${, which stand for themselves here: write * for any run of characters, and a condition for "+
			"what depends on the caller", text)
	}
	return ""
}

// checkEscapes refuses bytes and escapes that access.Name never writes: a pattern that holds one matches nothing.
func checkEscapes(text string) string {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c < 0x20 || c == 0x7f {
			return fmt.Sprintf("%q holds a control character: in a resource it is percent-encoded", text)
		}
		if c != '%' {
			continue
		}
		if i+3 > len(text) || !canonical(text[i:i+3]) {
			return fmt.Sprintf("%q holds a %% that is not the encoding of a reserved byte: write %%25 for a percent sign, "+
				"%%2E for a dot, %%2F for a slash, %%2A for an asterisk", text)
		}
		i += 2
	}
	return ""
}

// canonical reports whether an escape of three bytes is one that access.Name writes.
func canonical(escape string) bool {
	hi, lo := hexValue(escape[1]), hexValue(escape[2])
	return hi >= 0 && lo >= 0 && access.Name(string([]byte{byte(hi<<4 | lo)})) == escape
}

func hexValue(c byte) int { return strings.IndexByte("0123456789ABCDEF", c) }
