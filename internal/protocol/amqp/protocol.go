package amqp

import "gatehouse/internal/wire"

// name is the protocol's, as connections name it.
const name = "amqp"

// protocol is what the sessions of one gateway share.
type protocol struct {
	deps   wire.Deps
	places places
}
