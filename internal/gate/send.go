package gate

import (
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// batch is what was staged since the last flush: one range of the client's buffer where that is enough, else a copy.
type batch struct {
	from, to int64 // the range; empty where from == to
	copied   []byte
	seq      uint64   // the last intent among it
	permits  []Permit // staged, for their time of sending
}

// Stage takes the judged bytes of p into the next flush. A permit is staged once. Where several permits cover the same
// bytes (statements of one message) the bytes go once.
func (g *Gate) Stage(p Permit) error {
	s := g.look(p)
	if s == nil || s.stage != minted || s.own {
		return errPermit("gate.Stage: not a fresh permit of this session")
	}
	if !g.shares(s) {
		if err := g.take(s.from, s.to); err != nil {
			return err
		}
	}
	g.mark(p, s)
	return nil
}

// shares reports whether the permit staged just before s covers the very same bytes.
func (g *Gate) shares(s *slot) bool {
	n := len(g.batch.permits)
	if n == 0 {
		return false
	}
	last := g.look(g.batch.permits[n-1])
	return last != nil && !last.own && last.from == s.from && last.to == s.to
}

// StageRewrite takes frame in place of the judged bytes of p. why must be one of the listed rewrites.
func (g *Gate) StageRewrite(p Permit, why Rewrite, frame []byte) error {
	s := g.look(p)
	if s == nil || s.stage != minted || !s.own || why != RewriteOwn && why != RewriteReject {
		return errPermit("gate.StageRewrite: not a fresh permit of this session, or not a listed rewrite")
	}
	g.materialise()
	g.batch.copied = append(g.batch.copied, frame...)
	g.mark(p, s)
	return g.bounded()
}

// Restate stages the text that was judged under p once more, between head and tail, in front of what p covers: a statement
// that was prepared on another backend must be prepared again where it is to run.
func (g *Gate) Restate(p Permit, head, tail []byte) error {
	s := g.look(p)
	if s == nil || s.stage != minted || s.handle == nil {
		return errPermit("gate.Restate: not a fresh permit of this session")
	}
	g.materialise()
	g.batch.copied = append(append(append(g.batch.copied, head...), s.handle.st.Text...), tail...)
	g.batch.seq = max(g.batch.seq, s.seq)
	return g.bounded()
}

// Judged returns the text that was judged under p; "" where p is no permit of this session, or the gateway's own.
func (g *Gate) Judged(p Permit) string {
	if s := g.look(p); s != nil && s.handle != nil {
		return s.handle.st.Text
	}
	return ""
}

// mark notes that p is staged.
func (g *Gate) mark(p Permit, s *slot) {
	s.stage = spent
	g.batch.seq = max(g.batch.seq, s.seq)
	g.batch.permits = append(g.batch.permits, p)
}

// Follow takes bytes that belong to an action under way: the rest of its messages, rows that the client sends for it. The
// permit must have been staged and not be done.
func (g *Gate) Follow(p Permit, from, to int64) error {
	s := g.look(p)
	if s == nil || s.stage == minted {
		return errPermit("gate.Follow: not a permit under way")
	}
	return g.take(from, to)
}

// Control takes bytes that carry no action by themselves: a protocol's punctuation, such as the end of a pipeline. Which
// messages those are is a closed list in each protocol's folder.
func (g *Gate) Control(from, to int64) error { return g.take(from, to) }

// ControlOwn takes punctuation that the gateway itself adds, such as the request to send what is ready.
func (g *Gate) ControlOwn(frame []byte) error {
	g.materialise()
	g.batch.copied = append(g.batch.copied, frame...)
	return g.bounded()
}

// take extends the range, or copies where the bytes do not follow it.
func (g *Gate) take(from, to int64) error {
	b := &g.batch
	bytes := g.client.span(from, to)
	if bytes == nil {
		return errPermit("gate.take: the judged bytes are no longer held")
	}
	switch {
	case len(b.copied) == 0 && b.from == b.to:
		b.from, b.to = from, to
		g.client.keep = from
	case len(b.copied) == 0 && b.to == from:
		b.to = to
	default:
		g.materialise()
		b.copied = append(b.copied, bytes...)
	}
	return g.bounded()
}

// materialise turns the range into a copy, so that something else can follow it.
func (g *Gate) materialise() {
	b := &g.batch
	if b.from == b.to {
		return
	}
	b.copied = append(b.copied, g.client.span(b.from, b.to)...)
	b.from, b.to = 0, 0
	g.client.keep = -1
}

func (g *Gate) bounded() error {
	if n := g.Staged(); n > g.limits.Staged+g.limits.Message {
		return fault.New(fault.Unavailable, "gate.Stage", "too much is staged in this session: %d bytes", n)
	}
	return nil
}

// Staged returns how many bytes wait for the next flush.
func (g *Gate) Staged() int { return len(g.batch.copied) + int(g.batch.to-g.batch.from) }

// Flush puts every staged intent on record for good, then sends what was staged in one write. Where the record fails
// nothing is sent, now or later: what was staged is dropped, and the gate stays closed (see Failed).
func (g *Gate) Flush() error {
	if g.failed != nil {
		return g.failed
	}
	b := &g.batch
	if len(b.copied) == 0 && b.from == b.to {
		return nil
	}
	now := g.clock()
	if err := g.stillPermitted(now); err != nil {
		g.failed = err
		g.reset()
		return err
	}
	if b.seq > 0 {
		if err := g.svc.Recorder.Barrier(b.seq); err != nil {
			g.failed = err
			g.reset()
			return err
		}
	}
	bytes := b.copied
	if b.from != b.to {
		bytes = g.client.span(b.from, b.to)
	}
	if bytes == nil {
		g.failed = errPermit("gate.Flush: the judged bytes are no longer held")
		return g.failed
	}
	for _, p := range b.permits {
		if s := g.look(p); s != nil {
			s.stage, s.sent = flushed, now
		}
	}
	if g.backend == nil {
		g.reset()
		g.failed = errPermit("gate.Flush: there is no backend")
		return g.failed
	}
	err := g.backend.send(bytes)
	g.reset()
	if err != nil {
		return fault.Wrap(fault.Backend, "gate.Flush", err, "the backend closed the connection")
	}
	return nil
}

// Commit waits until the intent of p would survive the death of the process, for what is not sent by Flush.
func (g *Gate) Commit(p Permit) error {
	s := g.look(p)
	if s == nil {
		return errPermit("gate.Commit: not a permit of this session")
	}
	return g.svc.Recorder.Barrier(s.seq)
}

// stale is how long a permit may be staged before it is decided again: a client chooses when its pipeline ends.
const stale = 5 * time.Second

var errStale = &fault.Error{Op: "gate.Flush", Kind: fault.Unavailable,
	Say:  "the policies changed while statements were waiting for the end of their pipeline: nothing of it was sent",
	Hint: "Connect and send it again."}

// stillPermitted decides again about what was staged under other policies, or has waited for long. Where masks exist by
// now, what was staged under other policies is dropped whole: how its answer must be rebuilt was worked out under those.
func (g *Gate) stillPermitted(now time.Time) error {
	for _, p := range g.batch.permits {
		s := g.look(p)
		if s == nil || s.handle == nil {
			continue
		}
		if err := g.Refresh(); err != nil {
			return err
		}
		if s.version == g.version && now.Sub(s.asked) < stale {
			continue
		}
		v := g.decide(s.handle, facts{s.params, s.given, func() *int64 { return s.estimate }})
		if v.Effect == access.Deny || v.Effect == access.Approve && !s.approved || s.handle.oracle != "" ||
			s.version != g.version && g.masks != nil {
			return errStale
		}
	}
	return nil
}

// Stale reports whether something is staged that may not leave any more: see Unstage.
func (g *Gate) Stale() bool { return g.stillPermitted(g.clock()) != nil }

// Unstage drops what was staged since the last flush, so that a protocol can refuse all of it. The permits are still to be
// ended with Done.
func (g *Gate) Unstage() { g.reset() }

// Shelve takes what is staged out of the way, so that statements of the gateway's own can be sent before it: on a backend that
// takes the place of another. The function that it returns puts it back.
func (g *Gate) Shelve() (back func()) {
	g.materialise()
	kept := g.batch
	g.batch = batch{}
	return func() { g.batch = kept }
}

// Failed returns why a flush did not send what was staged: the protocol counts on answers that will never come, so the
// session must end. nil where none failed.
func (g *Gate) Failed() error { return g.failed }

func (g *Gate) reset() {
	b := &g.batch
	b.from, b.to, b.seq = 0, 0, 0
	b.permits = b.permits[:0]
	g.client.keep = -1
	if cap(b.copied) > bulkBuffer {
		b.copied = nil
	}
	b.copied = b.copied[:0]
}

// Reply sends answer bytes to the client that need no obligation: everything under a permit that carries no mask, and
// what the backend says outside of any action. A permit that carries a mask is refused here: see Show.
func (g *Gate) Reply(p Permit, frames []byte) error {
	if s := g.look(p); s != nil && s.masked {
		return errPermit("gate.Reply: the permit carries a mask")
	}
	return g.write(frames)
}

// Stream moves the next n bytes of the backend straight to the client, without holding them: for answers larger than
// the gate would buffer. A permit that carries a mask is refused.
func (g *Gate) Stream(p Permit, n int64) error {
	if g.Masked(p) {
		return errPermit("gate.Stream: the permit carries a mask")
	}
	return g.backend.Copy(g.out, n)
}

// Masked reports whether p's answer must be rebuilt before it is shown.
func (g *decider) Masked(p Permit) bool {
	s := g.look(p)
	return s != nil && s.masked
}

// Show sends what the protocol rebuilt, or the gateway's own words.
func (g *Gate) Show(frames []byte) error { return g.write(frames) }

func (g *Gate) write(frames []byte) error {
	if len(frames) == 0 {
		return nil
	}
	_, err := g.out.Write(frames)
	return err
}
