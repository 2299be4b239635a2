"""Plays every feature with psycopg2 (argument 2) or psycopg 3 (argument 3), as environment variables say (PGHOST and so on),
and prints a line of JSON for each."""

import io
import json
import os
import sys
import threading
import time

TWO = sys.argv[1] == "2"
if TWO:
    import psycopg2 as driver
    import psycopg2.extras
    import psycopg2.pool
else:
    import psycopg as driver
    import psycopg_pool

LARGE = 64 << 20


def code(e):
    return e.pgcode if TWO else e.sqlstate


def connect(token=None, **more):
    if token:
        more["password"] = token
    c = driver.connect("", **more)
    c.autocommit = True
    return c


def feature(name, run):
    try:
        run()
        said = {"feature": name, "ok": True}
    except BaseException as e:
        said = {"feature": name, "ok": False, "detail": f"{type(e).__name__}: {e}"[:600]}
    print(json.dumps(said), flush=True)


def one(sql, params=None):
    with conn.cursor() as cur:
        cur.execute(sql, params)
        return cur.fetchone()


def run(sql, params=None):
    with conn.cursor() as cur:
        cur.execute(sql, params)


def simple():
    assert one("SELECT 40 + 2") == (42,)
    assert one("SELECT %s::integer + 1, %s", (2, "it's")) == (3, "it's")


def prepared():
    with conn.cursor() as cur:
        for i in range(50):
            cur.execute("SELECT %s::integer * 2", (i,), prepare=True)
            assert cur.fetchone() == (2 * i,)


def pipeline():
    with conn.pipeline() as p:
        curs = [conn.execute("SELECT %s::integer", (i,)) for i in range(20)]
        p.sync()
        assert [c.fetchone()[0] for c in curs] == list(range(20))
    try:
        with conn.pipeline() as p:
            conn.execute("SELECT 1/0")
            conn.execute("SELECT 2")
            p.sync()
        raise AssertionError("no error")
    except driver.errors.DivisionByZero:
        pass
    assert one("SELECT 3") == (3,)


def batch():
    rows = [(1000 + i, "batch") for i in range(20)]
    with conn.cursor() as cur:
        if TWO:
            psycopg2.extras.execute_values(cur, "INSERT INTO tables.work (id, name) VALUES %s", rows)
            psycopg2.extras.execute_batch(cur, "UPDATE tables.work SET name = %s WHERE id = %s", [("batch", r[0]) for r in rows])
        else:
            cur.executemany("INSERT INTO tables.work (id, name) VALUES (%s, %s)", rows)
    assert one("SELECT count(*) FROM tables.work WHERE name = 'batch'") == (20,)
    run("DELETE FROM tables.work WHERE name = 'batch'")


def copy_in():
    with conn.cursor() as cur:
        if TWO:
            cur.copy_expert("COPY tables.work (id, name) FROM STDIN", io.StringIO("1\tcopied\n2\tcopied\n"))
        else:
            with cur.copy("COPY tables.work (id, name) FROM STDIN") as copy:
                copy.write_row((1, "copied"))
                copy.write_row((2, "copied"))
    assert one("SELECT count(*) FROM tables.work WHERE name = 'copied'") == (2,)


def copy_out():
    with conn.cursor() as cur:
        if TWO:
            out = io.StringIO()
            cur.copy_expert("COPY (SELECT id, name FROM tables.work WHERE name = 'copied' ORDER BY id) TO STDOUT", out)
            assert out.getvalue() == "1\tcopied\n2\tcopied\n", out.getvalue()
        else:
            with cur.copy("COPY (SELECT id, name FROM tables.work WHERE name = 'copied' ORDER BY id) TO STDOUT") as copy:
                assert list(copy.rows()) == [("1", "copied"), ("2", "copied")]
    run("DELETE FROM tables.work WHERE name = 'copied'")


def cancel():
    began = time.time()
    timer = threading.Timer(0.3, conn.cancel)
    timer.start()
    try:
        run("SELECT pg_sleep(60)")
        raise AssertionError("it was not cancelled")
    except driver.Error as e:
        assert code(e) == "57014", e
    timer.join()
    assert time.time() - began < 30
    assert one("SELECT 1") == (1,)


def notify():
    run("LISTEN matrix")
    other = connect()
    other.cursor().execute("NOTIFY matrix, 'hello'")
    other.close()
    if TWO:
        while not conn.notifies:
            conn.poll()
        heard = conn.notifies.pop()
    else:
        heard = next(conn.notifies())
    assert (heard.channel, heard.payload) == ("matrix", "hello"), heard
    run("UNLISTEN *")


def large():
    text = one("SELECT repeat('x', 67108864)")[0]
    assert len(text) == LARGE
    if TWO:  # a parameter would stand in the text
        with conn.cursor() as cur:
            cur.copy_expert("COPY tables.work (id, name) FROM STDIN", io.StringIO("3\t" + text + "\n"))
        assert one("SELECT length(name) FROM tables.work WHERE id = 3") == (LARGE,)
        run("DELETE FROM tables.work WHERE id = 3")
    else:
        assert one("SELECT length(%s::text)", (text,)) == (LARGE,)


def null():
    assert one("SELECT %s::text, NULL::integer", (None,)) == (None, None)


def array():
    assert one("SELECT %s::text[], %s::integer[]", (["a", 'b,"c', None], [1, 2])) == (["a", 'b,"c', None], [1, 2])


def tx_errors():
    for sql, want in [("BEGIN", None), ("INSERT INTO tables.work (id, name) VALUES (7, 'tx')", None), ("SAVEPOINT a", None), ("SELECT 1/0", "22012"),
                      ("SELECT 1", "25P02"), ("ROLLBACK TO a", None), ("SELECT 1", None), ("ROLLBACK", None)]:
        try:
            run(sql)
            got = None
        except driver.Error as e:
            got = code(e)
        assert got == want, (sql, got)
    c = connect()
    c.autocommit = False
    with c.cursor() as cur:
        cur.execute("INSERT INTO tables.work (id, name) VALUES (7, 'tx')")
    c.rollback()
    with c, c.cursor() as cur:
        cur.execute("SELECT count(*) FROM tables.work WHERE name = 'tx'")
        assert cur.fetchone() == (0,)
    c.close()


def reset():
    for sql in ["SET statement_timeout = '1h'", "RESET statement_timeout", "SET statement_timeout = '1h'", "RESET ALL", "SET statement_timeout = '1h'"]:
        run(sql)
    if TWO:
        conn.reset()  # ABORT; RESET ALL; SET SESSION AUTHORIZATION DEFAULT, as the driver words it
        conn.autocommit = True
    run("DISCARD ALL")
    assert one("SHOW statement_timeout") == ("0",)


def bad_token():
    try:
        connect("no-token-at-all")
        raise AssertionError("a wrong token was taken")
    except driver.OperationalError as e:
        assert "authentication failed" in str(e) and "gatehouse whoami" in str(e), e


def refusal():
    c = connect(os.environ["LIMITED_TOKEN"])
    cur = c.cursor()
    try:
        cur.execute("SELECT * FROM hidden.things")
        raise AssertionError("it was not refused")
    except driver.Error as e:
        d = e.diag
        assert d.sqlstate == "42501" and d.message_hint and "not-the-hidden" in d.message_primary + d.message_hint, str(e)
    cur.execute("SELECT 1")
    assert cur.fetchone() == (1,)
    c.close()


def pool():
    if TWO:
        p = psycopg2.pool.ThreadedConnectionPool(2, 4, "")
        take, give = p.getconn, p.putconn
    else:
        p = psycopg_pool.ConnectionPool("", min_size=2, max_size=4, open=True)
        take, give = p.getconn, p.putconn
    for i in range(20):
        c = take()
        with c.cursor() as cur:
            cur.execute("SELECT %s::integer", (i,))
            assert cur.fetchone() == (i,)
        c.rollback()
        if not TWO:
            p.check()
        give(c)
    p.closeall() if TWO else p.close()


try:
    conn = connect()
    feature("login", lambda: one("SELECT 1"))
except driver.Error as e:
    print(json.dumps({"feature": "login", "ok": False, "detail": str(e)[:600]}))
    sys.exit(0)
for name, f in [("simple", simple), ("batch", batch), ("copy in", copy_in), ("copy out", copy_out), ("cancel", cancel), ("notify", notify), ("64 MiB", large),
                ("null", null), ("array", array), ("tx errors", tx_errors), ("reset", reset), ("bad token", bad_token), ("refusal", refusal), ("pool", pool)]:
    feature(name, f)
if not TWO:
    feature("prepared", prepared)
    feature("pipeline", pipeline)
