package gate

import (
	"context"
	"strings"
	"sync"
	"unicode"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// A transaction that waits for a reviewer keeps its locks, and with them everybody who needs the same rows. So it is refused
// unless the connection says otherwise: the approval is filed all the same, for the same principal to use once when it runs
// the transaction again.

// Held counts the transactions that wait for a reviewer, by connection. The zero value is ready to use, and safe for
// concurrent use.
type Held struct {
	mu sync.Mutex
	by map[string]int
}

// mostHeld is how many transactions may wait on a connection that does not say.
const mostHeld = 10

// holdInTransaction is the word of a connection's document by which transactions wait.
const holdInTransaction = "hold"

// enter takes a place among a connection's waiting transactions; false where there is none.
func (h *Held) enter(c *access.Connection) bool {
	most := c.MaxHeldTransactions
	if most <= 0 {
		most = mostHeld
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.by[c.Name] >= most {
		return false
	}
	if h.by == nil {
		h.by = map[string]int{}
	}
	h.by[c.Name]++
	return true
}

func (h *Held) leave(connection string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.by[connection]--; h.by[connection] <= 0 {
		delete(h.by, connection)
	}
}

// mayWait reports whether r may wait for a reviewer where it is; leave is called when it no longer does.
func (g *decider) mayWait(r Request) (may bool, leave func()) {
	if !r.Within {
		return true, func() {}
	}
	name := g.conn.Name
	if g.conn.HoldInTransaction != holdInTransaction || !g.svc.Held.enter(g.conn) {
		return false, func() {}
	}
	return true, func() { g.svc.Held.leave(name) }
}

// locked adds to a policy's words what the transaction that waits has locked.
func locked(ctx context.Context, message string, r Request) string {
	if !r.Within || r.Locks == nil {
		return message
	}
	text := "open locks: " + strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return -1
	}, r.Locks(ctx))
	if message == "" {
		return text
	}
	return message + " (" + text + ")"
}

// notWithin words the refusal of a transaction that does not wait.
func notWithin(a access.Approval) error {
	return &fault.Error{Op: "gate.hold", Kind: fault.Pending,
		Say: "this needs approval " + a.ID + ", and a transaction does not wait for it here",
		Hint: "Roll back. A reviewer answers with: gatehouse approvals approve " + a.ID + " --reason ... Then run the transaction again: " +
			"the approval is good for this statement, once, until " + a.ExpiresAt.UTC().Format("2006-01-02T15:04:05Z") + "."}
}
