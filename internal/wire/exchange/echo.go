package exchange

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"gatehouse/internal/fault"
)

// MinEcho is the length, in bytes, from which a credential is looked for: shorter ones are found in any text.
const MinEcho = 8

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

// Echo finds a backend's credential in what the backend answers: as it is, in base64 (at each of the three places where it may
// begin within other text), percent-encoded, in hex, and as JSON or HTML writes it. It is immutable. nil finds nothing.
type Echo struct {
	secrets [][]byte // that it was made of
	forms   [][]byte
	longest int
	names   []string            // the forms in small letters
	firsts  [256]bool           // the first bytes of forms
	stride  int                 // of three bytes in each stride, all lie within any form: two less than the shortest has
	triples [1 << 10]uint64     // those that stand there in a form, as bits by their hash
	anchors map[uint32][]anchor // where each stands
}

// anchor is a form with three bytes at a place.
type anchor struct {
	form []byte
	at   int
}

// Echoes keeps what finds the credentials that were used last. Its zero value is ready, and safe for concurrent use.
type Echoes struct {
	mu   sync.Mutex
	list []*Echo // the last used at the end
}

const maxEchoes = 64

// Of returns what finds these secrets; nil where no secret is long enough.
func (k *Echoes) Of(secrets ...[]byte) *Echo {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := len(k.list) - 1; i >= 0; i-- {
		if e := k.list[i]; slices.EqualFunc(e.secrets, secrets, bytes.Equal) {
			if i < len(k.list)-1 {
				copy(k.list[i:], k.list[i+1:])
				k.list[len(k.list)-1] = e
			}
			return e
		}
	}
	e := NewEcho(secrets...)
	if e == nil {
		return nil
	}
	if len(k.list) == maxEchoes {
		k.list = append(k.list[:0], k.list[1:]...)
	}
	k.list = append(k.list, e)
	return e
}

// NewEcho returns what finds these secrets; nil where none is long enough to be told from other text.
func NewEcho(secrets ...[]byte) *Echo {
	e := &Echo{secrets: secrets, anchors: map[uint32][]anchor{}}
	for _, s := range secrets {
		if len(s) < MinEcho {
			continue
		}
		for _, f := range formsOf(s) {
			if len(f) >= MinEcho && !slices.ContainsFunc(e.forms, func(g []byte) bool { return bytes.Equal(f, g) }) {
				e.forms = append(e.forms, f)
				e.longest, e.firsts[f[0]] = max(e.longest, len(f)), true
			}
		}
	}
	if len(e.forms) == 0 {
		return nil
	}
	for _, f := range e.forms {
		if n := strings.ToLower(string(f)); !slices.Contains(e.names, n) {
			e.names = append(e.names, n)
		}
	}
	e.stride = min(len(slices.MinFunc(e.forms, func(f, g []byte) int { return len(f) - len(g) }))-2, maxStride)
	for _, f := range e.forms {
		e.anchor(f)
	}
	return e
}

// anchor notes by what a form is found.
func (e *Echo) anchor(f []byte) {
	for i := range e.stride {
		three := triple(f, i)
		h := hashed(three)
		e.triples[h>>6] |= 1 << (h & 63)
		e.anchors[three] = append(e.anchors[three], anchor{f, i})
	}
}

// maxStride bounds what is kept of long credentials.
const maxStride = 24

func triple[T string | []byte](b T, i int) uint32 {
	return uint32(b[i])<<16 | uint32(b[i+1])<<8 | uint32(b[i+2])
}

// hashed spreads three bytes over 16 bits (Knuth's multiplicative hashing).
func hashed(three uint32) uint32 { return three * 2654435761 >> 16 }

// words are the bytes that nobody escapes; beside them, dots and hyphens in most places.
const words = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// formsOf are the forms in which servers write a secret.
func formsOf(s []byte) [][]byte {
	t := string(s)
	forms := [][]byte{s, bytes.ToLower(s), bytes.ToUpper(s)}
	digits := hex.EncodeToString(s)
	texts := []string{digits, strings.ToUpper(digits), replaced(t, "", "%", digits), replaced(t, "", "%", strings.ToUpper(digits))}
	if strings.Trim(t, words+"-_.~") != "" {
		texts = append(texts, escaped(t, digits)...)
	}
	for _, f := range texts {
		forms = append(forms, []byte(f))
	}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			forms = append(forms, within64(enc, s, before))
		}
	}
	return forms
}

// escaped are the forms of a text that some bytes are escaped in, as libraries of several languages write URLs, JSON and HTML.
func escaped(t, digits string) []string {
	capitals := strings.ToUpper(digits)
	out := []string{url.QueryEscape(t), strings.ToLower(url.QueryEscape(t)), url.PathEscape(t)}
	for _, kept := range []string{"-_.~", "-_.!~*'()", "-_.*", "-_.!~*'();,/?:@&=+$#", "-_.~/"} {
		upper := replaced(t, words+kept, "%", capitals)
		out = append(out, upper, replaced(t, words+kept, "%", digits), strings.ReplaceAll(upper, "%20", "+"))
	}
	if j, err := json.Marshal(t); err == nil {
		quoted := string(j[1 : len(j)-1])
		out = append(out, quoted, strings.ReplaceAll(quoted, "/", `\/`))
	}
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(t)
	out = append(out, quoted, strings.ReplaceAll(quoted, "/", `\/`))
	for _, kept := range []string{" !#$%()*,-./:;=?@[]^_{|}~", " !#$%()*,-.:;=?@[]^_{|}~", ""} {
		out = append(out, replaced(t, words+kept, `\u00`, capitals), replaced(t, words+kept, `\u00`, digits))
	}
	for _, quotes := range [][2]string{{"&#34;", "&#39;"}, {"&quot;", "&#39;"}, {"&quot;", "&#039;"}, {"&quot;", "&#x27;"}, {"&quot;", "&apos;"}} {
		h := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, quotes[0], "'", quotes[1]).Replace(t)
		slashed := strings.ReplaceAll(h, "/", "&#x2F;")
		out = append(out, h, strings.ReplaceAll(h, "+", "&#43;"), slashed, strings.NewReplacer("`", "&#x60;", "=", "&#x3D;").Replace(slashed))
	}
	return out
}

// replaced writes each byte of s that is not kept as its two hexadecimal digits, behind a mark.
func replaced(s, kept, mark, digits string) string {
	b := make([]byte, 0, len(s)*(len(mark)+2))
	for i := range len(s) {
		if strings.IndexByte(kept, s[i]) >= 0 {
			b = append(b, s[i])
		} else {
			b = append(append(b, mark...), digits[2*i:2*i+2]...)
		}
	}
	return string(b)
}

// within64 is the part of s in base64 that depends on s alone where before bytes of something else come first.
func within64(enc *base64.Encoding, s []byte, before int) []byte {
	coded := enc.EncodeToString(append(make([]byte, before), s...))
	skip := []int{0, 2, 3}[before]            // digits that hold bits of what comes first
	end := (before + len(s)) * 8 / 6          // digits that hold bits of s alone
	return []byte(coded[skip:max(end, skip)]) // what follows depends on what comes next
}

// find returns the first place in b where a form begins, and the length of the longest that does; -1 where there is none. It looks
// at three bytes in each stride: no form fits in between.
func find[T string | []byte](e *Echo, b T) (at, length int) {
	for i := 0; i+2 < len(b); i += e.stride {
		three := triple(b, i)
		h := hashed(three)
		if e.triples[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		at = -1
		for _, a := range e.anchors[three] {
			start := i - a.at
			if start < 0 || at >= 0 && (start > at || start == at && len(a.form) <= length) || !begins(b[start:], a.form) {
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

func begins[T string | []byte](b T, form []byte) bool {
	return len(b) >= len(form) && string(b[:len(form)]) == string(form)
}

// Text returns s without the credential.
func (e *Echo) Text(s string) string {
	if e == nil || len(s) < e.stride {
		return s
	}
	if at, _ := find(e, s); at < 0 {
		return s
	}
	return string(e.Scrub(nil, []byte(s)))
}

// Header takes the credential out of headers and trailers.
func (e *Echo) Header(h http.Header) {
	if e == nil {
		return
	}
	for name, values := range h {
		for i, v := range values {
			values[i] = e.Text(v)
		}
		if e.inName(name) {
			delete(h, name)
		}
	}
}

// inName reports whether the name of a header holds the credential. Which letters of a name are capitals says nothing: net/http writes
// all names in one way.
func (e *Echo) inName(name string) bool {
	if len(name) < e.stride {
		return false
	}
	name = strings.ToLower(name)
	return slices.ContainsFunc(e.names, func(form string) bool { return strings.Contains(name, form) })
}

// Scrub appends b to out without the credential.
func (e *Echo) Scrub(out, b []byte) []byte {
	for {
		at, length := find(e, b)
		if at < 0 {
			return append(out, b...)
		}
		out = hiddenEcho(append(out, b[:at]...), length)
		b = b[at+length:]
	}
}

// Error returns err without the credential: what cannot be read of an answer stands in the words of errors, and these in the log.
func (e *Echo) Error(err error) error {
	if e == nil || err == nil {
		return err
	}
	text := err.Error()
	clean := e.Text(text)
	if clean == text {
		return err
	}
	say, hint := fault.Say(err)
	return &fault.Error{Op: "exchange.Echo", Kind: fault.KindOf(err), Say: e.Text(say), Hint: e.Text(hint), Err: errors.New(clean)}
}

// Scrubbed is the body of an answer without the credential, however it is cut into pieces. Its zero value is ready for one body.
type Scrubbed struct {
	echoReader
	body    io.Closer
	in      *[]byte
	buffers *Buffers
}

// Of begins to read b, into one of buffers, which Close gives back. Where there is nothing to find it returns b.
func (s *Scrubbed) Of(e *Echo, b io.ReadCloser, buffers *Buffers) io.ReadCloser {
	if e == nil {
		return b
	}
	s.in, s.body, s.buffers = buffers.Get(), b, buffers
	s.echoReader = echoReader{e: e, r: b, in: (*s.in)[:0]}
	return s
}

// Close implements io.Closer.
func (s *Scrubbed) Close() error {
	if s.in != nil {
		s.out, s.err = nil, io.ErrClosedPipe
		s.buffers.Put(s.in)
		s.in = nil
	}
	return s.body.Close()
}

// echoReader holds back only bytes that a form may begin with.
type echoReader struct {
	e     *Echo
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

// WriteTo implements io.WriterTo: what was read is written as it lies there.
func (r *echoReader) WriteTo(w io.Writer) (n int64, err error) {
	for {
		if len(r.out) > 0 {
			put, err := w.Write(r.out)
			n, r.out = n+int64(put), r.out[put:]
			if err != nil {
				return n, err
			}
		}
		switch {
		case r.err == io.EOF: //nolint:errorlint // as io.Copy has it
			return n, nil
		case r.err != nil:
			return n, r.err
		}
		r.fill(mostRead)
	}
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
		at, length := find(r.e, b)
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
func (e *Echo) beginning(b []byte) int {
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
