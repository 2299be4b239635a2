// Package config reads what people write: the declarative documents (Issuer, Policy, Connection, Role) and the gateway's
// own configuration. It is strict. An unknown key, a wrong type or a duplicate is an error that shows the file, the line
// and the spot, and names the nearest thing that exists: a rule with a typing error must never silently do nothing.
//
// Both YAML and JSON become one small tree with positions (tree.go), which is checked against the one JSON Schema that
// holds every key (schema.json) and only then decoded into the structs. The schema is written from the structs and their
// comments by `go generate`, and docs/reference/documents.md from the schema; TestSchemaIsCurrent and TestReferenceIsCurrent
// keep them equal. FuzzParseDocuments attacks the reading, and TestRoundTrip proves that what Marshal writes is read back
// as it was.
package config

//go:generate go test -run ^Test(Schema|Reference)IsCurrent$ . -update
