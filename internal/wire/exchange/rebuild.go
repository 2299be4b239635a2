package exchange

import (
	"bytes"
	"errors"
	"io"

	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/mask/body"
)

// Rebuild copies a body through m, which hides values in it, and returns how many bytes were written. length is how long the body
// was before: one whose length is known comes without pauses, and is read and written in large parts; below 0 it may come in
// pieces that take their time, and each is written when it has come. Where the body turns out to be unreadable, what was written
// before it stands, and the answer must be cut.
func Rebuild(w io.Writer, src io.Reader, m *body.Masker, buffers *Buffers, length int64) (n int64, err error) {
	in, out := buffers.Get(), buffers.Get()
	defer buffers.Put(in)
	defer buffers.Put(out)
	for {
		got, readErr := src.Read(*in)
		for length >= 0 && readErr == nil && got < len(*in) {
			var more int
			more, readErr = src.Read((*in)[got:])
			got += more
		}
		dst, err := m.Write((*out)[:0], (*in)[:got])
		if err == nil && errors.Is(readErr, io.EOF) {
			dst, err = m.Close(dst)
		}
		*out = dst[:cap(dst)]
		if err != nil {
			return n, fault.Wrap(fault.Denied, "exchange.Rebuild", err, "permission denied: the answer may hold what is masked for you, and is not what it says it is")
		}
		if len(dst) > 0 {
			put, err := w.Write(dst)
			n += int64(put)
			if err != nil {
				return n, err
			}
		}
		switch {
		case errors.Is(readErr, io.EOF):
			return n, nil
		case readErr != nil:
			return n, readErr
		}
	}
}

// Request hides values in what a backend is sent. What tells of the body as it was is removed; a body that cannot be read is refused.
func (h *Hidden) Request(out *gate.Outgoing) error {
	h.Headers(out.Header)
	if !h.Documents() || out.Body == nil && out.Stream == nil {
		return nil
	}
	m, class, err := h.masker(out.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	src := out.Stream
	if src == nil {
		src = io.NopCloser(bytes.NewReader(out.Body))
	}
	plain, err := h.decoded(out.Header, src)
	if err != nil {
		return err
	}
	coded := out.Header.Get("Content-Encoding") != ""
	out.Header.Del("Content-Encoding")
	masked := io.ReadCloser(&closing{plain, src})
	if m == nil {
		masked = &looked{ReadCloser: masked, class: class}
	} else {
		masked = Masking(masked, m)
	}
	if m != nil || coded {
		Untell(out.Header)
		out.Length = -1
	}
	if out.Stream != nil {
		out.Stream = masked
		return nil
	}
	out.Body, err = io.ReadAll(masked)
	return errors.Join(err, masked.Close())
}

// looked is a body that is looked at when it is asked for: a client may wait until then.
type looked struct {
	io.ReadCloser
	class string
	done  bool
	err   error
}

// Read implements io.Reader.
func (l *looked) Read(b []byte) (int, error) {
	if !l.done {
		l.done = true
		l.ReadCloser, l.err = genuine(l.ReadCloser, l.class)
	}
	if l.err != nil {
		return 0, l.err
	}
	return l.ReadCloser.Read(b)
}

// closing closes what decodes a body, and the body.
type closing struct {
	io.ReadCloser
	body io.Closer
}

// Close implements io.Closer.
func (c *closing) Close() error { return errors.Join(c.ReadCloser.Close(), c.body.Close()) }

// Masking returns a body in which m hides values while it is read.
func Masking(src io.ReadCloser, m *body.Masker) io.ReadCloser {
	return &masking{ReadCloser: src, m: m}
}

type masking struct {
	io.ReadCloser
	m    *body.Masker
	in   []byte
	out  []byte
	left []byte // of out
	err  error  // of the source, or of the mask, once left is read
}

// Read implements io.Reader.
func (r *masking) Read(b []byte) (int, error) {
	for len(r.left) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.fill()
	}
	n := copy(b, r.left)
	r.left = r.left[n:]
	return n, nil
}

func (r *masking) fill() {
	if r.in == nil {
		r.in = make([]byte, copied)
	}
	n, err := r.ReadCloser.Read(r.in)
	var masked error
	r.out, masked = r.m.Write(r.out[:0], r.in[:n])
	if masked == nil && errors.Is(err, io.EOF) {
		r.out, masked = r.m.Close(r.out)
	}
	r.left, r.err = r.out, err
	if masked != nil {
		r.left, r.err = nil, fault.Wrap(fault.Denied, "exchange.Masking", masked, "permission denied: the request may hold what is masked on its way to the backend, and is not what it says it is")
	}
}
