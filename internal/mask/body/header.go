package body

import (
	"fmt"
	"net/url"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
)

// Header hides values of what stands around a document: headers, trailers, properties. It is immutable, and safe for concurrent use.
type Header struct {
	masks  []access.HeaderMask
	scan   *mask.Scanner // nil where there are no detectors
	key    *mask.Key
	domain string
}

// CompileHeader makes a Header of masks; those of documents are left to Compile.
func CompileHeader(d access.DocumentMasks, k *mask.Key, domain string) (*Header, error) {
	h := &Header{masks: d.Headers, key: k, domain: domain}
	if len(d.Detect) > 0 {
		var err error
		if h.scan, err = mask.NewScanner(d.Detect, k); err != nil {
			return nil, fmt.Errorf("body.CompileHeader: %w", err)
		}
	}
	return h, nil
}

// None reports whether there is nothing to hide around documents.
func (h *Header) None() bool { return len(h.masks) == 0 && h.scan == nil }

// Named returns the mask of headers of a name, whatever its case; of several the one that hides most.
func (h *Header) Named(name string) (m access.Mask, ok bool) {
	for _, one := range h.masks {
		switch {
		case !strings.EqualFold(one.Name, name):
		case ok:
			m = mask.Stronger(m, one.Mask)
		default:
			m, ok = one.Mask, true
		}
	}
	return m, ok
}

// Hide returns what stands for a value under a mask.
func (h *Header) Hide(v string, m access.Mask) string {
	return clean(string(mask.Value(nil, []byte(v), m, h.key, h.domain)))
}

// Detect hides what the detectors find in the value of a header, and returns how much that was. What they find only where percent-encoding is
// taken off, as in references and cookies, hides the value whole. Nine digits under a name that says so are a social security number.
func (h *Header) Detect(name, v string) (out string, hits int64) {
	const prefix = "ssn "
	if h.scan == nil || v == "" {
		return v, 0
	}
	said := ""
	if len(v) == digitsOfSSN && digitsOf([]byte(v)) == digitsOfSSN && namesSSN([]byte(name)) {
		said = prefix
	}
	if said == "" && mask.Harmless([]byte(v)) {
		// most are, and that is seen without a copy
	} else if masked, n := h.scan.Mask(nil, []byte(said+v)); n > 0 {
		v, hits = clean(strings.TrimPrefix(string(masked), said)), int64(n)
	}
	if strings.IndexByte(v, '%') >= 0 {
		if plain := percentless(v); plain != v && h.Finds(plain) {
			return hidden, hits + 1
		}
	}
	return v, hits
}

// Finds reports whether a detector finds something in a text.
func (h *Header) Finds(text string) bool {
	if h.scan == nil {
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

// Tells reports whether a header tells of a document, by its name (X-Goog-Hash, X-Ms-Content-Crc64): whoever knows a digest can try what
// fits it.
func Tells(name string) bool {
	lower := strings.ToLower(name)
	for _, word := range [...]string{"digest", "checksum", "etag", "md5", "sha1", "sha-1", "sha2", "sha-2", "sha5", "sha-5", "crc32", "crc64", "hash", "signature", "content-length"} {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return false
}
