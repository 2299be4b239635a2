package access

import "time"

// ApprovalState is where an approval stands.
type ApprovalState string

// The states. Pending leads to Approved, Denied, Expired or Cancelled; only Approved leads on, to Spent or Expired.
const (
	ApprovalPending   ApprovalState = "pending"
	ApprovalApproved  ApprovalState = "approved"
	ApprovalDenied    ApprovalState = "denied"
	ApprovalExpired   ApprovalState = "expired"
	ApprovalCancelled ApprovalState = "cancelled" // the client left
	ApprovalSpent     ApprovalState = "spent"
)

// Approval is one held action and its answer. Text and Params are as recorded: values that must not show are
// tokens.
type Approval struct {
	ID          string        `json:"id"`
	State       ApprovalState `json:"state"`
	Digest      string        `json:"digest"` // hex SHA-256 over connection, principal, text and parameters, length-prefixed
	Session     string        `json:"session"`
	Principal   string        `json:"principal"` // Principal.ID of who asks
	Roles       []string      `json:"roles,omitempty"`
	Connection  string        `json:"connection"`
	Text        string        `json:"text"`             // as recorded: literals that must not show are tokens
	Params      []string      `json:"params,omitempty"` // bind parameters, as recorded
	Actions     []Action      `json:"actions"`
	Because     Because       `json:"because"`
	Message     string        `json:"message,omitempty"`
	Reviewers   [][]string    `json:"reviewers,omitempty"` // see Terms
	Reuse       bool          `json:"reuse,omitempty"`
	RequestedAt time.Time     `json:"requested_at"`
	ExpiresAt   time.Time     `json:"expires_at"`
	AnsweredAt  time.Time     `json:"answered_at,omitzero"`
	Reviewer    string        `json:"reviewer,omitempty"` // Principal.ID of who answered
	Reason      string        `json:"reason,omitempty"`
}
