"""New migration files: any name and description that is accepted makes a file that loads."""

import os
import tempfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plugin_migrate.errors import InvalidName, UsageError, VersionExists
from plugin_migrate.migration import describe, load, parse_name
from plugin_migrate.operations.create import LANGUAGES, TEMPLATES, create, require_slug
from plugin_migrate.plan import entries_from
from plugin_migrate.version import Version
from plugin_migrate.workspace import locate

SLUGS = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True).filter(lambda s: len(s) <= 100)

NAMES = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1)


def in_a_new_project(name, **options):
    """Create a migration in an empty project; return its file's name and what it says of itself."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, ".claude"))
        workspace = locate(folder, environment={})
        created = create(workspace, (), name, **{"author": "ada", **options})
        (migration,) = load(workspace.migrations, {})
        assert migration.path == created.path
        assert migration.version == created.version
        return os.path.basename(created.path), describe(migration)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("../x", "x"),
        ("", "add-oauth"),
        ("Add OAuth", "add-oauth"),
        ("AddOauth2Support", "add-oauth2-support"),
        ("add_oauth", "add-oauth"),
        ("-x-", "x"),
        ("a--b", "a-b"),
        ("a/b", "a-b"),
        ("x\n", "x"),
        ("x.py", "x-py"),
        ("..", "add-oauth"),
        ("ünï", "n"),
        ("²", "add-oauth"),
        ("a" * 101, "a" * 100),
    ],
)
def test_a_name_that_is_no_slug_is_refused_with_one_that_is(name, meant):
    with pytest.raises(InvalidName) as caught:
        require_slug(name)
    assert caught.value.message == f"Invalid name for a migration: '{name}'"
    assert caught.value.hint.endswith(f", for example: {meant}")
    require_slug(meant)


@given(st.text())
@example("x\n")
def test_every_suggested_name_is_accepted(name):
    try:
        require_slug(name)
    except InvalidName as error:
        require_slug(error.hint.rpartition(": ")[2])


@given(SLUGS, st.sampled_from(LANGUAGES))
@example("yes", "sql")
@example("null", "sql")
@example("1e3", "sql")
@example("0", "sql")
@settings(max_examples=30)
def test_every_accepted_name_is_read_back(slug, language):
    name, script = in_a_new_project(slug, language=language)
    assert parse_name(name, name) == (Version(1, 0, 0), slug)
    assert script.description.lower() == slug.replace("-", " ")


@given(st.text(min_size=1), NAMES, st.sampled_from(LANGUAGES))
@example("Add OAuth support", "root", "sql")
@example("Yes", "no", "sql")
@example("1.5", "0x1f", "sql")
@example('It\'s "quoted"', "'", "python")
@example('"""', '"""', "python")
@example("back\\slash\\", "\\", "python")
@example("colon: and # hash", "&a *b", "sql")
@example("$author ${author} $$ {x}", "$title", "python")
@example("-- migrate:down", "migrate:up", "sql")
@example("ünï 漢字 \N{GRINNING FACE}", "a\u200db", "sql")
@settings(max_examples=80)
def test_every_accepted_description_is_read_back(description, author, language):
    try:
        _, script = in_a_new_project("x", description=description, author=author, language=language)
    except UsageError:
        return
    # YAML keeps the blanks, the reader of headers does not.
    assert script.description.strip() == (description.strip() or "X")
    assert (script.metadata["author"] or "").strip() == author.strip()


@pytest.mark.parametrize(
    "text", ["a\nb", "a\rb", "\x1b[2J", "a\u2028b", "\x85", "\udcff", "\uffff"]
)
def test_a_description_that_is_no_line_of_text_is_refused(text):
    with pytest.raises(UsageError, match="one line of text"):
        in_a_new_project("x", description=text)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_carries_its_header(template, language):
    if (template, language) == ("plugin", "sql"):
        return
    name, script = in_a_new_project("a-b", template=template, language=language)
    assert name.startswith("1.0.0-a-b.")
    assert script.has_down
    assert (script.description, script.metadata["author"]) == ("A b", "ada")
    assert script.metadata["tags"] == ([] if template == "empty" else [template])


def test_a_file_of_that_name_is_never_overwritten(project):
    workspace = project.workspace()
    path = project.sql("1.0.0", "SELECT 1;").rename(project.migrations / "1.0.0-x.sql")
    with pytest.raises(VersionExists):
        create(workspace, (), "x", author="ada", language="sql")
    assert "SELECT 1;" in path.read_text()


@given(st.lists(st.builds(Version, *[st.integers(0, 20)] * 3), min_size=1, unique=True))
def test_the_next_version_is_above_all_others(versions):
    newest = max(versions)
    for part in ("major", "minor", "patch"):
        assert newest.bump(part) > newest


def test_versions_known_only_to_the_ledger_are_taken(project):
    project.sql("1.0.0", "SELECT 1;", "")
    project.upgrade()
    (project.migrations / "1.0.0-step.sql").unlink()
    survey = project.look()
    assert survey.entries == entries_from([], survey.ledger.applied)
    with pytest.raises(VersionExists):
        create(survey.workspace, survey.entries, "x", author="ada", version=Version(1, 0, 0))
