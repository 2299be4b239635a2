package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

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
func readYAML(text string) (roots []*node, problems []problem) {
	defer func() {
		if r := recover(); r != nil { // the parser is others' code, and the text may be an attack on it
			roots, problems = nil, []problem{{position{}, "this is not YAML that can be read"}}
		}
	}()
	tokens := lexer.Tokenize(text)
	if p := guard(tokens); p != nil {
		return nil, []problem{*p}
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, []problem{yamlProblem(err)}
	}
	var r yamlReader
	for _, d := range file.Docs {
		if d.Body == nil || d.Body.Type() == ast.NullType || d.Body.Type() == ast.CommentGroupType {
			continue // an empty document between two separators
		}
		roots = append(roots, r.value(d.Body, 0))
	}
	return roots, r.problems
}

// guard refuses what the parser must not see. It keeps no stack: it counts.
func guard(tokens token.Tokens) *problem {
	if len(tokens) > maxTokens {
		return &problem{position{}, fmt.Sprintf("the file has more than %d parts: split it", maxTokens)}
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

// yamlProblem takes the place and the message out of the library's error.
func yamlProblem(err error) problem {
	var y yaml.Error
	if errors.As(err, &y) && y.GetToken() != nil {
		p := y.GetToken().Position
		return problem{position{p.Line, p.Column}, y.GetMessage()}
	}
	return problem{position{}, "this is not YAML that can be read"}
}

// yamlReader turns the library's tree into ours and collects what is wrong with it.
type yamlReader struct{ problems []problem }

func (r *yamlReader) refuse(pos position, format string, args ...any) {
	r.problems = append(r.problems, problem{pos, fmt.Sprintf(format, args...)})
}

var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func (r *yamlReader) value(v ast.Node, depth int) *node {
	pos := where(v)
	if depth >= maxDepth {
		r.refuse(pos, "nested more than %d deep", maxDepth)
		return &node{pos: pos}
	}
	switch v := v.(type) {
	case *ast.MappingNode:
		return r.object(pos, v.Values, depth)
	case *ast.MappingValueNode:
		return r.object(pos, []*ast.MappingValueNode{v}, depth)
	case *ast.SequenceNode:
		n := &node{kind: listNode, pos: pos}
		for _, item := range v.Values {
			n.items = append(n.items, r.value(item, depth+1))
		}
		return n
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

func (r *yamlReader) number(pos position, kind nodeKind, text string) *node {
	if !decimal.MatchString(text) {
		r.refuse(pos, "%q is not written as a decimal number: quote it if it is meant as text", text)
		return &node{pos: pos}
	}
	return &node{kind: kind, pos: pos, text: text}
}

func (r *yamlReader) object(pos position, values []*ast.MappingValueNode, depth int) *node {
	n := &node{kind: objectNode, pos: pos}
	seen := make(map[string]bool, len(values))
	for i, v := range values {
		keyPos := where(v.Key)
		if i == 0 && n.pos.line == keyPos.line {
			n.pos = keyPos // and not its colon
		}
		key, ok := v.Key.(*ast.StringNode)
		if !ok {
			r.refuse(keyPos, "a key must be text: put it in quotes")
			continue
		}
		if seen[key.Value] {
			r.refuse(keyPos, "the key %q is there twice", key.Value)
			continue
		}
		seen[key.Value] = true
		n.entries = append(n.entries, entry{key.Value, keyPos, r.value(v.Value, depth+1)})
	}
	return n
}

func where(v ast.Node) position {
	if m, ok := v.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		v = m.Values[0].Key
	}
	if m, ok := v.(*ast.MappingValueNode); ok {
		v = m.Key
	}
	t := v.GetToken()
	if t == nil || t.Position == nil {
		return position{}
	}
	return position{t.Position.Line, t.Position.Column}
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
