package http

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// documentURL is the address under which a document is known to its own references. Nothing else can be referred to.
const documentURL = "mem:///document"

// reader compiles the operations of one document.
type reader struct {
	connection string
	root       map[string]any
	dialect    dialect
	compiler   *jsonschema.Compiler
	names      map[string]string // operations by action
}

// nowhere refuses to load.
type nowhere struct{}

// Load implements jsonschema.URLLoader.
func (nowhere) Load(string) (any, error) {
	return nil, errors.New("a reference leaves the document: only those within it are followed")
}

func newReader(connection string, root map[string]any) (*reader, error) {
	r := &reader{connection: connection, root: root, names: map[string]string{}}
	version, _ := root["openapi"].(string)
	c := jsonschema.NewCompiler()
	switch {
	case strings.HasPrefix(version, "3.0."):
		r.dialect = dialect30()
		c.DefaultDraft(jsonschema.Draft4)
	case strings.HasPrefix(version, "3.1."):
		r.dialect = dialect31()
		c.DefaultDraft(jsonschema.Draft2020)
		if d, said := root["jsonSchemaDialect"]; said && d != "https://spec.openapis.org/oas/3.1/dialect/base" && d != "https://json-schema.org/draft/2020-12/schema" {
			return nil, errors.New("jsonSchemaDialect: only that of OpenAPI 3.1 is understood")
		}
	default:
		return nil, errors.New("it does not begin with openapi: 3.0 or 3.1")
	}
	c.UseLoader(nowhere{})
	c.AssertFormat()
	for _, f := range numberFormats() {
		c.RegisterFormat(f)
	}
	r.compiler = c
	if err := r.prepare(); err != nil {
		return nil, err
	}
	return r, c.AddResource(documentURL, r.root)
}

// object returns the member of o that has to be an object.
func object(o map[string]any, name string) (map[string]any, error) {
	m, ok := o[name].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s is no object", name)
	}
	return m, nil
}

// place is a value of the document, and the JSON pointer to it.
type place struct {
	at map[string]any
	to string
}

func (p place) below(names ...string) string {
	to := p.to
	for _, n := range names {
		to += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(n)
	}
	return to
}

// resolve follows references within the document.
func (r *reader) resolve(v any, to string) (place, error) {
	for range maxRefs {
		m, ok := v.(map[string]any)
		if !ok {
			return place{}, fmt.Errorf("%s is no object", to)
		}
		ref, is := m["$ref"].(string)
		if !is {
			return place{m, to}, nil
		}
		next, ok := strings.CutPrefix(ref, "#/")
		if !ok {
			return place{}, fmt.Errorf("the reference %q leaves the document", ref)
		}
		v, to = any(r.root), ""
		for name := range strings.SplitSeq(next, "/") {
			m, _ := v.(map[string]any)
			plain, err := unescape(strings.NewReplacer("~1", "/", "~0", "~").Replace(name))
			if err != nil {
				plain = name
			}
			if v, ok = m[plain]; !ok {
				return place{}, fmt.Errorf("the reference %q leads nowhere", ref)
			}
			to = place{to: to}.below(plain)
		}
	}
	return place{}, errors.New("a reference leads to itself")
}

// path reads the operations of one path.
func (r *reader) path(path string, v any) (map[string]*operation, error) {
	item, err := r.resolve(v, place{}.below("paths", path))
	if err != nil {
		return nil, err
	}
	out := map[string]*operation{}
	for _, key := range slices.Sorted(maps.Keys(item.at)) {
		method := strings.ToUpper(key)
		if verbOf(method) == verbOpaque || key != strings.ToLower(key) {
			continue
		}
		at, err := r.resolve(item.at[key], item.below(key))
		if err != nil {
			return nil, err
		}
		op, err := r.operation(method, path, item, at)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		out[method] = op
	}
	return out, nil
}

// operation reads one operation.
func (r *reader) operation(method, path string, item, at place) (*operation, error) {
	id, _ := at.at["operationId"].(string)
	verb, err := verbFor(id, method, path)
	if err != nil {
		return nil, err
	}
	op := &operation{action: r.connection + ":" + verb, method: method, path: path}
	if other, twice := r.names[op.action]; twice {
		return nil, fmt.Errorf("its action %s is that of %s too: give each an operationId of its own", op.action, other)
	}
	if r.names[op.action] = method + " " + path; len(r.names) > maxOperations {
		return nil, fmt.Errorf("the document has more than %d operations", maxOperations)
	}
	own, err := r.parameters(at)
	if err != nil {
		return nil, err
	}
	shared, err := r.parameters(item)
	if err != nil {
		return nil, err
	}
	for _, p := range shared {
		if !slices.ContainsFunc(own, func(o *parameter) bool { return o.in == p.in && o.name == p.name }) {
			own = append(own, p)
		}
	}
	op.params = own
	if body, has := at.at["requestBody"]; has {
		return op, r.body(op, body, at)
	}
	return op, nil
}

// verbFor makes an action's name: CreateRefund of createRefund or create-refund; GetV1InvoicesById where an operation has no name.
func verbFor(id, method, path string) (string, error) {
	if id == "" {
		id = strings.ToLower(method) + " " + strings.ReplaceAll(strings.ReplaceAll(path, "{", "by "), "}", " ")
	}
	var b strings.Builder
	up := true
	for _, c := range id {
		switch {
		case c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c):
			up = true
		case up:
			b.WriteRune(unicode.ToUpper(c))
			up = false
		default:
			b.WriteRune(c)
		}
	}
	verb := b.String()
	switch {
	case verb == "" || !unicode.IsLetter(rune(verb[0])) || len(verb) > 100:
		return "", fmt.Errorf("operationId %q makes no name of an action: it has to begin with a letter, and to have at most 100", id)
	case verb == verbOpaque || verb == "Connect":
		return "", fmt.Errorf("operationId %q makes an action that has a meaning of its own", id)
	}
	return verb, nil
}

// body reads a request body: for each media type its schema.
func (r *reader) body(op *operation, v any, at place) error {
	body, err := r.resolve(v, at.below("requestBody"))
	if err != nil {
		return err
	}
	content, err := object(body.at, "content")
	if err != nil {
		return err
	}
	op.bodyNeeded, _ = body.at["required"].(bool)
	op.bodies = map[string]*jsonschema.Schema{}
	for kind, v := range content {
		media, _, err := mediaType(kind)
		if err != nil {
			return fmt.Errorf("requestBody: %q is no media type", kind)
		}
		op.bodies[media] = nil
		m, _ := v.(map[string]any)
		if m["schema"] == nil || !isJSON(media) && !strings.HasSuffix(media, "*") { // a range may hold JSON
			continue
		}
		if op.bodies[media], err = r.schema(m["schema"], body.below("content", kind, "schema")); err != nil {
			return err
		}
	}
	return nil
}
