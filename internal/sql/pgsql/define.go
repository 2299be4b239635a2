package pgsql

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"gatehouse/internal/access"
)

// definition says what a statement that defines or maintains objects does: its verb, and which of its parts names what
// it is done to.
type definition struct {
	verb  string
	field protoreflect.Name // empty: the connection itself
}

// definitionList is the table: the parser's message, the verb, the part. Statements that depend on a kind of object are
// in defineByKind.
const definitionList = `
CreateStmt CreateTable relation
IndexStmt CreateIndex relation
CreateSeqStmt CreateSequence sequence
AlterSeqStmt AlterSequence sequence
CreateTrigStmt CreateTrigger relation
CreateEventTrigStmt CreateEventTrigger trigname
AlterEventTrigStmt AlterEventTrigger trigname
CreateDomainStmt CreateDomain domainname
AlterDomainStmt AlterDomain type_name
CompositeTypeStmt CreateType typevar
CreateEnumStmt CreateType type_name
CreateRangeStmt CreateType type_name
AlterEnumStmt AlterType type_name
AlterTypeStmt AlterType type_name
CreateSchemaStmt CreateSchema schemaname
CreateExtensionStmt CreateExtension extname
AlterExtensionStmt AlterExtension extname
AlterExtensionContentsStmt AlterExtension extname
CreateRoleStmt CreateRole role
AlterRoleStmt AlterRole role
AlterRoleSetStmt AlterRole role
DropRoleStmt DropRole roles
CreatedbStmt CreateDatabase dbname
AlterDatabaseStmt AlterDatabase dbname
AlterDatabaseRefreshCollStmt AlterDatabase dbname
AlterDatabaseSetStmt AlterDatabase dbname
DropdbStmt DropDatabase dbname
CreateTableSpaceStmt CreateTablespace tablespacename
DropTableSpaceStmt DropTablespace tablespacename
AlterTableSpaceOptionsStmt AlterTablespace tablespacename
AlterTableMoveAllStmt AlterTablespace orig_tablespacename
CreatePublicationStmt CreatePublication pubname
AlterPublicationStmt AlterPublication pubname
CreateSubscriptionStmt CreateSubscription subname
AlterSubscriptionStmt AlterSubscription subname
DropSubscriptionStmt DropSubscription subname
CreatePolicyStmt CreatePolicy table
AlterPolicyStmt AlterPolicy table
CreateFdwStmt CreateForeignDataWrapper fdwname
AlterFdwStmt AlterForeignDataWrapper fdwname
CreateForeignServerStmt CreateServer servername
AlterForeignServerStmt AlterServer servername
CreateUserMappingStmt CreateUserMapping servername
AlterUserMappingStmt AlterUserMapping servername
DropUserMappingStmt DropUserMapping servername
ImportForeignSchemaStmt ImportForeignSchema local_schema
CreateAmStmt CreateAccessMethod amname
CreatePLangStmt CreateLanguage plname
CreateOpClassStmt CreateOperatorClass opclassname
CreateOpFamilyStmt CreateOperatorFamily opfamilyname
AlterOpFamilyStmt AlterOperatorFamily opfamilyname
AlterOperatorStmt AlterOperator opername
AlterCollationStmt AlterCollation collname
CreateConversionStmt CreateConversion conversion_name
CreateCastStmt CreateCast
CreateTransformStmt CreateTransform
CreateStatsStmt CreateStatistics defnames
AlterStatsStmt AlterStatistics defnames
AlterTSDictionaryStmt AlterTextSearch dictname
AlterTSConfigurationStmt AlterTextSearch cfgname
RuleStmt CreateRule relation
AlterDefaultPrivilegesStmt AlterDefaultPrivileges
GrantRoleStmt GrantRole granted_roles
ReassignOwnedStmt Reassign
DropOwnedStmt DropOwned
AlterSystemStmt AlterSystem
LoadStmt Load
CheckPointStmt Checkpoint
ClusterStmt Cluster relation
ReindexStmt Reindex relation
VacuumStmt Vacuum rels
TruncateStmt Truncate relations
LockStmt Lock relations
RefreshMatViewStmt RefreshMaterializedView relation
ConstraintsSetStmt Transaction
`

// newDefinitions reads the table.
func newDefinitions() map[string]definition {
	m := map[string]definition{}
	for line := range strings.SplitSeq(strings.TrimSpace(definitionList), "\n") {
		f := strings.Fields(line)
		d := definition{verb: f[1]}
		if len(f) > 2 {
			d.field = protoreflect.Name(f[2])
		}
		m[f[0]] = d
	}
	return m
}

// define analyses a statement that defines or maintains objects.
func (w *work) define(n *pg.Node) {
	m := message(n)
	if m == nil {
		w.an.Verb = verbOpaque
		w.opaque("an empty statement")
		return
	}
	w.an.ChangesState, w.an.ChangesCatalogue, w.effects = true, true, true
	kind := string(m.Descriptor().Name())
	if holdsSecrets(kind) {
		w.an.Secrets = w.an.Literals
	}
	if kind == "CreateForeignTableStmt" || kind == "ImportForeignSchemaStmt" {
		w.called, w.steered = true, true // a new name for what may be anything
	}
	w.defineKind(n, m, kind)
	w.definedBy(n)
	w.beside(n)
}

// defineKind records a definition's own action.
func (w *work) defineKind(n *pg.Node, m protoreflect.Message, kind string) {
	if d, ok := w.c.rules.definitions[kind]; ok {
		w.an.Verb = w.variant(d.verb, n)
		names := w.namesIn(m, d.field)
		for _, r := range names {
			w.act(w.an.Verb, r, nil)
		}
		if len(names) == 0 {
			w.actOn(w.an.Verb)
		}
		w.defineMore(n)
		return
	}
	w.defineByKind(n, kind)
}

// holdsSecrets says whether the literals of a kind of statement may be credentials.
func holdsSecrets(kind string) bool {
	switch kind {
	case "CreateRoleStmt", "AlterRoleStmt", "CreateUserMappingStmt", "AlterUserMappingStmt", "CreateSubscriptionStmt",
		"AlterSubscriptionStmt", "CreateForeignServerStmt", "AlterForeignServerStmt", "CreateFdwStmt", "AlterFdwStmt",
		"AlterSystemStmt", "CreateForeignTableStmt":
		return true
	}
	return false
}

// message is the statement inside a node.
func message(n *pg.Node) protoreflect.Message {
	var m protoreflect.Message
	n.ProtoReflect().Range(func(_ protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		m = v.Message()
		return false
	})
	return m
}

// variant is the verb of a statement that stands for two.
func (w *work) variant(verb string, n *pg.Node) string {
	switch s := n.GetNode().(type) {
	case *pg.Node_VacuumStmt:
		if !s.VacuumStmt.IsVacuumcmd {
			return "Analyze"
		}
	case *pg.Node_GrantRoleStmt:
		if !s.GrantRoleStmt.IsGrant {
			return "RevokeRole"
		}
	}
	return verb
}

// namesIn reads the part of a statement that names its objects, as resources.
func (w *work) namesIn(m protoreflect.Message, field protoreflect.Name) []string {
	f := m.Descriptor().Fields().ByName(field)
	if field == "" || f == nil || !m.Has(f) {
		return nil
	}
	v := m.Get(f)
	switch {
	case f.Kind() == protoreflect.StringKind:
		return []string{access.Resource(w.c.connection, v.String())}
	case f.IsList():
		return w.namesOf(v.List())
	}
	if r := w.nameOf(v.Message().Interface()); r != "" {
		return []string{r}
	}
	return nil
}

// namesOf reads a list: the parts of one qualified name, or several objects.
func (w *work) namesOf(l protoreflect.List) []string {
	var parts, out []string
	for i := range l.Len() {
		n, ok := l.Get(i).Message().Interface().(*pg.Node)
		if !ok {
			continue
		}
		if s := n.GetString_(); s != nil {
			parts = append(parts, s.Sval)
			continue
		}
		if r := w.nameOf(n); r != "" {
			out = append(out, r)
		}
	}
	if len(parts) > 0 {
		out = append(out, w.objectResource(parts))
	}
	return out
}

// nameOf is the resource of one object that a statement names; empty where it has no name of its own.
func (w *work) nameOf(m any) string {
	switch o := m.(type) {
	case *pg.RangeVar:
		if o.Relpersistence == "t" { // CREATE TEMP: whatever else has the name stays as it is
			return w.newResource(o)
		}
		if rel, _ := w.c.lookup(w.s, o.Schemaname, o.Relname); rel != nil {
			return rel.resource
		}
		return w.newResource(o)
	case *pg.RoleSpec:
		return access.Resource(w.c.connection, o.Rolename)
	case *pg.TypeName:
		return w.objectResource(stringsOf(o.Names))
	case *pg.ObjectWithArgs:
		return w.objectResource(stringsOf(o.Objname))
	case *pg.AccessPriv:
		return access.Resource(w.c.connection, o.PrivName)
	case *pg.VacuumRelation:
		return w.nameOf(o.Relation)
	case *pg.Node:
		if inner := message(o); inner != nil {
			if l, ok := inner.Interface().(*pg.List); ok {
				return w.objectResource(stringsOf(l.Items))
			}
			if s, ok := inner.Interface().(*pg.String); ok {
				return access.Resource(w.c.connection, s.Sval)
			}
			return w.nameOf(inner.Interface())
		}
	}
	return ""
}

// objectResource is the resource of an object by its parts: schema and name, or a name in the schema where it would be
// found or made.
func (w *work) objectResource(parts []string) string {
	if len(parts) == 1 {
		if rel, _ := w.c.lookup(w.s, "", parts[0]); rel != nil {
			return rel.resource
		}
		parts = []string{w.creationSchema(""), parts[0]}
	}
	return access.Resource(w.c.connection, parts...)
}

// defineMore adds what a definition does beside its main object.
func (w *work) defineMore(n *pg.Node) {
	switch s := n.GetNode().(type) {
	case *pg.Node_CreateStmt:
		w.createTable(s.CreateStmt)
	case *pg.Node_TruncateStmt:
		for _, r := range s.TruncateStmt.Relations {
			rel, _ := w.c.lookup(w.s, r.GetRangeVar().GetSchemaname(), r.GetRangeVar().GetRelname())
			w.relate(verbTruncate, r.GetRangeVar(), rel)
		}
		if s.TruncateStmt.Behavior == pg.DropBehavior_DROP_CASCADE {
			w.actOn(w.an.Verb) // whatever refers to them, too
		}
		w.an.ChangesCatalogue = false
	case *pg.Node_IndexStmt:
		w.definedFrom(s.IndexStmt.Relation, n)
		for _, p := range s.IndexStmt.IndexParams {
			w.testColumn(s.IndexStmt.Relation, p.GetIndexElem().GetName())
		}
	case *pg.Node_CreateStatsStmt:
		for _, r := range s.CreateStatsStmt.Relations {
			w.definedFrom(r.GetRangeVar(), n)
		}
	case *pg.Node_RefreshMatViewStmt:
		if s.RefreshMatViewStmt.SkipData {
			w.act(verbTruncate, w.nameOf(s.RefreshMatViewStmt.Relation), nil)
		}
	case *pg.Node_CreateSchemaStmt:
		for _, e := range s.CreateSchemaStmt.SchemaElts {
			w.innerAt(e, w.src.end) // its text is not needed
		}
	case *pg.Node_RuleStmt, *pg.Node_AlterExtensionContentsStmt:
	case *pg.Node_VacuumStmt, *pg.Node_LockStmt, *pg.Node_ConstraintsSetStmt, *pg.Node_CheckPointStmt:
		w.an.ChangesCatalogue = false
	}
}

// createTable records the parents of a new table, which it changes, and what it is made from.
func (w *work) createTable(s *pg.CreateStmt) {
	for _, p := range s.InhRelations {
		if r := w.nameOf(p); r != "" {
			w.act("AlterTable", r, nil)
		}
	}
}

// definedFrom records that an object is made from a relation's columns: wherever the definition names one, it is copied
// or compared.
func (w *work) definedFrom(rv *pg.RangeVar, n *pg.Node) {
	rel, _ := w.c.lookup(w.s, rv.GetSchemaname(), rv.GetRelname())
	if rel == nil {
		return
	}
	walk(n, func(m *pg.Node) {
		if ref := m.GetColumnRef(); ref != nil {
			w.testColumn(rv, lastString(ref.Fields))
		}
	})
}

func (w *work) testColumn(rv *pg.RangeVar, name string) {
	rel, _ := w.c.lookup(w.s, rv.GetSchemaname(), rv.GetRelname())
	if rel == nil {
		return
	}
	if i, ok := rel.byName[name]; ok {
		v := rel.columns[i].val
		w.test(v)
		w.copyInto(v, nil)
	}
}
