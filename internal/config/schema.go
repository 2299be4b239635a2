package config

import (
	"bytes"
	_ "embed" // the schema
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/fault"
)

//go:embed schema.json
var schemaJSON []byte

// Schema returns the JSON Schema (draft 2020-12) of every key of every document and of the gateway's own configuration:
// what `gatehouse schema print` shows and what editors check against.
func Schema() []byte { return bytes.Clone(schemaJSON) }

// serverDef is the definition of the gateway's own configuration among the schema's $defs; the others are the documents'.
const serverDef = "Server"

// schema is the part of JSON Schema that is in use; loading refuses any other keyword, so that nothing in the file can
// be believed to be checked without being so.
type schema struct {
	Dialect     string             `json:"$schema,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Ref         string             `json:"$ref,omitempty"`
	Type        string             `json:"type,omitempty"`
	Const       string             `json:"const,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	MinLength   int                `json:"minLength,omitempty"`
	Minimum     *int64             `json:"minimum,omitempty"`
	Maximum     *int64             `json:"maximum,omitempty"`
	MinItems    int                `json:"minItems,omitempty"`
	MinProps    int                `json:"minProperties,omitempty"`
	MaxProps    int                `json:"maxProperties,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Additional  *bool              `json:"additionalProperties,omitempty"` // absent: keys of one's own choice are fine
	OneOf       []*schema          `json:"oneOf,omitempty"`
	Defs        map[string]*schema `json:"$defs,omitempty"`
}

func loadSchema() (*schema, error) {
	d := json.NewDecoder(bytes.NewReader(schemaJSON))
	d.DisallowUnknownFields()
	s := new(schema)
	if err := d.Decode(s); err != nil {
		return nil, fault.Wrap(fault.Internal, "config.loadSchema", err, "the schema in this binary cannot be read")
	}
	return s, nil
}

// checker checks one tree against the schema and collects what is wrong.
type checker struct {
	root     *schema
	problems []problem
}

func (c *checker) refuse(pos position, format string, args ...any) {
	c.problems = append(c.problems, problem{pos, fmt.Sprintf(format, args...)})
}

func (c *checker) resolve(s *schema) *schema {
	for s.Ref != "" {
		s = c.root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
	}
	return s
}

// typeKinds maps a schema's type to the kinds of node that it accepts; the first one names it.
func accepts(typ string, k nodeKind) bool {
	switch typ {
	case "":
		return true
	case "number":
		return k == numberNode || k == integerNode
	}
	return typ == typeOf(k)
}

func typeOf(k nodeKind) string {
	return [...]string{"null", "string", "integer", "number", "boolean", "array", "object"}[k]
}

func wordOf(typ string) string {
	for k := nullNode; k <= objectNode; k++ {
		if typeOf(k) == typ {
			return k.String()
		}
	}
	return "a value"
}

// check checks n, found at path, against s. It may replace a null by the word "null" where the schema has such a word.
func (c *checker) check(n *node, s *schema, path string) {
	s = c.resolve(s)
	if len(s.OneOf) > 0 {
		c.oneOf(n, s, path)
		return
	}
	if n.kind == nullNode {
		c.refuse(n.pos, "%s has no value: give it one or remove the key", named(path))
		return
	}
	if !accepts(s.Type, n.kind) {
		c.wrongType(n, s, path)
		return
	}
	switch n.kind {
	case textNode:
		c.text(n, s, path)
	case integerNode:
		c.integer(n, s, path)
	case listNode:
		c.list(n, s, path)
	case objectNode:
		c.object(n, s, path)
	}
}

// oneOf goes on with the alternative that fits the kind of the node: the alternatives of this schema differ in that.
func (c *checker) oneOf(n *node, s *schema, path string) {
	if n.kind == nullNode {
		for _, alternative := range s.OneOf {
			if slices.Contains(alternative.Enum, "null") { // YAML reads the bare word as nothing at all
				n.kind, n.text = textNode, "null"
			}
		}
	}
	var words []string
	for _, alternative := range s.OneOf {
		alternative = c.resolve(alternative)
		if accepts(alternative.Type, n.kind) {
			c.check(n, alternative, path)
			return
		}
		words = append(words, wordOf(alternative.Type))
	}
	c.refuse(n.pos, "%s must be %s, and is %s", named(path), strings.Join(words, " or "), n.kind)
}

func (c *checker) wrongType(n *node, s *schema, path string) {
	switch {
	case s.Type == "string" && (n.kind == integerNode || n.kind == numberNode || n.kind == booleanNode):
		c.refuse(n.pos, "%s must be text, and is %s: put it in quotes", named(path), n.kind)
	case s.Type == "string" && n.kind == objectNode:
		c.refuse(n.pos, "%s must be text, and is %s: put text with a colon in it in quotes", named(path), n.kind)
	case s.Type == "array" && n.kind != objectNode:
		c.refuse(n.pos, "%s must be a list, and is %s: put it in brackets, as in [%s]", named(path), n.kind, n.text)
	default:
		c.refuse(n.pos, "%s must be %s, and is %s", named(path), wordOf(s.Type), n.kind)
	}
}

func (c *checker) text(n *node, s *schema, path string) {
	switch {
	case s.Const != "" && n.text != s.Const:
		c.refuse(n.pos, "%s must be %q", named(path), s.Const)
	case len(s.Enum) > 0 && !slices.Contains(s.Enum, n.text):
		c.refuse(n.pos, "%q is not a value of %s%s", n.text, named(path), didYouMean(n.text, s.Enum))
	case utf8.RuneCountInString(n.text) < s.MinLength:
		c.refuse(n.pos, "%s must not be empty", named(path))
	case s.Pattern != "" && !matches(s.Pattern, n.text):
		c.refuse(n.pos, "%q does not fit %s: %s", n.text, named(path), s.Description)
	}
}

// matches treats a pattern that does not compile as one that nothing fits; TestSchemaIsCurrent compiles them all.
func matches(pattern, s string) bool {
	ok, err := regexp.MatchString(pattern, s)
	return ok && err == nil
}

func (c *checker) integer(n *node, s *schema, path string) {
	v, err := strconv.ParseInt(n.text, 10, 64)
	switch {
	case err != nil:
		c.refuse(n.pos, "%s is too large a number", named(path))
	case s.Minimum != nil && v < *s.Minimum:
		c.refuse(n.pos, "%s must be at least %d", named(path), *s.Minimum)
	case s.Maximum != nil && v > *s.Maximum:
		c.refuse(n.pos, "%s must be at most %d", named(path), *s.Maximum)
	}
}

func (c *checker) list(n *node, s *schema, path string) {
	if len(n.items) < s.MinItems {
		c.refuse(n.pos, "%s must not be empty", named(path))
	}
	items := s.Items
	if items == nil {
		items = &schema{}
	}
	for i, item := range n.items {
		c.check(item, items, indexPath(path, i))
	}
}

func (c *checker) object(n *node, s *schema, path string) {
	known := make([]string, 0, len(s.Properties))
	for key := range s.Properties {
		known = append(known, key)
	}
	sort.Strings(known)
	for _, e := range n.entries {
		property := s.Properties[e.key]
		switch {
		case property != nil:
			c.check(e.value, property, joinPath(path, e.key))
		case s.Additional != nil && !*s.Additional:
			c.refuse(e.keyPos, "unknown key %q in %s%s", e.key, named(path), didYouMean(e.key, known))
		default:
			c.check(e.value, &schema{}, joinPath(path, e.key))
		}
	}
	for _, key := range s.Required {
		if n.get(key) == nil {
			c.refuse(n.pos, "the key %q is missing in %s: %s", key, named(path), s.Properties[key].Description)
		}
	}
	switch {
	case len(n.entries) < s.MinProps:
		c.refuse(n.pos, "%s is empty; it needs one of %s", named(path), strings.Join(known, ", "))
	case s.MaxProps > 0 && len(n.entries) > s.MaxProps:
		c.refuse(n.pos, "%s takes only one of %s", named(path), strings.Join(known, ", "))
	}
}

// named is how a sentence speaks of a path.
func named(path string) string {
	if path == "" {
		return "the document"
	}
	return path
}
