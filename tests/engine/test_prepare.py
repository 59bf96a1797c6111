"""From a plan to runnable steps: which source runs, and what is refused before any does."""

import pytest

from plugin_migrate.engine.prepare import description_of, prepare
from plugin_migrate.errors import (
    BrokenMigration,
    Conflict,
    ForbiddenStatement,
    Irreversible,
    MigrateError,
)
from plugin_migrate.plan import plan_downgrade, plan_upgrade


def up(project):
    survey = project.look()
    return prepare(survey.workspace, plan_upgrade(survey.entries))


def down(project):
    survey = project.look()
    return prepare(survey.workspace, plan_downgrade(survey.entries))


def test_a_step_has_description_metadata_and_the_text_that_runs(project):
    path = project.sql("1.0.0", "SELECT 1;", "SELECT 2;")
    path.write_text("-- description: One\n-- author: ada\n" + path.read_text())
    project.python("1.1.0", "pass", top='"""Two."""')
    first, second = up(project)
    assert (first.description, second.description) == ("One", "Two")
    assert first.metadata == '{"author": "ada"}'
    assert first.source.strip() == "SELECT 1;"
    assert second.source == (project.migrations / "1.1.0-step.py").read_text()
    assert (first.direction, first.from_ledger) == ("up", False)


def test_a_rollback_runs_the_down_and_keeps_the_applied_description(project):
    path = project.sql("1.0.0", "SELECT 1;", "SELECT 2;")
    path.write_text("-- description: One\n" + path.read_text())
    project.upgrade()
    (step,) = down(project)
    assert step.source.strip() == "SELECT 2;"
    assert (step.description, step.direction, step.from_ledger) == ("One", "down", False)


def test_a_rollback_without_the_file_runs_the_stored_source(project):
    path = project.sql("1.0.0", "SELECT 1;", "SELECT 2;")
    project.upgrade()
    path.unlink()
    (step,) = down(project)
    assert step.source.strip() == "SELECT 2;"
    assert step.from_ledger
    assert step.migration.path == str(path)


def test_a_rollback_without_file_and_stored_source_is_refused(project):
    path = project.sql("1.0.0", "SELECT 1;", "SELECT 2;")
    project.upgrade()
    path.unlink()
    project.query("DELETE FROM plugin_migrate_sources")
    with pytest.raises(Irreversible, match=r"file of migration 1\.0\.0 is gone"):
        down(project)


def test_a_file_that_is_edited_between_the_look_and_the_rollback_is_refused(project):
    path = project.sql("1.0.0", "SELECT 1;", "SELECT 2;")
    project.upgrade()
    survey = project.look()
    path.write_text(path.read_text() + "SELECT 3;")
    with pytest.raises(Conflict, match="edited just now") as caught:
        prepare(survey.workspace, plan_downgrade(survey.entries))
    assert caught.value.file == str(path)


def test_the_file_is_read_again_where_the_ledger_has_no_copy(project):
    project.sql("1.0.0", "SELECT 1;", "SELECT 2;")
    project.upgrade()
    project.query("DELETE FROM plugin_migrate_sources")
    (step,) = down(project)
    assert step.source.strip() == "SELECT 2;"


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("1.0.0-x.sql", "-- migrate:up\nSELECT 1; COMMIT;", ForbiddenStatement),
        ("1.0.0-x.sql", "-- migrate:upp\n", BrokenMigration),
        ("1.0.0-x.sql", "-- version: 2.0.0\n-- migrate:up\n", BrokenMigration),
        ("1.0.0-x.py", "def up(ctx):\n  return (", BrokenMigration),
        ("1.0.0-x.py", "return 1\ndef up(ctx): pass", BrokenMigration),
        ("1.0.0-x.py", "def up(ctx):\n    nonlocal x", BrokenMigration),
        ("1.0.0-x.py", "def up(ctx): await x", BrokenMigration),
        ("1.0.0-x.py", "def up(ctx): pass\x00", BrokenMigration),
        ("1.0.0-x.py", "version = '2.0.0'\ndef up(ctx): pass", BrokenMigration),
    ],
)
def test_what_cannot_run_is_refused_while_nothing_has_run(project, name, text, error):
    (project.migrations / name).write_text(text)
    with pytest.raises(error) as caught:
        up(project)
    assert caught.value.file == str(project.migrations / name)


def test_one_broken_step_refuses_the_whole_plan(project):
    project.sql("1.0.0", "SELECT 1;")
    project.sql("1.1.0", "BEGIN;")
    with pytest.raises(MigrateError, match="BEGIN is not allowed"):
        project.try_upgrade()
    assert not project.database.exists()


def test_descriptions_of_applied_migrations_need_no_parsing(project):
    path = project.python("1.0.0", "pass", top='description = "As applied"')
    project.upgrade()
    path.write_text("def up(:")
    (entry,) = project.look().entries
    assert description_of(entry) == "As applied"
