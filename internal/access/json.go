package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxJSONDepth bounds how deep the values of ReadJSON are nested.
const maxJSONDepth = 64

// ReadJSON reads one JSON text as conditions see it: whole numbers that an int64 holds become int64, others float64. What two
// readers could take for different values is an error: a name that is twice in one object, also where only its case differs,
// what is not UTF-8 or half a character, numbers out of range, bytes after the value, and nesting beyond 64 levels.
func ReadJSON(b []byte) (any, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("the text is not UTF-8")
	}
	if bytes.HasPrefix(b, []byte("\ufeff")) {
		return nil, errors.New("the text begins with a byte order mark")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := jsonValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("bytes follow the value")
	}
	return v, nil
}

func jsonValue(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("no JSON value: %w", err)
	}
	switch t := t.(type) {
	case json.Delim:
		if depth == maxJSONDepth {
			return nil, fmt.Errorf("it is nested deeper than %d levels", maxJSONDepth)
		}
		if t == '[' {
			return jsonList(d, depth+1)
		}
		return jsonObject(d, depth+1)
	case json.Number:
		return exactNumber(t)
	case string:
		return jsonText(t)
	}
	return t, nil
}

func jsonList(d *json.Decoder, depth int) (any, error) {
	list := []any{}
	for d.More() {
		v, err := jsonValue(d, depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := d.Token()
	return list, err
}

func jsonObject(d *json.Decoder, depth int) (any, error) {
	object, folded := map[string]any{}, map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New("the name of a member is no string")
		}
		if _, err := jsonText(name); err != nil {
			return nil, err
		}
		// Some readers take the first of two equal names, some the last, and some take Name for name.
		if key := foldName(name); folded[key] {
			return nil, errors.New("a name is twice in one object, perhaps in another case")
		} else {
			folded[key] = true
		}
		if object[name], err = jsonValue(d, depth); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return object, err
}

// jsonText refuses U+FFFD, which stands for half a surrogate pair here, and for whatever else in other readers.
func jsonText(s string) (string, error) {
	if strings.ContainsRune(s, utf8.RuneError) {
		return "", errors.New("a string holds half a character")
	}
	return s, nil
}

// foldName maps names that differ only in case to one: each character to the least of those that it folds to.
func foldName(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, s)
}
