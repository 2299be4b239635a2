package amqp

import (
	"encoding/binary"
	"errors"
)

// coder reads the fields of a method, or writes them: each method names its fields once, for both. The first field that does not
// fit ends the reading.
type coder struct {
	b       []byte // what is left to be read
	out     []byte
	writing bool
	err     error
}

var (
	errShort   = errors.New("a field ends behind the end of its frame")
	errBits    = errors.New("bits are set that have no meaning")
	errBehind  = errors.New("bytes follow the last field")
	errLong    = errors.New("a short string of more than 255 bytes")
	errUnknown = errors.New("a field of an unknown type")
)

func (c *coder) take(n int) []byte {
	if c.err != nil || n < 0 || n > len(c.b) {
		c.fail(errShort)
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

func (c *coder) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *coder) uint8(v *uint8) {
	if c.writing {
		c.out = append(c.out, *v)
	} else if b := c.take(1); b != nil {
		*v = b[0]
	}
}

func (c *coder) uint16(v *uint16) {
	if c.writing {
		c.out = binary.BigEndian.AppendUint16(c.out, *v)
	} else if b := c.take(2); b != nil {
		*v = binary.BigEndian.Uint16(b)
	}
}

func (c *coder) uint32(v *uint32) {
	if c.writing {
		c.out = binary.BigEndian.AppendUint32(c.out, *v)
	} else if b := c.take(4); b != nil {
		*v = binary.BigEndian.Uint32(b)
	}
}

func (c *coder) uint64(v *uint64) {
	if c.writing {
		c.out = binary.BigEndian.AppendUint64(c.out, *v)
	} else if b := c.take(8); b != nil {
		*v = binary.BigEndian.Uint64(b)
	}
}

// text is a short string: at most 255 bytes, of any value.
func (c *coder) text(v *string) {
	if !c.writing {
		*v = string(c.shortBytes())
		return
	}
	if len(*v) > 255 {
		c.fail(errLong)
		return
	}
	c.out = append(append(c.out, byte(len(*v))), *v...)
}

func (c *coder) shortBytes() []byte {
	n := c.take(1)
	if n == nil {
		return nil
	}
	return c.take(int(n[0]))
}

// long is a long string, as bytes: it is not copied.
func (c *coder) long(v *[]byte) {
	if c.writing {
		c.out = append(binary.BigEndian.AppendUint32(c.out, uint32(len(*v))), *v...)
		return
	}
	var n uint32
	if c.uint32(&n); int64(n) > int64(len(c.b)) {
		c.fail(errShort)
		return
	}
	*v = c.take(int(n))
}

// bits are flags that share one byte.
func (c *coder) bits(flags ...*bool) {
	var packed uint8
	if c.writing {
		for i, f := range flags {
			if *f {
				packed |= 1 << i
			}
		}
		c.out = append(c.out, packed)
		return
	}
	c.uint8(&packed)
	for i, f := range flags {
		*f = packed&(1<<i) != 0
	}
	if packed>>len(flags) != 0 {
		c.fail(errBits)
	}
}

// ticket is a field that means nothing any more, whatever stands in it.
func (c *coder) ticket() {
	var v uint16
	c.uint16(&v)
}

// unused is a short string that means nothing any more.
func (c *coder) unused() {
	var v string
	c.text(&v)
}
