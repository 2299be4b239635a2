package pgsql

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"gatehouse/internal/access"
)

// utility analyses what is not a query. What is neither here nor in the table of definitions is Opaque.
func (w *work) utility(n *pg.Node) {
	switch s := n.GetNode().(type) {
	case *pg.Node_TransactionStmt:
		w.transaction(s.TransactionStmt)
	case *pg.Node_VariableSetStmt:
		w.variableSet(s.VariableSetStmt)
	case *pg.Node_VariableShowStmt:
		w.variableShow(s.VariableShowStmt)
	case *pg.Node_DiscardStmt:
		w.discard(s.DiscardStmt)
	case *pg.Node_PrepareStmt:
		w.prepare(s.PrepareStmt)
	case *pg.Node_ExecuteStmt:
		w.execute(s.ExecuteStmt)
	case *pg.Node_DeallocateStmt:
		w.simple("Deallocate", "DEALLOCATE")
		w.an.Deallocate = &Target{Name: s.DeallocateStmt.Name, All: s.DeallocateStmt.Isall || s.DeallocateStmt.Name == ""}
	case *pg.Node_DeclareCursorStmt:
		w.declare(s.DeclareCursorStmt)
	case *pg.Node_FetchStmt:
		w.fetch(s.FetchStmt)
	case *pg.Node_ClosePortalStmt:
		w.simple("CloseCursor", "CLOSE")
		w.an.CloseCursor = &Target{Name: s.ClosePortalStmt.Portalname, All: s.ClosePortalStmt.Portalname == ""}
	case *pg.Node_CopyStmt:
		w.copy(s.CopyStmt)
	case *pg.Node_ExplainStmt:
		w.explain(s.ExplainStmt)
	case *pg.Node_CreateTableAsStmt:
		w.createTableAs(s.CreateTableAsStmt)
	case *pg.Node_CallStmt:
		w.callStmt(s.CallStmt)
	case *pg.Node_DoStmt:
		w.simple("Do", "DO")
		w.opaque("a DO block runs what its text says")
	case *pg.Node_ListenStmt:
		w.simple("Listen", "LISTEN", s.ListenStmt.Conditionname)
		w.an.Listen, w.an.ChangesState = s.ListenStmt.Conditionname, true
	case *pg.Node_UnlistenStmt:
		w.simple("Unlisten", "UNLISTEN")
		w.an.Unlisten = &Target{Name: s.UnlistenStmt.Conditionname, All: s.UnlistenStmt.Conditionname == ""}
	case *pg.Node_NotifyStmt:
		w.simple(verbNotify, "NOTIFY", s.NotifyStmt.Conditionname)
		w.an.Notify = &Notified{s.NotifyStmt.Conditionname, s.NotifyStmt.Payload}
	default:
		w.define(n)
	}
}

// simple is a statement of one action.
func (w *work) simple(verb, tag string, names ...string) {
	w.an.Verb, w.an.Tag = verb, tag
	w.actOn(verb, names...)
}

func (w *work) transaction(t *pg.TransactionStmt) {
	verb := verbTx
	switch t.Kind {
	case pg.TransactionStmtKind_TRANS_STMT_BEGIN, pg.TransactionStmtKind_TRANS_STMT_START:
		w.an.Tx, w.an.Tag = TxBegin, "BEGIN"
		if t.Kind == pg.TransactionStmtKind_TRANS_STMT_START {
			w.an.Tag = "START"
		}
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT:
		w.an.Tx, w.an.Tag = TxCommit, "COMMIT"
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK:
		w.an.Tx, w.an.Tag = TxRollback, "ROLLBACK"
	case pg.TransactionStmtKind_TRANS_STMT_SAVEPOINT:
		w.an.Tx, w.an.Tag = TxSavepoint, "SAVEPOINT"
	case pg.TransactionStmtKind_TRANS_STMT_RELEASE:
		w.an.Tx, w.an.Tag = TxRelease, "RELEASE"
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
		w.an.Tx, w.an.Tag = TxRollbackTo, "ROLLBACK"
	case pg.TransactionStmtKind_TRANS_STMT_PREPARE:
		w.an.Tx, w.an.Tag, verb = TxPrepare, "PREPARE", "PrepareTransaction"
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT_PREPARED:
		w.an.Tx, w.an.Tag, verb = TxCommitPrepared, "COMMIT", "PrepareTransaction"
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_PREPARED:
		w.an.Tx, w.an.Tag, verb = TxRollbackPrepared, "ROLLBACK", "PrepareTransaction"
	default:
		w.opaque("a transaction statement of a kind that is not known here")
	}
	w.an.Verb = verb
	w.actOn(verb)
	switch w.an.Tx {
	case TxBegin, TxSavepoint, TxRelease:
	default:
		// A rollback takes settings back, and a commit ends local ones and runs deferred triggers.
		w.an.ChangesState = true
	}
}

func (w *work) variableSet(s *pg.VariableSetStmt) {
	info := &SetInfo{Name: asciiLower(s.Name), Local: s.IsLocal}
	w.an.Set, w.an.Tag, w.an.ChangesState = info, "SET", true
	switch s.Kind {
	case pg.VariableSetKind_VAR_RESET:
		info.Kind, w.an.Tag = SetReset, "RESET"
	case pg.VariableSetKind_VAR_RESET_ALL:
		info.Kind, info.Name, w.an.Tag = SetReset, "all", "RESET"
		w.an.Verb = verbSetConfig
		w.actOn(verbSetConfig)
		return
	case pg.VariableSetKind_VAR_SET_VALUE:
		info.Value, info.Known = constants(s.Args)
	case pg.VariableSetKind_VAR_SET_MULTI:
		w.setMulti(s, info)
		return
	case pg.VariableSetKind_VAR_SET_CURRENT:
		w.opaque("SET FROM CURRENT stands in functions only")
	}
	if w.sameAsNow(info) {
		w.an.ChangesState = false
		w.actOn(verbSetConfig)
	} else {
		w.setAction(info.Name)
	}
	w.an.Verb = strings.TrimPrefix(w.actions[0].name, Prefix)
}

// setMulti is SET TRANSACTION and SET SESSION CHARACTERISTICS.
func (w *work) setMulti(s *pg.VariableSetStmt, info *SetInfo) {
	switch {
	case s.Name == "TRANSACTION" || s.Name == "SESSION CHARACTERISTICS":
		info.Name = strings.ReplaceAll(info.Name, " ", "_")
		w.an.ChangesState = false
		w.an.Verb = verbTx
		w.actOn(verbTx)
	case s.Name == "TRANSACTION SNAPSHOT":
		w.an.Verb = verbAlterSet
		w.actOn(verbAlterSet, "transaction_snapshot")
	default:
		w.opaque("a SET of a kind that is not known here")
	}
}

// constants are the values of a SET; ok is false where one is not constant.
func constants(args []*pg.Node) (values []string, ok bool) {
	for _, n := range args {
		if c := n.GetTypeCast(); c != nil { // SET TIME ZONE INTERVAL '1' HOUR
			n = c.Arg
		}
		k := n.GetAConst()
		if k == nil {
			return nil, false
		}
		switch v := k.Val.(type) {
		case *pg.A_Const_Sval:
			values = append(values, v.Sval.GetSval())
		case *pg.A_Const_Ival:
			values = append(values, itoa(int(v.Ival.GetIval())))
		case *pg.A_Const_Fval:
			values = append(values, v.Fval.GetFval())
		case *pg.A_Const_Boolval:
			values = append(values, map[bool]string{true: "true", false: "false"}[v.Boolval.GetBoolval()])
		default:
			return nil, false
		}
	}
	return values, true
}

func (w *work) variableShow(s *pg.VariableShowStmt) {
	name := asciiLower(s.Name)
	w.an.Set = &SetInfo{Kind: SetShow, Name: name}
	w.an.Tag = "SHOW"
	w.show(name)
	w.an.Verb = strings.TrimPrefix(w.actions[0].name, Prefix)
	cols := []column{{name: name, val: value{total: true}}}
	if name == "all" {
		cols = []column{{name: "name"}, {name: "setting"}, {name: "description"}}
	}
	w.rows(result{cols, true})
}

func (w *work) discard(s *pg.DiscardStmt) {
	name := strings.ToLower(strings.TrimPrefix(s.Target.String(), "DISCARD_"))
	w.simple("Discard", "DISCARD")
	w.an.Set = &SetInfo{Kind: SetDiscard, Name: name}
	w.an.ChangesState = true
}

// inner analyses the statement that follows a token of another, and takes over what it does.
func (w *work) inner(n *pg.Node, after pg.Token) *Analysis { return w.innerAt(n, w.after(after)) }

// innerAt is inner for a statement that begins at a position.
func (w *work) innerAt(n *pg.Node, start int) *Analysis {
	in := w.within(start)
	a := in.statement(n)
	for _, p := range in.actions {
		w.takeOver(p)
	}
	w.tested, w.copied = w.tested.union(in.tested), w.copied.union(in.copied)
	if w.an.Verb == verbPrepare {
		w.looked = in.looked // to be looked up by whoever runs it
	} else {
		w.tested = w.tested.union(in.looked) // a plan, a cursor or a table tells more than the rows that were found
	}
	for k, f := range in.bound {
		if k >= 0 {
			w.bound[k] = w.bound[k].union(f)
		}
	}
	w.an.Bounded = a.Bounded
	w.an.Executes = append(w.an.Executes, a.Executes...)
	w.effects = w.effects || in.effects
	w.called, w.steered = w.called || in.called, w.steered || in.steered
	w.params = w.params || in.params
	w.an.ChangesState = w.an.ChangesState || a.ChangesState
	w.an.ChangesCatalogue = w.an.ChangesCatalogue || a.ChangesCatalogue
	w.an.Foreign = w.an.Foreign || a.Foreign
	w.an.SetByCall = append(w.an.SetByCall, a.SetByCall...)
	w.an.SetToStay = append(w.an.SetToStay, a.SetToStay...)
	if w.an.Why == "" {
		w.an.Why = a.Why
	}
	return a
}

func (w *work) takeOver(p pending) {
	if p.related {
		w.aliasOf(p)
		return
	}
	own := w.pending(strings.TrimPrefix(p.name, Prefix), p.resource)
	own.fields, own.foreign = own.fields.union(p.fields), own.foreign.union(p.foreign)
}

// after is where the text goes on after the first token of a kind, outside brackets: the AS of PREPARE, the FOR of
// DECLARE. Without one it is the start of the statement.
func (w *work) after(kind pg.Token) int {
	depth := 0
	for i, t := range w.src.tokens {
		switch t.Token {
		case pg.Token_ASCII_40:
			depth++
		case pg.Token_ASCII_41:
			depth--
		case kind:
			if depth == 0 && i+1 < len(w.src.tokens) {
				return int(w.src.tokens[i+1].Start)
			}
		}
	}
	return w.src.start
}

// explained is where the statement of an EXPLAIN begins: after its options, in brackets or not.
func (w *work) explained() int {
	depth, options := 0, false
	for i, t := range w.src.tokens {
		if isComment(t.Token) {
			continue
		}
		switch t.Token {
		case pg.Token_ASCII_40:
			if depth == 0 && !options && i+1 < len(w.src.tokens) && !beginsQuery(w.src.tokens[i+1].Token) {
				options = true
				depth++
				continue
			}
		case pg.Token_ASCII_41:
			if depth > 0 {
				depth--
				continue
			}
		case pg.Token_EXPLAIN, pg.Token_ANALYZE, pg.Token_ANALYSE, pg.Token_VERBOSE:
			continue
		}
		if depth == 0 {
			return int(t.Start)
		}
	}
	return w.src.start
}

// beginsQuery tells a query in brackets from the options of an EXPLAIN.
func beginsQuery(t pg.Token) bool {
	switch t {
	case pg.Token_SELECT, pg.Token_WITH, pg.Token_VALUES, pg.Token_TABLE, pg.Token_ASCII_40:
		return true
	}
	return false
}

func (w *work) prepare(p *pg.PrepareStmt) {
	w.simple(verbPrepare, "PREPARE")
	for _, n := range p.Argtypes {
		w.typeName(n.GetTypeName())
	}
	w.an.Prepare = &Prepared{Name: p.Name, Inner: w.inner(p.Query, pg.Token_AS)}
}

func (w *work) execute(e *pg.ExecuteStmt) {
	w.simple(verbExecute, "")
	for _, n := range e.Params {
		w.where(n, &scope{})
	}
	w.an.Execute, w.an.ReturnsRows, w.an.OutputsKnown = e.Name, true, false
	w.an.Executes = append(w.an.Executes, e.Name)
	w.an.ChangesState = true // what it runs is not known here
}

const (
	cursorBinary = 0x0001 // CURSOR_OPT_BINARY
	cursorHold   = 0x0020 // CURSOR_OPT_HOLD
)

func (w *work) declare(d *pg.DeclareCursorStmt) {
	w.simple(verbDeclare, "DECLARE")
	w.an.Cursor = &Declared{
		Name: d.Portalname, Hold: d.Options&cursorHold != 0, Binary: d.Options&cursorBinary != 0,
		Inner: w.inner(d.Query, pg.Token_FOR),
	}
	w.an.ChangesState = true
}

func (w *work) fetch(f *pg.FetchStmt) {
	w.simple(verbFetch, "FETCH")
	w.an.Fetch = f.Portalname
	w.an.ReturnsRows, w.an.OutputsKnown = true, false
	if f.Ismove {
		w.an.Tag, w.an.ReturnsRows = "MOVE", false
	}
}

func (w *work) callStmt(c *pg.CallStmt) {
	w.an.Verb, w.an.Tag = verbCall, "CALL"
	parts := stringsOf(c.Funccall.GetFuncname())
	schema, name := "", parts[len(parts)-1]
	if len(parts) > 1 {
		schema = parts[len(parts)-2]
	}
	v := value{total: true}
	for _, a := range c.Funccall.GetArgs() {
		v = merge(v, w.expr(a, &scope{}))
	}
	w.userCall(schema, name, v)
	if len(w.actions) == 0 {
		w.call(schema, name)
	}
	w.an.ReturnsRows, w.an.OutputsKnown = true, false
	w.an.ChangesCatalogue = true
}

// explain shows a plan, which prints conditions and estimates: its lines come from every field of the statement.
func (w *work) explain(e *pg.ExplainStmt) {
	w.simple(verbExplain, "EXPLAIN")
	x := &Explained{Format: "text"}
	for _, n := range e.Options {
		d := n.GetDefElem()
		switch d.GetDefname() {
		case "analyze":
			x.Analyze = isTrue(d)
		case "format":
			x.Format = strings.ToLower(optionText(d))
		}
	}
	x.Inner = w.innerAt(e.Query, w.explained())
	w.an.Explain = x
	w.an.Bounded = x.Inner.Bounded || !x.Analyze
	if !x.Analyze {
		w.an.ChangesState = w.an.Why != "" || w.effects
	}
	all := value{open: !w.plainPlan(x.Inner), from: w.tested.union(w.copied)}
	for _, p := range w.actions {
		all.from = all.from.union(p.fields)
	}
	all.from = w.standsFor(all.from)
	w.rows(result{[]column{{name: "QUERY PLAN", val: all}}, true})
}

// isTrue reads an option's boolean as the server does: alone, it is true.
func isTrue(d *pg.DefElem) bool {
	switch strings.ToLower(optionText(d)) {
	case "false", "off", "0", "no":
		return false
	}
	return true
}

// optionText is an option's value as text.
func optionText(d *pg.DefElem) string {
	switch a := d.GetArg().GetNode().(type) {
	case *pg.Node_String_:
		return a.String_.Sval
	case *pg.Node_Integer:
		return itoa(int(a.Integer.Ival))
	case *pg.Node_Float:
		return a.Float.Fval
	case *pg.Node_Boolean:
		return map[bool]string{true: "true", false: "false"}[a.Boolean.Boolval]
	case *pg.Node_TypeName:
		return lastString(a.TypeName.Names)
	}
	return ""
}

// newResource is the resource of a relation that is being created.
func (w *work) newResource(rv *pg.RangeVar) string {
	schema := rv.GetSchemaname()
	if schema == "" {
		schema = w.creationSchema(rv.GetRelpersistence())
	}
	return access.Resource(w.c.connection, schema, rv.GetRelname())
}

// creationSchema is where an object without a schema is created: the first of the path that is not the server's own.
func (w *work) creationSchema(persistence string) string {
	if persistence == "t" {
		return "pg_temp"
	}
	for _, s := range w.s.Path {
		if s != "pg_catalog" && !strings.HasPrefix(s, "pg_temp") {
			return s
		}
	}
	return "public"
}
