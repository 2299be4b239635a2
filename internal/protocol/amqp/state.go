package amqp

import (
	"context"
	"hash"

	"gatehouse/internal/gate"
)

// Bounds of one session.
const (
	maxConsumers = 4096     // of a channel
	maxPending   = 4096     // methods of a channel that wait for an answer
	maxKindsKept = 4096     // kinds of messages that are remembered, each way
	maxDue       = 65536    // publishes without a confirm before no more is read from the client
	smallBody    = 64 << 10 // bytes of a body up to which a message is sent on whole, whatever policy reads of it
	maxGathered  = 16 << 20 // bytes of messages that have not come whole, of all channels
	maxAside     = 1 << 20  // bytes that wait in channels, where the limits say less
	defaultBody  = 1 << 20
)

// towards is how a channel stands with one side.
type towards uint8

const (
	isOpen    towards = iota
	isRefused         // it was sent channel.close, which it has not answered
	isLeaving         // the client sent channel.close, and waits for the broker's answer
	isGone            // it is closed on that side
)

// channel is one channel of a session.
type channel struct {
	number uint16
	client towards
	broker towards

	naming    naming
	pending   []pending // methods that wait for their answers, in their order
	confirms  confirms
	transacts bool
	tags      tags
	consumers map[string]*consumer

	in  *incoming // a message of the client's that has not come whole
	out *outgoing // one of the broker's

	waits  waits
	aside  []byte                  // frames of the client that wait
	closes bool                    // channel.close is among them
	cancel context.CancelCauseFunc // ends the wait for a reviewer; nil where none lasts
}

// waits is why a channel's frames wait.
type waits uint8

const (
	waitsNot   waits = iota
	waitsHeld        // a reviewer is asked
	waitsName        // the broker names a queue
	waitsClose       // the broker has to close the channel before it can be opened again
)

// pending is a method that waits for its answer.
type pending struct {
	answer methodID
	pass   gate.Pass // zero where it needed none
	m      method
	asked  asked
	agreed bool // a reviewer agreed to it
}

// consumer is a subscription of a channel.
type consumer struct {
	queue  string
	agreed bool // a reviewer agreed to it
	noAck  bool
}

// kind is what is known of messages that are alike: those that are published with one method, or delivered from one queue, by one
// exchange and under one key.
type kind struct {
	publish *basicPublish
	h       *gate.Handle
	hiding  hiding
	since   uint64 // of known.changes: what a key stands for may be another queue by then
}

// incoming is a message of the client's while it comes.
type incoming struct {
	method []byte // the payload
	raw    []byte // the frames so far
	header []byte // the payload of the content header, once it is there
	k      *kind
	size   uint64
	got    uint64
	stream *stream // nil while the message is gathered
	drop   bool    // it was refused: the rest of it goes nowhere
	held   int     // bytes that it counts as
}

// stream is a message that is sent on as it comes.
type stream struct {
	pass gate.Pass
	sum  hash.Hash
}

// outgoing is a message of the broker's while it comes.
type outgoing struct {
	id     methodID
	method []byte
	raw    []byte
	header []byte
	size   uint64
	got    uint64
	stream *stream
	plain  bool // the client's own, which comes back: frames are passed on as they come
}

func (s *session) maxBody() int {
	if o := s.d.Connection().AMQP; o != nil && o.MaxBody > 0 {
		return o.MaxBody
	}
	return defaultBody
}

// maxWaiting is how many bytes may wait in channels.
func (s *session) maxWaiting() int { return max(s.limits.Staged, maxAside) }
