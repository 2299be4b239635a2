package pgsql

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// definedBy records what the expressions of a definition call: a default, a check, an index, a policy runs later, when
// nobody asks, so that what it does is judged when it is written down.
func (w *work) definedBy(n *pg.Node) {
	walk(n, func(m *pg.Node) {
		switch e := m.GetNode().(type) {
		case *pg.Node_FuncCall:
			w.calledLater(e.FuncCall)
		case *pg.Node_AExpr:
			w.operatorOf(e.AExpr)
		case *pg.Node_TypeCast:
			w.typeName(e.TypeCast.TypeName)
		}
	})
}

// calledLater records a function by its name. Sequences are left to the rights of whoever inserts, as before.
func (w *work) calledLater(f *pg.FuncCall) {
	parts := stringsOf(f.Funcname)
	if len(parts) == 0 {
		return
	}
	schema, name := "", parts[len(parts)-1]
	if len(parts) > 1 {
		schema = parts[len(parts)-2]
	}
	if verb := w.settingVerb(schema, name); verb != "" {
		w.setting(verb, name, f.Args, nil)
		return
	}
	if k := w.class(schema, name); k != classSequence {
		w.test(w.callNamed(schema, name, nil)) // what it returns is kept, or decides
	}
}

// beside records what a definition does that its own verb does not tell: it changes an owner, drops a part, replaces.
func (w *work) beside(n *pg.Node) {
	switch s := n.GetNode().(type) {
	case *pg.Node_AlterTableStmt:
		w.besideTable(s.AlterTableStmt)
	case *pg.Node_AlterOwnerStmt:
		if s.AlterOwnerStmt.Relation != nil {
			w.alsoTo(verbOwner, w.nameOf(s.AlterOwnerStmt.Relation))
			return
		}
		w.alsoTo(verbOwner, w.nameOf(s.AlterOwnerStmt.Object))
	case *pg.Node_CreateSchemaStmt:
		if s.CreateSchemaStmt.Authrole != nil {
			w.alsoTo(verbOwner, w.nameOf(s.CreateSchemaStmt.Authrole))
		}
	case *pg.Node_AlterDomainStmt:
		if s.AlterDomainStmt.Subtype == "X" {
			w.alsoTo(verbDropPart, w.objectResource(stringsOf(s.AlterDomainStmt.TypeName)))
		}
	case *pg.Node_AlterExtensionContentsStmt:
		if s.AlterExtensionContentsStmt.Action < 0 {
			w.actOn(verbDropPart, s.AlterExtensionContentsStmt.Extname)
		}
	case *pg.Node_AlterOpFamilyStmt:
		if s.AlterOpFamilyStmt.IsDrop {
			w.actOn(verbDropPart)
		}
	case *pg.Node_AlterPublicationStmt:
		if s.AlterPublicationStmt.Action != pg.AlterPublicationAction_AP_AddObjects {
			w.actOn(verbDropPart, s.AlterPublicationStmt.Pubname)
		}
	case *pg.Node_AlterTsconfigurationStmt:
		if s.AlterTsconfigurationStmt.Kind == pg.AlterTSConfigType_ALTER_TSCONFIG_DROP_MAPPING {
			w.actOn(verbDropPart)
		}
	default:
		if w.replaces(n) {
			for _, p := range w.actions {
				if p.name == Prefix+w.an.Verb {
					w.act(verbReplace, p.resource, nil)
				}
			}
		}
	}
}

// replaces says whether a definition may take the place of an older one.
func (w *work) replaces(n *pg.Node) bool {
	switch s := n.GetNode().(type) {
	case *pg.Node_ViewStmt:
		return s.ViewStmt.Replace
	case *pg.Node_CreateFunctionStmt:
		return s.CreateFunctionStmt.Replace
	case *pg.Node_DefineStmt:
		if s.DefineStmt.Kind == pg.ObjectType_OBJECT_TYPE && len(s.DefineStmt.Definition) > 0 {
			w.opaque("a base type runs functions whenever its values are read or written")
		}
		return s.DefineStmt.Replace
	case *pg.Node_RuleStmt:
		return s.RuleStmt.Replace
	case *pg.Node_CreateTrigStmt:
		return s.CreateTrigStmt.Replace
	case *pg.Node_CreateTransformStmt:
		return s.CreateTransformStmt.Replace
	case *pg.Node_CreatePlangStmt:
		return s.CreatePlangStmt.Replace
	}
	return false
}

// alsoTo is an action on what is named, or on the connection.
func (w *work) alsoTo(verb, resource string) {
	if resource == "" {
		w.actOn(verb)
		return
	}
	w.act(verb, resource, nil)
}

// besideTable looks at what each part of an ALTER TABLE does.
func (w *work) besideTable(s *pg.AlterTableStmt) {
	table := w.nameOf(s.Relation)
	for _, n := range s.Cmds {
		switch n.GetAlterTableCmd().GetSubtype() {
		case pg.AlterTableType_AT_DropColumn, pg.AlterTableType_AT_DropConstraint, pg.AlterTableType_AT_DetachPartition,
			pg.AlterTableType_AT_DropInherit, pg.AlterTableType_AT_DropExpression, pg.AlterTableType_AT_DropIdentity,
			pg.AlterTableType_AT_DropOf:
			w.act(verbDropPart, table, nil)
		case pg.AlterTableType_AT_AlterColumnType, pg.AlterTableType_AT_SetExpression:
			w.act(verbRewrite, table, nil)
		case pg.AlterTableType_AT_ChangeOwner:
			w.act(verbOwner, table, nil)
		case pg.AlterTableType_AT_EnableRowSecurity, pg.AlterTableType_AT_DisableRowSecurity,
			pg.AlterTableType_AT_ForceRowSecurity, pg.AlterTableType_AT_NoForceRowSecurity:
			w.act(verbRowSecurity, table, nil)
		}
	}
}
