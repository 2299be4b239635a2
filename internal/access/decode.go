package access

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// Kinds returns the kinds of document in the order in which they are applied: what a document refers to comes first.
func Kinds() []string {
	return []string{KindIssuer, KindPolicy, KindConnection, KindRole, KindRevocation}
}

// NewDocument returns an empty document of a kind, and false where there is no such kind.
func NewDocument(kind string) (Document, bool) {
	switch kind {
	case KindIssuer:
		return new(Issuer), true
	case KindPolicy:
		return new(Policy), true
	case KindConnection:
		return new(Connection), true
	case KindRole:
		return new(Role), true
	case KindRevocation:
		return new(Revocation), true
	}
	return nil, false
}

// DecodeDocument reads one document of a kind from the JSON that json.Marshal gives for it (so without a "kind" key).
// An unknown kind, an unknown key, a wrong type and trailing bytes are errors. Whole numbers among claims become int64
// and others float64, as in Principal.Claims, so that the two can be compared exactly.
func DecodeDocument(kind string, b []byte) (Document, error) {
	doc, ok := NewDocument(kind)
	if !ok {
		return nil, fmt.Errorf("there is no document kind %q", kind)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(doc); err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: more than one JSON value", kind)
	}
	for _, claims := range claimsOf(doc) {
		if err := exactNumbers(claims); err != nil {
			return nil, fmt.Errorf("%s %q: %w", kind, doc.DocName(), err)
		}
	}
	return doc, nil
}

// claimsOf returns the claims that a document compares tokens with.
func claimsOf(doc Document) []map[string]any {
	switch doc := doc.(type) {
	case *Role:
		var all []map[string]any
		for _, b := range doc.Bind {
			all = append(all, b.Claims)
		}
		return all
	case *Issuer:
		return []map[string]any{doc.Require}
	}
	return nil
}

// exactNumbers replaces the json.Numbers of a map, in place.
func exactNumbers(m map[string]any) error {
	for k, v := range m {
		x, err := exactNumber(v)
		if err != nil {
			return fmt.Errorf("claim %q: %w", k, err)
		}
		m[k] = x
	}
	return nil
}

func exactNumber(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i, nil
		}
		return v.Float64()
	case []any:
		for i := range v {
			x, err := exactNumber(v[i])
			if err != nil {
				return nil, err
			}
			v[i] = x
		}
	case map[string]any:
		return v, exactNumbers(v)
	}
	return v, nil
}
