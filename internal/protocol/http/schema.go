package http

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// dialect is how one version of OpenAPI writes schemas.
type dialect struct {
	nullable bool     // null is allowed by a word of its own
	plain    []string // keywords that hold no schema
	one      []string // keywords that hold a schema, or a boolean
	list     []string // keywords that hold a list of schemas
	named    []string // keywords that hold schemas by name
}

func shared() dialect {
	return dialect{
		plain: []string{"title", "description", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern",
			"maxItems", "minItems", "uniqueItems", "maxProperties", "minProperties", "required", "enum", "type", "format", "default", "discriminator",
			"readOnly", "writeOnly", "xml", "externalDocs", "example", "deprecated"},
		one: []string{"not", "items", "additionalProperties"}, list: []string{"allOf", "oneOf", "anyOf"}, named: []string{"properties"},
	}
}

func dialect30() dialect {
	d := shared()
	d.nullable = true
	d.plain = append(d.plain, "nullable")
	return d
}

func dialect31() dialect {
	d := shared()
	d.plain = append(d.plain, "const", "minContains", "maxContains", "dependentRequired", "examples", "$comment", "contentEncoding", "contentMediaType", "contentSchema")
	d.one = append(d.one, "if", "then", "else", "propertyNames", "contains", "unevaluatedItems", "unevaluatedProperties")
	d.list = append(d.list, "prefixItems")
	d.named = append(d.named, "patternProperties", "dependentSchemas", "$defs")
	return d
}

// prepare rewrites the document's schemas, wherever they are, into what JSON Schema means by them. It comes before anything is
// compiled, so that a reference into a schema finds what was rewritten.
func (r *reader) prepare() error {
	if components, ok := r.root["components"].(map[string]any); ok {
		schemas, _ := components["schemas"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(schemas)) {
			if err := r.rewrite(schemas[name]); err != nil {
				return fmt.Errorf("components/schemas/%s: %w", name, err)
			}
		}
	}
	return r.find(r.root)
}

// find rewrites the schemas that stand elsewhere: as `schema` of parameters and media types.
func (r *reader) find(v any) error {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			switch {
			case name == "schemas" || passedBy(name):
				continue
			case name == "schema":
				if err := r.rewrite(v[name]); err != nil {
					return fmt.Errorf("schema: %w", err)
				}
				continue
			}
			if err := r.find(v[name]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	case []any:
		for _, e := range v {
			if err := r.find(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// rewrite checks that nothing in a schema would be left out, and makes JSON Schema of it in place.
func (r *reader) rewrite(v any) error {
	s, ok := v.(map[string]any)
	if !ok {
		if _, is := v.(bool); is && !r.dialect.nullable {
			return nil
		}
		return errors.New("a schema is no object")
	}
	if ref, is := s["$ref"]; is {
		if text, _ := ref.(string); !toSchema(text) {
			return fmt.Errorf("the reference %v leads to no schema of this document that was checked", ref)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if err := r.keyword(s, name); err != nil {
			return err
		}
	}
	if r.dialect.nullable {
		nullable(s)
	}
	notRequired(s)
	return nil
}

// toSchema reports whether a reference leads to where prepare comes by.
func toSchema(ref string) bool {
	path, ok := strings.CutPrefix(ref, "#/")
	names := strings.Split(path, "/")
	return ok && (names[0] == "components" || names[0] == "paths") && (slices.Contains(names, "schemas") || slices.Contains(names, "schema")) &&
		!slices.ContainsFunc(names, passedBy)
}

// passedBy reports whether what stands below a name is of no concern to requests.
func passedBy(name string) bool {
	switch name {
	case "example", "examples", "responses", "callbacks", "webhooks", "links":
		return true
	}
	return strings.HasPrefix(name, "x-")
}

func (r *reader) keyword(s map[string]any, name string) error {
	d := r.dialect
	switch {
	case name == "$ref" || slices.Contains(d.plain, name):
		return nil
	case strings.HasPrefix(name, "x-"):
		delete(s, name)
		return nil
	case slices.Contains(d.one, name):
		if _, is := s[name].(bool); is && name == "additionalProperties" {
			return nil
		}
		return r.rewrite(s[name])
	case slices.Contains(d.list, name):
		list, ok := s[name].([]any)
		if !ok {
			return fmt.Errorf("%s is no list", name)
		}
		for _, e := range list {
			if err := r.rewrite(e); err != nil {
				return err
			}
		}
		return nil
	case slices.Contains(d.named, name):
		m, ok := s[name].(map[string]any)
		if !ok {
			return fmt.Errorf("%s is no object", name)
		}
		for _, n := range slices.Sorted(maps.Keys(m)) {
			if err := r.rewrite(m[n]); err != nil {
				return fmt.Errorf("%s: %w", n, err)
			}
		}
		return nil
	}
	return fmt.Errorf("the keyword %q of a schema is not understood", name)
}

// nullable writes what OpenAPI 3.0 says by nullable as JSON Schema does.
func nullable(s map[string]any) {
	yes, _ := s["nullable"].(bool)
	delete(s, "nullable")
	kind, ok := s["type"].(string)
	if !yes || !ok {
		return
	}
	s["type"] = []any{kind, "null"}
	if values, ok := s["enum"].([]any); ok && !slices.Contains(values, nil) {
		s["enum"] = append(slices.Clone(values), nil)
	}
}

// notRequired takes what only answers hold from what a request has to hold.
func notRequired(s map[string]any) {
	names, ok := s["required"].([]any)
	properties, _ := s["properties"].(map[string]any)
	if !ok {
		return
	}
	names = slices.DeleteFunc(slices.Clone(names), func(n any) bool {
		name, _ := n.(string)
		p, _ := properties[name].(map[string]any)
		only, _ := p["readOnly"].(bool)
		return only
	})
	if s["required"] = names; len(names) == 0 {
		delete(s, "required") // an empty list is an error to older JSON Schema
	}
}

// schema compiles the schema at a place of the document.
func (r *reader) schema(v any, to string) (*jsonschema.Schema, error) {
	if _, ok := v.(map[string]any); !ok {
		if _, is := v.(bool); !is {
			return nil, errors.New("a schema is no object")
		}
	}
	s, err := r.compiler.Compile(documentURL + "#" + pointer(to))
	if err != nil {
		return nil, fmt.Errorf("its schema cannot be used: %w", err)
	}
	return s, nil
}

// pointer writes a JSON pointer as the fragment of a URL.
func pointer(to string) string { return encode(to, "-._~/!$&'()*+,;=:@") }

// numberFormats are the formats of numbers that OpenAPI adds.
func numberFormats() []*jsonschema.Format {
	within := func(low, high float64) func(any) error {
		return func(v any) error {
			var f float64
			switch n := v.(type) {
			case int64:
				f = float64(n)
			case float64:
				f = n
			case json.Number:
				f, _ = n.Float64()
			default:
				return nil
			}
			if f < low || f > high {
				return errors.New("out of range")
			}
			return nil
		}
	}
	return []*jsonschema.Format{
		{Name: "int32", Validate: within(math.MinInt32, math.MaxInt32)},
		{Name: "int64", Validate: within(math.MinInt64, math.MaxInt64-1024)},
		{Name: "float", Validate: within(-math.MaxFloat32, math.MaxFloat32)},
	}
}
