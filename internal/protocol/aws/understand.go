package aws

import (
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// holds reports whether the body must be held to know what a request does: it is parameters, rather than bytes.
func (r *routed) holds() bool {
	switch {
	case r.form:
		return true
	case r.operation == nil:
		return false
	}
	return !r.operation.input
}

// readable refuses parameters that somebody else might read in another form than here: packed, or in other characters.
func (r *routed) readable(body []byte) error {
	if !r.holds() || len(body) == 0 { // without one, the headers are what S3 stores beside an object
		return nil
	}
	if coding := unframed(r.Header.Get("Content-Encoding")); coding != "" && !strings.EqualFold(coding, "identity") || len(r.Header.Values("Content-Encoding")) > 1 {
		return malformed("the parameters of the call are packed: turn compression of requests off (AWS_DISABLE_REQUEST_COMPRESSION=true)")
	}
	kind := r.Header.Get("Content-Type")
	if kind == "" {
		return nil
	}
	_, params, err := mime.ParseMediaType(kind)
	if charset := params["charset"]; err != nil || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return malformed("the content type of the call cannot be read, or is not of UTF-8")
	}
	return nil
}

// understand tells what a request does. body is the whole of it where holds says so, and is not read elsewhere.
func understand(r *routed, body []byte, at place) (*call, error) {
	c := &call{routed: r, place: at}
	if err := c.located(); err != nil {
		return nil, err
	}
	if err := r.readable(body); err != nil {
		return nil, err
	}
	if r.form {
		form, err := strictForm(body)
		if err != nil {
			return nil, err
		}
		if err := r.named(c.candidates, form); err != nil {
			return nil, err
		}
		if c.body, err = decodeForm(form, c.flat()); err != nil {
			return nil, unreadable(err)
		}
	}
	if err := c.decode(body); err != nil {
		return nil, err
	}
	if r.operation != nil && r.operation.events {
		r.operation = nil // events that are sent one by one are judged by nobody here
	}
	if err := c.gather(); err != nil {
		return nil, err
	}
	if err := c.judge(); err != nil {
		return nil, err
	}
	c.keys = c.conditions()
	return c, nil
}

// located finds the region of a call, which the connection must name.
func (c *call) located() error {
	region := c.scope.Region
	if c.service != nil && c.service.host != "" {
		c.region = c.service.region
		return nil
	}
	if c.scope.Regions != "" {
		// SigV4A is for calls that may be carried out in several regions: each must be one that the connection names.
		for _, one := range strings.Split(c.scope.Regions, ",") {
			if one != c.region && !slices.Contains(c.regions, one) && (one != "*" || !slices.Contains(c.regions, "*")) {
				return c.elsewhere(one)
			}
		}
		return nil
	}
	if region != c.region && !slices.Contains(c.regions, region) {
		return c.elsewhere(region)
	}
	c.region = region
	return nil
}

func (c *call) elsewhere(region string) error {
	return &fault.Error{Op: "aws.understand", Kind: fault.Denied, Say: "connection " + c.connection + " does not name the region " + region,
		Hint: "Set the region " + c.region + " in the SDK, or add the other one to aws.regions of the connection."}
}

func unreadable(err error) error {
	return fault.New(fault.Malformed, "aws.understand", "the parameters of the call cannot be read: %s", err.Error())
}

// strictForm reads a form, as strictQuery reads a query.
func strictForm(body []byte) (url.Values, error) {
	if len(body) > maxHeld {
		return nil, malformed("the form is larger than %d bytes", maxHeld)
	}
	form := url.Values{}
	for p := range strings.SplitSeq(string(body), "&") {
		if p == "" {
			continue
		}
		name, value, _ := strings.Cut(p, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || !plain(n) || len(form) > maxParams*10 {
			return nil, malformed("the form cannot be read in one way")
		}
		form[n] = append(form[n], v)
	}
	return form, nil
}

// flat reports whether lists are numbered right behind their names.
func (c *call) flat() bool {
	return c.operation == nil || c.dialect == dialectEC2 || c.service.id == "sqs" || c.service.id == "sdb"
}

// decode reads the parameters in the body.
func (c *call) decode(body []byte) error {
	if c.operation == nil || c.operation.input || c.form {
		return nil
	}
	if len(body) > maxHeld {
		return malformed("the parameters of the call are larger than %d bytes", maxHeld)
	}
	if len(body) > 0 && (c.Method == http.MethodGet || c.Method == http.MethodHead) {
		return malformed("a %s has parameters in its body, where no service reads them", c.Method)
	}
	var err error
	switch c.dialect {
	case dialectJSON, dialectREST:
		c.body, err = decodeJSON(body)
	case dialectCBOR:
		c.body, err = decodeCBOR(body)
	case dialectXML:
		c.body, err = decodeXML(body)
	case dialectQuery, dialectEC2: // parameters in the query
		if len(body) > 0 {
			return malformed("the call has parameters in its query and in its body")
		}
		c.body, err = decodeForm(c.query, c.flat())
	}
	if err != nil {
		return unreadable(err)
	}
	return nil
}

// gather brings the parameters together, wherever they stand. None may stand in two places.
func (c *call) gather() error {
	c.input, c.others = map[string]any{}, map[string]any{}
	for name, value := range c.body {
		if c.takes(name) {
			c.input[name] = value
			continue
		}
		if slices.ContainsFunc(c.operation.members, func(known string) bool { return strings.EqualFold(known, name) }) {
			return malformed("%s is called otherwise, but for its case", name)
		}
		c.others[name] = value
	}
	if c.dialect != dialectQuery && c.dialect != dialectEC2 { // whose query is the body
		for name, values := range c.query {
			_, twice := c.body[name]
			if twice {
				return malformed("%s stands in the query and in the body", name)
			}
			if len(values) > 1 && c.operation != nil && c.operation.told && !slices.Contains(c.operation.lists, name) {
				return malformed("%s stands twice in the query", name)
			}
			if len(values) == 1 {
				c.input[name] = values[0]
			}
		}
	}
	for name, value := range c.labels {
		c.input[name] = value // the path decides
	}
	return nil
}

// takes reports whether a parameter in the body is one that the operation has.
func (c *call) takes(name string) bool {
	o := c.operation
	return o == nil || !o.told || slices.Contains(o.members, name)
}

// sent is what conditions read of a call.
func (c *call) sent(contentType string, size *int64) *access.Sent {
	s := &access.Sent{
		Method: c.Method, Path: c.decodedPath(), ContentType: contentType, Size: size,
		Params: maps.Clone(c.keys), Query: map[string]any{}, Headers: map[string]any{},
	}
	for name, value := range c.labels {
		s.Params[name] = value
	}
	for name, values := range c.query {
		s.Query[name] = listOf(values)
	}
	for name, values := range c.Header {
		if lower := strings.ToLower(name); !signs(lower) {
			s.Headers[lower] = listOf(values)
		}
	}
	s.Body = func() any { return nil }
	if c.body != nil {
		s.Body = func() any { return c.body }
	}
	return s
}

func listOf(values []string) any {
	if len(values) == 1 {
		return values[0]
	}
	return anys(values)
}

// signs reports whether a header is part of how a request is signed: it is made new, and tells nothing.
func signs(lower string) bool {
	switch lower {
	case "authorization", "x-amz-security-token", "x-amz-date", "x-amz-content-sha256", "x-amz-region-set", "x-amz-decoded-content-length", "x-amz-s3session-token":
		return true
	}
	return false
}
