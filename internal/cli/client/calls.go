package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/api/message"
	"gatehouse/internal/fault"
)

// maxEvent bounds one line of a stream of events, in bytes.
const maxEvent = 4 << 20

// Apply writes documents, all or none. Findings are in the error's message.Problem.
func (c *Client) Apply(ctx context.Context, docs []access.Document) (*message.Plan, error) {
	return c.writeDocuments(ctx, docs, message.ApplyRequest{})
}

// Plan says what Apply would do, and changes nothing.
func (c *Client) Plan(ctx context.Context, docs []access.Document) (*message.Plan, error) {
	return c.writeDocuments(ctx, docs, message.ApplyRequest{DryRun: true})
}

func (c *Client) writeDocuments(ctx context.Context, docs []access.Document, req message.ApplyRequest) (*message.Plan, error) {
	for _, d := range docs {
		b, err := message.EncodeDocument(d)
		if err != nil {
			return nil, err
		}
		req.Documents = append(req.Documents, b)
	}
	p := &message.Plan{}
	return p, c.call(ctx, http.MethodPost, "/v1/documents", req, p)
}

// Documents lists the documents of a kind, or all where kind is empty.
func (c *Client) Documents(ctx context.Context, kind string) ([]access.Document, error) {
	var l message.DocumentList
	path := "/v1/documents"
	if kind != "" {
		path += "?kind=" + url.QueryEscape(kind)
	}
	if err := c.call(ctx, http.MethodGet, path, nil, &l); err != nil {
		return nil, err
	}
	return decoded(&l)
}

// Document reads one document.
func (c *Client) Document(ctx context.Context, kind, name string) (access.Document, error) {
	var l message.DocumentList
	if err := c.call(ctx, http.MethodGet, documentPath(kind, name), nil, &l); err != nil {
		return nil, err
	}
	docs, err := decoded(&l)
	if err == nil && len(docs) != 1 {
		err = fault.New(fault.Malformed, "client.Document", "the gateway answered with %d documents instead of one", len(docs))
	}
	if err != nil {
		return nil, err
	}
	return docs[0], nil
}

// Delete deletes one document.
func (c *Client) Delete(ctx context.Context, kind, name string) (*message.Plan, error) {
	p := &message.Plan{}
	return p, c.call(ctx, http.MethodDelete, documentPath(kind, name), nil, p)
}

func documentPath(kind, name string) string {
	return "/v1/documents/" + url.PathEscape(kind) + "/" + url.PathEscape(name)
}

// Test logs in to a connection's backend.
func (c *Client) Test(ctx context.Context, connection string) (*message.Probe, error) {
	p := &message.Probe{}
	return p, c.call(ctx, http.MethodPost, "/v1/connections/"+url.PathEscape(connection)+"/test", nil, p)
}

// PutSecret seals a value under a name.
func (c *Client) PutSecret(ctx context.Context, name string, value access.Secret) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := c.send(ctx, http.MethodPut, "/v1/secrets/"+url.PathEscape(name), "application/octet-stream", value.Reveal())
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Secrets names the secrets.
func (c *Client) Secrets(ctx context.Context) ([]string, error) {
	var l message.SecretList
	err := c.call(ctx, http.MethodGet, "/v1/secrets", nil, &l)
	return l.Names, err
}

// DeleteSecret forgets one.
func (c *Client) DeleteSecret(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/v1/secrets/"+url.PathEscape(name), nil, nil)
}

// Explain asks what would be decided.
func (c *Client) Explain(ctx context.Context, q message.PolicyQuestion) (*message.Explanation, error) {
	e := &message.Explanation{}
	return e, c.call(ctx, http.MethodPost, "/v1/policy/explain", q, e)
}

// ExportPolicy asks what a role did, as a policy. Empty values choose all; an empty name the gateway's own.
func (c *Client) ExportPolicy(ctx context.Context, role, connection, format, name string, since time.Time, exact bool) (*message.PolicyExport, error) {
	q := url.Values{"role": {role}, "format": {format}}
	for key, value := range map[string]string{"connection": connection, "name": name} {
		if value != "" {
			q.Set(key, value)
		}
	}
	if !since.IsZero() {
		q.Set("since", since.UTC().Format(time.RFC3339Nano))
	}
	if exact {
		q.Set("exact", "true")
	}
	e := &message.PolicyExport{}
	return e, c.callWithin(ctx, longTimeout, http.MethodGet, "/v1/policy/export?"+q.Encode(), nil, e)
}

// Whoami asks what the gateway makes of this client's token.
func (c *Client) Whoami(ctx context.Context) (*message.Whoami, error) {
	w := &message.Whoami{}
	return w, c.call(ctx, http.MethodGet, "/v1/whoami", nil, w)
}

// Refusal asks for the exact reason behind a reference.
func (c *Client) Refusal(ctx context.Context, ref string) (*message.Record, error) {
	r := &message.Record{}
	return r, c.call(ctx, http.MethodGet, "/v1/refusals/"+url.PathEscape(ref), nil, r)
}

// Approvals lists approvals in a state, or "all".
func (c *Client) Approvals(ctx context.Context, state string) ([]access.Approval, error) {
	var l message.ApprovalList
	err := c.call(ctx, http.MethodGet, "/v1/approvals?state="+url.QueryEscape(state), nil, &l)
	return l.Approvals, err
}

// Approval reads one.
func (c *Client) Approval(ctx context.Context, id string) (*access.Approval, error) {
	a := &access.Approval{}
	return a, c.call(ctx, http.MethodGet, "/v1/approvals/"+url.PathEscape(id), nil, a)
}

// Approve lets the held action run, once.
func (c *Client) Approve(ctx context.Context, id, reason string) (*access.Approval, error) {
	a := &access.Approval{}
	return a, c.call(ctx, http.MethodPost, "/v1/approvals/"+url.PathEscape(id)+"/approve", message.AnswerRequest{Reason: reason}, a)
}

// Deny refuses it.
func (c *Client) Deny(ctx context.Context, id, reason string) (*access.Approval, error) {
	a := &access.Approval{}
	return a, c.call(ctx, http.MethodPost, "/v1/approvals/"+url.PathEscape(id)+"/deny", message.AnswerRequest{Reason: reason}, a)
}

// Watch calls f with each pending approval, then with each that is made or changes, until ctx ends, the gateway ends the
// stream, or f fails.
func (c *Client) Watch(ctx context.Context, f func(access.Approval) error) error {
	resp, err := c.send(ctx, http.MethodGet, "/v1/approvals/watch", "", nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		var a access.Approval
		if err := json.Unmarshal(data, &a); err != nil {
			return fault.Wrap(fault.Malformed, "client.Watch", err, "the gateway's answer cannot be read: is it another version?")
		}
		if err := f(a); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if err := lines.Err(); err != nil {
		return c.unreachable(err)
	}
	return fault.New(fault.Unavailable, "client.Watch", "the gateway ended the stream: it stops, or the token has expired; watch again")
}

// Sessions lists sessions.
func (c *Client) Sessions(ctx context.Context, connection, principal string, since time.Time, limit int) ([]message.SessionSummary, error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if connection != "" {
		q.Set("connection", connection)
	}
	if principal != "" {
		q.Set("principal", principal)
	}
	if !since.IsZero() {
		q.Set("since", since.UTC().Format(time.RFC3339))
	}
	var l message.SessionList
	err := c.call(ctx, http.MethodGet, "/v1/sessions?"+q.Encode(), nil, &l)
	return l.Sessions, err
}

// Records yields a session's records in order, page by page. It ends with the first error.
func (c *Client) Records(ctx context.Context, session string) iter.Seq2[message.Record, error] {
	return func(yield func(message.Record, error) bool) {
		after := uint64(0)
		for {
			var l message.RecordList
			path := fmt.Sprintf("/v1/sessions/%s/records?after=%d", url.PathEscape(session), after)
			if err := c.call(ctx, http.MethodGet, path, nil, &l); err != nil {
				yield(message.Record{}, err)
				return
			}
			for _, r := range l.Records {
				if !yield(r, nil) {
					return
				}
				after = r.Seq
			}
			if !l.More || len(l.Records) == 0 {
				return
			}
		}
	}
}

// Lock stops everything.
func (c *Client) Lock(ctx context.Context, reason string) error {
	return c.call(ctx, http.MethodPut, "/v1/lock", message.LockRequest{Reason: reason}, nil)
}

// Unlock opens the gateway again.
func (c *Client) Unlock(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, "/v1/lock", nil, nil)
}

// Rotate replaces a key and returns what to do next.
func (c *Client) Rotate(ctx context.Context, key string) (string, error) {
	var n message.Note
	err := c.call(ctx, http.MethodPost, "/v1/keys/"+url.PathEscape(key)+"/rotate", nil, &n)
	return n.Note, err
}

// Checkpoint signs the audit log as it is now.
func (c *Client) Checkpoint(ctx context.Context) (string, error) {
	var p message.Checkpoint
	err := c.call(ctx, http.MethodPost, "/v1/audit/checkpoint", nil, &p)
	return p.Note, err
}

// Backup copies the state to w. An error means that what was written is not a backup.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	resp, err := c.send(ctx, http.MethodPost, "/v1/backup", "", nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fault.Wrap(fault.Unavailable, "client.Backup", err, "the backup broke off and cannot be used: look at the gateway's log, then try again")
	}
	return nil
}
