//go:build !race

// The race detector makes sync.Pool forget on purpose, so allocations are counted without it.

package message

import "testing"

// TestAllocatesNothing: a message of JSON, and headers in which there is nothing to hide, cost no memory.
func TestAllocatesNothing(t *testing.T) {
	h, in, dst := hide(t, both), order(1<<10), make([]byte, 0, 4<<10)
	values := map[string]any{"tenant": "acme", "origin": "shop of Utrecht", "tries": int64(3)}
	for name, work := range map[string]func(){
		"a body": func() {
			if out, hits, err := h.Body(dst, "application/json", "", in); err != nil || hits != 2 || len(out) == 0 {
				t.Fatal(hits, err)
			}
		},
		"headers": func() {
			for name, v := range values {
				if _, hits := h.Value(name, v); hits != 0 || h.Tells(name) {
					t.Fatal(hits)
				}
			}
		},
	} {
		if n := testing.AllocsPerRun(100, work); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
