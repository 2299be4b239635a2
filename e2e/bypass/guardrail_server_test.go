package bypass

const (
	files   = "no-server-files"
	program = "no-copy-program"
	rights  = "no-privilege-change"
)

// fileAttacks read, list or write files of the server.
var fileAttacks = []attack{
	guard(files, "pg_read_file", "simple", simple("SELECT pg_read_file('${files}/secret')")),
	guard(files, "pg_read_file", "text", extended("SELECT pg_catalog.pg_read_file('${files}/secret', 0, 100)", false)),
	guard(files, "pg_read_binary_file", "binary", extended("SELECT pg_read_binary_file('${files}/secret')", true)),
	guard(files, "pg_read_file by its escaped name", "simple", simple(`SELECT U&"pg\005fread\005ffile"('${files}/secret')`)),
	guard(files, "pg_read_file in FROM", "cursor", cursor("", "SELECT * FROM pg_read_file('${files}/secret')")),
	guard(files, "pg_read_file", "COPY", copied("SELECT pg_read_file('${files}/secret')", "")),
	guard(files, "pg_read_file", "PREPARE", simple("PREPARE p AS SELECT pg_read_file('${files}/secret')", "EXECUTE p")),
	guard(files, "pg_read_file in a default", "simple", simple("CREATE TABLE t (a text DEFAULT pg_read_file('${files}/secret'))",
		"INSERT INTO t DEFAULT VALUES RETURNING a")),
	guard(files, "pg_read_file in a view", "simple", simple("CREATE VIEW t AS SELECT pg_read_file('${files}/secret') AS a", "TABLE t")),
	guard(files, "pg_read_file in an error", "simple", simple("SELECT CASE WHEN length(pg_read_file('${files}/secret')) > 0 THEN 1 END")),
	guard(files, "pg_ls_dir", "simple", simple("SELECT * FROM pg_ls_dir('${files}')")),
	guard(files, "pg_stat_file", "text", extended("SELECT * FROM pg_stat_file('${files}/secret')", false)),
	guard(files, "pg_ls_logdir", "simple", simple("SELECT * FROM pg_ls_waldir()")),
	guard(files, "lo_import", "simple", simple("SELECT lo_import('${files}/secret', 71004)", "SELECT convert_from(lo_get(71004), 'UTF8')")).unproven("it works, and the next case would find it"),
	guard(files, "lo_export", "text", extended("SELECT lo_export(70001, '${files}/out')", false)).unproven("the large object is not in the arena"),
	guard(files, "COPY FROM a file", "simple", simple("COPY lines FROM '${files}/secret'", "TABLE lines")),
	guard(files, "COPY FROM a file", "transaction", simple("BEGIN", "COPY ledger (entry) FROM '${files}/secret'", "COMMIT")).unproven("the key is missing"),
	guard(files, "COPY TO a file", "simple", simple("COPY ledger TO '${files}/out'")),
	guard(files, "COPY of a query TO a file", "text", extended("COPY (SELECT 'x') TO '${files}/out' (FORMAT csv)", false)),
	guard(files, "COPY TO PROGRAM", "simple", simple("COPY (SELECT 1) TO PROGRAM 'cat > ${files}/out'")),
	guard(files, "a view of the server's files", "simple", simple("SELECT * FROM pg_hba_file_rules")),
	guard(files, "a view of the server's files", "cursor", cursor("", "SELECT sourcefile, name FROM pg_catalog.pg_file_settings")),
	guard(files, "a foreign table over a file", "simple", simple("CREATE EXTENSION file_fdw; CREATE SERVER f FOREIGN DATA WRAPPER file_fdw; "+
		"CREATE FOREIGN TABLE ff (a text) SERVER f OPTIONS (filename '${files}/secret'); TABLE ff")),
	guard(files, "a function", "simple", simple("SELECT act('COPY ledger TO ''${files}/out''')")),
	guard(files, "DO", "simple", simple("DO 'BEGIN PERFORM pg_read_file(''${files}/secret''); END'")),
	guard(files, "query_to_xml", "text", extended("SELECT query_to_xml('SELECT pg_read_file(''${files}/secret'')', true, false, '')", false)),
	guard(files, "LOAD", "simple", simple("LOAD 'plpgsql'")),
	guard(files, "a function in C", "simple", simple("CREATE FUNCTION c(text) RETURNS int LANGUAGE c AS 'libc.so.6', 'system'")).unproven("the library is none of the server's"),
}

// programAttacks run programs of the server.
var programAttacks = []attack{
	guard(program, "COPY TO PROGRAM", "simple", simple("COPY (SELECT 1) TO PROGRAM 'cat > ${files}/ran'")),
	guard(program, "COPY TO PROGRAM", "text", extended("COPY ledger TO PROGRAM 'cat > ${files}/ran'", false)),
	guard(program, "COPY TO PROGRAM", "among others in one query", among("COPY/**/(SELECT 1)/**/TO/**/PROGRAM/**/E'cat > ${files}/ra\\x6e'")),
	guard(program, "COPY FROM PROGRAM", "simple", simple("COPY lines FROM PROGRAM 'cat ${files}/secret'", "TABLE lines")),
	guard(program, "COPY FROM PROGRAM", "pipeline", pipelined("COPY spring FROM PROGRAM 'touch ${files}/ran'")),
	guard(program, "COPY FROM PROGRAM with WHERE", "transaction", inside("COPY parted FROM PROGRAM 'touch ${files}/ran' WHERE id > 1")),
	guard(program, "a function", "simple", simple("SELECT act('COPY (SELECT 1) TO PROGRAM ''cat > ${files}/ran''')")),
	guard(program, "DO", "text", extended("DO $$BEGIN EXECUTE 'COPY (SELECT 1) TO PRO' || 'GRAM ''cat > ${files}/ran'''; END$$", false)),
	guard(program, "a setting that runs a program", "simple", simple("ALTER SYSTEM SET archive_command = 'touch ${files}/ran'")).undoing("ALTER SYSTEM RESET archive_command"),
	guard(program, "a file that is read at the next start", "simple", simple("COPY (SELECT 1) TO '${files}/ran'")),
}

// rightsAttacks change who may do what.
var rightsAttacks = []attack{
	guard(rights, "GRANT", "simple", simple("GRANT SELECT ON ledger TO PUBLIC")),
	guard(rights, "GRANT", "text", extended("GRANT ALL (entry) ON TABLE ledger TO bob WITH GRANT OPTION", false)),
	guard(rights, "GRANT on all", "pipeline", pipelined("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO bob")),
	guard(rights, "GRANT of a role", "simple", simple("GRANT pg_read_server_files TO bob")).undoing("REVOKE pg_read_server_files FROM bob"),
	guard(rights, "REVOKE", "simple", simple("REVOKE ALL ON FUNCTION act(text) FROM PUBLIC")),
	guard(rights, "REVOKE of a role", "text", extended("REVOKE app FROM app_md5", false)).undoing("GRANT app TO app_md5"),
	guard(rights, "default privileges", "simple", simple("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC")),
	guard(rights, "an owner", "simple", simple("ALTER TABLE ledger OWNER TO bob")),
	guard(rights, "an owner", "text", extended("ALTER FUNCTION act(text) OWNER TO bob", false)),
	guard(rights, "an owner of a schema", "simple", simple("CREATE SCHEMA s AUTHORIZATION bob")),
	guard(rights, "REASSIGN", "simple", simple("REASSIGN OWNED BY eve TO bob")),
	guard(rights, "a new role", "simple", simple("CREATE ROLE mallory SUPERUSER LOGIN")).undoing("DROP ROLE IF EXISTS mallory"),
	guard(rights, "a role is changed", "text", extended("ALTER ROLE bob BYPASSRLS", false)).undoing("ALTER ROLE bob NOBYPASSRLS"),
	guard(rights, "a role's settings", "simple", simple("ALTER ROLE bob IN DATABASE postgres SET search_path = evil")).undoing("ALTER ROLE bob IN DATABASE postgres RESET ALL"),
	guard(rights, "a user by its old name", "simple", simple("CREATE USER mallory")).undoing("DROP ROLE IF EXISTS mallory"),
	guard(rights, "SET ROLE", "simple", simple("SET ROLE bob")),
	guard(rights, "SET ROLE", "transaction", inside("SET LOCAL ROLE 'bob'")),
	guard(rights, "SET ROLE by a function", "text", extended("SELECT set_config('role', 'bob', false)", false)),
	guard(rights, "SET ROLE by a function", "cursor", cursor("", "SELECT set_config('RoLe', 'bob', true)")),
	guard(rights, "SET ROLE by a setting's name that is computed", "simple", simple("SELECT act('SET ROLE bob')")),
	guard(rights, "SESSION AUTHORIZATION", "simple", simple("SET SESSION AUTHORIZATION bob")),
	guard(rights, "SESSION AUTHORIZATION by a function", "simple", simple("SELECT pg_catalog.set_config('session_authorization', 'bob', false)")),
	guard(rights, "row security is switched off", "simple", simple("ALTER TABLE wished DISABLE ROW LEVEL SECURITY")),
	guard(rights, "a row security policy", "simple", simple("CREATE POLICY more ON wished USING (true)")),
	guard(rights, "a row security policy is dropped", "text", extended("DROP POLICY own ON wished", false)),
	guard(rights, "a security label", "simple", simple("SECURITY LABEL ON TABLE ledger IS 'open'")).unproven("the server knows no labels"),
	guard(rights, "a function runs as its owner", "simple", simple("ALTER FUNCTION act(text) SECURITY DEFINER")),
	guard(rights, "a database's owner", "simple", simple("ALTER DATABASE postgres OWNER TO bob")).undoing("ALTER DATABASE postgres OWNER TO postgres"),
	guard(rights, "a large object's owner", "simple", simple("ALTER LARGE OBJECT 70001 OWNER TO bob")).unproven("the large object is not in the arena"),
	guard(rights, "the server's own tables", "simple", simple("UPDATE pg_authid SET rolsuper = true WHERE rolname = 'bob'")).undoing("ALTER ROLE bob NOSUPERUSER"),
	guard(rights, "DO", "simple", simple("DO 'BEGIN GRANT ALL ON ledger TO bob; END'")),
	guard(rights, "a new setting of the server", "simple", simple("ALTER SYSTEM SET row_security = off")).undoing("ALTER SYSTEM RESET row_security"),
}
