// Package nats speaks the NATS client protocol to clients and servers, for the gate.
//
// Source: https://docs.nats.io/reference/reference-protocols/nats-protocol.
//
// What is understood: TLS (first, or after INFO), CONNECT with the token as password or auth_token, PUB, HPUB, SUB, UNSUB,
// PING and PONG from clients; INFO, MSG, HMSG, +OK, -ERR, PING and PONG from servers; the requests of JetStream's API.
// What is refused: every other operation, subjects that are not plain tokens between dots, JWT and nkey logins.
package nats
