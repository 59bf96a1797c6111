"""Without a down, what a step did to a database is taken back from what was kept of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugin_migrate.errors import ChangedSince, StepFailed
from plugin_migrate.operations.migrate import Run
from plugin_migrate.plan import TakeBack, plan_downgrade
from project import Project

BEFORE = """
CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL, rank INT UNIQUE);
CREATE INDEX by_body ON notes (body);
INSERT INTO notes (body, rank) VALUES ('one', 1), ('two', 2), ('three', 3);
CREATE TABLE keyless (x, y);
INSERT INTO keyless VALUES (1, 'a'), (1.0, 'a'), (NULL, x'00ff'), ('1', CAST(x'ff41' AS TEXT));
CREATE TABLE named (name TEXT PRIMARY KEY COLLATE NOCASE, n, twice AS (n * 2)) WITHOUT ROWID;
INSERT INTO named VALUES ('a', 1), ('b', 2);
CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, x);
INSERT INTO counted (x) VALUES (1), (2);
CREATE TABLE log (what);
CREATE TRIGGER noted AFTER DELETE ON notes BEGIN INSERT INTO log VALUES (old.body); END;
CREATE VIEW bodies AS SELECT body FROM notes;
PRAGMA user_version = 7;
"""

STEPS = {
    "a table is made": "CREATE TABLE new (x); INSERT INTO new VALUES (1); CREATE INDEX i ON new(x)",
    "a table is dropped": "DROP TABLE notes",
    "a table is renamed": "ALTER TABLE notes RENAME TO remarks",
    "a column is added": "ALTER TABLE notes ADD COLUMN mood TEXT DEFAULT 'well'",
    "a column is renamed": "ALTER TABLE notes RENAME COLUMN body TO text",
    "a table is rebuilt": "DROP VIEW bodies; CREATE TABLE n (id INTEGER PRIMARY KEY, body);"
    " INSERT INTO n SELECT id, upper(body) FROM notes; DROP TABLE notes;"
    " ALTER TABLE n RENAME TO notes",
    "an index is made": "CREATE INDEX by_rank ON notes (rank)",
    "an index is dropped": "DROP INDEX by_body",
    "a trigger is dropped": "DROP TRIGGER noted",
    "a trigger is made": "CREATE TRIGGER t AFTER INSERT ON named BEGIN SELECT 1; END;"
    " INSERT INTO named VALUES ('c', 3)",
    "a view is another": "DROP VIEW bodies; CREATE VIEW bodies AS SELECT 1 AS body",
    "rows are inserted": "INSERT INTO notes (body, rank) VALUES ('four', 4);"
    " INSERT INTO keyless VALUES (2, 2); INSERT INTO named VALUES ('c', 3)",
    "rows are updated": "UPDATE notes SET body = body || '!'; UPDATE named SET name = upper(name);"
    " UPDATE keyless SET x = 1.0 WHERE x = 1 AND typeof(x) = 'integer'",
    "rows are deleted": "DELETE FROM notes; DELETE FROM keyless; DELETE FROM named",
    "unique values change places": "UPDATE notes SET rank = -rank;"
    " UPDATE notes SET rank = CASE rank WHEN -1 THEN 2 WHEN -2 THEN 1 ELSE 3 END",
    "a number is counted on": "INSERT INTO counted (x) VALUES (3); DELETE FROM counted WHERE x = 1",
    "a counted table is made": "CREATE TABLE c (id INTEGER PRIMARY KEY AUTOINCREMENT);"
    " INSERT INTO c DEFAULT VALUES",
    "a counted table is dropped": "DROP TABLE counted",
    "a version is set": "PRAGMA user_version = 8; PRAGMA application_id = 9",
    "nothing is changed": "SELECT 1",
    "a full-text index is made": "CREATE VIRTUAL TABLE words USING fts5(body);"
    " INSERT INTO words SELECT body FROM notes",
    "everything goes": "DROP VIEW bodies; DROP TABLE notes; DROP TABLE log; DROP TABLE keyless;"
    " DROP TABLE named; DROP TABLE counted",
}


def down(project: Project, wanted: TakeBack = TakeBack.NOTHING, count: int = 1) -> Run:
    """Roll back, which must succeed."""
    run = project.run(lambda entries: plan_downgrade(entries, None, count, wanted))
    if run.error is not None:
        raise run.error
    return run


def changes(project: Project) -> tuple[str, ...]:
    """Try to roll back, and return what is said to have changed since."""
    with pytest.raises(ChangedSince) as caught:
        down(project)
    return caught.value.details


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("up", STEPS.values(), ids=STEPS.keys())
def test_a_step_is_taken_back_to_the_last_byte(project: Project, up: str, journal: str) -> None:
    project.setup(f"PRAGMA journal_mode={journal}; {BEFORE}")
    project.make_ledger()
    before = contents(project)
    project.sql("1.0.0", up + ";")
    project.upgrade()
    assert (contents(project) == before) == (up == "SELECT 1")
    down(project)
    assert contents(project) == before
    assert project.applied() == []
    assert project.leftovers() == set()


def contents(project: Project, database: Path | None = None) -> list[object]:
    """Return a database's schema and rows, with what Python would not tell apart."""
    with project.connect(database) as connection:
        connection.text_factory = bytes
        names = [
            name.decode()
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
            )
        ]
        schema = connection.execute(
            "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'plugin_migrate%'"
            " AND tbl_name NOT LIKE '%migrations' ORDER BY 1, 2"
        ).fetchall()
        found: list[object] = [*schema]
        for name in names:
            if not name.startswith(("plugin_migrate", "migrations")):
                columns = [
                    row[1].decode() for row in connection.execute(f"PRAGMA table_info({name})")
                ]
                typed = ", ".join(f"typeof({column}), {column}" for column in columns)
                query = f"SELECT {typed} FROM {name} ORDER BY {typed}"
                rows = connection.execute(query).fetchall()
                found += [
                    (name, *row)
                    for row in rows
                    if name != "sqlite_sequence"
                    or row[1] not in (b"migrations", b"plugin_migrate_history")
                ]
        for pragma in ("user_version", "application_id"):
            found.append(connection.execute(f"PRAGMA {pragma}").fetchone())
    return found


def test_a_full_text_index_is_filled_again(project: Project) -> None:
    project.setup("CREATE VIRTUAL TABLE words USING fts5(body)")
    project.setup("INSERT INTO words VALUES ('apple'), ('pear')")
    project.sql("1.0.0", "INSERT INTO words VALUES ('plum'); DELETE FROM words WHERE rowid = 1;")
    project.sql("1.1.0", "DROP TABLE words;")
    project.upgrade()
    down(project)
    assert found(project) == ["pear", "plum"]
    down(project)
    assert found(project) == ["apple", "pear"]
    project.query("INSERT INTO words VALUES ('apple pie')")
    assert len(project.query("SELECT * FROM words WHERE words MATCH 'apple'")) == 2
    project.query("INSERT INTO words(words) VALUES ('integrity-check')")


def found(project: Project) -> list[str]:
    """Return what a search finds of what there may be."""
    rows = project.query("SELECT body FROM words WHERE words MATCH 'apple OR pear OR plum'")
    return sorted(row[0] for row in rows)


# --- what was changed since -----------------------------------------------------------------------


def test_what_the_step_did_not_touch_keeps_what_was_written_since(project: Project) -> None:
    project.setup(BEFORE)
    project.sql(
        "1.0.0", "UPDATE notes SET body = 'ONE' WHERE id = 1; CREATE INDEX i ON notes(rank);"
    )
    project.upgrade()
    project.setup(
        "INSERT INTO notes (body, rank) VALUES ('since', 9);"
        "UPDATE notes SET body = '2' WHERE id = 2;"
        "DELETE FROM notes WHERE id = 3; CREATE TABLE other (x); INSERT INTO other VALUES (1);"
        "CREATE TRIGGER second AFTER UPDATE ON notes BEGIN INSERT INTO log VALUES ('updated'); END;"
    )
    logged = project.query("SELECT * FROM log")
    down(project)
    rows = project.query("SELECT body FROM notes ORDER BY id")
    assert rows == [("one",), ("2",), ("since",)]
    assert project.query("SELECT * FROM other") == [(1,)]
    assert project.query("SELECT * FROM log") == logged, "no trigger has fired"
    assert project.query(
        "SELECT name FROM sqlite_schema WHERE name IN ('i', 'second', 'noted') ORDER BY 1"
    ) == [("noted",), ("second",)]


@pytest.mark.parametrize(
    ("up", "since", "told"),
    [
        (
            "UPDATE notes SET body = 'x' WHERE id < 3",
            "UPDATE notes SET body = 'y' WHERE id < 3",
            "table notes: 2 row(s) changed",
        ),
        (
            "DELETE FROM notes WHERE id = 1",
            "INSERT INTO notes VALUES (1, 'x', 1)",
            "table notes: 1 row(s) changed",
        ),
        (
            "INSERT INTO notes VALUES (4, 'x', 4)",
            "DELETE FROM notes WHERE id = 4",
            "table notes: 1 row(s) changed",
        ),
        (
            "UPDATE named SET n = 5",
            "UPDATE named SET n = 5.0 WHERE name = 'A'",
            "table named: 1 row(s) changed",
        ),
        ("CREATE TABLE new (x)", "INSERT INTO new VALUES (1), (2)", "table new: 2 row(s) changed"),
        ("CREATE TABLE new (x)", "CREATE INDEX j ON new (x)", "table new: index j made"),
        ("CREATE TABLE new (x)", "ALTER TABLE new ADD COLUMN y", "table new: altered"),
        (
            "ALTER TABLE notes ADD COLUMN y",
            "UPDATE notes SET y = 1 WHERE id = 1",
            "table notes: 1 row(s) changed",
        ),
        (
            "ALTER TABLE notes ADD COLUMN y",
            "DELETE FROM notes WHERE id = 1",
            "table notes: 1 row(s) changed",
        ),
        ("DROP TABLE log", "CREATE TABLE log (other)", "table log: made"),
        ("CREATE VIEW v AS SELECT 1", "DROP VIEW v; CREATE VIEW v AS SELECT 2", "view v: altered"),
        ("UPDATE notes SET body = 'x'", "DROP TABLE notes", "table notes: dropped"),
        ("UPDATE notes SET body = 'x'", "ALTER TABLE notes ADD COLUMN y", "table notes: altered"),
        (
            "PRAGMA user_version = 8",
            "PRAGMA user_version = 9",
            "the database: PRAGMA user_version is 9, was 8",
        ),
    ],
)
def test_what_was_changed_since_is_named_and_nothing_is_taken_back(
    project: Project, up: str, since: str, told: str
) -> None:
    project.setup(BEFORE)
    project.sql("1.0.0", f"{up}; CREATE TABLE beside (x);")
    project.upgrade()
    project.setup(since)
    before = contents(project)
    assert changes(project) == (f"{told} outside of these migrations",)
    assert contents(project) == before
    assert project.applied() == ["1.0.0"]


def test_the_rest_is_taken_back_where_that_is_wanted(project: Project) -> None:
    project.setup(BEFORE)
    project.sql(
        "1.0.0",
        "UPDATE notes SET body = 'x'; DELETE FROM named; CREATE TABLE new (x);"
        " CREATE TABLE more (x); DROP VIEW bodies;",
    )
    project.upgrade()
    project.setup(
        "UPDATE notes SET body = 'y' WHERE id = 2; INSERT INTO new VALUES (1);"
        " INSERT INTO named VALUES ('B', 'mine');"
    )
    down(project, TakeBack.REST)
    rows = project.query("SELECT body FROM notes ORDER BY id")
    assert rows == [("one",), ("y",), ("three",)]
    assert project.query("SELECT name, n FROM named") == [("a", 1), ("B", "mine")]
    assert project.query("SELECT * FROM new") == [(1,)]
    assert project.query("SELECT name FROM sqlite_schema WHERE name = 'more'") == []
    assert project.query("SELECT count(*) FROM bodies") == [(3,)]
    assert project.applied() == []


def test_everything_is_taken_back_where_that_is_wanted_and_a_backup_has_the_rest(
    project: Project,
) -> None:
    project.setup(BEFORE)
    before = contents(project)
    project.sql(
        "1.0.0",
        "UPDATE notes SET body = 'x'; DELETE FROM named; CREATE TABLE new (x); DROP TABLE log;",
    )
    project.upgrade()
    project.setup(
        "CREATE TABLE log (mine); DELETE FROM notes WHERE id = 1;"
        "UPDATE notes SET body = 'y', rank = 1 WHERE id = 2;"
        " INSERT INTO new VALUES (1); INSERT INTO named VALUES ('a', 'mine');"
    )
    since = contents(project)
    down(project, TakeBack.EVERYTHING)
    assert contents(project) == before
    newest = max((project.bookkeeping / "backups").iterdir())
    kept = contents(project, newest / "state.db")
    assert [one for one in kept if one not in since] == []


def test_what_is_gone_cannot_be_taken_back_whatever_is_wanted(project: Project) -> None:
    project.setup(BEFORE)
    project.sql("1.0.0", "UPDATE notes SET body = 'x'; INSERT INTO named VALUES ('c', 3);")
    project.upgrade()
    project.setup("DROP TABLE notes")
    with pytest.raises(ChangedSince, match="cannot be taken back whole"):
        down(project, TakeBack.EVERYTHING)
    down(project, TakeBack.REST)
    assert len(project.query("SELECT * FROM named")) == 2


def test_a_row_that_stands_in_the_way_is_told(project: Project) -> None:
    project.setup(BEFORE)
    project.sql("1.0.0", "UPDATE notes SET rank = 10 WHERE id = 1;")
    project.upgrade()
    project.setup("INSERT INTO notes (body, rank) VALUES ('since', 1)")
    with pytest.raises(StepFailed, match=r"stands in the way: UNIQUE constraint failed"):
        down(project)
    assert project.query("SELECT rank FROM notes WHERE id = 1") == [(10,)]
    down(project, TakeBack.EVERYTHING)
    assert project.query("SELECT body FROM notes WHERE rank = 1") == [("one",)]


def test_a_row_that_refers_to_one_of_the_steps_stops_it(project: Project) -> None:
    project.setup("CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE k (p REFERENCES p);")
    project.sql("1.0.0", "INSERT INTO p VALUES (1);")
    project.upgrade()
    project.setup("INSERT INTO k VALUES (1)")
    with pytest.raises(StepFailed, match="rows that refer to nothing"):
        down(project)
    assert project.query("SELECT * FROM p") == [(1,)]


def test_who_changed_it_is_told(project: Project) -> None:
    project.setup(BEFORE)
    project.sql("1.0.0", "UPDATE notes SET body = 'x'; CREATE TABLE new (x);")
    project.sql(
        "1.1.0", "UPDATE notes SET body = 'y';", "UPDATE notes SET body = 'z' WHERE id < 3;"
    )
    project.sql("1.2.0", "INSERT INTO new VALUES (1);", "SELECT 1;")
    project.upgrade()
    down(project, count=2)
    assert changes(project) == (
        "table new: 1 row(s) changed by 1.2.0",
        "table notes: 3 row(s) changed by the down of 1.1.0",
    )


def test_a_later_migration_that_is_taken_back_leaves_no_change(project: Project) -> None:
    project.setup(f"{BEFORE}; DROP VIEW bodies")
    project.make_ledger()
    before = contents(project)
    project.sql("1.0.0", "UPDATE notes SET body = 'x';")
    project.sql(
        "1.1.0",
        "CREATE TABLE n (id INTEGER PRIMARY KEY, body TEXT NOT NULL, rank INT UNIQUE, more);"
        "INSERT INTO n SELECT *, 1 FROM notes; DROP TABLE notes; ALTER TABLE n RENAME TO notes;",
    )
    project.upgrade()
    down(project, count=2)
    assert contents(project) == before


# --- further databases ----------------------------------------------------------------------------


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize(
    "up",
    [
        "m = ctx.database('m.db'); m.execute('DROP TABLE log'); m.execute('DELETE FROM named')",
        "ctx.remove_database('m.db')",
        "ctx.move_database('m.db', 'deep/er/n.db')",
        "ctx.database('m.db').execute('DELETE FROM notes'); ctx.move_database('m.db', 'n.db')",
        "ctx.database('deep/new.db').execute('CREATE TABLE x (x)')",
        "ctx.database('new.db').execute('CREATE TABLE x (x)'); ctx.remove_database('m.db')",
    ],
)
def test_a_further_database_is_as_before(project: Project, up: str, journal: str) -> None:
    path = project.setup(f"PRAGMA journal_mode={journal}; {BEFORE}", project.claude / "m.db")
    path.chmod(0o640)
    mode = path.stat().st_mode
    project.python("1.0.0", up)
    before, tree = contents(project, path), sorted(project.files())
    project.upgrade()
    down(project)
    left = {name for name in project.files() if not name.endswith(("-wal", "-shm"))}
    assert left - {name for name in left if name.startswith(".claude/orchestration")} == set(tree)
    assert contents(project, path) == before
    assert project.query("PRAGMA journal_mode", database=path) == [(journal,)]
    assert path.stat().st_mode == mode


@pytest.mark.parametrize(
    ("up", "since", "told", "is_lost"),
    [
        (
            "ctx.database('m.db').execute('UPDATE notes SET body = 1')",
            "UPDATE notes SET body = 2 WHERE id = 1",
            ".claude/m.db, table notes: 1 row(s) changed",
            False,
        ),
        ("ctx.remove_database('m.db')", "CREATE TABLE mine (x)", ".claude/m.db: made", True),
        ("ctx.move_database('m.db', 'n.db')", "CREATE TABLE mine (x)", ".claude/m.db: made", True),
    ],
)
def test_a_further_database_that_was_changed_since_is_named(
    project: Project, up: str, since: str, told: str, is_lost: bool
) -> None:
    path = project.setup(BEFORE, project.claude / "m.db")
    project.python("1.0.0", f"{up}; (ctx.claude / 'f').touch()")
    project.upgrade()
    project.setup(since, path)
    now = contents(project, path)
    assert changes(project) == (f"{told} outside of these migrations",)
    if is_lost:
        with pytest.raises(ChangedSince):
            down(project, TakeBack.EVERYTHING)
    down(project, TakeBack.REST)
    assert now[-3:] == contents(project, path)[-3:]
    assert not (project.claude / "f").exists()


def test_a_database_that_the_step_made_and_others_use_by_now_stays(project: Project) -> None:
    project.python("1.0.0", "ctx.database('new.db').execute('CREATE TABLE x (x)')")
    project.upgrade()
    path = project.setup("INSERT INTO x VALUES (1)", project.claude / "new.db")
    assert changes(project) == (
        ".claude/new.db, table x: 1 row(s) changed outside of these migrations",
    )
    down(project, TakeBack.REST)
    assert project.query("SELECT * FROM x", database=path) == [(1,)]


def test_a_database_that_is_gone_already_is_no_matter(project: Project) -> None:
    project.python("1.0.0", "ctx.database('new.db').execute('CREATE TABLE x (x)')")
    project.upgrade()
    (project.claude / "new.db").unlink()
    down(project)
    assert project.applied() == []
