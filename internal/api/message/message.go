// Package message holds what the control API and its clients say to each other: the bodies of requests and answers, and
// the JSON form of documents. The tags are the API's description too (openapi.json). It imports the nouns only, so that a
// client does not link the server.
package message

import (
	"encoding/json"
	"time"

	"gatehouse/internal/access"
)

// Finding is one thing that is wrong with a set of documents.
type Finding struct {
	Kind  string `json:"kind" doc:"The document's kind"`
	Name  string `json:"name" doc:"The document's name"`
	Path  string `json:"path,omitempty" doc:"Where in the document, such as statements[2].condition"`
	Say   string `json:"say" doc:"What is wrong and what to do"`
	Caret string `json:"caret,omitempty" doc:"The expression with a caret below the place, where there is one"`
}

// ApplyRequest asks for documents to be written, together or not at all.
type ApplyRequest struct {
	Documents []json.RawMessage `json:"documents" minItems:"1" maxItems:"10000" doc:"Documents, each with its kind, as GET /v1/schema describes them"`
	DryRun    bool              `json:"dry_run,omitempty" doc:"Say what would happen and change nothing"`
}

// Plan is what an apply or a delete did, or would do.
type Plan struct {
	Revision uint64        `json:"revision" doc:"The revision after the change; the present one for a dry run"`
	DryRun   bool          `json:"dry_run,omitempty"`
	Changes  []PlannedItem `json:"changes" nullable:"false" doc:"One for each document that was named, in the order given"`
}

// Changed counts what is not already as asked for.
func (p *Plan) Changed() int {
	n := 0
	for _, c := range p.Changes {
		if c.Action != ActionUnchanged {
			n++
		}
	}
	return n
}

// What happens to a document.
const (
	ActionCreate    = "create"
	ActionUpdate    = "update"
	ActionDelete    = "delete"
	ActionUnchanged = "unchanged"
)

// PlannedItem is what happens to one document.
type PlannedItem struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Action string `json:"action" enum:"create,update,delete,unchanged"`
	Diff   string `json:"diff,omitempty" doc:"A unified difference of the YAML forms"`
}

// DocumentList is documents at one revision.
type DocumentList struct {
	Revision  uint64            `json:"revision"`
	Documents []json.RawMessage `json:"documents" nullable:"false" doc:"Documents, each with its kind"`
}

// SecretList names the secrets of the vault.
type SecretList struct {
	Names []string `json:"names" nullable:"false"`
}

// ApprovalList is the approvals that the caller may see.
type ApprovalList struct {
	Approvals []access.Approval `json:"approvals" nullable:"false"`
}

// AnswerRequest is a reviewer's reason.
type AnswerRequest struct {
	Reason string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why; recorded, and shown to the requester"`
}

// PolicyQuestion asks what would be decided.
type PolicyQuestion struct {
	Connection    string         `json:"connection" minLength:"1" maxLength:"256"`
	Statement     string         `json:"statement" minLength:"1" maxLength:"1048576" doc:"What the client would send"`
	Token         string         `json:"token,omitempty" maxLength:"16384" doc:"A token to take the principal from; or give issuer, subject and claims"`
	Issuer        string         `json:"issuer,omitempty" maxLength:"1024" doc:"An Issuer document's name or its URL; may be left out where there is only one"`
	Subject       string         `json:"subject,omitempty" maxLength:"256"`
	Claims        map[string]any `json:"claims,omitempty"`
	Params        []string       `json:"params,omitempty" maxItems:"65535"`
	EstimatedRows *int64         `json:"estimated_rows,omitempty" minimum:"0"`
}

// Explanation says what would be decided, and by which statements of which policies.
type Explanation struct {
	Effect     string      `json:"effect" enum:"allow,deny,approve" doc:"The strictest of the judgements"`
	Principal  string      `json:"principal"`
	Roles      []string    `json:"roles" nullable:"false"`
	Connection string      `json:"connection"`
	Judgements []Judgement `json:"judgements" nullable:"false" doc:"One for each statement of the text"`
	Notes      []string    `json:"notes,omitempty" doc:"What the explanation could not take into account"`
}

// Judgement is the decision on one statement.
type Judgement struct {
	Text      string            `json:"text"`
	Effect    string            `json:"effect" enum:"allow,deny,approve"`
	Because   access.Because    `json:"because"`
	Message   string            `json:"message,omitempty"`
	Reviewers [][]string        `json:"reviewers,omitempty" doc:"A reviewer must hold a role from each list; empty means the operator"`
	Record    string            `json:"record,omitempty" doc:"How messages would be recorded, in words, where a statement says so"`
	Actions   []ExplainedAction `json:"actions" nullable:"false"`
	Masks     []ExplainedMask   `json:"masks,omitempty" doc:"What would be hidden of the fields that the statement touches"`
	Detect    []ExplainedMask   `json:"detect,omitempty" doc:"What detectors would hide in every value"`
}

// ExplainedAction is one action of the statement and what every policy statement makes of it.
type ExplainedAction struct {
	Action     access.Action `json:"action"`
	Effect     string        `json:"effect" enum:"allow,deny,approve"`
	Why        string        `json:"why"`
	Considered []Considered  `json:"considered" nullable:"false"`
}

// Considered is one policy statement and whether it applied to an action.
type Considered struct {
	Because access.Because `json:"because"`
	Effect  string         `json:"effect" enum:"allow,deny,approve,mask"`
	Applies bool           `json:"applies"`
	Why     string         `json:"why"`
}

// ExplainedMask is a field, what a detector finds, or a part of a document, and how it is hidden.
type ExplainedMask struct {
	Field    string         `json:"field,omitempty"`
	Entity   string         `json:"entity,omitempty"`
	Document string         `json:"document,omitempty" doc:"The resource whose documents it is hidden in; without path, header and entity it is all of them"`
	Path     string         `json:"path,omitempty" doc:"Where in the document"`
	Header   string         `json:"header,omitempty"`
	In       string         `json:"in,omitempty" enum:"response,request" doc:"Which documents of the resource"`
	With     string         `json:"with"`
	Because  access.Because `json:"because"`
}

// PolicyExport is what a role did, as a policy that allows it and no more.
type PolicyExport struct {
	Role     string   `json:"role"`
	Format   string   `json:"format" doc:"The language of the document"`
	Document string   `json:"document" doc:"The policy, ready for review"`
	Notes    []string `json:"notes" nullable:"false" doc:"What the document cannot say"`
	Sessions int      `json:"sessions" doc:"Sessions that it rests on"`
	Actions  int      `json:"actions" doc:"Actions that were let through in them"`
	Refused  int      `json:"refused" doc:"Actions that were refused in them, and are not in the document"`
}

// SessionList is the newest sessions.
type SessionList struct {
	Sessions []SessionSummary `json:"sessions" nullable:"false"`
}

// SessionSummary is one session in a line.
type SessionSummary struct {
	ID         string    `json:"id"`
	Principal  string    `json:"principal"`
	Roles      []string  `json:"roles,omitempty"`
	Connection string    `json:"connection"`
	Protocol   string    `json:"protocol,omitempty"`
	Peer       string    `json:"peer,omitempty"`
	Opened     time.Time `json:"opened"`
	Closed     time.Time `json:"closed,omitzero" required:"false" doc:"Absent while the session is open, and where the gateway died under it"`
	Actions    int       `json:"actions" doc:"Actions that were sent to the backend"`
	Unknown    int       `json:"unknown,omitempty" doc:"Of these, actions whose outcome was never recorded"`
	Failed     int       `json:"failed,omitempty" doc:"Of these, actions that the backend refused"`
	Refused    int       `json:"refused" doc:"Actions that never left for the backend"`
	Approvals  int       `json:"approvals,omitempty" doc:"Actions held for a reviewer"`
	Messages   int64     `json:"messages,omitempty" doc:"Messages that were recorded in windows, each of which is one action"`
	Rows       int64     `json:"rows,omitempty"`
	Bytes      int64     `json:"bytes,omitempty"`
	Masked     int64     `json:"masked" doc:"Cells hidden"`
	Reason     string    `json:"reason,omitempty" doc:"Why it closed"`
}

// RecordList is a page of records.
type RecordList struct {
	Records []Record `json:"records" nullable:"false"`
	More    bool     `json:"more,omitempty" doc:"There are more: ask again with after set to the last seq"`
}

// Record is one event of the audit log, as people and programs read it. Its keys are described in the audit format's
// reference; zero values are left out.
type Record struct {
	Seq         uint64            `json:"seq"`
	Kind        access.EventKind  `json:"kind"`
	Time        time.Time         `json:"time"`
	Session     string            `json:"session,omitempty"`
	Action      uint64            `json:"action,omitempty" doc:"Its number in the session: ties an outcome to its intent"`
	Principal   string            `json:"principal,omitempty"`
	Claims      map[string]any    `json:"claims,omitempty"`
	Roles       []string          `json:"roles,omitempty"`
	Connection  string            `json:"connection,omitempty"`
	Protocol    string            `json:"protocol,omitempty"`
	Peer        string            `json:"peer,omitempty"`
	Text        string            `json:"text,omitempty"`
	Fingerprint string            `json:"fingerprint,omitempty"`
	Params      []string          `json:"params,omitempty"`
	Actions     []access.Action   `json:"actions,omitempty"`
	Effect      string            `json:"effect,omitempty"`
	Because     *access.Because   `json:"because,omitempty"`
	Policy      uint64            `json:"policy,omitempty" doc:"The revision of the policies"`
	Catalogue   string            `json:"catalogue,omitempty" doc:"The version of the backend's objects by which the action was understood"`
	Phase       string            `json:"phase,omitempty" doc:"prepare where the action was only prepared, not run"`
	Approval    string            `json:"approval,omitempty"`
	Window      *Window           `json:"window,omitempty" doc:"Of an intent that covers many messages; its outcome has their number in rows, and their root in digest"`
	Status      access.Status     `json:"status,omitempty"`
	Rows        int64             `json:"rows,omitempty"`
	Bytes       int64             `json:"bytes,omitempty"`
	Masked      int64             `json:"masked,omitempty"`
	Digest      string            `json:"digest,omitempty" doc:"Of the data that the client sent for the action, or of a message (bytes counts it): SHA-256; of a window, the root of the tree over those of its messages; or a keyed token of it where some of it must not show"`
	Code        string            `json:"code,omitempty"`
	BackendUS   int64             `json:"backend_us,omitempty" doc:"Microseconds at the backend"`
	Result      *access.Result    `json:"result,omitempty"`
	Ref         string            `json:"ref,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	Detail      map[string]string `json:"detail,omitempty"`
}

// NewRecord renders an event of the log and its place in it.
func NewRecord(seq uint64, e *access.Event) Record {
	r := Record{
		Seq: seq, Kind: e.Kind, Time: e.Time, Session: e.Session, Action: e.Action, Principal: e.Principal,
		Claims: e.Claims, Roles: e.Roles, Connection: e.Connection, Protocol: e.Protocol, Peer: e.Peer, Text: e.Text,
		Fingerprint: e.Fingerprint, Params: e.Params, Actions: e.Actions, Effect: e.Effect, Policy: e.Policy, Catalogue: e.Catalogue, Phase: e.Phase,
		Approval: e.Approval, Status: e.Status, Rows: e.Rows, Bytes: e.Bytes, Masked: e.Masked, Digest: e.Digest, Code: e.Code,
		BackendUS: e.Backend.Microseconds(), Result: e.Result, Ref: e.Ref, Reason: e.Reason, Detail: e.Detail,
	}
	if e.Because != (access.Because{}) {
		because := e.Because
		r.Because = &because
	}
	if w := e.Window; w != nil {
		r.Window = &Window{Messages: w.Messages, WithinMillis: w.Within.Milliseconds()}
	}
	return r
}

// Window is how many messages an intent covers at most, and for how long.
type Window struct {
	Messages     int   `json:"messages"`
	WithinMillis int64 `json:"within_millis"`
}

// Whoami is what the gateway makes of the caller's token.
type Whoami struct {
	Principal   string         `json:"principal"`
	Issuer      string         `json:"issuer"`
	Subject     string         `json:"subject"`
	Kind        string         `json:"kind" enum:"workload,person,operator"`
	Expires     time.Time      `json:"expires,omitzero" required:"false"`
	Claims      map[string]any `json:"claims,omitempty"`
	Roles       []string       `json:"roles" nullable:"false"`
	Connections []string       `json:"connections" nullable:"false" doc:"The connections that the roles reach"`
}

// Probe is what testing a connection found.
type Probe struct {
	Connection string   `json:"connection"`
	OK         bool     `json:"ok"`
	Server     string   `json:"server,omitempty" doc:"What the backend says it is"`
	TLS        string   `json:"tls,omitempty" doc:"The protocol version, or none"`
	Millis     int64    `json:"millis" doc:"Time to log in, in milliseconds"`
	Problem    string   `json:"problem,omitempty" doc:"What failed and what to do"`
	Notes      []string `json:"notes,omitempty"`
}

// LockRequest says why everything stops.
type LockRequest struct {
	Reason string `json:"reason" minLength:"1" maxLength:"1000"`
}

// Note is a line for the person who asked.
type Note struct {
	Note string `json:"note"`
}

// Checkpoint is a signed note of the audit log.
type Checkpoint struct {
	Note string `json:"note" doc:"A C2SP checkpoint: keep it away from the gateway and give it to audit verify --since"`
}

// Health is how the gateway is. It is told without a token, so it names states and never reasons.
type Health struct {
	Ready    bool        `json:"ready"`
	Draining bool        `json:"draining"`
	Locked   bool        `json:"locked"`
	Policy   uint64      `json:"policy" doc:"The revision of the policies in force"`
	Lease    bool        `json:"lease" doc:"The policies are fresh enough to decide by"`
	Audit    AuditHealth `json:"audit"`
}

// AuditHealth is how the audit log is.
type AuditHealth struct {
	Writable      bool   `json:"writable"`
	Mode          string `json:"mode" doc:"fast or strict"`
	WindowMillis  int64  `json:"window_millis" doc:"What a loss of power may lose, in milliseconds; 0 in strict mode"`
	Size          uint64 `json:"size" doc:"Records"`
	CheckpointAge int64  `json:"checkpoint_age_seconds"`
}

// Version says what is running.
type Version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty" doc:"The source revision"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Problem is what a refused caller reads: RFC 9457 problem details, with the kind of fault and what to do about it.
type Problem struct {
	Status   int       `json:"status"`
	Title    string    `json:"title"`
	Kind     string    `json:"kind" doc:"unauthenticated, denied, pending, malformed, backend, unavailable, not_found, conflict or internal"`
	Detail   string    `json:"detail" doc:"What happened"`
	Hint     string    `json:"hint,omitempty" doc:"What to do about it"`
	Findings []Finding `json:"findings,omitempty" doc:"What is wrong with the documents"`
}

// Error implements error.
func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status, as the server's framework asks for it.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is RFC 9457's, whatever the framework proposes.
func (*Problem) ContentType(string) string { return "application/problem+json" }
