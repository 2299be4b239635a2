package postgres

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/sql/pgsql"
)

// cancelKey is what a client gets as BackendKeyData: eight random bytes of the gateway's own. The backend's never leave.
type cancelKey [8]byte

// target is the backend that a session's cancel requests go to.
type target struct {
	lease  gate.Lease
	pid    uint32
	secret []byte
}

// aim is where a session's cancel requests go at the moment. A backend that is about to be somebody else's must not be hit
// by a cancel that was meant for the session before: clear returns when all that were sent have landed.
type aim struct {
	mu     sync.Mutex
	at     *target
	flying sync.WaitGroup
	stray  bool // one may not have landed: what it was sent to must not be anybody else's
}

func (a *aim) set(t *target) {
	a.mu.Lock()
	a.at = t
	a.stray = a.stray && t == nil
	a.mu.Unlock()
}

// lost stops further cancels, waits for those under way, and reports whether one may land later.
func (a *aim) lost() bool {
	a.clear()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stray
}

func (a *aim) clear() {
	a.set(nil)
	a.flying.Wait()
}

// take returns the target, which must get one fly; nil where there is none.
func (a *aim) take() *target {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.at != nil {
		a.flying.Add(1)
	}
	return a.at
}

// fly sends a cancel to a target that take returned, and waits until it has landed.
func (a *aim) fly(ctx context.Context, t *target) {
	err := t.send(ctx)
	a.mu.Lock()
	a.stray = a.stray || err != nil
	a.mu.Unlock()
	a.flying.Done()
}

// cancels knows every session's key.
type cancels struct {
	mu     sync.Mutex
	random io.Reader
	live   map[[4]byte]*cancellable // by the key's first half, which is no secret
}

// cancellable is one session, as a cancel request sees it.
type cancellable struct {
	key cancelKey
	s   *session
}

// add mints a key for a session.
func (c *cancels) add(s *session) (cancelKey, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range 100 {
		var k cancelKey
		if _, err := io.ReadFull(c.random, k[:]); err != nil {
			return k, fault.Wrap(fault.Internal, "postgres.cancels", err, "")
		}
		pid := [4]byte(k[:4])
		if _, taken := c.live[pid]; !taken {
			c.live[pid] = &cancellable{key: k, s: s}
			return k, nil
		}
	}
	return cancelKey{}, fault.New(fault.Unavailable, "postgres.cancels", "too many sessions")
}

func (c *cancels) remove(k cancelKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.live, [4]byte(k[:4]))
}

// find returns the session that a key belongs to, comparing in constant time.
func (c *cancels) find(body []byte) *cancellable {
	if len(body) != len(cancelKey{}) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.live[[4]byte(body[:4])]
	if l == nil || subtle.ConstantTimeCompare(l.key[:], body) != 1 {
		return nil
	}
	return l
}

// serve answers a CancelRequest: as in the real server the asker learns nothing. A held action's wait ends; anything else
// is passed on with the backend's own key, on a connection of its own.
func (c *cancels) serve(ctx context.Context, body []byte) {
	l := c.find(body)
	if l == nil || l.s.cancelHold() {
		return
	}
	t := l.s.aim.take()
	if t == nil { // nothing of the session's is on any backend
		return
	}
	ctx, done := context.WithTimeout(ctx, 10*time.Second)
	defer done()
	l.s.aim.fly(ctx, t)
}

// send asks the backend to cancel, with TLS where the connection has it: the key is a secret.
func (t target) send(ctx context.Context) error {
	return t.lease.Interrupt(ctx, pgsql.Prefix+"Cancel", func(ctx context.Context, raw net.Conn) error {
		conf, err := t.lease.TLS()
		if err != nil {
			return err
		}
		conn, err := upgrade(ctx, raw, conf)
		if err != nil {
			return err
		}
		packet := binary.BigEndian.AppendUint32(nil, uint32(12+len(t.secret)))
		packet = binary.BigEndian.AppendUint32(packet, codeCancel)
		packet = binary.BigEndian.AppendUint32(packet, t.pid)
		if _, err := conn.Write(append(packet, t.secret...)); err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1)) // the server closes, in whatever way, when it has signalled
		return ctx.Err()
	})
}
