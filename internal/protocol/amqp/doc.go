// Package amqp speaks AMQP 0-9-1, with RabbitMQ's extensions, to clients and brokers, for the gate.
package amqp
