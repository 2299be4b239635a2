package postgres

import (
	"context"
	"encoding/json"

	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
)

// estimate returns how an update or delete would be estimated by the server's planner; nil in it means that it cannot be
// said: there are parameters, something volatile, a failed transaction, or a pipeline under way. What is not known makes
// a condition that reads it hold, or ask.
func (s *session) estimate(ctx context.Context, u *understood) func() *int64 {
	return func() *int64 {
		if !u.a.WritesEstimate || !s.synced || s.state.tx == txFailed {
			return nil
		}
		plan, err := s.ownText(ctx, gate.Own{Name: estimateName, Text: estimatePrefix + u.h.Recorded()}, estimatePrefix+u.a.Text, msgSync)
		s.heard()
		if err != nil {
			if fault.KindOf(err) == fault.Backend {
				s.cut = err
			}
			return nil
		}
		return plannedRows(plan)
	}
}

// plannedRows reads the estimate out of a plan: what the node below the write hands it.
func plannedRows(text []byte) *int64 {
	type node struct {
		Rows  float64 `json:"Plan Rows"`
		Plans []node
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal(text, &plans); err != nil || len(plans) != 1 || len(plans[0].Plan.Plans) == 0 {
		return nil
	}
	var rows int64
	for _, p := range plans[0].Plan.Plans {
		if p.Rows < 0 || p.Rows > 1e15 {
			return nil
		}
		rows += int64(p.Rows)
	}
	return &rows
}
