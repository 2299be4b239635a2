// Package postgres speaks PostgreSQL's frontend/backend protocol 3.0 to clients and servers, for the gate.
//
// Sources: https://www.postgresql.org/docs/current/protocol.html (flow and formats),
// https://www.postgresql.org/docs/current/errcodes-appendix.html (SQLSTATE), and the grammar of package sql/pgsql.
//
// What is understood: TLS (asked for, or direct with ALPN "postgresql"), StartupMessage of any 3.x (negotiated down to
// 3.0), the token as password, simple and extended query with pipelining, COPY in and out, CancelRequest, notices,
// notifications and parameter status. What is refused, in step: replication, GSSAPI encryption (answered N), the
// fast-path FunctionCall, and every message type that is not named here.
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
// docs/adr/0005-lockstep.md says why. The order of files is the order of a session's life: accept.go, open.go, relay.go,
// simple.go and extended.go (what the client says), answers.go, rows.go, copy.go and meter.go (what comes back), refuse.go.
package postgres
