package session

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// upload is the body of a request of HTTP/1.1, whose end decides where the next request begins. net/http goes on behind a body that it
// could not read where both sides may speak at once; a gateway must not: what is left of it would be read as a request.
type upload struct {
	io.ReadCloser
	mu     sync.Mutex
	left   int64 // bytes that are to come; below 0 where that is not known
	whole  bool  // the end was read
	unsure bool
}

// uploadOf puts itself in the place of the request's body; nil where there is none, or where it is framed by itself.
func uploadOf(r *http.Request) *upload {
	if r.ProtoMajor != 1 || r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	u := &upload{ReadCloser: r.Body, left: r.ContentLength, unsure: len(r.TransferEncoding) > 0 || r.ProtoMinor == 0}
	r.Body = u
	return u
}

// Read implements io.Reader.
func (u *upload) Read(b []byte) (int, error) {
	n, err := u.ReadCloser.Read(b)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.left -= int64(n)
	u.whole = u.whole || errors.Is(err, io.EOF) || n > 0 && u.left == 0
	return n, err
}

// part says, with the answer, that the connection ends behind it, unless it is certain where the request does. It never is where the
// body came in chunks, or with HTTP/1.0: the request may have named both a length and chunks, of which net/http hides the one that it
// does not heed, and another reader may have heeded it (RFC 9112, section 6.1).
func (u *upload) part(h http.Header) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.whole || u.unsure {
		h.Set("Connection", "close")
	}
}
