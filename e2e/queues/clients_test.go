package queues

import (
	"sync"
	"testing"
)

// TestClients: what stock clients see through the gateway, as a role that may do everything, is what they see without it.
// `make clients-queues` runs them with more and larger messages.
func TestClients(t *testing.T) {
	var all sync.WaitGroup // they wait more than they work
	for _, c := range Clients() {
		all.Go(func() {
			cells, err := shared.Matrix(t.Context(), []Client{c}, true, false)
			if err != nil {
				t.Error(err)
			}
			for _, c := range cells {
				if !c.OK && !c.None {
					t.Errorf("%s, %s: %s", c.Client, c.Feature, c.Detail)
				}
			}
		})
	}
	all.Wait()
}

// TestCells: a cell is only good if the client said so, or lacks the feature and did not say otherwise; and only where the client
// saw the same without the gateway.
func TestCells(t *testing.T) {
	c := Client{Name: "c", Protocol: AMQP, Lacks: map[string]string{"acks": "why", "get": "why"},
		args: []string{"printf", `{"feature":"connect","ok":true,"saw":"a"}\n{"feature":"get","ok":true}\n{"feature":"returns","ok":false,"detail":"no"}\n`}}
	cells := c.Run(t.Context(), Place{}, "x", true)
	good := 0
	for _, cell := range cells {
		if cell.OK != (cell.Feature == "connect") || cell.None != (cell.Feature == "acks") {
			t.Errorf("%+v", cell)
		}
		if cell.OK || cell.None {
			good++
		}
	}
	if n := Failed(cells); n != len(Features(AMQP))-good || good != 2 {
		t.Errorf("%d failed, %d good", n, good)
	}
	for _, alone := range []Cell{{OK: true, Saw: "a"}, {OK: true, Saw: "b"}, {Detail: "no"}} {
		through := cells[0]
		if through.compare(alone); through.OK != (alone.Saw == "a") {
			t.Errorf("%+v, and without the gateway %+v", through, alone)
		}
	}
}
