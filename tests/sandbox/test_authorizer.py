"""The authorizer: what a migration's statements may not do, and the sentence that says so."""

from __future__ import annotations

import pytest

from plugin_migrate.errors import ForbiddenStatement, StepFailed
from project import LEDGER_TABLES, Project, fails_unchanged

# A statement run by a Python migration (SQL files are checked before they run), and words of the
# sentence that the author must read.
REFUSED = {
    "COMMIT": "COMMIT is not for a migration",
    "END": "is not for a migration",
    "ROLLBACK": "ROLLBACK is not for a migration",
    "BEGIN": "BEGIN is not for a migration",
    "BEGIN EXCLUSIVE": "BEGIN is not for a migration",
    "ATTACH ':memory:' AS other": "ctx.database",
    "DETACH main": "ctx.database",
    "PRAGMA journal_mode=WAL": "transaction:false",
    "PRAGMA main.journal_mode = OFF": "transaction:false",
    "pragma Writable_Schema=ON": "transaction:false",
    "PRAGMA synchronous=OFF": "transaction:false",
    "PRAGMA locking_mode=EXCLUSIVE": "transaction:false",
    "PRAGMA schema_version=1": "transaction:false",
    "PRAGMA page_size=512": "transaction:false",
    "PRAGMA encoding='UTF-16'": "transaction:false",
    "PRAGMA wal_checkpoint": "transaction:false",
    "PRAGMA incremental_vacuum": "transaction:false",
    "PRAGMA temp_store_directory='/tmp'": "transaction:false",
    "PRAGMA cache_spill=1": "transaction:false",
    "VACUUM": "transaction:false",
    "SAVEPOINT plugin_migrate_step": "belongs to the engine",
    "RELEASE PLUGIN_MIGRATE_STEP": "belongs to the engine",
    "ROLLBACK TO plugin_migrate_step": "belongs to the engine",
}


@pytest.mark.parametrize("statement", REFUSED)
def test_statements_that_would_end_or_damage_the_step_are_refused_with_a_sentence(
    project: Project, statement: str
) -> None:
    project.python("1.0.0", f"ctx.db.execute('CREATE TABLE t (x)')\nctx.db.execute({statement!r})")
    error = fails_unchanged(project)
    assert REFUSED[statement] in error.message
    assert "not authorized" not in error.message


@pytest.mark.parametrize("statement", REFUSED)
def test_a_migration_that_swallows_a_refusal_has_still_not_done_it(
    project: Project, statement: str
) -> None:
    project.python(
        "1.0.0",
        f"""
        import sqlite3
        ctx.db.execute('CREATE TABLE t (x)')
        try:
            ctx.db.execute({statement!r})
        except sqlite3.Error:
            pass
        1 / 0
        """,
    )
    fails_unchanged(project)


@pytest.mark.parametrize("keyword", ["BEGIN", "COMMIT", "END TRANSACTION", "ROLLBACK"])
def test_an_sql_file_with_its_own_transaction_is_refused_before_anything_runs(
    project: Project, keyword: str
) -> None:
    project.sql("1.0.0", "CREATE TABLE first (x);")
    project.sql("1.1.0", f"CREATE TABLE second (x);\n{keyword};")
    with pytest.raises(ForbiddenStatement) as caught:
        project.upgrade()
    assert "transaction:false" in (caught.value.hint or "")
    assert caught.value.line == 3
    assert not project.database.exists()


LEDGER_WRITES = [
    "INSERT INTO {table} DEFAULT VALUES",
    "UPDATE {table} SET version = '9.9.9'",
    "DELETE FROM {table}",
    "REPLACE INTO {table} (version) VALUES ('1')",
    "DROP TABLE {table}",
    "ALTER TABLE {table} ADD COLUMN more",
    "ALTER TABLE {table} RENAME TO other",
    "CREATE INDEX i ON {table}(version)",
    "CREATE TRIGGER tr AFTER DELETE ON {table} BEGIN SELECT 1; END",
    "CREATE TEMP TRIGGER tr AFTER DELETE ON {table} BEGIN SELECT 1; END",
    "CREATE TEMP TABLE {table} (x)",
    "CREATE TEMP VIEW {table} AS SELECT 1",
    "CREATE TRIGGER tr AFTER INSERT ON mine BEGIN DELETE FROM {table}; END",
    "CREATE TEMP TRIGGER tr AFTER INSERT ON mine BEGIN DELETE FROM {table}; END",
    "CREATE TRIGGER tr AFTER INSERT ON mine BEGIN INSERT INTO log SELECT version FROM {table}; END",
    "ALTER TABLE mine RENAME TO {table}",
]


@pytest.mark.parametrize("statement", LEDGER_WRITES)
@pytest.mark.parametrize("table", ["migrations", "MiGrAtIoNs", '"MIGRATIONS"'])
def test_the_ledger_may_not_be_written_however_it_is_spelt(
    project: Project, statement: str, table: str
) -> None:
    project.sql("1.0.0", "CREATE TABLE mine (x); CREATE TABLE log (x);")
    project.upgrade()
    project.sql("1.1.0", statement.format(table=table) + ";")
    error = fails_unchanged(project)
    assert "ledger" in f"{error.message} {error.hint}".lower() or "already" in error.message


@pytest.mark.parametrize("table", LEDGER_TABLES)
def test_every_table_of_the_ledger_is_protected(project: Project, table: str) -> None:
    project.sql("1.0.0", f"DELETE FROM main.{table};")
    error = fails_unchanged(project)
    assert "may only read it" in error.message
    assert "ledger_table" in error.message


@pytest.mark.parametrize(
    "statement",
    [
        "WITH x AS (SELECT 1) DELETE FROM migrations",
        "INSERT INTO migrations SELECT * FROM migrations WHERE 0",
        "UPDATE main.migrations SET version = version",
    ],
)
def test_writing_the_ledger_is_refused_in_every_form_of_statement(
    project: Project, statement: str
) -> None:
    project.python("1.0.0", f"ctx.db.execute({statement!r})")
    assert "may only read it" in fails_unchanged(project).message


def test_writing_the_ledger_through_a_trigger_that_was_there_before_is_refused(
    project: Project,
) -> None:
    project.sql("1.0.0", "CREATE TABLE mine (x);")
    project.upgrade()
    project.setup("CREATE TRIGGER t AFTER INSERT ON mine BEGIN DELETE FROM migrations; END")
    project.sql("1.1.0", "INSERT INTO mine VALUES (1);")
    assert "may only read it" in fails_unchanged(project).message


def test_a_trigger_may_name_a_ledger_table_in_text_only(project: Project) -> None:
    project.sql(
        "1.0.0",
        "CREATE TABLE mine (x); CREATE TABLE log (x);\n"
        "CREATE TRIGGER tr AFTER INSERT ON mine BEGIN -- about migrations\n"
        "  INSERT INTO log VALUES ('migrations'); /* migrations */\nEND;",
    )
    project.upgrade()


def test_dropping_and_remaking_a_trigger_in_one_step_is_checked_at_the_end(
    project: Project,
) -> None:
    project.sql(
        "1.0.0",
        "CREATE TABLE mine (x);"
        "CREATE TRIGGER tr AFTER INSERT ON mine BEGIN DELETE FROM migrations; END;"
        "DROP TRIGGER tr;",
    )
    project.upgrade()


def test_reading_the_ledger_is_free(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE first (x);")
    project.sql("1.1.0", "CREATE TABLE copy AS SELECT version FROM migrations;")
    project.sql("1.2.0", "CREATE VIEW seen AS SELECT version FROM migrations;")
    project.upgrade()
    assert project.query("SELECT version FROM copy") == [("1.0.0",)]


def test_a_renamed_ledger_is_the_protected_one_and_migrations_is_free(project: Project) -> None:
    project.config("ledger_table: my_ledger")
    project.sql("1.0.0", "CREATE TABLE migrations (mine); INSERT INTO migrations VALUES (1);")
    project.upgrade()
    assert project.query("SELECT mine FROM migrations") == [(1,)]
    assert project.query("SELECT version FROM my_ledger") == [("1.0.0",)]
    project.sql("1.1.0", "DELETE FROM MY_LEDGER;")
    error = project.failure()
    assert "may only read it" in error.message


ALLOWED = [
    "PRAGMA user_version=7",
    "PRAGMA application_id=7",
    "PRAGMA foreign_keys=OFF",
    "PRAGMA foreign_keys=ON",
    "PRAGMA main.foreign_keys(1)",
    "PRAGMA foreign_keys",
    "PRAGMA journal_mode",
    "PRAGMA table_info(t)",
    "PRAGMA main.table_xinfo('t')",
    "PRAGMA foreign_key_check",
    "PRAGMA integrity_check",
    "PRAGMA legacy_alter_table=ON",
    "PRAGMA defer_foreign_keys=ON",
    "PRAGMA optimize",
    "SAVEPOINT mine",
    "ANALYZE",
    "REINDEX",
    "EXPLAIN SELECT 1",
    "SELECT * FROM pragma_table_info('t')",
    "CREATE TABLE migration_history (x)",
    "CREATE TABLE [migrations old] (x)",
    "CREATE VIRTUAL TABLE notes USING fts5(body)",
    "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1)",
    "CREATE TABLE g (a, b GENERATED ALWAYS AS (a + 1) STORED, CHECK (a > 0))",
    "CREATE TABLE w (a PRIMARY KEY, b) WITHOUT ROWID",
    "CREATE UNIQUE INDEX i ON t(lower(x)) WHERE x IS NOT NULL",
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n < 9) SELECT n FROM c",
]


@pytest.mark.parametrize("statement", ALLOWED)
def test_ordinary_statements_work(project: Project, statement: str) -> None:
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project.sql("1.1.0", statement + ";")
    project.upgrade()


def test_savepoints_undo_a_part_of_a_step(project: Project) -> None:
    project.sql(
        "1.0.0",
        "CREATE TABLE t (x); SAVEPOINT a; INSERT INTO t VALUES (1); ROLLBACK TO a;"
        "INSERT INTO t VALUES (2); RELEASE a;",
    )
    project.upgrade()
    assert project.query("SELECT x FROM t") == [(2,)]


def test_full_text_tables_are_made_filled_and_dropped(project: Project) -> None:
    project.sql(
        "1.0.0",
        "CREATE VIRTUAL TABLE notes USING fts5(body); INSERT INTO notes VALUES ('hello world');"
        "INSERT INTO notes(notes) VALUES ('rebuild'), ('optimize');"
        "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1); INSERT INTO boxes VALUES (1, 0, 1);",
        "DROP TABLE notes; DROP TABLE boxes;",
    )
    project.upgrade()
    assert project.query("SELECT body FROM notes WHERE notes MATCH 'world'") == [("hello world",)]
    project.downgrade()
    assert project.query("SELECT name FROM sqlite_schema WHERE name LIKE 'notes%'") == []


ENDINGS = {
    "or rollback": (
        "CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (1);",
        "INSERT OR ROLLBACK INTO t VALUES (1)",
    ),
    "raise rollback": (
        (
            "CREATE TABLE t (x); CREATE TRIGGER tr BEFORE INSERT ON t"
            " BEGIN SELECT RAISE(ROLLBACK, 'no'); END;"
        ),
        "INSERT INTO t VALUES (1)",
    ),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_a_statement_that_ends_the_transaction_fails_the_step_whole(
    project: Project, how: str
) -> None:
    setup, statement = ENDINGS[how]
    project.sql("1.0.0", setup)
    project.upgrade()
    project.sql("1.1.0", f"CREATE TABLE made (x); {statement}; CREATE TABLE after (x);")
    assert isinstance(fails_unchanged(project), StepFailed)


@pytest.mark.parametrize("how", ENDINGS)
def test_nothing_runs_once_the_transaction_has_ended(project: Project, how: str) -> None:
    setup, statement = ENDINGS[how]
    project.sql("1.0.0", setup)
    project.upgrade()
    project.python(
        "1.1.0",
        f"""
        import sqlite3
        ctx.db.execute("CREATE TABLE made (x)")
        try:
            ctx.db.execute({statement!r})
        except sqlite3.Error:
            pass
        ctx.db.execute("CREATE TABLE autocommitted (x)")
        """,
    )
    assert "transaction has ended" in fails_unchanged(project).message


@pytest.mark.parametrize("how", ENDINGS)
def test_a_migration_that_swallows_the_end_of_its_transaction_fails(
    project: Project, how: str
) -> None:
    setup, statement = ENDINGS[how]
    project.sql("1.0.0", setup)
    project.upgrade()
    project.python(
        "1.1.0",
        f"""
        import sqlite3
        ctx.db.execute("CREATE TABLE made (x)")
        (ctx.claude / "made").write_text("x")
        try:
            ctx.db.execute({statement!r})
        except sqlite3.Error:
            pass
        """,
    )
    error = fails_unchanged(project)
    assert isinstance(error, ForbiddenStatement)
    assert "OR ABORT" in (error.hint or "")


HABITS = {
    "ctx.db.commit()": "commit() is not needed",
    "ctx.db.rollback()": "raise an exception",
    "ctx.db.__enter__()": "leave it out",
    "ctx.db.executescript('SELECT 1')": "execute() for each statement",
    "ctx.db.cursor().executescript('SELECT 1')": "execute() for each statement",
    "ctx.db.close()": "the engine closes it",
    "ctx.db.set_authorizer(None)": "belongs to the engine",
}


@pytest.mark.parametrize("code", HABITS)
def test_habits_that_would_end_the_transaction_are_refused_with_a_sentence(
    project: Project, code: str
) -> None:
    project.python("1.0.0", f"ctx.db.execute('CREATE TABLE t (x)')\n{code}")
    assert HABITS[code] in fails_unchanged(project).message


def test_with_ctx_db_is_refused_before_its_block_runs(project: Project) -> None:
    project.python("1.0.0", "with ctx.db:\n    (ctx.claude / 'made').write_text('x')")
    assert "`with ctx.db:` would commit" in fails_unchanged(project).message


@pytest.mark.parametrize(
    "code",
    [
        (
            "ctx.db.isolation_level = 'DEFERRED'; ctx.db.execute('INSERT INTO t VALUES (1)');"
            "ctx.db.isolation_level = None; 1 / 0"
        ),
        "import sqlite3; sqlite3.Connection.commit(ctx.db); 1 / 0",
        "import sqlite3; sqlite3.Connection.executescript(ctx.db, 'CREATE TABLE torn (x)')",
        "ctx.db.deserialize(b'')",
    ],
)
def test_going_around_the_connection_s_methods_leaves_no_torn_step(
    project: Project, code: str
) -> None:
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project.upgrade()
    project.python("1.1.0", f"ctx.db.execute('CREATE TABLE made (x)')\n{code}")
    fails_unchanged(project)


def test_cursors_and_executemany_read_the_sentence_too(project: Project) -> None:
    project.python("1.0.0", "ctx.db.cursor().execute('COMMIT')")
    assert "is not for a migration" in fails_unchanged(project).message
    project.python("1.0.0", "ctx.db.executemany('DELETE FROM migrations WHERE id = ?', [(1,)])")
    assert "may only read it" in fails_unchanged(project).message


def test_a_blob_of_the_ledger_is_refused_as_an_update_of_it_is(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE t (x);")
    project.upgrade()
    project.python("1.1.0", "ctx.db.blobopen('migrations', 'version', 1).write(b'9')")
    assert "may only read it" in fails_unchanged(project).message
    project.python(
        "1.1.0", "assert ctx.db.blobopen('migrations', 'version', 1, readonly=True).read()"
    )
    project.upgrade()


def test_ordinary_python_database_code_works(project: Project) -> None:
    project.python(
        "1.0.0",
        """
        import sqlite3
        ctx.db.row_factory = sqlite3.Row
        ctx.db.create_function("double", 1, lambda x: x * 2)
        ctx.db.execute("CREATE TABLE t (x, y)")
        cursor = ctx.db.cursor()
        cursor.executemany("INSERT INTO t VALUES (?, double(?))", [(1, 1), (2, 2)])
        assert cursor.rowcount == 2
        assert [row["y"] for row in ctx.db.execute("SELECT * FROM t ORDER BY x")] == [2, 4]
        assert ctx.db.total_changes >= 2
        backup = sqlite3.connect(":memory:")
        backup.execute("CREATE TABLE scratch (x)")
        backup.commit()
        backup.close()
        """,
    )
    project.upgrade()
    assert project.query("SELECT x, y FROM t") == [(1, 2), (2, 4)]
