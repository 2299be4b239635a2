package exchange

import (
	"io"
	"net/http"
	"strconv"
	"sync"

	"gatehouse/internal/gate"
)

// Length tells a client how long an answer is, where that is known: of an answer to HEAD, what the body would have been.
func Length(w http.ResponseWriter, resp *http.Response) {
	switch {
	case resp.ContentLength < 0 || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified:
	case len(resp.Trailer) == 0 || resp.Request != nil && resp.Request.Method == http.MethodHead:
		w.Header().Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
}

// Pass has the gate copy a body as it is, through one of buffers where the body has none of its own.
func Pass(x *gate.Exchange, p gate.Permit, w io.Writer, b io.Reader, buffers *Buffers) (int64, error) {
	if _, own := b.(io.WriterTo); own {
		return x.Pass(p, w, b, nil)
	}
	buf := buffers.Get()
	defer buffers.Put(buf)
	return x.Pass(p, w, b, *buf)
}

// Postponed writes the header of an answer with the first byte of its body, so that one which cannot be read at all is refused in
// words.
type Postponed struct {
	http.ResponseWriter
	status int
	begun  bool
}

// Postpone returns a writer of an answer with that status.
func Postpone(w http.ResponseWriter, status int) *Postponed {
	return &Postponed{ResponseWriter: w, status: status}
}

// Begin writes the header, where nothing has: a body may be empty.
func (p *Postponed) Begin() {
	if !p.begun {
		p.begun = true
		p.WriteHeader(p.status)
	}
}

// Write implements io.Writer.
func (p *Postponed) Write(b []byte) (int, error) {
	p.Begin()
	return p.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (p *Postponed) Unwrap() http.ResponseWriter { return p.ResponseWriter }

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
