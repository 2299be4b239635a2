package gate

import (
	"encoding/binary"
	"math"
	"strings"
)

// Renaming is a name in a judged message for which the backend knows another. The message says at Length how long it is, from
// there to its end, in four bytes with the highest first.
type Renaming struct {
	Length int64  // offset of the client's stream
	At     int64  // where the name is, behind Length; a zero byte ends it
	Was    string // what the client calls it
	Is     string // what the backend calls it: letters, digits and underscores
}

// StageRenamed takes the judged bytes of p into the next flush with one name in place of another: RewriteName. The gate
// renders them itself, so that nothing but the name and the length that follows from it can differ from what was judged.
func (g *Gate) StageRenamed(p Permit, r Renaming) error {
	s := g.look(p)
	if s == nil || s.stage != minted || s.own {
		return errPermit("gate.StageRenamed: not a fresh permit of this session")
	}
	judged := g.client.span(s.from, s.to)
	if judged == nil {
		return errPermit("gate.StageRenamed: the judged bytes are no longer held")
	}
	length, at := r.Length-s.from, r.At-s.from
	if !r.fits(judged, length, at) {
		return errPermit("gate.StageRenamed: not a name, or not where it is said to be")
	}
	behind := at + int64(len(r.Was))
	size := int64(len(judged)) - length + int64(len(r.Is)-len(r.Was))
	if size > math.MaxInt32 {
		return errPermit("gate.StageRenamed: the message is too long")
	}
	g.materialise()
	b := append(g.batch.copied, judged[:length]...)
	b = binary.BigEndian.AppendUint32(b, uint32(size)) // #nosec G115 -- checked above
	b = append(append(b, judged[length+4:at]...), r.Is...)
	g.batch.copied = append(b, judged[behind:]...)
	g.mark(p, s)
	return g.bounded()
}

// fits reports whether the judged bytes are one message that holds the name at its place, and the new one is nothing but a name.
func (r Renaming) fits(judged []byte, length, at int64) bool {
	n := int64(len(judged))
	if length < 0 || at < length+4 || at > n || int64(len(r.Was)) >= n-at || int64(binary.BigEndian.Uint32(judged[length:])) != n-length {
		return false
	}
	behind := at + int64(len(r.Was))
	return string(judged[at:behind]) == r.Was && judged[behind] == 0 && strings.IndexByte(r.Was, 0) < 0 && plain(r.Is)
}

// plain reports whether a name is one wherever it stands.
func plain(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return name != ""
}
