package aws

import (
	"bytes"
	"io"
	"net/http"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/mask/body"
	"gatehouse/internal/wire/exchange"
)

// masked writes an answer with what must be hidden in it hidden.
func (v *visit) masked(resp *http.Response) (n, hits int64, err error) {
	how := v.c.answerForm(v.hide)
	if resp.StatusCode >= http.StatusBadRequest && how == formBytes && v.c.service.id == "s3" {
		how = formXML // an error, which holds nothing of the object
	}
	hidden, err := v.p.compiled.Of(v.hide.DocumentMasks, v.conn.Name)
	if err != nil {
		return 0, 0, fault.Wrap(fault.Unavailable, "aws.masked", err, "the masks cannot be applied")
	}
	hits = hidden.Headers(resp.Header)
	v.veil(resp.Header)
	if how != formPlain {
		underived(resp.Header)
	}
	switch how {
	case formPlain:
		n, err = v.untouched(resp)
	case formJSON, formItems:
		n, err = v.rewritten(resp, how, &hits)
	case formList:
		n, err = v.rewritten(resp, how, &hits)
	case formXML, formBytes:
		n, err = v.streamed(resp, hidden, how, &hits)
	default:
		err = unmaskable("nobody knows how")
	}
	if err == nil {
		err = v.flow.Flush()
	}
	return n, hits, err
}

// underived removes what tells of a body as it was.
func underived(h http.Header) {
	exchange.Untell(h)
	for name := range h {
		if lower := strings.ToLower(name); lower == "x-amz-crc32" || strings.HasPrefix(lower, "x-amz-checksum") {
			h.Del(name)
		}
	}
}

func unmaskable(why string) error {
	return fault.New(fault.Denied, "aws.masked", "the answer holds what is masked for you, and cannot be masked: %s", why)
}

// veil removes what people wrote beside an object that is masked as a whole.
func (v *visit) veil(h http.Header) {
	h.Del("X-Amz-Log-Result") // what a function of Lambda said to its log
	for name := range h {
		if v.hide.Whole != nil && strings.HasPrefix(strings.ToLower(name), "x-amz-meta-") {
			h.Del(name)
		}
	}
}

// rewritten holds an answer in JSON, hides what must be hidden, and writes it anew.
func (v *visit) rewritten(resp *http.Response, how form, hits *int64) (int64, error) {
	if coding := resp.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return 0, unmaskable("it is packed, though nobody asked for that")
	}
	b, err := io.ReadAll(io.LimitReader(v.flow.Body(resp.Body), maxHeld+1))
	if err != nil {
		return 0, fault.Wrap(fault.Backend, "aws.rewritten", err, "the answer ended before its end")
	}
	if len(b) > maxHeld {
		return 0, unmaskable("it is too large")
	}
	if how == formList {
		return v.relisted(resp, b, hits)
	}
	if len(b) > 0 {
		h, err := newHider(v.hide, v.p.key, v.conn.Name)
		if err != nil {
			return 0, fault.Wrap(fault.Unavailable, "aws.rewritten", err, "the masks cannot be applied")
		}
		tree, err := readTree(b)
		if err != nil {
			return 0, unmaskable("it is no JSON that is read in one way")
		}
		if how == formItems {
			tree = h.items(tree, h.start(), "", false)
		} else {
			tree = h.tree(tree, h.start(), "")
		}
		*hits += h.hits
		if b, err = writeTree(tree); err != nil {
			return 0, fault.Wrap(fault.Internal, "aws.rewritten", err, "the answer could not be written")
		}
	}
	resp.ContentLength = int64(len(b))
	v.heads(resp)
	v.w.WriteHeader(resp.StatusCode)
	n, err := v.flow.Writer(v.w, false).Write(b)
	return int64(n), err
}

// relisted writes a listing without what tells of masked objects, and without what detectors find.
func (v *visit) relisted(resp *http.Response, b []byte, hits *int64) (int64, error) {
	out, more, err := v.listed(b)
	if err != nil {
		return 0, err
	}
	*hits += more
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(out)), int64(len(out))
	if len(v.hide.Detect) > 0 {
		return v.streamed(resp, nil, formXML, hits)
	}
	return v.untouched(resp)
}

// streamed hides values as they pass.
func (v *visit) streamed(resp *http.Response, hidden *exchange.Hidden, how form, hits *int64) (int64, error) {
	if v.r.Method == http.MethodHead || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified {
		resp.ContentLength = -1
		v.heads(resp)
		v.w.WriteHeader(resp.StatusCode)
		return 0, nil
	}
	resp.Body = v.flow.Body(resp.Body)
	src, m, err := io.ReadCloser(resp.Body), (*body.Masker)(nil), error(nil)
	if how == formBytes {
		src, m, err = hidden.Open(resp)
	} else {
		m, err = v.detecting()
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = src.Close() }()
	length := resp.ContentLength
	resp.ContentLength = -1
	resp.Header.Del("Content-Encoding")
	v.heads(resp)
	w := exchange.Postpone(v.w, resp.StatusCode)
	if m == nil {
		n, err := io.Copy(v.flow.Writer(w, true), src)
		w.Begin()
		return n, err
	}
	n, err := exchange.Rebuild(v.flow.Writer(w, length < 0), src, m, v.p.buffers, length)
	*hits += m.Hits()
	if err == nil {
		w.Begin()
	}
	return n, err
}

// detecting hides what detectors find in XML.
func (v *visit) detecting() (*body.Masker, error) {
	rules, err := body.Compile(access.DocumentMasks{Detect: v.hide.Detect}, v.p.key, v.conn.Name)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "aws.detecting", err, "the masks cannot be applied")
	}
	return rules.New(body.XML, body.Options{})
}

// untouched passes on a body that holds nothing of what is masked.
func (v *visit) untouched(resp *http.Response) (int64, error) {
	v.heads(resp)
	v.w.WriteHeader(resp.StatusCode)
	n, err := io.Copy(v.flow.Writer(v.w, true), v.flow.Body(resp.Body))
	if err != nil {
		return n, fault.Wrap(fault.Backend, "aws.untouched", err, "the answer ended before its end")
	}
	return n, nil
}
