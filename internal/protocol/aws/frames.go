package aws

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // a checksum that clients ask for
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"gatehouse/internal/fault"
)

// A body in frames (Content-Encoding: aws-chunked) is a row of
//
//	HEX-SIZE[;chunk-signature=…] CRLF bytes CRLF
//
// that ends with a frame of size 0 and, where X-Amz-Trailer says so, with a checksum. The signatures of frames are made with
// the client's secret, which nobody knows: they are dropped. Lengths and checksums are verified.
const (
	maxFrameHead = 256
	frameOut     = 64 << 10 // of the frames that are sent on
)

// framed is a body in frames, read as what is in them.
type framed struct {
	in      *bufio.Reader
	body    io.Closer
	size    int64  // of what is in them, as declared
	trailer string // the checksum that follows; "" where none does
	value   string // of it, once it was read
	sum     hash.Hash
	left    int64 // of the frame
	read    int64
	err     error

	mu   sync.Mutex // the transport may still read when it is asked what failed
	told error
}

// openFrames begins to read a body in frames.
func openFrames(h http.Header, word string, body io.ReadCloser) (*framed, error) {
	trailing := strings.HasSuffix(word, "-TRAILER")
	switch strings.TrimSuffix(word, "-TRAILER") {
	case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD":
	case "STREAMING-UNSIGNED-PAYLOAD":
		if !trailing {
			return nil, malformed("X-Amz-Content-Sha256: %q is not understood", word)
		}
	default:
		return nil, malformed("X-Amz-Content-Sha256 has a word that is not understood")
	}
	lengths := h.Values("X-Amz-Decoded-Content-Length")
	if len(lengths) != 1 {
		return nil, malformed("a body in frames needs one X-Amz-Decoded-Content-Length")
	}
	size, err := strconv.ParseInt(lengths[0], 10, 64)
	if err != nil || size < 0 || lengths[0] != strconv.FormatInt(size, 10) {
		return nil, malformed("X-Amz-Decoded-Content-Length is no length")
	}
	f := &framed{in: bufio.NewReaderSize(body, 32<<10), body: body, size: size}
	names := h.Values("X-Amz-Trailer")
	if trailing != (len(names) == 1) || len(names) > 1 {
		return nil, malformed("X-Amz-Trailer and X-Amz-Content-Sha256 do not agree")
	}
	if trailing {
		f.trailer = strings.ToLower(strings.TrimSpace(names[0]))
		if f.sum = checksum(f.trailer); f.sum == nil {
			return nil, malformed("X-Amz-Trailer names a trailer that is not understood")
		}
	}
	return f, nil
}

// checksum is what a trailer holds; nil where it is not known.
func checksum(trailer string) hash.Hash {
	switch trailer {
	case "x-amz-checksum-crc32":
		return crc32.NewIEEE()
	case "x-amz-checksum-crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "x-amz-checksum-crc64nvme":
		return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5))
	case "x-amz-checksum-sha1":
		return sha1.New() //nolint:gosec // as above
	case "x-amz-checksum-sha256":
		return sha256.New()
	case "x-amz-checksum-sha512":
		return sha512.New()
	}
	return nil
}

var errFrames = errors.New("the frames of the body cannot be read, or are not as long as they say")

// Read implements io.Reader.
func (f *framed) Read(b []byte) (int, error) {
	n, err := f.content(b)
	if err != nil && !errors.Is(err, io.EOF) {
		f.mu.Lock()
		f.told = err
		f.mu.Unlock()
	}
	return n, err
}

func (f *framed) content(b []byte) (int, error) {
	for f.err == nil && f.left == 0 {
		f.err = f.next()
	}
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.in.Read(b[:min(int64(len(b)), f.left)])
	f.left -= int64(n)
	f.read += int64(n)
	if f.sum != nil {
		f.sum.Write(b[:n])
	}
	if err == nil && f.left == 0 {
		err = f.line("")
	}
	if err != nil {
		f.err = fmt.Errorf("%w: %s", errFrames, err.Error()) // never as an end
	}
	if n > 0 {
		return n, nil
	}
	return 0, f.err
}

// failed is what was wrong with the frames, for the client; nil where nothing was.
func (f *framed) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.told == nil || fault.KindOf(f.told) == fault.Malformed {
		return f.told
	}
	return fault.Wrap(fault.Malformed, "aws.frames", f.told, "the body's frames cannot be read, or are not as long as they say")
}

// next reads the head of a frame; after the last, all that follows.
func (f *framed) next() error {
	head, err := f.text()
	if err != nil {
		return errFrames // also where nothing follows: a body ends with a frame of size 0
	}
	digits, extension, _ := strings.Cut(head, ";")
	size, err := strconv.ParseUint(digits, 16, 63)
	if err != nil || digits == "" || digits[0] == '+' || extension != "" && !strings.HasPrefix(extension, "chunk-signature=") {
		return errFrames
	}
	if size > uint64(f.size-f.read) { // some clients send the whole body as one frame
		return errFrames
	}
	if f.left = int64(size); size > 0 {
		return nil
	}
	return f.end()
}

// end reads what follows the last frame: the trailer, and nothing else.
func (f *framed) end() error {
	if f.read != f.size {
		return errFrames
	}
	for i := 0; ; i++ {
		line, err := f.text()
		if errors.Is(err, io.EOF) && f.trailer == "" {
			break
		}
		if err != nil || i > 3 {
			return errFrames
		}
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		switch name = strings.ToLower(strings.TrimSpace(name)); {
		case name == "x-amz-trailer-signature":
		case name == f.trailer && f.trailer != "" && f.value == "":
			f.value = strings.TrimSpace(value)
		default:
			return errFrames
		}
	}
	if f.trailer != "" && f.value != base64.StdEncoding.EncodeToString(f.sum.Sum(nil)) {
		return malformed("the body is not the one that its trailer is a checksum of")
	}
	if rest, _ := io.Copy(io.Discard, io.LimitReader(f.in, maxFrameHead)); rest > 2 { // some clients end with an empty line more
		return errFrames
	}
	return io.EOF
}

// text reads a line of bounded length.
func (f *framed) text() (string, error) {
	var b []byte
	for len(b) <= maxFrameHead {
		c, err := f.in.ReadByte()
		if err != nil {
			if len(b) > 0 || !errors.Is(err, io.EOF) {
				return "", errFrames
			}
			return "", io.EOF
		}
		if b = append(b, c); c == '\n' {
			line, ok := strings.CutSuffix(string(b), "\r\n")
			if !ok || !plain(line) {
				return "", errFrames
			}
			return line, nil
		}
	}
	return "", errFrames
}

// line reads a line that says want.
func (f *framed) line(want string) error {
	if got, err := f.text(); err != nil || got != want {
		return errFrames
	}
	return nil
}

// Close implements io.Closer.
func (f *framed) Close() error { return f.body.Close() }

// again puts the body into frames anew, without signatures, with its trailer.
func (f *framed) again() io.ReadCloser { return &reframed{from: f} }

// length is how long the frames are that again makes.
func (f *framed) length() int64 {
	frame := func(n int64) int64 { return int64(len(strconv.FormatInt(n, 16))) + 2 + n + 2 }
	total := f.size / frameOut * frame(frameOut)
	if rest := f.size % frameOut; rest > 0 {
		total += frame(rest)
	}
	return total + int64(len("0\r\n"+f.trailer+":\r\n\r\n")+base64.StdEncoding.EncodedLen(f.sum.Size()))
}

type reframed struct {
	from  *framed
	buf   []byte // what was read of the body
	frame []byte // around it
	out   []byte // what is still to be read of the frame
	done  bool
}

// Read implements io.Reader.
func (r *reframed) Read(b []byte) (int, error) {
	if len(r.out) == 0 {
		if r.done {
			return 0, io.EOF
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, r.out)
	r.out = r.out[n:]
	return n, nil
}

func (r *reframed) fill() error {
	if r.buf == nil {
		r.buf = make([]byte, frameOut)
	}
	n, err := io.ReadFull(r.from, r.buf)
	last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if err != nil && !last {
		return err
	}
	r.frame = r.frame[:0]
	if n > 0 {
		r.frame = append(strconv.AppendInt(r.frame, int64(n), 16), "\r\n"...)
		r.frame = append(append(r.frame, r.buf[:n]...), "\r\n"...)
	}
	if last {
		r.done = true
		r.frame = append(r.frame, "0\r\n"+r.from.trailer+":"+r.from.value+"\r\n\r\n"...)
	}
	r.out = r.frame
	return nil
}

// Close implements io.Closer.
func (r *reframed) Close() error { return r.from.Close() }
