package bypass

import "github.com/jackc/pgx/v5/pgproto3"

// works is a statement that has to work; reads is one that has to work on a connection that only reads, too.
func works(technique, channel string, steps []step) attack {
	return attack{Technique: technique, Channel: channel, Steps: steps}
}

func reads(technique, channel string, steps []step) attack {
	return attack{Technique: technique, Channel: channel, Steps: steps, Guardrail: "read-only"}
}

// undone wraps writes into a transaction that is rolled back, so that both runs begin alike.
func undone(texts ...string) []step {
	return simple(append(append([]string{"BEGIN"}, texts...), "ROLLBACK")...)
}

// honest are statements that have to work, and to give what they give around the gateway.
var honest = []attack{
	reads("join and aggregate", "simple", simple("SELECT c.region, count(*), sum(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY 1 ORDER BY 1")),
	reads("join and aggregate", "text", extended("SELECT c.region, count(*) FROM customers c LEFT JOIN orders o USING (id) WHERE c.id < $1 GROUP BY ROLLUP (1) ORDER BY 1", false, "10")),
	reads("joins of every kind", "simple", simple("SELECT o.id, p.id, i.id FROM orders o FULL JOIN payments p ON p.order_id = o.id CROSS JOIN LATERAL (SELECT id FROM items ORDER BY id LIMIT 1) i ORDER BY 1, 2")),
	reads("natural join", "simple", simple("SELECT count(*) FROM orders NATURAL JOIN (SELECT id, status FROM orders) s")),
	reads("HAVING, DISTINCT, FILTER", "text", extended("SELECT status, count(DISTINCT customer_id), avg(total) FILTER (WHERE total > 100) FROM orders GROUP BY status HAVING count(*) > $1::int ORDER BY 1", false, "2")),
	reads("DISTINCT ON", "simple", simple("SELECT DISTINCT ON (status) status, id, total FROM orders ORDER BY status, total DESC")),
	reads("grouping sets", "simple", simple("SELECT status, customer_id, grouping(status), count(*) FROM orders GROUP BY GROUPING SETS ((status), (customer_id), ()) ORDER BY 1, 2")),
	reads("window functions", "simple", simple("SELECT id, row_number() OVER w, lag(total) OVER w, sum(total) OVER (PARTITION BY status ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM orders WINDOW w AS (PARTITION BY status ORDER BY id) ORDER BY id")),
	reads("window functions", "binary", extended("SELECT id, ntile(4) OVER (ORDER BY id), percent_rank() OVER (ORDER BY total) FROM orders ORDER BY id", true)),
	reads("percentiles and statistics", "simple", simple("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total), stddev(total)::numeric(10,2), mode() WITHIN GROUP (ORDER BY status), corr(id, total)::numeric(8,4) FROM orders")),
	reads("WITH", "simple", simple("WITH big AS (SELECT * FROM orders WHERE total > 500), n AS MATERIALIZED (SELECT count(*) AS c FROM big) SELECT big.id, n.c FROM big, n ORDER BY 1")),
	reads("recursive WITH", "simple", simple("WITH RECURSIVE t(n, path) AS (SELECT 1, ARRAY[1] UNION ALL SELECT n + 1, path || n FROM t WHERE n < 5) SELECT * FROM t")),
	reads("recursive WITH over a table", "text", extended("WITH RECURSIVE t AS (SELECT id, customer_id FROM orders WHERE id = $1::int UNION SELECT o.id, o.customer_id FROM orders o JOIN t ON o.customer_id = t.customer_id) SELECT count(*) FROM t", false, "101")),
	reads("lateral", "simple", simple("SELECT c.id, o.total FROM customers c, LATERAL (SELECT total FROM orders WHERE customer_id = c.id ORDER BY total DESC LIMIT 1) o ORDER BY 1")),
	reads("set operations", "simple", simple("SELECT id FROM orders UNION SELECT id FROM items EXCEPT SELECT 1 INTERSECT SELECT id FROM items ORDER BY 1 LIMIT 5")),
	reads("subqueries", "simple", simple("SELECT id FROM orders o WHERE total > (SELECT avg(total) FROM orders) AND EXISTS (SELECT 1 FROM payments p WHERE p.order_id = o.id) AND customer_id IN (SELECT id FROM customers WHERE region = 'north') ORDER BY 1")),
	reads("anti join", "simple", simple("SELECT id FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders WHERE customer_id = c.id) ORDER BY id")),
	reads("paging", "text", extended("SELECT id, status FROM orders ORDER BY placed_at DESC, id LIMIT $1 OFFSET $2", false, "3", "4")),
	reads("paging by key", "binary", extended("SELECT id, total FROM orders WHERE (placed_at, id) > ($1, $2) ORDER BY placed_at, id FETCH FIRST 3 ROWS ONLY", true, "2026-03-01", "1")),
	reads("JSON built", "simple", simple("SELECT json_build_object('id', id, 'total', total), to_jsonb(status), row_to_json(o) FROM orders o ORDER BY id LIMIT 3")),
	reads("JSON aggregated", "simple", simple("SELECT json_agg(json_build_object('id', o.id) ORDER BY o.id), jsonb_object_agg(id, status) FROM orders o WHERE id < 105")),
	reads("JSON taken apart", "simple", simple(`SELECT j->>'a', j#>'{b,0}', jsonb_array_length(j->'b'), j @> '{"a": 1}', jsonb_path_query_first(j, '$.b[*] ? (@ > 1)') FROM (SELECT '{"a": 1, "b": [1, 2]}'::jsonb AS j) x`)),
	reads("JSON to rows", "text", extended(`SELECT * FROM jsonb_to_recordset($1::jsonb) AS x(a int, b text)`, false, `[{"a": 1, "b": "x"}, {"a": 2}]`)),
	reads("arrays", "simple", simple("SELECT ARRAY[1,2] || 3, array_agg(id ORDER BY id), (array_agg(status))[1:2], unnest(ARRAY['a','b']), 2 = ANY (ARRAY[1,2]) FROM orders WHERE id < 104")),
	reads("arrays as parameters", "text", extended("SELECT id FROM orders WHERE id = ANY ($1::int[]) ORDER BY array_position($1::int[], id)", false, "{103,101,102}")),
	reads("dates", "simple", simple("SELECT date_trunc('month', placed_at), extract(dow FROM placed_at), placed_at + interval '1 day', age(timestamptz '2026-06-01', placed_at), to_char(placed_at, 'YYYY-MM-DD'), placed_at AT TIME ZONE 'UTC' FROM orders ORDER BY id LIMIT 3")),
	reads("date series", "simple", simple("SELECT d::date, count(o.id) FROM generate_series(date '2026-01-01', date '2026-01-10', interval '1 day') d LEFT JOIN orders o ON o.placed_at::date = d::date GROUP BY 1 ORDER BY 1")),
	reads("text functions", "simple", simple("SELECT upper(label), length(label), substring(label FROM 2 FOR 3), split_part(label, ' ', 2), regexp_replace(label, '[0-9]', '#', 'g'), format('%s-%I', label, 'x'), lpad(id::text, 3, '0'), md5(label), concat_ws(',', id, label) FROM items ORDER BY id")),
	reads("LIKE and regular expressions", "text", extended("SELECT id FROM items WHERE label LIKE $1 OR label ILIKE 'LABEL 2' OR label ~ '3$' OR label SIMILAR TO '%(4|5)' ORDER BY id", false, "%1")),
	reads("CASE, COALESCE, NULLIF, GREATEST", "simple", simple("SELECT CASE WHEN n > 2 THEN 'much' ELSE 'little' END, coalesce(NULL, label), nullif(n, 3), greatest(n, 2), least(n, 4) FROM items ORDER BY id")),
	reads("full text search", "simple", simple("SELECT id, ts_rank(to_tsvector('english', label), q), ts_headline('english', label, q) FROM items, to_tsquery('english', 'label & 2') q WHERE to_tsvector('english', label) @@ q ORDER BY id")),
	reads("trigrams", "simple", simple("SELECT id, similarity(label, 'lable 1')::numeric(4,2) FROM items WHERE label % 'label 1' ORDER BY 2 DESC, 1")),
	reads("ranges", "simple", simple("SELECT int4range(1, 5) @> 3, tsrange('2026-01-01', '2026-02-01') && tsrange('2026-01-15', NULL), upper(numrange(1, 2)), range_agg(int4range(id, id + 2)) FROM items")),
	reads("enums, domains and casts", "simple", simple("SELECT 'glad'::mood, enum_range(NULL::mood), '12'::int, 1.5::numeric(4,1)::text, 'x'::varchar(3), '{1,2}'::int[], 'label'::name")),
	reads("composites", "simple", simple("SELECT (r).id, (r).label FROM (SELECT i AS r FROM items i) x ORDER BY 1")),
	reads("types and sizes", "simple", simple("SELECT pg_typeof(total), pg_typeof(id), pg_column_size(status) FROM orders LIMIT 1")),
	reads("uuid and random", "simple", simple("SELECT length(gen_random_uuid()::text), random() < 2, md5('x')")),
	reads("the clock", "simple", simple("SELECT now() = transaction_timestamp(), current_date <= now()::date, clock_timestamp() >= now(), localtimestamp IS NOT NULL")),
	reads("hashes and binary", "binary", extended("SELECT encode(sha256('x'), 'hex'), decode('ff', 'hex'), '\\x01'::bytea || '\\x02'", true)),
	reads("hstore and citext", "simple", simple("SELECT 'a=>1'::hstore -> 'a', 'ABC'::citext = 'abc', akeys('b=>2'::hstore)")),
	reads("XML", "simple", simple("SELECT xmlelement(name item, xmlattributes(id AS id), label) FROM items ORDER BY id LIMIT 2")),
	reads("VALUES and TABLE", "simple", simple("VALUES (1, 'a'), (2, 'b')", "TABLE items")),
	reads("a sample", "simple", simple("SELECT count(*) >= 0 FROM orders TABLESAMPLE BERNOULLI (50) REPEATABLE (1)")),
	reads("a view, a matview, a partition", "simple", simple("SELECT id, entry FROM ledger_view ORDER BY id", "SELECT id, name FROM customer_copy ORDER BY id", "SELECT count(*) FROM people_north", "SELECT id, name FROM members ORDER BY id")),
	reads("EXPLAIN", "simple", simple("EXPLAIN (COSTS off) SELECT id FROM items WHERE n > 1")),
	reads("EXPLAIN ANALYZE", "simple", simple("EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off) SELECT id FROM items")),
	reads("cursors", "cursor", cursor("SCROLL", "SELECT id, total FROM orders ORDER BY id")),
	reads("cursors", "held", held("SELECT id, status FROM orders ORDER BY id")),
	reads("portals", "portal", portal("SELECT id, total FROM orders ORDER BY id")),
	reads("prepared statements", "PREPARE", append(prepared("SELECT id FROM items ORDER BY id"), simple("DEALLOCATE q", "PREPARE r(int) AS SELECT label FROM items WHERE id = $1", "EXECUTE r(2)", "DEALLOCATE ALL")...)),
	reads("prepared statements", "blind", blind("SELECT id, label FROM items ORDER BY id", true)),
	reads("COPY TO", "COPY", copied("SELECT id, status, total FROM orders ORDER BY id", "")),
	reads("COPY TO", "COPY csv", copied("SELECT id, status FROM orders ORDER BY id", "WITH (FORMAT csv, HEADER, FORCE_QUOTE *)")),
	reads("COPY TO", "COPY binary", copied("SELECT id, label FROM items ORDER BY id", "(FORMAT binary)")),
	reads("COPY TO of columns", "COPY", simple("COPY customers (id, name, region) TO STDOUT")),
	reads("transactions and settings", "simple", simple("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "SELECT count(*) FROM orders", "SET LOCAL statement_timeout = '5s'", "SHOW transaction_isolation", "COMMIT", "SET timezone = 'Europe/Berlin'", "SELECT timestamptz '2026-01-01 00:00Z'", "RESET timezone", "SHOW server_version", "SET application_name = 'fn'", "DISCARD ALL")),
	reads("several in one query", "simple", simple("SELECT 1; SELECT count(*) FROM items; SELECT 2", "BEGIN; SELECT 1; COMMIT")),
	reads("a pipeline", "pipeline", pipelined("SELECT count(*) FROM orders")),
	reads("LISTEN", "simple", simple("LISTEN news", "UNLISTEN news", "UNLISTEN *")),
	works("NOTIFY", "simple", simple("NOTIFY news, 'hello'", "SELECT pg_notify('news', 'hello')")),
	works("INSERT with RETURNING", "text", append(append(simple("BEGIN"), extended("INSERT INTO items (id, label, n) VALUES ($1::int, $2, 1) RETURNING id, label", false, "50", "new")...), simple("ROLLBACK")...)),
	works("INSERT of several, and from a query", "simple", undone("INSERT INTO items (id, label) VALUES (50, 'a'), (51, 'b')", "INSERT INTO items (id, label) SELECT id + 100, label FROM items RETURNING id")),
	works("upsert", "simple", undone("INSERT INTO items (id, label) VALUES (1, 'again') ON CONFLICT (id) DO UPDATE SET label = excluded.label, n = items.n + 1 RETURNING id, label, n", "INSERT INTO items (id, label) VALUES (1, 'no') ON CONFLICT DO NOTHING")),
	works("UPDATE", "simple", undone("UPDATE items SET label = label || '!', n = n + 1 WHERE id = 2 RETURNING id, label, n", "UPDATE orders SET status = 'late' WHERE placed_at < '2026-02-01' AND status = 'open'")),
	works("UPDATE ... FROM", "simple", undone("UPDATE orders o SET status = p.state FROM payments p WHERE p.order_id = o.id AND p.id = 501 RETURNING o.id")),
	works("UPDATE of a customer's plain columns", "text", append(append(simple("BEGIN"), extended("UPDATE customers SET region = $1 WHERE id = $2::int RETURNING id, name, region", false, "east", "3")...), simple("ROLLBACK")...)),
	works("DELETE", "simple", undone("DELETE FROM items WHERE id IN (4, 5) RETURNING id", "DELETE FROM payments USING orders o WHERE o.id = payments.order_id AND o.id = 101")),
	works("MERGE", "simple", undone("MERGE INTO items t USING (VALUES (1, 'm'), (60, 'n')) s(id, label) ON t.id = s.id WHEN MATCHED THEN UPDATE SET label = s.label WHEN NOT MATCHED THEN INSERT (id, label) VALUES (s.id, s.label)")),
	works("writes in WITH", "simple", undone("WITH moved AS (DELETE FROM items WHERE n > 3 RETURNING id, label) INSERT INTO items (id, label) SELECT id + 200, label FROM moved RETURNING id")),
	works("a queue", "simple", undone("WITH next AS (SELECT id FROM orders WHERE status = 'open' ORDER BY id LIMIT 2) UPDATE orders SET status = 'taken' FROM next WHERE orders.id = next.id RETURNING orders.id")),
	works("a batch of removals", "simple", undone("DELETE FROM payments WHERE id IN (SELECT id FROM payments WHERE state = 'duplicate' ORDER BY id LIMIT 10) RETURNING id")),
	works("savepoints", "simple", undone("SAVEPOINT a", "UPDATE items SET n = 9 WHERE id = 1", "ROLLBACK TO SAVEPOINT a", "RELEASE SAVEPOINT a", "SELECT n FROM items WHERE id = 1")),
	works("COPY FROM", "COPY", append(append(simple("BEGIN"), send(query("COPY items (id, label) FROM STDIN (FORMAT csv)"), &pgproto3.CopyData{Data: []byte("80,\"a,b\"\n81,c\n")}, &pgproto3.CopyDone{})), simple("SELECT id, label FROM items WHERE id >= 80 ORDER BY id", "ROLLBACK")...)),
	works("a partitioned table is written", "simple", undone("INSERT INTO people (id, name, region) VALUES (900, 'Zed', 'north')", "DELETE FROM people WHERE id = 900 AND region = 'north'")),
	reads("information_schema: tables", "simple", simple("SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2")),
	reads("information_schema: columns", "text", extended("SELECT column_name, data_type, is_nullable, column_default, character_maximum_length, numeric_precision, udt_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position", false, "public", "customers")),
	reads("information_schema: keys", "simple", simple("SELECT tc.constraint_name, tc.constraint_type, kcu.column_name, ccu.table_name AS foreign_table FROM information_schema.table_constraints tc JOIN information_schema.key_column_usage kcu USING (constraint_schema, constraint_name) LEFT JOIN information_schema.constraint_column_usage ccu USING (constraint_schema, constraint_name) WHERE tc.table_schema = 'public' ORDER BY 1, 3, 4")),
	reads("information_schema: routines and privileges", "simple", simple("SELECT routine_name, data_type FROM information_schema.routines WHERE routine_schema = 'public' ORDER BY 1, specific_name", "SELECT count(*) > 0 FROM information_schema.table_privileges", "SELECT * FROM information_schema.schemata ORDER BY schema_name")),
	reads("introspection: tables with comments and kinds", "simple", simple("SELECT c.relname, CASE c.relkind WHEN 'v' THEN 'v' WHEN 'm' THEN 'm' ELSE 't' END, obj_description(c.oid, 'pg_class') FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v') AND n.nspname NOT IN ('pg_catalog', 'pg_toast') AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1")),
	reads("introspection: columns with types and defaults", "text", extended("SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attnotnull, a.attidentity, a.attgenerated, col_description(a.attrelid, a.attnum), (SELECT c.collname FROM pg_collation c, pg_type t WHERE c.oid = a.attcollation AND t.oid = a.atttypid AND a.attcollation <> t.typcollation) FROM pg_attribute a LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum", false, `"customers"`)),
	reads("introspection: indexes", "simple", simple("SELECT t.relname, i.relname, ix.indisunique, ix.indisprimary, pg_get_indexdef(ix.indexrelid), array_agg(a.attname ORDER BY k.n), am.amname, pg_get_expr(ix.indpred, ix.indrelid) FROM pg_index ix JOIN pg_class i ON i.oid = ix.indexrelid JOIN pg_class t ON t.oid = ix.indrelid JOIN pg_am am ON am.oid = i.relam JOIN pg_namespace s ON s.oid = t.relnamespace CROSS JOIN LATERAL unnest(ix.indkey) WITH ORDINALITY AS k(num, n) LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.num WHERE s.nspname = 'public' GROUP BY 1, 2, 3, 4, 5, 7, 8 ORDER BY 1, 2")),
	reads("introspection: foreign keys", "simple", simple("SELECT c.conname, c.conrelid::regclass, c.confrelid::regclass, c.confdeltype, pg_get_constraintdef(c.oid), ARRAY(SELECT a.attname FROM unnest(c.conkey) WITH ORDINALITY k(n, i) JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n ORDER BY k.i) FROM pg_constraint c WHERE c.contype = 'f' ORDER BY 1")),
	reads("introspection: enums and domains", "simple", simple("SELECT n.nspname, t.typname, e.enumlabel FROM pg_type t JOIN pg_enum e ON t.oid = e.enumtypid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace ORDER BY 2, e.enumsortorder", "SELECT typname, pg_catalog.format_type(typbasetype, typtypmod), typdefault FROM pg_type WHERE typtype = 'd' AND typnamespace = 'public'::regnamespace ORDER BY 1")),
	reads("introspection: sequences, views, functions", "simple", simple("SELECT sequencename, data_type, start_value, increment_by FROM pg_sequences ORDER BY 1", "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public' ORDER BY 1", "SELECT p.proname, pg_get_function_identity_arguments(p.oid), pg_get_function_result(p.oid), l.lanname, p.provolatile FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.pronamespace = 'public'::regnamespace AND p.prokind IN ('f', 'p') ORDER BY 1, 2")),
	reads("introspection: types by name for a driver", "simple", simple("SELECT t.oid, t.typname, t.typelem, t.typdelim, t.typinput::text, r.rngsubtype, t.typtype, t.typbasetype FROM pg_type t LEFT JOIN pg_range r ON t.oid = r.rngtypid WHERE t.typname IN ('int4', 'text', 'mood', 'hstore', 'jsonb') ORDER BY 2")),
	reads("introspection: what may be done", "simple", simple("SELECT has_table_privilege('items', 'SELECT'), has_schema_privilege('public', 'CREATE'), current_user, session_user, current_database(), current_schema, current_schemas(true), version() LIKE 'PostgreSQL%', pg_is_in_recovery()")),
	reads("introspection: sizes and locks", "simple", simple("SELECT pg_size_pretty(pg_total_relation_size('items')), pg_relation_size('items') > 0, (SELECT reltuples >= -1 FROM pg_class WHERE oid = 'items'::regclass)")),
	reads("a driver's first words", "simple", simple("SET client_encoding = 'UTF8'; SET client_min_messages TO warning", "SET standard_conforming_strings = on", "SET datestyle = 'ISO'", "SHOW TRANSACTION ISOLATION LEVEL", "SELECT 1", "SELECT set_config('application_name', 'x', false)")),
}
