package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// readJSON reads a sequence of JSON values. JSON is read apart from YAML, though YAML contains it: so that its escapes
// and white space mean exactly what JSON says.
func readJSON(text string) ([]*node, []problem) {
	r := &jsonReader{text: text, line: 1, dec: json.NewDecoder(strings.NewReader(text))}
	r.dec.UseNumber()
	var roots []*node
	for {
		n, err := r.value(0)
		if errors.Is(err, io.EOF) {
			return roots, nil
		}
		if err != nil {
			return nil, []problem{r.problem(err)}
		}
		roots = append(roots, n)
	}
}

type jsonReader struct {
	text string
	dec  *json.Decoder
	// what position has counted so far: the offset, its line and where that line starts
	offset, line, lineStart int
}

// errDeep refuses what would nest without end.
var errDeep = fmt.Errorf("nested more than %d deep", maxDepth)

// problem puts an error at the token that could not be read.
func (r *jsonReader) problem(err error) problem {
	offset := r.tokenStart()
	if errors.Is(err, io.ErrUnexpectedEOF) {
		offset = len(r.text)
	}
	return problem{r.position(offset), "this is not JSON: " + strings.TrimPrefix(err.Error(), "json: ")}
}

// tokenStart is the offset of the token that comes next.
func (r *jsonReader) tokenStart() int {
	start := int(r.dec.InputOffset())
	for start < len(r.text) && strings.IndexByte(" \t\r\n,:", r.text[start]) >= 0 {
		start++
	}
	return start
}

// position turns an offset into a line and column. It counts on from the last one, so that reading takes linear time.
func (r *jsonReader) position(offset int) position {
	offset = max(0, min(offset, len(r.text)))
	if offset < r.offset {
		r.offset, r.line, r.lineStart = 0, 1, 0
	}
	for i := r.offset; i < offset; i++ {
		if r.text[i] == '\n' {
			r.line, r.lineStart = r.line+1, i+1
		}
	}
	r.offset = offset
	return position{r.line, utf8.RuneCountInString(r.text[r.lineStart:offset]) + 1}
}

// next returns the next token and where it begins.
func (r *jsonReader) next() (json.Token, position, error) {
	start := r.tokenStart()
	t, err := r.dec.Token()
	if err != nil {
		return nil, position{}, err
	}
	return t, r.position(start), nil
}

func (r *jsonReader) value(depth int) (*node, error) {
	t, pos, err := r.next()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if depth >= maxDepth {
			return nil, errDeep
		}
		if t == '{' {
			return r.object(pos, depth+1)
		}
		return r.list(pos, depth+1)
	case string:
		return &node{kind: textNode, pos: pos, text: t}, nil
	case json.Number:
		kind := integerNode
		if strings.ContainsAny(t.String(), ".eE") {
			kind = numberNode
		}
		return &node{kind: kind, pos: pos, text: t.String()}, nil
	case bool:
		return &node{kind: booleanNode, pos: pos, text: fmt.Sprint(t)}, nil
	}
	return &node{kind: nullNode, pos: pos}, nil
}

func (r *jsonReader) object(pos position, depth int) (*node, error) {
	n := &node{kind: objectNode, pos: pos}
	seen := map[string]bool{}
	for r.dec.More() {
		t, keyPos, err := r.next()
		if err != nil {
			return nil, err
		}
		key, ok := t.(string)
		if !ok || seen[key] {
			return nil, fmt.Errorf("the key %q is there twice", key)
		}
		seen[key] = true
		v, err := r.value(depth)
		if err != nil {
			return nil, unexpectedEnd(err)
		}
		n.entries = append(n.entries, entry{key, keyPos, v})
	}
	_, _, err := r.next()
	return n, unexpectedEnd(err)
}

func (r *jsonReader) list(pos position, depth int) (*node, error) {
	n := &node{kind: listNode, pos: pos}
	for r.dec.More() {
		v, err := r.value(depth)
		if err != nil {
			return nil, unexpectedEnd(err)
		}
		n.items = append(n.items, v)
	}
	_, _, err := r.next()
	return n, unexpectedEnd(err)
}

// unexpectedEnd marks the end of the text inside a value.
func unexpectedEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// looksLikeJSON reports whether the text is meant as JSON: it begins like an object or list of JSON and not like YAML's
// flow style, which hardly anyone writes at the top of a file.
func looksLikeJSON(text string) bool {
	rest := bytes.TrimLeft([]byte(text), " \t\r\n")
	if len(rest) == 0 || (rest[0] != '{' && rest[0] != '[') {
		return false
	}
	rest = bytes.TrimLeft(rest[1:], " \t\r\n")
	return len(rest) == 0 || strings.IndexByte(`"{[}]`, rest[0]) >= 0
}
