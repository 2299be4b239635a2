package http

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/protocol/http/grpc"
	"gatehouse/internal/wire/exchange"
)

// maxMessage bounds a message of gRPC that is read, where the connection's document allows no larger body: it is what most clients
// take at most.
const maxMessage = 4 << 20

// call is what a request is where it is a method of gRPC.
type call struct {
	schema *grpc.Schema
	method protoreflect.MethodDescriptor
	hider  *grpc.Hider // in what is answered; nil where nothing is hidden in messages
	until  time.Time   // the client's deadline; zero where it has none
	plain  bool        // its messages are Protocol Buffers, and not in another form that a backend may also take
}

var errLate = &fault.Error{Op: "http.answer", Kind: fault.Backend, Say: "the call's deadline has passed"}

// early is how much before a call's deadline a backend that keeps it, too, may give up.
const early = 100 * time.Millisecond

// punctual ends a round trip at its call's deadline.
func (v *visit) punctual(ctx context.Context) (context.Context, context.CancelFunc) {
	if v.call == nil || v.call.until.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadlineCause(ctx, v.call.until, errLate)
}

// late tells a backend that gave up at the deadline from one that cannot be reached.
func (v *visit) late(err error) error {
	if err != nil && v.call != nil && !v.call.until.IsZero() && v.p.clock().After(v.call.until.Add(-early)) && fault.KindOf(err) == fault.Backend {
		return errLate
	}
	return err
}

// calls reports whether a request is a method of gRPC that can be answered as one.
func calls(r *http.Request) bool {
	media, _, err := mediaType(r.Header.Get("Content-Type"))
	return err == nil && isGRPC(media) && r.ProtoMajor == 2
}

// checkCall tells whether the request is a method of gRPC. Its form for browsers is refused: there it hides in bodies what the
// gateway has to see, and in text what it has to mask.
func (v *visit) checkCall() error {
	media, _, err := mediaType(v.r.Header.Get("Content-Type"))
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(media, "application/grpc-web"):
		return refused("gRPC-Web is not spoken here: call with gRPC, or with HTTP and JSON")
	case !isGRPC(media):
		return nil
	case v.r.ProtoMajor != 2 || v.r.Method != http.MethodPost:
		return refused("a method of gRPC is called with a POST of HTTP/2")
	}
	kind := strings.ToLower(v.r.Header.Get("Content-Type"))
	v.call = &call{plain: kind == "application/grpc" || kind == "application/grpc+proto"}
	if d, ok := grpc.Timeout(v.r.Header.Get("Grpc-Timeout")); ok {
		v.call.until = v.p.clock().Add(d)
	}
	return nil
}

// patience is how long a backend has to describe a service; others wait for it.
const patience = 10 * time.Second

// describe finds out what the call's messages look like.
func (v *visit) describe(ctx context.Context) error {
	if v.call.method != nil {
		return nil
	}
	if !v.call.plain {
		return &fault.Error{Op: "http.describe", Kind: fault.Denied, Say: "permission denied: messages are masked here, and can be read as Protocol Buffers only",
			Hint: "Call with the Content-Type application/grpc."}
	}
	ctx, end := context.WithTimeout(ctx, patience)
	defer end()
	service, _, _ := strings.Cut(strings.TrimPrefix(v.t.path, "/"), "/")
	schema, err := v.e.schemas.of(ctx, service, func(path string, body []byte) ([]byte, error) { return v.reflection(ctx, path, body) })
	if err == nil {
		v.call.schema = schema
		if v.call.method = schema.Method(v.t.path); v.call.method != nil {
			return nil
		}
		err = errors.New("there is no such method")
	}
	return fault.Wrap(fault.Denied, "http.describe", err, "permission denied: messages are masked here, and what this method's look like is not known: "+
		"the connection needs descriptors or reflection that knows it")
}

// reflection asks the backend's server reflection: the gateway's own request, on record as such.
func (v *visit) reflection(ctx context.Context, path string, body []byte) ([]byte, error) {
	if err := v.prepare(ctx); err != nil {
		return nil, err
	}
	u := v.e.base.URL()
	out := gate.Outgoing{Method: http.MethodPost, URL: &url.URL{Scheme: u.Scheme, Host: u.Host, Path: v.e.base.Base + path}, Body: body,
		Header: http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}}}
	out.Host = hostOf(v.conn, out.URL)
	sign := func(_ context.Context, r *http.Request, c gate.Credential) error {
		_, err := v.e.inject.inject(r, c.User, c.Password, v.token, body)
		return err
	}
	f, err := v.x.Fetch(ctx, gate.Own{Name: prefix + "Reflection", Text: "POST " + path}, out, sign)
	if err != nil {
		return nil, err
	}
	return f.Body, nil
}

// readCall lets conditions read the message of a call that was held, where it is known what it looks like.
func (v *visit) readCall(ctx context.Context) {
	if v.call == nil || !v.body.Whole || !v.e.schemas.any() || v.describe(ctx) != nil {
		return
	}
	frames, err := grpc.NewFrames(bytes.NewReader(v.body.Held), v.r.Header.Get("Grpc-Encoding"), v.messageLimit())
	if err != nil {
		return
	}
	message, err := frames.Next()
	if err != nil {
		return
	}
	said, err := v.call.schema.JSON(bytes.Clone(message), v.call.method.Input())
	if _, more := frames.Next(); err == nil && errors.Is(more, io.EOF) {
		v.j.sent.Body = func() any { return said }
	}
}

func (v *visit) messageLimit() int {
	if o := v.conn.HTTP; o != nil {
		return max(o.MaxBody, maxMessage)
	}
	return maxMessage
}

// inMessages reports whether masks hide something in messages, and not in headers alone.
func inMessages(d access.DocumentMasks) bool {
	return d.Whole != nil || len(d.Paths) > 0 || len(d.Detect) > 0
}

// hideCall applies the masks of a call's request, and makes ready those of its answer. What a method's messages look like has to be
// known before anything is sent.
func (v *visit) hideCall(out *gate.Outgoing, answer, request access.DocumentMasks) error {
	if inMessages(answer) || inMessages(request) {
		if err := v.describe(v.r.Context()); err != nil {
			return err
		}
	}
	if inMessages(answer) {
		out.Header.Set("Grpc-Accept-Encoding", "identity")
		plan, err := v.call.schema.Plan(answer, v.p.key, v.conn.Name)
		if err != nil {
			return err
		}
		v.call.hider = plan.Hider()
	}
	hidden, err := v.p.masks.Of(request, v.conn.Name)
	if err != nil || hidden == nil {
		return err
	}
	hidden.Headers(out.Header)
	if out.Trailer = nil; !inMessages(request) || out.Stream == nil && out.Body == nil {
		return nil
	}
	plan, err := v.call.schema.Plan(request, v.p.key, v.conn.Name)
	if err != nil {
		return err
	}
	hider := plan.Hider()
	body := out.Stream
	if body == nil {
		body = io.NopCloser(bytes.NewReader(out.Body))
	}
	frames, err := grpc.NewFrames(body, out.Header.Get("Grpc-Encoding"), v.messageLimit())
	if err != nil {
		return refused("the messages have an encoding that is not known")
	}
	out.Header.Del("Grpc-Encoding")
	clean := grpc.Change(body, frames, func(m []byte) ([]byte, error) { return hider.Hide(m, v.call.method.Input()) })
	if out.Stream != nil {
		out.Stream, out.Length = clean, -1
		return nil
	}
	if out.Body, err = io.ReadAll(clean); err != nil {
		return refused("the messages are not what the method takes")
	}
	return nil
}

// plainCall takes the compression off a call's answer, where it is looked through for the backend's credential.
func (v *visit) plainCall(resp *http.Response) error {
	encoding := strings.Join(resp.Header.Values("Grpc-Encoding"), ",")
	if v.call == nil || v.echo == nil || encoding == "" || strings.EqualFold(encoding, "identity") {
		return nil
	}
	frames, err := grpc.NewFrames(resp.Body, encoding, v.messageLimit())
	if err != nil {
		return errEncoded
	}
	resp.Header.Del("Grpc-Encoding")
	resp.Body = grpc.Change(resp.Body, frames, func(m []byte) ([]byte, error) { return m, nil })
	return nil
}

// maskedCall writes an answer in whose messages values are hidden.
func (v *visit) maskedCall(hidden *exchange.Hidden, resp *http.Response) (n, hits int64, err error) {
	frames, err := grpc.NewFrames(v.flow.Body(resp.Body), resp.Header.Get("Grpc-Encoding"), v.messageLimit())
	if err != nil {
		return 0, 0, errEncoded
	}
	v.w.Header().Del("Grpc-Encoding")
	v.w.WriteHeader(resp.StatusCode)
	v.headed = true
	_ = v.flow.Flush()
	src := grpc.Change(resp.Body, frames, func(m []byte) ([]byte, error) { return v.call.hider.Hide(m, v.call.method.Output()) })
	n, err = io.Copy(v.flow.Writer(v.w, true), src)
	hits = v.call.hider.Hits
	if err != nil {
		return n, hits, fault.Wrap(fault.Backend, "http.maskedCall", err, "the answer ended before its end, or is not what the method answers")
	}
	exchange.Finish(v.w, resp, func(h http.Header) {
		exchange.Untell(h)
		v.echo.Header(h)
		hits += hidden.Headers(h)
		hideStatus(h)
	})
	return n, hits, nil
}

// hideStatus hides the words of a status: they could hold anything that messages do.
func hideStatus(h http.Header) {
	h.Del("Grpc-Status-Details-Bin")
	if h.Get("Grpc-Message") != "" {
		h.Set("Grpc-Message", "[redacted]")
	}
}

// status returns how a call ended, for the record: "" where it was none.
func (v *visit) status(resp *http.Response) string {
	if v.call == nil {
		return ""
	}
	if s := resp.Trailer.Get("Grpc-Status"); s != "" {
		return s
	}
	return resp.Header.Get("Grpc-Status")
}

// The codes of gRPC that refusals have.
const (
	callInvalid     = 3
	callTooLate     = 4
	callNotFound    = 5
	callDenied      = 7
	callExhausted   = 8
	callNotYet      = 9
	callInternal    = 13
	callUnavailable = 14
	callNobody      = 16
)

func codeOf(err error) int {
	var waits *gate.Awaiting
	switch {
	case errors.As(err, &waits):
		return callNotYet
	case errors.Is(err, gate.ErrBudget):
		return callExhausted
	case errors.Is(err, exchange.ErrSilent), errors.Is(err, errLate):
		return callTooLate
	}
	switch fault.KindOf(err) {
	case fault.Unauthenticated:
		return callNobody
	case fault.Denied:
		return callDenied
	case fault.Pending, fault.Conflict:
		return callNotYet
	case fault.Malformed:
		return callInvalid
	case fault.NotFound:
		return callNotFound
	case fault.Backend, fault.Unavailable:
		return callUnavailable
	}
	return callInternal
}

// endCall ends a call whose answer has begun, and may not go on, in gRPC's words. It reports false where that cannot be: the answer is then
// cut.
func (v *visit) endCall(resp *http.Response, why error) bool {
	media, _, err := mediaType(resp.Header.Get("Content-Type"))
	if v.call == nil || !v.headed || resp.ContentLength >= 0 || err != nil || !isGRPC(media) {
		return false
	}
	say, hint := fault.Say(why)
	if hint != "" {
		say += " (" + hint + ")"
	}
	h := v.w.Header()
	for name := range h { // a status of the backend's own may be there already
		if strings.HasPrefix(name, http.TrailerPrefix) {
			delete(h, name)
		}
	}
	h[http.TrailerPrefix+"Grpc-Status"] = []string{strconv.Itoa(codeOf(why))}
	h[http.TrailerPrefix+"Grpc-Message"] = []string{grpc.Escape(say)}
	return true
}

// refuseCall says no in gRPC's words: an answer that is nothing but its end.
func refuseCall(w http.ResponseWriter, err error) {
	say, hint := fault.Say(err)
	h := w.Header()
	var waits *gate.Awaiting
	if errors.As(err, &waits) {
		say = "a reviewer has to agree first: approval " + waits.Approval.ID + " is " + string(waits.Approval.State)
		hint = "Call again with the metadata gatehouse-approval: " + waits.Approval.ID
		h.Set(exchange.HeaderApproval, waits.Approval.ID)
	}
	if hint != "" {
		say += " (" + hint + ")"
	}
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", strconv.Itoa(codeOf(err)))
	h.Set("Grpc-Message", grpc.Escape(say))
	w.WriteHeader(http.StatusOK)
}
