package http

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// Bounds on the headers of a request.
const (
	maxHeaders     = 200      // lines
	maxHeaderBytes = 64 << 10 // names and values
)

// cleanRequest removes from a client's headers what is between the client and the gateway, and what only a gateway may say. It
// refuses what would change how the backend reads what was judged. upgrade is the protocol that the client wants its connection
// to become, in lower case.
func cleanRequest(h http.Header) (upgrade string, err error) {
	if err := checkHeaders(h); err != nil {
		return "", err
	}
	if err := checkConnection(h); err != nil {
		return "", err
	}
	trailers := slices.ContainsFunc(h["Te"], func(v string) bool { return strings.EqualFold(strings.TrimSpace(v), "trailers") })
	upgrade = strings.ToLower(h.Get("Upgrade"))
	for name := range h {
		switch {
		case overrides(name):
			return "", refused("the header %s asks for another method or path than the request's", name)
		case hopByHop(name), gatewaysOwn(name), vouches(name), !plainName(name):
			delete(h, name)
		}
	}
	if trailers {
		h.Set("Te", "trailers") // gRPC's servers insist on it
	}
	if cookies := h["Cookie"]; len(cookies) > 1 {
		h.Set("Cookie", strings.Join(cookies, "; "))
	}
	return upgrade, nil
}

// checkHeaders refuses headers that are too many, cannot be written, or stand twice where readers differ in which one counts.
func checkHeaders(h http.Header) error {
	lines, size := 0, 0
	for name, values := range h {
		lines += len(values)
		for _, v := range values {
			size += len(name) + len(v)
			switch {
			case !writable(v):
				return refused("a header holds a control character")
			case v != textproto.TrimString(v): // HTTP/2 carries what HTTP/1.1 leaves away (RFC 9113, section 8.2.1)
				return refused("the value of a header begins or ends with a space")
			}
		}
		if len(values) > 1 && single(name) {
			return refused("the header %s stands twice", name)
		}
	}
	if lines > maxHeaders || size > maxHeaderBytes {
		return refused("the request has more than %d headers, or more than %d bytes of them", maxHeaders, maxHeaderBytes)
	}
	if e := h.Get("Expect"); e != "" && !strings.EqualFold(e, "100-continue") {
		return refused("nothing but 100-continue can be expected")
	}
	return nil
}

// checkConnection refuses a Connection that names a header which is the backend's to read: a gateway would have to remove it.
func checkConnection(h http.Header) error {
	for _, line := range h["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			switch o := strings.ToLower(textproto.TrimString(option)); o {
			case "", "close", "keep-alive", "upgrade", "te", "trailer", "trailers", "http2-settings", "proxy-connection":
			default:
				return refused("the header Connection names a header that is not between the client and the gateway")
			}
		}
	}
	return nil
}

// writable reports whether a value can stand in a header.
func writable(v string) bool {
	for i := 0; i < len(v); i++ {
		if v[i] < ' ' && v[i] != '\t' || v[i] == 0x7f {
			return false
		}
	}
	return true
}

// plainName reports whether a name is of letters, digits and hyphens. Others become the same variable as a plain one where a
// server hands headers to programs (Content_Length, X.Forwarded.For), and are dropped, as most servers do.
func plainName(name string) bool {
	for i := 0; i < len(name); i++ {
		if c := name[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return name != ""
}

// single reports whether a header has one value.
func single(name string) bool {
	switch name {
	case "Authorization", "Content-Disposition", "Content-Encoding", "Content-Length", "Content-Location", "Content-Range", "Content-Type",
		"Date", "Expect", "From", "Grpc-Encoding", "Grpc-Timeout", "Host", "If-Modified-Since", "If-Range", "If-Unmodified-Since", "Idempotency-Key", "Max-Forwards",
		"Origin", "Proxy-Authorization", "Range", "Referer", "Upgrade", "User-Agent":
		return true
	}
	return false
}

// hopByHop reports whether a header is about one connection (RFC 9110, 7.6.1), or about framing, which the gateway does anew.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Content-Length", "Expect", "Http2-Settings", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info",
		"Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Trailers", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// gatewaysOwn reports whether a header is between clients and this gateway.
func gatewaysOwn(name string) bool {
	return strings.HasPrefix(name, "Gatehouse-") || strings.HasPrefix(name, "X-Gatehouse-")
}

// overrides reports whether frameworks read a header in place of the request's own method or path.
func overrides(name string) bool {
	switch strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(name), "_", "-"), ".", "-") {
	case "x-http-method-override", "x-http-method", "x-method-override", "x-original-method", "x-original-url", "x-original-uri",
		"x-rewrite-url", "x-rewrite-uri", "x-override-url", "x-http-destinationurl", "x-http-path-override", "x-envoy-original-path":
		return true
	}
	return false
}

// vouches reports whether backends take a header for the word of a gateway: where a request comes from, and who sends it.
func vouches(name string) bool {
	switch name {
	case "Forwarded", "Via", "Proxy", "X-Real-Ip", "X-Client-Ip", "Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip",
		"Fastly-Client-Ip", "X-Originating-Ip", "X-Remote-Ip", "X-Remote-Addr", "X-Host", "X-Original-Host", "X-Original-Forwarded-For",
		"X-Scheme", "X-Url-Scheme", "Front-End-Https", "X-Arr-Ssl", "Remote-User", "X-Remote-User", "X-Remote-Group", "X-Webauth-User",
		"X-Authenticated-User", "X-Client-Cert", "X-Client-Verify", "X-Client-Dn", "X-Custom-Ip-Authorization", "Host":
		return true
	}
	for _, p := range []string{"X-Forwarded", "X-Envoy-", "X-Auth-Request-", "X-Goog-Iap-", "X-Goog-Authenticated-", "X-Ms-Client-Principal",
		"X-Amzn-Oidc-", "X-Remote-Extra-", "Ssl-Client-", "X-Ssl-", "X-Accel-", "Impersonate-"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// forwarding is what the gateway itself says to a backend about where a request comes from.
type forwarding struct {
	peer   string // the client's address, without its port
	host   string // as the client named it
	scheme string
	prefix string // the path before the backend's own; "" where it is not told
}

// introduce says it, and puts in the headers that the connection's document wants.
func introduce(h http.Header, f forwarding, fixed map[string]string) {
	said := []string{"1.1 gatehouse", f.peer, f.host, f.scheme, f.prefix}
	for i, name := range [...]string{"Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix"} {
		if said[i] != "" || name != "X-Forwarded-Prefix" {
			h[name] = said[i : i+1 : i+1]
		}
	}
	for name, v := range fixed {
		h.Set(name, v)
	}
	if h.Get("User-Agent") == "" {
		h["User-Agent"] = []string{""} // else the transport names itself
	}
}
