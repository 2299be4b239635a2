package archtest

// exceptions are the places where a house rule does not hold, each with its reason. The key is what the failing rule
// prints.
var exceptions = map[string]string{
	"small interfaces: internal/wire.Session": "it is what a protocol's folder answers to session and listen together, not what one consumer asks of a service",

	"protocol name: internal/api/server.go \"http\"":      "the OpenAPI word for authentication by a header",
	"protocol name: internal/identity/issuer.go \"http\"": "the scheme of a URL",

	"no mutable package variable: internal/sql/pgsql.parserLock": "the C library moves the process's file descriptor 2 in every call: what belongs to the whole process needs a lock for the whole process",

	"clock and randomness are passed in: internal/keys/tlspair.go crypto/rand": "crypto/ecdsa and crypto/x509 use the system's randomness whatever reader they get (Go 1.26)",
}
