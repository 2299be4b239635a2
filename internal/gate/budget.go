package gate

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Budgets counts what principals used of what policy gives in portions: lookups by a masked field, and the rows and bytes of
// results. It counts in fixed windows, which begin with the first use, in the memory of this process. The zero value is ready
// to use, and safe for concurrent use.
type Budgets struct {
	mu    sync.Mutex
	used  map[budgetKey]window
	swept time.Time // when ended windows were last looked for
}

// budgetKey is what is counted: of whom, where, of what.
type budgetKey struct{ principal, connection, what string }

// window is what was used since it began.
type window struct {
	began, ends time.Time
	used        int64
}

// maxWindows bounds the memory of Budgets: some 20 MiB. Where as many windows are under way, whatever needs another is
// refused.
const maxWindows = 1 << 17

// take uses n of a budget up where as much is left. It returns what is left then (less than zero: nothing was taken), and
// when the window ends.
func (b *Budgets) take(k budgetKey, limit access.Budget, n int64, now time.Time) (left int64, ends time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w, ok := b.open(k, limit, now)
	if !ok {
		return -1, now.Add(limit.Per)
	}
	left = limit.Count - w.used - n
	if left >= 0 && n > 0 {
		w.used += n
		b.used[k] = w
	}
	return left, w.ends
}

// exhaust uses up what is left of a budget.
func (b *Budgets) exhaust(k budgetKey, limit access.Budget, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w, ok := b.open(k, limit, now); ok {
		w.used = limit.Count
		b.used[k] = w
	}
}

// open returns the window of k that is under way, or a new one; false where there is no room for one. b.mu is held.
func (b *Budgets) open(k budgetKey, limit access.Budget, now time.Time) (window, bool) {
	w, known := b.used[k]
	if known {
		w.ends = w.began.Add(limit.Per) // the policy may have changed
		if now.Before(w.ends) {
			return w, true
		}
	}
	if !known && len(b.used) >= maxWindows && !b.sweep(now) {
		return window{}, false
	}
	if b.used == nil {
		b.used = map[budgetKey]window{}
	}
	return window{began: now, ends: now.Add(limit.Per)}, true
}

// sweep forgets windows that have ended, at most once a second, and reports whether there is room now. b.mu is held.
func (b *Budgets) sweep(now time.Time) bool {
	if since := now.Sub(b.swept); since >= 0 && since < time.Second {
		return false
	}
	b.swept = now
	for k, w := range b.used {
		if !now.Before(w.ends) {
			delete(b.used, k)
		}
	}
	return len(b.used) < maxWindows
}

// looked is a masked field that a statement looks rows up by, and how often it may.
type looked struct {
	field string
	limit access.Budget
}

// lookups tells the masked fields that st looks rows up by: oracle is one by which it may not.
func (g *decider) lookups(st *access.Statement) (oracle string, all []looked) {
	if g.masks == nil {
		return "", nil
	}
	for _, f := range st.Looked {
		switch m, masked := g.masks.Field(f); {
		case masked && m.Lookup.Count <= 0:
			return f, nil
		case masked:
			all = append(all, looked{f, m.Lookup})
		}
	}
	return "", all
}

// lookUp uses up one lookup of every masked field that h looks rows up by. A statement that is refused or held has
// used them too: what policy makes of it may depend on the values.
func (g *decider) lookUp(h *Handle) error {
	now := g.clock()
	for _, l := range h.looked {
		k := budgetKey{g.caller.Principal.ID(), g.conn.Name, l.field}
		if left, ends := g.svc.Budgets.take(k, l.limit, 1, now); left < 0 {
			return &fault.Error{Op: "gate.Ask", Kind: fault.Denied,
				Say:  "permission denied: your lookups by " + l.field + " are used up until " + ends.UTC().Format(time.RFC3339),
				Hint: "The field is masked for you, and a policy bounds how often you may look rows up by it (allow_lookup)."}
		}
	}
	return nil
}

// estimating returns how r is estimated. How many rows would be found by a masked value depends on it, so that what is only
// prepared has used a lookup too where it is estimated.
func (g *decider) estimating(h *Handle, r Request) func() *int64 {
	if !r.Prepare || len(h.looked) == 0 || r.Estimate == nil {
		return r.Estimate
	}
	estimate := r.Estimate // all of r would be on the heap
	return func() *int64 {
		n := estimate()
		if n != nil && g.lookUp(h) != nil {
			return nil
		}
		return n
	}
}

// ErrBudget is the cause of a refusal, or of the end of a result, because a budget for results is used up.
var ErrBudget = errors.New("a budget is used up")

// meter is one bound on results, as it is counted.
type meter struct {
	rows, bytes budgetKey
	limit       access.ResultLimit
}

// meters are the bounds that a verdict sets on the results of this session.
func (g *decider) meters(limits []access.ResultLimit) []meter {
	if len(limits) == 0 {
		return nil
	}
	who := g.caller.Principal.ID()
	out := make([]meter, len(limits))
	for i, l := range limits {
		what := l.Because.Policy + "#" + strconv.Itoa(l.Because.Statement)
		out[i] = meter{budgetKey{who, g.conn.Name, what + " rows"}, budgetKey{who, g.conn.Name, what + " bytes"}, l}
	}
	return out
}

// take counts rows and bytes against one bound; the error names it where there is less left.
func (m *meter) take(b *Budgets, rows, bytes int64, now time.Time) error {
	for _, of := range [...]struct {
		key   budgetKey
		limit access.Budget
		n     int64
		unit  string
	}{{m.rows, m.limit.Rows, rows, "rows"}, {m.bytes, m.limit.Bytes, bytes, "bytes"}} {
		if of.limit.Count == 0 {
			continue
		}
		left, ends := b.take(of.key, of.limit, of.n, now)
		if left > 0 || left == 0 && of.n > 0 {
			continue
		}
		b.exhaust(of.key, of.limit, now)
		e := &fault.Error{Op: "gate.Budget", Kind: fault.Denied, Err: ErrBudget,
			Say: fmt.Sprintf("policy %s lets you have %d %s of results per %s, and they are used up until %s", m.limit.Because.Policy, of.limit.Count,
				of.unit, of.limit.Per, ends.UTC().Format(time.RFC3339)),
			Hint: m.limit.Message}
		if e.Hint == "" {
			e.Hint = "Ask for fewer rows, or wait."
		}
		return e
	}
	return nil
}

// budgeted refuses results of which nothing may be shown any more.
func (g *decider) budgeted(v access.Verdict) ([]meter, error) {
	all := g.meters(v.Results)
	for i := range all {
		if err := all[i].take(&g.svc.Budgets, 0, 0, g.clock()); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Budgeted reports whether the results of p count against a budget: then every row of them is to be counted with Spend
// before it leaves.
func (g *decider) Budgeted(p Permit) bool {
	s := g.look(p)
	return s != nil && len(s.meters) > 0
}

// Spend counts what is about to leave for the client under p. Where the budget does not hold it, nothing more may leave: the
// error's cause is ErrBudget.
func (g *decider) Spend(p Permit, rows, bytes int64) error {
	s := g.look(p)
	if s == nil {
		return errPermit("gate.Spend: not a permit of this session")
	}
	now := g.clock()
	for i := range s.meters {
		if err := s.meters[i].take(&g.svc.Budgets, rows, bytes, now); err != nil {
			return err
		}
	}
	return nil
}
