package http

import (
	"net/http"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/protocol/http/websocket"
	"gatehouse/internal/wire/exchange"
)

// How a browser, which cannot set a header, shows its token: as a subprotocol, which is taken out before anything is sent. Since a
// browser gives up where none of the subprotocols that it offers is chosen, it may offer the plain word too, which the gateway
// chooses where the backend chooses nothing.
const (
	protocolWord  = "gatehouse"
	protocolToken = "gatehouse.bearer." // #nosec G101 -- what stands before a token
)

// upgrades reports whether a request asks for another protocol on its connection.
func upgrades(r *http.Request) bool { return len(r.Header["Upgrade"]) > 0 }

// tokenOf takes the token out of the subprotocols that a client offers.
func tokenOf(r *http.Request) (access.Secret, bool) {
	var kept []string
	var token string
	found := 0
	for _, p := range listed(r.Header, "Sec-Websocket-Protocol") {
		if t, ok := strings.CutPrefix(p, protocolToken); ok {
			token = t
			found++
			continue
		}
		kept = append(kept, p)
	}
	r.Header.Del("Sec-Websocket-Protocol")
	if len(kept) > 0 {
		r.Header.Set("Sec-Websocket-Protocol", strings.Join(kept, ", "))
	}
	if upgrades(r) {
		exchange.Forget(r, token)
	}
	return access.NewSecret([]byte(token)), found == 1 && upgrades(r) // what asks for no WebSocket does not keep it either
}

// listed returns the members of a header that is a list.
func listed(h http.Header, name string) (out []string) {
	for _, line := range h[name] {
		for p := range strings.SplitSeq(line, ",") {
			if p = strings.TrimSpace(p); p != "" {
				out = append(out, p)
			}
		}
	}
	return out
}

func has(list []string, word string) bool {
	for _, w := range list {
		if strings.EqualFold(w, word) {
			return true
		}
	}
	return false
}

// checkUpgrade refuses every request for another protocol but a proper one for WebSocket (RFC 6455, section 4.2.1), where the
// connection's document lets clients ask.
func (v *visit) checkUpgrade() error {
	r := v.r
	if !upgrades(r) {
		return nil
	}
	one := func(name string) string {
		if values := r.Header[name]; len(values) == 1 {
			return values[0]
		}
		return ""
	}
	switch {
	case v.conn.HTTP == nil || !v.conn.HTTP.WebSocket:
		return &fault.Error{Op: "http.checkUpgrade", Kind: fault.Denied, Say: "connection " + v.conn.Name + " does not let clients ask for another protocol",
			Hint: "http.websocket in the connection's document lets them ask for WebSocket."}
	case r.ProtoMajor != 1 || r.ProtoMinor < 1 || r.Method != http.MethodGet || r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return refused("a WebSocket is asked for with a GET of HTTP/1.1 that has no body")
	case !strings.EqualFold(one("Upgrade"), "websocket") || !has(listed(r.Header, "Connection"), "upgrade"):
		return refused("no other protocol than WebSocket can be asked for")
	case one("Sec-Websocket-Version") != "13":
		v.w.Header().Set("Sec-Websocket-Version", "13")
		return refused("the gateway speaks version 13 of WebSocket")
	case !websocket.ValidKey(one("Sec-Websocket-Key")):
		return refused("Sec-WebSocket-Key is not 16 bytes in base64")
	}
	return nil
}

// askUpgrade puts into a request what asks the backend for a WebSocket: extensions would make frames that the gateway cannot read.
func (v *visit) askUpgrade(out *gate.Outgoing) {
	h := out.Header
	h.Del("Sec-Websocket-Extensions")
	h.Del("Sec-Websocket-Protocol")
	if v.upgrade == "" {
		return
	}
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", "websocket")
	h.Set("Sec-Websocket-Version", "13")
	h["Sec-Websocket-Key"] = v.r.Header["Sec-Websocket-Key"]
	if offered := v.offered(); len(offered) > 0 {
		h.Set("Sec-Websocket-Protocol", strings.Join(offered, ", "))
	}
}

// offered is the subprotocols that the client offers the backend.
func (v *visit) offered() (out []string) {
	for _, p := range listed(v.r.Header, "Sec-Websocket-Protocol") {
		if p != protocolWord {
			out = append(out, p)
		}
	}
	return out
}

// chosen checks the backend's answer (section 4.1), and returns the subprotocol that the client is told; "" for none.
func (v *visit) chosen(resp *http.Response) (string, error) {
	wrong := func(what string) (string, error) {
		return "", fault.New(fault.Backend, "http.chosen", "the backend's answer to the WebSocket is wrong: %s", what)
	}
	chose := listed(resp.Header, "Sec-Websocket-Protocol")
	switch {
	case v.upgrade == "":
		return wrong("nobody asked for one")
	case !strings.EqualFold(resp.Header.Get("Upgrade"), "websocket") || !has(listed(resp.Header, "Connection"), "upgrade"):
		return wrong("it turns to another protocol")
	case resp.Header.Get("Sec-Websocket-Accept") != websocket.Accept(v.r.Header.Get("Sec-Websocket-Key")):
		return wrong("it does not accept the key")
	case len(resp.Header["Sec-Websocket-Extensions"]) > 0:
		return wrong("it chooses extensions that nobody offered")
	case len(chose) > 1 || len(chose) == 1 && !has(v.offered(), chose[0]):
		return wrong("it chooses a subprotocol that nobody offered")
	case len(chose) == 1:
		return chose[0], nil
	case has(listed(v.r.Header, "Sec-Websocket-Protocol"), protocolWord):
		return protocolWord, nil
	}
	return "", nil
}
