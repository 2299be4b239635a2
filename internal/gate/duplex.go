package gate

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Duplex is the gate of a session whose two sides speak at any time: one goroutine reads the client, another the backend, and
// reviewers are waited for beside them. Everything is called with its lock held, which guards what the protocol knows of the
// session too, except where a method says otherwise. What is staged leaves in the order in which it was staged, one write at a
// time, after the records of the intents among it (docs/adr/0025-duplex-sessions.md).
type Duplex struct {
	*Gate
	mu     sync.Mutex
	up     outlet // to the backend
	down   outlet // to the client
	passed int64  // up to this offset of the client's stream bytes have left, or were dropped: none leaves twice
	floods floods
	tick   *time.Timer // ends windows; nil while none is open
	held   map[*Hold]struct{}
	kept   int // bytes of what is held
	beside sync.WaitGroup
	over   bool
	end    context.CancelCauseFunc
}

// Duplex makes the session one whose sides speak at any time, with a backend of its own. It is called once.
func (g *Gate) Duplex(b *Backend) *Duplex {
	g.Attach(b)
	d := &Duplex{Gate: g, held: map[*Hold]struct{}{}}
	d.up = outlet{d: d, backend: true, write: func(out []byte) error {
		if err := b.send(out); err != nil {
			return fault.Wrap(fault.Backend, "gate.Flush", err, "the backend closed the connection")
		}
		return nil
	}}
	d.down = outlet{d: d, write: g.write}
	d.up.moved.L, d.down.moved.L = &d.mu, &d.mu
	g.settleAll = d.settleAll
	return d
}

// Lock takes the session's lock.
func (d *Duplex) Lock() { d.mu.Lock() }

// Unlock releases it.
func (d *Duplex) Unlock() { d.mu.Unlock() }

// Run runs the session: up in the caller's goroutine, down in another. When one of them ends, so does the other; what was said
// first is returned. nil means that the client left. It is called without the lock.
func (d *Duplex) Run(ctx context.Context, up, down func(context.Context) error) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	d.end = end
	stop := context.AfterFunc(ctx, d.Interrupt)
	defer stop()
	d.beside.Go(func() { d.finish(down(ctx), end) })
	d.finish(up(ctx), end)
	d.beside.Wait()
	d.last()
	if why := context.Cause(ctx); !errors.Is(why, errLeft) {
		return why
	}
	return nil
}

// finish ends the session for the reason that one half of it gives. Who writes to the client finishes first: the end interrupts
// every write, and what is staged behind that one may be the last thing that a client waits for.
func (d *Duplex) finish(err error, end context.CancelCauseFunc) {
	if err == nil || left(err) {
		err = errLeft
	}
	d.Lock()
	d.over = true
	_ = d.out.SetWriteDeadline(d.clock().Add(lastWords))
	for d.down.busy {
		d.down.moved.Wait()
	}
	d.Unlock()
	end(err)
}

// left reports whether an error is that of a client's connection: those of the backend's are told apart where they come up.
func left(err error) bool {
	var say *fault.Error
	var op *net.OpError
	return !errors.As(err, &say) && (errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, io.ErrClosedPipe) || errors.Is(err, net.ErrClosed))
}

// errLeft is the end of a session whose client left.
var errLeft = fault.New(fault.Pending, "gate.Duplex", "the client left")

// lastWords is how long the client has to take what is staged for it when the session ends.
const lastWords = time.Second

// last writes what is still staged for the client.
func (d *Duplex) last() {
	d.Lock()
	defer d.Unlock()
	if d.down.err != nil || len(d.down.buf) == 0 {
		return
	}
	_ = d.out.SetWriteDeadline(d.clock().Add(lastWords))
	_ = d.down.flush()
}

// Listen waits for bytes of the client; os.ErrDeadlineExceeded means that somebody wants the session to look around. It is
// called without the lock, by the goroutine that reads the client.
func (d *Duplex) Listen(ctx context.Context) error { return d.client.listen(ctx, 1) }

// ListenFor is Listen until n bytes are unread.
func (d *Duplex) ListenFor(ctx context.Context, n int) error { return d.client.listen(ctx, n) }

// Hear waits for bytes of the backend. It is called without the lock, by the goroutine that reads the backend.
func (d *Duplex) Hear(ctx context.Context) error { return d.HearFor(ctx, 1) }

// HearFor is Hear until n bytes are unread.
func (d *Duplex) HearFor(ctx context.Context, n int) error {
	err := d.backend.Fill(n)
	if err != nil && ctx.Err() == nil {
		var f *fault.Error
		if !errors.As(err, &f) {
			err = fault.Wrap(fault.Backend, "gate.Hear", err, "the backend closed the connection")
		}
	}
	return cause(ctx, err)
}

// listen is Fill for a side of which silence is no fault.
func (b *Reader) listen(ctx context.Context, n int) error {
	b.waits.Add(1)
	defer b.waits.Add(1)
	if !b.nudged.Swap(false) {
		err := b.Fill(n)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return cause(ctx, err)
		}
		b.nudged.Store(false)
	}
	if err := b.disarm(ctx); err != nil { // an interruption that came first has ended ctx
		return err
	}
	return os.ErrDeadlineExceeded
}

// Pass is the permission for one call or message: a permit of the session or of what was held, or a place in a window. It is
// spent once. The zero value permits nothing.
type Pass struct {
	of       *decider
	p        Permit
	w        *flood
	held     *Hold
	from, to int64
	masked   bool
	arrives  bool
}

// Zero reports whether p permits nothing.
func (p Pass) Zero() bool { return p.of == nil }

// Masked reports whether p's bytes must be rebuilt before the client is shown them.
func (p Pass) Masked() bool { return p.masked }

// Ask decides on h. It never waits: where a reviewer has to answer first, the error is a *Hold. An error otherwise is the
// refusal, which is on record.
func (d *Duplex) Ask(_ context.Context, h *Handle, r Request) (Pass, error) {
	v, err := d.weigh(h, r)
	if err != nil {
		return Pass{}, err
	}
	switch {
	case v.Effect == access.Approve:
		return Pass{}, d.setAside(h, r, v)
	case v.Effect != access.Allow:
		return Pass{}, d.refuse(h, r, v)
	}
	pass := Pass{of: &d.decider, from: r.From, to: r.To, masked: d.masks != nil && !r.Clear, arrives: r.Arrives}
	if r.Message {
		w, err := d.inWindow(h, r, v, pass.masked)
		if err != nil || w != nil {
			pass.w = w
			return pass, err
		}
	}
	pass.p, err = d.intend(h, r, v, "")
	return pass, err
}

// Reads reports whether a decision on h reads more than the statement: what is sent, claims, the time. d must be fresh.
func (d *Duplex) Reads(h *Handle) bool {
	d.update(h)
	return !h.static
}

// inWindow returns the window that records a message; nil where it is recorded by itself. What counts against a budget is.
func (d *Duplex) inWindow(h *Handle, r Request, v access.Verdict, masked bool) (*flood, error) {
	rec := v.Record.Settled()
	now := d.clock()
	flood := d.floods.rate.beyond(now, rec.Above)
	full := len(d.vacant) == 0 && len(d.slots) >= d.limits.Actions // what has no outcome yet takes places
	if (rec.Each || !flood) && !full || r.Rows && len(v.Results) > 0 {
		return nil, nil
	}
	if rec.Each { // there is no place for it: a window of one still says so
		rec = access.Recording{Each: true, Messages: 1, Within: access.DefaultRecording().Within}
	}
	w, err := d.pass(&d.floods, h, v, rec, masked, now)
	if err == nil && d.tick == nil {
		d.tick = time.AfterFunc(rec.Within, d.endWindows)
	}
	return w, err
}

// endWindows ends the windows whose time is over.
func (d *Duplex) endWindows() {
	d.Lock()
	defer d.Unlock()
	now, next := d.clock(), time.Duration(0)
	open := append([]*flood(nil), d.floods.open...)
	for _, w := range open {
		if left := w.ends.Sub(now); left <= 0 {
			d.closeWindow(&d.floods, w)
		} else if next == 0 || left < next {
			next = left
		}
	}
	if d.tick = nil; next > 0 && !d.over {
		d.tick = time.AfterFunc(next, d.endWindows)
	}
}

// Count notes that the message of p is complete: its digest and its size in bytes. It is called once, before Done.
func (d *Duplex) Count(p Pass, sum [sha256.Size]byte, size int) {
	if p.w != nil {
		p.w.tree.add(sum)
		p.w.bytes += int64(size)
		return
	}
	if s := p.slot(); s != nil {
		s.leaf = leaf{sum, int64(size), true}
	}
}

func (p Pass) slot() *slot {
	if p.of == nil || p.w != nil {
		return nil
	}
	return p.of.look(p.p)
}

// Done takes the outcome of what p permitted. Of a message in a window it is counted.
func (d *Duplex) Done(p Pass, o Outcome) error {
	switch {
	case p.of == nil:
		return errPermit("gate.Done: not a permit")
	case p.w != nil:
		d.settle(&d.floods, p.w, o)
		return d.failed
	}
	if p.held != nil {
		defer d.release(p.held)
	}
	return p.of.Done(p.p, o)
}

// DoneUp is Done once everything that is staged for the backend has left: what does not leave is cancelled with the session.
func (d *Duplex) DoneUp(p Pass, o Outcome) error { return d.doneWith(&d.up, p, o) }

// DoneDown is DoneUp for what is staged for the client.
func (d *Duplex) DoneDown(p Pass, o Outcome) error { return d.doneWith(&d.down, p, o) }

func (d *Duplex) doneWith(way *outlet, p Pass, o Outcome) error {
	if len(way.buf) == 0 { // it has left
		return d.Done(p, o)
	}
	way.ends = append(way.ends, ending{p, o})
	return nil
}

// Spend counts what is about to leave for the client under p against the budgets of the policies: see Gate.Spend.
func (d *Duplex) Spend(p Pass, rows, bytes int64) error {
	if p.w != nil {
		return nil // what counts against a budget is in no window
	}
	return p.of.Spend(p.p, rows, bytes)
}

// leaving checks that p is about to be sent for the first time, and returns the number of its intent.
func (d *Duplex) leaving(p Pass) (uint64, error) {
	switch {
	case p.of == nil || p.arrives:
	case p.w != nil:
		if p.w.staged < p.w.taken {
			p.w.staged++
			return p.w.seq, nil
		}
	default:
		if s := p.slot(); s != nil && s.stage == minted {
			s.stage, s.sent = flushed, d.clock()
			return s.seq, nil
		}
	}
	return 0, errPermit("gate.Stage: not a fresh permit of this session")
}

// handle is what was decided on under p.
func (p Pass) handle() *Handle {
	if p.w != nil {
		return p.w.h
	}
	if s := p.slot(); s != nil && p.held == nil {
		return s.handle
	}
	return nil // what a reviewer agreed to was decided again when the wait ended
}

// Stage takes the judged bytes of p, once. Those of the client's buffer are staged by the goroutine that reads the client.
func (d *Duplex) Stage(p Pass) error {
	if p.arrives {
		return errPermit("gate.Stage: what arrives is not sent")
	}
	var bytes []byte
	if p.held != nil {
		bytes = p.held.bytes
	} else if p.from >= d.passed {
		bytes = d.client.span(p.from, p.to)
	}
	if bytes == nil {
		return errPermit("gate.Stage: the judged bytes are no longer held")
	}
	seq, err := d.leaving(p)
	if err != nil {
		return err
	}
	if p.held == nil {
		d.passed = p.to
	}
	d.stage(p, bytes, seq)
	return nil
}

func (d *Duplex) stage(p Pass, bytes []byte, seq uint64) {
	d.up.put(bytes, seq)
	if h := p.handle(); h != nil {
		d.up.decided(h)
	}
}

// StageRewrite takes b in place of the judged bytes of p: one of the listed rewrites of a message.
func (d *Duplex) StageRewrite(p Pass, why Rewrite, b []byte) error {
	own := p.slot() != nil && p.slot().own
	if own != (why == RewriteOwn) || why != RewriteOwn && why != RewriteMask && why != RewriteFrames || why == RewriteMask && d.masks == nil {
		return errPermit("gate.StageRewrite: not a listed rewrite")
	}
	seq, err := d.leaving(p)
	if err != nil {
		return err
	}
	d.stage(p, b, seq)
	return nil
}

// Follow takes more bytes of a message that is under way: those that are sent on as they come.
func (d *Duplex) Follow(p Pass, from, to int64) error {
	if s := p.slot(); p.of == nil || p.arrives || p.w == nil && (s == nil || s.stage == minted) {
		return errPermit("gate.Follow: not a permit under way")
	}
	return d.Control(from, to)
}

// FollowRewrite is Follow for a message in frames of another size.
func (d *Duplex) FollowRewrite(p Pass, b []byte) error {
	if s := p.slot(); p.of == nil || p.arrives || p.w == nil && (s == nil || s.stage == minted) {
		return errPermit("gate.Follow: not a permit under way")
	}
	d.up.put(b, 0)
	return nil
}

// Control takes bytes that carry no action by themselves: a protocol's punctuation. Which messages those are is a closed list
// in each protocol's folder.
func (d *Duplex) Control(from, to int64) error {
	bytes := d.client.span(from, to)
	if bytes == nil || from < d.passed {
		return errPermit("gate.Control: the bytes are no longer held")
	}
	d.passed = to
	d.up.put(bytes, 0)
	return nil
}

// ControlOwn takes punctuation that the gateway itself adds, or that had to wait behind what was held.
func (d *Duplex) ControlOwn(b []byte) error {
	d.up.put(b, 0)
	return nil
}

// Reply takes bytes for the client that need no obligation: they wait for the record of p's intent. A permit that carries a
// mask is refused: see Show.
func (d *Duplex) Reply(p Pass, b []byte) error {
	if p.masked {
		return errPermit("gate.Reply: the permit carries a mask")
	}
	return d.Show(p, b)
}

// Show takes what the protocol rebuilt, or with the zero Pass what needs no permission: the gateway's own words, and what the
// backend says outside of any action.
func (d *Duplex) Show(p Pass, b []byte) error {
	var seq uint64
	if p.w != nil {
		seq = p.w.seq
	} else if s := p.slot(); s != nil {
		seq = s.seq
	}
	d.down.put(b, seq)
	return nil
}

// FlushUp sends what is staged for the backend. It is called without the lock, by the goroutine that reads the client: while
// the backend takes nothing, nothing is read.
func (d *Duplex) FlushUp() error { return d.flush(&d.up) }

// FlushDown sends what is staged for the client. It is called without the lock, by the goroutine that reads the backend.
func (d *Duplex) FlushDown() error { return d.flush(&d.down) }

func (d *Duplex) flush(o *outlet) error {
	d.Lock()
	defer d.Unlock()
	return o.flush()
}

// PushUp has what is staged for the backend sent by another goroutine.
func (d *Duplex) PushUp() { d.push(&d.up) }

// PushDown has what is staged for the client sent by another goroutine.
func (d *Duplex) PushDown() { d.push(&d.down) }

// push starts a writer where there is something to write and nobody writes: whoever writes goes on until nothing is left.
func (d *Duplex) push(o *outlet) {
	if o.busy || len(o.buf) == 0 || o.err != nil || d.over {
		return
	}
	d.beside.Go(func() {
		if err := d.flush(o); err != nil {
			d.Stop(err)
		}
	})
}

// Stop ends the session. It may be called with or without the lock.
func (d *Duplex) Stop(why error) {
	if d.end != nil {
		d.end(why)
	}
}

// Waiting returns how many bytes are staged for the client: a side that only reads what it likes is not sent more for ever.
func (d *Duplex) Waiting() int { return len(d.down.buf) }

// settleAll gives everything that has no outcome one: the session is over.
func (d *Duplex) settleAll() {
	d.Lock()
	defer d.Unlock()
	d.over = true
	if d.tick != nil {
		d.tick.Stop()
	}
	for h := range d.held {
		h.own.cancelAll()
	}
	for len(d.floods.open) > 0 {
		d.closeWindow(&d.floods, d.floods.open[0])
	}
	for w := range d.floods.due {
		for w.settled < w.taken {
			d.settle(&d.floods, w, Outcome{Status: access.StatusCancelled})
		}
	}
}
