package aws

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"
)

// decodeCBOR reads what Smithy's RPC sends: RFC 8949 with text for the names of members. It gives what JSON would: bytes in
// base64.
func decodeCBOR(body []byte) (map[string]any, error) {
	if len(body) == 0 {
		return map[string]any{}, nil
	}
	c := &cborReader{rest: body, left: maxValues}
	v, err := c.value(maxDepth)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok || len(c.rest) > 0 {
		return nil, errors.New("it is no map, or something follows it")
	}
	return m, nil
}

type cborReader struct {
	rest []byte
	left int // values that may still be read
}

var (
	errCBOR  = errors.New("it is cut short, or is no CBOR")
	errBreak = errors.New("a break where none may be")
)

// The major types.
const (
	cborUint = iota
	cborNegative
	cborBytes
	cborText
	cborArray
	cborMap
	cborTag
	cborSimple
)

const indefinite = math.MaxUint64

// head reads a type, its small number, and its argument, which is indefinite where the length is not known beforehand.
func (c *cborReader) head() (major, small byte, argument uint64, err error) {
	if len(c.rest) == 0 {
		return 0, 0, 0, errCBOR
	}
	first := c.rest[0]
	c.rest = c.rest[1:]
	major, small = first>>5, first&31
	switch {
	case small < 24:
		return major, small, uint64(small), nil
	case small < 28:
		n := 1 << (small - 24)
		if len(c.rest) < n {
			return 0, 0, 0, errCBOR
		}
		var wide [8]byte
		copy(wide[8-n:], c.rest[:n])
		c.rest = c.rest[n:]
		argument = binary.BigEndian.Uint64(wide[:])
		if argument == indefinite {
			return 0, 0, 0, errCBOR
		}
		return major, small, argument, nil
	case small == 31:
		return major, small, indefinite, nil
	}
	return 0, 0, 0, errCBOR
}

func (c *cborReader) value(depth int) (any, error) {
	if c.left--; c.left < 0 || depth < 0 {
		return nil, errors.New("it holds too much")
	}
	major, small, n, err := c.head()
	if err != nil {
		return nil, err
	}
	if n == indefinite && (major == cborUint || major == cborNegative || major == cborTag) {
		return nil, errCBOR
	}
	switch major {
	case cborUint:
		return number(strconv.FormatUint(n, 10))
	case cborNegative:
		if n >= 1<<63 {
			return nil, errCBOR
		}
		return -1 - int64(n), nil
	case cborBytes:
		b, err := c.text(major, n)
		return base64.StdEncoding.EncodeToString(b), err
	case cborText:
		b, err := c.text(major, n)
		if err == nil && !utf8.Valid(b) {
			err = errAmbiguous
		}
		return string(b), err
	case cborArray:
		return c.array(n, depth)
	case cborMap:
		return c.object(n, depth)
	case cborTag:
		return c.value(depth - 1) // a time, or a number that is large: its content is what conditions read
	}
	return simple(small, n)
}

// text reads bytes, in one piece or in several.
func (c *cborReader) text(major byte, n uint64) ([]byte, error) {
	if n != indefinite {
		if n > uint64(len(c.rest)) {
			return nil, errCBOR
		}
		b := c.rest[:n]
		c.rest = c.rest[n:]
		return b, nil
	}
	var all []byte
	for {
		if c.ended() {
			return all, nil
		}
		m, _, n, err := c.head()
		if err != nil || m != major || n == indefinite {
			return nil, errCBOR
		}
		piece, err := c.text(major, n)
		if err != nil {
			return nil, err
		}
		all = append(all, piece...)
	}
}

// ended takes a break.
func (c *cborReader) ended() bool {
	if len(c.rest) > 0 && c.rest[0] == 0xff {
		c.rest = c.rest[1:]
		return true
	}
	return false
}

func (c *cborReader) array(n uint64, depth int) (any, error) {
	list := []any{}
	for i := uint64(0); i < n; i++ {
		if n == indefinite && c.ended() {
			return list, nil
		}
		v, err := c.value(depth - 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func (c *cborReader) object(n uint64, depth int) (any, error) {
	m := map[string]any{}
	for i := uint64(0); i < n; i++ {
		if n == indefinite && c.ended() {
			return m, nil
		}
		major, _, size, err := c.head()
		if err != nil || major != cborText {
			return nil, errCBOR
		}
		key, err := c.text(major, size)
		if err != nil {
			return nil, err
		}
		if _, twice := m[string(key)]; twice || !utf8.Valid(key) {
			return nil, errAmbiguous
		}
		if m[string(key)], err = c.value(depth - 1); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// simple is what major type 7 holds.
func simple(small byte, n uint64) (any, error) {
	var f float64
	switch small {
	case 20, 21:
		return small == 21, nil
	case 22, 23:
		return nil, nil
	case 25:
		f = half(uint16(n))
	case 26:
		f = float64(math.Float32frombits(uint32(n)))
	case 27:
		f = math.Float64frombits(n)
	case 31:
		return nil, errBreak
	default:
		return nil, errCBOR
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return strconv.FormatFloat(f, 'g', -1, 64), nil
	}
	return f, nil
}

// half reads a 16-bit floating point number.
func half(n uint16) float64 {
	exponent, fraction := int(n>>10&31), float64(n&1023)
	var f float64
	switch exponent {
	case 0:
		f = math.Ldexp(fraction, -24)
	case 31:
		f = math.Inf(1)
		if fraction != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(fraction+1024, exponent-25)
	}
	if n&0x8000 != 0 {
		f = -f
	}
	return f
}
