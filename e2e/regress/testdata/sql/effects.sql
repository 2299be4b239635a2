-- Each of these does more than read, however it looks.
SELECT nextval('tickets');
SELECT next_ticket();
SELECT setval('tickets', 40);
SELECT * FROM towns FOR UPDATE;
SELECT id FROM towns FOR KEY SHARE OF towns;
SELECT id INTO copy_of_towns FROM towns;
WITH gone AS (DELETE FROM roads RETURNING km) SELECT sum(km) FROM gone;
EXPLAIN ANALYZE INSERT INTO towns VALUES (9, 'Dell', 3);
EXPLAIN ANALYZE SELECT nextval('tickets');
SELECT lo_create(0) > 0;
SELECT pg_notify('road', 'closed');
CREATE TABLE AS_IT_IS AS SELECT 1 AS one;
COPY (INSERT INTO towns VALUES (10, 'Edge', 1) RETURNING id) TO STDOUT;
LOCK TABLE towns;
SELECT txid_current() > 0;
SELECT pg_current_xact_id() IS NOT NULL;
