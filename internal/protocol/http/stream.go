package http

import (
	"net/http"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/wire/exchange"
)

// defaultIdle is how long an answer may say nothing where a connection does not say.
const defaultIdle = 5 * time.Minute

// idle is how long an answer, or a connection that was upgraded, may say nothing.
func (v *visit) idle() time.Duration {
	if o := v.conn.HTTP; o != nil && o.IdleTimeout > 0 {
		return time.Duration(o.IdleTimeout)
	}
	return defaultIdle
}

// stream makes ready what is sent as it comes: its trailers follow it, and both sides may speak at once. A client that waits to be
// told to go on (RFC 9110, section 10.1.1) waits for the backend's word, as the body is asked for only then.
func (v *visit) stream(out *gate.Outgoing) {
	v.askUpgrade(out)
	if out.Stream == nil {
		return
	}
	out.Trailer, out.Stream = exchange.Trailing(v.r, out.Stream)
	out.Stream = exchange.Uploading(out.Stream, func() *exchange.Flow { return v.flow })
	if v.waits {
		out.Header.Set("Expect", "100-continue")
	}
	v.streamed = true
}

// duplex lets both sides speak at once, now that the request is sent: net/http does not read what is left of the body of one that
// is refused any more.
func (v *visit) duplex() {
	if v.streamed {
		_ = http.NewResponseController(v.w).EnableFullDuplex() // HTTP/2 always is
	}
}

// begun is called when the answer's header is there.
func (v *visit) begun() {
	v.flow.Begun()
	exchange.Relax(v.all, v.idle())
}
