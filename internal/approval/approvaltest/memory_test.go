package approvaltest_test

import (
	"testing"

	"gatehouse/internal/approval"
	"gatehouse/internal/approval/approvaltest"
)

func TestMemory(t *testing.T) {
	approvaltest.RunStore(t, func(*testing.T) approval.Store { return new(approvaltest.Memory) })
}
