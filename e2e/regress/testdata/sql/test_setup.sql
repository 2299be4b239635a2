-- What every script of the sample builds on.
\getenv abs_srcdir PG_ABS_SRCDIR
\set towns_data :abs_srcdir '/data/towns.data'

CREATE TABLE towns (id integer PRIMARY KEY, name text, people integer);
COPY towns FROM :'towns_data';
CREATE TABLE roads (a integer REFERENCES towns, b integer REFERENCES towns, km numeric(6,2));
COPY roads FROM stdin;
1	2	12.5
2	3	7
\.
CREATE VIEW big AS SELECT name FROM towns WHERE people > 1000;
CREATE SEQUENCE tickets;
CREATE FUNCTION next_ticket() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('tickets'); $$;
