// Package apitest holds in-memory services for tests of the API and of its clients: a whole small gateway's state without
// a gateway. It is linked into tests only. What it promises is what api's interfaces promise; the real services have their
// own tests.
package apitest
