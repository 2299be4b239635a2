package pgsql

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"gatehouse/internal/access"
)

// defineByKind analyses the statements whose verb depends on a kind of object. What is not here is Opaque.
func (w *work) defineByKind(n *pg.Node, kind string) {
	switch s := n.GetNode().(type) {
	case *pg.Node_DropStmt:
		w.drop(s.DropStmt)
	case *pg.Node_AlterTableStmt:
		w.alter(s.AlterTableStmt.Objtype, s.AlterTableStmt.Relation, nil)
		w.definedFrom(s.AlterTableStmt.Relation, n)
		w.alterTableParts(s.AlterTableStmt)
	case *pg.Node_RenameStmt:
		w.alter(renamed(s.RenameStmt), s.RenameStmt.Relation, s.RenameStmt.Object)
		w.rename(s.RenameStmt)
	case *pg.Node_AlterObjectSchemaStmt:
		w.moved(s.AlterObjectSchemaStmt.Relation, "")
		w.alter(s.AlterObjectSchemaStmt.ObjectType, s.AlterObjectSchemaStmt.Relation, s.AlterObjectSchemaStmt.Object)
	case *pg.Node_AlterOwnerStmt:
		w.alter(s.AlterOwnerStmt.ObjectType, s.AlterOwnerStmt.Relation, s.AlterOwnerStmt.Object)
	case *pg.Node_AlterObjectDependsStmt:
		w.alter(s.AlterObjectDependsStmt.ObjectType, s.AlterObjectDependsStmt.Relation, s.AlterObjectDependsStmt.Object)
	case *pg.Node_AlterFunctionStmt:
		w.doTo("Alter"+kindName(s.AlterFunctionStmt.Objtype), w.nameOf(s.AlterFunctionStmt.Func))
	case *pg.Node_CreateFunctionStmt:
		verb := "CreateFunction"
		if s.CreateFunctionStmt.IsProcedure {
			verb = "CreateProcedure"
		}
		w.doTo(verb, w.objectResource(stringsOf(s.CreateFunctionStmt.Funcname)))
	case *pg.Node_DefineStmt:
		w.doTo("Create"+kindName(s.DefineStmt.Kind), w.objectResource(stringsOf(s.DefineStmt.Defnames)))
	case *pg.Node_CreateForeignTableStmt:
		w.doTo("CreateForeignTable", w.newResource(s.CreateForeignTableStmt.GetBaseStmt().GetRelation()))
		w.createTable(s.CreateForeignTableStmt.GetBaseStmt())
	case *pg.Node_ViewStmt:
		w.createView(s.ViewStmt)
	case *pg.Node_GrantStmt:
		w.grant(s.GrantStmt)
	case *pg.Node_CommentStmt:
		w.doTo("Comment", w.nameOf(s.CommentStmt.Object))
	case *pg.Node_SecLabelStmt:
		w.doTo("SecurityLabel", w.nameOf(s.SecLabelStmt.Object))
	default:
		w.an.Verb = verbOpaque
		w.opaque("a statement of a kind that is not known here (" + kind + ")")
	}
}

// doTo is one action on one resource, or on the connection where there is none.
func (w *work) doTo(verb, resource string) {
	if resource == "" {
		resource = access.Resource(w.c.connection)
	}
	if w.an.Verb == "" {
		w.an.Verb = verb
	}
	w.act(verb, resource, nil)
}

// createView records the view, and what its query reads, calls and tests: who may not read it may not make it.
func (w *work) createView(s *pg.ViewStmt) {
	w.an.Verb = verbCreateView
	r := w.query(s.Query, &scope{})
	p := w.pending(verbCreateView, w.newResource(s.View))
	p.foreign = p.foreign.union(r.all().from)
}

// alter is ALTER of an object: a relation, or anything that has a name.
func (w *work) alter(kind pg.ObjectType, rv *pg.RangeVar, object *pg.Node) {
	verb := "Alter" + kindName(kind)
	if rv != nil {
		w.doTo(verb, w.nameOf(rv))
		return
	}
	w.doTo(verb, w.nameOf(object))
}

// alterTableParts records the other tables that ALTER TABLE touches, and which of them leaves its parent, and with it whatever a
// policy says of that one.
func (w *work) alterTableParts(s *pg.AlterTableStmt) {
	for _, n := range s.Cmds {
		def := n.GetAlterTableCmd().GetDef()
		switch n.GetAlterTableCmd().GetSubtype() {
		case pg.AlterTableType_AT_DetachPartition, pg.AlterTableType_AT_AttachPartition: // which looks whether all values fit
			w.moved(def.GetPartitionCmd().GetName(), "")
		case pg.AlterTableType_AT_DropInherit:
			w.moved(s.Relation, "")
		case pg.AlterTableType_AT_AlterColumnType, pg.AlterTableType_AT_SetNotNull: // which look at every value
			w.testColumn(s.Relation, n.GetAlterTableCmd().GetName())
		case pg.AlterTableType_AT_AddConstraint:
			for _, key := range slices.Concat(def.GetConstraint().GetKeys(), def.GetConstraint().GetFkAttrs()) {
				w.testColumn(s.Relation, key.GetString_().GetSval())
			}
		}
		switch d := def.GetNode().(type) {
		case *pg.Node_RangeVar: // INHERIT
			w.act("AlterTable", w.nameOf(d.RangeVar), nil)
		case *pg.Node_PartitionCmd:
			w.act("AlterTable", w.nameOf(d.PartitionCmd.Name), nil)
		}
	}
}

// renamed is the kind of object that a RENAME renames, or whose part it renames.
func renamed(s *pg.RenameStmt) pg.ObjectType {
	switch s.RenameType {
	case pg.ObjectType_OBJECT_COLUMN, pg.ObjectType_OBJECT_TABCONSTRAINT, pg.ObjectType_OBJECT_ATTRIBUTE:
		if s.RelationType != pg.ObjectType_OBJECT_TYPE_UNDEFINED {
			return s.RelationType
		}
		return pg.ObjectType_OBJECT_TABLE
	}
	return s.RenameType
}

// rename records that what a rename gives another name to leaves its own, and with it whatever a policy says of that name.
func (w *work) rename(s *pg.RenameStmt) {
	switch s.RenameType {
	case pg.ObjectType_OBJECT_COLUMN, pg.ObjectType_OBJECT_ATTRIBUTE:
		w.moved(s.Relation, s.Subname)
	case pg.ObjectType_OBJECT_SCHEMA:
		for _, rel := range w.c.relations[s.Subname] {
			w.moved(&pg.RangeVar{Schemaname: rel.schema, Relname: rel.name}, "")
		}
	default:
		w.moved(s.Relation, "")
	}
}

// moved copies a column of a relation, or all of them, to another name.
func (w *work) moved(rv *pg.RangeVar, column string) {
	if rv == nil {
		return
	}
	rel, _ := w.c.lookup(w.s, rv.Schemaname, rv.Relname)
	if rel == nil {
		return
	}
	for i := range rel.columns {
		if c := &rel.columns[i]; column == "" || c.name == column {
			w.copyInto(c.val, nil)
		}
	}
}

// drop is DROP of one or more objects of one kind.
func (w *work) drop(s *pg.DropStmt) {
	verb := "Drop" + kindName(s.RemoveType)
	w.an.Verb = verb
	for _, n := range s.Objects {
		w.doTo(verb, w.droppedResource(s.RemoveType, n))
	}
	if s.Behavior == pg.DropBehavior_DROP_CASCADE {
		w.actOn(verb) // whatever depends on them, too
	}
}

// droppedResource names a dropped object; a trigger, rule or policy is named by its table.
func (w *work) droppedResource(kind pg.ObjectType, n *pg.Node) string {
	l := n.GetList()
	if l == nil {
		return w.nameOf(n)
	}
	parts := stringsOf(l.Items)
	switch kind {
	case pg.ObjectType_OBJECT_TRIGGER, pg.ObjectType_OBJECT_RULE, pg.ObjectType_OBJECT_POLICY:
		if len(parts) > 1 {
			parts = parts[:len(parts)-1]
		}
	case pg.ObjectType_OBJECT_CAST, pg.ObjectType_OBJECT_TRANSFORM, pg.ObjectType_OBJECT_OPCLASS, pg.ObjectType_OBJECT_OPFAMILY:
		return ""
	}
	if len(parts) == 0 {
		return ""
	}
	return w.objectResource(parts)
}

// grant is GRANT and REVOKE on objects.
func (w *work) grant(s *pg.GrantStmt) {
	verb := "Revoke"
	if s.IsGrant {
		verb = "Grant"
	}
	w.an.Verb = verb
	for _, n := range s.Objects {
		w.doTo(verb, w.nameOf(n))
	}
	if len(w.actions) == 0 || s.Targtype != pg.GrantTargetType_ACL_TARGET_OBJECT {
		w.actOn(verb)
	}
}

// kindName turns the parser's kind of object into the one of the verbs.
func kindName(k pg.ObjectType) string {
	switch k {
	case pg.ObjectType_OBJECT_MATVIEW:
		return "MaterializedView"
	case pg.ObjectType_OBJECT_FOREIGN_TABLE:
		return "ForeignTable"
	case pg.ObjectType_OBJECT_FDW:
		return "ForeignDataWrapper"
	case pg.ObjectType_OBJECT_FOREIGN_SERVER:
		return "Server"
	case pg.ObjectType_OBJECT_ROUTINE:
		return "Function"
	case pg.ObjectType_OBJECT_STATISTIC_EXT:
		return "Statistics"
	case pg.ObjectType_OBJECT_OPCLASS:
		return "OperatorClass"
	case pg.ObjectType_OBJECT_OPFAMILY:
		return "OperatorFamily"
	case pg.ObjectType_OBJECT_LARGEOBJECT:
		return "LargeObject"
	case pg.ObjectType_OBJECT_ATTRIBUTE:
		return "Type"
	case pg.ObjectType_OBJECT_DOMCONSTRAINT:
		return "Domain"
	case pg.ObjectType_OBJECT_TABCONSTRAINT, pg.ObjectType_OBJECT_COLUMN:
		return "Table"
	case pg.ObjectType_OBJECT_TSCONFIGURATION, pg.ObjectType_OBJECT_TSDICTIONARY, pg.ObjectType_OBJECT_TSPARSER,
		pg.ObjectType_OBJECT_TSTEMPLATE:
		return "TextSearch"
	}
	return camel(k)
}

// camel turns OBJECT_EVENT_TRIGGER into EventTrigger.
func camel(k pg.ObjectType) string {
	var b strings.Builder
	for part := range strings.SplitSeq(strings.TrimPrefix(k.String(), "OBJECT_"), "_") {
		b.WriteString(part[:1] + strings.ToLower(part[1:]))
	}
	return b.String()
}
