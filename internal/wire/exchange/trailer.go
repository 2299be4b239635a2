package exchange

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"gatehouse/internal/mask/body"
)

// Trailers are fields that come after a body (RFC 9110, section 6.5). They are passed both ways, but for those that would change
// how a message is framed, routed or allowed: these have no meaning there, and servers that merge trailers into headers would
// give them one after the decision.

// notTrailing are names, in canonical form, that no trailer passes by.
var notTrailing = map[string]struct{}{
	"Age": {}, "Authorization": {}, "Cache-Control": {}, "Connection": {}, "Cookie": {}, "Date": {}, "Expect": {}, "Expires": {}, "Forwarded": {},
	"Host": {}, "Keep-Alive": {}, "Location": {}, "Max-Forwards": {}, "Pragma": {}, "Range": {}, "Refresh": {}, "Set-Cookie": {}, "Te": {},
	"Trailer": {}, "Transfer-Encoding": {}, "Upgrade": {}, "Vary": {}, "Via": {}, "Warning": {}, "Www-Authenticate": {},
}

// trails reports whether a trailer of that name is passed.
func trails(name string) bool {
	if _, no := notTrailing[http.CanonicalHeaderKey(name)]; no || strings.Contains(name, "_") {
		return false
	}
	for _, p := range []string{"Content-", "Proxy-", "If-", "X-Forwarded", "X-Http-Method", "X-Method", "X-Original", "X-Rewrite", "X-Gatehouse", "Gatehouse-"} {
		if len(name) >= len(p) && strings.EqualFold(name[:len(p)], p) {
			return false
		}
	}
	return true
}

// Trailing returns the trailers of a request as they are sent on, and its body: they are filled at the body's end. Only what the
// client announced is sent, and of that only what tells of the body (a digest, a signature): conditions have read headers, and servers that
// merge the two would read there what nobody has judged.
func Trailing(r *http.Request, src io.ReadCloser) (http.Header, io.ReadCloser) {
	var out http.Header
	for name := range r.Trailer {
		if trails(name) && body.Tells(name) {
			if out == nil {
				out = http.Header{}
			}
			out[name] = nil
		}
	}
	if out == nil {
		return nil, src
	}
	return out, &trailing{src, r, out}
}

type trailing struct {
	io.ReadCloser
	r   *http.Request
	out http.Header
}

// Read implements io.Reader.
func (t *trailing) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	if errors.Is(err, io.EOF) {
		for name := range t.out {
			t.out[name] = t.r.Trailer[name]
		}
	}
	return n, err
}

// Trailers announces the trailers of an answer: call it before the header is written, and Finish after the body.
func Trailers(w http.ResponseWriter, resp *http.Response) {
	for name := range resp.Trailer {
		if trails(name) {
			w.Header().Add("Trailer", name)
		}
	}
}

// Finish writes the trailers of an answer whose body has been read, those that the backend did not announce too. clean has the
// last word on them; it may be nil.
func Finish(w http.ResponseWriter, resp *http.Response, clean func(http.Header)) {
	if len(resp.Trailer) == 0 {
		return
	}
	last := http.Header{}
	for name, values := range resp.Trailer {
		if trails(name) && values != nil {
			last[name] = values
		}
	}
	if clean != nil {
		clean(last)
	}
	for name, values := range last {
		w.Header()[http.TrailerPrefix+name] = values
	}
}
