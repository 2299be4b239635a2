// Package identity turns a token that a client presents into an access.Principal, or refuses it.
//
// A token is a JWS in compact serialisation (RFC 7515 §7.1) that carries a JSON Web Token (RFC 7519), signed by an
// issuer that an Issuer document trusts. Keys come from the issuer's OpenID Connect discovery document and JWKS
// (RFC 7517), are kept for a lease, and are fetched again only at a bounded rate. The token itself chooses nothing but
// which trusted issuer and which of that issuer's keys it is checked against. BCP 225 (RFC 8725) is the list of attacks.
//
// To the caller every refusal reads the same; the exact Reason is in the error chain, for the log. TestRefusals proves
// that each way of being wrong, alone, is refused for its own reason; TestUnknownKeysCauseFewFetches that tokens cannot
// be used to make the gateway flood an issuer; FuzzVerify that nothing but a signed token gets through.
package identity
