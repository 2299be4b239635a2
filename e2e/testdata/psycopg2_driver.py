"""Plays a function that uses psycopg2: rows, a server-side cursor, a refusal, COPY, and life after all that."""

import io
import json
import os

import psycopg2

conn = psycopg2.connect(os.environ["DSN"])
got = {}
with conn, conn.cursor() as cur:
    cur.execute("SELECT name, email FROM customers WHERE id <= %s ORDER BY id", (2,))
    got["rows"] = cur.fetchall()
with conn, conn.cursor("held_by_the_server") as cur:
    cur.itersize = 7
    cur.execute("SELECT id, ssn FROM customers")
    rows = list(cur)
    got["cursor"] = len(rows)
    got["cursor_values"] = [r[1] for r in rows]
try:
    with conn, conn.cursor() as cur:
        cur.execute("DROP TABLE customers")
except psycopg2.Error as e:
    got["refused"] = e.pgcode
with conn, conn.cursor() as cur:
    out = io.StringIO()
    cur.copy_expert("COPY (SELECT email FROM customers) TO STDOUT", out)
    got["copy"] = out.getvalue()
with conn, conn.cursor() as cur:
    cur.execute("SELECT 40 + 2")
    got["after"] = cur.fetchone()[0]
conn.close()
print(json.dumps(got))
