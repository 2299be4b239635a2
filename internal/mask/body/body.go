package body

import (
	"errors"
	"fmt"
	"html"
	"sync"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
)

// ErrUnreadable is a document that is not what it says it is, or that readers take in several ways. What was written before
// may stand; what comes after must not be sent.
var ErrUnreadable = errors.New("the document cannot be read in one way only")

// Options are how a Masker works.
type Options struct {
	Held int // bytes of one value that are held where a mask needs all of it; default 1 MiB
}

const (
	defaultHeld = 1 << 20
	maxDepth    = 512 // of nesting: readers give up at some depth, in several ways
)

// Rules is what must be hidden inside documents, compiled. It does not change, and is safe for concurrent use.
type Rules struct {
	whole  *access.Mask
	paths  *Paths        // nil where there are none
	scan   *mask.Scanner // nil where there are no detectors
	key    *mask.Key
	domain string
	spares sync.Pool // of *Masker, for whole documents of JSON
}

// Compile makes Rules of masks; those of headers are left to the caller. The domain is that of tokens: the connection's name.
func Compile(d access.DocumentMasks, k *mask.Key, domain string) (*Rules, error) {
	r := &Rules{whole: d.Whole, key: k, domain: domain}
	var err error
	if len(d.Paths) > 0 {
		if r.paths, err = NewPaths(d.Paths); err != nil {
			return nil, err
		}
	}
	if len(d.Detect) > 0 {
		if r.scan, err = mask.NewScanner(d.Detect, k); err != nil {
			return nil, fmt.Errorf("body.Compile: %w", err)
		}
	}
	return r, nil
}

// None reports whether there is nothing to hide inside documents: a Masker would change nothing.
func (r *Rules) None() bool { return r.whole == nil && r.paths == nil && r.scan == nil }

// Paths reports whether something is hidden by path, which only documents with a structure have.
func (r *Rules) Paths() bool { return r.paths != nil }

// stream is what each kind of document has its own of. What it appends goes to the client.
type stream interface {
	write(dst, src []byte) ([]byte, error)
	close(dst []byte) ([]byte, error)
}

// Masker hides values inside one document as it passes. It is for one goroutine.
type Masker struct {
	s    stream
	err  error
	hits counter
}

// counter counts what was hidden.
type counter struct{ n int64 }

// New makes a Masker for one document. A kind in which the paths have no meaning is an error: the caller refuses the
// document, since what lies at the paths cannot be told.
func (r *Rules) New(kind Kind, o Options) (*Masker, error) {
	if o.Held <= 0 {
		o.Held = defaultHeld
	}
	if r.whole == nil && r.paths != nil && !kind.structured() {
		return nil, fmt.Errorf("body.New: %w: it has no fields, and what lies at the paths of masks cannot be told", ErrUnreadable)
	}
	m := &Masker{}
	switch {
	case r.whole != nil:
		m.s = &whole{rules: r, kind: kind, held: o.Held, hits: &m.hits}
	case kind == JSON, kind == NDJSON:
		m.s = newJSON(r, o.Held, kind == NDJSON, &m.hits)
	case kind == SSE:
		m.s = &events{rules: r, held: o.Held, hits: &m.hits, json: newJSON(r, o.Held, false, new(counter)), text: lines{rules: r, hits: new(counter)}}
	case kind == Text, kind == CSV && r.paths == nil: // without paths, columns need no names
		m.s = &text{lines: lines{rules: r, hits: &m.hits}}
	case kind == CSV:
		m.s = &table{rules: r, held: o.Held, hits: &m.hits, lines: lines{rules: r, hits: &m.hits}}
	case kind == Form:
		m.s = &form{rules: r, held: o.Held, hits: &m.hits, lines: lines{rules: r, hits: &m.hits}}
	case kind == XML:
		m.s = &markup{rules: r, held: o.Held, lines: lines{rules: r, hits: &m.hits}}
	default:
		return nil, fmt.Errorf("body.New: %w: there is no kind of document %d", ErrUnreadable, kind)
	}
	return m, nil
}

// Write takes the next bytes of the document and appends what may be sent on to dst, which it returns extended. src is not
// kept. After an error, which every later call gives again, nothing more may be sent: what was appended before it may.
func (m *Masker) Write(dst, src []byte) ([]byte, error) {
	if m.err == nil {
		dst, m.err = m.s.write(dst, src)
	}
	return dst, m.err
}

// Close says that the document ends, and appends what was still held.
func (m *Masker) Close(dst []byte) ([]byte, error) {
	if m.err != nil {
		return dst, m.err
	}
	dst, m.err = m.s.close(dst)
	if m.err == nil {
		m.err = errClosed
		return dst, nil
	}
	return dst, m.err
}

var errClosed = errors.New("body: the document has ended")

// Hits returns how many values were hidden so far.
func (m *Masker) Hits() int64 { return m.hits.n }

// whole hides a document as a whole.
type whole struct {
	rules *Rules
	kind  Kind
	held  int
	text  []byte
	large bool
	hits  *counter
}

func (w *whole) write(dst, src []byte) ([]byte, error) {
	if w.rules.whole.Strategy == access.MaskRedact || w.rules.whole.Strategy == access.MaskNull {
		return dst, nil
	}
	if w.large = w.large || len(w.text)+len(src) > w.held; w.large {
		w.text = nil
		return dst, nil
	}
	w.text = append(w.text, src...)
	return dst, nil
}

func (w *whole) close(dst []byte) ([]byte, error) {
	m := *w.rules.whole
	if w.large {
		m = access.Mask{Strategy: access.MaskRedact}
	}
	w.hits.n++
	return w.rules.replace(dst, w.kind, w.text, m), nil
}

// Replacement appends what stands for a whole document under a mask that needs none of it, in the form of its kind.
func Replacement(dst []byte, kind Kind, m access.Mask) []byte {
	if m.Strategy != access.MaskNull {
		m.Strategy = access.MaskRedact
	}
	return (&Rules{}).replace(dst, kind, nil, m)
}

func (r *Rules) replace(dst []byte, kind Kind, text []byte, m access.Mask) []byte {
	switch kind {
	case JSON:
		return r.appendValue(dst, text, &m)
	case NDJSON:
		return append(r.appendValue(dst, text, &m), '\n')
	case SSE:
		return append(r.appendValue(append(dst, "data: "...), text, &m), "\n\n"...)
	case XML:
		dst = append(dst, "<redacted>"...)
		dst = append(dst, html.EscapeString(string(mask.Value(nil, text, m, r.key, r.domain)))...)
		return append(dst, "</redacted>"...)
	}
	return mask.Value(dst, text, m, r.key, r.domain)
}
