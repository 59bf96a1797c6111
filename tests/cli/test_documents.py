"""docs/json.md names every key of every document, and nothing else; and every error's code."""

import inspect
import re

import pytest

from launcher_tree import ROOT
from plugin_migrate import errors
from plugin_migrate.cli.arguments import COMMANDS
from plugins import Shelf, table

TEXT = (ROOT / "docs/json.md").read_text()
COMMON = "Every document"
# Mappings whose keys are not ours.
OPEN = {"counts", "migrations[].error", "metadata", "checks[].problem", "checks[].warning"}


def sections():
    """Return the keys of the tables below each heading."""
    parts = re.split(r"^## (.*)\n", TEXT, flags=re.MULTILINE)[1:]
    tables = zip(parts[::2], parts[1::2], strict=True)
    return {title: set(re.findall(r"^\| `([^`]+)` \|", text, re.M)) for title, text in tables}


SECTIONS = sections()
CODES = SECTIONS.pop("Errors")


def keys(value, path=""):
    """Yield where each value of a document stands."""
    if isinstance(value, dict) and path not in OPEN:
        for key, inner in value.items():
            yield from keys(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for item in value:
            yield from keys(item, f"{path}[]")
    else:
        yield path


def top(title):
    """Return the first parts of the keys that a section lists."""
    return {re.split(r"[.[]", key)[0] for key in SECTIONS[title]}


def of_documents(documents):
    """Return the keys of some documents without the common ones, each where it has a value."""
    found = {key for document in documents for key in keys(document)} - SECTIONS[COMMON]
    # What is null or empty in one document is an object or a list of them in another.
    return {
        key for key in found if not any(other.startswith((f"{key}.", f"{key}[")) for other in found)
    }


@pytest.fixture
def shelf(project, tmp_path):
    return Shelf(project.home, tmp_path / "shelf")


def upgrades(project, shelf):
    project.migration("v1.0.0-misnamed.sql", "")
    project.write("old.md", "old\n")
    project.python(
        "1.0.0",
        "(ctx.claude / 'old.md').unlink()\n"
        "(ctx.claude / 'new.md').write_text('new')\n"
        "ctx.db.execute('CREATE TABLE t (x)')\n"
        "ctx.db.execute('INSERT INTO t VALUES (1)')",
    )
    yield project.json("upgrade", "--dry-run", "--verbose")
    yield project.json("upgrade", "--preview")
    done = project.json("upgrade")
    assert done["ok"]
    yield done
    project.sql("1.1.0", "INSERT INTO nowhere VALUES (1);")
    failed = project.json("upgrade")
    assert not failed["ok"]
    yield failed
    yield project.json("redo")
    yield project.json("downgrade")


def twice(project):
    """Write two files of one version, which no upgrade applies."""
    for slug in "ab":
        project.migration(f"2.0.0-{slug}.sql", "-- migrate:up\nCREATE TABLE t (x);\n")


def statuses(project, shelf):
    project.migration("v1.0.0-misnamed.sql", "")
    project.tables("1.0.0", "1.1.0")
    twice(project)
    table(shelf.plugin("keeper"), "1.0.0")
    project.ok("upgrade", "1.0.0")
    yield project.json("status")


def created(project, shelf):
    yield project.json("create", "x")
    (project.root / "1_a.sql").write_text("SELECT 1;")
    yield project.json("create", "--from", "sql", ".")


def renumbered(project, shelf):
    project.tables("1.0.0", "1.1.0")
    project.ok("upgrade", "1.0.0")
    yield project.json("renumber", "1.1.0")


def prepared(project, shelf):
    yield project.json("init-plugin", "note-keeper")


def verified(project, shelf):
    project.sql("1.0.0", "CREATE TABLE t (x); DROP TABLE IF EXISTS u;")
    found = project.json("verify")
    assert not found["ok"]
    yield found


def synced(project, shelf):
    table(shelf.plugin("keeper"), "1.0.0")
    document = project.json("sync")
    (done,) = document.pop("sources")
    assert done["steps"]
    assert set(done) - top("upgrade, downgrade, redo") == {"source", "ok"}
    (done,) = project.json("sync")["sources"]
    assert done == {"source": "keeper", "ok": True, "steps": []}
    yield document


def remembered(project, shelf):
    project.tables("1.0.0")
    project.ok("upgrade")
    yield project.json("history")


def marked(project, shelf):
    project.tables("1.0.0")
    yield project.json("baseline", "1.0.0")
    (project.root / "state.json").write_text("1")
    yield project.json("baseline", "--from", "json:state.json", "--yes")


def repaired(project, shelf):
    project.tables("1.0.0")
    project.ok("upgrade")
    project.sql("1.0.0", "CREATE TABLE other (x);")
    yield project.json("repair")


def restored(project, shelf):
    project.tables("1.0.0", "1.1.0")
    project.ok("upgrade", "1.0.0")
    project.ok("upgrade")
    newest, oldest = project.json("restore")["backups"]
    yield project.json("restore", newest["id"])
    backup = project.claude / ".plugin-migrate/backups" / oldest["id"]
    (backup / "manifest.json").write_text("garbage")
    yield project.json("restore")


def checked(project, shelf):
    twice(project)
    yield project.json("check")


def shown(project, shelf):
    project.python("1.0.0", "ctx.db.execute('CREATE TABLE t (x)')\n(ctx.claude / 'a').mkdir()")
    yield project.json("show", "1.0.0")
    project.ok("upgrade")
    yield project.json("show", "1.0.0")


def examined(project, shelf):
    yield project.json("doctor")


def helped(project, shelf):
    yield project.json("help")


def completing(project, shelf):
    yield project.json("completion", "fish")


DOCUMENTS = {
    "upgrade, downgrade, redo": upgrades,
    "status": statuses,
    "show": shown,
    "doctor": examined,
    "help": helped,
    "completion": completing,
    "create": created,
    "renumber": renumbered,
    "init-plugin": prepared,
    "verify": verified,
    "sync": synced,
    "history": remembered,
    "baseline": marked,
    "repair": repaired,
    "restore": restored,
    "check": checked,
}


@pytest.mark.parametrize("title", DOCUMENTS)
def test_every_key_of_a_document_is_listed_and_no_other(project, shelf, title):
    assert of_documents(DOCUMENTS[title](project, shelf)) == SECTIONS[title]


def test_every_command_has_a_section():
    titles = {name for title in SECTIONS if title != COMMON for name in title.split(", ")}
    assert titles == {command.name for command in COMMANDS if "json" in command.formats}
    assert set(DOCUMENTS) | {COMMON} == set(SECTIONS)


def test_a_failure_has_every_key_of_an_error(project):
    project.sql("1.0.0", "SELECT nothing;")
    assert set(keys(project.json("upgrade")["error"], "error")) < SECTIONS[COMMON]
    assert set(keys(project.json("upgrade"))) > SECTIONS[COMMON]


def test_several_sources_share_a_document(project, shelf):
    project.tables("1.0.0")
    table(shelf.plugin("keeper"), "1.0.0")
    document = project.json("upgrade", "--all")
    assert [one["source"] for one in document["sources"]] == [None, "keeper"]
    for one in document["sources"]:
        assert set(one) - top("upgrade, downgrade, redo") == {"source", "ok"}


def test_every_error_has_its_code_listed():
    classes = [
        one for _, one in inspect.getmembers(errors, inspect.isclass) if hasattr(one, "code")
    ]
    assert {one.code for one in classes} | {"output_too_long"} == CODES
    order = re.findall(r"^\| `(\w+)` \|", TEXT.split("\n## Errors\n")[1], re.M)
    wrong_usage = {one.code for one in classes if one.exit_code == 2}
    assert set(order[: len(wrong_usage)]) == wrong_usage
    assert order[len(wrong_usage) - 1] == "unknown_plugin"
