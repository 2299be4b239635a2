package http

import (
	"net/http"
	"strconv"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire/exchange"
)

// answer has the gate send what was judged, and passes the answer on.
func (v *visit) answer(p gate.Permit) error {
	resp, err := v.x.Send(v.r.Context(), p, v.sign)
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
	if v.x.Masked(p) {
		return 0, fault.New(fault.Denied, "http.pass", "the answer holds what is masked for you, in a form that cannot be masked")
	}
	h := v.w.Header()
	for name, values := range resp.Header {
		h[name] = values
	}
	forward(h)
	exchange.Trailers(v.w, resp)
	v.w.WriteHeader(resp.StatusCode)
	buf := v.p.buffers.Get()
	defer v.p.buffers.Put(buf)
	n, err := v.x.Pass(p, exchange.Writer(v.w, resp), resp.Body, *buf)
	if err != nil {
		return n, fault.Wrap(fault.Backend, "http.pass", err, "the answer ended before its end")
	}
	exchange.Finish(v.w, resp)
	return n, nil
}
