package http

import (
	"context"
	"net/http"
	"net/textproto"
	"strings"

	"gatehouse/internal/gate"
)

func (v *visit) sign(_ context.Context, r *http.Request, c gate.Credential) error {
	if !c.Password.Empty() {
		r.Header.Set("Authorization", "Bearer "+string(c.Password.Reveal()))
	}
	return nil
}

func forward(h http.Header) {
	for _, line := range h["Connection"] {
		for n := range strings.SplitSeq(line, ",") {
			h.Del(textproto.TrimString(n))
		}
	}
	for _, n := range []string{"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Proxy-Connection", "Content-Length"} {
		h.Del(n)
	}
}
