package pgsql

import "strings"

// Prefix is what every action's name begins with.
const Prefix = "postgres:"

// Verb is one entry of the closed list of what a statement can do.
type Verb struct {
	Name    string // without Prefix
	Implied bool   // allowed to whoever may connect unless it is denied, because it touches no user data
	About   string // one line for people
}

// The verbs that the analysis itself names. What only the tables of statements spell is in verbList.
const (
	verbSelect      = "Select"
	verbInsert      = "Insert"
	verbUpdate      = "Update"
	verbDelete      = "Delete"
	verbLockRows    = "LockRows"
	verbCall        = "Call"
	verbEvaluate    = "Evaluate"
	verbDescribe    = "Describe"
	verbSequence    = "UseSequence"
	verbOpaque      = "Opaque"
	verbExplain     = "Explain"
	verbShow        = "Show"
	verbShowSetting = "ShowSetting"
	verbSetConfig   = "SetConfig"
	verbAlterSet    = "AlterSetting"
	verbTx          = "Transaction"
	verbReadFile    = "ReadServerFile"
	verbWriteFile   = "WriteServerFile"
	verbLargeObj    = "LargeObject"
	verbAdvisory    = "AdvisoryLock"
	verbCreateTab   = "CreateTable"
	verbNotify      = "Notify"
	verbSetRole     = "SetRole"
	verbPrepare     = "Prepare"
	verbExecute     = "Execute"
	verbDeclare     = "DeclareCursor"
	verbFetch       = "Fetch"
	verbCopyFrom    = "CopyFromFile"
	verbCopyTo      = "CopyToFile"
	verbCopyProg    = "CopyProgram"
	verbCreateView  = "CreateView"
	verbCreateMat   = "CreateMaterializedView"
	verbOwner       = "ChangeOwner"
	verbRowSecurity = "AlterRowSecurity"
	verbDropPart    = "DropPart"
	verbRewrite     = "RewriteColumn"
	verbReplace     = "Replace"
	verbTruncate    = "Truncate"
)

// verbList is the list itself: a line is a name, "!" where implied, and what it is. Object kinds follow in kindList.
const verbList = `
Select          reading rows of a table, view, sequence or sensitive catalogue; Fields are the columns read
Insert          adding rows, also by COPY FROM STDIN and MERGE
Update          changing rows, also by ON CONFLICT and MERGE
Delete          removing rows, also by MERGE
Truncate        emptying a table, or a materialized view by REFRESH ... WITH NO DATA
LockRows        SELECT ... FOR UPDATE, FOR SHARE and their like
Lock            LOCK TABLE
Call            a function, procedure, operator or type that is not known to be pure
Do              a DO block; always together with Opaque
Evaluate!       an expression that reads no relation and calls only known pure functions
Describe!       reading the parts of the catalogue that hold metadata and never values
UseSequence     nextval, setval, currval, lastval
Opaque          what could not be understood; only a policy that names Opaque outright allows it
Explain         EXPLAIN; the explained statement's own actions come with it
CopyToFile      COPY to a file of the server
CopyFromFile    COPY from a file of the server
CopyProgram     COPY from or to a program of the server
ReadServerFile  functions that read or list the server's files
WriteServerFile functions that write the server's files
LargeObject     the functions of large objects, lo_import and lo_export among them
AdvisoryLock    the functions of advisory locks
Transaction!    BEGIN, COMMIT, ROLLBACK, SAVEPOINT, SET TRANSACTION, SET CONSTRAINTS
PrepareTransaction PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED
Prepare!        PREPARE; the prepared statement's own actions come with it
Execute!        EXECUTE; the protocol judges the prepared statement with it
Deallocate!     DEALLOCATE
DeclareCursor!  DECLARE; the query's own actions come with it
Fetch!          FETCH and MOVE; the protocol judges the cursor's query with it
CloseCursor!    CLOSE
Discard!        DISCARD
SetConfig!      SET and RESET of settings that change no meaning (application_name, timezone, timeouts, ...)
AlterSetting    SET and RESET of any other setting
SetRole         SET ROLE, SET SESSION AUTHORIZATION and their RESET
Show!           SHOW and current_setting of what drivers ask for
ShowSetting     SHOW and current_setting of any other setting, and SHOW ALL
Listen          LISTEN
Unlisten!       UNLISTEN
Notify          NOTIFY and pg_notify
Vacuum          VACUUM
Analyze         ANALYZE
Reindex         REINDEX
Cluster         CLUSTER
Checkpoint      CHECKPOINT
RefreshMaterializedView REFRESH MATERIALIZED VIEW
Comment         COMMENT ON
SecurityLabel   SECURITY LABEL
Load            LOAD of a library
Grant           GRANT on objects
Revoke          REVOKE on objects
GrantRole       GRANT of a role
RevokeRole      REVOKE of a role
AlterDefaultPrivileges ALTER DEFAULT PRIVILEGES
Reassign        REASSIGN OWNED
DropOwned       DROP OWNED
AlterSystem     ALTER SYSTEM
ImportForeignSchema IMPORT FOREIGN SCHEMA
AlterLargeObject ALTER LARGE OBJECT
ChangeOwner     OWNER TO, and AUTHORIZATION of a new schema; beside the ALTER or CREATE
AlterRowSecurity ENABLE, DISABLE, FORCE and NO FORCE ROW LEVEL SECURITY; beside the ALTER
DropPart        what an ALTER drops or takes out: columns, constraints, partitions, attributes, parts of extensions; beside the ALTER
RewriteColumn   ALTER COLUMN ... TYPE, which rewrites every row and may lose what it held; beside the ALTER
Replace         OR REPLACE of what may be there already; beside the CREATE
`

// kindList are the kinds of object that have Create, Alter and Drop verbs.
const kindList = `AccessMethod Aggregate Cast Collation Conversion Database Domain EventTrigger Extension ForeignDataWrapper
ForeignTable Function Index Language MaterializedView Operator OperatorClass OperatorFamily Policy Procedure Publication
Role Rule Schema Sequence Server Statistics Subscription Table Tablespace TextSearch Transform Trigger Type UserMapping View`

// Verbs returns the closed list, in the order of the documentation.
func Verbs() []Verb {
	var vs []Verb
	for line := range strings.SplitSeq(strings.TrimSpace(verbList), "\n") {
		name, about, _ := strings.Cut(line, " ")
		name, implied := strings.CutSuffix(name, "!")
		vs = append(vs, Verb{Name: name, Implied: implied, About: strings.TrimSpace(about)})
	}
	for kind := range strings.FieldsSeq(kindList) {
		for _, do := range [...]string{"Create", "Alter", "Drop"} {
			vs = append(vs, Verb{Name: do + kind, About: strings.ToUpper(do) + " " + spaced(kind)})
		}
	}
	return vs
}

// spaced turns ForeignTable into FOREIGN TABLE.
func spaced(kind string) string {
	var b strings.Builder
	for i, r := range kind {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}
