package body

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"gatehouse/internal/access"
	"gatehouse/internal/mask"
)

// Sizes of an escape in JSON.
const (
	shortEscape = 2  // \n
	longEscape  = 6  // \u00e9
	pairEscape  = 12 // \ud83d\ude00
)

// del is a control character, though it stands behind the letters.
const del = 0x7f

// escape reads the escape at the start of b: what it stands for and its size; 0 where b ends within it, -1 where it is none.
func escape(b []byte) (r rune, size int) {
	if len(b) < shortEscape {
		return 0, 0
	}
	if b[1] != 'u' {
		if i := strings.IndexByte(`"\/bfnrt`, b[1]); i >= 0 {
			return rune("\"\\/\b\f\n\r\t"[i]), shortEscape
		}
		return 0, -1
	}
	r, size = hex(b)
	if size != longEscape || !utf16.IsSurrogate(r) {
		return r, size
	}
	if len(b) > longEscape && b[longEscape] != '\\' || len(b) > longEscape+1 && b[longEscape+1] != 'u' {
		return 0, -1
	}
	if len(b) < longEscape+shortEscape {
		return 0, 0
	}
	low, size := hex(b[longEscape:])
	if size <= 0 {
		return 0, size
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, -1
	}
	return r, pairEscape
}

// hex reads \uXXXX, as escape does.
func hex(b []byte) (r rune, size int) {
	for i := shortEscape; i < longEscape; i++ {
		if i >= len(b) {
			return 0, 0
		}
		switch c := b[i]; {
		case c-'0' <= 9:
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, -1
		}
	}
	return r, longEscape
}

// appendUnescaped appends what stands between the quotes of a string that was found to be good.
func appendUnescaped(dst, s []byte) []byte {
	for {
		i := bytes.IndexByte(s, '\\')
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
		r, size := escape(s[i:])
		if size <= 0 {
			return dst
		}
		dst, s = utf8.AppendRune(dst, r), s[i+size:]
	}
}

// appendNeedless appends a text in which characters that JSON need not escape are not escaped.
func appendNeedless(dst, s []byte) []byte {
	for {
		i := bytes.Index(s, []byte(`\u00`))
		if i < 0 {
			return append(dst, s...)
		}
		r, size := escape(s[i:])
		if size != longEscape || r < ' ' || r >= 0x7f || r == '"' || r == '\\' {
			r, size = '\\', 1
		}
		dst, s = append(append(dst, s[:i]...), byte(r)), s[i+size:]
	}
}

// rawLength returns how much of a good string stands for the first n bytes of what it says.
func rawLength(s []byte, n int) int {
	i := 0
	for n > 0 && i < len(s) {
		if s[i] != '\\' {
			i, n = i+1, n-1
			continue
		}
		r, size := escape(s[i:])
		i, n = i+max(size, 1), n-utf8.RuneLen(r)
	}
	return i
}

// appendEscaped appends a text as it stands between the quotes of a string.
func appendEscaped(dst, text []byte) []byte {
	const digits = "0123456789abcdef"
	for {
		n := special(text)
		if before := bytes.IndexByte(text[:n], del); before >= 0 {
			n = before
		}
		if dst, text = append(dst, text[:n]...), text[n:]; len(text) == 0 {
			return dst
		}
		size := 1
		switch c := text[0]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < utf8.RuneSelf:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			var r rune
			if r, size = utf8.DecodeRune(text); r == utf8.RuneError && size == 1 {
				dst = append(dst, '?') // a mask never makes one
			} else {
				dst = append(dst, text[:size]...)
			}
		}
		text = text[size:]
	}
}

// appendValue appends what stands for a value under a mask, as JSON. The text is that of a string, or how the value is
// written.
func (r *Rules) appendValue(dst, text []byte, m *access.Mask) []byte {
	switch m.Strategy {
	case access.MaskNull:
		return append(dst, "null"...)
	case access.MaskRedact:
		return append(dst, `"`+hidden+`"`...)
	}
	var few [64]byte
	return append(appendEscaped(append(dst, '"'), mask.Value(few[:0], text, *m, r.key, r.domain)), '"')
}
