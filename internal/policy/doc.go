// Package policy says what a principal may do on a connection. It compiles the documents (Compile) into a Set, binds a
// Set to one principal and one connection (Set.Rules), and decides on statements (Rules.Decide). It is pure: no I/O, no
// clock, no randomness; the same documents and the same input always give the same verdict.
//
// The rules, in the order in which they are applied to each action of a statement; every action must pass:
//
//  1. An action that the vocabulary does not hold, or whose resource is not inside the connection, is denied.
//  2. Deny: one deny statement that applies is enough.
//  3. Allow: one allow statement must apply. Implied actions (logging in, opening a transaction) need none
//     (docs/adr/0007-implied-actions-and-reach.md).
//  4. Approve: every approve statement that applies must be satisfied; their terms merge to the strictest.
//
// A deny with "beyond" denies nothing outright: it puts a limit on results into the verdict, and the gate counts.
//
// Masks add up and only ever hide more: see MergeMasks.
//
// What a statement writes under other names of the same rows (Statement.Related) is asked the second and the fourth question
// only: it can be denied or held, and needs no allow.
//
// A pattern is anchored at both ends and "*" matches any run of characters, separators included. Deny, approve and mask
// statements also cover everything below what their pattern matches (a table covers its fields), and deny and approve
// apply to an action that reads or writes a field their pattern covers. An allow statement applies where its pattern
// matches the action's resource, or every field that the action names. The verb Opaque is never allowed by a pattern
// with a "*": it must be named outright.
//
// Masks by resource hide values as a whole; masks with fields, headers or detectors hide what lies inside of the documents of
// their resources, in the direction that they name (Masks.Document).
//
// Actions are those of the connection's type and those that a document attached to the connection adds
// (docs/adr/0015-attached-documents.md). A resource pattern that begins as the resources of a type do, such as "arn:", is about
// every connection of that type.
//
// An action may stand for a set of resources (access.Action.Wild), as a subscription with wildcards does: an allow has to cover all
// of it by one pattern, and the others bind where they meet any of it (docs/adr/0023-sets-of-resources.md; TestRapidSets). A deny
// leaves the rest of a set whose members are asked about apart, as they come (docs/adr/0026-filtered-subscriptions.md).
//
// Allow statements may say how messages are recorded; those that apply merge to the strictest.
//
// A condition that fails or reads what is not known counts as true for deny, approve and mask, and as false for allow.
//
// TestRapidReference compares all of this with a naive implementation on random documents; TestRapidDenyNeverAllows,
// TestRapidMaskNeverShows, TestRapidDocumentNeverShows and TestRapidOrder prove that additions only tighten and that order does not matter.
package policy
