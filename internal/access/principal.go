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
}

// ID names the principal for people and for comparison: issuer, "#", subject, each with "%" and "#" percent-encoded, so
// that no two principals share an ID. A nil principal has the empty ID.
func (p *Principal) ID() string {
	if p == nil {
		return ""
	}
	return escape(p.Issuer, "%#") + "#" + escape(p.Subject, "%#")
}

// GatewayPrincipal is the principal of the gateway's own statements.
func GatewayPrincipal() *Principal {
	return &Principal{Issuer: "gatehouse", Subject: "gatehouse", Kind: Gateway}
}

// OperatorPrincipal is the holder of the administrator token.
func OperatorPrincipal() *Principal {
	return &Principal{Issuer: "gatehouse", Subject: "admin", Kind: Operator}
}
