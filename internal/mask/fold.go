package mask

import (
	"sort"
	"unicode"
	"unicode/utf8"
)

// folded is a text in which characters that only look different are written in ASCII: full-width forms, the digits of
// other scripts, the spaces and hyphens of typography. Characters of no width are left out.
type folded struct {
	text []byte
	at   []int // at[i] is the place of text[i] in the original; one more entry for its end
}

// beyondASCII reports whether v holds anything else.
func beyondASCII(v []byte) bool {
	var all uint64
	for i := 0; i < len(v); i += 8 {
		all |= load(v, i)
	}
	return all&(0x80*ones) != 0
}

// foldable reports whether fold would change v.
func foldable(v []byte) bool {
	for i := 0; i < len(v); {
		if v[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(v[i:])
		if size > 1 && foldRune(r) != r {
			return true
		}
		i += size
	}
	return false
}

func (f *folded) fold(v []byte) {
	f.text, f.at = f.text[:0], f.at[:0]
	for i := 0; i < len(v); {
		r, size := rune(v[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(v[i:])
		}
		switch to := foldRune(r); {
		case size == 1 || to == r:
			for j := range size {
				f.text, f.at = append(f.text, v[i+j]), append(f.at, i+j)
			}
		case to > 0:
			f.text, f.at = append(f.text, byte(to)), append(f.at, i)
		}
		i += size
	}
	f.at = append(f.at, len(v))
}

// Invisible counts the bytes of characters without width, which a Scanner looks through.
func Invisible(v []byte) int {
	n := 0
	for i := 0; i < len(v); {
		if v[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(v[i:])
		if foldRune(r) == 0 {
			n += size
		}
		i += size
	}
	return n
}

// foldRune returns the ASCII character that r stands for, 0 where r has no width, and r itself otherwise.
func foldRune(r rune) rune {
	switch {
	case r < 0xa0:
		return r
	case r == 0xa0, r >= 0x2000 && r <= 0x200a, r == 0x202f, r == 0x205f, r == 0x3000:
		return ' '
	case r == 0xad, r >= 0x200b && r <= 0x200f, r >= 0x2060 && r <= 0x2064, r == 0xfeff:
		return 0
	case r >= 0x2010 && r <= 0x2015, r == 0x2212, r == 0xfe58, r == 0xfe63:
		return '-'
	case r >= 0xff01 && r <= 0xff5e:
		return r - 0xff01 + '!'
	case r == 0xfe6b:
		return '@'
	case r < 0x0660 || !unicode.IsDigit(r):
		return r
	}
	return '0' + digitValue(r)
}

// digitValue returns the value of a decimal digit of any script. Unicode keeps each script's ten digits together, zero
// first, and a range of its tables may hold several scripts' in a row.
func digitValue(r rune) rune {
	if r <= 0xffff {
		t := unicode.Nd.R16
		i := sort.Search(len(t), func(i int) bool { return rune(t[i].Hi) >= r })
		return (r - rune(t[i].Lo)) % 10
	}
	t := unicode.Nd.R32
	i := sort.Search(len(t), func(i int) bool { return rune(t[i].Hi) >= r })
	return (r - rune(t[i].Lo)) % 10
}
