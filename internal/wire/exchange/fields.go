package exchange

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/mask"
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
	for _, m := range h.headers {
		name := http.CanonicalHeaderKey(m.Name)
		for i, v := range all[name] {
			all[name][i] = clean(string(mask.Value(nil, []byte(v), m.Mask, h.key, h.domain)))
			hits++
		}
	}
	if h.scan == nil {
		return hits
	}
	for name, values := range all {
		if plainHeader(name) {
			continue
		}
		for i, v := range values {
			if out, n := h.scan.Mask(nil, []byte(v)); n > 0 {
				values[i] = clean(string(out))
				hits += int64(n)
			}
			if plain := percentless(values[i]); plain != values[i] && h.Finds(plain) { // as in references and cookies
				values[i] = redacted
				hits++
			}
		}
	}
	return hits
}

const redacted = "[redacted]"

// Finds reports whether a detector finds something in a text.
func (h *Hidden) Finds(text string) bool {
	if h == nil || h.scan == nil {
		return false
	}
	_, n := h.scan.Mask(nil, []byte(text))
	return n > 0
}

// percentless decodes what is percent-encoded, and leaves the rest as it is.
func percentless(s string) string {
	first, _, some := strings.Cut(s, "%")
	if !some {
		return s
	}
	var b strings.Builder
	for i := len(first); i < len(s); i++ {
		if i+2 < len(s) && s[i] == '%' {
			if c, err := url.PathUnescape(s[i : i+3]); err == nil {
				b.WriteString(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return first + b.String()
}

// clean keeps a value that was made here within a header's line.
func clean(v string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, v)
}

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

// telling are words in the names of headers by which servers send digests and sizes of their own (X-Goog-Hash, X-Ms-Content-Crc64).
func telling() []string {
	return []string{"digest", "checksum", "etag", "md5", "sha1", "sha-1", "sha2", "sha-2", "sha5", "sha-5", "crc32", "crc64", "hash", "signature", "content-length"}
}

// Untell removes headers, or trailers, that would tell what is hidden in a body: whoever knows a digest can try what fits it.
func Untell(all http.Header) {
	Underive(all)
	for name := range all {
		if tells(name) {
			delete(all, name)
		}
	}
}

// tells reports whether a header tells of a body, by its name.
func tells(name string) bool {
	lower := strings.ToLower(name)
	return slices.ContainsFunc(telling(), func(word string) bool { return strings.Contains(lower, word) })
}
