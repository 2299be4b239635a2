//go:build !race

// The race detector makes sync.Pool forget on purpose, so allocations are counted without it.

package mask_test

import (
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
)

func TestHashAllocatesNothing(t *testing.T) {
	m, k := access.Mask{Strategy: access.MaskHash}, testKey()
	dst, v := make([]byte, 0, 64), []byte("ada")
	if n := testing.AllocsPerRun(100, func() { mask.Value(dst, v, m, k, "d") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestCleanTextAllocatesNothing includes text with numbers in it, and with characters beyond ASCII.
func TestCleanTextAllocatesNothing(t *testing.T) {
	s := scanner(t, redact)
	for _, v := range []string{"plain text", "order 8812 shipped on 2024-05-06 07:08:09 at 3.5 kg, a@b", "Grüße 12", "x::int 1:2:3"} {
		in := []byte(v)
		if n := testing.AllocsPerRun(100, func() { s.Mask(nil, in) }); n != 0 {
			t.Errorf("%q: %v allocations", v, n)
		}
	}
}
