package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxIndent bounds the indentation of a line of YAML, and so how deep blocks can nest before the parser, which calls
// itself for each level, has been let loose on them.
const maxIndent = 4 * maxDepth

// readYAML reads the documents of a YAML text. Anchors, aliases, merge keys, tags and directives are refused: they let a
// few lines stand for gigabytes, and a policy should say what it means where it stands.
func readYAML(text string) ([]*node, []problem) {
	var roots []*node
	var problems []problem
	parts := splitYAML(text)
	if len(parts) > 2*maxDocs {
		return nil, []problem{tooMany}
	}
	for _, p := range parts {
		if p.problem != nil {
			problems = append(problems, *p.problem)
			continue
		}
		n, wrong := readPart(p.text, p.line)
		problems = append(problems, wrong...)
		if n != nil {
			roots = append(roots, n)
		}
	}
	return roots, problems
}

// part is one document of a YAML text.
type part struct {
	text    string
	line    int // lines before it
	problem *problem
}

// splitYAML cuts a text at its document markers: lines that begin with --- or ... and no more than a comment. In YAML
// 1.2 (§9.1.2) such a line ends a document wherever it stands, in quotes and blocks too. It is done here because the
// library loses a document that follows two markers, and a policy must not get lost.
func splitYAML(text string) []part {
	var parts []part
	start, from := 0, 0
	for at, n := 0, 0; at <= len(text); n++ {
		end := strings.IndexByte(text[at:], '\n')
		if end < 0 {
			end = len(text) - at
		}
		if rest, ok := afterMarker(text[at : at+end]); ok {
			parts = append(parts, part{text: text[start:at], line: from})
			if rest != "" && rest[0] != '#' {
				parts = append(parts, part{problem: &problem{position{n + 1, 5}, "a document begins on the line after its marker"}})
			}
			start, from = min(at+end+1, len(text)), n+1
		}
		at += end + 1
	}
	return append(parts, part{text: text[start:], line: from})
}

// afterMarker reports whether a line is a document marker, and what follows it.
func afterMarker(line string) (rest string, ok bool) {
	rest, dashes := strings.CutPrefix(line, "---")
	if !dashes {
		rest, ok = strings.CutPrefix(line, "...")
		if !ok {
			return "", false
		}
	}
	if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return "", false
	}
	return strings.Trim(rest, " \t"), true
}

// readPart reads one document, whose text begins after so many lines of the file; nil where there is nothing in it.
func readPart(text string, line int) (n *node, problems []problem) {
	r := yamlReader{line: line, used: map[*token.Token]bool{}}
	defer func() {
		if recover() != nil { // the parser is others' code, and the text may be an attack on it
			n, problems = nil, []problem{{position{line + 1, 1}, "this is not YAML that can be read"}}
		}
	}()
	tokens := lexer.Tokenize(text)
	p := guard(tokens)
	if p == nil {
		p = covered(tokens, text)
	}
	if p != nil {
		p.pos.line += line
		return nil, []problem{*p}
	}
	// Duplicate keys are ours to find, with all else that is wrong.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, []problem{r.syntax(err)}
	}
	for _, d := range file.Docs {
		if d.Body == nil || d.Body.Type() == ast.NullType || d.Body.Type() == ast.CommentGroupType {
			continue
		}
		if n != nil {
			r.refuse(r.where(d.Body), "a new document begins here: separate it by ---")
			return nil, r.problems
		}
		n = r.value(d.Body, 0, anywhere)
	}
	r.nothingLost(tokens)
	return n, r.problems
}

// guard refuses what the parser must not see. It keeps no stack: it counts.
func guard(tokens token.Tokens) *problem {
	if len(tokens) > maxTokens {
		return &problem{position{1, 1}, fmt.Sprintf("the document has more than %d parts: split it", maxTokens)}
	}
	flow, line, onLine := 0, 0, 0
	for _, t := range tokens {
		pos := position{t.Position.Line, t.Position.Column}
		if t.Position.Line != line {
			line, onLine = t.Position.Line, 0
			if flow == 0 && t.Position.Column > maxIndent {
				return &problem{pos, fmt.Sprintf("indented by more than %d characters", maxIndent)}
			}
		}
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			return &problem{pos, "anchors, aliases and merge keys are not allowed here: write the values out"}
		case token.TagType:
			return &problem{pos, "tags are not allowed here: quote the value if it is meant as text"}
		case token.DirectiveType:
			return &problem{pos, "directives are not allowed here: remove the line"}
		case token.MappingKeyType:
			return &problem{pos, "keys that begin with ? are not allowed here: write key: value, and quote values that begin with ?"}
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingValueType:
			onLine++
		}
		if flow > maxDepth || (flow == 0 && onLine > maxDepth) {
			return &problem{pos, fmt.Sprintf("nested more than %d deep", maxDepth)}
		}
	}
	return nil
}

// covered refuses a text of which some part did not become a token, for the same reason as nothingLost. White space
// apart, the tokens' origins are the text; those of double-quoted ones are not kept exactly, so their end is looked for.
func covered(tokens token.Tokens, text string) *problem {
	at, pos := 0, position{1, 1}
	for _, t := range tokens {
		origin := strings.TrimLeftFunc(t.Origin, unicode.IsSpace)
		at, pos, _ = skipSpace(text, at, pos)
		if t.Type == token.DoubleQuoteType {
			origin = doubleQuoted(text[at:])
		}
		for _, c := range origin {
			var next rune
			if at, pos, next = skipSpace(text, at, pos); unicode.IsSpace(c) {
				continue
			}
			if next != c {
				return &problem{pos, "it is not clear what this means: put the value in quotes"}
			}
			at, pos.col = at+utf8.RuneLen(c), pos.col+1
		}
	}
	if at, pos, _ = skipSpace(text, at, pos); at < len(text) {
		return &problem{pos, "it is not clear what this means: put the value in quotes"}
	}
	return nil
}

// doubleQuoted returns the double-quoted scalar that text begins with, or what cannot be one.
func doubleQuoted(text string) string {
	if text == "" || text[0] != '"' {
		return "\x00"
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return text[:i+1]
		}
	}
	return "\x00"
}

// skipSpace returns the next place of the text that is not white space, and what stands there.
func skipSpace(text string, at int, pos position) (int, position, rune) {
	for i, c := range text[at:] {
		if !unicode.IsSpace(c) {
			return at + i, pos, c
		}
		pos.col++
		if c == '\n' {
			pos = position{pos.line + 1, 1}
		}
	}
	return len(text), pos, 0
}

// yamlReader turns the library's tree into ours and collects what is wrong with it.
type yamlReader struct {
	line     int // lines of the file before the text
	used     map[*token.Token]bool
	problems []problem
}

func (r *yamlReader) refuse(pos position, format string, args ...any) {
	r.problems = append(r.problems, problem{pos, fmt.Sprintf(format, args...)})
}

// syntax takes the place and the message out of the library's error.
func (r *yamlReader) syntax(err error) problem {
	var y yaml.Error
	if errors.As(err, &y) && y.GetToken() != nil {
		p := y.GetToken().Position
		return problem{position{p.Line + r.line, p.Column}, y.GetMessage()}
	}
	return problem{position{r.line + 1, 1}, "this is not YAML that can be read"}
}

// nothingLost refuses a text of which some value did not reach the tree: a parser that skips what it does not
// understand would turn a rule into no rule.
func (r *yamlReader) nothingLost(tokens token.Tokens) {
	if len(r.problems) > 0 {
		return // what was refused has not been walked
	}
	for _, t := range tokens {
		switch t.Type {
		case token.StringType, token.SingleQuoteType, token.DoubleQuoteType, token.IntegerType, token.FloatType, token.BoolType, token.NullType:
			if !r.used[t] {
				r.refuse(r.at(t), "it is not clear what this belongs to: check the indentation")
			}
		}
	}
}

var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// value turns a value that must stand at column floor or to the right of it. The library takes what follows an empty
// item for the item, whatever its indentation.
func (r *yamlReader) value(v ast.Node, depth, floor int) *node {
	pos := r.where(v)
	if depth >= maxDepth {
		r.refuse(pos, "nested more than %d deep", maxDepth)
		return &node{pos: pos}
	}
	if pos.col < floor && v.Type() != ast.NullType {
		r.refuse(pos, "it is not clear what this belongs to: indent it, or give the line above a value")
		return &node{pos: pos}
	}
	switch v := v.(type) {
	case *ast.MappingNode:
		if v.IsFlowStyle {
			return r.object(pos, v.Values, depth, anywhere)
		}
		return r.object(pos, v.Values, depth, pos.col)
	case *ast.MappingValueNode:
		return r.object(pos, []*ast.MappingValueNode{v}, depth, pos.col)
	case *ast.SequenceNode:
		return r.list(pos, v, depth)
	case *ast.StringNode:
		return &node{kind: textNode, pos: pos, text: v.Value}
	case *ast.LiteralNode:
		return &node{kind: textNode, pos: pos, text: v.Value.Value}
	case *ast.BoolNode:
		return &node{kind: booleanNode, pos: pos, text: fmt.Sprint(v.Value)}
	case *ast.IntegerNode:
		return r.number(pos, integerNode, v.Token.Value)
	case *ast.FloatNode:
		return r.number(pos, numberNode, v.Token.Value)
	case *ast.NullNode:
		return &node{kind: nullNode, pos: pos}
	}
	r.refuse(pos, "this kind of value is not allowed here: quote it if it is meant as text")
	return &node{pos: pos}
}

func (r *yamlReader) list(pos position, v *ast.SequenceNode, depth int) *node {
	n := &node{kind: listNode, pos: pos}
	floor := pos.col + 1
	if v.IsFlowStyle {
		floor = anywhere
	}
	for _, item := range v.Values {
		n.items = append(n.items, r.value(item, depth+1, floor))
	}
	return n
}

func (r *yamlReader) number(pos position, kind nodeKind, text string) *node {
	if !decimal.MatchString(text) {
		r.refuse(pos, "%q is not written as a decimal number: quote it if it is meant as text", text)
		return &node{pos: pos}
	}
	return &node{kind: kind, pos: pos, text: text}
}

// anywhere stands for a column where indentation means nothing, because brackets hold things together.
const anywhere = 0

// object turns the entries of an object, whose keys must all stand at the column.
func (r *yamlReader) object(pos position, values []*ast.MappingValueNode, depth, column int) *node {
	n := &node{kind: objectNode, pos: pos}
	seen := make(map[string]bool, len(values))
	for _, v := range values {
		keyPos := r.where(v.Key)
		key, ok := v.Key.(*ast.StringNode)
		switch {
		case !ok:
			r.refuse(keyPos, "a key must be text: put it in quotes")
			continue
		case seen[key.Value]:
			r.refuse(keyPos, "the key %q is there twice", key.Value)
			continue
		case column != anywhere && keyPos.col != column:
			r.refuse(keyPos, "it is not clear what this belongs to: give the keys of one object the same indentation")
			continue
		}
		seen[key.Value] = true
		n.entries = append(n.entries, entry{key.Value, keyPos, r.value(v.Value, depth+1, floorUnder(v, column))})
	}
	return n
}

// floorUnder is the first column where the value of a key at the column may stand: to the right of the key, but for a
// list in block style, which may stand under it.
func floorUnder(v *ast.MappingValueNode, column int) int {
	if column == anywhere {
		return anywhere
	}
	if s, ok := v.Value.(*ast.SequenceNode); ok && !s.IsFlowStyle {
		return column
	}
	return column + 1
}

// where is the place of a value, and notes that its token has been seen.
func (r *yamlReader) where(v ast.Node) position {
	if m, ok := v.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		v = m.Values[0].Key
	}
	if m, ok := v.(*ast.MappingValueNode); ok {
		v = m.Key
	}
	t := v.GetToken()
	if l, ok := v.(*ast.LiteralNode); ok {
		r.used[l.Value.GetToken()] = true
	}
	r.used[t] = true
	return r.at(t)
}

func (r *yamlReader) at(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{r.line + 1, 1}
	}
	return position{t.Position.Line + r.line, t.Position.Column}
}

// clean brings a text to what both readers expect, or says why it cannot be read.
func clean(b []byte) (string, *problem) {
	if len(b) > maxFile {
		return "", &problem{position{}, fmt.Sprintf("the file is larger than %d bytes: split it", maxFile)}
	}
	text := strings.ReplaceAll(strings.TrimPrefix(string(b), "\ufeff"), "\r\n", "\n")
	pos := position{1, 1}
	for _, c := range text {
		switch {
		case c == '\n':
			pos = position{pos.line + 1, 0}
		case c == '\ufffd', c < 0x20 && c != '\t', c == 0x7f:
			return text, &problem{pos, "there is a control character, or something that is not UTF-8, at this place: remove it"}
		}
		pos.col++
	}
	return text, nil
}
