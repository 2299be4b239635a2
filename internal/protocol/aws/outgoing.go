package aws

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire/exchange"
)

// outgoing is the call as the backend is sent it, but for its signature.
func (v *visit) outgoing() (gate.Outgoing, error) {
	u, err := v.backend()
	if err != nil {
		return gate.Outgoing{}, err
	}
	out := gate.Outgoing{Method: v.r.Method, URL: u, Host: host(u), Header: forwarded(v.read.Header)}
	out.Header.Set("Accept-Encoding", "identity")                             // what is masked, or no client's to know, can be found in what can be read
	if path, version, versioned := strings.Cut(v.c.source, "?"); path != "" { // a plus sign is a space to some
		source := encode(path, true)
		if versioned {
			source += "?" + version
		}
		out.Header.Set("X-Amz-Copy-Source", source)
	}
	switch {
	case v.body.whole:
		out.Body = v.body.held
	case v.body.framed != nil && v.body.framed.trailer != "":
		out.Header.Set("Content-Encoding", strings.TrimSuffix("aws-chunked,"+out.Header.Get("Content-Encoding"), ","))
		out.Header.Set("X-Amz-Trailer", v.body.framed.trailer)
		out.Header.Set("X-Amz-Decoded-Content-Length", strconv.FormatInt(v.body.size, 10))
		out.Stream, out.Length = v.body.framed.again(), v.body.framed.length()
	case v.body.stream != nil && v.body.stream != http.NoBody:
		out.Stream, out.Length = v.body.stream, v.body.size
	}
	if out.Stream != nil {
		v.stream(&out)
	}
	if v.body.whole && v.body.framed != nil && v.body.framed.trailer != "" {
		out.Header.Set(v.body.framed.trailer, v.body.framed.value)
	}
	return out, nil
}

// stream makes ready what is sent as it comes. A client that waits to be told to go on waits for the backend's word.
func (v *visit) stream(out *gate.Outgoing) {
	out.Stream = exchange.Uploading(out.Stream, func() *exchange.Flow { return v.flow })
	if strings.EqualFold(v.r.Header.Get("Expect"), "100-continue") {
		out.Header.Set("Expect", "100-continue")
	}
}

// forwarded are the headers that AWS's services read. Whatever else a client says stays here: what signs the request is made
// new, and no other header has a meaning that was judged.
func forwarded(h http.Header) http.Header {
	out := http.Header{}
	for name, values := range h {
		lower := strings.ToLower(name)
		if signs(lower) || lower == "content-length" || lower == "x-amz-trailer" {
			continue
		}
		for _, prefix := range [...]string{"x-amz-", "x-amzn-", "amz-sdk-", "content-", "if-"} {
			if strings.HasPrefix(lower, prefix) {
				out[name] = values
			}
		}
		switch lower {
		case "accept", "accept-encoding", "cache-control", "expires", "range", "user-agent", "smithy-protocol":
			out[name] = values
		}
	}
	if coding := unframed(h.Get("Content-Encoding")); coding == "" {
		out.Del("Content-Encoding")
	} else {
		out.Set("Content-Encoding", coding)
	}
	return out
}

// unframed is a Content-Encoding without aws-chunked, which is taken off.
func unframed(coding string) string {
	var kept []string
	for c := range strings.SplitSeq(coding, ",") {
		if c = strings.TrimSpace(c); c != "" && !strings.EqualFold(c, "aws-chunked") {
			kept = append(kept, c)
		}
	}
	return strings.Join(kept, ", ")
}

// backend is where a call goes. A call that is not understood goes where its service would be.
func (v *visit) backend() (*url.URL, error) {
	s := v.c.service
	address := v.conn.Address
	if v.conn.AWS != nil {
		for _, key := range v.names() {
			if e := v.conn.AWS.Endpoints[key]; e != "" {
				address = e
				break
			}
		}
	}
	e, err := access.ParseEndpoint(address)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "aws.backend", err, "the address of connection %s cannot be read", v.conn.Name)
	}
	u := e.URL()
	bucket := ""
	if suffix, ok := strings.CutPrefix(u.Host, "*."); ok {
		if s == nil {
			return nil, fault.New(fault.Denied, "aws.backend", "nobody knows the host of the service %s: name its URL in aws.endpoints", v.c.scope.Service)
		}
		u.Host = v.hostBelow(suffix)
	}
	if s != nil && s.id == "s3" && v.conn.AWS != nil && !v.conn.AWS.PathStyle && strings.HasPrefix(u.Host, "s3.") {
		bucket = v.c.labels["Bucket"]
	}
	v.onto(u, e.Base, bucket)
	return u, nil
}

// host is what a backend is called in the Host header: without the port that everybody takes for granted.
func host(u *url.URL) string {
	if p := u.Port(); p == "443" && u.Scheme == "https" || p == "80" && u.Scheme == "http" {
		return strings.TrimSuffix(u.Host, ":"+p)
	}
	return u.Host
}

// names are what aws.endpoints may call a service.
func (v *visit) names() []string {
	if v.c.service == nil {
		return []string{v.c.scope.Service}
	}
	return []string{v.c.service.id, v.c.service.endpoint, v.c.service.signing}
}

// hostBelow is a service's host below a suffix such as amazonaws.com:443.
func (v *visit) hostBelow(suffix string) string {
	s := v.c.service
	domain, port, _ := strings.Cut(suffix, ":")
	name := s.endpoint + "." + v.c.region + "." + domain
	if s.host != "" && domain == "amazonaws.com" {
		name = s.host
	}
	if o := v.c.operation; o != nil && o.hostPrefix != "" {
		name = v.prefixed(o.hostPrefix) + name
	}
	return name + ":" + port
}

// prefixed fills a host prefix such as {AccountId}.
func (v *visit) prefixed(prefix string) string {
	prefix = strings.ReplaceAll(prefix, "{AccountId}", v.at.account)
	if strings.ContainsAny(prefix, "{}") {
		return ""
	}
	return prefix
}

// onto writes the path and the query as everybody reads them alike: what was judged, in one encoding.
func (v *visit) onto(u *url.URL, base, bucket string) {
	object := v.c.service != nil && v.c.service.id == "s3"
	var elements []string
	for _, raw := range strings.Split(v.c.Path, "/")[1:] {
		text, err := url.PathUnescape(raw)
		if err != nil {
			text = raw // checkPath let none of these through
		}
		elements = append(elements, encode(text, object))
	}
	switch {
	case object && bucket != "" && v.c.Bucket == "" && !strings.Contains(bucket, ".") && !strings.HasPrefix(bucket, "arn:"):
		elements = elements[1:]
		u.Host = bucket + "." + u.Host
	case object && v.c.Bucket != "" && bucket != "" && !strings.Contains(bucket, "."):
		u.Host = bucket + "." + u.Host
	case object && v.c.Bucket != "":
		elements = append([]string{encode(v.c.Bucket, false)}, elements...)
	}
	u.RawPath = base + "/" + strings.Join(elements, "/")
	if p, err := url.PathUnescape(u.RawPath); err == nil {
		u.Path = p
	}
	u.RawQuery = strings.ReplaceAll(v.c.query.Encode(), "+", "%20")
}

// encode percent-encodes all but what signatures leave alone; a slash stays where the whole path is one name.
func encode(s string, slash bool) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if nameByte(c) || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '~' || c == '/' && slash {
			b.WriteByte(c)
			continue
		}
		b.WriteString("%" + string(hex[c>>4]) + string(hex[c&15]))
	}
	return b.String()
}
