package access

import "time"

// PrincipalKind tells workloads from people: only people review, and only workloads present platform tokens.
type PrincipalKind string

// The kinds of principal.
const (
	Workload PrincipalKind = "workload"
	Person   PrincipalKind = "person"
	Gateway  PrincipalKind = "gateway"  // Gatehouse itself, for its own statements and changes
	Operator PrincipalKind = "operator" // the holder of the gateway's administrator token
)

// Principal is who a validated token says is calling. It is immutable once identity has returned it.
type Principal struct {
	Issuer  string         // the token's iss, exactly
	Subject string         // the token's sub, exactly
	Kind    PrincipalKind  //
	Claims  map[string]any // all claims, as JSON decodes them, integers as int64; never the token itself
	Expires time.Time      // when the token stops being valid

	Trust   string    // the name of the Issuer document that trusts the token
	Realm   string    // "", or the name of the Issuer document where the issuer's URL alone does not say who minted the token
	Issued  time.Time // iat
	TokenID string    // the token's jti; "" where it has none

	Delegation *Delegation // how the token was narrowed by delegation; nil where it was not
}

// Delegation is what an exchange of tokens left of a principal: at most Connections, Actions and Resources, for a task, in the hands
// of Chain. Everything else about the principal is as it was in the token that was exchanged.
type Delegation struct {
	Task        string   `json:"task"`
	Connections []string `json:"connections,omitempty"` // names; none means all
	Actions     []string `json:"actions,omitempty"`     // patterns as in policies; none means all
	Resources   []string `json:"resources,omitempty"`   // patterns as in policies; none means all
	Chain       []Actor  `json:"chain,omitempty"`       // who acts for the principal, the one who presents the token first (RFC 8693, section 4.1)
}

// Actor is one who acts for a principal.
type Actor struct {
	Issuer  string        `json:"issuer"`
	Realm   string        `json:"realm,omitempty"`
	Subject string        `json:"subject"`
	Kind    PrincipalKind `json:"kind"`
}

// ID names the actor as it would be named as a principal.
func (a Actor) ID() string { return nameOf(a.Issuer, a.Realm, a.Subject) }

// ID names the principal for people and for comparison: issuer, "#", subject, each with "%" and "#" percent-encoded, so
// that no two principals share an ID; a realm stands behind the issuer, after "!". A nil principal has the empty ID.
func (p *Principal) ID() string {
	if p == nil {
		return ""
	}
	return nameOf(p.Issuer, p.Realm, p.Subject)
}

func nameOf(issuer, realm, subject string) string {
	issuer = escape(issuer, "%#!")
	if realm != "" {
		issuer += "!" + escape(realm, "%#!")
	}
	return issuer + "#" + escape(subject, "%#")
}

// GatewayPrincipal is the principal of the gateway's own statements.
func GatewayPrincipal() *Principal {
	return &Principal{Issuer: "gatehouse", Subject: "gatehouse", Kind: Gateway}
}

// OperatorPrincipal is the holder of the administrator token.
func OperatorPrincipal() *Principal {
	return &Principal{Issuer: "gatehouse", Subject: "admin", Kind: Operator}
}
