package pgsql

import "strings"

// class says what is known of a built-in function.
type class uint8

// The classes. The first seven are pure.
const (
	classUnknown   class = iota
	classTotal           // cannot fail, whatever its arguments (TestFailingIsTested), unless they are too long: see total.go
	classFirst           // cannot fail while only its first argument varies
	classSecond          // cannot fail while only its second argument varies
	classPure            // may fail: its arguments are tested
	classAggTotal        // aggregates and window functions that cannot fail
	classAggregate       // those that may
	classSet             // returns rows: its arguments decide how many
	classDescribe        // reads metadata
	classShow            // reads a setting
	classSequence        // reads or moves a sequence
	classOpaque          // runs what a text says
	classReadFile
	classWriteFile
	classLargeObject
	classAdvisory
	classNotify
)

const classNames = "total first second pure aggtotal aggregate set describe show sequence opaque readfile writefile largeobject advisory notify"

// totalOperators cannot fail, whatever their operands; firstOperators while only the left one varies. Any other is
// arithmetic of some kind: it may overflow or divide by zero, and so tell something of its operands. LIKE is among those:
// a pattern that ends with its escape character fails on the values that match what is before it. See totalOperation.
const (
	totalOperators = "= <> < > <= >= ^@ ~<~ ~<=~ ~>~ ~>=~ << <<| |>> &< &> -|-"
	firstOperators = "~ !~ ~* !~* -> ->> #> #>> ? ?| ?&"
)

// metadataRelations are the relations of pg_catalog that hold metadata and never a user's value, a secret or another
// session's statement. Reading any other is a Select on it.
const metadataRelations = `pg_aggregate pg_am pg_amop pg_amproc pg_attrdef pg_attribute pg_auth_members pg_available_extension_versions
pg_available_extensions pg_cast pg_class pg_collation pg_constraint pg_conversion pg_database pg_default_acl pg_depend pg_description
pg_enum pg_event_trigger pg_extension pg_foreign_data_wrapper pg_group pg_index pg_indexes pg_inherits pg_init_privs pg_language
pg_locks pg_matviews pg_namespace pg_opclass pg_operator pg_opfamily pg_partitioned_table pg_policies pg_policy pg_proc
pg_publication pg_publication_namespace pg_publication_rel pg_publication_tables pg_range pg_rewrite pg_roles pg_rules
pg_sequence pg_shdepend pg_shdescription pg_statistic_ext pg_tables pg_tablespace
pg_timezone_abbrevs pg_timezone_names pg_transform pg_trigger pg_ts_config pg_ts_config_map pg_ts_dict pg_ts_parser
pg_ts_template pg_type pg_user pg_views`

// valueRelations are the relations of pg_catalog that hold values of any table, or statements that may: what is read from
// them is never proven.
const valueRelations = `pg_statistic pg_statistic_ext_data pg_stats pg_stats_ext pg_stats_ext_exprs pg_stat_activity
pg_prepared_statements pg_cursors pg_largeobject`

// informationHidden are the relations of information_schema that may hold options of foreign servers, passwords among
// them. The others hold metadata.
const informationHidden = `_pg_foreign_data_wrappers _pg_foreign_servers _pg_foreign_table_columns _pg_foreign_tables _pg_user_mappings
column_options foreign_data_wrapper_options foreign_server_options foreign_table_options user_mapping_options`

// harmlessSettings change neither how a text is read nor what a statement may touch.
const harmlessSettings = `application_name timezone datestyle intervalstyle extra_float_digits bytea_output client_min_messages
statement_timeout lock_timeout idle_in_transaction_session_timeout idle_session_timeout transaction_timeout
default_transaction_isolation default_transaction_read_only default_transaction_deferrable transaction_isolation
transaction_read_only transaction_deferrable transaction session_characteristics seed geqo enable_seqscan enable_indexscan
enable_bitmapscan enable_hashjoin enable_mergejoin enable_nestloop enable_sort enable_hashagg enable_material jit
work_mem max_parallel_workers_per_gather random_page_cost cursor_tuple_fraction lc_monetary lc_numeric lc_time xmlbinary
tcp_keepalives_idle tcp_keepalives_interval tcp_keepalives_count synchronous_commit`

// shownSettings may be read by whoever may connect, besides the harmless ones: drivers and tools ask for them.
const shownSettings = `server_version server_version_num server_encoding client_encoding search_path standard_conforming_strings
integer_datetimes is_superuser session_authorization role max_identifier_length block_size lc_collate lc_ctype
max_index_keys transaction_isolation in_hot_standby escape_string_warning default_tablespace default_text_search_config
default_table_access_method row_security check_function_bodies max_connections password_encryption wal_level
backslash_quote array_nulls default_toast_compression`

// pureExtensions are the extensions whose operators, and whose immutable functions and types, read nothing but their
// arguments.
const pureExtensions = `citext hstore pg_trgm ltree pgcrypto uuid-ossp unaccent fuzzystrmatch btree_gin btree_gist intarray cube
earthdistance isn seg vector`

// builtins are the closed lists, ready for look-up. They are never changed after newBuiltins.
type builtins struct {
	functions   map[string]class
	total       map[string]bool
	first       map[string]bool
	growing     map[string]bool
	product     map[string]bool
	texts       map[string]bool
	sameKind    map[string]bool
	metadata    map[string]bool
	anyValue    map[string]bool
	hidden      map[string]bool
	harmless    map[string]bool
	shown       map[string]bool
	extensions  map[string]bool
	definitions map[string]definition
	verbs       map[string]bool
}

func newBuiltins() *builtins {
	b := &builtins{
		functions: make(map[string]class, 900), total: set(totalOperators), first: set(firstOperators),
		growing: set(growingNames), product: set(productNames), texts: set(textNames), sameKind: set(sameKindNames),
		metadata: set(metadataRelations), anyValue: set(valueRelations), hidden: set(informationHidden), harmless: set(harmlessSettings),
		shown: set(shownSettings), extensions: set(pureExtensions), definitions: newDefinitions(),
	}
	b.verbs = map[string]bool{}
	for _, v := range Verbs() {
		b.verbs[v.Name] = true
	}
	byName := map[string]class{}
	for i, name := range strings.Fields(classNames) {
		byName[name] = class(i + 1)
	}
	current := classUnknown
	for word := range strings.FieldsSeq(builtinNames) {
		if name, ok := strings.CutSuffix(word, ":"); ok {
			current = byName[name]
			continue
		}
		b.functions[word] = current
	}
	return b
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}
