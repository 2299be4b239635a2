// Package queues is brokers that others wrote behind a gateway: Debian's RabbitMQ and nats-server, documents, and stock clients of
// AMQP 0-9-1 and NATS. New starts it. The package also holds the matrices of stock clients (`make clients-queues`): each runs
// against the broker itself and through the gateway, and has to see the same. TestClients runs what every build has.
//
// world.go: the brokers and the gateway; clients.go: who the clients are, and one run; table.go: both runs, and the table.
package queues
