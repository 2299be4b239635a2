package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gatehouse/internal/api/apitest"
	"gatehouse/internal/api/message"
)

// deadlines is an answer that remembers which deadlines it was given.
type deadlines struct {
	*httptest.ResponseRecorder
	read, write *time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error  { d.read = &t; return nil }
func (d *deadlines) SetWriteDeadline(t time.Time) error { d.write = &t; return nil }

// TestExportIsPatient: a policy of a long log comes late, and no deadline of other requests cuts it off.
func TestExportIsPatient(t *testing.T) {
	g := newGateway(t)
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/policy/export?role=refund-fn", nil)
	req.Header.Set("Authorization", "Bearer "+apitest.AdminToken)
	d := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	g.h.ServeHTTP(d, req)
	var out message.PolicyExport
	if err := json.Unmarshal(d.Body.Bytes(), &out); err != nil || d.Code != http.StatusOK || out.Role != "refund-fn" || out.Format != "gatehouse" {
		t.Fatalf("%d %s %v", d.Code, d.Body, err)
	}
	if d.read == nil || !d.read.IsZero() || d.write == nil || !d.write.IsZero() {
		t.Errorf("deadlines stay: read %v, write %v", d.read, d.write)
	}
}
