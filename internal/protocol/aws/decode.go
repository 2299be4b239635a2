package aws

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxHeld   = 16 << 20 // bytes of a body that is read as parameters
	maxDepth  = 96       // of what is nested in it
	maxValues = 200_000  // in it
)

var errAmbiguous = errors.New("it can be read in two ways")

// decodeJSON reads an object as every reader reads it: members that stand twice, and what is no JSON, are refused. Names that
// differ in case only are two names here, as they are to every service.
func decodeJSON(body []byte) (map[string]any, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return map[string]any{}, nil
	}
	if !utf8.Valid(body) {
		return nil, errAmbiguous
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	left := maxValues
	v, err := decodeValue(d, maxDepth, &left)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows it")
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("it is no object")
	}
	return m, nil
}

func decodeValue(d *json.Decoder, depth int, left *int) (any, error) {
	if *left--; *left < 0 || depth < 0 {
		return nil, errors.New("it holds too much")
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		m := map[string]any{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			name, _ := key.(string)
			if _, twice := m[name]; twice {
				return nil, errAmbiguous
			}
			if m[name], err = decodeValue(d, depth-1, left); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return m, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeValue(d, depth-1, left)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	if n, ok := t.(json.Number); ok {
		return number(n.String())
	}
	return t, nil
}

// number is a number as conditions read it.
func number(text string) (any, error) {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, errAmbiguous
	}
	return f, nil
}

// decodeForm reads a form, with the numbered members that stand for lists: Entries.member.1.Id, and where lists are flat Entry.1.Id. A
// list that is written as the service does not write it would be read by nobody but here.
func decodeForm(form url.Values, flat bool) (map[string]any, error) {
	root := map[string]any{}
	if len(form) > maxParams*10 {
		return nil, errors.New("it holds too much")
	}
	for name, values := range form {
		if len(values) != 1 {
			return nil, errAmbiguous
		}
		at := root
		steps := strings.Split(name, ".")
		if len(steps) > maxDepth {
			return nil, errors.New("it holds too much")
		}
		if !flat && len(steps) > 1 && strings.Trim(steps[1], "0123456789+") == "" {
			return nil, errAmbiguous
		}
		for i, step := range steps[:len(steps)-1] {
			if n, err := strconv.Atoi(steps[i+1]); (step == "member" || step == "entry") && i > 0 && (err != nil || n < 1 || strconv.Itoa(n) != steps[i+1]) {
				return nil, errAmbiguous
			}
		}
		for _, step := range steps[:len(steps)-1] {
			next, ok := at[step].(map[string]any)
			if !ok {
				if at[step] != nil {
					return nil, errAmbiguous
				}
				next = map[string]any{}
				at[step] = next
			}
			at = next
		}
		last := steps[len(steps)-1]
		if _, twice := at[last]; twice {
			return nil, errAmbiguous
		}
		at[last] = values[0]
	}
	for name, v := range root {
		if m, ok := v.(map[string]any); ok && len(m) > 1 && (m["member"] != nil || m["entry"] != nil) {
			return nil, errAmbiguous
		}
		root[name] = listed(v)
	}
	return root, nil
}

// listed turns what has only numbers for names into a list, in their order.
func listed(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	numbers := []int{}
	for name, inner := range m {
		m[name] = listed(inner)
		if n, err := strconv.Atoi(name); err == nil && n >= 0 && strconv.Itoa(n) == name {
			numbers = append(numbers, n)
		}
	}
	if len(m) == 1 {
		for _, wrapper := range [...]string{"member", "entry"} {
			if list, ok := m[wrapper].([]any); ok {
				return list
			}
		}
	}
	if len(numbers) != len(m) {
		return m
	}
	slices.Sort(numbers)
	list := make([]any, 0, len(m))
	for _, n := range numbers {
		list = append(list, m[strconv.Itoa(n)])
	}
	return list
}

// decodeXML reads the root's elements by name; one that stands more than once is a list.
func decodeXML(body []byte) (map[string]any, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return map[string]any{}, nil
	}
	if !utf8.Valid(body) {
		return nil, errAmbiguous
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	left := maxValues
	var root any
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			m, ok := root.(map[string]any)
			if !ok && root != nil {
				return map[string]any{}, nil // text alone
			}
			return m, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.Directive:
			return nil, errors.New("it has declarations")
		case xml.StartElement:
			if root != nil {
				return nil, errors.New("it has two roots")
			}
			if root, err = decodeElement(d, maxDepth, &left); err != nil {
				return nil, err
			}
			_ = t
		}
	}
}

// decodeElement reads up to the end of the element that was opened.
func decodeElement(d *xml.Decoder, depth int, left *int) (any, error) {
	if *left--; *left < 0 || depth < 0 {
		return nil, errors.New("it holds too much")
	}
	var text strings.Builder
	members := map[string]any{}
	for {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.CharData:
			text.Write(t)
		case xml.Directive:
			return nil, errors.New("it has declarations")
		case xml.Comment, xml.ProcInst:
			return nil, errAmbiguous // of a text that is cut by one, some read the first part only
		case xml.StartElement:
			v, err := decodeElement(d, depth-1, left)
			if err != nil {
				return nil, err
			}
			switch old := members[t.Name.Local].(type) {
			case nil:
				members[t.Name.Local] = v
			case []any:
				members[t.Name.Local] = append(old, v)
			default:
				members[t.Name.Local] = []any{old, v}
			}
		case xml.EndElement:
			if len(members) == 0 {
				return text.String(), nil
			}
			return members, nil
		}
	}
}
