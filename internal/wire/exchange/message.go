package exchange

import (
	"gatehouse/internal/fault"
	"gatehouse/internal/mask/body"
)

// Message hides values in one message of text that stands for itself: JSON where it reads as JSON, else text, which has no paths. A
// message in which something lies at a path that nobody can tell is refused.
func (h *Hidden) Message(dst, text []byte) (out []byte, hits int64, err error) {
	if !h.Documents() {
		return append(dst, text...), 0, nil
	}
	out, hits, err = h.rules.Document(dst, text, body.JSON)
	if err == nil {
		return out, hits, nil
	}
	if h.rules.Paths() {
		return dst, 0, fault.Wrap(fault.Denied, "exchange.Message", err, "permission denied: messages are masked here, and this one is not JSON that can be read in one way only")
	}
	return h.rules.Document(dst, text, body.Text)
}
