package queues

import (
	"strings"
	"testing"

	"gatehouse/e2e/mqtest"
)

// TestNewerServer: a server newer than Debian's that speaks TLS before anything else, behind a connection that says so. Clients see
// through the gateway what they do at Debian's.
func TestNewerServer(t *testing.T) {
	s := mqtest.StartNATS(t, mqtest.NATSOptions{Binary: program("nats-server"), TLSFirst: true})
	g, err := shared.Start(t.Context(), "newer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	document := strings.NewReplacer("${NATS}", s.Address(), "${NATS_CA}", s.CAFile).Replace(`
kind: Connection
name: events
type: nats
address: ${NATS}
tls:
  ca_file: ${NATS_CA}
nats:
  tls_first: true
credential:
  user: ${USER}
  secret: events
`)
	if err := shared.Apply(t.Context(), g, document); err != nil {
		t.Fatal(err)
	}
	at, err := shared.Through(t.Context(), g, NATS, Everything)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Clients() {
		if c.Name != "nats.go" {
			continue
		}
		for _, cell := range c.Run(t.Context(), at, "newer", true, "publish", "requests", "headers", "publish acks", "pull", "key-value") {
			if !cell.OK {
				t.Errorf("%s: %s", cell.Feature, cell.Detail)
			}
		}
	}
}
