package aws

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire"
	"gatehouse/internal/wire/exchange"
)

const silence = 30 * time.Second // of a client inside of a body

// visit is one call on its way.
type visit struct {
	p    *protocol
	w    http.ResponseWriter
	r    *http.Request
	x    *gate.Exchange
	conn *access.Connection
	at   place
	read *routed
	c    *call
	hide masks // what is masked in the call and its answer
	body payload
	all  io.ReadCloser
	flow *exchange.Flow
	keys aws.Credentials // that the call was signed with

	lists    int64 // how many items the answer lists, where they are counted
	echo     *exchange.Echo
	scrubbed exchange.Scrubbed
}

// payload is what a client sends as the body.
type payload struct {
	stream io.ReadCloser
	held   []byte
	whole  bool   // all of it is in held
	digest string // as it stands in the signature that the backend sees
	size   int64  // -1 where not known
	framed *framed
}

// Serve implements wire.Exchanger: one call, from top to bottom.
func (p *protocol) Serve(w http.ResponseWriter, r *http.Request, x *gate.Exchange, hello wire.Hello) error {
	v := &visit{p: p, w: w, r: r, x: x, conn: x.Connection()}
	v.at = placeOf(v.conn)
	back := exchange.Return(r)
	back.Same = true // SDKs set no header of ours
	_, target, bucket, err := where(r, hello.Domain)
	if err != nil {
		return x.RefuseText(err, len(r.RequestURI))
	}
	if looked, err := exchange.Look(w, r, x, target); looked {
		return err
	}
	if err := v.understand(target, bucket); err != nil {
		return x.RefuseText(err, len(r.RequestURI))
	}
	if err := x.Refresh(); err != nil {
		return err
	}
	version := x.Version()
	v.hide = v.c.masks(x.Masks())
	h := x.Judge(v.c.statement(!v.hide.named()))
	if err := v.c.steered(v.hide); err != nil {
		return x.Refuse(h, nil, err)
	}
	if err := v.hold(h); err != nil {
		return x.Refuse(h, nil, err)
	}
	out, err := v.outgoing()
	if err != nil {
		return x.Refuse(h, nil, err)
	}
	permit, err := x.Ask(r.Context(), h, gate.Request{Rows: true, Sent: v.c.sent(mediaType(r.Header), v.sizeOf()), Exact: v.body.held, Unseen: !v.body.whole && v.body.size != 0, Return: back}, out)
	if err != nil {
		return err
	}
	if x.Version() != version { // what is hidden would be what policies said before
		return errChanged
	}
	return v.answer(permit)
}

var errChanged = &fault.Error{Op: "aws.Serve", Kind: fault.Unavailable, Say: "the policies changed while the call was on its way: it was not sent", Hint: "Send it again."}

func mediaType(h http.Header) string {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

func (v *visit) sizeOf() *int64 {
	if v.body.size < 0 {
		return nil
	}
	return &v.body.size
}

// understand finds out what the call is, and holds its parameters where they stand in the body.
func (v *visit) understand(target, bucket string) error {
	m, err := v.p.models.of(v.conn)
	if err != nil {
		return err
	}
	h := head{Method: v.r.Method, Header: v.r.Header, Bucket: bucket}
	h.Path, h.Query, _ = strings.Cut(target, "?")
	if v.read, err = m.route(h); err != nil {
		return err
	}
	if v.read.scope.Presigned && (v.conn.AWS == nil || v.conn.AWS.Presigned != "allow") {
		return fault.New(fault.Denied, "aws.understand", "presigned URLs are not allowed on connection %s", v.conn.Name)
	}
	if v.read.scope.Presigned && v.p.clock().After(v.read.scope.Until) {
		return fault.New(fault.Denied, "aws.understand", "the presigned URL has expired: sign another")
	}
	if err := v.open(); err != nil {
		return err
	}
	if v.read.holds() {
		if err := v.holdAll(); err != nil {
			return err
		}
	}
	v.c, err = understand(v.read, v.body.held, v.at)
	return err
}

// open takes the frames off a body that was sent in signed chunks, and notes which digest is declared.
func (v *visit) open() error {
	stream := exchange.Patient(v.w, v.r, silence, v.p.clock)
	v.all = stream
	v.body = payload{stream: stream, size: v.r.ContentLength}
	if stream == http.NoBody {
		v.body.size = 0
	}
	declared := v.r.Header.Values("X-Amz-Content-Sha256")
	switch {
	case len(declared) > 1:
		return malformed("X-Amz-Content-Sha256 stands twice")
	case len(declared) == 1 && strings.HasPrefix(declared[0], "STREAMING-"):
		f, err := openFrames(v.r.Header, declared[0], stream)
		if err != nil {
			return err
		}
		v.body.framed, v.body.stream, v.body.size = f, f, f.size
	case len(declared) == 1 && digestForm(declared[0]):
		v.body.digest = declared[0]
	case len(declared) == 1 && declared[0] != unsignedPayload:
		return malformed("X-Amz-Content-Sha256 is neither a digest nor one of the words that are understood")
	}
	return nil
}

func digestForm(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && s == strings.ToLower(s)
}

// holdAll reads the body. What is declared of it must hold.
func (v *visit) holdAll() error {
	if v.body.whole {
		return nil
	}
	b, err := exchange.Hold(v.body.stream, maxHeld)
	if err != nil {
		return v.broken(err)
	}
	if !b.Whole {
		return malformed("the body of the call is larger than %d bytes, which is all that can be held to be judged", maxHeld)
	}
	v.body.held, v.body.whole, v.body.stream, v.body.size = b.Held, true, nil, int64(len(b.Held))
	sum := sha256.Sum256(b.Held)
	digest := hex.EncodeToString(sum[:])
	if v.body.digest != "" && subtle.ConstantTimeCompare([]byte(v.body.digest), []byte(digest)) == 0 {
		return malformed("the body is not the one that X-Amz-Content-Sha256 is a digest of")
	}
	v.body.digest = digest
	return nil
}

// hold reads a body of bytes where the decision needs it: an approval is for one body.
func (v *visit) hold(h *gate.Handle) error {
	if v.x.Holds(h) {
		return v.holdAll()
	}
	return nil
}
