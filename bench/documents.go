package main

// settings are the gateway's: clients come from loopback, with TLS or in clear, as many as the scenario of idle ones needs.
const settings = `
api: {address: "127.0.0.1:0"}
listeners:
  - {protocol: postgres, address: "127.0.0.1:0", plaintext: true}
limits: {max_sessions: 5000}
`

// documents are the rules of the benchmark: roles that may read, without masks, with two masked columns and with all
// detectors, and a guardrail that every statement passes. The connection is there twice, with TLS to the server and
// without.
const documents = `
kind: Connection
name: plain
type: postgres
address: $address
database: orders
tls: {mode: disable}
credential: {user: app, secret: bench}
guardrails: [no-changes]
---
kind: Connection
name: secure
type: postgres
address: $address
database: orders
tls: {ca_file: $ca}
credential: {user: app, secret: bench}
guardrails: [no-changes]
---
kind: Policy
name: no-changes
statements:
  - effect: deny
    actions: ["postgres:Drop*", postgres:Truncate]
    resources: ["*"]
---
kind: Policy
name: reader
statements:
  - effect: allow
    actions: [postgres:Select]
    resources: ["plain/public.*", "secure/public.*"]
---
kind: Policy
name: two-columns
statements:
  - effect: mask
    resources: ["*/public.wide.email"]
    with: {partial: {keep_last: 4}}
  - effect: mask
    resources: ["*/public.wide.name"]
    with: redact
---
kind: Policy
name: every-cell
statements:
  - effect: mask
    detect: [CREDIT_CARD, EMAIL_ADDRESS, US_SSN, PHONE_NUMBER, IBAN_CODE, IP_ADDRESS]
    with: redact
---
kind: Role
name: reader
bind: [{issuer: dev, claims: {sub: "fn:reader"}}]
policies: [reader]
---
kind: Role
name: masked
bind: [{issuer: dev, claims: {sub: "fn:masked"}}]
policies: [reader, two-columns]
---
kind: Role
name: scanned
bind: [{issuer: dev, claims: {sub: "fn:scanned"}}]
policies: [reader, every-cell]
`

// bouncer is PgBouncer's configuration, as its documentation would have it for many short clients: a server connection for
// a transaction. Its version 1.18 keeps prepared statements only where a client keeps its server connection, so for those
// there is a second name for the database. Pools are as large as the largest number of clients that work at once.
const bouncer = `[databases]
orders = host=127.0.0.1 port=$server dbname=orders user=app password=$password pool_mode=transaction
orders_session = host=127.0.0.1 port=$server dbname=orders user=app password=$password pool_mode=session
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $users
default_pool_size = 32
max_client_conn = 3000
log_connections = 0
log_disconnections = 0
ignore_startup_parameters = extra_float_digits
`

// bouncerTLS is what PgBouncer needs besides for verified TLS on both sides.
const bouncerTLS = `client_tls_sslmode = require
client_tls_cert_file = $key/server.pem
client_tls_key_file = $key/server.key
server_tls_sslmode = verify-full
server_tls_ca_file = $ca
`
