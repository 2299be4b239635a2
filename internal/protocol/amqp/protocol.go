package amqp

import "gatehouse/internal/wire"

// protocol is what the sessions of one gateway share.
type protocol struct {
	deps wire.Deps
}
