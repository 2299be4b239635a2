package coding

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// The codings, by their names in headers.
const (
	gzipName    = "gzip"
	deflateName = "deflate"
	brName      = "br"
	zstdName    = "zstd"
)

const (
	maxStacked = 2
	maxWindow  = 8 << 20 // of zstd (RFC 9659)
	readSize   = 4 << 10
)

// Errors of what cannot be decoded. What the libraries say of a broken body is wrapped in ErrBroken.
var (
	ErrUnknown = errors.New("a content coding that is not known")
	ErrBroken  = errors.New("a body is not coded as it says")
	ErrBomb    = errors.New("a body becomes too large when it is decoded")
)

// Limits bound what a body becomes. What is zero sets none.
type Limits struct {
	Size  int64 // bytes decoded
	Ratio int64 // bytes decoded for each byte that was read, beyond the first MiB
}

const freeOfRatio = 1 << 20

// Coder decodes bodies and codes them again, and keeps what that takes for the next one. Its zero value is ready, and safe for concurrent use.
type Coder struct {
	gunzip, unbrotli, unzstd sync.Pool // *gzip.Reader, *brotli.Reader, *zstd.Decoder

	gzip, deflate, zlib, brotli, zstd sync.Pool // their writers
}

// parse returns the codings of a header in the order in which they were put on, without identity.
func parse(encoding string) ([]string, error) {
	var names []string
	for name := range strings.SplitSeq(encoding, ",") {
		switch name = strings.ToLower(strings.Trim(name, " \t")); name {
		case "", "identity":
			continue
		case "x-gzip":
			name = gzipName
		case gzipName, deflateName, brName, zstdName:
		default:
			return nil, fmt.Errorf("%w: %.40q", ErrUnknown, name)
		}
		names = append(names, name)
	}
	if len(names) > maxStacked {
		return nil, fmt.Errorf("%w: more than %d at once", ErrUnknown, maxStacked)
	}
	return names, nil
}

// Decode returns a reader of what r holds without the codings that encoding, a Content-Encoding header, names. The first
// Read may fail; no Read ends in io.EOF before r has ended, and the last coding with it. Close gives back what the reader
// used; it does not close r.
func (c *Coder) Decode(encoding string, r io.Reader, l Limits) (io.ReadCloser, error) {
	names, err := parse(encoding)
	if err != nil {
		return nil, err
	}
	d := &decoder{limits: l, in: &counted{r: r}}
	d.out = d.in
	for i := len(names) - 1; i >= 0; i-- {
		layer := &layer{coder: c, name: names[i], src: bufio.NewReaderSize(d.out, readSize)}
		d.layers, d.out = append(d.layers, layer), layer
	}
	return d, nil
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// decoder is the reader of a body with its limits.
type decoder struct {
	in     *counted
	out    io.Reader
	layers []*layer
	limits Limits
	n      int64
}

func (d *decoder) Read(p []byte) (int, error) {
	n, err := d.out.Read(p)
	d.n += int64(n)
	if l := d.limits; l.Size > 0 && d.n > l.Size || l.Ratio > 0 && len(d.layers) > 0 && d.n > freeOfRatio && d.n/l.Ratio > d.in.n {
		return 0, ErrBomb
	}
	return n, err
}

func (d *decoder) Close() error {
	for _, l := range d.layers {
		l.giveBack()
	}
	return nil
}

// layer takes one coding off.
type layer struct {
	coder *Coder
	name  string
	src   *bufio.Reader
	r     io.Reader // nil before the first Read, and after the last
	err   error
}

// Read sees to it that a coding ends where its source ends.
func (l *layer) Read(p []byte) (int, error) {
	if l.err != nil || len(p) == 0 {
		return 0, l.err
	}
	if l.r == nil {
		if l.r, l.err = l.begin(); l.err != nil {
			l.r, l.err = nil, l.wrong(l.err) // what could not begin is not kept
			return 0, l.err
		}
	}
	n, err := l.r.Read(p)
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		l.err = l.wrong(err)
	default:
		l.err = io.EOF
		if _, err = l.src.ReadByte(); err == nil {
			l.err = fmt.Errorf("%w: %s: bytes after its end", ErrBroken, l.name)
		} else if !errors.Is(err, io.EOF) {
			l.err = err
		}
	}
	if n > 0 && !errors.Is(l.err, io.EOF) {
		return n, nil // the next Read says why
	}
	return n, l.err
}

// wrong makes an error of what a library said. What went wrong at the source stays what it is.
func (l *layer) wrong(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %s: it is cut off", ErrBroken, l.name)
	}
	return fmt.Errorf("%w: %s: %w", ErrBroken, l.name, err)
}

func (l *layer) begin() (io.Reader, error) {
	if _, err := l.src.Peek(1); err != nil { // no coding makes nothing of anything
		return nil, err
	}
	switch l.name {
	case gzipName:
		if z, ok := l.coder.gunzip.Get().(*gzip.Reader); ok {
			return z, z.Reset(l.src)
		}
		return gzip.NewReader(l.src)
	case brName:
		if z, ok := l.coder.unbrotli.Get().(*brotli.Reader); ok {
			return z, z.Reset(l.src)
		}
		return brotli.NewReader(l.src), nil
	case zstdName:
		if z, ok := l.coder.unzstd.Get().(*zstd.Decoder); ok {
			return z, z.Reset(l.src)
		}
		return zstd.NewReader(l.src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	}
	head, err := l.src.Peek(2)
	if err != nil {
		return nil, err
	}
	if zlibbed(head) {
		return zlib.NewReader(l.src)
	}
	return flate.NewReader(l.src), nil
}

// giveBack keeps what a body was read with for the next one. What is kept holds on to no source.
func (l *layer) giveBack() {
	none := strings.NewReader("")
	switch z := l.r.(type) {
	case *gzip.Reader:
		_ = z.Reset(none) // an error, since nothing is no gzip: it is set again before it is used
		l.coder.gunzip.Put(z)
	case *brotli.Reader:
		_ = z.Reset(none)
		l.coder.unbrotli.Put(z)
	case *zstd.Decoder:
		if z.Reset(nil) == nil {
			l.coder.unzstd.Put(z)
		}
	}
	l.r, l.err = nil, io.ErrClosedPipe
}
