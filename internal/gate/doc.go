// Package gate is the security kernel: the one place that turns a decision and its record into the permission to send.
//
// A protocol cannot write to a backend. It asks the gate about a Statement, and gets a Permit; it stages what the permit
// covers and flushes. Flush puts every staged intent on record before the first byte leaves (promise 2), and what it
// writes are the bytes that were judged, by range of the buffer that they were judged in (promise 4), or a rewrite from
// the closed list in permit.go. Answers reach the client through the gate too: a permit that carries a mask cannot be
// spliced (promise 5), and one that carries a budget is counted.
//
// Backends belong to the gate too (backend.go, pool.go): a session leases one, and what it writes to is never its own.
// Budgets are counted here (budget.go), and an open transaction does not wait for a reviewer (within.go):
// docs/adr/0012-budgets-and-waits.md.
//
// A session whose two sides speak at any time is a Duplex (duplex.go, outlet.go): one lock guards it, floods of messages are
// recorded by windows (flood.go), and what needs a reviewer waits beside it (beside.go): docs/adr/0025-duplex-sessions.md.
//
// Elsewhere one Gate serves one session and belongs to one goroutine; only its end is guarded by a lock. What it needs from the rest
// (policy, audit log, approvals, vault) it asks through the small interfaces of services.go.
//
// wiretest runs the tests that break each of these claims against every protocol; TestMutants names the test that turns
// red when a check here is removed.
package gate
