"""Foreign keys: a rebuild keeps the children, new violations fail the step, old ones do not."""

from __future__ import annotations

import sqlite3

import pytest

from plugin_migrate.engine.foreign_keys import ForeignKeys
from plugin_migrate.errors import StepFailed
from project import Project, fails_unchanged

FAMILY = """
CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id REFERENCES parent(id) ON DELETE CASCADE);
INSERT INTO parent VALUES (1, 'one'), (2, 'two');
INSERT INTO child VALUES (10, 1), (20, 2);
"""
REBUILD = """
CREATE TABLE new_parent (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO new_parent SELECT id, name FROM parent;
DROP TABLE parent;
ALTER TABLE new_parent RENAME TO parent;
"""


def test_a_signal_during_the_check_is_no_violation() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(FAMILY)
    foreign_keys = ForeignKeys(connection.cursor(), lambda: pytest.fail("nothing to compare"))
    checked: list[str] = []
    connection.set_trace_callback(lambda sql: "key_check" in sql and checked.append(sql))
    connection.set_progress_handler(lambda: bool(checked), 1)
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        foreign_keys.check(["parent"], [])


@pytest.fixture
def family(project: Project) -> Project:
    """A project whose database holds a parent and a child table."""
    project.sql("1.0.0", FAMILY)
    project.upgrade()
    return project


def test_rebuilding_a_parent_table_keeps_its_children(family: Project) -> None:
    family.sql("1.1.0", REBUILD)
    family.upgrade()
    assert family.query("SELECT id, parent_id FROM child") == [(10, 1), (20, 2)]


def test_rebuilding_a_parent_table_from_python_keeps_its_children(family: Project) -> None:
    family.python(
        "1.1.0", f"for statement in {REBUILD!r}.split(';'):\n    ctx.db.execute(statement)"
    )
    family.upgrade()
    assert family.query("SELECT count(*) FROM child") == [(2,)]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM parent WHERE id = 1",
        "UPDATE parent SET id = 7 WHERE id = 1",
        "INSERT INTO child VALUES (30, 3)",
        "UPDATE child SET parent_id = 9 WHERE id = 10",
        "DELETE FROM PARENT WHERE id = 1",
        "DROP TABLE parent",
        "CREATE TABLE orphan (x REFERENCES nowhere(id)); INSERT INTO orphan VALUES (1)",
        "CREATE TABLE late (x REFERENCES parent(id)); INSERT INTO late VALUES (99)",
        "CREATE TABLE odd (x REFERENCES parent(name)); INSERT INTO odd VALUES ('one')",
        'CREATE TABLE "a ""b" (x REFERENCES parent(id)); INSERT INTO "a ""b" VALUES (99)',
    ],
)
def test_rows_left_without_their_parent_fail_the_step(family: Project, statement: str) -> None:
    family.sql("1.1.0", statement + ";")
    error = fails_unchanged(family)
    assert isinstance(error, StepFailed)
    assert error.message.startswith("FOREIGN KEY constraint failed: ")
    assert error.details


def test_the_failure_names_the_tables_and_how_many_rows(family: Project) -> None:
    family.sql("1.1.0", "DELETE FROM parent;")
    assert fails_unchanged(family).details == (
        "child: 2 row(s) refer to rows that parent does not have",
    )


def test_violations_that_were_there_before_do_not_fail_a_step(family: Project) -> None:
    family.setup("INSERT INTO child VALUES (30, 3), (40, 4)")
    family.sql("1.1.0", "INSERT INTO parent VALUES (5, 'five'); INSERT INTO child VALUES (50, 5);")
    family.upgrade()


def test_a_step_may_repair_some_of_the_old_violations(family: Project) -> None:
    family.setup("INSERT INTO child VALUES (30, 3), (40, 4)")
    family.sql("1.1.0", "DELETE FROM child WHERE id = 30;")
    family.upgrade()


def test_one_more_violation_than_before_fails_the_step(family: Project) -> None:
    family.setup("INSERT INTO child VALUES (30, 3)")
    family.sql("1.1.0", "INSERT INTO child VALUES (40, 4);")
    assert fails_unchanged(family).details == (
        "child: 1 row(s) refer to rows that parent does not have",
    )


def test_a_broken_declaration_from_before_does_not_stop_other_steps(family: Project) -> None:
    family.setup("CREATE TABLE odd (x REFERENCES parent(name)); INSERT INTO odd VALUES ('one')")
    family.sql("1.1.0", "INSERT INTO parent VALUES (3, 'three'); INSERT INTO odd VALUES ('two');")
    family.upgrade()


def test_rows_of_tables_the_step_did_not_touch_are_not_its_business(family: Project) -> None:
    family.setup(
        "CREATE TABLE a (id PRIMARY KEY); CREATE TABLE b (x REFERENCES a(id));"
        "INSERT INTO b VALUES (1)"
    )
    family.sql("1.1.0", "INSERT INTO parent VALUES (3, 'three');")
    family.upgrade()


def test_a_step_on_its_way_back_is_checked_as_well(family: Project) -> None:
    family.sql("1.1.0", "INSERT INTO parent VALUES (3, 'x');", "DELETE FROM parent WHERE id < 3;")
    family.upgrade()
    before = family.dump()
    error = family.try_downgrade("1.0.0").error
    assert error is not None
    assert "refer to nothing" in error.message
    assert family.dump() == before


def test_foreign_keys_on_enforces_and_cascades(family: Project) -> None:
    family.sql("1.1.0", "DELETE FROM parent WHERE id = 1;", options="foreign_keys:on")
    family.upgrade()
    assert family.query("SELECT id FROM child") == [(20,)]


def test_foreign_keys_on_refuses_the_statement_itself(family: Project) -> None:
    family.sql("1.1.0", "INSERT INTO child VALUES (30, 3);", options="foreign_keys:on")
    error = fails_unchanged(family)
    assert "FOREIGN KEY constraint failed" in error.message


def test_the_violation_is_found_when_the_steps_share_a_transaction(project: Project) -> None:
    project.sql("1.0.0", FAMILY)
    project.sql("1.1.0", "DELETE FROM parent WHERE id = 1;")
    project.sql("1.2.0", "CREATE TABLE never (x);")
    run = project.try_upgrade()
    assert [str(result.version) for result in run.results] == ["1.0.0"]
    assert run.error is not None
    assert run.failed is not None
    assert str(run.failed.version) == "1.1.0"


def test_a_violation_that_a_later_step_repairs_still_fails_the_step_that_made_it(
    project: Project,
) -> None:
    project.sql("1.0.0", FAMILY)
    project.upgrade()
    project.sql("1.1.0", "DELETE FROM parent WHERE id = 1;")
    project.sql("1.2.0", "DELETE FROM child WHERE parent_id = 1;")
    run = project.try_upgrade()
    assert run.error is not None
    assert project.applied() == ["1.0.0"]
