package amqp

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
)

// TestABackendInClearIsNamed: who reads that a login failed is told that TLS was expected, and which keys say so.
func TestABackendInClearIsNamed(t *testing.T) {
	err := backendRefused("jobs", fmt.Errorf("handshake: %w", tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}))
	if !strings.Contains(err.Error(), "of connection jobs does not answer in TLS where tls.mode and the port of its address say so") {
		t.Error(err)
	}
}
