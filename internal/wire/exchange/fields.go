package exchange

import (
	"net/http"

	"gatehouse/internal/mask/body"
)

// plainHeader reports whether a header frames a message or says how to treat it, and holds nothing of anybody's.
func plainHeader(name string) bool {
	switch name {
	case "Accept-Ranges", "Age", "Allow", "Cache-Control", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Date", "Expires",
		"Last-Modified", "Retry-After", "Server", "Trailer", "Transfer-Encoding", "Vary":
		return true
	}
	return false
}

// Headers hides values of headers, in place, and returns how many.
func (h *Hidden) Headers(all http.Header) (hits int64) {
	if h == nil {
		return 0
	}
	for name, values := range all {
		m, named := h.header.Named(name)
		plain := plainHeader(name)
		for i, v := range values {
			if named {
				values[i] = h.header.Hide(v, m)
				hits++
			}
			if !plain {
				found := int64(0)
				values[i], found = h.header.Detect(name, values[i])
				hits += found
			}
		}
	}
	return hits
}

// Finds reports whether a detector finds something in a text.
func (h *Hidden) Finds(text string) bool { return h != nil && h.header.Finds(text) }

// derived are headers that tell something of a body as it was: its length, or a digest of what is hidden in it.
func derived() []string {
	return []string{"Content-Length", "Etag", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Unencoded-Digest", "Accept-Ranges", "Content-Range",
		"X-Checksum-Sha256", "X-Content-Digest", "Signature", "Signature-Input"}
}

// Underive removes headers that are no longer true of a body without its encoding.
func Underive(all http.Header) {
	for _, name := range derived() {
		all.Del(name)
	}
}

// Untell removes headers, or trailers, that would tell what is hidden in a body: whoever knows a digest can try what fits it.
func Untell(all http.Header) {
	Underive(all)
	for name := range all {
		if body.Tells(name) {
			delete(all, name)
		}
	}
}
