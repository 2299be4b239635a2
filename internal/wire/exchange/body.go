package exchange

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"gatehouse/internal/fault"
)

// Body is what a client sends. It ends with an error where the client is silent for too long inside of it.
type Body struct {
	Held  []byte // what was held, where all of it was
	Whole bool   // all of it was held
	rest  io.ReadCloser
}

// Patient returns a request's body that gives up when the client is silent for longer than silence.
func Patient(w http.ResponseWriter, r *http.Request, silence time.Duration, clock func() time.Time) io.ReadCloser {
	if r.Body == nil || r.Body == http.NoBody {
		return http.NoBody
	}
	return &patient{body: r.Body, client: http.NewResponseController(w), silence: silence, clock: clock, left: r.ContentLength}
}

type patient struct {
	body   io.ReadCloser
	client *http.ResponseController
	clock  func() time.Time

	mu      sync.Mutex
	silence time.Duration
	over    bool  // the client's connection is no longer this body's
	left    int64 // bytes that the client said it sends; below 0 where it did not
}

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
	p.await()
	n, err := p.body.Read(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left -= int64(n)
	if whole := n > 0 && p.left == 0; err != nil || whole { // a transport may ask for the end of a whole body long after its answer
		if !p.over && (whole || errors.Is(err, io.EOF)) {
			_ = p.client.SetReadDeadline(time.Time{})
		}
		p.over = true
	}
	return n, err
}

func (p *patient) await() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		_ = p.client.SetReadDeadline(p.clock().Add(p.silence)) // of a test's recorder there is none
	}
}

// Close implements io.Closer.
func (p *patient) Close() error { return p.body.Close() }

// Relax gives a client another silence: once an answer has begun, the two may speak whenever they like.
func Relax(body io.ReadCloser, silence time.Duration) {
	if p, ok := body.(*patient); ok {
		p.mu.Lock()
		p.silence = silence
		p.mu.Unlock()
		p.await()
	}
}

// Abandon ends a body before its request's handler returns: whoever still reads it is told so, and the client's connection is not
// touched any more, as net/http demands (TestEarlyAnswer).
func Abandon(body io.ReadCloser) {
	if p, ok := body.(*patient); ok {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.over {
			p.over = true
			_ = p.client.SetReadDeadline(past)
		}
	}
}

// Hold reads up to limit bytes of a body. Where there is more, Whole is false and what was read comes first in what Stream gives.
func Hold(body io.ReadCloser, limit int) (*Body, error) {
	if body == http.NoBody {
		return &Body{Whole: true, rest: body}, nil
	}
	var b bytes.Buffer
	_, err := io.Copy(&b, io.LimitReader(body, int64(limit)+1))
	switch {
	case err != nil:
		return nil, fault.Wrap(fault.Malformed, "exchange.Hold", err, "the request's body ended before its end, or was too slow")
	case b.Len() <= limit:
		return &Body{Held: b.Bytes(), Whole: true, rest: http.NoBody}, nil
	}
	return &Body{rest: &joined{io.MultiReader(&b, body), body}}, nil
}

// Stream returns a body that was too large to be held, from its beginning.
func (b *Body) Stream() io.ReadCloser { return b.rest }

type joined struct {
	io.Reader
	io.Closer
}
