/* Reading, in many ways; /* comments nest */ and hold ; semicolons. */
SELECT 'a;b' AS semicolon, E'it''s \' ; ' AS escaped, $q$;$q$ AS dollars, "name" FROM towns ORDER BY id;
SELECT count(*), sum(people), avg(people) FROM towns;
SELECT t.name, r.km FROM towns t JOIN roads r ON r.a = t.id LEFT JOIN towns u ON u.id = r.b WHERE u.people IS NULL;
SELECT name, rank() OVER (ORDER BY people DESC NULLS LAST) FROM towns;
WITH RECURSIVE way(at, km) AS (SELECT 1, 0::numeric UNION ALL SELECT r.b, w.km + r.km FROM way w JOIN roads r ON r.a = w.at)
  SELECT * FROM way;
SELECT name FROM big UNION SELECT upper(name) FROM towns EXCEPT VALUES ('BIRK') ORDER BY 1;
VALUES (1, 'one'), (2, 'two');
TABLE roads;
SELECT jsonb_build_object('name', name, 'people', people) -> 'name' FROM towns;
SELECT array_agg(id ORDER BY name), string_agg(name, ', ') FILTER (WHERE people > 400) FROM towns;
SELECT * FROM generate_series(1, 3) AS g(n), LATERAL (SELECT n * 2 AS twice) AS l;
SELECT a, b, grouping(a), sum(km) FROM roads GROUP BY ROLLUP (a, b);
SELECT row(1, 'x') = row(1, 'x'), (1, 2) < (1, 3), ARRAY[1, 2] @> ARRAY[2], '[1,5)'::int4range * '[3,8)'::int4range;
SELECT relname, relkind FROM pg_class WHERE relname = 'towns' AND relnamespace = 'public'::regnamespace;
SELECT point '(1,2)' <-> point '(4,6)', box '((0,0),(2,2))' && box '((1,1),(3,3))', @ -5, |/ 25.0;
SELECT interval '1 day' * 3, date '2020-02-29' + 1, extract(year FROM timestamp '2020-02-29 10:00'), '12:30'::time;
SELECT to_tsvector('simple', 'a town by the sea') @@ to_tsquery('simple', 'town & sea'), 'abc' ~ 'b.', 'abc' LIKE 'a%';
EXPLAIN SELECT * FROM towns WHERE id = 2;
SHOW timezone;
BEGIN;
DECLARE few CURSOR FOR SELECT name FROM towns ORDER BY id;
FETCH 2 FROM few;
SELECT 1 AS one \gset in_
SELECT :in_one + 1 AS two, :'in_one'::text AS text;
COMMIT;
\if :in_one
SELECT 'taken';
\else
SELECT 'this is never sent' FROM nowhere;
\endif
SELECT 1 \; SELECT 2;
SELECT set_masklen('10.1.2.3/32'::inet, 8), md5('x'), pg_typeof(1.5), current_schemas(true);
SELECT xmin::text <> '0', ctid IS NOT NULL FROM towns LIMIT 1;
