// Package protocol is the list of protocols: the only place outside their folders that names them.
package protocol

import (
	"gatehouse/internal/protocol/amqp"
	"gatehouse/internal/protocol/aws"
	"gatehouse/internal/protocol/http"
	"gatehouse/internal/protocol/nats"
	"gatehouse/internal/protocol/postgres"
	"gatehouse/internal/wire"
)

// All returns every protocol that Gatehouse speaks.
func All(d wire.Deps) []wire.Protocol {
	return []wire.Protocol{
		postgres.New(d),
		http.New(d),
		aws.New(d),
		amqp.New(d),
		nats.New(d),
	}
}
