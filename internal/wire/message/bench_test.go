package message

import (
	"fmt"
	"testing"

	"gatehouse/internal/access"
)

// order is a message as a shop sends it, of about a size.
func order(size int) []byte {
	b := []byte(`{"id":8812,"who":{"name":"Customer Number 812","ssn":"219-09-9999"},"placed":"2026-01-01T00:00:09Z","lines":[`)
	for i := 0; len(b) < size-200; i++ {
		b = fmt.Appendf(b, `{"id":%d,"title":"a thing of number %d","amount":%d.50,"state":"open"},`, i, i, i*7)
	}
	return append(b, `{"id":0}],"next":null}`...)
}

func BenchmarkBody(b *testing.B) {
	for _, c := range []struct {
		name, mime, encoding string
		masks                access.DocumentMasks
		size                 int
	}{
		{"1k/paths", "application/json", "", paths, 1 << 10},
		{"1k/paths/no type", "", "", paths, 1 << 10},
		{"1k/detectors", "application/json", "", detect, 1 << 10},
		{"1k/gzip", "application/json", "gzip", paths, 1 << 10},
		{"100k/paths", "application/json", "", paths, 100 << 10},
		{"100k/gzip", "application/json", "gzip", paths, 100 << 10},
	} {
		h := hide(b, c.masks)
		in := []byte(encode(b, c.encoding, string(order(c.size))))
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			dst := make([]byte, 0, 2*c.size)
			for b.Loop() {
				if _, _, err := h.Body(dst, c.mime, c.encoding, in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
