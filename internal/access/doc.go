// Package access holds the nouns of Gatehouse: who is calling (Principal), what may be called (Connection), what is
// asked (Statement, Action, Field), what was decided (Verdict, Mask), who must agree (Approval) and what is remembered
// (Event). It imports nothing but the standard library, and every other package may import it.
//
// The declarative documents (Connection, Role, Policy, Issuer) are nouns too: the same structs are what a YAML file
// holds, what the store keeps, what the API shows and what policy, identity and the gate read.
package access
