package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Marshal renders a document as YAML: its kind first, then its keys in the order of the struct, so that equal documents
// give equal text. ParseDocuments reads it back as it was.
func Marshal(doc access.Document) ([]byte, error) {
	const op = "config.Marshal"
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, fault.Wrap(fault.Malformed, op, err, "%s %q cannot be written as YAML", doc.DocKind(), doc.DocName())
	}
	nodes, problems := readJSON(string(b))
	if len(nodes) != 1 || len(problems) > 0 || nodes[0].kind != objectNode {
		return nil, fault.New(fault.Malformed, op, "%s %q is nested too deeply to be written as YAML", doc.DocKind(), doc.DocName())
	}
	kind := entry{key: "kind", value: &node{kind: textNode, text: doc.DocKind()}}
	nodes[0].entries = append([]entry{kind}, nodes[0].entries...)
	return appendObject(nil, nodes[0], 0), nil
}

// Diff renders what changes from one version of a document to another as a unified diff of their YAML. A nil document
// stands for one that does not exist (yet, or any longer). Equal documents give "".
func Diff(old, new access.Document) (string, error) {
	before, err := marshalOrNothing(old)
	if err != nil {
		return "", err
	}
	after, err := marshalOrNothing(new)
	if err != nil {
		return "", err
	}
	d := diff.Diff(title(old), before, title(new), after)
	if _, rest, ok := bytes.Cut(d, []byte("\n")); ok && bytes.HasPrefix(d, []byte("diff ")) {
		d = rest // the library's first line repeats the next two
	}
	return string(d), nil
}

func marshalOrNothing(doc access.Document) ([]byte, error) {
	if doc == nil {
		return nil, nil
	}
	return Marshal(doc)
}

func title(doc access.Document) string {
	if doc == nil {
		return "(none)"
	}
	return doc.DocKind() + "/" + doc.DocName()
}

func appendObject(b []byte, n *node, indent int) []byte {
	for i, e := range n.entries {
		if i > 0 || indent == 0 {
			b = appendIndent(b, indent)
		}
		b = append(appendScalar(b, e.key), ':')
		b = appendValue(b, e.value, indent)
	}
	return b
}

// appendValue renders what follows a key, with the line's end.
func appendValue(b []byte, n *node, indent int) []byte {
	switch {
	case n.kind == objectNode && len(n.entries) > 0:
		b = append(b, '\n')
		b = appendIndent(b, indent+2)
		return appendObject(b, n, indent+2)
	case n.kind == listNode && len(n.items) > 0 && !short(n):
		b = append(b, '\n')
		for _, item := range n.items {
			b = append(appendIndent(b, indent+2), "- "...)
			b = appendItem(b, item, indent+4)
		}
		return b
	case n.kind == textNode && readable(n.text):
		return appendBlock(b, n.text, indent+2)
	}
	return append(appendFlow(append(b, ' '), n), '\n')
}

// appendItem renders one item of a list, with the line's end.
func appendItem(b []byte, n *node, indent int) []byte {
	if n.kind == objectNode && len(n.entries) > 0 {
		return appendObject(b, n, indent)
	}
	return append(appendFlow(b, n), '\n')
}

// flowWidth is how long a list may be to stay on one line.
const flowWidth = 100

// short reports whether a list reads best on one line: plain values that fit.
func short(n *node) bool {
	for _, item := range n.items {
		if item.kind == objectNode || item.kind == listNode {
			return false
		}
	}
	return len(appendFlow(nil, n)) <= flowWidth
}

func appendFlow(b []byte, n *node) []byte {
	switch n.kind {
	case textNode:
		return appendScalar(b, n.text)
	case listNode:
		b = append(b, '[')
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = appendFlow(b, item)
		}
		return append(b, ']')
	case objectNode:
		b = append(b, '{')
		for i, e := range n.entries {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = append(appendScalar(b, e.key), ": "...)
			b = appendFlow(b, e.value)
		}
		return append(b, '}')
	}
	return n.appendJSON(b)
}

func appendIndent(b []byte, n int) []byte { return append(b, strings.Repeat(" ", n)...) }

var (
	// plain is what needs no quotes anywhere in YAML; whether a word is also something else is asked of ambiguous.
	plain     = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./@+-]*(:[A-Za-z0-9_./@+-]+)*( [A-Za-z0-9_./@+-]+)*$`)
	lasting   = regexp.MustCompile(`^([0-9]+(ns|us|ms|s|m|h))+$`) // a duration: no number of any YAML ends so
	ambiguous = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null|nan|inf)$`)
)

// appendScalar writes a text plainly where that can be read in only one way, and in double quotes otherwise.
func appendScalar(b []byte, s string) []byte {
	if len(s) <= flowWidth && (lasting.MatchString(s) || plain.MatchString(s) && !ambiguous.MatchString(s)) {
		return append(b, s...)
	}
	return append(b, quoted(s)...)
}

// quoted is a YAML double-quoted scalar on one line (YAML 1.2 §7.3.1), with everything escaped that does not print.
func quoted(s string) []byte {
	b := []byte{'"'}
	for _, c := range s {
		switch {
		case c == '"', c == '\\':
			b = append(b, '\\', byte(c))
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c > 0xffff && !unicode.IsPrint(c):
			b = fmt.Appendf(b, `\U%08x`, c)
		case c == utf8.RuneError, !unicode.IsPrint(c):
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = utf8.AppendRune(b, c)
		}
	}
	return append(b, '"')
}

// readable reports whether a text of several lines can be written as a block that means exactly it.
func readable(s string) bool {
	if !strings.Contains(s, "\n") || !strings.HasSuffix(s, "\n") || strings.HasSuffix(s, "\n\n") {
		return false
	}
	for line := range strings.Lines(s) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == ' ' || strings.HasSuffix(line, " ") || strings.ContainsFunc(line, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }) {
			return false
		}
	}
	return true
}

func appendBlock(b []byte, s string, indent int) []byte {
	b = append(b, " |\n"...)
	for line := range strings.Lines(s) {
		b = append(appendIndent(b, indent), line...)
	}
	return b
}
