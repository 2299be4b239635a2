package pgsql

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// maxCatalogue bounds the text that ParseCatalogue reads, in bytes: some 500,000 columns.
const maxCatalogue = 64 << 20

// Catalogue is what a database held when it was read. It is immutable and safe for concurrent use.
type Catalogue struct {
	connection string
	digest     string
	version    int // server_version_num
	encoding   string
	path       []string // the path in which view definitions were rendered

	relations map[string]map[string]*relation // schema -> name
	byOID     map[uint32]*relation
	schemas   map[string]bool
	functions map[string][]function // name -> every user function of that name
	operators map[string][]owner    // name -> every user operator of that name
	types     map[string][]typeInfo // name -> every user type of that name
	citext    uint32                // the type of the extension of that name; 0 where it is not there
	hazards   bool                  // a function of users may keep something in a backend that no reset takes away
	foreign   bool                  // there are foreign tables
	userCasts bool                  // casts between built-in types were added: no expression is known any more

	fields []fieldInfo // by fieldID; the resource names
	rules  *builtins
}

// fieldID names one column of one relation of a catalogue.
type fieldID int32

type fieldInfo struct {
	resource string
	rel      *relation
}

// relation is a table, view, materialized view, foreign table, partitioned table, sequence or composite type.
type relation struct {
	oid          uint32
	schema, name string
	kind         byte
	resource     string
	columns      []relColumn
	byName       map[string]int
	definition   string // views and materialized views of users
	rules        bool   // rewrite rules other than a view's own
	writes       bool   // writing may run code of users
	reads        bool   // reading may run code of users
	temporary    bool   // a table of the session's own
	children     []*relation
	parents      []*relation
	bases        []*relation // of a view: what a write to it could reach
	followed     bool        // of a view: bases is complete
	expanding    bool
	expanded     bool
}

type relColumn struct {
	name      string
	attnum    int16
	typ       uint32
	notNull   bool
	generated bool // computed from other columns of its row
	id        fieldID
	val       value // what reading the column may give: its own field, and what it stands for
}

type owner struct{ schema, extension string }

type function struct {
	owner
	immutable bool
}

type typeInfo struct {
	owner
	kind        byte // b base, c composite, d domain, e enum, r range, m multirange
	constrained bool // a domain with conditions, or a type with casts by functions of users
}

type catalogueJSON struct {
	Version   int               `json:"version"`
	Encoding  string            `json:"encoding"`
	Path      []string          `json:"path"`
	Schemas   []string          `json:"schemas"`
	Relations []relationJSON    `json:"relations"`
	Inherits  [][2]uint32       `json:"inherits"`
	Functions [][4]string       `json:"functions"`
	Operators [][3]string       `json:"operators"`
	Types     []json.RawMessage `json:"types"`
	Languages [][2]string       `json:"languages"` // of functions of users, with the extension that brought them
	Casts     bool              `json:"casts"`
}

type relationJSON struct {
	OID     uint32            `json:"o"`
	Schema  string            `json:"s"`
	Name    string            `json:"n"`
	Kind    string            `json:"k"`
	Columns []json.RawMessage `json:"c"`
	Def     *string           `json:"d"`
	Rules   bool              `json:"rules"`
	Writes  bool              `json:"writes"`
	Reads   bool              `json:"reads"`
}

// CatalogueVersion returns the version that ParseCatalogue would give a text, without parsing it.
func CatalogueVersion(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// ParseCatalogue reads CatalogueQuery's answer for a connection. Views are expanded here, once. A text that is too large
// or incomplete is an error of kind Backend.
func ParseCatalogue(connection string, text []byte) (*Catalogue, error) {
	const op = "pgsql.ParseCatalogue"
	if len(text) > maxCatalogue {
		return nil, fault.New(fault.Backend, op, "the database's catalogue is larger than the gateway reads (%d MiB)", maxCatalogue>>20)
	}
	var j catalogueJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return nil, fault.Wrap(fault.Backend, op, err, "the database's answer about its catalogue cannot be read")
	}
	if j.Version == 0 || j.Encoding == "" || len(j.Relations) == 0 {
		return nil, fault.New(fault.Backend, op, "the database's answer about its catalogue is incomplete")
	}
	c := &Catalogue{
		connection: connection, digest: CatalogueVersion(text), version: j.Version, encoding: j.Encoding, path: j.Path,
		relations: map[string]map[string]*relation{}, byOID: make(map[uint32]*relation, len(j.Relations)),
		schemas: map[string]bool{}, functions: map[string][]function{}, operators: map[string][]owner{},
		types: map[string][]typeInfo{}, userCasts: j.Casts, rules: newBuiltins(),
	}
	for _, s := range j.Schemas {
		c.schemas[s] = true
	}
	for i := range j.Relations {
		if err := c.addRelation(&j.Relations[i]); err != nil {
			return nil, fault.Wrap(fault.Backend, op, err, "the database's answer about its catalogue cannot be read")
		}
	}
	if err := c.addNames(&j); err != nil {
		return nil, fault.Wrap(fault.Backend, op, err, "the database's answer about its catalogue cannot be read")
	}
	c.addInheritance(j.Inherits)
	c.addHazards(j.Languages)
	c.expandViews()
	return c, nil
}

func (c *Catalogue) addRelation(j *relationJSON) error {
	r, err := c.newRelation(j)
	if err != nil {
		return err
	}
	if c.relations[j.Schema] == nil {
		c.relations[j.Schema] = map[string]*relation{}
	}
	c.relations[j.Schema][j.Name] = r
	c.byOID[r.oid] = r
	return nil
}

// newRelation reads a relation, and gives each of its columns a field.
func (c *Catalogue) newRelation(j *relationJSON) (*relation, error) {
	if len(j.Kind) != 1 {
		return nil, fault.New(fault.Backend, "", "a relation has no kind")
	}
	r := &relation{
		oid: j.OID, schema: j.Schema, name: j.Name, kind: j.Kind[0], rules: j.Rules, writes: j.Writes, reads: j.Reads,
		resource: access.Resource(c.connection, j.Schema, j.Name),
		columns:  make([]relColumn, 0, len(j.Columns)), byName: make(map[string]int, len(j.Columns)),
	}
	if j.Def != nil {
		r.definition = *j.Def
	}
	for _, raw := range j.Columns {
		var flags int
		var col relColumn
		if err := json.Unmarshal(raw, &[]any{&col.attnum, &col.name, &col.typ, &flags}); err != nil {
			return nil, err
		}
		col.notNull = flags&2 != 0
		col.id = fieldID(len(c.fields))
		c.fields = append(c.fields, fieldInfo{access.Resource(c.connection, j.Schema, j.Name, col.name), r})
		col.val = value{from: fieldSet{col.id}, bare: true, total: true, typ: col.typ, size: sizeColumn, open: j.Schema == "pg_catalog" && c.rules.anyValue[j.Name]}
		col.generated = flags&4 != 0
		r.byName[col.name] = len(r.columns)
		r.columns = append(r.columns, col)
	}
	r.spreadGenerated()
	return r, nil
}

// spreadGenerated lets a generated column stand for every column of its row: which of them it is computed from is not read.
func (r *relation) spreadGenerated() {
	var all fieldSet
	for _, col := range r.columns {
		all = append(all, col.id)
	}
	for i := range r.columns {
		if r.columns[i].generated {
			v := &r.columns[i].val
			v.from, v.bare = all, false
		}
	}
}

func (c *Catalogue) addNames(j *catalogueJSON) error {
	for _, f := range j.Functions {
		c.functions[f[1]] = append(c.functions[f[1]], function{owner{f[0], f[3]}, f[2] == "i"})
	}
	for _, o := range j.Operators {
		c.operators[o[1]] = append(c.operators[o[1]], owner{o[0], o[2]})
	}
	base := map[uint32]uint32{}
	for _, raw := range j.Types {
		var t typeInfo
		var name, kind string
		var oid, of uint32
		if err := json.Unmarshal(raw, &[]any{&t.schema, &name, &kind, &t.extension, &t.constrained, &oid, &of}); err != nil {
			return err
		}
		if of != 0 {
			base[oid] = of
		}
		if len(kind) != 1 {
			return fault.New(fault.Backend, "", "a type has no kind")
		}
		if t.kind = kind[0]; name == "citext" && t.extension == "citext" {
			c.citext = oid
		}
		c.types[name] = append(c.types[name], t)
	}
	c.resolveDomains(base)
	return nil
}

// addHazards notes functions in languages whose code keeps state of its own in the backend's process. What is written in
// SQL or PL/pgSQL keeps none that a reset does not take away, nor do extensions that are known to be pure.
func (c *Catalogue) addHazards(languages [][2]string) {
	for _, l := range languages {
		tame := l[0] == "sql" || l[0] == "plpgsql" || l[0] == "internal"
		handlers := l[0] == "c" && l[1] == "plpgsql" // of the language itself
		c.hazards = c.hazards || !tame && !handlers && !c.rules.extensions[l[1]]
	}
	for _, r := range c.byOID {
		c.foreign = c.foreign || r.kind == 'f'
	}
}

// Hazards reports whether code of users may keep something in a backend that no reset takes away: a connection to a foreign
// server is that too.
func (c *Catalogue) Hazards() bool { return c.hazards || c.foreign }

// resolveDomains gives columns of a domain the type that the server sends: the one below.
func (c *Catalogue) resolveDomains(base map[uint32]uint32) {
	for _, r := range c.byOID {
		for i := range r.columns {
			for hops := 0; base[r.columns[i].typ] != 0 && hops < len(base); hops++ {
				r.columns[i].typ = base[r.columns[i].typ]
			}
			r.columns[i].val.typ = r.columns[i].typ
		}
	}
}

// addInheritance ties a parent's columns to the columns of the same name of all its descendants, both ways: reading the
// parent reads them, and what they hold is what the parent shows.
func (c *Catalogue) addInheritance(pairs [][2]uint32) {
	for _, p := range pairs {
		child, parent := c.byOID[p[0]], c.byOID[p[1]]
		if child != nil && parent != nil {
			parent.children = append(parent.children, child)
			child.parents = append(child.parents, parent)
		}
	}
	for _, r := range c.byOID {
		if len(r.children) == 0 {
			continue
		}
		for _, d := range r.descendants() {
			r.writes, r.reads, r.rules = r.writes || d.writes, r.reads || d.reads, r.rules || d.rules
			for i := range r.columns {
				if k, ok := d.byName[r.columns[i].name]; ok {
					r.columns[i].val.from = r.columns[i].val.from.with(d.columns[k].id)
					d.columns[k].val.from = d.columns[k].val.from.with(r.columns[i].id)
				}
			}
		}
	}
}

// descendants returns every relation below r, each once.
func (r *relation) descendants() []*relation {
	return r.reach(func(of *relation) []*relation { return of.children })
}

// reach returns every other relation that is reached from r by steps, each once.
func (r *relation) reach(step func(*relation) []*relation) []*relation {
	var all []*relation
	seen := map[*relation]bool{r: true}
	for queue := slices.Clone(step(r)); len(queue) > 0; queue = queue[1:] {
		if d := queue[0]; !seen[d] {
			seen[d] = true
			all = append(all, d)
			queue = append(queue, step(d)...)
		}
	}
	return all
}

// Version is a digest of the catalogue's content: equal versions analyse equally.
func (c *Catalogue) Version() string { return c.digest }

// Connection is the name of the connection whose catalogue this is.
func (c *Catalogue) Connection() string { return c.connection }

// Field names the column that a RowDescription reports; ok is false where the catalogue does not hold it. A view's column
// is the view's own field: see Sources.
func (c *Catalogue) Field(relOID uint32, attnum int16) (resource string, ok bool) {
	col := c.column(relOID, attnum)
	if col == nil {
		return "", false
	}
	return c.fields[col.id].resource, true
}

// Sources returns every field that a column's value may come from, its own among them, through views and inheritance.
// proven is false where the catalogue does not hold the column, or cannot follow it.
func (c *Catalogue) Sources(relOID uint32, attnum int16) (fields []string, proven bool) {
	col := c.column(relOID, attnum)
	if col == nil {
		return nil, false
	}
	return c.resources(col.val.from), !col.val.open
}

// Fields returns every field that a value of a relation may come from: its own, and through views and inheritance those of
// others. known is false where the catalogue does not hold the relation, or cannot follow it.
func (c *Catalogue) Fields(schema, name string) (fields []string, known bool) {
	r := c.relations[schema][name]
	if r == nil {
		return nil, false
	}
	all, open := fieldSet(nil), false
	for i := range r.columns {
		all, open = all.union(r.columns[i].val.from), open || r.columns[i].val.open
	}
	return c.resources(all), !open
}

func (c *Catalogue) column(relOID uint32, attnum int16) *relColumn {
	r := c.byOID[relOID]
	if r == nil {
		return nil
	}
	for i := range r.columns {
		if r.columns[i].attnum == attnum {
			return &r.columns[i]
		}
	}
	return nil
}

// resources renders a set, sorted.
func (c *Catalogue) resources(s fieldSet) []string {
	if len(s) == 0 {
		return nil
	}
	names := make([]string, len(s))
	for i, id := range s {
		names[i] = c.fields[id].resource
	}
	slices.Sort(names)
	return names
}

// lookup finds a relation as the server does: by schema where one is given, else along the path. known is false where the
// server may find one that the catalogue does not hold.
func (c *Catalogue) lookup(s *State, schema, name string) (r *relation, known bool) {
	if schema != "" {
		if strings.HasPrefix(schema, temporary) {
			return c.temporary(s, schema, name)
		}
		return c.relations[schema][name], true
	}
	for _, at := range s.Path {
		if strings.HasPrefix(at, temporary) {
			if slices.Contains(s.Temp, name) {
				return c.shadowing(s, at, name)
			}
			continue
		}
		if r := c.relations[at][name]; r != nil {
			return r, true
		}
	}
	return nil, true
}
