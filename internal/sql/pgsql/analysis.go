package pgsql

import "gatehouse/internal/access"

// Batch is what a text holds: a simple query may hold several statements, and none at all is the empty query.
type Batch struct {
	Statements []*Analysis
}

// Analysis is what was understood of one statement. It is immutable and safe for concurrent use.
//
// The embedded Statement's Text is this statement's own slice of the batch, byte for byte, without the semicolons and
// the white space around it; its spans are relative to that slice.
type Analysis struct {
	access.Statement

	Offset int    // where Text begins in the batch's text
	Verb   string // the main verb, without prefix: "Select", "Begin" is "Transaction"
	Tag    string // the first word of the command tag that the server answers with ("SELECT", "CREATE"); empty where it depends

	Outputs      []Output // result columns, in order; nil where it returns no rows or they are not known
	OutputsKnown bool     // false: the number or lineage of columns is not known, so that every column is unproven
	ReturnsRows  bool     // it may answer with rows (not: COPY)

	ParamFields map[int][]string // by $n, from 1: the fields that the parameter is compared with or assigned to
	Bound       []BoundLiteral   // the literals that are compared with or assigned to fields
	Secrets     []access.Span    // literals that are credentials: passwords of roles, options of servers, connection strings
	Copied      []string         // fields whose values this statement writes into another object

	TestsUnknown   bool // what a function that is not known may return steers what it does, or is written; or a foreign table gives it a name
	TestsTemporary bool // values of a temporary table steer what it does: what they were made from is not known

	// LiteralMatters says that the value of some literal was looked at, not only where it stands: then this analysis does not
	// hold for a text that differs in literals. It holds for one where it is false (TestOtherLiterals).
	LiteralMatters bool

	// ChangesState says that it may change search_path, role, encoding, settings or temporary objects, so that the state must
	// be read again. Every end of a transaction says so; where nothing in the transaction did, nothing changed.
	ChangesState     bool
	ChangesCatalogue bool // it is, or may run, DDL

	// Foreign says that it may read or write a foreign table: the backend then keeps a connection of its own.
	Foreign bool

	Tx          TxKind
	Set         *SetInfo   // SET, RESET, SHOW and DISCARD
	SetByCall   []string   // the settings that calls of set_config change; "" is one that is not known
	SetToStay   []string   // those of SetByCall that are not known to end with their transaction
	Prepare     *Prepared  // PREPARE
	Execute     string     // EXECUTE: the prepared name
	Executes    []string   // the prepared names that it runs or plans, at any depth: by EXECUTE itself, in EXPLAIN, in CREATE TABLE AS
	Deallocate  *Target    // DEALLOCATE
	Cursor      *Declared  // DECLARE
	Fetch       string     // FETCH and MOVE: the cursor's name
	CloseCursor *Target    // CLOSE
	Copy        *Copy      // COPY from or to the client
	Explain     *Explained // EXPLAIN
	Listen      string     // LISTEN: the channel
	Unlisten    *Target    // UNLISTEN
	Notify      *Notified  // NOTIFY

	WritesEstimate bool   // an update or delete without parameters that EXPLAIN can safely prefix, to estimate its rows
	Why            string // where an action is Opaque: what could not be understood; safe to show, holds no values
}

// Output is one result column.
type Output struct {
	Name    string   // as the server will name it
	Fields  []string // every field that its value may come from, as resources, sorted
	Proven  bool     // false: it could come from anything
	Bare    bool     // it is one stored column, unchanged: Fields are the names of that one column (the view's own, the table's, its partitions')
	TypeOID uint32   // 0 where not known
}

// BoundLiteral is a literal that is compared with or assigned to fields.
type BoundLiteral struct {
	Span   access.Span // in the statement's Text
	Fields []string    // sorted
}

// Target is a name, or everything.
type Target struct {
	Name string
	All  bool
}

// TxKind is what a statement does to the transaction.
type TxKind uint8

// The kinds.
const (
	TxNone TxKind = iota
	TxBegin
	TxCommit
	TxRollback
	TxSavepoint
	TxRelease
	TxRollbackTo
	TxPrepare          // PREPARE TRANSACTION
	TxCommitPrepared   // COMMIT PREPARED
	TxRollbackPrepared // ROLLBACK PREPARED
)

// SetInfo is a SET, RESET, SHOW or DISCARD.
type SetInfo struct {
	Kind  SetKind
	Name  string   // lower case: "search_path", "timezone", "role", "session_authorization", "transaction", "all"; DISCARD: "all", "plans", "sequences", "temp"
	Value []string // where static; nil for RESET, SHOW and SET ... TO DEFAULT
	Local bool     // SET LOCAL
	Known bool     // the value is static (a DEFAULT is not)
}

// SetKind tells SET from RESET, SHOW and DISCARD.
type SetKind uint8

// The kinds.
const (
	SetValue SetKind = iota
	SetReset
	SetShow
	SetDiscard
)

// Prepared is a PREPARE statement.
type Prepared struct {
	Name  string
	Inner *Analysis // its Text is the inner statement's
}

// Declared is a DECLARE CURSOR statement.
type Declared struct {
	Name         string
	Inner        *Analysis
	Hold, Binary bool
}

// Copy is a COPY between the server and the client. Copies to files and programs are verbs of their own and leave it nil.
type Copy struct {
	FromClient, ToClient bool
	Format               string   // text, csv, binary; lower case
	Delimiter            string   // empty means the format's default
	Null                 string   // how NULL is written; NullSet tells whether it was given
	NullSet              bool     //
	Quote, Escape        string   // csv; empty means the default
	Header               string   // as written: "", "true", "match", ...
	Encoding             string   // empty means client_encoding
	Outputs              []Output // the columns, in order, to the client or from it
	OutputsKnown         bool     //
}

// Explained is an EXPLAIN.
type Explained struct {
	Analyze bool   // the statement really runs
	Format  string // text, json, xml, yaml
	Inner   *Analysis
}

// Notified is a NOTIFY.
type Notified struct {
	Channel, Payload string
}
