// Package approvaltest holds what every store of approvals must pass (RunStore), and one store that keeps them in
// memory, which passes it (TestMemory). It is for tests.
package approvaltest

import (
	"context"
	"slices"
	"sync"

	"gatehouse/internal/access"
	"gatehouse/internal/approval"
	"gatehouse/internal/fault"
)

// Memory is an approval.Store in memory. The zero value is ready, and safe for concurrent use.
type Memory struct {
	mu  sync.Mutex
	all []access.Approval
}

var _ approval.Store = (*Memory)(nil)

func (m *Memory) find(id string) int {
	return slices.IndexFunc(m.all, func(a access.Approval) bool { return a.ID == id })
}

// Insert implements approval.Store.
func (m *Memory) Insert(ctx context.Context, a access.Approval) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.find(a.ID) >= 0 {
		return fault.New(fault.Conflict, "approvaltest.Insert", "approval %s exists", a.ID)
	}
	m.all = append(m.all, a)
	return nil
}

// Get implements approval.Store.
func (m *Memory) Get(ctx context.Context, id string) (access.Approval, error) {
	if err := ctx.Err(); err != nil {
		return access.Approval{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.find(id)
	if i < 0 {
		return access.Approval{}, fault.New(fault.NotFound, "approvaltest.Get", "there is no approval %s", id)
	}
	return m.all[i], nil
}

// List implements approval.Store.
func (m *Memory) List(ctx context.Context, f approval.Filter) ([]access.Approval, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []access.Approval
	for _, a := range m.all {
		if (len(f.States) == 0 || slices.Contains(f.States, a.State)) &&
			(f.Principal == "" || f.Principal == a.Principal) && (f.Digest == "" || f.Digest == a.Digest) {
			out = append(out, a)
		}
	}
	slices.SortStableFunc(out, func(a, b access.Approval) int { return a.RequestedAt.Compare(b.RequestedAt) })
	if f.Limit > 0 && len(out) > f.Limit {
		out = out[len(out)-f.Limit:]
	}
	return out, nil
}

// Transition implements approval.Store.
func (m *Memory) Transition(ctx context.Context, from access.ApprovalState, next access.Approval) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.find(next.ID)
	if i < 0 || m.all[i].State != from {
		return false, nil
	}
	m.all[i] = next
	return true, nil
}
