"""Ledgers that the tools themselves have made: Alembic's and sqlite-utils', which are Python."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

UV = Path(sys.prefix, "bin/uv")
WITH = [UV, "run", "--no-project", "--quiet"]

ENV = """
from alembic import context
from sqlalchemy import create_engine, pool
with create_engine("sqlite:///.claude/app.db", poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = """
from alembic import op
revision = {revision!r}
down_revision = {before!r}
def upgrade():
    op.execute("CREATE TABLE {table} (x)")
def downgrade():
    op.execute("DROP TABLE {table}")
"""
SQLITE_UTILS = """
import sqlite_utils
from sqlite_utils import Migrations
app = Migrations("app")
@app()
def m001_create_users(db):
    db["users"].create({"id": int}, pk="id")
@app()
def m002_add_email(db):
    db["users"].add_column("email", str)
app.apply(sqlite_utils.Database(".claude/app.db"))
"""


def run(project, package, *arguments, given=None):
    """Run Python in the project with a package, which uv fetches once into its cache."""
    done = subprocess.run(
        [*WITH, "--with", package, *arguments],
        cwd=project.root,
        env=os.environ | {"UV_PYTHON": sys.executable},
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if "Failed to fetch" in done.stderr:
        pytest.skip(f"no package index here: {done.stderr}")
    assert done.returncode == 0, done.stderr


def test_alembics_own_ledger_is_taken_over(project):
    scripts = project.root / "alembic"
    (scripts / "versions").mkdir(parents=True)
    (project.root / "alembic.ini").write_text("[alembic]\nscript_location = alembic\n")
    (scripts / "env.py").write_text(ENV)
    chain = [("ae1027a6acf3", None, "users"), ("b7d3b1c2a001", "ae1027a6acf3", "posts")]
    for number, (revision, before, table) in enumerate(chain):
        text = REVISION.format(revision=revision, before=before, table=table)
        (scripts / f"versions/{revision}_add_{table}.py").write_text(text)
        project.migration(
            f"1.{number}.0-add-{table}.py",
            f'metadata = {{"from": "alembic {revision}"}}\n\ndef up(ctx):\n    pass\n',
        )
    run(project, "alembic==1.20.1", "alembic", "upgrade", "ae1027a6acf3")
    project.ok("baseline", "--from", "alembic:.claude/app.db", "--yes")
    assert list(project.statuses().values()) == ["applied", "pending"]


def test_sqlite_utils_own_ledger_is_taken_over(project):
    project.sql("1.0.0", "SELECT 1;", description="Create users")
    project.sql("1.1.0", "SELECT 1;", description="Add email")
    project.sql("1.2.0", "SELECT 1;", description="Add age")
    run(project, "sqlite-utils==4.2.1", "python", "-", given=SQLITE_UTILS)
    project.ok("baseline", "--from", "sqlite-utils:.claude/app.db", "--yes")
    assert list(project.statuses().values()) == ["applied", "applied", "pending"]
