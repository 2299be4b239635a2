package aws

import (
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire/exchange"
)

// answer has the gate send what was judged, and passes the answer on.
func (v *visit) answer(p gate.Permit) error {
	sign, err := v.signing()
	var resp *http.Response
	if err == nil {
		resp, err = v.x.Send(v.r.Context(), p, sign)
	}
	if err != nil {
		_ = v.x.Done(p, gate.Outcome{Status: access.StatusError, Code: fault.KindOf(err).String()})
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	n, err := v.pass(p, resp)
	out := gate.Outcome{Status: access.StatusOK, Code: strconv.Itoa(resp.StatusCode), Bytes: n}
	if resp.StatusCode >= http.StatusBadRequest || err != nil {
		out.Status = access.StatusError
	}
	_, out.Digest = v.x.Digest()
	if done := v.x.Done(p, out); done != nil {
		return done
	}
	return err
}

// pass writes the answer to the client.
func (v *visit) pass(p gate.Permit, resp *http.Response) (int64, error) {
	clean(resp.Header)
	redirected(resp)
	if v.x.Masked(p) || !v.hide.none() {
		return v.masked(resp)
	}
	v.heads(resp)
	exchange.Trailers(v.w, resp)
	v.w.WriteHeader(resp.StatusCode)
	buf := v.p.buffers.Get()
	defer v.p.buffers.Put(buf)
	n, err := v.x.Pass(p, exchange.Writer(v.w, resp), resp.Body, *buf)
	if err != nil {
		return n, fault.Wrap(fault.Backend, "aws.pass", err, "the answer ended before its end")
	}
	exchange.Finish(v.w, resp)
	return n, nil
}

// heads passes the answer's headers on.
func (v *visit) heads(resp *http.Response) {
	h := v.w.Header()
	for name, values := range resp.Header {
		h[name] = values
	}
	if resp.ContentLength >= 0 && resp.Header.Get("Content-Length") == "" && v.r.Method != http.MethodHead {
		h.Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
}

// clean takes what is between two hops, and what a backend may have repeated of the gateway's own request, out of a header.
func clean(h http.Header) {
	for _, line := range h["Connection"] {
		for n := range strings.SplitSeq(line, ",") {
			h.Del(textproto.TrimString(n))
		}
	}
	for _, n := range [...]string{
		"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Proxy-Connection",
		"Authorization", "X-Amz-Security-Token", "Alt-Svc", "Strict-Transport-Security",
	} {
		h.Del(n)
	}
}

// redirected takes a redirect to another host out of an answer: who follows it would carry the token past the gateway.
func redirected(resp *http.Response) {
	if resp.StatusCode >= 300 && resp.StatusCode < 400 && strings.Contains(resp.Header.Get("Location"), "//") {
		resp.Header.Del("Location")
	}
}
