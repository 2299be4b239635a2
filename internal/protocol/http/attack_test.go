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
		{"Sec-Websocket-Protocol", "admin"}, {"Authorization", "Basic b3RoZXI6cGFzc3dvcmQ="}, {"Accept", "application/vnd.shop.v2+json"}, {"Baggage", "route=canary"}, {"B3rouge", "x"}} {
		st := understood(t, e, request(t, "POST", "/v1/rows", "{}", h[0], h[1])).statement
		if !strings.Contains(st.Text, h[0]+": "+h[1]) {
			t.Errorf("%s is no part of %q", h[0], st.Text)
		}
		if h[0] == "Authorization" && (len(st.Secrets) != 1 || st.Text[st.Secrets[0].Start:st.Secrets[0].End] != h[1]) {
			t.Errorf("the client's credential would be recorded: %v", st.Secrets)
		}
	}
	plain := understood(t, e, request(t, "POST", "/v1/rows", "{}")).statement
	for _, h := range [][2]string{{"Accept", "*/*"}, {"Baggage", "sentry-trace_id=1,sentry-sampled=true"}, {"B3", "0"}, {"Traceparent", "00-1"}} {
		if st := understood(t, e, request(t, "POST", "/v1/rows", "{}", h[0], h[1])).statement; st.Text != plain.Text {
			t.Errorf("what changes with each try, or says nothing, is a part of %q", st.Text)
		}
	}
	if st := understood(t, e, request(t, "POST", "/v1/rows", "{}", "Accept", "text/csv", "Baggage", "a=b")).statement; st.Fingerprint != plain.Fingerprint {
		t.Errorf("%q is another kind of request", st.Normal)
	}
	e.inject.how = access.Injection{As: "bearer"} // in whose place the gateway's own is sent
	if st := understood(t, e, request(t, "POST", "/v1/rows", "{}", "Authorization", "Basic b3RoZXI6cGFzc3dvcmQ=")).statement; strings.Contains(st.Text, "Authorization") {
		t.Errorf("what is not sent is a part of %q", st.Text)
	}
}
