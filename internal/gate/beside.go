package gate

import (
	"context"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Hold is what waits for a reviewer beside its session: the bytes that were judged, and a gate of its own to ask again. Ask
// returns it as an error; its words are those of a refusal, for a protocol in which it cannot wait.
type Hold struct {
	d     *Duplex
	own   decider
	h     *Handle
	r     Request
	v     access.Verdict
	bytes []byte
}

// Error implements error.
func (h *Hold) Error() string { return "gate.Duplex: an approval is needed, and was not waited for" }

// Unwrap returns the words for the client.
func (h *Hold) Unwrap() error {
	return &fault.Error{Op: "gate.Duplex", Kind: fault.Pending, Say: "this needs an approval, which cannot be waited for here"}
}

// Size is how many bytes are held.
func (h *Hold) Size() int { return len(h.bytes) }

// setAside copies what was judged, so that the session can go on. It returns a *Hold, or the refusal.
func (d *Duplex) setAside(h *Handle, r Request, v access.Verdict) error {
	judged := r.Aside
	switch {
	case judged != nil:
	case !r.Arrives:
		judged = d.client.span(r.From, r.To)
	default:
		judged = d.backend.span(r.From, r.To)
	}
	if judged == nil && !r.Unseen {
		return errPermit("gate.Ask: the judged bytes are no longer held")
	}
	if d.kept+len(judged) > d.limits.Staged || len(d.held) >= d.limits.Actions {
		return d.refused(h, r.Params, v, errHeld)
	}
	held := &Hold{d: d, own: d.fork(), r: r, v: v, bytes: append([]byte(nil), judged...)}
	held.r.Aside = nil
	if r.Message {
		held.r.Exact = held.bytes
	}
	if r.Shown != nil {
		held.r.Params = r.Shown()
	}
	if r.Sent != nil && r.Sent.Message != nil && r.Sent.Message.Body != nil {
		sent, message := *r.Sent, *r.Sent.Message
		body := message.Body()
		message.Body = func() any { return body }
		sent.Message = &message
		held.r.Sent = &sent
	}
	if !r.Arrives && r.Aside == nil && r.To > d.passed {
		d.passed = r.To // it leaves from its copy, or not at all
	}
	held.h = held.own.Judge(h.st)
	d.held[held] = struct{}{}
	d.kept += len(held.bytes)
	return held
}

var errHeld = &fault.Error{Op: "gate.Duplex", Kind: fault.Unavailable, Say: "too much of this session waits for reviewers",
	Hint: "Wait for their answers before sending more that needs one."}

// Await waits for the reviewers beside the session, and then calls then with the lock held: with the pass of what may leave, or
// the refusal, which is on record. What then stages is sent. The wait ends with ctx, whose cause is the reason.
func (d *Duplex) Await(ctx context.Context, h *Hold, then func(Pass, error)) {
	d.beside.Go(func() {
		pass, err := h.wait(ctx)
		d.Lock()
		defer d.Unlock()
		if err != nil {
			d.release(h)
		}
		then(pass, err)
		d.push(&d.up)
		d.push(&d.down)
	})
}

// Drop forgets what was held, in a protocol that does not wait for it. It is called with the lock held.
func (h *Hold) Drop() { h.d.release(h) }

// wait is Ask from where it stopped.
func (h *Hold) wait(ctx context.Context) (Pass, error) {
	own := &h.own
	approval, v, err := own.hold(ctx, h.h, h.r, h.v)
	if err != nil {
		return Pass{}, err
	}
	if h.h.steered(v) {
		return Pass{}, own.refused(h.h, h.r.Params, access.Verdict{}, oracle(h.h.oracle))
	}
	if v.Effect != access.Allow {
		return Pass{}, own.refuse(h.h, h.r, v)
	}
	p, err := own.intend(h.h, h.r, v, approval)
	if err != nil {
		return Pass{}, err
	}
	return Pass{of: own, p: p, held: h, masked: own.masks != nil && !h.r.Clear, arrives: h.r.Arrives}, nil
}

// release forgets what was held.
func (d *Duplex) release(h *Hold) {
	if _, ok := d.held[h]; ok {
		delete(d.held, h)
		d.kept -= len(h.bytes)
		h.bytes = nil
	}
}

// Decline refuses what would have to wait for a reviewer, where nobody can: the refusal is on record.
func (d *Duplex) Decline(h *Hold) error {
	defer d.release(h)
	return d.refused(h.h, h.r.Params, h.v, h.Unwrap())
}
