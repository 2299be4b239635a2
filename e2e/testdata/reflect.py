"""Reads every model of a database twice, with SQLAlchemy, and prints what it found: tables, views, columns, keys, indexes."""

import json
import os

import psycopg2
import sqlalchemy

found = {}
engine = sqlalchemy.create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(os.environ["DSN"]))
meta = sqlalchemy.MetaData()
meta.reflect(bind=engine, views=True)
for name, table in sorted(meta.tables.items()):
    found[name] = {
        "columns": [[c.name, str(c.type), c.nullable, c.primary_key, str(c.server_default and c.server_default.arg)] for c in table.columns],
        "foreign": sorted(str(f.target_fullname) for f in table.foreign_keys),
        "indexes": sorted([i.name, i.unique, [c.name for c in i.columns]] for i in table.indexes),
        "constraints": sorted(str(c.name) for c in table.constraints),
    }
inspector = sqlalchemy.inspect(engine)
found["schemas"] = inspector.get_schema_names()
found["enums"] = inspector.get_enums()
found["sequences"] = inspector.get_sequence_names()
for view in inspector.get_view_names():
    found["view " + view] = inspector.get_view_definition(view)
for table in inspector.get_table_names():
    found["comment " + table] = inspector.get_table_comment(table)
    found["check " + table] = inspector.get_check_constraints(table)
    found["unique " + table] = inspector.get_unique_constraints(table)
with engine.begin() as conn:
    found["rows"] = [list(map(str, row)) for row in conn.execute(sqlalchemy.select(meta.tables["orders"]).order_by("id").limit(3))]
print(json.dumps(found, indent=1, sort_keys=True, default=str))
