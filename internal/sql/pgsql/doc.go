// Package pgsql understands PostgreSQL statements: it turns a text, a snapshot of the server's catalogue and the state of
// a session into actions on resources, and into the lineage of every result column. It is pure: no I/O, no clock.
//
// The parser is PostgreSQL's own grammar (libpg_query; docs/adr/0001-postgresql-grammar-through-cgo.md). On top of it stand the rules that make an answer safe to act on:
//
//   - What is not on a closed list is Opaque: a node, function, operator or type that this package does not know is never
//     guessed at (TestUnknownIsOpaque).
//   - Names are resolved as the server resolves them, in the search path that the session really has; where the server
//     could mean something that the catalogue does not hold, the statement is Opaque (TestNames).
//   - Lineage may only grow: whatever wraps a query keeps at least the fields of the query (TestLineageOnlyGrows), and an
//     output that is not proven is marked so.
//   - Bounds come before the parser: the size of a text and its depth are checked on bytes and tokens, because the parser
//     recurses on the C stack (TestHostileShapes).
//
// The verbs are listed by Verbs and in docs/reference/postgres-actions.md.
package pgsql
