package verify

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"gatehouse/internal/fault"
)

// Messages reads the SHA-256 of messages, in hex, one on a line, in the order in which they passed, and returns how many they are
// and their root: the digest that the outcome of a window has of them. The error's kind is fault.Malformed where a line is no digest,
// and fault.Unavailable where r fails.
func Messages(r io.Reader) (count uint64, root string, err error) {
	t := tree{full: func(int, uint64, []byte) error { return nil }}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), 4096)
	for lines.Scan() {
		leaf := append(make([]byte, 0, 1+sha256.Size), 0x00) // RFC 6962's prefix for leaves
		text := bytes.TrimSpace(lines.Bytes())
		if leaf, err = hex.AppendDecode(leaf, text); err != nil || len(leaf) != 1+sha256.Size {
			return 0, "", fault.New(fault.Malformed, "verify.Messages", "line %d is no SHA-256: write one a line, in hex", t.size+1)
		}
		if err = t.add(sha256.Sum256(leaf)); err != nil {
			return 0, "", err
		}
	}
	if err = lines.Err(); err != nil {
		return 0, "", fault.Wrap(fault.Unavailable, "verify.Messages", err, "the digests cannot be read after line %d", t.size)
	}
	sum := t.root()
	return t.size, hex.EncodeToString(sum[:]), nil
}
