// Package e2e holds the end-to-end tests: stock clients, the real gatehouse binary, a real PostgreSQL. There is one test
// for each promise of docs/threat-model.md (promises_test.go) and one for each driver (drivers_test.go). The tests know the
// binary as a user does, never its packages. docs/adr/0004-end-to-end-tests-live-in-the-main-module.md says why they are here.
package e2e
