package body

// Kind is a kind of document.
type Kind uint8

// The kinds. The zero value is none: what cannot be read, such as pictures, archives and multipart bodies.
const (
	JSON   Kind = iota + 1 // one JSON document (RFC 8259)
	NDJSON                 // a JSON document on each line; each is a document of its own to paths
	SSE                    // server-sent events, whose data are JSON or text; each is a document of its own to paths
	Text                   // text in lines, UTF-8 or another superset of ASCII: detectors only
	CSV                    // rows of columns that the first row names: $[*].column
	Form                   // names and values as HTML forms send them: $.name; a[b] is $.a.b
	XML                    // detectors only, in text and attributes
)

// structured reports whether paths have a meaning in a kind.
func (k Kind) structured() bool { return k != Text && k != XML && k != 0 }
