package http

import (
	"strings"
	"testing"

	"gatehouse/internal/access"
)

// TestApprovalsBindWhatServersActOn: a reviewer sees, and an approval is for, headers that look like talk about the answer and are not.
func TestApprovalsBindWhatServersActOn(t *testing.T) {
	e := billing(t)
	e.inject = &injector{how: access.Injection{As: "header", Name: "X-Api-Key"}}
	for _, h := range [][2]string{{"Prefer", "resolution=merge-duplicates"}, {"Grpc-Metadata-X-Tenant", "other"}, {"Grpc-Encoding", "gzip"},
		{"Sec-Websocket-Protocol", "admin"}, {"Authorization", "Basic b3RoZXI6cGFzc3dvcmQ="}} {
		st := understood(t, e, request(t, "POST", "/v1/rows", "{}", h[0], h[1])).statement
		if !strings.Contains(st.Text, h[0]+": "+h[1]) {
			t.Errorf("%s is no part of %q", h[0], st.Text)
		}
		if h[0] == "Authorization" && (len(st.Secrets) != 1 || st.Text[st.Secrets[0].Start:st.Secrets[0].End] != h[1]) {
			t.Errorf("the client's credential would be recorded: %v", st.Secrets)
		}
	}
	e.inject.how = access.Injection{As: "bearer"} // in whose place the gateway's own is sent
	if st := understood(t, e, request(t, "POST", "/v1/rows", "{}", "Authorization", "Basic b3RoZXI6cGFzc3dvcmQ=")).statement; strings.Contains(st.Text, "Authorization") {
		t.Errorf("what is not sent is a part of %q", st.Text)
	}
}
