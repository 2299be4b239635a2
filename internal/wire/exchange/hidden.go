package exchange

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/mask"
	"gatehouse/internal/mask/body"
	"gatehouse/internal/wire/coding"
)

// Hidden is what must be hidden in messages of one resource, compiled. It is immutable. nil hides nothing.
type Hidden struct {
	rules  *body.Rules
	header *body.Header
	masks  access.DocumentMasks
	coder  *coding.Coder
}

// Compiled keeps what masks compile to. It is safe for concurrent use.
type Compiled struct {
	key   *mask.Key
	coder *coding.Coder
	store body.Store[Hidden]
}

// NewCompiled returns an empty store. The key is that of tokens.
func NewCompiled(key *mask.Key) *Compiled { return &Compiled{key: key, coder: new(coding.Coder)} }

// Of compiles the masks of a resource of a connection; nil where there are none.
func (c *Compiled) Of(d access.DocumentMasks, connection string) (*Hidden, error) {
	return c.store.Of(d, connection, func() (*Hidden, error) {
		rules, err := body.Compile(d, c.key, connection)
		if err != nil {
			return nil, err
		}
		header, err := body.CompileHeader(d, c.key, connection)
		if err != nil {
			return nil, err
		}
		return &Hidden{rules: rules, header: header, masks: d, coder: c.coder}, nil
	})
}

// Documents reports whether something is hidden inside of bodies.
func (h *Hidden) Documents() bool { return h != nil && !h.rules.None() }

// conditions are headers by which a client learns whether it guesses a body, or asks for a part of one.
func conditions() []string {
	return []string{"If-Match", "If-None-Match", "If-Range", "Range", "A-Im", "Want-Digest", "Want-Content-Digest", "Want-Repr-Digest"}
}

// Whole makes a request one for a whole answer, in an encoding that can be read. A change that is to be made under a condition only is
// never made without it: where the condition tells of nothing but that there is something it stays, and else the request is refused.
func Whole(method string, all http.Header) error {
	reads := method == http.MethodGet || method == http.MethodHead
	for _, name := range conditions() {
		if only := strings.TrimSpace(strings.Join(all[name], ",")); !reads && strings.HasSuffix(name, "-Match") && only != "" {
			if only != "*" {
				return &fault.Error{Op: "exchange.Whole", Kind: fault.Denied, Say: "permission denied: " + name + " names a version, and versions are hidden where answers are masked for you",
					Hint: "If-Unmodified-Since can be sent, and * for whatever version."}
			}
			continue
		}
		all.Del(name)
	}
	all.Set("Accept-Encoding", "identity")
	return nil
}

func unreadable(why string) error {
	return &fault.Error{Op: "exchange.mask", Kind: fault.Denied, Say: "permission denied: the answer may hold what is masked for you, and cannot be masked: " + why,
		Hint: "Masks need JSON, text, or another type that they can read. Ask for one of them."}
}

// Open returns the body of an answer without its encoding, and what hides values in it; a nil Masker where it is what no detector looks
// into. A part of a body, or one in an encoding that is not known, is refused. The caller closes what it gets.
func (h *Hidden) Open(resp *http.Response) (io.ReadCloser, *body.Masker, error) {
	switch {
	case resp.StatusCode == http.StatusPartialContent || resp.Header.Get("Content-Range") != "":
		return nil, nil, unreadable("it is a part of a document")
	case resp.StatusCode == http.StatusIMUsed:
		return nil, nil, unreadable("it is what has changed of a document")
	case len(resp.Header["Content-Type"]) > 1:
		return nil, nil, unreadable("it has more than one type")
	}
	m, class, err := h.masker(resp.Header.Get("Content-Type"))
	if err != nil {
		if in := bufio.NewReader(resp.Body); empty(in) { // some servers send nothing in pieces, by no name
			return io.NopCloser(in), nil, nil
		}
		return nil, nil, err
	}
	src, err := h.decoded(resp.Header, resp.Body)
	if err == nil && m == nil {
		src, err = genuine(src, class)
	}
	return src, m, err
}

// empty reports whether nothing comes.
func empty(in *bufio.Reader) bool {
	_, err := in.Peek(1)
	return errors.Is(err, io.EOF)
}

// decoded returns a body without its encoding.
func (h *Hidden) decoded(header http.Header, src io.Reader) (io.ReadCloser, error) {
	encoding := strings.Join(header.Values("Content-Encoding"), ",")
	out, err := h.coder.Decode(encoding, src, coding.Limits{Ratio: maxRatio})
	if err != nil {
		return nil, unreadable("its encoding is not known")
	}
	return out, nil
}

// Unpack takes an encoding off an answer, and removes what was said of the answer in it.
func Unpack(resp *http.Response, coder *coding.Coder, encoding string) error {
	plain, err := coder.Decode(encoding, resp.Body, coding.Limits{Ratio: maxRatio})
	if err != nil {
		return err
	}
	resp.Body, resp.ContentLength = &closing{plain, resp.Body}, -1
	Underive(resp.Header)
	resp.Header.Del("Content-Encoding")
	return nil
}

// maxRatio bounds what a body may grow to when its encoding comes off.
const maxRatio = 1000

// masker returns what hides values in a document of a type; nil where it is of a class that no detector looks into.
func (h *Hidden) masker(contentType string) (m *body.Masker, class string, err error) {
	kind, class, why := body.KindOf(contentType, h.rules.Paths())
	switch {
	case why != "":
		return nil, "", unreadable(why)
	case class != "" && !h.rules.Paths() && h.masks.Whole == nil:
		return nil, class, nil
	case class != "":
		return nil, "", unreadable("it is no document")
	}
	if m, err = h.rules.New(kind, body.Options{}); err != nil {
		return nil, "", unreadable("what lies at the paths of the masks cannot be told")
	}
	return m, "", nil
}
