package identity

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/json"
)

// maxDepth bounds how deep objects and arrays may nest, in tokens and in the documents of issuers.
const maxDepth = 16

// decodeObject reads exactly one JSON object. It is stricter than RFC 8259 where two readers could disagree: duplicate
// members, invalid UTF-8, lone surrogates and integers beyond 64 bits are errors. Integers come back as int64, all other
// numbers as float64. Nothing of b is in the error.
func decodeObject(b []byte) (map[string]any, error) {
	if tooDeep(b) {
		return nil, errors.New("nested more than " + strconv.Itoa(maxDepth) + " deep")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.SetNumberType(json.UnmarshalJSONNumber)
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, errors.New("not valid JSON, or a member is there twice")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	if _, err := settle(object); err != nil {
		return nil, err
	}
	return object, nil
}

// tooDeep looks at brackets outside of strings, before anything that recurses does.
func tooDeep(b []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// settle replaces the numbers of v, in place, and refuses strings in which something was lost: the decoder writes U+FFFD
// for a lone surrogate and for invalid UTF-8, which would let two different subjects read as the same.
func settle(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		for k, member := range v {
			if strings.ContainsRune(k, utf8.RuneError) {
				return nil, errors.New("a member's name holds U+FFFD")
			}
			s, err := settle(member)
			if err != nil {
				return nil, err
			}
			v[k] = s
		}
	case []any:
		for i, item := range v {
			s, err := settle(item)
			if err != nil {
				return nil, err
			}
			v[i] = s
		}
	case string:
		if strings.ContainsRune(v, utf8.RuneError) {
			return nil, errors.New("a string holds U+FFFD")
		}
	case json.Number:
		return number(v.String())
	}
	return v, nil
}

// number keeps integers whole: an identifier that was rounded could equal another.
func number(s string) (any, error) {
	if !strings.ContainsAny(s, ".eE") {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, errors.New("an integer is beyond 64 bits")
		}
		return n, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, errors.New("a number is out of range")
	}
	return f, nil
}
