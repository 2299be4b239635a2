package coding_test

import (
	"errors"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// codings are those that are known.
func codings() []string { return []string{"gzip", "deflate", "br", "zstd"} }

// layer is what the libraries' writers are.
type layer interface {
	io.WriteCloser
	Flush() error
}

// encoder codes a body as backends do; the last layer is written to first.
type encoder struct {
	io.Writer
	layers []layer
}

// newEncoder puts codings on what goes to w, in the order of a Content-Encoding header.
func newEncoder(encoding string, w io.Writer) (*encoder, error) {
	e := &encoder{Writer: w}
	names := strings.Split(encoding, ",")
	for i := len(names) - 1; i >= 0; i-- {
		var z layer
		var err error
		switch strings.TrimSpace(names[i]) {
		case "gzip":
			z = gzip.NewWriter(e.Writer)
		case "deflate":
			z = zlib.NewWriter(e.Writer)
		case "br":
			z = brotli.NewWriterLevel(e.Writer, 3)
		case "zstd":
			z, err = zstd.NewWriter(e.Writer, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		e.layers, e.Writer = append(e.layers, z), z
	}
	return e, nil
}

// Flush sends what was written so far.
func (e *encoder) Flush() error {
	var all error
	for i := len(e.layers) - 1; i >= 0; i-- {
		all = errors.Join(all, e.layers[i].Flush())
	}
	return all
}

// Close ends the body.
func (e *encoder) Close() error {
	var all error
	for i := len(e.layers) - 1; i >= 0; i-- {
		all = errors.Join(all, e.layers[i].Close())
	}
	return all
}
