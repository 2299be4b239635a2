package aws

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/wire/exchange"
)

// Refuse implements wire.Exchanger: it says no as the service that was called would, so that SDKs show the words.
func (*protocol) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	say, hint := fault.Say(err)
	if hint != "" {
		say += ". " + hint
	}
	status, code := exchange.Status(err), codeOf(err)
	h := w.Header()
	var waits *gate.Awaiting
	if errors.As(err, &waits) {
		h.Set(exchange.HeaderApproval, waits.Approval.ID)
	}
	if status == http.StatusUnauthorized || status == http.StatusNotFound && fault.KindOf(err) == fault.NotFound {
		status = http.StatusForbidden // SDKs take others for something to renew, or for an answer
	}
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	kind, body := worded(r, code, say)
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Amzn-Errortype", code)
	if kind == "application/cbor" {
		h.Set("Smithy-Protocol", "rpc-v2-cbor")
	}
	if status == http.StatusBadRequest {
		h.Set("Connection", "close")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

func codeOf(err error) string {
	switch fault.KindOf(err) {
	case fault.Unauthenticated:
		return "InvalidClientTokenId"
	case fault.Denied, fault.Pending, fault.Conflict, fault.NotFound:
		return "AccessDenied"
	case fault.Malformed:
		return "InvalidRequest"
	case fault.Unavailable:
		return "ServiceUnavailable"
	}
	return "InternalFailure"
}

// worded writes an error in the form of the protocol that the request is of.
func worded(r *http.Request, code, say string) (kind string, body []byte) {
	scope := r.Header.Get("Authorization")
	switch {
	case r.Header.Get("Smithy-Protocol") != "":
		return "application/cbor", encodeCBORError(code, say)
	case r.Header.Get("X-Amz-Target") != "":
		return "application/x-amz-json-1.0", jsonError(code, say)
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		return "text/xml", xmlError("ErrorResponse", code, say)
	case strings.Contains(scope, "/s3/aws4_request") || strings.Contains(scope, "/cloudfront/aws4_request") || strings.Contains(scope, "/route53/aws4_request") || scope == "":
		return "application/xml", xmlError("Error", code, say)
	}
	return "application/json", jsonError(code, say)
}

func jsonError(code, say string) []byte {
	body, _ := json.Marshal(map[string]string{"__type": code, "message": say, "Message": say}) // texts always marshal
	return body
}

func xmlError(root, code, say string) []byte {
	inner := struct {
		Code    string
		Message string
	}{code, say}
	if root == "Error" {
		body, _ := xml.Marshal(struct {
			XMLName xml.Name `xml:"Error"`
			Code    string
			Message string
		}{Code: code, Message: say})
		return append([]byte(xml.Header), body...)
	}
	body, _ := xml.Marshal(struct {
		XMLName xml.Name `xml:"ErrorResponse"`
		Error   any
	}{Error: inner})
	return append([]byte(xml.Header), body...)
}

// encodeCBORError writes {"__type": code, "message": say}.
func encodeCBORError(code, say string) []byte {
	b := []byte{0xa2}
	for _, s := range [...]string{"__type", code, "message", say} {
		n := len(s)
		b = append(b, 0x79, byte(n>>8), byte(n)) // a text of two bytes of length
		b = append(b, s[:min(n, 1<<16-1)]...)
	}
	return b
}
