package gate

import (
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// outlet is one way out of a session whose sides speak at any time: what is staged for one side, and the one writer at a
// time that takes it there. Whatever an intent covers waits for its record. It is guarded by the session's lock.
type outlet struct {
	d       *Duplex
	write   func([]byte) error
	backend bool // it leads to the backend: what waited is decided again

	buf   []byte
	spare []byte // the buffer that was written before
	seq   uint64 // the last intent among buf
	busy  bool   // somebody writes
	moved sync.Cond
	err   error // why nothing is written any more

	ends []ending // outcomes that are known once buf has left
	kept []ending // the list that was ended before

	began   time.Time // when the first of buf was staged
	version uint64    // of the policies that it was decided under
	kinds   []*Handle // what was decided, for deciding again
	facts   bool      // a decision among it read more than its handle
}

// ending is the outcome of what is staged.
type ending struct {
	p Pass
	o Outcome
}

// mostWaiting is how many bytes may be staged while a write is under way before whoever stages more has to wait, and the size
// from which a buffer is not kept.
const (
	mostWaiting = 256 << 10
	mostKept    = 1 << 20
)

// put stages bytes.
func (o *outlet) put(b []byte, seq uint64) {
	if len(o.buf) == 0 {
		o.began, o.version = o.d.clock(), o.d.version
	}
	o.buf = append(o.buf, b...)
	o.seq = max(o.seq, seq)
}

// decided notes what the decision about what is staged was about.
func (o *outlet) decided(h *Handle) {
	if n := len(o.kinds); n > 0 && o.kinds[n-1] == h {
		return
	}
	o.kinds = append(o.kinds, h)
	o.facts = o.facts || !h.static
}

// flush writes what is staged, and waits while another does so and much is waiting. The lock is held when it is called and
// when it returns, but not while it waits.
func (o *outlet) flush() error {
	for o.busy && len(o.buf) > mostWaiting && o.err == nil {
		o.moved.Wait()
	}
	if o.busy {
		return o.err
	}
	o.busy = true
	for len(o.buf) > 0 && o.err == nil {
		if o.err = o.still(); o.err != nil {
			break
		}
		out, seq, ends := o.buf, o.seq, o.ends
		o.buf, o.seq, o.facts, o.ends = o.spare[:0], 0, false, o.kept[:0]
		clear(o.kinds)
		o.kinds = o.kinds[:0]
		o.d.mu.Unlock()
		err := o.leave(out, seq)
		o.d.mu.Lock()
		if o.spare = out; cap(out) > mostKept {
			o.spare = nil
		}
		if o.err = err; err == nil {
			o.err = o.ended(ends)
		}
		clear(ends)
		o.kept = ends[:0]
		o.moved.Broadcast()
	}
	o.busy = false
	o.moved.Broadcast()
	return o.err
}

// ended puts the outcomes of what has left on record.
func (o *outlet) ended(ends []ending) error {
	for _, e := range ends {
		if err := o.d.Done(e.p, e.o); err != nil {
			return err
		}
	}
	return nil
}

// leave writes bytes once the intents among them are on record.
func (o *outlet) leave(b []byte, seq uint64) error {
	if seq > 0 {
		if err := o.d.svc.Recorder.Barrier(seq); err != nil {
			return err
		}
	}
	return o.write(b)
}

// still decides again about what has waited for the backend under other policies, or for long.
func (o *outlet) still() error {
	if !o.backend || len(o.kinds) == 0 {
		return nil
	}
	d := o.d
	if err := d.Refresh(); err != nil {
		return err
	}
	changed, late := o.version != d.version, d.clock().Sub(o.began) >= stale
	if !changed && (!late || !o.facts) {
		return nil
	}
	if o.facts || changed && d.masks != nil {
		return errFlood
	}
	for _, h := range o.kinds {
		if d.update(h); !h.static || h.verdict.Effect != access.Allow || h.oracle != "" {
			return errFlood
		}
	}
	return nil
}

var errFlood = &fault.Error{Op: "gate.Flush", Kind: fault.Unavailable,
	Say:  "the policies changed while messages were waiting for the backend: they were not sent",
	Hint: "Connect and send them again."}
