package amqp

import (
	"gatehouse/internal/wire"
	wired "gatehouse/internal/wire/message"
)

// name is the protocol's, as connections name it.
const name = "amqp"

// protocol is what the sessions of one gateway share.
type protocol struct {
	deps   wire.Deps
	places places
	hidden *wired.Masks // what masks mean, compiled
}
