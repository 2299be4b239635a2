package config

import (
	"fmt"

	"gatehouse/internal/access"
)

// Located is a document together with where it was written.
type Located struct {
	Doc  access.Document
	File string
	root *node
	src  *source
}

// Position returns the line and column, counted from 1, of the value at a path such as statements[2].condition (indexes
// count from 0), or of the nearest thing around it that was written.
func (l Located) Position(path string) (line, col int) {
	if l.root == nil {
		return 0, 0
	}
	pos := l.root.at(path)
	return pos.line, pos.col
}

// Show renders what is wrong at a path: file, line and column, the words, the source line and a caret.
func (l Located) Show(path, say string) string {
	if l.root == nil {
		return fmt.Sprintf("%s %s: %s: %s", l.Doc.DocKind(), l.Doc.DocName(), path, say)
	}
	return l.src.show(problem{l.root.at(path), say})
}

// ParseDocuments reads the documents of a file, YAML (several separated by ---) or JSON (several in a row, or one list).
// The name is only for messages. The error is fault.Malformed, and shows every problem at its place; what policies say
// is not checked here but where they are compiled, and Located leads back to the line.
func ParseDocuments(name string, b []byte) ([]Located, error) {
	root, err := loadSchema()
	if err != nil {
		return nil, err
	}
	src, nodes, err := read(name, b)
	if err != nil {
		return nil, err
	}
	if len(nodes) > maxDocs {
		return nil, src.malformed([]problem{tooMany})
	}
	p := documentParser{src: src, root: root, seen: map[[2]string]position{}}
	for _, n := range nodes {
		p.document(n)
	}
	if err := src.malformed(p.problems); err != nil {
		return nil, err
	}
	return p.docs, nil
}

// read turns a file into trees.
func read(name string, b []byte) (*source, []*node, error) {
	text, p := clean(b)
	src := newSource(name, text)
	if p != nil {
		return src, nil, src.malformed([]problem{*p})
	}
	if !looksLikeJSON(text) {
		nodes, problems := readYAML(text)
		return src, nodes, src.malformed(problems)
	}
	nodes, problems := readJSON(text)
	if len(nodes) == 1 && nodes[0].kind == listNode {
		nodes = nodes[0].items
	}
	return src, nodes, src.malformed(problems)
}

type documentParser struct {
	src      *source
	root     *schema
	docs     []Located
	seen     map[[2]string]position
	problems []problem
}

func (p *documentParser) refuse(pos position, format string, args ...any) {
	p.problems = append(p.problems, problem{pos, fmt.Sprintf(format, args...)})
}

func (p *documentParser) document(n *node) {
	if n.kind != objectNode {
		p.refuse(n.pos, "a document must be an object that begins with its kind, and this is %s", n.kind)
		return
	}
	kind := n.get("kind")
	if kind == nil || kind.kind != textNode {
		p.refuse(n.pos, "the document does not say its kind: begin it with kind: Policy, or another of %v", access.Kinds())
		return
	}
	if _, ok := access.NewDocument(kind.text); !ok {
		p.refuse(kind.pos, "there is no document kind %q%s", kind.text, didYouMean(kind.text, access.Kinds()))
		return
	}
	c := checker{root: p.root}
	c.check(n, p.root.Defs[kind.text], "")
	if len(c.problems) > 0 {
		p.problems = append(p.problems, c.problems...)
		return
	}
	p.accept(n, kind.text)
}

// accept decodes a document that fits the schema.
func (p *documentParser) accept(n *node, kind string) {
	body := *n
	body.remove("kind")
	doc, err := access.DecodeDocument(kind, body.appendJSON(nil))
	if err != nil {
		p.refuse(n.pos, "this %s cannot be read: %v", kind, err)
		return
	}
	if c, ok := doc.(*access.Connection); ok {
		for _, w := range wrongConnection(c) {
			p.refuse(n.at(w.path), "%s %s", w.path, w.say)
		}
	}
	id := [2]string{kind, doc.DocName()}
	if first, twice := p.seen[id]; twice {
		p.refuse(n.pos, "%s %q is in this file twice, first in line %d: keep one", kind, doc.DocName(), first.line)
		return
	}
	p.seen[id] = n.pos
	p.docs = append(p.docs, Located{Doc: doc, File: p.src.name, root: n, src: p.src})
}
