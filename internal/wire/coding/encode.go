package coding

import (
	"bytes"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// brLevel is one that takes little time: what is coded again is sent once.
const brLevel = 3

// writer is what the libraries' writers are.
type writer interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// Encode appends plain to dst in the codings that encoding names, as Decode takes them off again. like is how something was coded before:
// deflate gets the frame that it had there.
func (c *Coder) Encode(dst []byte, encoding string, plain, like []byte) ([]byte, error) {
	names, err := parse(encoding)
	if err != nil {
		return dst, err
	}
	for i, name := range names {
		last := i == len(names)-1
		var out []byte
		if last {
			out = dst
		}
		bare := name == deflateName && last && len(like) > 1 && !zlibbed(like)
		if plain, err = c.put(out, name, bare, plain); err != nil {
			return dst, err
		}
	}
	if len(names) == 0 {
		plain = append(dst, plain...)
	}
	return plain, nil
}

// zlibbed reports whether what deflate made has zlib's frame.
func zlibbed(head []byte) bool {
	return head[0]&15 == 8 && head[0]>>4 <= 7 && (int(head[0])<<8|int(head[1]))%31 == 0
}

// put appends plain in one coding.
func (c *Coder) put(dst []byte, name string, bare bool, plain []byte) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	w, kept, err := c.writer(name, bare)
	if err != nil {
		return dst, err
	}
	w.Reset(b)
	if _, err := w.Write(plain); err != nil {
		return dst, err
	}
	if err := w.Close(); err != nil {
		return dst, err
	}
	w.Reset(io.Discard) // what is kept holds on to nothing
	kept.Put(w)
	return b.Bytes(), nil
}

// writer returns what puts a coding on, and where it is kept.
func (c *Coder) writer(name string, bare bool) (w writer, kept *sync.Pool, err error) {
	switch {
	case name == gzipName:
		kept = &c.gzip
	case bare:
		kept = &c.deflate
	case name == deflateName:
		kept = &c.zlib
	case name == brName:
		kept = &c.brotli
	default:
		kept = &c.zstd
	}
	if w, ok := kept.Get().(writer); ok {
		return w, kept, nil
	}
	switch {
	case name == gzipName:
		w, err = gzip.NewWriterLevel(nil, gzip.BestSpeed)
	case bare:
		w, err = flate.NewWriter(nil, flate.BestSpeed)
	case name == deflateName:
		w, err = zlib.NewWriterLevel(nil, zlib.BestSpeed)
	case name == brName:
		w = brotli.NewWriterLevel(nil, brLevel)
	default:
		w, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true))
	}
	return w, kept, err
}
