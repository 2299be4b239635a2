package postgres

import (
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/sql/pgsql"
)

// The server knows statements, portals and cursors by name, and so must the gateway: what a name stands for is what is
// judged. Three rules keep both from disagreeing. Names that the server would cut are refused. A statement that changes
// names is answered before the next message is judged (see execute), and may not stand in one batch with a statement that
// uses them. And what the gateway is not sure of it forgets: an unknown name is refused.

// maxName is the longest name that the server does not cut: NAMEDATALEN - 1.
const maxName = 63

// Bounds of what a session may hold under names.
const (
	maxStatements = 4096
	maxPortals    = 256
	maxNamedBytes = 16 << 20
)

// checkName refuses names that are the gateway's own, or that the server would cut.
func checkName(name string) error {
	if len(name) > maxName {
		return sayCode("42622", fault.Denied, "names of statements, portals and cursors are at most 63 bytes long", "")
	}
	if strings.HasPrefix(name, ownPrefix) {
		return sayCode("42939", fault.Denied, "names that begin with "+ownPrefix+" are the gateway's own", "")
	}
	return nil
}

// checkPortalName refuses a name that a portal or cursor has already: both live in one space on the server.
func (s *session) checkPortalName(name string) error {
	if err := checkName(name); err != nil || name == "" {
		return err
	}
	if s.portals[name] != nil || s.cursors[name] != nil {
		return sayCode("42P03", fault.Conflict, "cursor \""+name+"\" already exists", "")
	}
	if len(s.portals)+len(s.cursors) >= maxPortals || s.boundBytes() > maxNamedBytes {
		return sayCode("53400", fault.Unavailable, "too many open portals in this session", "Close those that are done.")
	}
	return nil
}

// boundBytes is about what the portals hold of parameters.
func (s *session) boundBytes() int64 {
	var n int64
	for _, p := range s.portals {
		n += p.to - p.from
	}
	return n
}

// checkRoom refuses a named statement beyond what a session may hold.
func (s *session) checkRoom(name, text string) error {
	if name == "" || len(s.stmts) < 64 {
		return nil
	}
	total := len(text)
	for _, p := range s.stmts {
		total += len(p.text)
	}
	if len(s.stmts) >= maxStatements || total > maxNamedBytes {
		return sayCode("53400", fault.Unavailable, "too many prepared statements in this session", "Deallocate those that are done.")
	}
	return nil
}

// checkStatementNames looks at the names that a statement would make or use.
func (s *session) checkStatementNames(a *pgsql.Analysis) error {
	switch {
	case a.Prepare != nil:
		if err := checkName(a.Prepare.Name); err != nil {
			return err
		}
		return s.checkRoom(a.Prepare.Name, a.Prepare.Inner.Text)
	case a.Cursor != nil:
		return s.checkPortalName(a.Cursor.Name)
	case nested(a):
		return sayCode("0A000", fault.Denied, "a prepared statement is only run by a plain EXECUTE", "")
	}
	return nil
}

// byName reports whether a statement means another one by its name at the moment when it runs.
func byName(a *pgsql.Analysis) bool { return a.Execute != "" || a.Fetch != "" }

// nested reports whether a statement would run another by its name, inside of what it does itself.
func nested(a *pgsql.Analysis) bool {
	return (a.Execute == "" || a.ChangesCatalogue) && len(a.Executes) > 0 || // CREATE TABLE AS EXECUTE
		a.Explain != nil && (a.Explain.Inner == nil || byName(a.Explain.Inner) || nested(a.Explain.Inner))
}

// changesNames reports whether a statement changes what a name stands for.
func changesNames(a *pgsql.Analysis) bool {
	return a.Prepare != nil || a.Deallocate != nil || a.Cursor != nil || a.CloseCursor != nil || a.Tx != pgsql.TxNone ||
		a.Set != nil && a.Set.Kind == pgsql.SetDiscard
}

// runnable reports whether EXECUTE may run a prepared statement: one that reads or writes rows, and changes nothing that
// the gateway keeps track of.
func runnable(a *pgsql.Analysis) bool {
	return !changesNames(a) && !byName(a) && !nested(a) && a.Set == nil && a.Copy == nil && a.Listen == "" && a.Unlisten == nil
}

// effects notes what a statement did to the session's names.
func (s *session) effects(u *understood, tag []byte) {
	a := u.a
	if a.Tx != pgsql.TxNone && s.state.tx == txFailed {
		s.state.tx = txOpen // it took the failed transaction back: what follows in the pipeline runs, and ReadyForQuery tells more
	}
	s.owes(a)
	switch {
	case a.Prepare != nil:
		p := &prepared{name: a.Prepare.Name, text: a.Prepare.Inner.Text, bySQL: true}
		p.means.all = []meaning{{s.state.read.Path, a.Prepare.Inner.Actions}}
		s.stmts[p.name] = p
	case a.Deallocate != nil:
		remove(s.stmts, a.Deallocate)
		if a.Deallocate.All {
			s.m.names.clear()
		}
	case a.Cursor != nil:
		s.cursors[a.Cursor.Name] = &cursor{u: s.judge(a.Cursor.Inner), hold: a.Cursor.Hold}
	case a.CloseCursor != nil:
		remove(s.cursors, a.CloseCursor)
		s.dropPortals(a.CloseCursor)
	case a.Set != nil && a.Set.Kind == pgsql.SetDiscard && a.Set.Name == "all":
		clear(s.stmts)
		clear(s.cursors)
		s.m.names.clear()
		s.dropPortals(&pgsql.Target{All: true})
	case a.Tx == pgsql.TxRollbackTo || strings.HasPrefix(string(tag), "ROLLBACK"):
		s.rolledBack()
	case a.Tx == pgsql.TxCommit || a.Tx == pgsql.TxPrepare: // another transaction may begin before the next ReadyForQuery
		s.committed()
	}
}

func remove[V any](m map[string]*V, t *pgsql.Target) {
	if t.All {
		clear(m)
		return
	}
	delete(m, t.Name)
}

// dropPortals forgets portals; what was bound and never run is put on record as skipped.
func (s *session) dropPortals(t *pgsql.Target) {
	for name, p := range s.portals {
		if t.All || name == t.Name {
			s.letGo(p)
			delete(s.portals, name)
		}
	}
}

// rolledBack forgets every portal, and every cursor that was not there when the transaction began. What a RESET took away is
// there again.
func (s *session) rolledBack() {
	s.owed = nil
	s.dropPortals(&pgsql.Target{All: true})
	for name, c := range s.cursors {
		if !c.committed {
			delete(s.cursors, name)
		}
	}
}

// committed forgets every portal, and every cursor that does not outlive its transaction: from now on a function may use the
// name for another.
func (s *session) committed() {
	s.dropPortals(&pgsql.Target{All: true})
	for name, c := range s.cursors {
		if !c.hold {
			delete(s.cursors, name)
		}
		c.committed = true
	}
}

// endTransaction forgets what lives only as long as a transaction.
func (s *session) endTransaction() {
	s.committed()
	if s.unsettled { // SET LOCAL and ON COMMIT DROP end here, also where the client wrote no COMMIT: at the end of a pipeline
		s.state.known = false
	}
	s.unsettled = false
}
