package access

import (
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
	Address       string      `json:"address"`            // host:port
	Database      string      `json:"database,omitempty"` // the database, vhost or index inside the backend
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
}

// Role says which policies bind which principals.
type Role struct {
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Bind        []Binding `json:"bind"`               // any one suffices
	Policies    []string  `json:"policies,omitempty"` // a role without policies is a group of reviewers
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
	Condition string    `json:"condition,omitempty"` // CEL
	Message   string    `json:"message,omitempty"`   // deny, approve: words for the client
	Reviewers []string  `json:"reviewers,omitempty"` // approve: roles; empty means the operator
	Expires   Duration  `json:"expires,omitempty"`   // approve: how long it waits; default 15m, at most 24h
	Reuse     bool      `json:"reuse,omitempty"`     // approve: the approval outlives the client, for the same principal and text
	Detect    []string  `json:"detect,omitempty"`    // mask: detectors
	With      *MaskWith `json:"with,omitempty"`      // mask: how; default redact

	AllowLookup bool          `json:"allow_lookup,omitempty"` // mask by resource: rows may be looked up by the whole value, as in WHERE email = $1
	Lookups     *LookupBudget `json:"lookups,omitempty"`      // mask with allow_lookup: how many, for each principal and field; default 100 per 1h

	Beyond *ResultBudget `json:"beyond,omitempty"` // deny: only what goes beyond this many rows or bytes, for each principal
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

// Issuer is a trusted minter of tokens.
type Issuer struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	URL         string   `json:"url"`                    // the iss claim, exactly; discovery starts here
	Audiences   []string `json:"audiences"`              // a token's aud must contain one of these
	Algorithms  []string `json:"algorithms,omitempty"`   // default RS256, PS256, ES256, EdDSA; never HS* or none
	MaxLifetime Duration `json:"max_lifetime,omitempty"` // exp - iat; default 1h
	Skew        Duration `json:"skew,omitempty"`         // clock skew; default 30s, at most 60s
	Kind        string   `json:"principals,omitempty"`   // workload (default) or person
	CA          string   `json:"ca,omitempty"`           // PEM roots for the issuer's own HTTPS; empty means the system's
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
