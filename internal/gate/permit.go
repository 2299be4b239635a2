package gate

import (
	"encoding/hex"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Permit is the permission to send what was judged: a slot of the session's own table and the generation in which it was
// minted. Only Ask and AskOwn mint one; a permit can be staged once. The zero value permits nothing.
type Permit struct{ slot, gen uint32 }

// Zero reports whether p permits nothing.
func (p Permit) Zero() bool { return p.gen == 0 }

// stage is how far a permit has come.
type stage uint8

const (
	free    stage = iota
	minted        // asked and recorded; its bytes have not been staged
	spent         // its bytes have been staged
	flushed       // its bytes have left
)

// slot is what the gate remembers of a permit.
type slot struct {
	gen      uint32
	stage    stage
	masked   bool // its answer carries an obligation: it may not be spliced
	own      bool
	action   uint64
	seq      uint64 // of its intent
	from, to int64  // the judged bytes, as offsets of the client's stream
	sent     time.Time
	asked    time.Time
	version  uint64  // of the policies it was asked under
	handle   *Handle // what was decided; nil for the gateway's own
	params   []any
	given    *access.Sent
	estimate *int64  // the rows that were estimated, where the decision read them
	meters   []meter // the budgets that its results count against
	approved bool    // a reviewer's approval was spent on it
	leaf     leaf    // of a message that is complete
}

// Rewrite names a rendering that is sent in place of the judged bytes. The list is closed: each has its own test in the
// protocol's conformance suite.
type Rewrite uint8

// The rewrites.
const (
	RewriteOwn    Rewrite = iota + 1 // a statement of the gateway's own list
	RewriteReject                    // a fixed text that the backend itself rejects, in place of what was refused
	RewriteName                      // the judged message with the backend's name of a statement: StageRenamed renders it
	RewriteMask                      // the judged message without the values that policy hides from the backend
	RewriteFrames                    // the judged message in frames of the size that the backend takes
)

// vacancy finds a free slot. It is looked for before an intent is recorded: an intent that gets no permit would never have
// an outcome.
func (g *decider) vacancy() (int, error) {
	if g.failed != nil {
		return 0, g.failed
	}
	if n := len(g.vacant); n > 0 {
		return int(g.vacant[n-1]), nil
	}
	if len(g.slots) >= g.limits.Actions {
		return 0, fault.New(fault.Unavailable, "gate.Ask", "too many statements are in flight in this session: wait for answers before sending more")
	}
	g.slots = append(g.slots, slot{})
	g.vacant = append(g.vacant, uint32(len(g.slots)-1)) // #nosec G115 -- bounded by Limits.Actions
	return len(g.slots) - 1, nil
}

// mint takes slot i for an intent that is on record under seq.
func (g *decider) mint(i int, seq uint64, from, to int64, masked bool) Permit {
	g.vacant = g.vacant[:len(g.vacant)-1] // i is its last: vacancy said so
	s := &g.slots[i]
	gen := s.gen + 1
	*s = slot{gen: gen, stage: minted, masked: masked, action: g.action, seq: seq, from: from, to: to}
	return Permit{uint32(i), gen} // #nosec G115 -- bounded by Limits.Actions
}

// look returns p's slot, or nil where p is not (or no longer) one of this session's permits.
func (g *decider) look(p Permit) *slot {
	if p.gen == 0 || int(p.slot) >= len(g.slots) {
		return nil
	}
	s := &g.slots[p.slot]
	if s.gen != p.gen || s.stage == free {
		return nil
	}
	return s
}

func errPermit(op string) error {
	return fault.New(fault.Internal, op, "")
}

// Outcome is how an action ended.
type Outcome struct {
	Status access.Status
	Rows   int64
	Bytes  int64
	Masked int64
	Digest string // of data that the client sent for it: SHA-256 in hex
	Code   string
	Result *access.Result
}

// Done puts the outcome of p on record, once, and frees it. It does not wait for the record.
func (g *decider) Done(p Permit, o Outcome) error {
	s := g.look(p)
	if s == nil {
		return errPermit("gate.Done: not a permit of this session")
	}
	e := &g.event
	*e = access.Event{Kind: access.EventActionEnded, Session: g.caller.Session, Action: s.action,
		Status: o.Status, Rows: o.Rows, Bytes: o.Bytes, Masked: o.Masked, Code: o.Code, Result: o.Result}
	if s.leaf.whole {
		o.Digest, o.Bytes = hex.EncodeToString(s.leaf.sum[:]), s.leaf.size
	}
	if o.Digest != "" {
		e.Digest = g.recordDigest(s.handle, o.Digest)
	}
	if s.own {
		e.Principal = g.ownID
	}
	now := g.clock()
	if !s.sent.IsZero() {
		e.Backend = now.Sub(s.sent)
	}
	e.Time = now
	*s = slot{gen: s.gen} // what it held of parameters goes too
	g.vacant = append(g.vacant, p.slot)
	_, err := g.svc.Recorder.Append(e)
	return err
}
