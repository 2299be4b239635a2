package nats

import (
	"bytes"

	"gatehouse/internal/access"
)

var ackPrefix = []byte("$JS.ACK.")

// acknowledging returns the statement of an acknowledgement of a message that the session was delivered, which all those of one consumer
// share: they are as many as messages are, and are recorded as those are. nil for whatever says more, which is a call like others.
func (s *session) acknowledging(f *frame, b []byte) *kind {
	if f.head > 0 || !bytes.HasPrefix(f.subject, ackPrefix) || len(f.reply) > 0 && !s.mine(string(f.reply)) {
		return nil
	}
	word := f.payload(b)
	switch string(word) {
	case "", "+ACK", "+WPI", "-NAK":
	default:
		return nil
	}
	var of []byte // without what tells one message from another
	switch bytes.Count(f.subject, dot) {
	case 8: // see acknowledged
		of = behind(f.subject, 4)
	case 10, 11:
		of = behind(f.subject, 6)
	default:
		return nil
	}
	s.scratch = append(append(append(s.scratch[:0], of...), ' '), word...)
	if !literal(f.subject) || !s.isGiven(f.subject) {
		return nil
	}
	if k := s.sent[string(s.scratch)]; k != nil {
		return k
	}
	return s.acknowledgingFirst(f, string(s.scratch), string(of))
}

var dot = []byte(".")

// acknowledgingFirst makes the statement of the first acknowledgement to a consumer, and keeps it under key.
func (s *session) acknowledgingFirst(f *frame, key, of string) *kind {
	var words []string
	for w := range bytes.SplitSeq(f.subject[len(ackPrefix):], dot) {
		words = append(words, string(w))
	}
	stream, consumer, ok := acknowledged("ACK", words)
	if !ok {
		return nil
	}
	a := access.Action{Name: actAck, Resource: access.SegmentResource(s.know.connection, "stream", stream, "consumer", consumer)}
	k := &kind{subject: of + ".>", h: s.d.Judge(statement("PUB "+of+".> "+key[len(of)+1:], []access.Action{a}, nil))}
	s.keep(s.sent, key, k)
	return k
}

// behind returns the first n words of a subject.
func behind(subject []byte, n int) []byte {
	for i, c := range subject {
		if c == '.' {
			if n--; n == 0 {
				return subject[:i]
			}
		}
	}
	return subject
}
