package approval

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"
)

// digestDomain keeps a digest of approvals from ever equalling a hash that was made for something else.
const digestDomain = "gatehouse approval digest v1"

// Digest names what an approval is for: hex SHA-256 over connection, principal (Principal.ID), text and bind parameters
// (nil, string or []byte, in order). Every part carries its type and length, so that no two different inputs share an
// encoding: "1" as text and as binary, nil and "", and parts split elsewhere all differ. A parameter of any other type
// has no digest: the result is empty, and Request and Spend refuse an empty digest.
func Digest(connection, principal, text string, params []any) string {
	h := sha256.New()
	writePart(h, 'd', digestDomain)
	writePart(h, 'c', connection)
	writePart(h, 'p', principal)
	writePart(h, 't', text)
	writeHead(h, '#', len(params))
	for _, p := range params {
		switch p := p.(type) {
		case nil:
			writeHead(h, 'n', 0)
		case string:
			writePart(h, 's', p)
		case []byte:
			writeHead(h, 'b', len(p))
			_, _ = h.Write(p)
		default:
			return ""
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func writePart(h hash.Hash, tag byte, s string) {
	writeHead(h, tag, len(s))
	_, _ = io.WriteString(h, s)
}

// writeHead writes a tag and a length of eight bytes: the head of a part always has the same size, so that the encoding
// can be read back in one way only.
func writeHead(h hash.Hash, tag byte, n int) {
	var b [9]byte
	b[0] = tag
	binary.BigEndian.PutUint64(b[1:], uint64(n))
	_, _ = h.Write(b[:])
}

// validDigest reports whether s is something that Digest returns.
func validDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && hex.EncodeToString(b) == s
}
