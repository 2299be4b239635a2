package gate

import (
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"sync"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Turned is a connection to a backend that speaks another protocol since its answer 101. The protocol says what is sent on it, and
// only while the permit that it was opened with is open and the policies still allow it. It is safe for two goroutines: one that
// sends and one that reads.
type Turned struct {
	x    *Exchange
	p    Permit
	conn io.ReadWriteCloser
	mu   sync.Mutex // the gate is its request's own
	over bool

	under Underway
}

// Turn returns the connection behind an answer 101 to what p was minted for. It is closed with the gate. same is that of Watch.
func (x *Exchange) Turn(p Permit, same func(access.Masks) bool) (*Turned, error) {
	s := x.look(p)
	if s == nil || s.stage != flushed || s.own || p != x.permit || x.raw == nil {
		return nil, errPermit("gate.Turn: not a permit whose answer turned to another protocol")
	}
	x.sent = &counted{sum: sha256.New()}
	x.turned, x.raw = &Turned{x: x, p: p, conn: x.raw}, nil
	x.Watch(p, &x.turned.under, same)
	return x.turned, nil
}

// keepRaw keeps an answer's connection from everybody but Turn.
func (x *Exchange) keepRaw(resp *http.Response) error {
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		_ = resp.Body.Close()
		return fault.New(fault.Backend, "gate.Send", "the backend turned to another protocol that nobody asked for")
	}
	x.raw, resp.Body = conn, http.NoBody
	return nil
}

// untie closes what was turned.
func (x *Exchange) untie() {
	if x.turned != nil {
		x.turned.Close()
	}
	if x.raw != nil {
		_ = x.raw.Close()
	}
	x.turned, x.raw = nil, nil
}

// Still decides again where the policies have changed, or some time has passed: what was allowed when the connection was opened
// may be no longer.
func (t *Turned) Still() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.still()
}

func (t *Turned) still() error {
	if t.over || t.x.look(t.p) == nil {
		return errPermit("gate.Turned: the permit is spent")
	}
	err := t.under.Still()
	if fault.KindOf(err) == fault.Unavailable || errors.Is(err, ErrEnded) {
		return errTurned
	}
	return err
}

var errTurned = &fault.Error{Op: "gate.Turned", Kind: fault.Denied, Say: "the policies changed: connect again"}

// Spend counts what the client is told against the budgets of the policies: rows are messages.
func (t *Turned) Spend(rows, bytes int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.x.Spend(t.p, rows, bytes)
}

// Send sends b, which says what said says: the one is the other's frame.
func (t *Turned) Send(b, said []byte) error {
	t.mu.Lock()
	err := t.still()
	if err == nil {
		c := t.x.sent
		c.mu.Lock()
		c.n += int64(len(said))
		_, _ = c.sum.Write(said)
		c.mu.Unlock()
	}
	t.mu.Unlock()
	if err != nil {
		return err
	}
	_, err = t.conn.Write(b)
	return err
}

// Read implements io.Reader: what the backend says.
func (t *Turned) Read(b []byte) (int, error) { return t.conn.Read(b) }

// Close closes the connection. Nothing more is sent.
func (t *Turned) Close() {
	t.mu.Lock()
	t.over = true
	t.mu.Unlock()
	_ = t.conn.Close()
}
