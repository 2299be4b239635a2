package message

import (
	"encoding/json"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// EncodeDocument renders a document in JSON with its kind as the first key: the form that the API takes and gives.
func EncodeDocument(d access.Document) ([]byte, error) {
	b, err := json.Marshal(d)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "message.EncodeDocument", err, "a document cannot be written as JSON")
	}
	kind, err := json.Marshal(d.DocKind())
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "message.EncodeDocument", err, "a document's kind cannot be written as JSON")
	}
	return slices.Concat([]byte(`{"kind":`), kind, []byte(","), b[1:]), nil
}

// DecodeDocument reads what EncodeDocument wrote. Unknown keys are errors, so that a client that is older than its gateway
// never drops a rule in silence; the error has kind fault.Malformed.
func DecodeDocument(b []byte) (access.Document, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, fault.Wrap(fault.Malformed, "message.DecodeDocument", err, "a document must be a JSON object")
	}
	var kind string
	if err := json.Unmarshal(fields["kind"], &kind); err != nil {
		return nil, fault.New(fault.Malformed, "message.DecodeDocument", "a document must say its kind")
	}
	delete(fields, "kind")
	rest, err := json.Marshal(fields)
	if err != nil {
		return nil, fault.Wrap(fault.Malformed, "message.DecodeDocument", err, "a document must be a JSON object")
	}
	d, err := access.DecodeDocument(kind, rest)
	return d, fault.Wrap(fault.Malformed, "message.DecodeDocument", err, "this version cannot read a document: %v", err)
}
