package access

// Issuer is a trusted minter of tokens.
type Issuer struct {
	Name           string         `json:"name"`
	Description    string         `json:"description,omitempty"`
	Preset         string         `json:"preset,omitempty"`          // the platform whose tokens these are: what must be pinned for them is then required
	URL            string         `json:"url"`                       // the iss claim, exactly; discovery starts here
	Keys           *IssuerKeys    `json:"keys,omitempty"`            // where its keys are; default: OpenID Connect discovery at url
	Audiences      []string       `json:"audiences"`                 // a token's aud must contain one of these
	StrictAudience bool           `json:"strict_audience,omitempty"` // a token's aud holds nothing but these
	Algorithms     []string       `json:"algorithms,omitempty"`      // default RS256, PS256, ES256, EdDSA; never HS* or none
	Types          []string       `json:"types,omitempty"`           // what the typ header may be, without regard to case; default JWT and at+jwt, or none at all
	MaxLifetime    Duration       `json:"max_lifetime,omitempty"`    // exp - iat; default 1h
	Skew           Duration       `json:"skew,omitempty"`            // clock skew; default 30s, at most 60s
	Require        map[string]any `json:"require,omitempty"`         // claims that every token must have, with exactly these values
	SingleUse      bool           `json:"single_use,omitempty"`      // a token logs in once: it must have a jti
	Kind           string         `json:"principals,omitempty"`      // workload (default) or person
	CA             string         `json:"ca,omitempty"`              // PEM roots for the issuer's own HTTPS; empty means the system's
}

// IssuerKeys says where an issuer's keys are: exactly one of its keys. Keys that are named here belong to the document, not to the
// issuer's URL: issuers that share a URL are then told apart by their keys.
type IssuerKeys struct {
	URL  string `json:"url,omitempty"`  // of the key set (JWKS), without discovery
	File string `json:"file,omitempty"` // a file with the key set, read again when it changes
	Set  string `json:"set,omitempty"`  // the key set itself, in JSON
}

// Revocation takes something back that tokens or roles still give: open sessions end, and there are no new ones while the document is
// there. It names exactly one thing.
type Revocation struct {
	Name       string `json:"name"`
	Reason     string `json:"reason,omitempty"`     // shown to the client, and recorded
	Principal  string `json:"principal,omitempty"`  // a principal, by its ID: issuer#subject. What it delegated ends too, and what was delegated to it
	Role       string `json:"role,omitempty"`       // nobody holds the role
	Connection string `json:"connection,omitempty"` // nobody reaches the connection
	Issuer     string `json:"issuer,omitempty"`     // none of the issuer's tokens is good: an Issuer document's name
	Token      string `json:"token,omitempty"`      // one token, by its jti; with issuer
	Task       string `json:"task,omitempty"`       // the task of delegated tokens
	Before     string `json:"before,omitempty"`     // with principal or issuer: only tokens issued before this time (RFC 3339) are taken back
}
