package coding

import (
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// Writer encodes a body. Flush sends what was written so far; Close ends the body, without closing what it is written to.
type Writer interface {
	io.WriteCloser
	Flush() error
}

// resetter is what the libraries' writers are.
type resetter interface {
	Writer
	Reset(io.Writer)
}

// Encode returns a Writer that puts the codings of a Content-Encoding header on what goes to w.
func (c *Coder) Encode(encoding string, w io.Writer) (Writer, error) {
	names, err := parse(encoding)
	if err != nil {
		return nil, err
	}
	e := &encoder{out: w}
	for i := len(names) - 1; i >= 0; i-- {
		z, pool := c.writer(names[i])
		z.Reset(e.out)
		e.layers, e.pools, e.out = append(e.layers, z), append(e.pools, pool), z
	}
	return e, nil
}

func (c *Coder) writer(name string) (resetter, *sync.Pool) {
	pool, fresh := &c.gzips, func() resetter { return gzip.NewWriter(io.Discard) }
	switch name {
	case deflateName:
		pool, fresh = &c.deflates, func() resetter { return zlib.NewWriter(io.Discard) }
	case brName:
		pool, fresh = &c.brotlis, func() resetter { return brotli.NewWriterLevel(io.Discard, brQuality) }
	case zstdName:
		pool, fresh = &c.zsts, func() resetter {
			z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxWindow/8), zstd.WithLowerEncoderMem(true))
			if err != nil {
				panic(err) // the options are constants
			}
			return z
		}
	}
	if z, ok := pool.Get().(resetter); ok {
		return z, pool
	}
	return fresh(), pool
}

// encoder is the Writer of a stack of codings; the last layer is written to first.
type encoder struct {
	out    io.Writer
	layers []resetter
	pools  []*sync.Pool
}

func (e *encoder) Write(p []byte) (int, error) { return e.out.Write(p) }

func (e *encoder) Flush() error {
	for i := len(e.layers) - 1; i >= 0; i-- {
		if err := e.layers[i].Flush(); err != nil {
			return err
		}
	}
	return nil
}

// Close may be called again, and then does nothing.
func (e *encoder) Close() error {
	var first error
	for i := len(e.layers) - 1; i >= 0; i-- {
		if err := e.layers[i].Close(); err != nil && first == nil {
			first = err
		}
	}
	for i, z := range e.layers {
		z.Reset(io.Discard)
		e.pools[i].Put(z)
	}
	e.layers, e.pools, e.out = nil, nil, closed{}
	return first
}

// closed takes no more.
type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
