package audit

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// maxClaimDepth bounds how deep claims may nest; tokens that people use nest three or four levels.
const maxClaimDepth = 32

// appendEvent writes e as JSON: keys in a fixed order, zero fields omitted, without reflection or allocation for the
// events of the data path. now stands in for a zero Time. docs/reference/audit-format.md lists the keys.
func appendEvent(b []byte, e *access.Event, now time.Time) ([]byte, error) {
	b = append(b, '{')
	b = appendText(b, "kind", string(e.Kind))
	b = appendTime(b, e.Time, now)
	b = appendText(b, "session", e.Session)
	b = appendUint(b, "action", e.Action)
	b = appendText(b, "principal", e.Principal)
	b, err := appendClaims(b, e.Claims)
	if err != nil {
		return b, err
	}
	b = appendTexts(b, "roles", e.Roles)
	b = appendText(b, "connection", e.Connection)
	b = appendText(b, "protocol", e.Protocol)
	b = appendText(b, "peer", e.Peer)
	b = appendDecision(b, e)
	b = appendOutcome(b, e)
	b = appendText(b, "ref", e.Ref)
	b = appendText(b, "reason", e.Reason)
	b = appendDetail(b, e.Detail)
	return append(b, '}'), nil
}

func appendTime(b []byte, t, now time.Time) []byte {
	if t.IsZero() {
		t = now
	}
	b = append(appendKey(b, "time"), '"')
	b = t.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

// appendDecision writes what was asked and what was decided.
func appendDecision(b []byte, e *access.Event) []byte {
	b = appendText(b, "text", e.Text)
	b = appendText(b, "fingerprint", e.Fingerprint)
	b = appendTexts(b, "params", e.Params)
	if len(e.Actions) > 0 {
		b = append(appendKey(b, "actions"), '[')
		for i := range e.Actions {
			a := &e.Actions[i]
			b = append(appendComma(b), '{')
			b = appendString(appendKey(b, "name"), a.Name)
			b = appendString(appendKey(b, "resource"), a.Resource)
			b = appendTexts(b, "fields", a.Fields)
			if a.Wild {
				b = append(appendKey(b, "wild"), "true"...)
			}
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	b = appendText(b, "effect", e.Effect)
	if e.Because != (access.Because{}) {
		b = append(appendKey(b, "because"), '{')
		b = appendText(b, "policy", e.Because.Policy)
		b = strconv.AppendInt(appendKey(b, "statement"), int64(e.Because.Statement), 10)
		if e.Because.Guardrail {
			b = append(appendKey(b, "guardrail"), "true"...)
		}
		b = append(b, '}')
	}
	b = appendUint(b, "policy", e.Policy)
	b = appendText(b, "catalogue", e.Catalogue)
	b = appendText(b, "phase", e.Phase)
	if e.Window != nil {
		b = append(appendKey(b, "window"), '{')
		b = appendInt(b, "messages", int64(e.Window.Messages))
		b = append(appendInt(b, "within_ns", int64(e.Window.Within)), '}')
	}
	return appendText(b, "approval", e.Approval)
}

// appendOutcome writes how an action ended.
func appendOutcome(b []byte, e *access.Event) []byte {
	b = appendText(b, "status", string(e.Status))
	b = appendInt(b, "rows", e.Rows)
	b = appendInt(b, "bytes", e.Bytes)
	b = appendInt(b, "masked", e.Masked)
	b = appendText(b, "digest", e.Digest)
	b = appendText(b, "code", e.Code)
	b = appendInt(b, "backend_ns", int64(e.Backend))
	if e.Result == nil {
		return b
	}
	b = append(appendKey(b, "result"), '{')
	b = appendTexts(b, "columns", e.Result.Columns)
	b = append(appendKey(b, "rows"), '[')
	for _, row := range e.Result.Rows {
		b = append(appendComma(b), '[')
		for _, cell := range row {
			b = appendComma(b)
			if cell == nil {
				b = append(b, "null"...)
				continue
			}
			b = appendString(b, *cell)
		}
		b = append(b, ']')
	}
	b = append(b, ']')
	if e.Result.Truncated {
		b = append(appendKey(b, "truncated"), "true"...)
	}
	return append(b, '}')
}

func appendDetail(b []byte, m map[string]string) []byte {
	if len(m) == 0 {
		return b
	}
	b = append(appendKey(b, "detail"), '{')
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b = appendName(b, k)
		b = appendString(b, m[k])
	}
	return append(b, '}')
}

func appendClaims(b []byte, m map[string]any) ([]byte, error) {
	if len(m) == 0 {
		return b, nil
	}
	return appendValue(appendKey(b, "claims"), m, 0)
}

// appendValue writes a claim. Claims come from JSON, so their strings are valid UTF-8; what is not gets U+FFFD.
func appendValue(b []byte, v any, depth int) ([]byte, error) {
	if depth > maxClaimDepth {
		return b, fault.New(fault.Malformed, "audit.Append", "the token's claims nest deeper than %d levels", maxClaimDepth)
	}
	var err error
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return appendString(b, strings.ToValidUTF8(v, "\uFFFD")), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case []any:
		b = append(b, '[')
		for _, item := range v {
			if b, err = appendValue(appendComma(b), item, depth+1); err != nil {
				return b, err
			}
		}
		return append(b, ']'), nil
	case map[string]any:
		b = append(b, '{')
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if b, err = appendValue(appendName(b, k), v[k], depth+1); err != nil {
				return b, err
			}
		}
		return append(b, '}'), nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return b, fault.Wrap(fault.Malformed, "audit.Append", err, "a claim of the token cannot be recorded")
	}
	return append(b, raw...), nil
}

// appendComma separates members; the byte before says whether there is one to separate from.
func appendComma(b []byte) []byte {
	if c := b[len(b)-1]; c != '{' && c != '[' {
		b = append(b, ',')
	}
	return b
}

// appendKey writes a key that needs no escaping.
func appendKey(b []byte, key string) []byte {
	b = append(appendComma(b), '"')
	b = append(b, key...)
	return append(b, '"', ':')
}

// appendName writes a key that somebody else chose.
func appendName(b []byte, key string) []byte {
	return append(appendString(appendComma(b), strings.ToValidUTF8(key, "\uFFFD")), ':')
}

func appendText(b []byte, key, s string) []byte {
	if s == "" {
		return b
	}
	return appendString(appendKey(b, key), s)
}

func appendTexts(b []byte, key string, list []string) []byte {
	if len(list) == 0 {
		return b
	}
	b = append(appendKey(b, key), '[')
	for _, s := range list {
		b = appendString(appendComma(b), s)
	}
	return append(b, ']')
}

func appendInt(b []byte, key string, n int64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(appendKey(b, key), n, 10)
}

func appendUint(b []byte, key string, n uint64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendUint(appendKey(b, key), n, 10)
}

// appendString writes s as a JSON string. Bytes that are not UTF-8 have no such form: they become {"base64":"…"}, so
// that a record holds exactly what was there.
func appendString(b []byte, s string) []byte {
	if plainASCII(s) {
		b = append(b, '"')
		b = append(b, s...)
		return append(b, '"')
	}
	if !utf8.ValidString(s) {
		b = append(b, `{"base64":"`...)
		b = base64.StdEncoding.AppendEncode(b, []byte(s))
		return append(b, '"', '}')
	}
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}

// plainASCII reports whether s stands in JSON as it is. It looks at eight bytes at a time: most of what is recorded is
// such text, and this is most of what encoding costs.
func plainASCII(s string) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; len(s) >= 8; s = s[8:] {
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		quote, backslash := w^(ones*'"'), w^(ones*'\\')
		// Of a byte below 0x80: the high bit of x-0x20 is set where x is a control character, that of x-1 where x is 0.
		// A borrow can only follow a byte that is itself found.
		if (w|(w-ones*0x20)|(quote-ones)|(backslash-ones))&high != 0 {
			return false
		}
	}
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x80 || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
