package approval

import (
	"io"
	"strings"

	"gatehouse/internal/fault"
)

// idAlphabet is Crockford's base 32 in lower case: no letter that reads or sounds like a digit.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// idLength gives ids of 50 bits. An id is no credential (answering takes a reviewer's token), but it should not be met by
// chance, and it has to be read out over a telephone.
const idLength = 10

// newID returns an id such as "7f3kq-x04zm".
func newID(random io.Reader) (string, error) {
	b := make([]byte, idLength)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", fault.Wrap(fault.Internal, "approval.Request", err, "no randomness")
	}
	for i := range b {
		b[i] = idAlphabet[b[i]&31]
	}
	return string(b[:idLength/2]) + "-" + string(b[idLength/2:]), nil
}

// Normalize returns an id as the room writes it, from what a person typed: any case, with or without the dash or spaces,
// o for 0, i and l for 1. What cannot be an id comes back unchanged, and will not be found.
func Normalize(typed string) string {
	if len(typed) > 4*idLength {
		return typed
	}
	s := strings.NewReplacer("-", "", " ", "", "o", "0", "i", "1", "l", "1").Replace(strings.ToLower(typed))
	if len(s) != idLength || strings.Trim(s, idAlphabet) != "" {
		return typed
	}
	return s[:idLength/2] + "-" + s[idLength/2:]
}
