-- Temporary tables, and what reads them.
CREATE TEMP TABLE picks (id integer, why text DEFAULT 'none', CHECK (id > 0));
INSERT INTO picks SELECT id, name FROM towns;
SELECT * FROM picks ORDER BY id;
SELECT p.why, t.people FROM picks p JOIN towns t USING (id) WHERE p.why LIKE 'B%';
SELECT count(*) FROM pg_temp.picks WHERE id IN (SELECT a FROM roads);
SELECT p, (p).why, row_to_json(p) FROM picks p ORDER BY p.id;
CREATE TEMP TABLE copies AS SELECT p.*, 1.5 AS weight FROM picks p;
SELECT sum(weight), max(why) FROM copies GROUP BY id HAVING count(*) = 1;
UPDATE picks SET why = why || '!' WHERE id = 1 RETURNING why;
BEGIN;
CREATE TEMP TABLE brief (n) ON COMMIT DROP AS SELECT 1;
SELECT n FROM brief;
COMMIT;
ALTER TABLE copies RENAME weight TO mass;
SELECT mass FROM copies;
