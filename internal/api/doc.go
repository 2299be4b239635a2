// Package api is Gatehouse's control API: HTTP and JSON over TLS, described by an OpenAPI 3.1 document that is generated
// from the same code (openapi.json beside this file, current by TestOpenAPIIsCurrent).
//
// It holds no state and knows no service: what it needs it declares in services.go, and cmd wires it. Its own work is to
// say who may call what (guard.go; TestAuthMatrix), to record each change before it takes effect (TestChangeIsRecordedFirst),
// to keep secrets one-way (TestNoSecretIsReturned) and to turn kinds of error into problems in one table (problem.go).
//
// Who may call: the holder of the administrator token may do everything but answer an approval that names reviewers; a
// person may see and answer the approvals that they may review; everyone with a valid token may ask who they are.
package api
