package http

import (
	"errors"
	"io"
	"net/http"
	"reflect"
	"strconv"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire/exchange"
)

// answer has the gate send what was judged, and passes the answer on.
func (v *visit) answer(p gate.Permit) error {
	v.flow = exchange.NewFlow(v.x, v.w, v.idle())
	defer v.flow.Close()
	v.flow.Watch(v.x, p, v.sameMasks())
	defer exchange.Abandon(v.all)
	ctx, end := v.punctual(v.r.Context())
	defer end()
	var resp *http.Response
	err := v.prepare(ctx)
	if err == nil {
		v.duplex()
		resp, err = v.x.Send(ctx, p, v.sign)
	}
	err = v.late(err)
	if err != nil {
		if v.streamed { // what is left of the body is nobody's
			v.w.Header().Set("Connection", "close")
		}
		_ = v.x.Done(p, gate.Outcome{Status: access.StatusError, Code: fault.KindOf(err).String()})
		return v.echo.Error(err)
	}
	defer func() { _ = resp.Body.Close() }()
	v.begun()
	if resp.ContentLength < 0 && resp.StatusCode != http.StatusSwitchingProtocols {
		v.flow.Lasts()
	}
	var n, hits int64
	if resp.StatusCode == http.StatusSwitchingProtocols {
		out, err := v.turn(ctx, p, resp)
		_, out.Digest = v.x.Digest()
		return errors.Join(v.echo.Error(err), v.x.Done(p, out))
	}
	if err = v.meter(p); err == nil {
		n, hits, err = v.pass(p, resp)
	}
	out := gate.Outcome{Status: access.StatusOK, Code: strconv.Itoa(resp.StatusCode), Bytes: n, Masked: hits}
	if resp.StatusCode >= http.StatusBadRequest || err != nil {
		out.Status = access.StatusError
	}
	if s := v.status(resp); s != "" && s != "0" {
		out.Status, out.Code = access.StatusError, out.Code+" grpc-status="+s
	}
	_, out.Digest = v.x.Digest()
	why := v.flow.Why()
	if why != nil {
		out.Code += " ended=policies"
	}
	if done := v.x.Done(p, out); done != nil {
		return done
	}
	if why != nil && v.endCall(resp, why) {
		return nil
	}
	return v.echo.Error(err)
}

// sameMasks tells whether masks hide in the request and its answer what they hide now.
func (v *visit) sameMasks() func(access.Masks) bool {
	resource, now := v.hides(), v.x.Masks()
	return func(m access.Masks) bool { return reflect.DeepEqual(hiding(m, resource), hiding(now, resource)) }
}

// hiding is what masks hide in an answer, and in a request.
func hiding(m access.Masks, resource string) (both [2]access.DocumentMasks) {
	if m != nil {
		both[0], both[1] = m.Document(resource, access.ToClient), m.Document(resource, access.ToBackend)
	}
	return both
}

// pass writes the answer to the client, and returns how many bytes of it, and how many values were hidden.
func (v *visit) pass(p gate.Permit, resp *http.Response) (n, hits int64, err error) {
	if err := v.readable(resp); err != nil {
		return 0, 0, err
	}
	if err := v.plainCall(resp); err != nil {
		return 0, 0, err
	}
	h := v.w.Header()
	for name, values := range resp.Header {
		h[name] = values
	}
	if v.x.Masked(p) || !v.hidden().None() {
		resp.Body = v.scrubbed.Of(v.echo, resp.Body, v.p.buffers)
		if n, hits, err = v.masked(resp); err != nil { // a refusal comes with nothing of the answer
			for name := range resp.Header {
				h.Del(name)
			}
			h.Del("Trailer")
		}
		return n, hits, err
	}
	exchange.Trailers(v.w, resp)
	exchange.Length(v.w, resp)
	v.w.WriteHeader(resp.StatusCode)
	v.headed = true
	if resp.ContentLength < 0 {
		_ = v.flow.Flush() // what comes in pieces may take its time
	}
	resp.Body = v.scrubbed.Of(v.echo, v.flow.Body(resp.Body), v.p.buffers)
	n, err = exchange.Pass(v.x, p, v.flow.Writer(v.w, resp.ContentLength < 0), resp.Body, v.p.buffers)
	if err == nil {
		exchange.Finish(v.w, resp, v.echo.Header)
		if resp.ContentLength != 0 { // a header that is all of an answer of gRPC must end it
			err = v.flow.Flush()
		}
	}
	if err != nil {
		return n, 0, fault.Wrap(fault.Backend, "http.pass", err, "the answer ended before its end")
	}
	return n, 0, nil
}

// masked writes an answer in which values are hidden. One that cannot be read is refused before anything of it was written, or cut.
func (v *visit) masked(resp *http.Response) (n, hits int64, err error) {
	hidden, err := v.p.masks.Of(v.hidden(), v.conn.Name)
	if err != nil {
		return 0, 0, err
	}
	h := v.w.Header()
	exchange.Untell(h)
	hits = hidden.Headers(h)
	if v.call != nil && v.call.hider != nil {
		hideStatus(h)
	}
	if bodyless(v.r, resp) {
		v.w.WriteHeader(resp.StatusCode)
		return 0, hits, nil
	}
	exchange.Trailers(v.w, resp)
	if media, _, err := mediaType(resp.Header.Get("Content-Type")); v.call != nil && v.call.hider != nil && err == nil && isGRPC(media) {
		n, more, err := v.maskedCall(hidden, resp)
		return n, hits + more, err
	}
	w := exchange.Postpone(v.w, resp.StatusCode)
	n, more, err := v.document(w, hidden, resp)
	hits += more
	if err != nil {
		return n, hits, err
	}
	w.Begin()
	exchange.Finish(v.w, resp, func(h http.Header) {
		exchange.Untell(h)
		v.echo.Header(h)
		hits += hidden.Headers(h)
		if v.call != nil && v.call.hider != nil {
			hideStatus(h)
		}
	})
	return n, hits, v.flow.Flush()
}

// document writes the body of an answer in which values are hidden.
func (v *visit) document(w http.ResponseWriter, hidden *exchange.Hidden, resp *http.Response) (n, hits int64, err error) {
	resp.Body = v.flow.Body(resp.Body)
	if !hidden.Documents() {
		n, err = io.Copy(v.flow.Writer(w, true), resp.Body)
		return n, 0, err
	}
	src, m, err := hidden.Open(resp)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = src.Close() }()
	w.Header().Del("Content-Encoding")
	if m == nil {
		n, err = io.Copy(v.flow.Writer(w, true), src)
		return n, 0, err
	}
	n, err = exchange.Rebuild(v.flow.Writer(w, resp.ContentLength < 0), src, m, v.p.buffers, resp.ContentLength)
	return n, m.Hits(), err
}

// bodyless reports whether an answer has no body, whatever its header says (RFC 9112, section 6.3).
func bodyless(r *http.Request, resp *http.Response) bool {
	return r.Method == http.MethodHead || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified ||
		resp.ContentLength == 0
}
