package http

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// origins is where a backend is, and where its client finds it.
type origins struct {
	backend *url.URL // scheme and host
	base    string   // the path of the connection's address, without a slash at its end
	here    string   // the path of the connection as the client sees it: /c/billing; "" where a host names it
}

// cleanResponse removes from an answer's headers what is between the backend and the gateway, and what a backend cannot say for
// the gateway's whole host; references to the backend's own place become references to the client's.
func cleanResponse(h http.Header, o origins) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			h.Del(textproto.TrimString(name))
		}
	}
	for name, values := range h {
		if hopByHop(name) || gatewaysOwn(name) || forWholeHost(name) {
			delete(h, name)
			continue
		}
		for _, v := range values {
			if !writable(v) {
				delete(h, name)
				break
			}
		}
	}
	for _, name := range []string{"Location", "Content-Location"} {
		o.rewriteEach(h, name, func(v string) (string, bool) { return o.rewrite(v) })
	}
	o.rewriteEach(h, "Link", o.link)
	o.rewriteEach(h, "Refresh", o.refresh)
	o.rewriteEach(h, "Set-Cookie", o.cookie)
}

// forWholeHost reports whether a header speaks for a host, which is the gateway's and may serve other connections too, or tells
// the gateway's neighbours what to do.
func forWholeHost(name string) bool {
	switch name {
	case "Alt-Svc", "Strict-Transport-Security", "Public-Key-Pins", "Public-Key-Pins-Report-Only", "Expect-Ct", "Nel", "Report-To",
		"Reporting-Endpoints", "Clear-Site-Data", "Service-Worker-Allowed", "Origin-Agent-Cluster", "Server-Timing", "X-Sendfile",
		"X-Lighttpd-Send-File", "X-Reproxy-Url", "Via", "X-Powered-By":
		return true
	}
	return strings.HasPrefix(name, "X-Accel-")
}

func (o origins) rewriteEach(h http.Header, name string, f func(string) (string, bool)) {
	values := h[name]
	if len(values) == 0 {
		return
	}
	kept := make([]string, 0, len(values))
	for _, v := range values {
		if s, ok := f(v); ok {
			kept = append(kept, s)
		}
	}
	if h[name] = kept; len(kept) == 0 {
		delete(h, name)
	}
}

// rewrite turns a reference to the backend into one to the gateway. What points elsewhere stays as it is: the gateway follows
// nothing. A place of the backend that is outside of the connection cannot be named; then there is no reference.
func (o origins) rewrite(ref string) (string, bool) {
	u, err := url.Parse(strings.TrimSpace(ref))
	switch {
	case err != nil:
		return "", false
	case u.Host == "" && u.Scheme == "" && !strings.HasPrefix(ref, "/"):
		return ref, true // relative to the request's own place, which has the same shape here
	case u.Host != "" && !o.own(u) || u.Opaque != "" || u.Host == "" && u.Scheme != "":
		return ref, true
	}
	path, ok := strings.CutPrefix(u.EscapedPath(), (&url.URL{Path: o.base}).EscapedPath())
	if !ok || path != "" && path[0] != '/' {
		return "", false
	}
	if path == "" {
		path = "/"
	}
	out := o.here + path
	if strings.HasPrefix(out, "//") {
		return "", false // would name a host
	}
	if u.RawQuery != "" || u.ForceQuery {
		out += "?" + u.RawQuery
	}
	if u.Fragment != "" {
		out += "#" + u.EscapedFragment()
	}
	return out, true
}

// own reports whether a URL has the backend's host, over TLS or not.
func (o origins) own(u *url.URL) bool {
	return o.backend != nil && strings.EqualFold(u.Hostname(), o.backend.Hostname()) &&
		(port(u) == port(o.backend) || u.Port() == "" && (u.Scheme == "" || port(u) == "80" || port(u) == "443"))
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// link rewrites the references of a Link (RFC 8288), which stand in angle brackets.
func (o origins) link(v string) (string, bool) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(v, "<")
		ref, after, closed := strings.Cut(rest, ">")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		to, ok := o.rewrite(ref)
		if !closed || !ok {
			return "", false
		}
		b.WriteString("<" + to + ">")
		v = after
	}
}

// refresh rewrites 5; url=/next.
func (o origins) refresh(v string) (string, bool) {
	i := strings.Index(strings.ToLower(v), "url=")
	if i < 0 {
		return v, true
	}
	to, ok := o.rewrite(strings.Trim(v[i+4:], `"' `))
	return v[:i+4] + to, ok
}

// cookie takes the domain from a cookie, so that it is the gateway's host's alone, and puts its path below the connection's.
func (o origins) cookie(v string) (string, bool) {
	parts := strings.Split(v, ";")
	out, pathed := parts[:1:1], false
	for _, p := range parts[1:] {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "domain":
			continue
		case "path":
			pathed = true
			out = append(out, " Path="+o.cookiePath(strings.TrimSpace(value)))
		default:
			out = append(out, p)
		}
	}
	if !pathed && o.here != "" {
		out = append(out, " Path="+o.here)
	}
	return strings.Join(out, ";"), true
}

func (o origins) cookiePath(path string) string {
	if rest, ok := strings.CutPrefix(path, o.base); ok && (rest == "" || rest[0] == '/') {
		path = rest
	}
	if path == "" || path[0] != '/' || path == "/" {
		if path = o.here; path == "" {
			path = "/"
		}
		return path
	}
	return o.here + path
}
