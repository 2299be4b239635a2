package aws

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxPath   = 8 << 10
	maxQuery  = 16 << 10
	maxParams = 1000
)

// head is a request up to its body, as it concerns AWS: without the connection's own prefix.
type head struct {
	Method string
	Path   string // escaped, as the client sent it, from its first slash
	Query  string // escaped
	Header http.Header
	Bucket string // where the client named one in the host; "" elsewhere
}

// routed is a request whose service is known, and whose operation is, or will be once the body is read.
type routed struct {
	head
	scope      scope
	service    *service
	operation  *operation        // nil: not understood
	dialect    dialect           // "" where not understood
	labels     map[string]string // parameters in the path, decoded once
	query      url.Values        // what the client says there, without what signs it
	form       bool              // the operation stands in the body
	candidates []*service        // that are signed for as this one is
}

// route finds the service and the operation of a request, by its scope and by its shape, which must agree.
func (m *models) route(h head) (*routed, error) {
	query, err := strictQuery(h.Query)
	if err != nil {
		return nil, err
	}
	sc, err := scopeOf(h.Header, query)
	if err != nil {
		return nil, err
	}
	r := &routed{head: h, scope: sc, query: unsigned(query)}
	if sc.Presigned {
		if err := r.hoist(); err != nil {
			return nil, err
		}
		h = r.head
	}
	if err := checkPath(h.Path); err != nil {
		return nil, err
	}
	services := m.bySigning[sc.Service]
	if len(services) == 0 {
		return r, nil
	}
	r.service, r.candidates = services[0], services
	targets := h.Header.Values("X-Amz-Target")
	protocol := h.Header.Values("Smithy-Protocol")
	switch {
	case len(targets) > 1 || len(protocol) > 1 || len(h.Header.Values("Content-Type")) > 1:
		return nil, malformed("a header that names the operation stands twice")
	case len(targets) == 1 && len(protocol) == 1:
		return nil, malformed("the request names an operation in two protocols")
	case len(targets) == 1:
		return r, r.byTarget(services, h, targets[0])
	case len(protocol) == 1:
		return r, r.byCBOR(services, h, protocol[0])
	}
	forms := slices.ContainsFunc(services, func(s *service) bool { return s.speaks(dialectQuery) || s.speaks(dialectEC2) })
	if forms && (h.Path == "/" || queuePath.MatchString(h.Path)) {
		return r, r.byForm(services, h)
	}
	return r, r.byPath(services, h)
}

// strictQuery reads a query that every reader reads alike: it is sent on in one encoding, whatever the client's.
func strictQuery(raw string) (url.Values, error) {
	if len(raw) > maxQuery || strings.Count(raw, "&") >= maxParams {
		return nil, malformed("the query is longer than %d bytes or has more than %d parameters", maxQuery, maxParams)
	}
	values := url.Values{}
	for _, p := range strings.Split(raw, "&") {
		if p == "" {
			continue
		}
		name, value, _ := strings.Cut(p, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || !plain(n) || !plain(v) {
			return nil, malformed("the query has escapes or characters that can be read in two ways")
		}
		values[n] = append(values[n], v)
	}
	return values, nil
}

// plain reports whether a text has neither control characters nor bytes that are no UTF-8.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// unsigned drops what signs a presigned URL: it is made new.
func unsigned(query url.Values) url.Values {
	out := url.Values{}
	for name, values := range query {
		switch strings.ToLower(name) {
		case "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders", "x-amz-signature",
			"x-amz-security-token", "x-amz-region-set", "x-amz-content-sha256", "x-amz-user-agent":
		default:
			out[name] = values
		}
	}
	return out
}

// hoist moves headers out of the query of a presigned URL: services read them there as they would elsewhere.
func (r *routed) hoist() error {
	r.Header = r.Header.Clone()
	for name, values := range r.query {
		if !strings.HasPrefix(strings.ToLower(name), "x-amz-") {
			continue
		}
		if len(values) != 1 || len(r.Header.Values(name)) > 0 {
			return malformed("%s stands twice", name)
		}
		r.Header.Set(name, values[0])
		delete(r.query, name)
	}
	return nil
}

// checkPath refuses what a backend, or what stands before it, could read in another way than it is judged.
func checkPath(path string) error {
	if !strings.HasPrefix(path, "/") || len(path) > maxPath {
		return malformed("the path does not begin with a slash, or is longer than %d bytes", maxPath)
	}
	for _, element := range strings.Split(path[1:], "/") {
		text, err := url.PathUnescape(element)
		if err != nil || !plain(text) || strings.ContainsAny(element, "?#") {
			return malformed("the path has escapes or characters that can be read in two ways")
		}
		for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == '/' || r == '\\' }) {
			if part == "." || part == ".." {
				return malformed("the path has dot segments, which not everybody reads alike")
			}
		}
	}
	return nil
}

// byTarget is for JSON 1.0 and 1.1.
func (r *routed) byTarget(services []*service, h head, target string) error {
	kind, _, err := mime.ParseMediaType(h.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-amz-json-1.0" && kind != "application/x-amz-json-1.1" {
		return malformed("X-Amz-Target needs the content type application/x-amz-json-1.0 or 1.1")
	}
	if h.Method != http.MethodPost || h.Path != "/" || len(r.query) > 0 || h.Bucket != "" {
		return malformed("a request with X-Amz-Target is a POST of / without a query")
	}
	prefix, name, _ := cutLast(target, '.')
	for _, s := range services {
		if o := s.operations[name]; o != nil && s.target == prefix && s.speaks(dialectJSON) {
			r.service, r.operation, r.dialect = s, o, dialectJSON
			return nil
		}
	}
	return nil
}

// byCBOR is for Smithy's RPC over CBOR: POST /service/NAME/operation/NAME.
func (r *routed) byCBOR(services []*service, h head, protocol string) error {
	if protocol != "rpc-v2-cbor" || h.Method != http.MethodPost || len(r.query) > 0 || h.Bucket != "" {
		return malformed("smithy-protocol is understood as rpc-v2-cbor, in a POST without a query")
	}
	if kind, _, err := mime.ParseMediaType(h.Header.Get("Content-Type")); h.Header.Get("Content-Type") != "" && (err != nil || kind != "application/cbor") {
		return malformed("smithy-protocol rpc-v2-cbor needs the content type application/cbor")
	}
	parts := strings.Split(h.Path, "/")
	if len(parts) != 5 || parts[1] != "service" || parts[3] != "operation" {
		return nil
	}
	for _, s := range services {
		if o := s.operations[parts[4]]; o != nil && s.target == parts[2] && s.speaks(dialectCBOR) {
			r.service, r.operation, r.dialect = s, o, dialectCBOR
			return nil
		}
	}
	return nil
}

// byForm is for Query and EC2: the operation is a parameter, of the query or of a form in the body.
func (r *routed) byForm(services []*service, h head) error {
	if h.Bucket != "" {
		return malformed("the host names more than the connection")
	}
	switch h.Method {
	case http.MethodGet:
		return r.named(services, r.query)
	case http.MethodPost:
	default:
		return nil
	}
	kind, _, err := mime.ParseMediaType(h.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" || len(r.query) > 0 {
		return malformed("a POST to %s is a form without a query", r.service.id)
	}
	r.form = true
	return nil
}

// named finds the operation that a form names.
func (r *routed) named(services []*service, form url.Values) error {
	for _, name := range [...]string{"Action", "Version"} {
		if len(form[name]) != 1 {
			return malformed("the form needs one %s", name)
		}
		for other := range form {
			if other != name && strings.EqualFold(other, name) {
				return malformed("the form names %s in two cases", name)
			}
		}
	}
	for _, s := range services {
		if o := s.operations[form.Get("Action")]; o != nil && s.version == form.Get("Version") {
			for _, d := range [...]dialect{dialectQuery, dialectEC2} {
				if s.speaks(d) && (r.Path == "/" || s.id == "sqs") {
					r.service, r.operation, r.dialect = s, o, d
					return nil
				}
			}
		}
	}
	return nil
}

// byPath is for REST.
func (r *routed) byPath(services []*service, h head) error {
	if control := controlOf(services); control != nil {
		// Two services share this signing name and differ by host, which the client's does not show: only one of them has this header.
		_, says := h.Header["X-Amz-Account-Id"]
		if looks := strings.HasPrefix(h.Path, "/v20180820/"); looks != says {
			if looks {
				return malformed("a path below /v20180820 needs X-Amz-Account-Id: it could be a bucket's")
			}
		} else if says {
			services = []*service{control}
		}
	}
	best, labels, err := bestRoute(services, h, r.query)
	if err != nil || best == nil {
		return err
	}
	r.service, r.operation, r.labels = best.service, best, labels
	r.dialect = best.service.dialects[0]
	if best.service.id == "s3" {
		return nil
	}
	// Who decodes the path before it is split must not find another operation.
	decoded, err := url.PathUnescape(h.Path)
	if err != nil {
		return malformed("the path has invalid escapes")
	}
	other := h
	other.Path = (&url.URL{Path: decoded}).EscapedPath()
	if o, _, err := bestRoute(services, other, r.query); err != nil || o != nil && o != best {
		return malformed("the path names another operation where slashes are decoded first")
	}
	return nil
}

func controlOf(services []*service) *service {
	if i := slices.IndexFunc(services, func(s *service) bool { return s.id == "s3control" }); i >= 0 {
		return services[i]
	}
	return nil
}

// bestRoute finds the operation that a path and a query name: the one that asks for most of what is there.
func bestRoute(services []*service, h head, query url.Values) (*operation, map[string]string, error) {
	type found struct {
		o      *operation
		labels map[string]string
		score  int
	}
	var best []found
	for _, s := range services {
		path := h.Path
		if s.id == "s3" && h.Bucket != "" {
			path = "/" + url.PathEscape(h.Bucket) + path
		} else if h.Bucket != "" {
			continue
		}
		for _, o := range s.routes[h.Method] {
			labels, score, ok := o.fits(path, h.Header, query)
			switch {
			case !ok || len(best) > 0 && score < best[0].score:
			case len(best) > 0 && score == best[0].score:
				best = append(best, found{o, labels, score})
			default:
				best = []found{{o, labels, score}}
			}
		}
	}
	if len(best) == 0 {
		return nil, nil, nil
	}
	pick := best[0]
	for _, f := range best[1:] {
		switch {
		case iamName(f.o) == iamName(pick.o): // a newer name of the same
			if f.o.service == pick.o.service {
				pick = f
			}
		case f.o.name == "ListDirectoryBuckets": // only where signatures are for another service
		default:
			return nil, nil, malformed("the request could be %s or %s", pick.o.name, f.o.name)
		}
	}
	return pick.o, pick.labels, nil
}

// fits matches a request against an operation. The score counts what tells it from others.
func (o *operation) fits(path string, h http.Header, query url.Values) (labels map[string]string, score int, ok bool) {
	labels, score, ok = o.match(path)
	if !ok {
		return nil, 0, false
	}
	for _, l := range o.literals {
		v, there := query[l.name]
		if !there || len(v) != 1 || v[0] != l.value {
			return nil, 0, false
		}
	}
	for _, name := range o.must {
		if len(query[name]) == 0 {
			return nil, 0, false
		}
	}
	for _, name := range o.headers {
		if len(h.Values(name)) == 0 {
			return nil, 0, false
		}
	}
	score += 10 * (len(o.literals) + len(o.must) + len(o.headers))
	for name, values := range query {
		literal := slices.ContainsFunc(o.literals, func(l parameter) bool { return l.name == name })
		switch {
		case name == "x-id" && len(values) == 1 && (values[0] == o.name || values[0] == iamName(o)):
		case literal:
		case (slices.Contains(o.must, name) || slices.Contains(o.may, name) || o.any) && (len(values) == 1 || o.service.dialects[0] == dialectREST):
		default:
			return nil, 0, false
		}
	}
	return labels, score, true
}

// match matches the elements of a path. Literal elements score.
func (o *operation) match(path string) (map[string]string, int, bool) {
	elements := strings.Split(path[1:], "/")
	template := o.path
	object := o.service.id == "s3" // whose keys may hold, and end in, empty elements
	if object && len(elements) == 2 && elements[1] == "" && elements[0] != "" {
		elements = elements[:1] // a bucket, with a slash
	}
	if !object && len(elements) > 1 && elements[len(elements)-1] == "" {
		elements = elements[:len(elements)-1]
	}
	if n := len(template); n > 1 && template[n-1].text == "" {
		template = template[:n-1]
	}
	labels, score := map[string]string{}, 0
	for i, l := range template {
		if i >= len(elements) {
			return nil, 0, false
		}
		if !l.param {
			if elements[i] != l.text {
				return nil, 0, false
			}
			score++
			continue
		}
		raw := elements[i]
		if l.greedy {
			rest := len(template) - i - 1
			if len(elements)-i-rest < 1 {
				return nil, 0, false
			}
			raw = strings.Join(elements[i:len(elements)-rest], "/")
			elements = slices.Concat(elements[:i], []string{raw}, elements[len(elements)-rest:])
		}
		value, err := url.PathUnescape(raw)
		if err != nil || value == "" {
			return nil, 0, false
		}
		labels[l.text] = value
	}
	return labels, score, len(elements) == len(template)
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
