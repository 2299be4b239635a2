package http

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/wire/exchange"
)

// minEcho is the length, in bytes, from which a form of a credential is looked for: shorter ones are found in any text.
const minEcho = 8

// redactedEcho stands where the backend repeated its credential, filled up to the same length: what says how long an answer is
// stays true.
const redactedEcho = "[redacted]"

func hiddenEcho(out []byte, length int) []byte {
	if length >= len(redactedEcho) {
		out = append(out, redactedEcho...)
		length -= len(redactedEcho)
	}
	for range length {
		out = append(out, '*')
	}
	return out
}

// echo finds a backend's credential in what the backend answers: as it is, in base64 (at each of the three places where it may
// begin within other text), percent-encoded, in hex, and as JSON or HTML writes it. It is immutable.
type echo struct {
	forms   [][]byte
	longest int
	firsts  [256]bool           // the first bytes of forms
	pairs   [1 << 10]uint64     // the pairs of bytes that stand within the first minEcho bytes of a form, as bits
	anchors map[uint16][]anchor // where each stands
}

// anchor is a form with a pair of bytes at a place.
type anchor struct {
	form []byte
	at   int
}

// newEcho returns nil where no secret is long enough to be told from other text.
func newEcho(secrets ...[]byte) *echo {
	e := &echo{anchors: map[uint16][]anchor{}}
	for _, s := range secrets {
		if len(s) < minEcho {
			continue
		}
		for _, f := range formsOf(s) {
			if len(f) >= minEcho && !slices.ContainsFunc(e.forms, func(g []byte) bool { return bytes.Equal(f, g) }) {
				e.forms = append(e.forms, f)
				e.longest, e.firsts[f[0]] = max(e.longest, len(f)), true
				e.anchor(f)
			}
		}
	}
	if len(e.forms) == 0 {
		return nil
	}
	return e
}

// anchor notes the pairs by which a form is found.
func (e *echo) anchor(f []byte) {
	for i := range minEcho - 1 {
		pair := uint16(f[i])<<8 | uint16(f[i+1])
		e.pairs[pair>>6] |= 1 << (pair & 63)
		e.anchors[pair] = append(e.anchors[pair], anchor{f, i})
	}
}

func formsOf(s []byte) [][]byte {
	t := string(s)
	forms := [][]byte{s, []byte(url.QueryEscape(t)), []byte(url.PathEscape(t)), []byte(encode(t, "-._~")),
		[]byte(hex.EncodeToString(s)), []byte(strings.ToUpper(hex.EncodeToString(s)))}
	if j, err := json.Marshal(t); err == nil {
		forms = append(forms, j[1:len(j)-1])
	}
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	if enc.Encode(t) == nil {
		forms = append(forms, bytes.Trim(plain.Bytes(), "\"\n"))
	}
	forms = append(forms, []byte(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;").Replace(t)))
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			forms = append(forms, within64(enc, s, before))
		}
	}
	return forms
}

// within64 is the part of s in base64 that depends on s alone where before bytes of something else come first.
func within64(enc *base64.Encoding, s []byte, before int) []byte {
	coded := enc.EncodeToString(append(make([]byte, before), s...))
	skip := []int{0, 2, 3}[before]            // digits that hold bits of what comes first
	end := (before + len(s)) * 8 / 6          // digits that hold bits of s alone
	return []byte(coded[skip:max(end, skip)]) // what follows depends on what comes next
}

// find returns the first place in b where a form begins, and the length of the longest that does; -1 where there is none. It looks
// at one pair of bytes in each minEcho-1: no form fits in between.
func (e *echo) find(b []byte) (at, length int) {
	for i := 0; i+1 < len(b); i += minEcho - 1 {
		pair := uint16(b[i])<<8 | uint16(b[i+1])
		if e.pairs[pair>>6]&(1<<(pair&63)) == 0 {
			continue
		}
		at = -1
		for _, a := range e.anchors[pair] {
			start := i - a.at
			if start < 0 || at >= 0 && (start > at || start == at && len(a.form) <= length) || !bytes.HasPrefix(b[start:], a.form) {
				continue
			}
			at, length = start, len(a.form)
		}
		if at >= 0 {
			return at, length
		}
	}
	return -1, 0
}

// text returns s without the credential.
func (e *echo) text(s string) string {
	if e == nil {
		return s
	}
	b := []byte(s)
	if at, _ := e.find(b); at < 0 {
		return s
	}
	return string(e.scrub(nil, b))
}

// header takes the credential out of headers and trailers.
func (e *echo) header(h http.Header) {
	if e == nil {
		return
	}
	for name, values := range h {
		for i, v := range values {
			values[i] = e.text(v)
		}
		if clean := e.text(name); clean != name {
			delete(h, name)
		}
	}
}

// scrub appends b to out without the credential.
func (e *echo) scrub(out, b []byte) []byte {
	for {
		at, length := e.find(b)
		if at < 0 {
			return append(out, b...)
		}
		out = hiddenEcho(append(out, b[:at]...), length)
		b = b[at+length:]
	}
}

// reader returns r without the credential, however it is cut into pieces. It holds back only bytes that a form may begin with.
func (e *echo) reader(r io.Reader) io.Reader {
	if e == nil {
		return r
	}
	return &echoReader{e: e, r: r}
}

// body is reader for the body of an answer. It reads into one of buffers, which Close gives back.
func (e *echo) body(b io.ReadCloser, buffers *exchange.Buffers) io.ReadCloser {
	if e == nil {
		return b
	}
	in := buffers.Get()
	return &echoBody{echoReader{e: e, r: b, in: (*in)[:0]}, b, in, buffers}
}

type echoBody struct {
	echoReader
	body    io.Closer
	in      *[]byte
	buffers *exchange.Buffers
}

// Close implements io.Closer.
func (b *echoBody) Close() error {
	if b.in != nil {
		b.out, b.err = nil, io.ErrClosedPipe
		b.buffers.Put(b.in)
		b.in = nil
	}
	return b.body.Close()
}

type echoReader struct {
	e     *echo
	r     io.Reader
	in    []byte // what was read; it begins with what was held back
	held  []byte // the beginning of a form perhaps, at the end of what was read
	clean []byte
	out   []byte // of clean or in: what was not taken yet
	err   error
}

// Read implements io.Reader.
func (r *echoReader) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if len(p) == 0 {
			return 0, nil
		}
		r.fill(len(p))
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// fill reads once and makes clean bytes of it.
func (r *echoReader) fill(most int) {
	if need := len(r.held) + min(max(most, leastRead), mostRead); cap(r.in) < need {
		r.in = make([]byte, 0, need)
	}
	b := append(r.in[:0], r.held...)
	n, err := r.r.Read(b[len(b):cap(b)])
	b, r.err, r.clean = b[:len(b)+n], err, r.clean[:0]
	for {
		keep := 0
		if err == nil {
			keep = r.e.beginning(b)
		}
		at, length := r.e.find(b)
		if at < 0 || at >= len(b)-keep { // what may be a longer form is not judged yet
			r.held = append(r.held[:0], b[len(b)-keep:]...)
			b = b[:len(b)-keep]
			break
		}
		r.clean = hiddenEcho(append(r.clean, b[:at]...), length)
		b = b[at+length:]
	}
	if r.out = b; len(r.clean) > 0 {
		r.clean = append(r.clean, b...)
		r.out = r.clean
	}
}

// leastRead and mostRead bound what is asked of the source at once.
const (
	leastRead = 512
	mostRead  = 16 << 10
)

// beginning returns how many bytes at the end of b are the beginning of a form.
func (e *echo) beginning(b []byte) int {
	for n := min(len(b), e.longest-1); n > 0; n-- {
		tail := b[len(b)-n:]
		if !e.firsts[tail[0]] {
			continue
		}
		for _, f := range e.forms {
			if len(f) > n && f[0] == tail[0] && bytes.HasPrefix(f, tail) {
				return n
			}
		}
	}
	return 0
}
