package api

import (
	"context"
	"io"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/api/message"
)

// Documents keeps the declarative documents.
type Documents interface {
	// Documents returns every document and the revision at which they stood, in one consistent read.
	Documents(ctx context.Context) (docs []access.Document, revision uint64, err error)
	// Apply makes all changes or none. It fails with fault.Conflict where the revision is no longer expect. When it
	// returns, this node decides by the new documents. The author is a Principal.ID. An error together with a revision above
	// expect says that the documents are written, but that this node cannot decide by them yet.
	Apply(ctx context.Context, author string, expect uint64, changes []Change) (revision uint64, err error)
}

// Change is one document that is written, or deleted where Document is nil.
type Change struct {
	Kind     string
	Name     string
	Document access.Document
}

// Checker compiles documents and explains decisions, without changing anything.
type Checker interface {
	// Check compiles the whole set and returns everything that is wrong with it; nothing where it may take effect.
	Check(ctx context.Context, docs []access.Document) ([]message.Finding, error)
	// Explain decides as the gateway would and says why. Where no role reaches the connection its error is fault.Denied.
	Explain(ctx context.Context, q Inquiry) (*message.Explanation, error)
}

// Inquiry is a question to Checker.Explain: what would be decided if this principal sent this statement now.
type Inquiry struct {
	Principal  *access.Principal
	Connection string
	Statement  string
	Params     []any
	Estimated  *int64 // rows; nil where not known
}

// Secrets is the vault as far as an administrator may reach it: values go in and never come out.
type Secrets interface {
	Put(ctx context.Context, name string, value access.Secret) error
	List(ctx context.Context) (names []string, err error)
	Delete(ctx context.Context, name string) error
}

// Decision is a reviewer's answer.
type Decision string

// The decisions.
const (
	Approve Decision = "approve"
	Deny    Decision = "deny"
)

// Approvals is the waiting room.
type Approvals interface {
	// List returns the approvals in a state, or all where state is empty, oldest first.
	List(ctx context.Context, state access.ApprovalState) ([]access.Approval, error)
	Get(ctx context.Context, id string) (access.Approval, error)
	// Answer records the decision and releases or refuses the held action. It checks again that this reviewer may.
	Answer(ctx context.Context, id string, a Answer) (access.Approval, error)
	// Watch returns every approval that is made or changes from now on. The channel closes when ctx ends, or when the
	// reader falls behind.
	Watch(ctx context.Context) (<-chan access.Approval, error)
}

// Answer is who decided what, and why.
type Answer struct {
	Reviewer *access.Principal
	Roles    []string // the reviewer's roles by the policy of this moment
	Decision Decision
	Reason   string
}

// Sessions reads the audit log.
type Sessions interface {
	// Sessions returns the newest sessions that fit, newest first.
	Sessions(ctx context.Context, f SessionFilter) ([]message.SessionSummary, error)
	// Records returns up to limit records of a session with a sequence number above after, in order; fault.NotFound for a
	// session that the log does not know.
	Records(ctx context.Context, session string, after uint64, limit int) ([]Entry, error)
	// Refusal returns the login.refused record that carries a reference; fault.NotFound where there is none.
	Refusal(ctx context.Context, ref string) (Entry, error)
}

// SessionFilter chooses sessions. Zero values choose all.
type SessionFilter struct {
	Limit      int // at most this many
	Connection string
	Principal  string // Principal.ID
	Since      time.Time
}

// Adviser makes policies of what happened.
type Adviser interface {
	// Export writes what a role did as a policy; fault.NotFound where the log knows of nothing, fault.Malformed for a format that
	// there is none of.
	Export(ctx context.Context, q ExportQuestion) (*message.PolicyExport, error)
}

// ExportQuestion says what to export. Zero values choose all.
type ExportQuestion struct {
	Role       string
	Connection string
	Since      time.Time
	Format     string // a format's name
	Name       string // of the policy
	Exact      bool   // never put resources together
}

// Entry is an event and its place in the log.
type Entry struct {
	Seq   uint64
	Event access.Event
}

// Identity says who a token's holder is and what they may reach.
type Identity interface {
	// Verify checks a token; a refusal has kind fault.Unauthenticated, and its chain holds the exact reason for the log.
	Verify(ctx context.Context, token access.Secret) (*access.Principal, error)
	Roles(ctx context.Context, p *access.Principal) ([]string, error)
	Connections(ctx context.Context, p *access.Principal) ([]string, error)
}

// Recorder is the audit log.
type Recorder interface {
	Append(e *access.Event) (seq uint64, err error)
	Barrier(seq uint64) error
}

// Locker closes and opens the whole gateway. The lock outlives a restart; by is a Principal.ID.
type Locker interface {
	Lock(ctx context.Context, reason, by string) error
	Unlock(ctx context.Context) error
}

// Operations are the administrator's tools.
type Operations interface {
	// Rotate replaces one of the gateway's keys (vault, mask, signing). It records key.rotated itself, because the signing
	// key's record must be signed by the old key. The note says what to do next, such as where the new public key is.
	Rotate(ctx context.Context, key string, by *access.Principal) (note string, err error)
	// Test logs in to a connection's backend as the gateway would, and runs nothing else.
	Test(ctx context.Context, connection string) (message.Probe, error)
	// Checkpoint signs the audit log's newest record and returns the signed note (C2SP checkpoint).
	Checkpoint(ctx context.Context) (string, error)
	// Backup writes a consistent copy of the state. Credentials in it are sealed.
	Backup(ctx context.Context, w io.Writer) error
}

// HealthReporter says how the gateway is.
type HealthReporter interface {
	Health(ctx context.Context) message.Health
}
