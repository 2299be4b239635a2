package access

import "time"

// Action is one thing that a statement does to one resource.
type Action struct {
	Name     string   `json:"name"`             // protocol:Verb, such as the protocol's Select
	Resource string   `json:"resource"`         // what it touches, as Resource builds it
	Fields   []string `json:"fields,omitempty"` // the fields of Resource that it reads or writes, as resources; empty where not known or not applicable
	Wild     bool     `json:"wild,omitempty"`   // Resource stands for a set: in it * is any run of characters without a dot or a slash, ** any run without a slash (WildSegment)
	// Apart says of a set (Wild) that whatever it stands for is asked about by itself too, as it comes: a deny of a part of it leaves the
	// rest, and what a message says is asked of each.
	Apart bool `json:"-"`
}

// Span is a half-open byte range [Start, End) of a text.
type Span struct{ Start, End int }

// Bound is a literal that is compared with or assigned to fields.
type Bound struct {
	Span   Span
	Fields []string
}

// Statement is what a protocol understood of one request. It is immutable and shared between sessions: it depends on the
// text and the state it was judged in, never on who asks.
type Statement struct {
	Text        string           // exactly what the client sent
	Normal      string           // Text with comments removed and literals replaced, for patterns and notifications; never values
	Fingerprint string           // equal for texts that differ only in literals, comments and spacing
	Actions     []Action         // every action it performs; never empty: what is not understood is one Opaque action
	Related     []Action         // what its writes do to the same rows under other names of theirs: deny and approve bind them, no allow is needed; never recorded
	Tested      []string         // fields (as resources) whose values steer what happens or shows: predicates, joins, grouping, ordering
	Looked      []string         // fields that are compared with one constant as a whole, at the top of the condition, and nothing else; none twice
	Literals    []Span           // where Text holds literal values
	Secrets     []Span           // literals that are never recorded: passwords in the statements that set them
	Bound       []Bound          // literals that are compared with or assigned to fields
	Params      map[int][]string // by number from 1: fields that a bind parameter is compared with or assigned to
	Catalogue   string           // the version of the backend's objects that it was understood by; empty where a protocol has none
	Bounded     bool             // an update or delete that has a condition which can restrict; true for whatever neither updates nor deletes
}

// Input is what a decision may read besides the statement: it differs from one request to the next.
type Input struct {
	Principal  *Principal
	Connection string // the connection's name
	Type       string // the connection's type
	Params     []any  // bind parameters as the protocol could render them: string, []byte (not text), nil
	Now        time.Time
	Estimated  *int64 // estimated rows of an update or delete; nil where not known
	Request    *Sent  // what the request itself says, in protocols of requests and messages; nil elsewhere
}

// Sent is what conditions can read of a request or a message, as the variables of the same names. What is nil is unknown.
type Sent struct {
	Method      string
	Path        string         // as judged: decoded once, without what the backend could read in two ways
	ContentType string         // without parameters, in lower case; "" where there is none
	Size        *int64         // bytes of the body; nil where not known beforehand
	Params      map[string]any // by name: path parameters, keys of the call
	Query       map[string]any // by name: a string, or a list of strings where it stands more than once
	Headers     map[string]any // by name in lower case, as Query
	Body        func() any     // the body as ReadJSON has it; it gives nil where it is none, or too large. It is called where a condition reads it

	Message *Message // what conditions read as message.…; nil where it is no message of a queue
}

// Message is what conditions can read of a message that is published or delivered. What is nil is unknown.
type Message struct {
	Exchange        string // "" is unknown: the default exchange has a name of its own here, as in resources
	RoutingKey      string // known where Exchange is
	Queue           string // that it is delivered from, or published to without an exchange between; "" is unknown
	Subject         string // "" is unknown
	ReplyTo         string // "" where it has none, if Headers are known
	ContentType     string // without parameters, in lower case; otherwise as ReplyTo
	ContentEncoding string // in lower case; otherwise as ReplyTo
	Size            *int64 // bytes of the body
	Redelivered     *bool
	Headers         map[string]any // by name as sent: text, numbers, truth, lists and maps of such; a list where a name stands more than once
	Properties      map[string]any // by name as the protocol has it
	Body            func() any     // the body as ReadJSON has it; it gives nil where it is none, or not held. It is called where a condition reads it
}
