package exchange

import (
	"net/http"
	"strconv"
	"sync"
)

// Length tells a client how long an answer is, where that is known: of an answer to HEAD, what the body would have been.
func Length(w http.ResponseWriter, resp *http.Response) {
	switch {
	case resp.ContentLength < 0 || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified:
	case len(resp.Trailer) == 0 || resp.Request != nil && resp.Request.Method == http.MethodHead:
		w.Header().Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
}

// Buffers are what answers are copied through.
type Buffers struct{ pool sync.Pool }

const copied = 64 << 10

// Get returns a buffer.
func (b *Buffers) Get() *[]byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, copied)
	return &p
}

// Put gives a buffer back.
func (b *Buffers) Put(p *[]byte) { b.pool.Put(p) }
