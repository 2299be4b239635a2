package main

import (
	"path/filepath"
	"testing"
	"time"

	"gatehouse/internal/approval"
	"gatehouse/internal/approval/approvaltest"
	"gatehouse/internal/store"
)

// TestApprovalsOverTheStore: the waiting room's own suite passes over the store that the gateway uses.
func TestApprovalsOverTheStore(t *testing.T) {
	approvaltest.RunStore(t, func(t *testing.T) approval.Store {
		s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return waitingStore{s.Approvals()}
	})
}
