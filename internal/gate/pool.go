package gate

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// What holds where a connection's document says nothing.
const (
	defaultBackends = 50
	defaultWait     = 10 * time.Second
	defaultIdle     = 5 * time.Minute
	defaultLifetime = time.Hour
)

// Pools keeps backends between leases, and bounds how many a connection has. There is one for a gateway. A backend belongs
// to its owner for as long as it may hold something of theirs; only the protocol, which resets it, can make it nobody's.
type Pools struct {
	clock func() time.Time
	mu    sync.Mutex
	all   map[string]*pool // by connection
}

// NewPools returns empty pools.
func NewPools(clock func() time.Time) *Pools {
	return &Pools{clock: clock, all: map[string]*pool{}}
}

// pool is the backends of one connection, as one version of its document and one credential reach them.
type pool struct {
	owner  *Pools
	conf   access.BackendPool // with defaults
	key    [sha256.Size]byte  // of where and how a backend is reached
	secret [sha256.Size]byte  // of the credential
	gone   bool               // the document or the credential changed: nothing of it is used again
	open   int                // leased, idle and being dialled
	pinned int
	idle   []*Backend // the newest last
	turns  []string   // who waits, in the order of their turns
	queues map[string][]chan turn
}

// turn is what a waiting lease gets: a backend, or leave to dial one.
type turn struct{ b *Backend }

// of returns the pool of a connection, as its document and its credential are now.
func (p *Pools) of(c *access.Connection, credential access.Secret) *pool {
	key, secret := reached(c), sha256.Sum256(credential.Reveal())
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.all[c.Name]
	if old != nil && old.key == key && subtle.ConstantTimeCompare(old.secret[:], secret[:]) == 1 {
		return old
	}
	if old != nil {
		old.retire()
	}
	now := &pool{owner: p, conf: withDefaults(c.Pool), key: key, secret: secret, queues: map[string][]chan turn{}}
	p.all[c.Name] = now
	return now
}

// known returns the pool of a connection whose credential cannot be had at the moment: what was opened may be used on.
func (p *Pools) known(c *access.Connection) *pool {
	key := reached(c)
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := p.all[c.Name]; old != nil && old.key == key {
		return old
	}
	return nil
}

// reached is a digest of all that decides where a backend's connection leads, as whom, and how it is shared.
func reached(c *access.Connection) [sha256.Size]byte {
	doc, _ := json.Marshal(struct { // these types always marshal
		Address, Database, Type, Propagate string
		TLS                                access.BackendTLS
		Credential                         access.Credential
		Pool                               access.BackendPool
	}{c.Address, c.Database, c.Type, c.Propagate, c.TLS, c.Credential, c.Pool})
	return sha256.Sum256(doc)
}

func withDefaults(c access.BackendPool) access.BackendPool {
	if c.MaxBackends == 0 {
		c.MaxBackends = defaultBackends
	}
	if c.MaxPinned == 0 {
		c.MaxPinned = max(1, c.MaxBackends/2)
	}
	for d, otherwise := range map[*access.Duration]time.Duration{&c.Wait: defaultWait, &c.Idle: defaultIdle, &c.Lifetime: defaultLifetime} {
		if *d == 0 {
			*d = access.Duration(otherwise)
		}
	}
	return c
}

// take returns an idle backend, or nil and leave to dial one; where every place is taken it waits for its turn. The best is
// one that owner left, then one that is nobody's; one that another left is only taken when no more may be opened. who takes
// turns with the others that wait.
func (p *pool) take(ctx context.Context, owner, who string) (*Backend, error) {
	p.owner.mu.Lock()
	if len(p.turns) == 0 {
		if b, ok := p.now(owner); ok {
			p.owner.mu.Unlock()
			return b, nil
		}
	}
	mine := make(chan turn, 1)
	if len(p.queues[who]) == 0 {
		p.turns = append(p.turns, who)
	}
	p.queues[who] = append(p.queues[who], mine)
	p.owner.mu.Unlock()

	patience := time.NewTimer(time.Duration(p.conf.Wait))
	defer patience.Stop()
	select {
	case t := <-mine:
		return t.b, nil
	case <-ctx.Done():
		return nil, p.leave(who, mine, context.Cause(ctx))
	case <-patience.C:
		return nil, p.leave(who, mine, &fault.Error{Op: "gate.Pool", Kind: fault.Unavailable, Err: ErrBusy,
			Say:  "all backends of this connection are in use, and none became free in time",
			Hint: "Try again, hold transactions for a shorter time, or raise pool.max_backends of the connection."})
	}
}

// ErrBusy is the cause of a refusal because no backend became free in time.
var ErrBusy = errors.New("every backend is in use")

// now is take without waiting. The lock is held.
func (p *pool) now(owner string) (*Backend, bool) {
	for _, want := range []string{owner, ""} {
		for i := len(p.idle) - 1; i >= 0; i-- {
			if p.idle[i].owner == want {
				return p.pick(i), true
			}
		}
	}
	if p.open < p.conf.MaxBackends {
		p.open++
		return nil, true
	}
	if len(p.idle) > 0 {
		return p.pick(0), true
	}
	return nil, false
}

func (p *pool) pick(i int) *Backend {
	b := p.idle[i]
	p.idle = append(p.idle[:i], p.idle[i+1:]...)
	return b
}

// leave gives up waiting; what had come meanwhile goes to the next.
func (p *pool) leave(who string, mine chan turn, why error) error {
	p.owner.mu.Lock()
	defer p.owner.mu.Unlock()
	select {
	case t := <-mine:
		p.hand(t)
	default:
		q := slices.DeleteFunc(p.queues[who], func(c chan turn) bool { return c == mine })
		if p.queues[who] = q; len(q) == 0 { // a turn that nobody waits for would be another's time
			delete(p.queues, who)
			p.turns = slices.DeleteFunc(p.turns, func(t string) bool { return t == who })
		}
	}
	return why
}

// hand gives a turn to the one whose turn it is, or keeps what it stands for. Those who wait take turns, so that one who asks
// for much does not hold up the others. The lock is held.
func (p *pool) hand(t turn) {
	if t.b != nil && p.gone {
		_ = t.b.hangUp()
		t.b = nil
	}
	if len(p.turns) > 0 {
		who := p.turns[0]
		p.turns = p.turns[1:]
		q := p.queues[who]
		if p.queues[who] = q[1:]; len(q) > 1 {
			p.turns = append(p.turns, who)
		} else {
			delete(p.queues, who)
		}
		q[0] <- t
		return
	}
	if t.b != nil {
		p.idle = append(p.idle, t.b)
		return
	}
	p.open--
}

// retired reports whether the document or the credential changed.
func (p *pool) retired() bool {
	p.owner.mu.Lock()
	defer p.owner.mu.Unlock()
	return p.gone
}

// give takes a backend back; false means that it must be closed.
func (p *pool) give(b *Backend, owner string) bool {
	p.owner.mu.Lock()
	defer p.owner.mu.Unlock()
	now := p.owner.clock()
	if p.gone || now.Sub(b.dialled) > time.Duration(p.conf.Lifetime) || now.Before(b.dialled) {
		return false
	}
	b.owner, b.idle = owner, now
	p.hand(turn{b})
	return true
}

// closed frees the place of a backend that was closed, or was not opened after all.
func (p *pool) closed() {
	p.owner.mu.Lock()
	defer p.owner.mu.Unlock()
	p.hand(turn{})
}

// pin counts a session that keeps its backend; false where too many do already.
func (p *pool) pin() bool {
	p.owner.mu.Lock()
	defer p.owner.mu.Unlock()
	if p.pinned >= p.conf.MaxPinned {
		return false
	}
	p.pinned++
	return true
}

func (p *pool) unpin() {
	p.owner.mu.Lock()
	defer p.owner.mu.Unlock()
	p.pinned--
}

// retire closes what is idle; what is leased is closed when it comes back. Those who wait are sent to look for the pool of
// now. The lock is held.
func (p *pool) retire() {
	p.gone = true
	for len(p.turns) > 0 {
		p.open++
		p.hand(turn{})
	}
	for _, b := range p.idle {
		_ = b.hangUp()
		p.open--
	}
	p.idle = nil
}

// Sweep closes backends that were idle for too long. It is called from time to time.
func (p *Pools) Sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock()
	for _, q := range p.all {
		kept := q.idle[:0]
		for _, b := range q.idle {
			if now.Sub(b.idle) < time.Duration(q.conf.Idle) && now.Sub(b.dialled) < time.Duration(q.conf.Lifetime) {
				kept = append(kept, b)
				continue
			}
			_ = b.hangUp()
			q.open--
		}
		q.idle = kept
	}
}

// Close closes every idle backend; those on lease are closed when they come back.
func (p *Pools) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range p.all {
		q.retire()
	}
	p.all = map[string]*pool{}
}

// Use tells how many backends a connection has, and how many of them are idle.
func (p *Pools) Use(connection string) (open, idle int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q := p.all[connection]; q != nil {
		return q.open, len(q.idle)
	}
	return 0, 0
}
