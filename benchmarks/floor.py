"""The least that Python can do with a folder of SQL migrations: what the others are compared with.

    python floor.py status|up|up-together|down|none

It reads a folder, keeps a ledger and runs the files; its status says whether an applied file is
still what was applied. It locks and backs up nothing, and checks nothing before it runs.
``up`` commits after each migration, ``up-together`` once at the end.
"""

import os
import sqlite3
import sys

FOLDER = "migrations"
MARKER = "-- migrate:down"

command = sys.argv[1]
db = sqlite3.connect("state.db", isolation_level=None)
db.execute("CREATE TABLE IF NOT EXISTS ledger (name TEXT PRIMARY KEY, at TEXT, text TEXT)")
applied = {name for (name,) in db.execute("SELECT name FROM ledger")}
names = sorted(name for name in os.listdir(FOLDER) if name.endswith(".sql"))


def read(name: str) -> str:
    """Return the text of a migration's file."""
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return file.read()


if command == "status":
    texts = dict(db.execute("SELECT name, text FROM ledger"))
    for name in names:
        is_same = texts.get(name) == read(name)
        print(name, "applied" if is_same else "modified" if name in texts else "pending")
elif command == "down":
    last = max(applied)
    for statement in ("BEGIN", *read(last).partition(MARKER)[2].split(";")):
        db.execute(statement)
    db.execute("DELETE FROM ledger WHERE name = ?", (last,))
    db.execute("COMMIT")
else:
    pending = [name for name in names if name not in applied]
    if command == "up-together":
        db.execute("BEGIN")
    for name in pending:
        if command == "up":
            db.execute("BEGIN")
        text = read(name)
        for statement in text.partition(MARKER)[0].split(";"):
            db.execute(statement)
        db.execute("INSERT INTO ledger VALUES (?, CURRENT_TIMESTAMP, ?)", (name, text))
        if command == "up":
            db.execute("COMMIT")
    if db.in_transaction:
        db.execute("COMMIT")
    print(len(pending), "applied")
