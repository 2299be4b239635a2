package aws

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/mask"
	"gatehouse/internal/mask/body"
	"gatehouse/internal/wire/exchange"
)

// masked writes an answer with what must be hidden in it hidden.
func (v *visit) masked(resp *http.Response) (int64, error) {
	how := v.c.answerForm(v.hide)
	if resp.StatusCode >= http.StatusBadRequest && how == formBytes && v.c.service.id == "s3" {
		how = formXML // an error, which holds nothing of the object
	}
	v.veil(resp.Header)
	if how != formPlain {
		for name := range resp.Header { // of what is not sent any more
			if lower := strings.ToLower(name); lower == "etag" || lower == "x-amz-crc32" || lower == "content-md5" || lower == "accept-ranges" ||
				lower == "content-length" || strings.HasPrefix(lower, "x-amz-checksum") || lower == "digest" || lower == "repr-digest" || lower == "content-digest" {
				resp.Header.Del(name)
			}
		}
	}
	if coding := resp.Header.Get("Content-Encoding"); how != formPlain && coding != "" && coding != "identity" {
		return 0, unmaskable("it is packed as " + strconv.Quote(coding))
	}
	switch how {
	case formPlain:
		v.heads(resp)
		v.w.WriteHeader(resp.StatusCode)
		return v.copied(resp.Body)
	case formJSON, formItems:
		return v.rewritten(resp, how)
	case formXML:
		return v.streamed(resp, body.Text, access.DocumentMasks{Detect: v.hide.Detect})
	case formBytes:
		kind, err := kindOf(resp.Header.Get("Content-Type"), v.hide)
		if err != nil && v.r.Method != http.MethodHead {
			return 0, err
		}
		return v.streamed(resp, kind, v.hide.DocumentMasks)
	}
	return 0, unmaskable("nobody knows how")
}

func unmaskable(why string) error {
	return fault.New(fault.Denied, "aws.masked", "the answer holds what is masked for you, and cannot be masked: %s", why)
}

// veil hides what stands in headers.
func (v *visit) veil(h http.Header) {
	var scan *mask.Scanner
	if len(v.hide.Detect) > 0 {
		scan, _ = mask.NewScanner(v.hide.Detect, v.p.key)
	}
	for name, values := range h {
		for i, value := range values {
			for _, m := range v.hide.Headers {
				if strings.EqualFold(m.Name, name) {
					values[i] = string(mask.Value(nil, []byte(value), m.Mask, v.p.key, v.conn.Name))
				}
			}
			if scan != nil && strings.HasPrefix(strings.ToLower(name), "x-amz-meta-") {
				out, _ := scan.Mask(nil, []byte(values[i]))
				values[i] = string(out)
			}
		}
		if v.hide.Whole != nil && strings.HasPrefix(strings.ToLower(name), "x-amz-meta-") {
			h.Del(name)
		}
	}
}

// rewritten holds an answer in JSON, hides what must be hidden, and writes it anew.
func (v *visit) rewritten(resp *http.Response, how form) (int64, error) {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxHeld+1))
	if err != nil {
		return 0, fault.Wrap(fault.Backend, "aws.rewritten", err, "the answer ended before its end")
	}
	if len(b) > maxHeld {
		return 0, unmaskable("it is too large")
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
		if b, err = writeTree(tree); err != nil {
			return 0, fault.Wrap(fault.Internal, "aws.rewritten", err, "the answer could not be written")
		}
	}
	resp.ContentLength = int64(len(b))
	v.heads(resp)
	v.w.WriteHeader(resp.StatusCode)
	n, err := v.w.Write(b)
	return int64(n), err
}

// kindOf is the kind of document that an object is, by its content type.
func kindOf(contentType string, m masks) (body.Kind, error) {
	kind := strings.ToLower(strings.TrimSpace(strings.SplitN(contentType, ";", 2)[0]))
	switch {
	case kind == "application/json" || strings.HasSuffix(kind, "+json") || strings.HasPrefix(kind, "application/x-amz-json"):
		return body.JSON, nil
	case kind == "application/x-ndjson" || kind == "application/jsonl" || kind == "application/json-lines":
		return body.NDJSON, nil
	case len(m.Paths) == 0 && (strings.HasPrefix(kind, "text/") || kind == "application/xml" || kind == "application/x-yaml"):
		return body.Text, nil
	case m.Whole != nil:
		return body.Text, nil
	}
	return 0, unmaskable("objects of type " + strconv.Quote(kind) + " have no fields, or are no text")
}

// streamed hides values as they pass.
func (v *visit) streamed(resp *http.Response, kind body.Kind, d access.DocumentMasks) (int64, error) {
	resp.ContentLength = -1
	if v.r.Method == http.MethodHead || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified {
		v.heads(resp)
		v.w.WriteHeader(resp.StatusCode)
		return 0, nil
	}
	rules, err := body.Compile(d, v.p.key, v.conn.Name)
	if err != nil {
		return 0, fault.Wrap(fault.Unavailable, "aws.streamed", err, "the masks cannot be applied")
	}
	m, err := rules.New(kind, body.Options{})
	if err != nil {
		return 0, unmaskable("it has no fields")
	}
	v.heads(resp)
	v.w.WriteHeader(resp.StatusCode)
	in, buf := v.p.buffers.Get(), []byte(nil)
	defer v.p.buffers.Put(in)
	total := int64(0)
	for {
		n, err := resp.Body.Read(*in)
		ended := err != nil
		buf, merr := m.Write(buf[:0], (*in)[:n])
		if merr == nil && err == io.EOF {
			buf, merr = m.Close(buf)
			err = nil
		}
		wrote, werr := v.w.Write(buf)
		total += int64(wrote)
		switch {
		case werr != nil:
			return total, werr
		case merr != nil:
			return total, fault.Wrap(fault.Backend, "aws.streamed", merr, "the answer cannot be read in one way: what is masked in it cannot be told")
		case err != nil:
			return total, fault.Wrap(fault.Backend, "aws.streamed", err, "the answer ended before its end")
		case ended:
			return total, nil
		}
	}
}

// copied passes on a body that holds nothing of what is masked.
func (v *visit) copied(from io.Reader) (int64, error) {
	buf := v.p.buffers.Get()
	defer v.p.buffers.Put(buf)
	n, err := io.CopyBuffer(struct{ io.Writer }{exchange.Flushing{W: v.w}}, struct{ io.Reader }{from}, *buf)
	if err != nil {
		return n, fault.Wrap(fault.Backend, "aws.copied", err, "the answer ended before its end")
	}
	return n, nil
}
