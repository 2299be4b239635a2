package aws

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strconv"

	"gatehouse/internal/fault"
)

// queueURL is the beginning of a queue's URL.
var queueURL = regexp.MustCompile(`https?://[A-Za-z0-9.:\[\]_-]+(/[0-9]{12}/)`)

// tellsQueues reports whether the answer holds URLs of queues.
func (v *visit) tellsQueues() bool {
	if v.c.service == nil || v.c.service.id != "sqs" || v.c.operation == nil {
		return false
	}
	switch v.c.operation.name {
	case "CreateQueue", "GetQueueUrl", "ListQueues", "ListDeadLetterSourceQueues":
		return true
	}
	return false
}

// queues puts the gateway's own origin into the URLs of queues that an answer holds: some SDKs send what they do with a queue to
// the host in its URL, past the gateway, with the client's token.
func (v *visit) queues(resp *http.Response) error {
	if !v.tellsQueues() || resp.StatusCode >= http.StatusMultipleChoices {
		return nil
	}
	if coding := resp.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return fault.New(fault.Backend, "aws.queues", "the answer holds URLs of queues, and is packed, though nobody asked for that")
	}
	b, err := io.ReadAll(io.LimitReader(v.flow.Body(resp.Body), maxHeld+1))
	if err != nil || len(b) > maxHeld {
		return fault.New(fault.Backend, "aws.queues", "the answer ended before its end, or is too large")
	}
	origin := "http://"
	if v.r.TLS != nil {
		origin = "https://"
	}
	b = queueURL.ReplaceAll(b, []byte(origin+v.r.Host+"$1"))
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	resp.Header.Set("Content-Length", strconv.Itoa(len(b)))
	return nil
}
