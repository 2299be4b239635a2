package http

import (
	"net/http"

	"gatehouse/internal/gate"
)

// metered counts an answer against the budgets of a permit before it leaves: an answer is one row, and its body so many bytes.
type metered struct {
	http.ResponseWriter
	x *gate.Exchange
	p gate.Permit
}

// meter returns where an answer under p is written to. One for which nothing is left is refused before anything of it is written.
func (v *visit) meter(p gate.Permit) error {
	if !v.x.Budgeted(p) {
		return nil
	}
	v.w = &metered{v.w, v.x, p}
	return v.x.Spend(p, 1, 0)
}

// Write implements http.ResponseWriter.
func (m *metered) Write(b []byte) (int, error) {
	if err := m.x.Spend(m.p, 0, int64(len(b))); err != nil {
		return 0, err
	}
	return m.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (m *metered) Unwrap() http.ResponseWriter { return m.ResponseWriter }
