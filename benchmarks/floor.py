"""The least that Python can do with a folder of SQL migrations: what the others are compared with.

    python floor.py status|up|up-together|down|none

It reads a folder, keeps a ledger and runs the files; it verifies, locks, keeps and backs up
nothing. ``up`` commits after each migration, ``up-together`` once at the end.
"""

import os
import sqlite3
import sys

FOLDER = "migrations"
MARKER = "-- migrate:down"

command = sys.argv[1]
db = sqlite3.connect("state.db", isolation_level=None)
db.execute("CREATE TABLE IF NOT EXISTS ledger (name TEXT PRIMARY KEY, at TEXT)")
applied = {name for (name,) in db.execute("SELECT name FROM ledger")}
names = sorted(name for name in os.listdir(FOLDER) if name.endswith(".sql"))


def sections(name: str) -> tuple[str, str]:
    """Return the up and the down in a migration's file."""
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        up, _, down = file.read().partition(MARKER)
    return up, down


if command == "status":
    for name in names:
        print(name, "applied" if name in applied else "pending")
elif command == "down":
    last = max(applied)
    for statement in ("BEGIN", *sections(last)[1].split(";")):
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
        for statement in sections(name)[0].split(";"):
            db.execute(statement)
        db.execute("INSERT INTO ledger VALUES (?, CURRENT_TIMESTAMP)", (name,))
        if command == "up":
            db.execute("COMMIT")
    if db.in_transaction:
        db.execute("COMMIT")
    print(len(pending), "applied")
