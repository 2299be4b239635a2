package config

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Bounds on what is read, whatever it says.
const (
	maxFile     = 1 << 20 // bytes
	maxDepth    = 32      // nested lists and objects
	maxTokens   = 20_000  // of one YAML document: the library takes quadratic time for the keys of an object
	maxDocs     = 10_000  // documents in one file
	maxProblems = 20      // problems shown at once
)

type nodeKind uint8

const (
	nullNode nodeKind = iota
	textNode
	integerNode
	numberNode
	booleanNode
	listNode
	objectNode
)

var kindWords = [...]string{"nothing", "text", "a whole number", "a number", "true or false", "a list", "an object"}

func (k nodeKind) String() string { return kindWords[k] }

// position is a place in a file, both counted from 1; columns count characters.
type position struct{ line, col int }

// node is one value of a YAML or JSON text.
type node struct {
	kind    nodeKind
	pos     position
	text    string  // textNode: the text; integerNode, numberNode and booleanNode: as in JSON
	items   []*node // listNode
	entries []entry // objectNode, in the order of the file
}

type entry struct {
	key    string
	keyPos position
	value  *node
}

// get returns the value under a key of an object, or nil.
func (n *node) get(key string) *node {
	for i := range n.entries {
		if n.entries[i].key == key {
			return n.entries[i].value
		}
	}
	return nil
}

// remove takes a key out of an object.
func (n *node) remove(key string) {
	for i := range n.entries {
		if n.entries[i].key == key {
			n.entries = append(n.entries[:i:i], n.entries[i+1:]...)
			return
		}
	}
}

// appendJSON renders the tree as JSON.
func (n *node) appendJSON(b []byte) []byte {
	switch n.kind {
	case textNode:
		return appendText(b, n.text)
	case integerNode, numberNode, booleanNode:
		return append(b, n.text...)
	case listNode:
		b = append(b, '[')
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.appendJSON(b)
		}
		return append(b, ']')
	case objectNode:
		b = append(b, '{')
		for i, e := range n.entries {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, e.key), ':')
			b = e.value.appendJSON(b)
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

func appendText(b []byte, s string) []byte {
	q, err := json.Marshal(s)
	if err != nil { // a string always marshals
		return append(b, `""`...)
	}
	return append(b, q...)
}

// at finds the place of a path such as statements[2].condition, or of the nearest thing around it that exists. Indexes
// count from 0.
func (n *node) at(path string) position {
	pos := n.pos
	for path != "" && n != nil {
		var step string
		path = strings.TrimPrefix(path, ".")
		if strings.HasPrefix(path, "[") {
			step, path, _ = strings.Cut(path[1:], "]")
			i, err := strconv.Atoi(step)
			if n.kind != listNode || err != nil || i < 0 || i >= len(n.items) {
				return pos
			}
			n, pos = n.items[i], n.items[i].pos
			continue
		}
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		step, path = path[:end], path[end:]
		n = n.get(step)
		if n != nil {
			pos = n.pos
		}
	}
	return pos
}

func joinPath(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func indexPath(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
