package aws

import (
	"net/http"
	"net/textproto"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire/exchange"
)

// maxSilence is how long an answer may say nothing.
const maxSilence = 5 * time.Minute

// answer has the gate send what was judged, and passes the answer on.
func (v *visit) answer(p gate.Permit) error {
	v.flow = exchange.NewFlow(v.x, v.w, maxSilence)
	defer v.flow.Close()
	v.flow.Watch(v.x, p, func(m access.Masks) bool { return reflect.DeepEqual(v.c.masks(m), v.hide) })
	defer exchange.Abandon(v.all)
	streams := !v.body.whole && v.body.size != 0
	if streams {
		// Not before it is permitted: net/http cannot use a connection again whose body nobody read after this.
		_ = http.NewResponseController(v.w).EnableFullDuplex() // HTTP/2 always is
	}
	sign, err := v.signing()
	var resp *http.Response
	if err == nil {
		resp, err = v.x.Send(v.r.Context(), p, sign)
	}
	if err != nil {
		if streams && v.r.ProtoMajor == 1 {
			v.w.Header().Set("Connection", "close")
		}
		_ = v.x.Done(p, gate.Outcome{Status: access.StatusError, Code: fault.KindOf(err).String()})
		return v.echo.Error(v.broken(err))
	}
	defer func() { _ = resp.Body.Close() }()
	v.flow.Begun()
	if resp.ContentLength < 0 {
		v.flow.Lasts()
	}
	exchange.Relax(v.all, maxSilence)
	n, hits, err := v.pass(p, resp)
	out := gate.Outcome{Status: access.StatusOK, Code: strconv.Itoa(resp.StatusCode), Rows: v.lists, Bytes: n, Masked: hits}
	if resp.StatusCode >= http.StatusBadRequest || err != nil {
		out.Status = access.StatusError
	}
	_, out.Digest = v.x.Digest()
	if done := v.x.Done(p, out); done != nil {
		return done
	}
	return v.echo.Error(err)
}

// broken words why there is no answer: where the client's own body was at fault, it learns that.
func (v *visit) broken(err error) error {
	if f := v.body.framed; f != nil && f.failed() != nil {
		return f.failed()
	}
	return err
}

// pass writes the answer to the client, and returns how many bytes of it, and how many values were hidden.
func (v *visit) pass(p gate.Permit, resp *http.Response) (n, hits int64, err error) {
	clean(resp.Header)
	redirected(resp)
	if err := v.scrub(resp); err != nil {
		return 0, 0, err
	}
	if err := v.queues(resp); err != nil {
		return 0, 0, err
	}
	if err := v.meter(p, resp); err != nil {
		return 0, 0, err
	}
	if v.x.Masked(p) || !v.hide.none() {
		if unframed(resp.Header.Get("Content-Encoding")) == "" { // some servers keep what only the upload was in
			resp.Header.Del("Content-Encoding")
		}
		return v.masked(resp)
	}
	v.heads(resp)
	exchange.Trailers(v.w, resp)
	v.w.WriteHeader(resp.StatusCode)
	pieces := resp.ContentLength < 0
	if pieces {
		_ = v.flow.Flush() // what comes in pieces may take its time
	}
	n, err = exchange.Pass(v.x, p, v.flow.Writer(v.w, pieces), v.flow.Body(resp.Body), v.p.buffers)
	if err == nil {
		exchange.Finish(v.w, resp, func(h http.Header) {
			clean(h)
			v.echo.Header(h)
		})
		err = v.flow.Flush()
	}
	if err != nil {
		return n, 0, fault.Wrap(fault.Backend, "aws.pass", err, "the answer ended before its end")
	}
	return n, 0, nil
}

// heads passes the answer's headers on.
func (v *visit) heads(resp *http.Response) {
	h := v.w.Header()
	for name, values := range resp.Header {
		h[name] = values
	}
	exchange.Length(v.w, resp)
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
