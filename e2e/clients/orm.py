"""Plays every feature that an ORM has with SQLAlchemy and Alembic, as environment variables say (PGHOST and so on), and prints a
line of JSON for each."""

import json
import os
import tempfile

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, declarative_base, relationship

Base = declarative_base()


class Work(Base):
    __tablename__ = "work"
    __table_args__ = {"schema": "tables"}
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.Text)
    tags = sa.Column(ARRAY(sa.Text))


class Parent(Base):
    __tablename__ = "parents"
    __table_args__ = {"schema": "tables"}
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(40), nullable=False, unique=True)
    children = relationship("Child", back_populates="parent", cascade="all, delete-orphan")


class Child(Base):
    __tablename__ = "children"
    __table_args__ = {"schema": "tables"}
    id = sa.Column(sa.Integer, primary_key=True)
    parent_id = sa.Column(sa.ForeignKey(Parent.id), nullable=False)
    note = sa.Column(sa.Text)
    parent = relationship(Parent, back_populates="children")


def feature(name, run):
    try:
        run()
        said = {"feature": name, "ok": True}
    except BaseException as e:
        said = {"feature": name, "ok": False, "detail": f"{type(e).__name__}: {e}"[:600]}
    print(json.dumps(said), flush=True)


def engine_for(token, **more):
    url = sa.engine.URL.create("postgresql+psycopg2", os.environ["PGUSER"], token, os.environ["PGHOST"], int(os.environ["PGPORT"]), os.environ["PGDATABASE"],
                               {"sslmode": os.environ["PGSSLMODE"], "sslrootcert": os.environ["PGSSLROOTCERT"]})
    return sa.create_engine(url, **more)


engine = engine_for(os.environ["PGPASSWORD"])


def login():
    with engine.connect():
        pass


def simple():
    with Session(engine) as s:
        s.add(Parent(id=1, name="one", children=[Child(id=1, note="a"), Child(id=2, note="b")]))
        s.commit()
        found = s.execute(sa.select(Parent).join(Child).where(Child.note == "b")).scalar_one()
        assert [c.note for c in found.children] == ["a", "b"]
        s.delete(found)
        s.commit()
        assert s.query(Child).count() == 0


def batch():
    with Session(engine) as s:
        s.add_all([Work(id=i, name="batch") for i in range(100)])
        s.commit()
        assert s.execute(sa.delete(Work).where(Work.name == "batch")).rowcount == 100
        s.commit()


def large():
    with engine.connect() as c:
        assert len(c.execute(sa.text("SELECT repeat('x', 67108864)")).scalar()) == 64 << 20


def null():
    with Session(engine) as s:
        s.add(Work(id=1, name=None, tags=None))
        s.commit()
        assert s.execute(sa.select(Work.name, Work.tags).where(Work.name.is_(None))).one() == (None, None)
        s.execute(sa.delete(Work))
        s.commit()


def array():
    with Session(engine) as s:
        s.add(Work(id=1, tags=["a", 'b,"c']))
        s.commit()
        assert s.execute(sa.select(Work.tags).where(Work.tags.contains(["a"]))).scalar_one() == ["a", 'b,"c']
        s.execute(sa.delete(Work))
        s.commit()


def tx_errors():
    with Session(engine) as s:
        s.add(Parent(id=5, name="five"))
        s.flush()
        try:
            with s.begin_nested():  # a savepoint
                s.execute(sa.insert(Parent).values(id=5, name="again"))
            raise AssertionError("no error")
        except sa.exc.IntegrityError as e:
            assert e.orig.pgcode == "23505"
        assert s.query(Parent).count() == 1
        s.rollback()
        assert s.query(Parent).count() == 0


def reset():
    with engine.connect() as c:
        c.execute(sa.text("SET statement_timeout = '1h'"))
        c.execute(sa.text("RESET ALL"))
        assert c.execute(sa.text("SHOW statement_timeout")).scalar() == "0"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
        c.execute(sa.text("DISCARD ALL"))
    with engine.connect().execution_options(isolation_level="SERIALIZABLE") as c:
        assert c.execute(sa.text("SHOW transaction_isolation")).scalar() == "serializable"


def bad_token():
    try:
        engine_for("no-token-at-all").connect()
        raise AssertionError("a wrong token was taken")
    except sa.exc.OperationalError as e:
        assert "authentication failed" in str(e) and "gatehouse whoami" in str(e), e


def refusal():
    with engine_for(os.environ["LIMITED_TOKEN"]).connect() as c:
        try:
            c.execute(sa.text("SELECT * FROM hidden.things"))
            raise AssertionError("it was not refused")
        except sa.exc.ProgrammingError as e:
            assert e.orig.pgcode == "42501" and "not-the-hidden" in str(e) and e.orig.diag.message_hint, e
        c.rollback() if hasattr(c, "rollback") else None
        assert c.execute(sa.text("SELECT 1")).scalar() == 1


def pool():
    pooled = engine_for(os.environ["PGPASSWORD"], pool_size=3, max_overflow=0, pool_pre_ping=True)
    for i in range(20):
        with pooled.connect() as c:
            assert c.execute(sa.text("SELECT :i"), {"i": i}).scalar() == i
    pooled.dispose()


ENV = """
from alembic import context
with context.config.attributes["engine"].connect() as c:
    context.configure(connection=c, version_table_schema="tables")
    with context.begin_transaction():  # everything below is one transaction, as Alembic does it on this database
        context.run_migrations()
"""

FIRST = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "1", None
def upgrade():
    moved = op.create_table("moved", sa.Column("id", sa.Integer, primary_key=True), sa.Column("note", sa.Text), schema="tables")
    op.create_index("moved_note", "moved", ["note"], schema="tables")
    op.bulk_insert(moved, [{"id": 1, "note": "a"}, {"id": 2, "note": "b"}])
def downgrade():
    op.drop_table("moved", schema="tables")
"""

SECOND = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "2", "1"
def upgrade():
    op.add_column("moved", sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now()), schema="tables")
    op.add_column("moved", sa.Column("parent_id", sa.Integer), schema="tables")
    op.create_foreign_key("moved_parent", "moved", "parents", ["parent_id"], ["id"], source_schema="tables", referent_schema="tables")
    op.alter_column("moved", "note", nullable=False, type_=sa.String(20), schema="tables")
    op.create_check_constraint("moved_note_is_short", "moved", sa.text("length(note) < 10"), schema="tables")
    op.execute("UPDATE tables.moved SET note = note || '!'")
def downgrade():
    op.drop_constraint("moved_note_is_short", "moved", schema="tables")
    op.drop_constraint("moved_parent", "moved", schema="tables")
    op.drop_column("moved", "parent_id", schema="tables")
    op.drop_column("moved", "at", schema="tables")
"""


def migrate():
    with tempfile.TemporaryDirectory() as d:
        os.mkdir(os.path.join(d, "versions"))
        for name, text in [("env.py", ENV), ("versions/first.py", FIRST), ("versions/second.py", SECOND)]:
            with open(os.path.join(d, name), "w") as f:
                f.write(text)
        config = Config()
        config.set_main_option("script_location", d)
        config.attributes["engine"] = engine
        command.upgrade(config, "head")
        with engine.connect() as c:
            found = {x["name"]: x for x in sa.inspect(c).get_columns("moved", schema="tables")}
            assert list(found) == ["id", "note", "at", "parent_id"] and not found["note"]["nullable"], found
            assert c.execute(sa.text("SELECT note FROM tables.moved ORDER BY id")).scalars().all() == ["a!", "b!"]
        command.downgrade(config, "1")
        command.upgrade(config, "2")
        command.downgrade(config, "base")
    assert not sa.inspect(engine).has_table("moved", schema="tables")
    with engine.begin() as c:
        c.execute(sa.text("DROP TABLE tables.alembic_version"))


def introspect():
    i = sa.inspect(engine)
    assert "tables" in i.get_schema_names() and {"work", "parents", "children"} <= set(i.get_table_names("tables"))
    assert i.get_pk_constraint("parents", schema="tables")["constrained_columns"] == ["id"]
    assert i.get_foreign_keys("children", schema="tables")[0]["referred_table"] == "parents"
    assert [x["name"] for x in i.get_indexes("children", schema="tables")] == ["children_parent"]
    assert i.get_unique_constraints("parents", schema="tables")[0]["column_names"] == ["name"]
    i.get_view_names("tables"), i.get_sequence_names("tables"), i.get_check_constraints("parents", schema="tables"), i.get_table_comment("parents", schema="tables")
    m = sa.MetaData()
    m.reflect(engine, schema="tables", only=["work", "parents", "children"])
    assert len(m.tables) == 3
    with engine.connect() as c:
        ours = lambda o, name, kind, reflected, to: kind != "table" or name in ("parents", "children")  # noqa: E731
        diff = compare_metadata(MigrationContext.configure(c, opts={"include_schemas": True, "include_object": ours}), Base.metadata)
    assert [d for d in diff if d[0] in ("add_table", "remove_table", "add_column", "remove_column")] == [], diff


for name, f in [("login", login), ("simple", simple), ("batch", batch), ("64 MiB", large), ("null", null), ("array", array), ("tx errors", tx_errors), ("reset", reset),
                ("bad token", bad_token), ("refusal", refusal), ("pool", pool), ("migrate", migrate), ("introspect", introspect)]:
    feature(name, f)
