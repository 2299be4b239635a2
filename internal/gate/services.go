package gate

import (
	"context"
	"net"
	"time"

	"gatehouse/internal/access"
)

// Rules decides for one principal on one connection under one version of the policies.
type Rules interface {
	// Static returns the verdict and true where nothing in an Input could change it.
	Static(st *access.Statement) (access.Verdict, bool)
	// Decide returns the verdict on st under in.
	Decide(st *access.Statement, in *access.Input) access.Verdict
	// Masks returns what must be hidden; nil where nothing must.
	Masks() access.Masks
	// Roles returns the roles that were bound, sorted.
	Roles() []string
}

// Estimator is what Rules also are where conditions can read how many rows a statement would touch. Rules that are not
// never get an estimate, and a condition that is unknown denies, or asks.
type Estimator interface {
	// Estimates reports whether a decision on st reads an estimate, and no static deny comes before it.
	Estimates(st *access.Statement) bool
}

// BodyReader is what Rules also are where a request has a body that can be sent on in a stream. A body that is read before it is
// sent has to be held.
type BodyReader interface {
	// ReadsBody reports whether the body of st must be held before the decision: a condition that matters reads it, or the
	// outcome may be an approval, which is bound to the body.
	ReadsBody(st *access.Statement) bool
}

// Revised is what Rules also are where records name policies by another number than the version that an Authority counts.
type Revised interface {
	// Version returns the revision of the documents that the rules are of.
	Version() uint64
}

// Authority hands out rules. Its Version changes whenever a decision could change.
type Authority interface {
	// Version returns the current version; an error (fault.Unavailable) where the policies' lease has run out or the
	// gateway is locked. It is asked before every action, so it must be cheap.
	Version() (uint64, error)
	// Rules returns the rules that bind p on a connection, and the connection; fault.Denied where no role reaches it.
	Rules(p *access.Principal, connection string) (Rules, *access.Connection, error)
}

// Recorder is the audit log, as the gate writes it.
type Recorder interface {
	// Append puts e into the log's buffer and returns its sequence number. It does not wait and keeps no reference to e.
	Append(e *access.Event) (uint64, error)
	// Barrier returns when every record up to seq would survive the death of the process.
	Barrier(seq uint64) error
}

// Approvals is the waiting room.
type Approvals interface {
	// Request files a, or finds an answered one that may be used again; the returned approval says which.
	Request(ctx context.Context, a access.Approval) (access.Approval, error)
	// Get returns an approval; fault.NotFound where there is none.
	Get(ctx context.Context, id string) (access.Approval, error)
	// Wait returns the approval once it is answered or over. A context that ends cancels the request.
	Wait(ctx context.Context, id string) (access.Approval, error)
	// Spend uses an approved approval up, for the digest and principal it was given for; only one caller succeeds.
	Spend(ctx context.Context, id, digest, principal string) error
}

// Vault leases credentials.
type Vault interface {
	Lease(ctx context.Context, c access.Credential) (access.Secret, error)
}

// Tokens renders what the audit log must not hold in clear.
type Tokens interface {
	// Token returns a keyed token for a value: equal values give equal tokens.
	Token(v string) string
	// Sensitive reports whether one of the detections finds something in v.
	Sensitive(d []access.Detection, v string) bool
}

// Services is everything a Gate asks. All are required but Budgets and Held, whose zero values are ready.
type Services struct {
	Authority Authority
	Recorder  Recorder
	Approvals Approvals
	Vault     Vault
	Tokens    Tokens
	Budgets   Budgets // what the principals of all sessions have used
	Held      Held    // the transactions that wait for a reviewer
	Dial      func(ctx context.Context, network, address string) (net.Conn, error)
	Clock     func() time.Time
	Pools     *Pools
	Origins   *Origins // nil where no protocol of requests is spoken
	// Digest binds an approval to what was asked: connection, principal, text, parameters.
	Digest func(connection, principal, text string, params []any) string
}

// Caller is one authenticated client connection.
type Caller struct {
	Session   string // the session's id
	Principal *access.Principal
	Peer      string // the client's address
	Protocol  string
}

// Limits bounds one session.
type Limits struct {
	Message   int // bytes of one message that must be held to be judged
	MaskedRow int // bytes of one row that must be held to be masked; 0 is Message
	Staged    int // bytes staged before a flush
	Actions   int // permits open at once
}

// Row is how large a row may be that must be held.
func (l Limits) Row() int {
	if l.MaskedRow > 0 {
		return l.MaskedRow
	}
	return l.Message
}
