// Package amqp speaks AMQP 0-9-1, with RabbitMQ's extensions, to clients and brokers, for the gate.
//
// Sources: https://www.rabbitmq.com/amqp-0-9-1-reference.html (methods and fields), https://www.rabbitmq.com/docs/specification (what
// RabbitMQ adds and leaves out), https://www.rabbitmq.com/docs/confirms.
//
// What is understood: TLS from the first byte on, or none on a listener that allows it; the token as the password of PLAIN; every method
// that message.go lists. What is refused: other mechanisms, connection.update-secret (a session ends with its token), immediate publishes,
// a method or a field of a table that is not listed, and what a message says of its user. The virtual host names the connection.
//
// Two goroutines serve a session (docs/adr/0025-duplex-sessions.md), under one lock: up takes what the client says, down what the broker
// says, each all whole frames that have come, and then writes once. A channel has two sides, which close apart from each other:
//
//	client  open --refused by the gateway, closed by the broker--> refused --close-ok--> gone
//	        open --channel.close--> leaving --the broker's close-ok--> (forgotten)
//	broker  open --the gateway's channel.close--> refused --close-ok--> gone
//	        open --channel.close--> leaving --the client's close-ok--> (forgotten)
//
// A refusal is a channel exception 403 that leaves the connection alive: the client is sent channel.close, and so is the broker, which takes
// back what was not acknowledged. Frames that were under way are dropped, and the number is used again only when both sides are done. A
// message that is refused for what it says, on a channel in confirm mode, is a basic.nack instead: the client numbers what it sends, the
// broker what reaches it, and confirms.go translates (TestConfirms).
//
// Messages are judged where they lie in the buffer if they are there whole; small ones are gathered, larger ones are gathered where policy
// or a mask reads them, up to max_body, and sent on as they come otherwise. Each is counted with the SHA-256 of its body. A delivery that is
// refused ends its channel, so that it is neither acknowledged nor lost.
//
// Where to read, in the order of a session's life:
//
//   - its frame: protocol.go, session.go (what a session is), accept.go, open.go (the login to the broker), relay.go (the loops, heartbeats),
//     state.go (channels), refuse.go
//   - bytes: frame.go, coder.go, table.go, message.go and methods_connection.go, methods_objects.go, methods_basic.go, properties.go
//   - what the client says: client.go, publish.go, wait.go (reviewers, and what waits behind them), confirms.go
//   - what the broker says: broker.go, deliver.go, tags.go (which may be acknowledged)
//   - masks: masks.go, hide.go
//   - what it does: understand.go, arguments.go, keys.go, origins.go, known.go, facts.go, text.go, verbs.go; explain.go and fold.go for
//     policies; guardrails.go holds those that ship
package amqp
