package message

import (
	"bytes"
	"strings"
	"sync"

	"gatehouse/internal/access"
	"gatehouse/internal/mask/body"
	"gatehouse/internal/wire/coding"
)

// Bounds of bodies that are encoded.
const (
	maxPlain  = 16 << 20 // bytes without their encodings; a larger body may become four times as large
	growth    = 4
	atOnce    = 4       // bodies that are held without their encodings at once, in all sessions
	keptPlain = 1 << 20 // bytes that are kept for the next one
)

// Reader reads bodies without their encodings. It is safe for concurrent use.
type Reader struct {
	coder *coding.Coder
	turns chan struct{}
	bufs  *sync.Pool // of *bytes.Buffer
}

func newReader() Reader {
	return Reader{coder: new(coding.Coder), turns: make(chan struct{}, atOnce), bufs: &sync.Pool{New: func() any { return new(bytes.Buffer) }}}
}

// decoded calls use with a body without its encodings. plain is gone when it returns.
func (r *Reader) decoded(codings string, b []byte, use func(plain []byte)) error {
	if len(b) == 0 { // nothing is nothing in any encoding
		use(nil)
		return nil
	}
	r.turns <- struct{}{}
	defer func() { <-r.turns }()
	in, err := r.coder.Decode(codings, bytes.NewReader(b), coding.Limits{Size: max(maxPlain, growth*int64(len(b)))})
	if err != nil {
		return err
	}
	buf, _ := r.bufs.Get().(*bytes.Buffer)
	buf.Reset()
	defer func() {
		if buf.Cap() <= keptPlain {
			r.bufs.Put(buf)
		}
	}()
	_, err = buf.ReadFrom(in)
	if closed := in.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	use(buf.Bytes())
	return nil
}

// Document returns what reads a body as conditions see it (access.ReadJSON), when it is first asked: nil where it is not JSON, or not in one
// way only, or in an encoding that is not known. Many publishers call JSON a plain text; what is called a form, or something else with fields of
// its own, is not read as JSON, since its consumers would find other values there. b must stay as it is for as long as it may be asked.
func (r *Reader) Document(contentType, contentEncoding string, b []byte) func() any {
	return sync.OnceValue(func() (v any) {
		if !untyped(contentType) {
			kind, _ := kindOf(contentType, true)
			if media, _, _ := strings.Cut(contentType, ";"); kind != body.JSON && (kind != body.Text || !strings.EqualFold(strings.TrimSpace(media), "text/plain")) {
				return nil
			}
		}
		read := func(plain []byte) {
			if got, err := access.ReadJSON(plain); err == nil {
				v = got
			}
		}
		if codings := codingsOf(contentEncoding); codings == "" {
			read(b)
		} else if r.decoded(codings, b, read) != nil {
			return nil
		}
		return v
	})
}

// codingsOf is a content encoding without what says that there is none: some libraries name the character set there.
func codingsOf(encoding string) string {
	if encoding == "" {
		return ""
	}
	var names []string
	for name := range strings.SplitSeq(encoding, ",") {
		switch name = strings.ToLower(strings.Trim(name, " \t")); name {
		case "", "identity", "utf-8", "utf8", "us-ascii", "ascii", "7bit", "8bit", "binary":
			continue
		}
		names = append(names, name)
	}
	return strings.Join(names, ",")
}

// untyped reports whether a content type says nothing of what a body is.
func untyped(contentType string) bool {
	return contentType == "" || contentType == "application/octet-stream" || contentType == "binary/octet-stream"
}

// kindOf is body.KindOf, with the types that most messages have told at once.
func kindOf(contentType string, paths bool) (kind body.Kind, class string) {
	if contentType == "application/json" {
		return body.JSON, ""
	}
	kind, class, _ = body.KindOf(contentType, paths)
	return kind, class
}
