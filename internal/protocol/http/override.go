package http

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/gate"
	"gatehouse/internal/mask/body"
)

// overrideName is the parameter that some frameworks take for the method of a POST.
const overrideName = "_method"

// renamed reports whether some server may read a name as the method's.
func renamed(name string) bool {
	base, _, _ := strings.Cut(variable(name), "[")
	return base == overrideName
}

func errRenamed(where string) error {
	return refused("%s %s may ask for another method than the request's", where, overrideName)
}

// checkOverride refuses parameters that some frameworks take for the method.
func checkOverride(method string, q query, doc *document) error {
	for _, p := range q {
		if renamed(p.name) && !strings.EqualFold(p.value, method) {
			return errRenamed("the parameter")
		}
	}
	if doc == nil {
		return nil
	}
	members, _ := doc.value.(map[string]any)
	for name, v := range members {
		if s, isText := v.(string); renamed(name) && (!isText || !strings.EqualFold(s, method)) {
			return errRenamed("the body's field")
		}
	}
	return nil
}

// overrideRules find the field of a JSON document that some frameworks take for the method.
func overrideRules() (*body.Rules, error) {
	return body.Compile(access.DocumentMasks{Paths: []access.PathMask{{Path: "$." + overrideName, Mask: access.Mask{Strategy: access.MaskRedact}}}}, nil, "")
}

// watchMethod sees to it that a body does not change the method that was judged: one that is sent as it comes, and the parts of one
// that was held, which nobody has read.
func (v *visit) watchMethod(out *gate.Outgoing) error {
	media, _, err := mediaType(out.Header.Get("Content-Type"))
	if err != nil || out.Method != "POST" || out.Header.Get("Content-Encoding") != "" {
		return err
	}
	var look looker
	switch {
	case media == "multipart/form-data":
		look = &partLooker{}
	case out.Stream == nil:
		return nil
	case media == "application/x-www-form-urlencoded":
		look = &formLooker{}
	case isJSON(media):
		m, err := v.p.override.New(body.JSON, body.Options{})
		if err != nil {
			return err
		}
		look = &jsonLooker{m: m}
	default:
		return nil
	}
	if out.Stream == nil {
		return look.look(out.Body, true)
	}
	out.Stream = &watchedMethod{out.Stream, look, nil}
	return nil
}

// looker looks at a body as it passes. An error ends it: what is wrong is in the bytes that were looked at last.
type looker interface {
	look(b []byte, end bool) error
}

type watchedMethod struct {
	io.ReadCloser
	looker looker
	err    error
}

// Read implements io.Reader.
func (w *watchedMethod) Read(b []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.ReadCloser.Read(b)
	if w.err = w.looker.look(b[:n], errors.Is(err, io.EOF)); w.err != nil {
		return 0, w.err
	}
	return n, err
}

// jsonLooker looks at JSON. From where it is none that every reader reads alike, or too large in some way, the name is refused wherever
// it stands.
type jsonLooker struct {
	m    *body.Masker
	out  []byte
	none bool
	tail []byte // what was looked at last, where it is none
}

func (l *jsonLooker) look(b []byte, _ bool) error {
	if !l.none {
		var err error
		l.out, err = l.m.Write(l.out[:0], b)
		l.none = err != nil
	}
	if l.none {
		l.tail = append(l.tail, b...)
		if strings.Contains(fold(unescaped(l.tail)), overrideName+`"`) {
			return errRenamed("the body's field")
		}
		l.tail = append(l.tail[:0], l.tail[max(len(l.tail)-maxLooked, 0):]...)
	}
	if l.m.Hits() > 0 {
		return errRenamed("the body's field")
	}
	return nil
}

// unescaped decodes what JSON escapes by number, as far as it is ASCII.
func unescaped(b []byte) string {
	const size = len(`\u0041`)
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if i+size <= len(b) && string(b[i:i+4]) == `\u00` && isHex(b[i+4]) && isHex(b[i+5]) {
			out = append(out, fromHex(b[i+4])<<4|fromHex(b[i+5]))
			i += size - 1
			continue
		}
		out = append(out, b[i])
	}
	return string(out)
}

// formLooker looks at the names of a form, as the most lenient of readers would.
type formLooker struct {
	name  []byte
	value bool // what comes is a value, or a name that is too long
}

// maxLooked is longer than any name that is looked for, however it is written.
const maxLooked = 256

func (l *formLooker) look(b []byte, end bool) error {
	for len(b) > 0 {
		i := bytes.IndexAny(b, "&;")
		part, more := b, i >= 0
		if more {
			part = b[:i]
		}
		if err := l.part(part); err != nil {
			return err
		}
		if !more {
			break
		}
		if err := l.done(); err != nil {
			return err
		}
		l.value, b = false, b[i+1:]
	}
	if end {
		return l.done()
	}
	return nil
}

// part takes the next bytes of a pair.
func (l *formLooker) part(b []byte) error {
	if l.value {
		return nil
	}
	name, _, found := bytes.Cut(b, []byte("="))
	for len(name) > 0 {
		n := min(len(name), maxLooked)
		if l.name = trimSpaces(append(l.name, name[:n]...)); len(l.name) > maxLooked {
			l.value, l.name = true, l.name[:0]
			return nil
		}
		name = name[n:]
	}
	if found {
		return l.done()
	}
	return nil
}

// done looks at a name that is whole.
func (l *formLooker) done() error {
	name := l.name
	l.value, l.name = true, l.name[:0]
	if len(name) > 0 && renamed(lenient(string(name))) {
		return errRenamed("the body's field")
	}
	return nil
}

// trimSpaces removes spaces from the start of a name, which some readers do, in the place of b.
func trimSpaces(b []byte) []byte {
	rest := b
	for len(rest) > 0 {
		switch {
		case rest[0] == '+' || rest[0] == ' ':
			rest = rest[1:]
		case bytes.HasPrefix(rest, []byte("%20")):
			rest = rest[3:]
		default:
			return append(b[:0], rest...)
		}
	}
	return b[:0]
}

// lenient decodes a name of a form, and leaves what is no escape as it is.
func lenient(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b = append(b, ' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b = append(b, fromHex(s[i+1])<<4|fromHex(s[i+2]))
			i += 2
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}

// partLooker looks at the headers of the parts of a form.
type partLooker struct {
	line   []byte
	cut    bool   // the line is longer than what is kept of it
	header []byte // the header that says what a part is called, which may go on in the next line
}

// maxHeaderLine bounds a header of a part, in bytes.
const maxHeaderLine = 4 << 10

const disposition = "content-disposition"

func (l *partLooker) look(b []byte, end bool) error {
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		n := min(len(line), maxHeaderLine-len(l.line))
		l.line, l.cut, b = append(l.line, line[:n]...), l.cut || n < len(line), rest
		if !whole {
			break
		}
		if err := l.ended(); err != nil {
			return err
		}
	}
	if end {
		return errors.Join(l.ended(), l.ended())
	}
	return nil
}

// ended looks at a line.
func (l *partLooker) ended() error {
	line, cut := l.line, l.cut
	l.line, l.cut = l.line[:0], false
	if len(l.header) > 0 && len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
		l.header = append(append(l.header, ' '), line...)
		if cut || len(l.header) > maxHeaderLine {
			return refused("a header of a part of the body is too long")
		}
		return nil
	}
	header := l.header
	l.header = l.header[:0]
	if callsRenamed(header) {
		return errRenamed("the body's part")
	}
	if trimmed := bytes.TrimLeft(line, " \t"); len(trimmed) >= len(disposition) && strings.EqualFold(string(trimmed[:len(disposition)]), disposition) {
		if cut {
			return refused("a header of a part of the body is too long")
		}
		l.header = append(l.header, trimmed...)
	}
	return nil
}

// callsRenamed reports whether a header may call its part as the parameter is called.
func callsRenamed(header []byte) bool {
	plain := strings.NewReplacer(`\`, "", `"`, "", " ", "", "\t", "", "\r", "").Replace(strings.ToLower(string(header)))
	for {
		_, rest, found := strings.Cut(plain, "name")
		if !found {
			return false
		}
		plain = rest
		value, ok := strings.CutPrefix(strings.TrimLeft(rest, "*0123456789"), "=")
		if value, _, _ = strings.Cut(value, ";"); !ok {
			continue
		}
		if i := strings.LastIndexByte(value, '\''); i >= 0 {
			value = value[i+1:]
		}
		if renamed(lenient(value)) {
			return true
		}
	}
}
