package access

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// The kinds of document, in the order in which they are applied.
const (
	KindIssuer     = "Issuer"
	KindPolicy     = "Policy"
	KindConnection = "Connection"
	KindRole       = "Role"
	KindRevocation = "Revocation"
)

// Document is one declarative object: what `apply` reads, the store keeps and the API shows.
type Document interface {
	DocKind() string
	DocName() string
}

// Duration is a time.Duration written as "90s", "15m" or "8h" in documents.
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 30s, 15m or 8h", b)
	}
	*d = Duration(v)
	return nil
}

// Connection is a registered backend.
type Connection struct {
	Name          string      `json:"name"`
	Description   string      `json:"description,omitempty"`
	Type          string      `json:"type"`               // a protocol's name
	Address       string      `json:"address"`            // host:port; for connections of requests a URL such as https://api.example.com/v2
	Database      string      `json:"database,omitempty"` // the database or index inside the backend
	TLS           BackendTLS  `json:"tls,omitzero"`
	Credential    Credential  `json:"credential"`
	Guardrails    []string    `json:"guardrails,omitempty"`     // policies that bind everyone
	Unproven      string      `json:"unproven,omitempty"`       // what happens to an output that cannot be proven free of masked fields: "mask" (default) or "refuse"
	RecordResults int         `json:"record_results,omitempty"` // rows of each (masked) result kept in the audit log; 0 keeps none
	MaxSessions   int         `json:"max_sessions,omitempty"`   // 0 means the gateway's own limit
	Pool          BackendPool `json:"pool,omitzero"`
	Propagate     string      `json:"propagate,omitempty"` // a setting of the backend that holds the principal, such as application_name or app.principal: clients can neither set nor reset it

	HoldInTransaction   string `json:"hold_in_transaction,omitempty"`   // an action that needs an approval in an open transaction: "refuse" (default) files the approval, for when it is tried again; "hold" waits, with the transaction's locks
	MaxHeldTransactions int    `json:"max_held_transactions,omitempty"` // transactions that may wait with hold at once; beyond it they are refused; default 10

	HTTP *HTTPOptions `json:"http,omitempty"` // connections of type http
	AWS  *AWSOptions  `json:"aws,omitempty"`  // connections of type aws
	AMQP *AMQPOptions `json:"amqp,omitempty"` // connections of type amqp
	NATS *NATSOptions `json:"nats,omitempty"` // connections of type nats

	// Operations is a digest of the actions that the attached document added when policies were compiled; "" where none. It is no part
	// of the document: whoever reads requests by an attached document compares it with that of what they read.
	Operations string `json:"-"`
}

// HTTPOptions is what a connection to an HTTP endpoint says besides its address.
type HTTPOptions struct {
	Protocols    []string          `json:"protocols,omitempty"`     // spoken with the backend, the first that it knows: h2, http/1.1 (default both); h2c alone speaks HTTP/2 without TLS
	Paths        []string          `json:"paths,omitempty"`         // templates such as /v1/invoices/{id}: conditions read what stands in their braces
	IgnoreCase   bool              `json:"ignore_case,omitempty"`   // the backend takes /A and /a for the same: paths are judged in lower case
	OpenAPI      string            `json:"openapi,omitempty"`       // an OpenAPI 3 document, in JSON or YAML: its operations become actions, others are refused
	OpenAPIFile  string            `json:"openapi_file,omitempty"`  // the same, from a file
	MaxBody      int               `json:"max_body,omitempty"`      // bytes of a request's body that are held to be judged; default 1 MiB. What is larger is unknown to conditions, and refused where it needs an approval
	Host         string            `json:"host,omitempty"`          // the Host that the backend is sent; default its address
	KeepPrefix   bool              `json:"keep_prefix,omitempty"`   // tell the backend the path before its own, in X-Forwarded-Prefix
	Headers      map[string]string `json:"headers,omitempty"`       // headers that every request is sent with, whatever the client says. They are shown with the document: a secret goes into credential
	WebSocket    bool              `json:"websocket,omitempty"`     // let clients upgrade to WebSocket: text frames are inspected, others counted
	Descriptors  string            `json:"descriptors,omitempty"`   // a file with a Protocol Buffers FileDescriptorSet: gRPC messages are read by it
	Reflection   bool              `json:"reflection,omitempty"`    // ask the backend's gRPC server reflection for the same
	IdleTimeout  Duration          `json:"idle_timeout,omitempty"`  // of an answer or an upgraded connection that says nothing; default 5m
	MaxBackends  int               `json:"max_backends,omitempty"`  // connections to the backend at once; default 256
	BodyDeadline Duration          `json:"body_deadline,omitempty"` // the longest silence of a client inside of a body; default 30s
}

// AWSOptions is what a connection to an AWS account says. Its address is a URL that receives every call (an emulator, a private
// endpoint), or https://*.amazonaws.com: then each service is called in its own region.
type AWSOptions struct {
	Account    string            `json:"account"`               // the twelve digits
	Region     string            `json:"region"`                // of calls that name none
	Regions    []string          `json:"regions,omitempty"`     // others that may be called; "*" is the set of all of them, which access points of several regions are called in
	Partition  string            `json:"partition,omitempty"`   // aws (default), aws-cn, aws-us-gov
	Endpoints  map[string]string `json:"endpoints,omitempty"`   // a URL for a service, in place of the address
	AssumeRole *AWSRole          `json:"assume_role,omitempty"` // the role that calls are signed as
	Presigned  string            `json:"presigned,omitempty"`   // presigned URLs that clients present: refuse (default) or allow
	Unsigned   string            `json:"unsigned,omitempty"`    // bodies that are sent on without a digest in the signature: allow (default, over TLS) or refuse
	PathStyle  bool              `json:"path_style,omitempty"`  // buckets stand in the path of the backend's URL, not in its host
	Models     string            `json:"models,omitempty"`      // a file of service models, in place of those in the binary
}

// AWSRole is a role to assume before calls are signed.
type AWSRole struct {
	ARN         string   `json:"arn"`
	ExternalID  string   `json:"external_id,omitempty"`
	SessionTags bool     `json:"session_tags,omitempty"` // the session carries the principal as tags
	Duration    Duration `json:"duration,omitempty"`     // of the session; default 1h
	TokenFile   string   `json:"token_file,omitempty"`   // a web identity token: the role is assumed with it, and `credential: {}` is enough
	STS         string   `json:"sts,omitempty"`          // the URL of STS, in place of the region's own
}

// AMQPOptions is what a connection to an AMQP broker says besides its address.
type AMQPOptions struct {
	VirtualHost string   `json:"virtual_host,omitempty"` // the broker's; default /
	MaxBody     int      `json:"max_body,omitempty"`     // bytes of a message's body that are held to be judged; default 1 MiB. What is larger is unknown to conditions, and refused where it needs an approval
	Heartbeat   Duration `json:"heartbeat,omitempty"`    // asked of the broker, and offered to clients, 1s to 10m; default 60s

	Exchanges map[string]string `json:"exchanges,omitempty"` // the types of exchanges that are there, by name: direct, topic, fanout or headers. What clients declare need not be listed
}

// Host returns the virtual host.
func (o *AMQPOptions) Host() string {
	if o == nil || o.VirtualHost == "" {
		return "/"
	}
	return o.VirtualHost
}

// NATSOptions is what a connection to a NATS server says besides its address.
type NATSOptions struct {
	MaxBody  int  `json:"max_body,omitempty"`  // bytes of a message's body that are held to be judged; default 1 MiB. What is larger is unknown to conditions, and refused where it needs an approval
	TLSFirst bool `json:"tls_first,omitempty"` // speak TLS with the server from the first byte on, before it says anything
}

// BackendPool is how sessions share the backends of a connection.
type BackendPool struct {
	Mode        string   `json:"mode,omitempty"`         // session (default): a backend for a client's whole session; transaction: a backend for each transaction
	MaxBackends int      `json:"max_backends,omitempty"` // at once, idle ones included; default 50
	Wait        Duration `json:"wait,omitempty"`         // how long a client waits for a backend; default 10s
	Idle        Duration `json:"idle,omitempty"`         // after which an idle backend is closed; default 5m
	Lifetime    Duration `json:"lifetime,omitempty"`     // after which a backend is closed instead of used again; default 1h
	Pin         string   `json:"pin,omitempty"`          // transaction mode: a session that leaves something on its backend may keep it to its end (allow, default), or is refused (refuse)
	MaxPinned   int      `json:"max_pinned,omitempty"`   // transaction mode: how many sessions may keep their backend at once; default half of max_backends
}

// BackendTLS is how the gateway speaks TLS to a backend. The zero value verifies the name and the chain.
type BackendTLS struct {
	Mode       string `json:"mode,omitempty"`        // verify-full (default), verify-ca, require, disable
	CA         string `json:"ca,omitempty"`          // PEM roots; empty means the system's
	CAFile     string `json:"ca_file,omitempty"`     // the same, from a file
	ServerName string `json:"server_name,omitempty"` // where it differs from the address
	CertFile   string `json:"cert_file,omitempty"`   // client certificate, PEM
	KeyFile    string `json:"key_file,omitempty"`    // its key, PEM
}

// Credential says where a backend's credential lives: exactly one of Secret, Env and File, or none where the client
// certificate is enough. It never holds the credential itself.
type Credential struct {
	User   string `json:"user,omitempty"`
	Secret string `json:"secret,omitempty"` // a name in the vault
	Env    string `json:"env,omitempty"`    // an environment variable of the gateway
	File   string `json:"file,omitempty"`   // a file that the gateway reads

	Inject *Injection `json:"inject,omitempty"` // connections of requests: how a request carries it; default as a bearer token
}

// Named reports whether the document says where a credential lives.
func (c Credential) Named() bool { return c.Secret != "" || c.Env != "" || c.File != "" }

// Injection says how the gateway puts a backend's credential into a request.
type Injection struct {
	As        string   `json:"as"`                  // bearer, basic (user and secret), header, query, oauth2 (client credentials: user is the client's id), hmac, none (the client certificate is enough)
	Name      string   `json:"name,omitempty"`      // header, query: the header or the parameter; hmac: the header of the signature
	Prefix    string   `json:"prefix,omitempty"`    // header, hmac: what stands before the value
	TokenURL  string   `json:"token_url,omitempty"` // oauth2: where tokens are minted
	Scopes    []string `json:"scopes,omitempty"`    // oauth2
	Audience  string   `json:"audience,omitempty"`  // oauth2: the audience parameter, where the server wants one
	InBody    bool     `json:"in_body,omitempty"`   // oauth2: the client's id and secret go in the body, not in a header
	Algorithm string   `json:"algorithm,omitempty"` // hmac: sha256 (default), sha384, sha512
	Encoding  string   `json:"encoding,omitempty"`  // hmac: hex (default), base64
	Template  string   `json:"template,omitempty"`  // hmac: what is signed, with {method} {path} {query} {host} {time} {body} {body_sha256} and {header:Name}
	TimeName  string   `json:"time_name,omitempty"` // hmac: a header that carries {time}, in seconds since 1970
}

// Role says which policies bind which principals.
type Role struct {
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Bind        []Binding `json:"bind"`                  // any one suffices
	Policies    []string  `json:"policies,omitempty"`    // a role without policies is a group of reviewers
	Permissions string    `json:"permissions,omitempty"` // what its holders may do with the gateway itself: member (default), reviewer, auditor or admin
}

// Binding holds for a principal when the issuer, every claim and the condition hold.
type Binding struct {
	Issuer    string         `json:"issuer"`              // an Issuer document's name
	Claims    map[string]any `json:"claims,omitempty"`    // exact values; at least one claim or a condition is required
	Condition string         `json:"condition,omitempty"` // CEL over claims and principal
}

// Policy is a named list of statements.
type Policy struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Statements  []PolicyStatement `json:"statements"`
}

// PolicyStatement is one rule. Which keys go with which effect is checked when a policy is compiled.
type PolicyStatement struct {
	Effect    string    `json:"effect"`              // allow, deny, approve, mask
	Actions   []string  `json:"actions,omitempty"`   // not for mask
	Resources []string  `json:"resources,omitempty"` // required but for mask with detect
	Condition string    `json:"condition,omitempty"` // CEL; conditions.md beside this page says what it can read
	Message   string    `json:"message,omitempty"`   // deny, approve: words for the client
	Reviewers []string  `json:"reviewers,omitempty"` // approve: roles; empty means the operator
	Expires   Duration  `json:"expires,omitempty"`   // approve: how long it waits; default 15m, at most 24h
	Reuse     bool      `json:"reuse,omitempty"`     // approve: the approval outlives the client, for the same principal and text
	Detect    []string  `json:"detect,omitempty"`    // mask: detectors, in all values, or in the documents of the resources where it names some (a connection without documents hides what they find everywhere)
	With      *MaskWith `json:"with,omitempty"`      // mask: how; default redact
	Fields    []string  `json:"fields,omitempty"`    // mask: paths inside the documents (bodies, messages, items) of the resources, such as $.customers[*].email or **.ssn
	Headers   []string  `json:"headers,omitempty"`   // mask: headers of the messages of the resources
	In        string    `json:"in,omitempty"`        // mask with fields, headers or detect: response (default; what a client is shown, or delivered), request (what it sends, or publishes), both

	AllowLookup bool          `json:"allow_lookup,omitempty"` // mask by resource: rows may be looked up by the whole value, as in WHERE email = $1
	Lookups     *LookupBudget `json:"lookups,omitempty"`      // mask with allow_lookup: how many, for each principal and field; default 100 per 1h

	Beyond *ResultBudget `json:"beyond,omitempty"` // deny: only what goes beyond this many rows or bytes, for each principal
	Record *RecordWith   `json:"record,omitempty"` // allow: how messages are recorded; default {above: 100, messages: 1000, within: 1s}
}

// ResultBudget lets results through until this much of them has left.
type ResultBudget struct {
	Rows  int      `json:"rows,omitempty"`  // rows in a window; 0 sets no limit
	Bytes int      `json:"bytes,omitempty"` // bytes in a window, as sent to the client; 0 sets no limit
	Per   Duration `json:"per"`             // the window, 1s to 720h
}

// LookupBudget bounds the lookups by one masked field of one principal.
type LookupBudget struct {
	Count int      `json:"count"` // lookups in a window
	Per   Duration `json:"per"`   // the window, 1s to 720h
}

// MaskWith is a mask in a document: a word (redact, hash, null) or an object with one key (partial, truncate).
type MaskWith struct {
	Word     string
	Partial  *PartialWith
	Truncate *TruncateWith
}

// PartialWith keeps some characters.
type PartialWith struct {
	KeepFirst int `json:"keep_first,omitempty"`
	KeepLast  int `json:"keep_last,omitempty"`
}

// TruncateWith cuts a date to the start of its unit.
type TruncateWith struct {
	To string `json:"to"` // month, year
}

type maskObject struct {
	Partial  *PartialWith  `json:"partial,omitempty"`
	Truncate *TruncateWith `json:"truncate,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (w MaskWith) MarshalJSON() ([]byte, error) {
	if w.Word != "" {
		return json.Marshal(w.Word)
	}
	return json.Marshal(maskObject{w.Partial, w.Truncate})
}

// UnmarshalJSON implements json.Unmarshaler. Unknown keys are for the schema to refuse, before this is called.
func (w *MaskWith) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &w.Word)
	}
	var o maskObject
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	w.Partial, w.Truncate = o.Partial, o.Truncate
	return nil
}

// RecordWith is how messages are recorded, in a document: the word each, or an object.
type RecordWith struct {
	Word     string   `json:"-"`
	Above    *int     `json:"above,omitempty"`    // messages of a session in a second from which on they are recorded in windows; default 100; 0 means all
	Messages int      `json:"messages,omitempty"` // that one window holds at most; default 1000
	Within   Duration `json:"within,omitempty"`   // after which a window ends, 100ms to 10s; default 1s
}

// MarshalJSON implements json.Marshaler.
func (w RecordWith) MarshalJSON() ([]byte, error) {
	if w.Word != "" {
		return json.Marshal(w.Word)
	}
	type object RecordWith
	return json.Marshal(object(w))
}

// UnmarshalJSON implements json.Unmarshaler. A key that is unknown is an error here, too: it would mean the defaults.
func (w *RecordWith) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &w.Word)
	}
	type object RecordWith
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode((*object)(w))
}

// The methods of Document.

func (*Issuer) DocKind() string       { return KindIssuer }     //nolint:revive // the interface says it
func (d *Issuer) DocName() string     { return d.Name }         //nolint:revive // the interface says it
func (*Policy) DocKind() string       { return KindPolicy }     //nolint:revive // the interface says it
func (d *Policy) DocName() string     { return d.Name }         //nolint:revive // the interface says it
func (*Connection) DocKind() string   { return KindConnection } //nolint:revive // the interface says it
func (d *Connection) DocName() string { return d.Name }         //nolint:revive // the interface says it
func (*Role) DocKind() string         { return KindRole }       //nolint:revive // the interface says it
func (d *Role) DocName() string       { return d.Name }         //nolint:revive // the interface says it
func (*Revocation) DocKind() string   { return KindRevocation } //nolint:revive // the interface says it
func (d *Revocation) DocName() string { return d.Name }         //nolint:revive // the interface says it
