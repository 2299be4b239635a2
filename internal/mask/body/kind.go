package body

import (
	"mime"
	"strings"
)

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

// KindOf returns the kind of a body by its Content-Type; 0 where it cannot be read, also for its charset.
func KindOf(contentType string) Kind {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return 0
	}
	kind := kindOfMedia(media)
	switch charset := strings.ToLower(params["charset"]); {
	case charset == "", charset == "utf-8", charset == "utf8", charset == "us-ascii":
	case kind == Text && (strings.HasPrefix(charset, "iso-8859-") || strings.HasPrefix(charset, "windows-125")):
	default:
		return 0
	}
	if kind == CSV && strings.EqualFold(params["header"], "absent") {
		return Text // columns without names
	}
	return kind
}

func kindOfMedia(media string) Kind {
	switch media {
	case "application/json", "text/json", "application/csp-report":
		return JSON
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/jsonlines", "application/json-lines", "application/stream+json":
		return NDJSON
	case "text/event-stream":
		return SSE
	case "text/csv", "application/csv", "text/tab-separated-values":
		return CSV
	case "application/x-www-form-urlencoded":
		return Form
	case "application/xml", "text/xml":
		return XML
	case "application/javascript", "application/x-javascript", "application/yaml", "application/x-yaml", "application/toml", "application/graphql":
		return Text
	}
	switch {
	case strings.HasSuffix(media, "+json"), strings.HasPrefix(media, "application/x-amz-json-"):
		return JSON
	case strings.HasSuffix(media, "+xml"):
		return XML
	case strings.HasSuffix(media, "+yaml"), strings.HasPrefix(media, "text/"):
		return Text
	}
	return 0
}

// structured reports whether paths have a meaning in a kind.
func (k Kind) structured() bool { return k != Text && k != XML && k != 0 }
