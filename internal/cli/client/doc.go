// Package client speaks to the control API for the CLI and for programs in this module: it finds the gateway (find.go),
// checks its certificate, sends the token and turns problems back into faults. It follows no redirect, so that a token goes
// only where it was meant to go (TestTokenStaysWithItsGateway).
package client
