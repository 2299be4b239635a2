package clients

import (
	"slices"
	"testing"

	"gatehouse/e2e/pair"
)

func start(t *testing.T) *pair.Pair {
	t.Helper()
	p, err := pair.New(t.Context(), Seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// TestDrivers runs the drivers that every build has; `make clients` runs all.
func TestDrivers(t *testing.T) {
	p := start(t)
	drivers := slices.DeleteFunc(Drivers(), func(d Driver) bool { return !d.Short })
	cells, err := Run(t.Context(), p, ".", drivers)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cells {
		if !c.OK && !c.None {
			t.Errorf("%s, %s: %s", c.Driver, c.Feature, c.Detail)
		}
	}
}

// TestCells: a cell is only good if the driver said so, or has no such feature and did not say otherwise.
func TestCells(t *testing.T) {
	d := Driver{Name: "d", Lacks: map[string]string{"pipeline": "why", "pool": "why"}}
	r := &Report{said: map[string]error{}}
	r.Do("login", func() error { return nil })
	r.Do("pool", func() error { return nil })
	r.Do("simple", func() error { return nil })
	r.Do("simple", func() error { return nil })
	good := 0
	for _, c := range d.cells(r) {
		if c.OK != (c.Feature == "login") || c.None != (c.Feature == "pipeline") {
			t.Errorf("%+v", c)
		}
		if c.OK || c.None {
			good++
		}
	}
	if n := Failed(d.cells(r)); n != len(Features())-good || good != 2 {
		t.Errorf("%d failed, %d good", n, good)
	}
}
