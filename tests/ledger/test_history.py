"""The audit trail."""

import json

from plugin_migrate import __version__
from plugin_migrate.ledger.history import read_history
from plugin_migrate.version import Version
from project import Project


def test_every_up_down_and_failure_stays_in_the_history(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);", "DROP TABLE a;")
    project.upgrade()
    project.downgrade()
    project.sql("1.1.0", "CREATE TABLE b (x); SELECT * FROM missing;")
    project.failure()

    events = read_history(project.workspace())

    assert [(event.version, event.action, event.outcome) for event in events] == [
        ("1.1.0", "up", "failed"),
        ("1.0.0", "up", "done"),
        ("1.0.0", "down", "done"),
        ("1.0.0", "up", "done"),
    ]
    assert events[0].error is not None
    assert "no such table: missing" in events[0].error
    assert {event.tool_version for event in events} == {__version__}
    assert {event.done_by for event in events} == {"tester"}


def test_history_can_be_limited_and_narrowed_to_one_migration(project: Project) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        project.sql(version, "SELECT 1;", "SELECT 1;")
    project.upgrade()

    newest = read_history(project.workspace(), limit=1)
    of_one = read_history(project.workspace(), version=Version(1, 1, 0))

    assert [event.version for event in newest] == ["1.2.0"]
    assert [event.version for event in of_one] == ["1.1.0"]


def test_history_of_a_project_without_a_database_is_empty_and_makes_none(project: Project) -> None:
    assert read_history(project.workspace()) == ()
    assert not project.database.exists()


def test_history_of_a_database_of_another_engine_is_empty(project: Project) -> None:
    project.setup("CREATE TABLE something (x)")

    assert read_history(project.workspace()) == ()


def test_the_command_shows_the_history_as_table_list_and_json(project: Project) -> None:
    project.sql("1.0.0", "CREATE TABLE a (x);")
    project.upgrade()

    table = project.cli("history")
    listed = project.cli("history", "--format=list")
    document = json.loads(project.cli("history", "--format=json", "--limit=1").stdout)

    assert table.returncode == 0
    assert "│ 1.0.0 " in table.stdout
    assert "1.0.0  up  done  Step" in listed.stdout
    assert document["command"] == "history"
    assert document["history"][0]["version"] == "1.0.0"
    assert document["history"][0]["done_by"] == "tester"


def test_a_limit_that_is_no_count_is_wrong_usage(project: Project) -> None:
    for limit in ("0", "-1", "many"):
        assert project.cli("history", f"--limit={limit}").returncode == 2
