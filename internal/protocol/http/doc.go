// Package http speaks HTTP to clients and backends, for the gate: each request is a login, a question and a round trip.
//
// Sources: RFC 9110 (semantics), RFC 9112 and 9113 (HTTP/1.1 and HTTP/2), RFC 3986 (URIs), RFC 8259 (JSON), RFC 6749 (OAuth
// 2.0), the OpenAPI Specification 3.0 and 3.1.
//
// What was judged is what is sent: a request's path and query are read once, and sent in the one form that every reader
// reads alike (TestAttackByPath, TestTargetsAreReadAlike). What could be read in two ways is refused, never repaired.
//
// A request names its connection by path (/c/<connection>/…) or by host, and carries the platform's token. Where to read:
//
//   - its frame: protocol.go (what the protocol is), endpoint.go (what a connection's document says, compiled), relay.go (one
//     request), stream.go (what is sent as it comes), answer.go (its answer), meter.go (bounds on answers)
//   - what it asks for: path.go, query.go (its target), template.go (paths with parameters), body.go (a body that is held),
//     override.go (requests that ask for another method or path),
//     statement.go (what policy judges and a reviewer reads), verbs.go (the actions), explain.go (for policy test), fold.go (which
//     paths stand together in a policy of what was done)
//   - an attached document: openapi.go (its operations as actions), operation.go and schema.go (what it says, in JSON Schema's
//     words), validate.go (requests that have to fit)
//   - what is passed on: header.go (both ways), response.go (references to the backend, cookies), credential.go, inject.go and
//     oauth.go (the backend's credential), exchange.Echo (it never comes back)
//   - what is more than a request and an answer: upgrade.go and websocket.go (WebSocket, RFC 6455), call.go and schemas.go (gRPC, and what
//     its messages look like)
package http
