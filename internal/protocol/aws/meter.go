package aws

import (
	"bytes"
	"io"
	"net/http"

	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// metered counts the bytes of an answer against the budgets of a permit before they leave.
type metered struct {
	http.ResponseWriter
	x *gate.Exchange
	p gate.Permit
}

// Write implements http.ResponseWriter.
func (m *metered) Write(b []byte) (int, error) {
	if err := m.x.Spend(m.p, 0, int64(len(b))); err != nil {
		return 0, err
	}
	return m.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (m *metered) Unwrap() http.ResponseWriter { return m.ResponseWriter }

// meter counts an answer against the budgets of its permit: each item, message or object in it is a row, and an answer that is no list
// is one. An answer of parameters is held for that: one that cannot be read is refused.
func (v *visit) meter(p gate.Permit, resp *http.Response) (err error) {
	if !v.x.Budgeted(p) {
		return nil
	}
	v.lists = 1
	if o := v.c.operation; o != nil && !o.output && !o.stream && v.r.Method != http.MethodHead && resp.StatusCode < http.StatusMultipleChoices {
		if v.lists, err = v.rows(resp); err != nil {
			return err
		}
	}
	v.w = &metered{v.w, v.x, p}
	return v.x.Spend(p, v.lists, 0)
}

// rows holds an answer, and counts what it lists.
func (v *visit) rows(resp *http.Response) (int64, error) {
	raw, err := io.ReadAll(io.LimitReader(v.flow.Body(resp.Body), maxHeld+1))
	if err != nil {
		return 0, fault.Wrap(fault.Backend, "aws.rows", err, "the answer ended before its end")
	}
	if len(raw) > maxHeld {
		return 0, uncounted()
	}
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	return v.rowsOf(resp, raw)
}

func uncounted() error {
	return fault.New(fault.Denied, "aws.rows", "the answer cannot be counted against a budget: it is too large, or cannot be read")
}

// rowsOf counts what an answer that was read lists.
func (v *visit) rowsOf(resp *http.Response, b []byte) (int64, error) {
	if packed := resp.Header.Get("Content-Encoding"); packed != "" && packed != "identity" { // as no answer of parameters is any more
		return 0, uncounted()
	}
	var tree map[string]any
	var err error
	depth := 2 // in a map of lists
	switch v.c.dialect {
	case dialectJSON, dialectREST:
		tree, err = decodeJSON(b)
	case dialectCBOR:
		tree, err = decodeCBOR(b)
	default:
		tree, err = decodeXML(b)
		depth = 3 // result, list, member
	}
	if err != nil {
		return 0, uncounted()
	}
	return max(1, elements(tree, depth)), nil
}

// elements counts the elements of the lists in an answer that lie so deep: not those inside of others. Alone in XML, an element of a
// list is none.
func elements(v any, depth int) int64 {
	n := int64(0)
	switch v := v.(type) {
	case []any:
		return int64(len(v))
	case map[string]any:
		for _, inner := range v {
			if depth > 0 {
				n += elements(inner, depth-1)
			}
		}
	}
	return n
}
