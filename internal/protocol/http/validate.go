package http

import (
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"gatehouse/internal/access"
)

// parameter is one parameter of an operation.
type parameter struct {
	name     string
	in       string // path, query, header
	required bool
	empty    bool // may stand without a value
	list     bool
	split    string // what parts a list within one value; "" where the parameter stands once for each
	json     bool   // the value is JSON
	schema   *jsonschema.Schema
}

// parameters reads those of an operation or a path.
func (r *reader) parameters(at place) ([]*parameter, error) {
	list, _ := at.at["parameters"].([]any)
	if len(list) > maxPairs {
		return nil, errors.New("it has too many parameters")
	}
	var out []*parameter
	for i, v := range list {
		p, err := r.resolve(v, at.below("parameters", fmt.Sprint(i)))
		if err != nil {
			return nil, err
		}
		read, err := r.parameter(p)
		if err != nil {
			return nil, fmt.Errorf("parameter %v: %w", p.at["name"], err)
		}
		if read != nil {
			out = append(out, read)
		}
	}
	return out, nil
}

// parameter reads one; nil for what is none of the request's own, by OpenAPI's rules, and for cookies, which pass.
func (r *reader) parameter(at place) (*parameter, error) {
	p := &parameter{}
	p.name, _ = at.at["name"].(string)
	p.in, _ = at.at["in"].(string)
	p.required, _ = at.at["required"].(bool)
	p.empty, _ = at.at["allowEmptyValue"].(bool)
	switch p.in {
	case "cookie":
		return nil, nil
	case "header":
		p.name = textproto.CanonicalMIMEHeaderKey(p.name)
		if p.name == "Accept" || p.name == "Content-Type" || p.name == "Authorization" {
			return nil, nil
		}
	case "path", "query":
	default:
		return nil, errors.New("it is in none of path, query, header, cookie")
	}
	if p.name == "" {
		return nil, errors.New("it has no name")
	}
	var err error
	if content, has := at.at["content"].(map[string]any); has {
		m, ok := content["application/json"].(map[string]any)
		if !ok || len(content) != 1 {
			return nil, errors.New("its content is other than application/json")
		}
		p.json = true
		if m["schema"] != nil {
			p.schema, err = r.schema(m["schema"], at.below("content", "application/json", "schema"))
		}
		return p, err
	}
	if at.at["schema"] == nil {
		return p, nil
	}
	if p.schema, err = r.schema(at.at["schema"], at.below("schema")); err != nil {
		return nil, err
	}
	if len(kindsOf(p.schema, 0)) == 0 && restricts(p.schema, 0) {
		return nil, errors.New("its schema restricts numbers, lists or objects and names no type: as text, anything would fit")
	}
	return p, p.style(at.at)
}

// style reads how a list is written.
func (p *parameter) style(at map[string]any) error {
	kinds := kindsOf(p.schema, 0)
	if slices.Contains(kinds, "object") {
		return errors.New("it is an object, which is not understood: give it content of application/json, or its members as parameters")
	}
	if p.list = slices.Contains(kinds, "array"); !p.list {
		return nil
	}
	style, _ := at["style"].(string)
	explode, said := at["explode"].(bool)
	switch {
	case p.in != "query" && (style == "" || style == "simple"):
		p.split = ","
	case p.in == "query" && (style == "" || style == "form") && (explode || !said):
	case p.in == "query" && (style == "" || style == "form"):
		p.split = ","
	case p.in == "query" && style == "spaceDelimited" && !explode:
		p.split = " "
	case p.in == "query" && style == "pipeDelimited" && !explode:
		p.split = "|"
	default:
		return fmt.Errorf("its style %q is not understood", style)
	}
	return nil
}

// kindsOf returns the types that a schema names, as far as that can be told.
func kindsOf(s *jsonschema.Schema, depth int) []string {
	if s == nil || depth > maxRefs {
		return nil
	}
	var out []string
	if s.Types != nil {
		out = s.Types.ToStrings()
	}
	out = append(slices.Clone(out), kindsOf(s.Ref, depth+1)...)
	for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf} {
		for _, below := range list {
			out = append(out, kindsOf(below, depth+1)...)
		}
	}
	return out
}

// restricts reports whether a schema says of numbers, lists or objects what it does not say of text.
func restricts(s *jsonschema.Schema, depth int) bool {
	if s == nil || depth > maxRefs {
		return false
	}
	if s.Maximum != nil || s.Minimum != nil || s.ExclusiveMaximum != nil || s.ExclusiveMinimum != nil || s.MultipleOf != nil ||
		s.Items != nil || s.Items2020 != nil || s.MaxItems != nil || s.MinItems != nil || s.UniqueItems || s.Contains != nil || len(s.Properties) > 0 ||
		s.AdditionalProperties != nil || len(s.Required) > 0 {
		return true
	}
	for _, below := range slices.Concat([]*jsonschema.Schema{s.Ref}, s.AllOf, s.AnyOf, s.OneOf) {
		if restricts(below, depth+1) {
			return true
		}
	}
	return false
}

// validate holds a request against its operation. A body that was not held is not looked at yet.
func (o *operation) validate(a asked, doc *document, found *template, values []string) error {
	for _, p := range o.params {
		if err := p.validate(p.values(a, found, values)); err != nil {
			return err
		}
	}
	for _, q := range a.target.query {
		if !slices.ContainsFunc(o.params, func(p *parameter) bool { return p.in == "query" && p.queried(q.name) }) {
			return refused("the document has no parameter of this name in the query of the operation")
		}
	}
	return o.validateBody(a, doc)
}

// queried reports whether a parameter is written by this name.
func (p *parameter) queried(name string) bool { return p.name == name || p.list && p.name+"[]" == name }

// values returns what a request says of a parameter.
func (p *parameter) values(a asked, found *template, values []string) []string {
	switch p.in {
	case "path":
		if i := slices.Index(found.params, p.name); i >= 0 {
			return values[i : i+1]
		}
		return nil
	case "header":
		return a.header[p.name]
	}
	var out []string
	for _, q := range a.target.query {
		if p.queried(q.name) {
			out = append(out, q.value)
		}
	}
	return out
}

func (p *parameter) validate(values []string) error {
	wrong := func(why string) error { return refused("the parameter %s %s", p.name, why) }
	switch {
	case len(values) == 0 && p.required:
		return wrong("is missing")
	case len(values) == 0:
		return nil
	case len(values) > 1 && (!p.list || p.split != ""):
		return wrong("stands twice")
	case p.empty && len(values) == 1 && values[0] == "", p.schema == nil && !p.json:
		return nil
	case p.json:
		v, err := access.ReadJSON([]byte(values[0]))
		if err != nil || p.schema != nil && p.schema.Validate(v) != nil {
			return wrong("is not as the document has it")
		}
		return nil
	case p.split != "":
		values = strings.Split(values[0], p.split)
	}
	if !p.fits(values) {
		return wrong("is not as the document has it")
	}
	return nil
}

// fits reports whether the values are what the schema asks for, as text, as numbers or as booleans.
func (p *parameter) fits(values []string) bool {
	for _, read := range []func(string) (any, bool){asText, asNumber, asBool} {
		list, ok := make([]any, len(values)), true
		for i, s := range values {
			var is bool
			list[i], is = read(s)
			ok = ok && is
		}
		switch {
		case !ok:
		case p.list && p.schema.Validate(list) == nil:
			return true
		case len(list) == 1 && p.schema.Validate(list[0]) == nil:
			return true
		}
	}
	return false
}

func asText(s string) (any, bool) { return s, true }

// asNumber reads a number as JSON writes it: 042, 0x2a and 1_0 are none.
func asNumber(s string) (any, bool) {
	v, err := access.ReadJSON([]byte(s))
	switch v.(type) {
	case int64, float64:
		return v, err == nil && s == strings.TrimSpace(s)
	}
	return nil, false
}

func asBool(s string) (any, bool) { return s == "true", s == "true" || s == "false" }

func (o *operation) validateBody(a asked, doc *document) error {
	if a.size == 0 && len(a.body) == 0 {
		if o.bodyNeeded {
			return refused("the operation needs a body")
		}
		return nil
	}
	media, _, err := mediaType(a.header.Get("Content-Type"))
	if err != nil {
		return err
	}
	schema, known := o.bodyOf(media)
	switch {
	case !known:
		return refused("the document has no body of this Content-Type for the operation")
	case schema == nil || !a.held:
		return nil
	case !isJSON(media) && ofText(schema):
		return nil
	case doc == nil || !isJSON(media):
		return refused("the body cannot be read, and so not be validated")
	}
	if err := schema.Validate(doc.value); err != nil {
		return refused("the body is not as the document has it: %s", whereWrong(err))
	}
	return nil
}

// ofText reports whether a schema of a range of media types is about bodies that are not JSON.
func ofText(s *jsonschema.Schema) bool {
	kinds := kindsOf(s, 0)
	return len(kinds) == 0 && !restricts(s, 0) || slices.Contains(kinds, "string")
}

// bodyOf returns the schema of a media type, or of the range that it is in.
func (o *operation) bodyOf(media string) (*jsonschema.Schema, bool) {
	main, _, _ := strings.Cut(media, "/")
	for _, kind := range []string{media, main + "/*", "*/*"} {
		if s, ok := o.bodies[kind]; ok {
			return s, true
		}
	}
	return nil, false
}

// whereWrong tells the place in the body and the keyword that it breaks, and no value.
func whereWrong(err error) string {
	var e *jsonschema.ValidationError
	if !errors.As(err, &e) {
		return "it cannot be validated"
	}
	for len(e.Causes) > 0 {
		e = e.Causes[0]
	}
	at := make([]string, 0, len(e.InstanceLocation))
	for _, name := range e.InstanceLocation {
		at = append(at, nameOnly(name))
	}
	return "/" + strings.Join(at, "/") + " (" + strings.Join(e.ErrorKind.KeywordPath(), "/") + ")"
}
