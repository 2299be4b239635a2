package http

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/access"
)

// maxNormal bounds, in bytes, how much of a body's shape the normal form of a request shows.
const maxNormal = 1 << 10

// asked is a request, as far as it is judged.
type asked struct {
	method  string
	target  target
	header  http.Header // clean: what the backend is sent of the client's
	upgrade bool        // the client asks for another protocol on its connection
	size    int64       // bytes of the body; below 0 where not known beforehand
	held    bool        // body is the whole of it
	body    []byte
}

// judged is a request that was understood.
type judged struct {
	statement *access.Statement
	sent      *access.Sent
	operation *operation // of the attached document; nil where there is none
}

// understand turns a request into what policy judges. Text is what a reviewer reads: the request line as it is sent, the
// headers that may change what it does, and the body where it was held.
func (e *endpoint) understand(a asked) (judged, error) {
	if err := e.checkMethod(a); err != nil {
		return judged{}, err
	}
	contentType := a.header.Get("Content-Type")
	media, _, err := mediaType(contentType)
	if err != nil {
		return judged{}, err
	}
	var doc *document
	if a.held && a.header.Get("Content-Encoding") == "" { // what is encoded is not known
		if doc, err = readBody(contentType, a.body); err != nil {
			return judged{}, err
		}
	}
	if err := checkOverride(a.method, a.target.query, doc); err != nil {
		return judged{}, err
	}
	found, values := e.paths.match(a.target.names)
	op, err := e.api.operation(a, doc)
	if err != nil {
		return judged{}, err
	}
	if op != nil {
		found, values = e.api.match(a.target.names)
	}
	st := &access.Statement{Bounded: true}
	e.act(st, a, media, op)
	w := writer{a: a, template: found, doc: doc, client: e.passesAuthorization()}
	w.write(st)
	return judged{st, e.sent(a, media, found, values, doc), op}, nil
}

// act names what the request does, and under which other names deny and approve may bind it.
func (e *endpoint) act(st *access.Statement, a asked, media string, op *operation) {
	resource := a.target.resource(e.connection)
	verb := verbOf(a.method)
	names := []string{prefix + verb}
	switch {
	case verb == "Get" && a.upgrade:
		names = []string{prefix + verbUpgrade, prefix + verb}
	case verb == "Post" && isGRPC(media):
		names = []string{prefix + verbCall, prefix + verb}
	case verb == "Head":
		names = append(names, prefix+"Get")
	}
	if op != nil {
		names = append([]string{op.action}, names...)
	}
	st.Actions = []access.Action{{Name: names[0], Resource: resource}}
	for _, n := range names[1:] {
		st.Related = append(st.Related, access.Action{Name: n, Resource: resource})
	}
	if other, ok := a.target.otherResource(e.connection); ok {
		for _, n := range names {
			st.Related = append(st.Related, access.Action{Name: n, Resource: other})
		}
	}
}

// isGRPC reports whether a media type is gRPC's, with whatever encoding of messages.
func isGRPC(media string) bool {
	return media == "application/grpc" || strings.HasPrefix(media, "application/grpc+")
}

// checkMethod refuses methods that are no requests to a resource, and what is no method.
func (e *endpoint) checkMethod(a asked) error {
	switch m := a.method; {
	case m == "CONNECT":
		return refused("CONNECT asks for a tunnel, which nobody could look into")
	case m == "TRACE" || m == "TRACK":
		return refused("%s repeats the request, and with it the credential that the gateway puts in", m)
	case m == "" || len(m) > 32 || strings.Trim(m, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "":
		return refused("the method is not a word of upper-case letters")
	}
	return nil
}

// sent is what conditions read.
func (e *endpoint) sent(a asked, media string, found *template, values []string, doc *document) *access.Sent {
	s := &access.Sent{Method: a.method, Path: a.target.path, ContentType: media, Params: map[string]any{},
		Query: a.target.query.values(), Headers: make(map[string]any, len(a.header))}
	if found != nil {
		for i, name := range found.params {
			s.Params[name] = values[i]
		}
	}
	for name, list := range a.header {
		for _, v := range list {
			if !carriesToken(name) {
				add(s.Headers, strings.ToLower(name), v)
			}
		}
	}
	if a.size >= 0 {
		s.Size = &a.size
	}
	if doc != nil {
		s.Body = func() any { return doc.value }
	}
	return s
}

// carriesToken reports whether a header may hold the token that the client shows the gateway.
func carriesToken(name string) bool {
	return name == "Authorization" || name == "Proxy-Authorization" || name == "X-Gatehouse-Token"
}

// writer writes the texts of a statement.
type writer struct {
	a        asked
	template *template
	doc      *document
	client   bool // an Authorization is the client's own word to the backend
	text     strings.Builder
	normal   strings.Builder
	literals []access.Span
	secrets  []access.Span
}

func (w *writer) write(st *access.Statement) {
	w.both(w.a.method + " ")
	w.path()
	w.query()
	w.headers()
	w.body()
	st.Text, st.Normal = w.text.String(), w.normal.String()
	st.Literals, st.Secrets = w.literals, w.secrets
	full := st.Normal
	if w.doc != nil {
		full += " " + w.doc.shape
		st.Normal += " " + cut(w.doc.shape, maxNormal)
	}
	sum := sha256.Sum256([]byte(full))
	st.Fingerprint = hex.EncodeToString(sum[:16])
}

// cut shortens what is too long to be read.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

func (w *writer) both(s string) {
	w.text.WriteString(s)
	w.normal.WriteString(s)
}

// literal writes a value into the text.
func (w *writer) literal(s, name string) {
	span := access.Span{Start: w.text.Len(), End: w.text.Len() + len(s)}
	w.text.WriteString(s)
	if s == "" {
		return
	}
	w.literals = append(w.literals, span)
	if secretName(name) {
		w.secrets = append(w.secrets, span)
	}
}

// path writes the path: the values of a template's parameters are literals, and without a template what looks like an id.
func (w *writer) path() {
	t := w.a.target
	if len(t.parts) == 0 {
		w.both("/")
		return
	}
	param := 0
	for i, part := range t.parts {
		w.both("/")
		name, isParam := "id", looksLikeID(t.names[i])
		if w.template != nil {
			if isParam = w.template.kinds[i]; isParam {
				name = w.template.params[param]
				param++
			}
		}
		if !isParam {
			w.both(part)
			continue
		}
		w.literal(part, name)
		w.normal.WriteString("{" + name + "}")
	}
	if t.slash {
		w.text.WriteByte('/')
	}
}

// query writes the parameters: in the text as they are sent, in the normal form their names, sorted.
func (w *writer) query() {
	q := w.a.target.query
	if len(q) == 0 {
		return
	}
	names := make([]string, len(q))
	for i, p := range q {
		names[i] = nameOnly(p.name)
		w.text.WriteString(separator(i, "?", "&"))
		w.text.WriteString(encode(p.written, keptInQuery))
		if !p.bare {
			w.text.WriteByte('=')
			w.literal(encode(p.value, keptInQuery), p.name)
		}
	}
	slices.Sort(names)
	for i, n := range slices.Compact(names) {
		w.normal.WriteString(separator(i, "?", "&") + n)
	}
}

func separator(i int, first, later string) string {
	if i == 0 {
		return first
	}
	return later
}

// headers writes those that may change what the request does. Their values are literals.
func (w *writer) headers() {
	names := make([]string, 0, len(w.a.header))
	for name := range w.a.header {
		if !quiet(name) && (!carriesToken(name) || w.client && name == "Authorization") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		values := said(name, w.a.header[name])
		for _, v := range values {
			w.text.WriteString("\n" + name + ": ")
			w.literal(v, name)
		}
		if len(values) > 0 && name != "Accept" && name != "Baggage" && (name != "Content-Type" || w.doc == nil) {
			w.normal.WriteString(" " + name)
		}
	}
}

// quiet reports whether a header says how to answer or how to trace the request, and not what to do. These are no part of
// the text: they change from one try to the next, and an approval is for a text. What some servers act on is part of it, though it is
// mostly about answers: Accept, by which some choose the version of what is called, Prefer, by which an insert replaces what is there,
// Baggage, by which some choose who is called, and Grpc-Metadata-, which stands for any header.
func quiet(name string) bool {
	switch name {
	case "Accept-Charset", "Accept-Encoding", "Accept-Language", "B3", "Cache-Control", "Content-Length", "Date", "Dnt",
		"Grpc-Accept-Encoding", "Grpc-Timeout", "Host", "Idempotency-Key", "Newrelic", "Origin", "Pragma", "Priority", "Referer",
		"Sec-Websocket-Extensions", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sentry-Trace", "Traceparent",
		"Tracestate", "User-Agent", "X-Amzn-Trace-Id", "X-Cloud-Trace-Context", "X-Correlation-Id", "X-Request-Id":
		return true
	}
	for _, p := range []string{"Amz-Sdk-", "Gatehouse-", "Sec-Ch-", "Sec-Fetch-", "X-B3-", "X-Datadog-"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// said is what a header says that may change what the request does: an Accept of anything says nothing, and baggage holds a tracer's own
// numbers, which change from one try to the next.
func said(name string, values []string) (out []string) {
	if name != "Accept" && name != "Baggage" {
		return values
	}
	for _, v := range values {
		for member := range strings.SplitSeq(v, ",") {
			if member = strings.TrimSpace(member); member != "" && member != "*/*" && !strings.HasPrefix(strings.ToLower(member), "sentry-") {
				out = append(out, member)
			}
		}
	}
	return out
}

// body writes the body: as it is where it is text, else its length and digest, which an approval is bound to as well.
func (w *writer) body() {
	switch b := w.a.body; {
	case !w.a.held && w.a.size != 0:
		w.text.WriteString("\n\n[a body that is not held]")
	case len(b) == 0:
	case !utf8.Valid(b) || slices.Contains(b, 0):
		sum := sha256.Sum256(b)
		w.text.WriteString("\n\n[" + strconv.Itoa(len(b)) + " bytes, sha256 ")
		w.literal(hex.EncodeToString(sum[:]), "")
		w.text.WriteString("]")
	default:
		w.text.WriteString("\n\n")
		w.bodyText(string(b))
	}
}

func (w *writer) bodyText(s string) {
	if w.doc == nil {
		w.literal(s, "")
		return
	}
	at := w.text.Len()
	w.text.WriteString(s)
	for _, l := range w.doc.literals {
		w.literals = append(w.literals, access.Span{Start: at + l.Start, End: at + l.End})
	}
	for _, l := range w.doc.secrets {
		w.secrets = append(w.secrets, access.Span{Start: at + l.Start, End: at + l.End})
	}
}

// looksLikeID reports whether a segment is rather a value than a word: a number, an address, or long with digits in it.
func looksLikeID(s string) bool {
	digits, others := 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c == '@':
			return true
		case c >= 0x80:
			others++
		}
	}
	switch {
	case digits == len(s) || others > 0:
		return true
	case digits == 0 || strings.ContainsAny(s, "."):
		return digits > 4
	}
	return len(s) >= 16 && digits >= 2 || len(s) >= 8 && digits*2 >= len(s)
}
