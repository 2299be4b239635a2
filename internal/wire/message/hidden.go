package message

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"
	"unicode/utf8"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/mask"
	"gatehouse/internal/mask/body"
)

// ErrUnreadable is a message whose body cannot be read in one way only, so that nothing can be hidden in it. Nothing of it must be sent.
var ErrUnreadable = body.ErrUnreadable

// Masks keeps what masks compile to. It is safe for concurrent use.
type Masks struct {
	key    *mask.Key
	reader Reader
	store  body.Store[Hidden]

	mu     sync.Mutex
	unions map[string]*Hidden // by what their masks say
}

// New returns an empty store. The key is that of tokens.
func New(key *mask.Key) *Masks {
	return &Masks{key: key, reader: newReader()}
}

// Of compiles the masks of a resource of a connection; nil where there are none.
func (m *Masks) Of(d access.DocumentMasks, connection string) (*Hidden, error) {
	return m.store.Of(d, connection, func() (*Hidden, error) { return m.compile(d, connection) })
}

// Reader reads bodies as conditions see them, as Reader.Document does.
func (m *Masks) Reader() *Reader { return &m.reader }

// Hidden is what must be hidden in messages of one resource, compiled. It is immutable, and safe for concurrent use. nil hides nothing.
type Hidden struct {
	rules  *body.Rules
	header *body.Header
	whole  *access.Mask
	reader *Reader
}

// Bodies reports whether something is hidden inside of bodies: then they have to be held whole.
func (h *Hidden) Bodies() bool { return h != nil && !h.rules.None() }

// Body hides values in a message's body, as its content type and its content encoding say that it is to be read: it appends what becomes of
// it, in the same encoding, to dst, and returns how many values it hid. A body in which nothing was hidden is the same, byte for byte. One that
// cannot be read is an error that wraps ErrUnreadable and tells nothing of it, and dst as it was.
func (h *Hidden) Body(dst []byte, contentType, contentEncoding string, b []byte) (out []byte, hits int64, err error) {
	if !h.Bodies() {
		return append(dst, b...), 0, nil
	}
	const grown = 64 // by what stands for values
	dst = slices.Grow(dst, len(b)+grown)
	codings := codingsOf(contentEncoding)
	if codings == "" {
		return h.plain(dst, contentType, b)
	}
	out, hits, err = dst, 0, nil
	coded := h.reader.decoded(codings, b, func(plain []byte) {
		var masked []byte
		masked, hits, err = h.plain(make([]byte, 0, len(plain)+grown), contentType, plain)
		switch {
		case err != nil:
		case bytes.Equal(masked, plain):
			out = append(dst, b...)
		default:
			out, err = h.reader.coder.Encode(dst, codings, masked, b)
		}
	})
	switch {
	case coded == nil && err == nil:
		return out, hits, nil
	case coded == nil:
		return dst, 0, err
	case h.whole != nil: // what nobody can read is hidden none the less
		return body.Replacement(dst, body.Text, *h.whole), 1, nil
	}
	return dst, 0, unreadable("its content encoding is not known, or it is not encoded as it says, or becomes too large")
}

// plain hides values in a body without encodings.
func (h *Hidden) plain(dst []byte, contentType string, b []byte) ([]byte, int64, error) {
	if h.whole != nil {
		return h.hideWhole(dst, contentType, b)
	}
	if len(b) == 0 {
		return dst, 0, nil
	}
	if untyped(contentType) {
		return h.sniffed(dst, b)
	}
	kind, class := kindOf(contentType, h.rules.Paths())
	switch {
	case kind == 0 && class == "":
		return dst, 0, unreadable("its content type or character set is none that masks can read")
	case class != "" && h.rules.Paths():
		return dst, 0, unreadable("it is no document")
	case class != "" && !body.Begun(b[:min(len(b), head)], class):
		return dst, 0, unreadable("it is called " + class + ", and does not begin as one does")
	case class != "":
		return append(dst, b...), 0, nil
	}
	return h.read(dst, b, kind)
}

// head is how much of a body is looked at to tell whether it is what it says it is.
const head = 512

// read hides values in a document of a kind. What is called a text and is not UTF-8 may be anything: a text that is compressed, most of all.
func (h *Hidden) read(dst, b []byte, kind body.Kind) ([]byte, int64, error) {
	if kind != body.JSON && !utf8.Valid(b) {
		return dst, 0, unreadable("it is not UTF-8")
	}
	out, hits, err := h.rules.Document(dst, b, kind)
	if err != nil {
		return dst, 0, unreadable("it is not what its type says, or readers take it in several ways")
	}
	return out, hits, nil
}

// sniffed hides values in a document of which nobody said what it is. Only what all of it shows is believed: JSON from its first byte to its
// last, or, where nothing is hidden by path, text in every byte.
func (h *Hidden) sniffed(dst, b []byte) ([]byte, int64, error) {
	if out, hits, err := h.rules.Document(dst, b, body.JSON); err == nil {
		return out, hits, nil
	}
	if h.rules.Paths() || !utf8.Valid(b) || bytes.ContainsFunc(b, unprintable) {
		return dst, 0, unreadable("it has no content type, and is neither JSON that can be read in one way only nor, where nothing is hidden by path, text")
	}
	if bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n\ufeff"), []byte("<")) { // for its references to characters
		if out, hits, err := h.rules.Document(dst, b, body.XML); err == nil {
			return out, hits, nil
		}
	}
	return h.read(dst, b, body.Text)
}

// unprintable are characters that no text has.
func unprintable(r rune) bool {
	const escape = 0x1b // of terminals
	return r < '\t' || r > '\r' && r < ' ' && r != escape
}

// hideWhole puts what stands for a body into its place. One of a type that is not known is hidden too, and nothing of it is kept.
func (h *Hidden) hideWhole(dst []byte, contentType string, b []byte) ([]byte, int64, error) {
	kind := body.Text
	switch {
	case !untyped(contentType):
		if kind, _ = kindOf(contentType, false); kind == 0 {
			return body.Replacement(dst, body.Text, *h.whole), 1, nil
		}
	case json.Valid(b):
		kind = body.JSON
	}
	if !utf8.Valid(b) {
		return body.Replacement(dst, kind, *h.whole), 1, nil
	}
	return h.rules.Document(dst, b, kind)
}

func unreadable(why string) error {
	return &fault.Error{Op: "message.mask", Kind: fault.Denied, Err: ErrUnreadable,
		Say:  "permission denied: the message may hold what is masked here, and cannot be masked: " + why,
		Hint: "Masks need JSON, text, or another type that they can read, in UTF-8, and encodings that they know: gzip, deflate, br, zstd."}
}
