package exchange

import (
	"io"
	"net/http"
	"sync"
)

// Flushing writes on what it is given at once, for answers that come in pieces.
type Flushing struct {
	W http.ResponseWriter
}

// Write implements io.Writer.
func (f Flushing) Write(b []byte) (int, error) {
	n, err := f.W.Write(b)
	if err == nil {
		err = http.NewResponseController(f.W).Flush()
	}
	return n, err
}

// Writer returns how an answer is written: piece by piece as they come where its length is not known.
func Writer(w http.ResponseWriter, resp *http.Response) io.Writer {
	if resp.ContentLength >= 0 {
		return w
	}
	return Flushing{w}
}

// Buffers are what answers are copied through.
type Buffers struct{ pool sync.Pool }

const copied = 32 << 10

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

// Trailers announces the trailers of an answer: call it before the header is written, and Finish after the body.
func Trailers(w http.ResponseWriter, resp *http.Response) {
	for name := range resp.Trailer {
		w.Header().Add("Trailer", name)
	}
}

// Finish writes the trailers of an answer whose body has been read.
func Finish(w http.ResponseWriter, resp *http.Response) {
	for name, values := range resp.Trailer {
		for _, v := range values {
			w.Header().Add(name, v)
		}
	}
}
