package http

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// templates finds the most specific of a set of path templates such as /v1/invoices/{id}: at the first segment where two
// differ, a literal comes before a parameter with literal text beside it, and that before a bare parameter.
type templates struct {
	root *branch
}

// branch is what may follow the same segments. A match visits each branch once at most.
type branch struct {
	literal map[string]*branch
	mixed   []mixed // the longest literal text first
	any     *branch
	end     *template
}

// mixed is a segment with literal text around its parameter, such as {id}:cancel.
type mixed struct {
	before, after string
	next          *branch
}

// template is one path template.
type template struct {
	text   string
	params []string // the names of its parameters, in order
	kinds  []bool   // for each segment: it holds a parameter
	order  int      // its place in the list that it came from
	slash  bool     // it ends in one
	widths []width  // how narrow each segment is
}

// width is how narrow a segment is: a literal, a parameter with literal text around it, or any.
type width struct {
	kind          int // 2, 1, 0
	before, after string
}

// narrower reports whether a matches only what b matches as well, as far as their names tell. Both have the same length.
func narrower(a, b *template) bool {
	for i, r := range a.widths {
		s := b.widths[i]
		switch {
		case r.kind < s.kind:
			return false
		case r.kind == 1 && s.kind == 1 && !(strings.HasPrefix(r.before, s.before) && strings.HasSuffix(r.after, s.after)):
			return false
		}
	}
	return true
}

// newTemplates compiles a list. Two templates that match the same paths are an error, whatever their parameters are called.
func newTemplates(list []string, ignoreCase bool) (*templates, error) {
	t := &templates{root: &branch{}}
	for i, text := range list {
		if err := t.add(text, i, ignoreCase); err != nil {
			return nil, fmt.Errorf("path %q: %w", text, err)
		}
	}
	return t, nil
}

func (t *templates) add(text string, order int, ignoreCase bool) error {
	rest, ok := strings.CutPrefix(text, "/")
	switch {
	case !ok:
		return errors.New("it has to begin with a slash")
	case strings.HasPrefix(rest, "/"):
		return errors.New("it has an empty segment")
	case len(text) > maxPath || strings.Count(text, "/") > maxSegments:
		return errors.New("it is too long")
	}
	out := &template{text: text, order: order}
	at := t.root
	if rest, out.slash = strings.CutSuffix(rest, "/"); rest != "" {
		for segment := range strings.SplitSeq(rest, "/") {
			next, name, err := at.step(segment, ignoreCase)
			if err != nil {
				return err
			}
			if name != "" && slices.Contains(out.params, name) {
				return fmt.Errorf("{%s} stands in it twice", name)
			}
			if name != "" {
				out.params = append(out.params, name)
			}
			out.kinds, out.widths = append(out.kinds, name != ""), append(out.widths, widthOf(segment, name != ""))
			at = next
		}
	}
	if at.end != nil {
		return fmt.Errorf("it matches the same paths as %s", at.end.text)
	}
	at.end = out
	return nil
}

func widthOf(segment string, param bool) width {
	if !param {
		return width{kind: 2}
	}
	before, rest, _ := strings.Cut(segment, "{")
	_, after, _ := strings.Cut(rest, "}")
	if before == "" && after == "" {
		return width{}
	}
	return width{1, before, after}
}

// step returns the branch behind a segment, making it where there is none, and the name of the segment's parameter.
func (b *branch) step(segment string, ignoreCase bool) (*branch, string, error) {
	before, rest, braced := strings.Cut(segment, "{")
	name, after, closed := strings.Cut(rest, "}")
	switch {
	case braced != closed || strings.Contains(before, "}"):
		return nil, "", errors.New("a brace has no other")
	case braced && name == "":
		return nil, "", errors.New("a parameter has no name")
	case strings.ContainsAny(name, "{*") || strings.ContainsAny(after, "{}"):
		return nil, "", errors.New("a segment holds one parameter at most, and a parameter is within one segment")
	}
	if !braced {
		name, err := literalSegment(segment, ignoreCase)
		if err != nil {
			return nil, "", err
		}
		if b.literal == nil {
			b.literal = map[string]*branch{}
		}
		if b.literal[name] == nil {
			b.literal[name] = &branch{}
		}
		return b.literal[name], "", nil
	}
	if before == "" && after == "" {
		if b.any == nil {
			b.any = &branch{}
		}
		return b.any, name, nil
	}
	next, err := b.mix(before, after, ignoreCase)
	return next, name, err
}

// mix returns the branch behind a parameter with literal text around it.
func (b *branch) mix(before, after string, ignoreCase bool) (*branch, error) {
	for _, s := range []*string{&before, &after} {
		if *s == "" {
			continue
		}
		text, err := unescape(*s)
		if err != nil {
			return nil, err
		}
		if ignoreCase {
			text = fold(text)
		}
		*s = text
	}
	for _, m := range b.mixed {
		if m.before == before && m.after == after {
			return m.next, nil
		}
	}
	m := mixed{before, after, &branch{}}
	b.mixed = append(b.mixed, m)
	slices.SortStableFunc(b.mixed, func(x, y mixed) int {
		return len(y.before) + len(y.after) - len(x.before) - len(x.after)
	})
	return m.next, nil
}

// literalSegment reads a literal as a request's segment is read: what no request could name is an error.
func literalSegment(s string, ignoreCase bool) (string, error) {
	name, err := decodeSegment(s)
	if err == nil && ignoreCase {
		name = fold(name)
	}
	return name, err
}

// match returns the most specific template and the values of its parameters, in their order; nil where none matches.
func (t *templates) match(names []string) (*template, []string) {
	if t == nil {
		return nil, nil
	}
	var values []string
	found := t.root.match(names, &values)
	return found, values
}

// clear reports whether found, which matches names, is narrower than every other template that does: else a server may well take the
// other one.
func (t *templates) clear(names []string, found *template) bool {
	return t.root.each(names, func(other *template) bool { return other == found || narrower(found, other) })
}

// each calls do for every template that matches, until it returns false.
func (b *branch) each(names []string, do func(*template) bool) bool {
	if len(names) == 0 {
		return b.end == nil || do(b.end)
	}
	name, rest := names[0], names[1:]
	if next := b.literal[name]; next != nil && !next.each(rest, do) {
		return false
	}
	for _, m := range b.mixed {
		if m.matches(name) && !m.next.each(rest, do) {
			return false
		}
	}
	return b.any == nil || b.any.each(rest, do)
}

func (m mixed) matches(name string) bool {
	return len(name) > len(m.before)+len(m.after) && strings.HasPrefix(name, m.before) && strings.HasSuffix(name, m.after)
}

func (b *branch) match(names []string, values *[]string) *template {
	if len(names) == 0 {
		return b.end
	}
	name, rest := names[0], names[1:]
	if next := b.literal[name]; next != nil {
		if t := next.match(rest, values); t != nil {
			return t
		}
	}
	held := len(*values)
	for _, m := range b.mixed {
		if !m.matches(name) {
			continue
		}
		*values = append((*values)[:held], name[len(m.before):len(name)-len(m.after)])
		if t := m.next.match(rest, values); t != nil {
			return t
		}
	}
	if b.any != nil {
		*values = append((*values)[:held], name)
		if t := b.any.match(rest, values); t != nil {
			return t
		}
	}
	*values = (*values)[:held]
	return nil
}
