package access

import "time"

// EventKind names what an event tells. The names are part of the log's format: they are added to, never changed.
type EventKind string

// The kinds of event.
const (
	EventGatewayStarted    EventKind = "gateway.started"
	EventGatewayStopped    EventKind = "gateway.stopped"
	EventGatewayLocked     EventKind = "gateway.locked"
	EventGatewayUnlocked   EventKind = "gateway.unlocked"
	EventEpochBegun        EventKind = "log.epoch"    // a restore: names the last checkpoint of the log before
	EventLogRepaired       EventKind = "log.repaired" // a torn tail was cut at start
	EventClockStepped      EventKind = "clock.stepped"
	EventLoginRefused      EventKind = "login.refused"
	EventSessionOpened     EventKind = "session.opened"
	EventSessionClosed     EventKind = "session.closed"
	EventActionIntended    EventKind = "action.intended" // before its bytes leave
	EventActionRefused     EventKind = "action.refused"
	EventActionEnded       EventKind = "action.ended" // the outcome of an intent
	EventApprovalRequested EventKind = "approval.requested"
	EventApprovalAnswered  EventKind = "approval.answered"
	EventApprovalEnded     EventKind = "approval.ended" // spent, expired or cancelled
	EventDocumentChanged   EventKind = "document.changed"
	EventSecretChanged     EventKind = "secret.changed"
	EventKeyRotated        EventKind = "key.rotated"
)

// Status is how an action ended.
type Status string

// The statuses. An intent without an outcome reads as StatusUnknown; the word is never written.
const (
	StatusOK        Status = "ok"
	StatusError     Status = "error"     // the backend refused; Code says how
	StatusSkipped   Status = "skipped"   // the backend skipped it after an earlier error of its pipeline
	StatusCancelled Status = "cancelled" // the session ended before the backend answered
	StatusUnknown   Status = "unknown"
)

// PhasePrepare marks an intent that prepares a statement without running it.
const PhasePrepare = "prepare"

// Event is one line of the audit log. Fields that do not apply are left zero and are not written. A sender may reuse an
// Event once Append has returned: the recorder keeps no reference to it.
type Event struct {
	Kind EventKind
	Time time.Time // set by the recorder where zero

	Session string // the session's id
	Action  uint64 // the action's number in its session, from 1: ties an outcome to its intent

	Principal  string         // Principal.ID; in session and administrator events, and in intents of the gateway's own
	Claims     map[string]any // session.opened: the claims that bound it
	Roles      []string       // session.opened
	Connection string
	Protocol   string
	Peer       string // the client's address

	Text        string // as recorded: what must not show is a token
	Fingerprint string
	Params      []string // as recorded
	Actions     []Action
	Effect      string  // the verdict
	Because     Because // the statement that decided
	Policy      uint64  // the version of the policies it was decided under
	Catalogue   string  // the version of the backend's objects it was understood by
	Phase       string  // PhasePrepare where the action was only prepared, not run
	Approval    string  // the approval's id
	Window      *Window // of an intent that covers more than one message; nil elsewhere

	Status  Status
	Rows    int64         // of a result; of a window, its messages
	Bytes   int64         // to the client, in this action's answer; where there is a Digest, of the data
	Masked  int64         // cells hidden
	Digest  string        // of the data that the client sent for it, or of the message: SHA-256 in hex; of a window, the root of the Merkle tree over those of its messages; or a keyed token of that
	Code    string        // the backend's error code
	Backend time.Duration // time at the backend
	Result  *Result

	Ref    string            // the reference that a refused client was given
	Reason string            // exact reason, for the auditor and the log; never a token or credential
	Detail map[string]string // administrator events: what changed
}

// Window is how many messages an intent may cover, and for how long.
type Window struct {
	Messages int           `json:"messages"`
	Within   time.Duration `json:"within"`
}

// Result is the beginning of a result as the client received it: masked.
type Result struct {
	Columns   []string    `json:"columns"`
	Rows      [][]*string `json:"rows"` // nil is NULL; binary values are shown as the protocol renders them
	Truncated bool        `json:"truncated,omitempty"`
}
