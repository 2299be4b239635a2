package exchange

import (
	"bytes"
	"errors"
	"io"
	"net/http"
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
	return &patient{r.Body, http.NewResponseController(w), silence, clock}
}

type patient struct {
	io.ReadCloser
	client  *http.ResponseController
	silence time.Duration
	clock   func() time.Time
}

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
	_ = p.client.SetReadDeadline(p.clock().Add(p.silence)) // of a test's recorder there is none
	n, err := p.ReadCloser.Read(b)
	if errors.Is(err, io.EOF) {
		_ = p.client.SetReadDeadline(time.Time{})
	}
	return n, err
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
