// Package nats speaks the NATS client protocol to clients and servers, for the gate.
//
// Source: https://docs.nats.io/reference/reference-protocols/nats-protocol.
//
// What is understood: TLS (first, or after INFO), CONNECT with the token as password or auth_token, PUB, HPUB, SUB, UNSUB,
// PING and PONG from clients; INFO, MSG, HMSG, +OK, -ERR, PING and PONG from servers; the requests of JetStream's API.
// What is refused: every other operation, subjects that are not plain tokens between dots, JWT and nkey logins.
//
// Two goroutines serve a session, under one lock (docs/adr/0025-duplex-sessions.md): each takes every whole operation that its side has
// sent, asks the gate for each message, subscription and call, and sends what was permitted in one write:
//
//	           INFO, CONNECT            PONG, INFO of the server
//	accepting ---------------> opening -------------------------> relaying ----> closed
//	                                                              |      ^
//	                                               needs approval v      | answered
//	                                                           waiting aside
//
// What waits for a reviewer waits aside, and what comes after it goes on: order is kept among what did not have to wait. PINGs go
// through from end to end, so that their answers come behind whatever was under way; the gateway itself only sends INFO, -ERR, UNSUB of
// subscriptions that it ended, and +OK for what the server never saw.
//
// Where to read, in the order of a session's life:
//
//   - its frame: session.go (what sessions share), state.go (what a session is), accept.go, open.go (the login to a server), info.go,
//     relay.go (the loop of the client's side), refuse.go (words)
//   - what is said: frame.go and message.go (bytes), verbs.go, publish.go, subscribe.go, deliver.go (the loop of the server's side),
//     hide.go (masks), acknowledge.go
//   - calls of JetStream: jetstream.go (what a call does), jetstream_stream.go, jetstream_consumer.go, jetstream_read.go (by what they are
//     about), jetstream_headers.go (what headers of a message ask of a server), jetstream_json.go, jetstream_catalogue.go (what answers
//     have told), jetstream_statement.go, jetstream_verbs.go
//   - for people: explain.go (texts for policy test), guardrails.go (the policies that ship)
package nats
