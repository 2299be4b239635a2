// Package postgres speaks PostgreSQL's frontend/backend protocol 3.0 to clients and servers, for the gate.
//
// Sources: https://www.postgresql.org/docs/current/protocol.html (flow and formats),
// https://www.postgresql.org/docs/current/errcodes-appendix.html (SQLSTATE), and the grammar of package sql/pgsql.
//
// What is understood: TLS (asked for, or direct with ALPN "postgresql"), StartupMessage of any 3.x (negotiated down to
// 3.0), the token as password, simple and extended query with pipelining, COPY in and out, CancelRequest, notices,
// notifications and parameter status. What is refused, in step: replication, the startup parameter options, client
// encodings other than UTF8, GSSAPI encryption (answered N), the fast-path FunctionCall, and every message type that is not
// named here.
//
// One goroutine serves a session, in lockstep: it takes the client's messages up to the end of a pipeline segment, asks
// the gate for each action, sends what was permitted in one write, and relays the answers until all are in:
//
//	          Query / Sync / Flush                    all answers in
//	ready ------------------------> answering ------------------------> ready
//	  |                                |  CopyInResponse
//	  | wait > 40 ms                   v
//	  +--> also listening           copying in --CopyDone/CopyFail--> answering
//	       to the backend
//
// docs/adr/0005-lockstep.md says why. A backend is leased when a message first needs one, and goes back to its pool at the
// session's end, or after each transaction; the next session gets it clean, and set as its client asked.
//
// Where to read, in the order of a session's life:
//
//   - its frame: session.go (what a session is), accept.go, upgrade.go (TLS), open.go (the welcome, and the login to a
//     backend: docs/adr/0009-login-by-a-library.md), takeover.go (the backend's connection from pgconn), relay.go (the
//     loop), cancel.go
//   - its backend: lease.go (get, reset, give back), settings.go (what moves with the session), held.go (prepared statements
//     that a backend holds), state.go (in what state statements are read, and the gateway's own statements), catalogue.go
//   - what the client says: frame.go and message.go (bytes), simple.go, extended.go, understand.go (what a text does; for
//     policy test too), template.go (texts that differ in literals only: docs/adr/0008-templates.md), names.go (statements,
//     portals, cursors), meaning.go (what their names stand for), estimate.go (rows, by the planner), locks.go (for a
//     reviewer)
//   - what comes back: answers.go, rows.go and dates.go (masks), copy.go and cells.go (its formats), meter.go (bounds on
//     results), telling.go (which parameters may hold a masked value)
//   - what is refused: refuse.go (docs/adr/0006-refusals-keep-the-servers-state.md); guardrails.go holds the policies that ship
package postgres
