package body

import (
	"bytes"
	"fmt"
	"net/url"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
)

// form is the stream of a form's names and values (WHATWG URL, 5).
type form struct {
	rules *Rules
	held  int
	hits  *counter
	lines lines
	buf   []byte                  // the pair that has not ended
	known map[string]*access.Mask // what hides values, by names as they came; nil where nothing does
}

// Names that are remembered in known.
const (
	maxKnown     = 64
	maxKnownName = 256
)

func (f *form) wrong(why string) error { return fmt.Errorf("%w: form: %s", ErrUnreadable, why) }

func (f *form) write(dst, src []byte) ([]byte, error) {
	for {
		i := bytes.IndexByte(src, '&')
		if i < 0 {
			break
		}
		pair := src[:i]
		if len(f.buf) > 0 {
			f.buf = append(f.buf, pair...)
			pair = f.buf
		}
		var err error
		if dst, err = f.pair(dst, pair); err != nil {
			return dst, err
		}
		dst, src, f.buf = append(dst, '&'), src[i+1:], f.buf[:0]
	}
	if f.buf = append(f.buf, src...); len(f.buf) > f.held {
		return dst, f.wrong("a value is too large")
	}
	return dst, nil
}

func (f *form) close(dst []byte) ([]byte, error) { return f.pair(dst, f.buf) }

// pair appends what becomes of one name and its value.
func (f *form) pair(dst, raw []byte) ([]byte, error) {
	if len(raw) > f.held {
		return dst, f.wrong("a value is too large")
	}
	rawName, rawValue, _ := bytes.Cut(raw, []byte("="))
	name, err := unescapedField(rawName)
	if err != nil {
		return dst, f.wrong("an escape is none")
	}
	value, err := unescapedField(rawValue)
	if err != nil {
		return dst, f.wrong("an escape is none")
	}
	if f.rules.paths != nil {
		if bytes.IndexByte(raw, ';') >= 0 {
			return dst, f.wrong("a semicolon parts values to some readers")
		}
		if m := f.cover(rawName, name); m != nil && len(raw) > 0 {
			f.hits.n++
			dst = append(append(dst, rawName...), '=')
			return append(dst, url.QueryEscape(string(mask.Value(nil, value, *m, f.rules.key, f.rules.domain)))...), nil
		}
	}
	if f.rules.scan == nil {
		return append(dst, raw...), nil
	}
	if out, hits := f.lines.detect(value, name, true); hits > 0 {
		raw = append(append(bytes.Clone(rawName), '='), url.QueryEscape(string(out))...)
	}
	if out, hits := f.lines.detect(name, nil, false); hits > 0 {
		raw = append([]byte(url.QueryEscape(string(out))), raw[len(rawName):]...)
	}
	return append(dst, raw...), nil
}

// unescapedField returns what a name or value says, which is raw itself where nothing in it is escaped.
func unescapedField(raw []byte) ([]byte, error) {
	if bytes.IndexByte(raw, '%') < 0 && bytes.IndexByte(raw, '+') < 0 {
		return raw, nil
	}
	text, err := url.QueryUnescape(string(raw))
	return []byte(text), err
}

// cover returns what hides the values of a name; nil where nothing does.
func (f *form) cover(raw, name []byte) *access.Mask {
	m, met := f.known[string(raw)]
	if met {
		return m
	}
	if one, ok := f.rules.paths.ofName(string(name)); ok {
		m = &one
	}
	if len(f.known) < maxKnown && len(raw) <= maxKnownName {
		if f.known == nil {
			f.known = map[string]*access.Mask{}
		}
		f.known[string(raw)] = m
	}
	return m
}

// ofName returns the mask of a form's value. A name may be read as it is, or as a way to the value: a[b][0] and a.b[] as
// $.a.b[0]; and a value may be one of several of its name. Each reading counts, and each step of the way.
func (p *Paths) ofName(name string) (m access.Mask, ok bool) {
	add := func(s State) {
		switch one, is := p.Mask(s); {
		case is && ok:
			m = mask.Stronger(m, one)
		case is:
			m, ok = one, true
		}
	}
	here := p.Start(nil)
	add(here)
	whole := p.Enter(nil, here, []byte(name))
	add(whole)
	add(p.EnterAny(nil, whole))
	for _, step := range splitName(name) {
		next := p.Enter(nil, here, []byte(step))
		if n := digitsOf([]byte(step)); n == len(step) {
			next.Join(p.EnterAny(nil, here))
		}
		here = next
		add(here)
		add(p.EnterAny(nil, here))
	}
	return m, ok
}

// splitName splits a[b].c into its steps.
func splitName(name string) []string {
	var steps []string
	from := 0
	for i := 0; i <= len(name) && len(steps) < access.MaxPathSteps; i++ {
		if i < len(name) && name[i] != '[' && name[i] != ']' && name[i] != '.' {
			continue
		}
		if closed := i > 0 && i <= len(name) && from == i && name[i-1] == ']'; !closed {
			steps = append(steps, name[from:i])
		}
		from = i + 1
	}
	return steps
}
