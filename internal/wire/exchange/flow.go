package exchange

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// Flow watches one round trip for silence: of the backend, whose answer is then cut, and of a client that does not take what it
// is sent. What is in memory of an answer is one buffer, however slow its reader.
type Flow struct {
	client *http.ResponseController
	idle   time.Duration
	timer  *time.Timer

	mu      sync.Mutex
	writing bool // it is the client's turn
	closed  bool // the client's connection is no longer this request's

	under gate.Underway
	stop  context.CancelCauseFunc // ends the round trip
	tick  *time.Timer             // nil where nobody looks but when something is said
	why   error                   // why it ended before its end
}

var past = time.Unix(1, 0)

// ErrSilent is the cause of a round trip that ended because nothing was said for too long.
var ErrSilent = &fault.Error{Op: "exchange.Flow", Kind: fault.Backend, Say: "the backend said nothing for too long",
	Hint: "http.idle_timeout of the connection says how long it may."}

// NewFlow begins to watch. It ends x, with ErrSilent, where the backend is silent for longer than idle. Close ends the watch.
func NewFlow(x *gate.Exchange, w http.ResponseWriter, idle time.Duration) *Flow {
	end := x.End()
	f := &Flow{client: http.NewResponseController(w), idle: idle, stop: end}
	f.timer = time.AfterFunc(idle, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.writing && !f.closed {
			_ = f.client.SetWriteDeadline(past) // a client that reads nothing cannot be told
		}
		end(ErrSilent)
		f.unread()
	})
	return f
}

// Close ends the watch, before the request's handler returns: from then on the client's connection must not be touched.
func (f *Flow) Close() {
	f.timer.Stop()
	f.mu.Lock()
	f.closed = true
	if f.tick != nil {
		f.tick.Stop()
	}
	f.mu.Unlock()
}

// Watch ends the round trip where policies no longer allow what p permits, or hide other things in it: nothing that is said after that
// passes either way. same is that of gate.Exchange.Watch. It is called before the request is sent.
func (f *Flow) Watch(x *gate.Exchange, p gate.Permit, same func(access.Masks) bool) {
	x.Watch(p, &f.under, same)
}

// Still returns an error where the round trip may not go on.
func (f *Flow) Still() error {
	err := f.under.Still()
	if err != nil {
		f.stop(err)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.why = err
		f.unread()
	}
	return err
}

// unread ends the reading of what the client sends: a transport of HTTP/2 that waits for it does not see that the request has ended. f.mu
// is held.
func (f *Flow) unread() {
	if !f.closed {
		_ = f.client.SetReadDeadline(past)
	}
}

// ticking is how often one that is silent is looked after.
const ticking = time.Second

// Lasts is called for an answer that may last, and say nothing for long: it ends when the policies change, and not with its next word.
func (f *Flow) Lasts() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tick == nil && !f.closed {
		f.tick = time.AfterFunc(ticking, f.look)
	}
}

func (f *Flow) look() {
	ended := f.Still() != nil
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
	case ended && f.writing:
		_ = f.client.SetWriteDeadline(past)
	case !ended:
		f.tick.Reset(ticking)
	}
}

// Why returns why the round trip ended before its end; nil where it did not, or not by the policies.
func (f *Flow) Why() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.why
}

// Begun tells that the answer has begun: from now on only reading and writing it is watched.
func (f *Flow) Begun() { f.timer.Stop() }

// Alive tells of a sign of life of the client: while no answer has begun, the backend has its time from then on.
func (f *Flow) Alive() {
	if f.timer.Stop() { // not where nobody waits
		f.timer.Reset(f.idle)
	}
}

// Uploading returns a body that is sent as it comes: what its client says is a sign of life. The flow is asked for when there is one: a
// body is made ready before it is sent.
func Uploading(body io.ReadCloser, flow func() *Flow) io.ReadCloser { return &uploading{body, flow} }

type uploading struct {
	io.ReadCloser
	flow func() *Flow
}

// Read implements io.Reader.
func (u *uploading) Read(b []byte) (int, error) {
	n, err := u.ReadCloser.Read(b)
	if n > 0 {
		f := u.flow()
		f.Alive()
		if late := f.Still(); late != nil {
			return 0, late
		}
	}
	if err != nil && !errors.Is(err, io.EOF) && fault.KindOf(err) == fault.Internal {
		err = fault.Wrap(fault.Malformed, "exchange.Uploading", err, "the request's body ended before its end, or was too slow")
	}
	return n, err
}

// Body is the body of the answer, watched.
func (f *Flow) Body(body io.ReadCloser) io.ReadCloser { return &watchedBody{body, f} }

type watchedBody struct {
	io.ReadCloser
	f *Flow
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	b.f.timer.Reset(b.f.idle)
	n, err := b.ReadCloser.Read(p)
	b.f.timer.Stop()
	if late := b.f.Still(); late != nil {
		return 0, late
	}
	return n, err
}

// Writer writes to the client, watched. Where flush is true, what is written leaves at once.
func (f *Flow) Writer(w io.Writer, flush bool) io.Writer { return &watchedWriter{w, f, flush} }

type watchedWriter struct {
	w     io.Writer
	f     *Flow
	flush bool
}

// Write implements io.Writer.
func (w *watchedWriter) Write(b []byte) (int, error) {
	w.f.begin()
	defer w.f.end()
	n, err := w.w.Write(b)
	if err == nil && w.flush {
		err = w.f.client.Flush()
	}
	return n, err
}

// Flush sends the client what was written. It is called at an answer's end, too: what net/http sends later, nobody watches.
func (f *Flow) Flush() error {
	f.begin()
	defer f.end()
	return f.client.Flush()
}

func (f *Flow) begin() {
	f.turn(true)
	f.timer.Reset(f.idle)
}

func (f *Flow) end() {
	f.timer.Stop()
	f.turn(false)
}

func (f *Flow) turn(clients bool) {
	f.mu.Lock()
	f.writing = clients
	f.mu.Unlock()
}
