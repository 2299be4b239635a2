package http

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"gatehouse/internal/access"
	"gatehouse/internal/wire"
)

// Bounds on an OpenAPI document.
const (
	maxDocument   = 4 << 20 // bytes
	maxNodes      = 1 << 20 // values in it, where what stands for others is written out
	maxOperations = 5000
	maxRefs       = 64 // from one reference to the next
)

// openapi is an OpenAPI 3.0 or 3.1 document, compiled. It is immutable.
type openapi struct {
	paths *templates
	ops   []map[string]*operation // for each path, by method
}

// operation is one operation of a document.
type operation struct {
	action     string
	method     string
	path       string
	params     []*parameter
	bodies     map[string]*jsonschema.Schema // by media type; nil where there is no schema, or none that is understood
	bodyNeeded bool
}

// readsBody reports whether a request's body has to be held to be validated.
func (o *operation) readsBody() bool {
	if o == nil {
		return false
	}
	for _, s := range o.bodies {
		if s != nil {
			return true
		}
	}
	return false
}

// actions are the operations of a connection's document, in the order of their names. Descriptors add none, but have to be readable.
func actions(c *access.Connection) ([]wire.Verb, error) {
	api, err := documentOf(c)
	if err == nil {
		_, err = descriptorsOf(c)
	}
	if err != nil {
		return nil, err
	}
	return api.verbs(), nil
}

func (o *openapi) verbs() (out []wire.Verb) {
	if o == nil {
		return nil
	}
	for _, byMethod := range o.ops {
		for _, op := range byMethod {
			out = append(out, wire.Verb{Name: op.action, About: op.method + " " + op.path})
		}
	}
	slices.SortFunc(out, func(a, b wire.Verb) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// files are those that a connection's document names, and that its requests are read by.
func files(c *access.Connection) (out []string) {
	if o := c.HTTP; o != nil {
		for _, f := range []string{o.OpenAPIFile, o.Descriptors} {
			if f != "" {
				out = append(out, f)
			}
		}
	}
	return out
}

// documentOf reads the document that is attached to a connection; nil where there is none.
func documentOf(c *access.Connection) (*openapi, error) {
	o := c.HTTP
	switch {
	case o == nil || o.OpenAPI == "" && o.OpenAPIFile == "":
		return nil, nil
	case o.OpenAPI != "":
		return newOpenAPI(c.Name, []byte(o.OpenAPI), o.IgnoreCase)
	}
	info, err := os.Stat(o.OpenAPIFile)
	if err != nil || info.Size() > maxDocument {
		return nil, fmt.Errorf("openapi_file: it cannot be read, or is larger than %d bytes", maxDocument)
	}
	b, err := os.ReadFile(o.OpenAPIFile)
	if err != nil {
		return nil, errors.New("openapi_file: it cannot be read")
	}
	return newOpenAPI(c.Name, b, o.IgnoreCase)
}

// newOpenAPI compiles a document. What would restrict a request and is not understood is an error here: nothing is left out
// silently.
func newOpenAPI(connection string, b []byte, ignoreCase bool) (*openapi, error) {
	if len(b) > maxDocument {
		return nil, fmt.Errorf("openapi: the document is larger than %d bytes", maxDocument)
	}
	root, err := parseDocument(b)
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	r, err := newReader(connection, root)
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	paths, err := object(root, "paths")
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	api := &openapi{}
	list := slices.Sorted(maps.Keys(paths))
	list = slices.DeleteFunc(list, func(p string) bool { return strings.HasPrefix(p, "x-") })
	if api.paths, err = newTemplates(list, ignoreCase); err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	for _, path := range list {
		ops, err := r.path(path, paths[path])
		if err != nil {
			return nil, fmt.Errorf("openapi: %s: %w", path, err)
		}
		api.ops = append(api.ops, ops)
	}
	if len(r.names) == 0 {
		return nil, errors.New("openapi: the document has no operations")
	}
	return api, nil
}

// parseDocument reads JSON or YAML into what JSON has.
func parseDocument(b []byte) (map[string]any, error) {
	var v any
	var err error
	if t := bytes.TrimSpace(b); len(t) > 0 && t[0] == '{' {
		v, err = jsonschema.UnmarshalJSON(bytes.NewReader(b))
	} else {
		err = yaml.Unmarshal(b, &v)
	}
	if err != nil {
		return nil, fmt.Errorf("it is neither JSON nor YAML: %w", err)
	}
	left := maxNodes
	v, err = plain(v, &left, 0)
	root, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, errors.Join(errors.New("it is no object"), err)
	}
	return root, nil
}

// plain copies a value, so that what YAML shares is apart and bounded.
func plain(v any, left *int, depth int) (any, error) {
	if *left--; *left < 0 || depth > 200 {
		return nil, errors.New("it holds too many values, or is nested too deep")
	}
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, below := range v {
			p, err := plain(below, left, depth+1)
			if err != nil {
				return nil, err
			}
			out[name] = p
		}
		return out, nil
	case map[any]any:
		out := make(map[string]any, len(v))
		for name, below := range v { // 200: is a number to YAML
			p, err := plain(below, left, depth+1)
			if err != nil {
				return nil, err
			}
			out[fmt.Sprint(name)] = p
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i := range v {
			p, err := plain(v[i], left, depth+1)
			if err != nil {
				return nil, err
			}
			out[i] = p
		}
		return out, nil
	case uint64:
		return int64(v), nil
	case fmt.Stringer: // a date, to YAML; json.Number stays one
		if _, number := v.(interface{ Int64() (int64, error) }); !number {
			return v.String(), nil
		}
	}
	return v, nil
}

// operation finds what a request is; nil where no document is attached. What the document does not name is refused.
func (o *openapi) operation(a asked, doc *document) (*operation, error) {
	if o == nil {
		return nil, nil
	}
	found, values := o.paths.match(a.target.names)
	if found == nil {
		return nil, refused("the document of this connection has no operation for this path")
	}
	op := o.ops[found.order][a.method]
	switch {
	case a.target.slash != found.slash: // servers that tell the two apart have something else there
		return nil, refused("the document of this connection has no operation for this path: it differs in the slash at its end")
	case op == nil:
		return nil, refused("the document of this connection has no operation %s for this path", a.method)
	case !o.paths.clear(a.target.names, found):
		return nil, refused("this path is that of two operations of the connection's document, and servers differ in which they take")
	}
	return op, op.validate(a, doc, found, values)
}

// match is templates.match.
func (o *openapi) match(names []string) (*template, []string) { return o.paths.match(names) }
