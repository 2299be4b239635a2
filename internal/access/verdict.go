package access

import "time"

// Effect is what a policy statement does, and what a verdict says. The zero value denies.
type Effect uint8

// The effects of a verdict, from strongest to weakest. Mask is an effect of policy statements only; in a verdict masks
// come with Allow and Approve as obligations.
const (
	Deny Effect = iota
	Approve
	Allow
	MaskEffect
)

var effectNames = [...]string{"deny", "approve", "allow", "mask"}

// String returns the effect's name in documents.
func (e Effect) String() string {
	if int(e) < len(effectNames) {
		return effectNames[e]
	}
	return effectNames[Deny]
}

// Because names the policy statement that decided; the zero value means that no statement allowed.
type Because struct {
	Policy    string `json:"policy,omitempty"`    // the policy's name
	Statement int    `json:"statement"`           // its statement, counted from 1; 0 where none
	Guardrail bool   `json:"guardrail,omitempty"` // attached to the connection, not to the role
}

// Verdict is a decision on one statement, whole: all of its actions together.
type Verdict struct {
	Effect   Effect
	Because  Because
	Action   Action        // the action that decided (the first that was denied, or that needs approval)
	Message  string        // the policy author's words for the client; may be empty
	Masks    Masks         // nil where no mask binds this principal here
	Results  []ResultLimit // bounds on what its results may hold, where Effect is Allow or Approve
	Approval Terms         // how to ask, where Effect is Approve
	Record   Recording     // how messages are recorded, where Effect is Allow or Approve
}

// Recording says how the messages of one kind are recorded: each by itself, or, where they are many, in windows. The zero value
// means the defaults.
type Recording struct {
	Each     bool          // each by itself, however many
	Above    int           // messages in a second from which on there are windows
	Messages int           // that one window holds at most; 0 only in the zero value
	Within   time.Duration // after which a window ends
}

// DefaultRecording is what the zero Recording means.
func DefaultRecording() Recording {
	return Recording{Above: 100, Messages: 1000, Within: time.Second}
}

// Settled is r, or the defaults where it is the zero value.
func (r Recording) Settled() Recording {
	if r == (Recording{}) {
		return DefaultRecording()
	}
	return r
}

// Terms are what the approve statements that apply ask for, merged to the strictest.
type Terms struct {
	Reviewers [][]string // one list of roles per approve statement: a reviewer must hold a role from each list
	Lifetime  Duration   // how long the request may wait, and an unspent approval may live
	Reuse     bool       // an approval outlives the client that asked, for the same principal and digest, within Lifetime
}

// Masks says what must be hidden from a principal on a connection. It is immutable, and safe for concurrent use.
type Masks interface {
	// Field returns the mask that binds a field, by resource. It depends on nothing else: two calls agree.
	Field(resource string) (Mask, bool)
	// Fields reports whether any mask by resource exists: if not, no lineage is needed.
	Fields() bool
	// Detect returns the masks by detector of what a principal is shown; empty where there are none.
	Detect() []Detection
	// Document returns what must be hidden inside the documents of a resource, on the way that is asked for. Of a set (Action.Wild) it
	// is all that must be hidden of any resource in it.
	Document(resource string, way Way) DocumentMasks
}

// Way is the direction of a message.
type Way uint8

// The ways.
const (
	ToClient  Way = iota // what a principal is shown
	ToBackend            // what a backend is sent
)

// DocumentMasks is what must be hidden inside one document. The zero value hides nothing.
type DocumentMasks struct {
	Whole   *Mask        // the document as a whole: a mask names its resource, and nothing inside of it
	Paths   []PathMask   // by path
	Headers []HeaderMask // by the name of a header
	Detect  []Detection  // by detector, one for each entity
}

// None reports whether nothing must be hidden.
func (d DocumentMasks) None() bool {
	return d.Whole == nil && len(d.Paths) == 0 && len(d.Headers) == 0 && len(d.Detect) == 0
}

// PathMask hides what lies at a path inside a document. A path begins with $ (the document) or ** (anywhere in it); steps are
// .name, ["name"], [3], [*] and .* (every member or element), and ** for any number of steps.
type PathMask struct {
	Path string
	Mask Mask
}

// HeaderMask hides the values of a header.
type HeaderMask struct {
	Name string
	Mask Mask
}

// MaskStrategy is how a value is hidden.
type MaskStrategy string

// The strategies, from the one that hides most.
const (
	MaskNull     MaskStrategy = "null"     // NULL, or nothing
	MaskRedact   MaskStrategy = "redact"   // a fixed word; NULL where the type cannot hold one
	MaskHash     MaskStrategy = "hash"     // a keyed token: equal values give equal tokens
	MaskPartial  MaskStrategy = "partial"  // all but the first or last characters replaced by asterisks
	MaskTruncate MaskStrategy = "truncate" // dates only: to the start of the month or year
)

// Mask is one way of hiding a value.
type Mask struct {
	Strategy  MaskStrategy
	KeepFirst int     // partial: characters kept at the start
	KeepLast  int     // partial: characters kept at the end
	Unit      string  // truncate: "month" or "year"
	Because   Because // the statement that asked for it, for the record
	Lookup    Budget  // lookups by the whole value; the zero value allows none
}

// ResultLimit is a bound that a policy statement sets on results, together for all that it applies to.
type ResultLimit struct {
	Rows    Budget // a count of zero sets no limit
	Bytes   Budget // as Rows
	Because Because
	Message string
}

// Budget is how much of something a principal may use in one window. The zero value is nothing at all.
type Budget struct {
	Count int64
	Per   time.Duration
}

// Detection hides what a detector finds inside values.
type Detection struct {
	Entity string // the detector's name, as Presidio names entities
	Mask   Mask
}
